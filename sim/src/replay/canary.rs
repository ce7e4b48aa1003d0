//! Canaries: small writes that the controller asks for, as real flows from a node of their own.

use tarazu_core::control::Event as Control;
use tarazu_layout::{TargetId, Time};

use super::{Event, Replay};

/// Marks the flow of a canary; the rest of the tag is its target.
const TAG: u64 = 1 << 63;

/// Number under which a canary's request is counted on its target: no move has it.
const REQUEST: u32 = u32::MAX;

/// Canaries of one run.
#[derive(Debug)]
pub(super) struct Canaries {
    /// The node that writes them, behind all others.
    nic: u32,
    /// When each target's canary was started, while it is under way.
    begun: Vec<Option<Time>>,
    /// Bytes of all canaries to each target.
    pub(super) asked_bytes: Vec<f64>,
}

impl Canaries {
    pub(super) fn new(nodes: u32, targets: usize) -> Self {
        Self { nic: nodes.max(1), begun: vec![None; targets], asked_bytes: vec![0.0; targets] }
    }

    /// Canaries under way to a target.
    pub(super) fn under_way(&self, target: TargetId) -> u32 {
        u32::from(self.begun[target.index()].is_some())
    }
}

/// The target of a canary's flow; `None` of any other flow.
pub(super) fn target_of(tag: u64) -> Option<TargetId> {
    (tag & TAG != 0).then_some(TargetId(tag as u32))
}

impl Replay<'_> {
    /// Sends on what the controller has just asked for.
    pub(super) fn send_canaries(&mut self) {
        let Some(plane) = &mut self.plane else { return };
        let wanted = std::mem::take(&mut plane.canaries);
        let at = self.now + plane.report_delay();
        for (target, bytes) in wanted {
            self.at(at, Event::Canary { target, bytes });
        }
    }

    /// Writes a canary.
    pub(super) fn begin_canary(&mut self, target: TargetId, bytes: u64) {
        let place = target.index();
        if !self.makers.metadata.is_up(target) || self.canaries.begun[place].is_some() {
            return self.answer_canary(target, None);
        }
        self.canaries.begun[place] = Some(self.now);
        self.canaries.asked_bytes[place] += bytes as f64;
        self.others.begin_request(target, REQUEST, self.now);
        self.fluid.start(self.canaries.nic, target.0, bytes as f64, 1.0, TAG | u64::from(target.0));
    }

    /// A canary's last byte has arrived.
    pub(super) fn canary_ended(&mut self, target: TargetId) {
        self.others.end_request(target, REQUEST, self.now);
        if let Some(begun) = self.canaries.begun[target.index()].take() {
            self.answer_canary(target, Some(self.now.since(begun).as_secs_f64()));
        }
    }

    fn answer_canary(&mut self, target: TargetId, seconds: Option<f64>) {
        let Some(plane) = &self.plane else { return };
        let at = self.now + plane.report_delay();
        self.deliver_at(at, Control::CanaryDone { target, seconds });
    }
}

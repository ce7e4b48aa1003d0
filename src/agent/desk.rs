//! What sampling and sending share: what waits to be sent, what is registered, and what the controller orders.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::time::Duration;

use tarazu_proto::limits::{AGENT_MESSAGE_BYTES_MAX, PROTOCOL, SERVER_TARGETS_MAX};
use tarazu_proto::v1;
use tarazu_proto::v1::agent_message::Message;
use tarazu_proto::v1::agent_order::Order;
use tokio::sync::{Notify, mpsc};
use tracing::{info, warn};

use super::canary::Canaries;
use super::clock;
use super::outbox::{CANARIES_MAX, Newest, SAMPLES_MAX};
use super::sampler::Target;
use super::session::{Config, End, Session, Waits};

/// Contested targets of an answer that a log line names; the rest are counted.
const CONTESTED_SAID_MAX: usize = 8;

/// Shortest and longest interval that a controller may ask for (`tarazu.v1.Registered`), milliseconds.
const INTERVAL_MS: std::ops::RangeInclusive<u32> = 100..=300_000;

/// What is registered.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Facts {
    /// Targets by index.
    pub(super) targets: Vec<Target>,
    /// Version of the file system's software.
    pub(super) version: String,
}

/// What sampling and sending share.
pub(super) struct Desk {
    /// What the agent was told at its start.
    pub(super) config: Config,
    /// Random number of this process.
    pub(super) instance: u64,
    /// When it started, nanoseconds since 1970.
    pub(super) started_unix_ns: u64,
    /// Time between two samples; the controller sets it.
    pub(super) interval: Cell<Duration>,
    /// It was set anew.
    pub(super) interval_changed: Notify,
    /// Samples that wait to be sent.
    pub(super) samples: RefCell<Newest<v1::Sample>>,
    /// Canaries that wait to be told of.
    pub(super) canaries_done: RefCell<Newest<v1::CanaryDone>>,
    /// Something waits that did not before.
    pub(super) news: Notify,
    /// Canaries under way.
    pub(super) canaries: Canaries,
    /// How long sessions wait.
    pub(super) waits: Waits,
}

impl Desk {
    /// A desk with nothing on it.
    pub(super) fn new(config: Config, instance: u64) -> Self {
        Self {
            instance,
            started_unix_ns: clock::unix_ns(),
            interval: Cell::new(config.interval),
            interval_changed: Notify::new(),
            samples: RefCell::new(Newest::new(SAMPLES_MAX)),
            canaries_done: RefCell::new(Newest::new(CANARIES_MAX)),
            news: Notify::new(),
            canaries: Canaries::default(),
            waits: Waits::default(),
            config,
        }
    }

    /// Whether something waits to be sent.
    pub(super) fn has_news(&self) -> bool {
        !self.samples.borrow().is_empty() || !self.canaries_done.borrow().is_empty()
    }

    /// The next thing to send. A sample that the controller would not take is passed over.
    pub(super) fn next_message(&self, bytes_max: usize) -> Option<Message> {
        if let Some(done) = self.canaries_done.borrow_mut().take() {
            return Some(Message::CanaryDone(done));
        }
        let sample = self.samples.borrow_mut().take()?;
        let bytes = prost::Message::encoded_len(&sample);
        if bytes > bytes_max {
            warn!("a sample of {bytes} bytes is not sent: the controller takes {bytes_max}");
            return None;
        }
        Some(Message::Sample(sample))
    }

    /// The message that says who reports, and what it serves.
    pub(super) fn register(&self, facts: &Facts) -> v1::AgentMessage {
        let config = &self.config;
        let targets = facts.targets.iter().map(|target| v1::TargetFacts {
            ost_index: target.ost_index,
            capacity_bytes: target.capacity_bytes,
            read_bps: config.priors.read_bps,
            write_bps: config.priors.write_bps,
        });
        let register = v1::Register {
            protocol: PROTOCOL,
            file_system: config.sources.file_system.clone(),
            server: config.server.clone(),
            instance: self.instance,
            started_unix_ns: self.started_unix_ns,
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            file_system_version: facts.version.clone(),
            link_bps: config.link_bps,
            enclosure: config.enclosure,
            targets: targets.collect(),
            can_canary: !config.canary_folders.is_empty(),
        };
        v1::AgentMessage { message: Some(Message::Register(register)) }
    }

    /// Does what the controller orders; an end where it ends the session.
    pub(super) fn obey(
        &self,
        session: &mut Session,
        order: Order,
        canary_to: &mpsc::Sender<v1::CanaryDone>,
    ) -> Option<End> {
        match order {
            Order::Registered(registered) => {
                if !INTERVAL_MS.contains(&registered.interval_ms) {
                    return Some(End::Lost(format!("asks for an interval of {} ms", registered.interval_ms)));
                }
                session.registered = true;
                session.message_bytes_max =
                    AGENT_MESSAGE_BYTES_MAX.min(registered.message_bytes_max as usize);
                let interval = Duration::from_millis(u64::from(registered.interval_ms));
                if self.interval.replace(interval) != interval {
                    self.interval_changed.notify_one();
                }
                info!("registered: session {}, a sample every {interval:?}", registered.session);
                self.contest(session, &registered.contested_ost_indices);
            }
            Order::Canary(canary) => self.start_canary(canary, canary_to.clone()),
            Order::Superseded(superseded) => return Some(End::Superseded(superseded.by_instance)),
        }
        None
    }

    /// Notes which targets another live server speaks for, and when to ask for them again. Said when it changes.
    fn contest(&self, session: &mut Session, ost_indices: &[u32]) {
        let contested: BTreeSet<u32> = ost_indices.iter().copied().take(SERVER_TARGETS_MAX).collect();
        session.ask_again((!contested.is_empty()).then_some(self.waits.contested));
        let before = std::mem::replace(&mut session.contested, contested);
        let contested = &session.contested;
        if *contested == before {
            return;
        }
        if contested.is_empty() {
            info!("no target is contested any more");
            return;
        }
        let first: Vec<u32> = contested.iter().copied().take(CONTESTED_SAID_MAX).collect();
        warn!(
            "another live server speaks for {} of this server's targets, indices {first:?}{}: their rows are dropped. \
             Registering again every minute until it lets go; stop its agent where it should not serve them",
            contested.len(),
            if contested.len() > first.len() { " and more" } else { "" },
        );
    }

    fn start_canary(&self, canary: v1::Canary, done: mpsc::Sender<v1::CanaryDone>) {
        let ost_index = canary.ost_index;
        let folder = self.config.canary_folders.get(&ost_index).cloned();
        let canaries = self.canaries.clone();
        tokio::spawn(async move {
            let seconds = match folder {
                Some(folder) => canaries.run(ost_index, folder, canary.bytes).await,
                None => None,
            };
            // The session that asked may be over.
            let _ = done.try_send(v1::CanaryDone { ost_index, seconds });
        });
    }
}

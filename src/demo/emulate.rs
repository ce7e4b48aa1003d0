//! Emulated targets: how fast a file is written or read in the demonstration.
//!
//! This is no storage. Every target has a rate that all transfers under way on it share equally, whoever they belong
//! to; real bytes are moved beside it and do not count. It owns the targets' counters, which agents read. It must not
//! know policies, jobs or the control plane.

use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::clock::{self, Clock, LOOK_EVERY, Stop};
use super::error::DemoError;
use crate::agent::SyntheticCounters;

/// The emulation advances so often. A transfer ends up to this much later than it should.
const TICK: Duration = Duration::from_millis(5);

/// Counters are written so often: several times within the shortest interval of the agents.
const COUNTERS_EVERY_S: f64 = 0.1;

/// Bytes of a request as the counters count it: the bulk request of Lustre's older releases.
const REQUEST_BYTES: f64 = 1_048_576.0;

/// Size of a target: large enough that the demonstration does not fill it noticeably.
const CAPACITY_BYTES: u64 = 1 << 40;

/// One target's speed and what others do on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spec {
    /// Bytes a second that all its transfers share.
    pub(crate) bps: f64,
    /// Writes of others that never end, each with an equal share.
    pub(crate) foreign_streams: u32,
}

/// What moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the target.
    Read,
    /// To the target.
    Write,
}

#[derive(Clone, Copy, Debug)]
struct Transfer {
    number: u64,
    left_bytes: f64,
    way: Way,
}

/// Pure: one target's state, advanced by seconds.
#[derive(Clone, Debug)]
struct Target {
    spec: Spec,
    transfers: Vec<Transfer>,
    read_bytes: f64,
    written_bytes: f64,
    busy_s: f64,
    depth_integral_s: f64,
}

impl Target {
    fn new(spec: Spec) -> Self {
        let transfers = Vec::new();
        Self { spec, transfers, read_bytes: 0.0, written_bytes: 0.0, busy_s: 0.0, depth_integral_s: 0.0 }
    }

    /// Shares the rate among what is under way. Whether a transfer ended.
    fn advance(&mut self, mut seconds: f64) -> bool {
        let mut has_ended = false;
        while seconds > 0.0 {
            let streams = self.transfers.len() as f64 + f64::from(self.spec.foreign_streams);
            if streams == 0.0 {
                break;
            }
            let each_bps = self.spec.bps / streams;
            let least =
                self.transfers.iter().map(|transfer| transfer.left_bytes).fold(f64::INFINITY, f64::min);
            let step_s = seconds.min(least / each_bps);
            let share = each_bps * step_s;
            self.written_bytes += share * f64::from(self.spec.foreign_streams);
            for transfer in &mut self.transfers {
                transfer.left_bytes -= share;
                match transfer.way {
                    Way::Read => self.read_bytes += share,
                    Way::Write => self.written_bytes += share,
                }
            }
            self.busy_s += step_s;
            self.depth_integral_s += streams * step_s;
            seconds -= step_s;
            let before = self.transfers.len();
            // Less than a byte is rounding.
            self.transfers.retain(|transfer| transfer.left_bytes >= 1.0);
            has_ended |= self.transfers.len() < before;
        }
        has_ended
    }

    fn counters(&self, start_unix_ns: u64) -> SyntheticCounters {
        let (read_bytes, written_bytes) = (self.read_bytes as u64, self.written_bytes as u64);
        SyntheticCounters {
            start_unix_ns,
            read_bytes,
            written_bytes,
            ops: ((self.read_bytes + self.written_bytes) / REQUEST_BYTES) as u64,
            // Little's law: the sum of the times of requests is the integral of their number.
            latency_total_s: self.depth_integral_s,
            busy_s: self.busy_s,
            depth_integral_s: self.depth_integral_s,
            free_bytes: CAPACITY_BYTES.saturating_sub(written_bytes),
            capacity_bytes: CAPACITY_BYTES,
            ..SyntheticCounters::default()
        }
    }
}

/// Writes of others that come to every target at once, until they are ended.
#[derive(Clone, Copy, Debug)]
struct WarmUp {
    every_s: f64,
    bytes: f64,
    next_s: f64,
}

#[derive(Debug)]
struct State {
    /// Up to when the targets have moved, seconds on the emulation's clock.
    at_s: f64,
    targets: Vec<Target>,
    next_number: u64,
    warm_up: Option<WarmUp>,
}

/// All targets, and who waits for them.
#[derive(Debug)]
pub(crate) struct Emulation {
    clock: Clock,
    state: Mutex<State>,
    changed: Condvar,
    counters: Vec<PathBuf>,
    start_unix_ns: u64,
}

impl Emulation {
    /// Targets with these speeds, whose counters stand in these files.
    pub(super) fn new(specs: &[Spec], counters: Vec<PathBuf>) -> Result<Self, DemoError> {
        let targets = specs.iter().copied().map(Target::new).collect();
        let emulation = Self {
            clock: Clock::start(),
            state: Mutex::new(State { at_s: 0.0, targets, next_number: 0, warm_up: None }),
            changed: Condvar::new(),
            counters,
            start_unix_ns: clock::unix_ns(),
        };
        emulation.write_counters()?;
        Ok(emulation)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Others write so many bytes to every target every `every_s` seconds, where it has done the last ones.
    pub(super) fn warm_up(&self, every_s: f64, bytes: f64) {
        self.state().warm_up = Some(WarmUp { every_s, bytes, next_s: 0.0 });
    }

    /// Ends the warm-up; what is under way of it is dropped.
    pub(super) fn end_warm_up(&self) {
        let mut state = self.state();
        state.warm_up = None;
        state.targets.iter_mut().for_each(|target| target.transfers.retain(|transfer| transfer.number != 0));
    }

    /// Moves bytes and waits until they are through; `false` where the end came first.
    pub(super) fn transfer(&self, target: usize, bytes: u64, way: Way, stop: &Stop) -> bool {
        // What was under way until now does not wait for this one, and this one gets nothing of the time before.
        self.advance();
        let mut state = self.state();
        state.next_number += 1;
        let number = state.next_number;
        let Some(on) = state.targets.get_mut(target) else { return true };
        on.transfers.push(Transfer { number, left_bytes: (bytes as f64).max(1.0), way });
        while state.targets[target].transfers.iter().any(|transfer| transfer.number == number) {
            if stop.is_set() {
                return false;
            }
            let woken = self.changed.wait_timeout(state, LOOK_EVERY);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Advances in real time until the end.
    pub(super) fn run(&self, stop: &Stop, is_over: &Stop) -> Result<(), DemoError> {
        let mut written_s = 0.0;
        while !stop.is_set() && !is_over.is_set() {
            clock::sleep(TICK);
            self.advance();
            let now_s = self.clock.seconds();
            if now_s - written_s >= COUNTERS_EVERY_S {
                written_s = now_s;
                self.write_counters()?;
            }
        }
        self.changed.notify_all();
        Ok(())
    }

    /// Moves all targets on to now.
    fn advance(&self) {
        let mut state = self.state();
        let now_s = self.clock.seconds();
        let seconds = (now_s - state.at_s).max(0.0);
        state.at_s = now_s;
        let mut has_ended = false;
        for target in &mut state.targets {
            has_ended |= target.advance(seconds);
        }
        let due = state.warm_up.as_mut().filter(|warm_up| now_s >= warm_up.next_s);
        if let Some(warm_up) = due {
            warm_up.next_s = now_s + warm_up.every_s;
            let bytes = warm_up.bytes;
            for target in &mut state.targets {
                // Number 0 is the warm-up's.
                if !target.transfers.iter().any(|transfer| transfer.number == 0) {
                    target.transfers.push(Transfer { number: 0, left_bytes: bytes, way: Way::Write });
                }
            }
        }
        drop(state);
        if has_ended {
            self.changed.notify_all();
        }
    }

    fn write_counters(&self) -> Result<(), DemoError> {
        let start_unix_ns = self.start_unix_ns;
        let all: Vec<SyntheticCounters> =
            self.state().targets.iter().map(|target| target.counters(start_unix_ns)).collect();
        for (counters, path) in all.iter().zip(&self.counters) {
            counters.write_atomically(path)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(foreign_streams: u32, transfers: &[f64]) -> Target {
        let mut target = Target::new(Spec { bps: 100.0, foreign_streams });
        for (number, bytes) in (1..).zip(transfers) {
            target.transfers.push(Transfer { number, left_bytes: *bytes, way: Way::Write });
        }
        target
    }

    #[test]
    fn transfers_share_a_targets_rate() {
        let mut alone = target(0, &[100.0]);
        assert!(!alone.advance(0.5) && alone.advance(0.5));
        assert!((alone.busy_s - 1.0).abs() < 1e-9 && (alone.written_bytes - 100.0).abs() < 1e-6);
        // The first ends after two seconds of half the rate, the second has it all then.
        let mut two = target(0, &[100.0, 200.0]);
        assert!(two.advance(2.5));
        assert!((two.transfers[0].left_bytes - 50.0).abs() < 1e-6);
        assert!(two.advance(9.0));
        assert!((two.busy_s - 3.0).abs() < 1e-6 && (two.depth_integral_s - 5.0).abs() < 1e-6);
    }

    #[test]
    fn others_take_their_share_and_all_that_is_left() {
        let mut busy = target(3, &[100.0]);
        assert!(!busy.advance(3.9) && busy.advance(0.2));
        assert!(!busy.advance(1.0));
        assert!((busy.written_bytes - 510.0).abs() < 1e-6 && (busy.busy_s - 5.1).abs() < 1e-6);
    }

    #[test]
    fn counters_say_what_was_done() {
        let mut target = target(0, &[3.0 * REQUEST_BYTES]);
        target.spec.bps = REQUEST_BYTES;
        target.advance(10.0);
        let counters = target.counters(7);
        assert_eq!((counters.start_unix_ns, counters.written_bytes, counters.ops), (7, 3 << 20, 3));
        assert!((counters.busy_s - 3.0).abs() < 1e-6 && counters.free_bytes < CAPACITY_BYTES);
    }
}

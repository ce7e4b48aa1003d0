//! What only `tarazu-central` knows: every placement at once and without loss.

use tarazu_core::ledger::Ledger;
use tarazu_core::sample::Placed;
use tarazu_layout::{Bytes, JobId, TargetId, Time};

use crate::fluid::Fluid;

/// A ledger that hears of everything the moment it happens.
pub(super) struct Perfect {
    ledger: Ledger,
    /// Bytes of each target that the ledger has seen served.
    settled: Vec<f64>,
    settled_at: Time,
}

impl Perfect {
    pub(super) fn new(targets: usize) -> Self {
        Self { ledger: Ledger::new(targets), settled: vec![0.0; targets], settled_at: Time::ZERO }
    }

    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(super) fn take_placed(&mut self, placed: &Placed, now: Time) {
        self.ledger.take_placed(placed, now);
    }

    pub(super) fn close_job(&mut self, job: JobId) {
        self.ledger.close_job(job);
    }

    /// Lowers the ledger by what the targets have served since the last time.
    pub(super) fn settle(&mut self, fluid: &Fluid, now: Time) {
        // A burst creates its files at one moment, in which nothing is served.
        if self.settled_at == now {
            return;
        }
        self.settled_at = now;
        for (number, settled) in self.settled.iter_mut().enumerate() {
            let served = fluid.disk_served_bytes(number as u32);
            let since = (served - *settled).max(0.0) as u64;
            *settled += since as f64;
            self.ledger.attribute(TargetId(number as u32), Bytes(since));
        }
    }
}

//! What operators want: the only things beside the term that must survive a controller.

use std::sync::Arc;

use tarazu_layout::{TargetId, Time};

use super::{Control, Durable, Effect, Refused};
use crate::health::HealthConfig;

/// A target that gets no new layouts, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drain {
    /// In an operator's words.
    pub reason: String,
    /// When it ends by itself, on the controller's clock; `None` = never.
    pub until: Option<Time>,
    /// Who said so, as he named himself.
    pub by: String,
    /// When it was said, on the controller's clock.
    pub since: Time,
}

/// What is wanted of the controller as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Files are steered where that is worth it; otherwise plans are made and can be explained, and every file is
    /// left to the file system.
    pub apply: bool,
    /// Agents are asked for canaries.
    pub canary: bool,
    /// Slow targets are found from samples and left out.
    pub detect: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self { apply: true, canary: false, detect: true }
    }
}

impl Control {
    pub(super) fn persist(&mut self, record: Durable, out: &mut Vec<Effect>) {
        let write = self.next_write;
        self.next_write += 1;
        self.waiting.insert(write, record.clone());
        out.push(Effect::Persist { write, record });
    }

    /// All targets of one word become drained together, or none: they are one record.
    pub(super) fn drain(
        &mut self,
        targets: Vec<TargetId>,
        drain: Option<Drain>,
        out: &mut Vec<Effect>,
    ) -> Result<(), Refused> {
        let known = self.view.targets.len();
        if let Some(unknown) = targets.iter().find(|target| target.index() >= known) {
            return Err(Refused::UnknownTarget(*unknown));
        }
        self.persist(Durable::Drain { targets, drain }, out);
        Ok(())
    }

    /// Gives back the targets whose drain is over. It stays in force until its end is durable.
    pub(super) fn end_drains(&mut self, now: Time, out: &mut Vec<Effect>) {
        let is_over = |target: &TargetId| {
            let drain = self.view.targets[target.index()].drained.as_ref();
            drain.and_then(|drain| drain.until).is_some_and(|until| until <= now)
        };
        // Whatever was said of it meanwhile counts, and must not be ended by us.
        let is_waiting = |target: &TargetId| {
            self.waiting
                .values()
                .any(|record| matches!(record, Durable::Drain { targets, .. } if targets.contains(target)))
        };
        let over: Vec<TargetId> =
            self.view.topology.ids().filter(is_over).filter(|target| !is_waiting(target)).collect();
        if !over.is_empty() {
            self.persist(Durable::Drain { targets: over, drain: None }, out);
        }
    }

    pub(super) fn take_policy(&mut self, policy: Policy) {
        self.policy = policy;
        self.detector.configure(HealthConfig { detect: policy.detect, canary: policy.canary });
    }

    pub(super) fn persisted(&mut self, write: u64) -> Result<(), Refused> {
        match self.waiting.remove(&write).ok_or(Refused::UnknownWrite { write })? {
            Durable::Term(term) if term > self.term => {
                self.term = term;
                self.seq = 0;
            }
            Durable::Term(_) => {}
            Durable::Drain { targets, drain } => {
                for target in targets {
                    let newest = self.drain_writes.entry(target).or_insert(write);
                    if *newest <= write {
                        *newest = write;
                        Arc::make_mut(&mut self.view).targets[target.index()].drained.clone_from(&drain);
                    }
                }
            }
            Durable::Policy(policy) => {
                if self.policy_write.is_none_or(|newest| newest <= write) {
                    self.policy_write = Some(write);
                    self.take_policy(policy);
                }
            }
        }
        self.changed = true;
        Ok(())
    }

    /// What failed is forgotten; whoever wanted it was told. Without a durable term nothing can be published, so
    /// that one is tried again.
    pub(super) fn persist_failed(&mut self, write: u64) -> Result<(), Refused> {
        let record = self.waiting.remove(&write).ok_or(Refused::UnknownWrite { write })?;
        self.term_failed |= matches!(record, Durable::Term(term) if term == self.term_seen);
        Ok(())
    }

    /// Drains that are durable already.
    pub(super) fn take_drains(&mut self, drained: Vec<(TargetId, Drain)>) -> Result<(), Refused> {
        let view = Arc::make_mut(&mut self.view);
        for (target, drain) in drained {
            let seen = view.targets.get_mut(target.index()).ok_or(Refused::UnknownTarget(target))?;
            seen.drained = Some(drain);
        }
        Ok(())
    }
}

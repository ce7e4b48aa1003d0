//! Who waits for which record to become durable.

use std::collections::BTreeMap;

use tokio::sync::oneshot;

use super::command::IntentRefused;

/// Somebody who waits for several records.
struct Waiting {
    left: usize,
    failed: Option<String>,
    reply: oneshot::Sender<Result<u64, IntentRefused>>,
}

/// All who wait.
#[derive(Default)]
pub(crate) struct Intents {
    next: u64,
    waiting: BTreeMap<u64, Waiting>,
    writes: BTreeMap<u64, u64>,
}

impl Intents {
    /// Somebody waits for these records.
    pub(crate) fn wait(&mut self, writes: &[u64], reply: oneshot::Sender<Result<u64, IntentRefused>>) {
        let number = self.next;
        self.next += 1;
        self.waiting.insert(number, Waiting { left: writes.len(), failed: None, reply });
        self.writes.extend(writes.iter().map(|write| (*write, number)));
    }

    /// A record is durable, or will never be. Whoever waited for it alone is answered.
    pub(crate) fn stored(&mut self, write: u64, failed: Option<&str>, term: u64) {
        let Some(number) = self.writes.remove(&write) else { return };
        let Some(waiting) = self.waiting.get_mut(&number) else { return };
        waiting.left -= 1;
        if let Some(why) = failed {
            waiting.failed = Some(why.to_owned());
        }
        if waiting.left > 0 {
            return;
        }
        let Some(Waiting { failed, reply, .. }) = self.waiting.remove(&number) else { return };
        // Nobody listens any more where the caller hung up; what is durable stays so.
        let _ = reply.send(failed.map_or(Ok(term), |why| Err(IntentRefused::NotDurable(why))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_comes_when_all_of_it_is_durable() {
        let mut intents = Intents::default();
        let (reply, mut answer) = oneshot::channel();
        intents.wait(&[3, 4], reply);
        intents.stored(9, None, 1);
        intents.stored(4, None, 1);
        assert!(answer.try_recv().is_err());
        intents.stored(3, None, 2);
        assert_eq!(answer.try_recv(), Ok(Ok(2)));
        let (reply, mut answer) = oneshot::channel();
        intents.wait(&[5, 6], reply);
        intents.stored(5, Some("disk full"), 2);
        intents.stored(6, None, 2);
        assert_eq!(answer.try_recv(), Ok(Err(IntentRefused::NotDurable("disk full".into()))));
    }
}

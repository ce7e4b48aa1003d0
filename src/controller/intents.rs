//! Who waits for which record to become durable.

use std::collections::BTreeMap;

use tokio::sync::oneshot;

use super::command::IntentRefused;

/// Whom the answer goes to: the term under which a record is durable, or why it is not.
pub(crate) type Reply = oneshot::Sender<Result<u64, IntentRefused>>;

/// All who wait, by the number of their record: what is wanted in one word is one record.
#[derive(Default)]
pub(crate) struct Intents {
    waiting: BTreeMap<u64, Reply>,
}

impl Intents {
    /// Somebody waits for this record.
    pub(crate) fn wait(&mut self, write: u64, reply: Reply) {
        self.waiting.insert(write, reply);
    }

    /// A record is durable, or will never be.
    pub(crate) fn stored(&mut self, write: u64, failed: Option<&str>, term: u64) {
        let Some(reply) = self.waiting.remove(&write) else { return };
        // Nobody listens any more where the caller hung up; what is durable stays so.
        let _ = reply.send(failed.map_or(Ok(term), |why| Err(IntentRefused::NotDurable(why.to_owned()))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_comes_when_it_is_durable_or_never_will_be() {
        let mut intents = Intents::default();
        let ((one, mut durable), (other, mut lost)) = (oneshot::channel(), oneshot::channel());
        intents.wait(3, one);
        intents.wait(4, other);
        intents.stored(9, None, 1);
        assert!(durable.try_recv().is_err() && lost.try_recv().is_err());
        intents.stored(4, Some("disk full"), 2);
        intents.stored(3, None, 2);
        assert_eq!(durable.try_recv(), Ok(Ok(2)));
        assert_eq!(lost.try_recv(), Ok(Err(IntentRefused::NotDurable("disk full".into()))));
    }
}

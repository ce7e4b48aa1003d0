//! What waits to be sent: few, and the newest.

use std::collections::VecDeque;

/// Samples that are kept while nobody takes them: an older one says nothing that the newest does not say better.
pub(super) const SAMPLES_MAX: usize = 2;

/// Canaries that are kept: one for each target.
pub(super) const CANARIES_MAX: usize = 256;

/// A queue that drops its oldest.
#[derive(Debug)]
pub(super) struct Newest<T> {
    kept: VecDeque<T>,
    limit: usize,
    dropped: u64,
}

impl<T> Newest<T> {
    /// An empty queue of at most `limit`.
    pub(super) fn new(limit: usize) -> Self {
        Self { kept: VecDeque::with_capacity(limit), limit, dropped: 0 }
    }

    /// Adds one; the oldest goes where there are too many.
    pub(super) fn push(&mut self, value: T) {
        if self.kept.len() >= self.limit {
            self.kept.pop_front();
            self.dropped += 1;
        }
        self.kept.push_back(value);
    }

    /// Takes the oldest that is kept.
    pub(super) fn take(&mut self) -> Option<T> {
        self.kept.pop_front()
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// How many were dropped so far.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_two_are_kept_in_order() {
        let mut samples = Newest::new(SAMPLES_MAX);
        (1..=5).for_each(|number| samples.push(number));
        assert_eq!((samples.dropped(), samples.is_empty()), (3, false));
        assert_eq!((samples.take(), samples.take(), samples.take()), (Some(4), Some(5), None));
    }
}

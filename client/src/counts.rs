//! What a session did, in numbers.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Why;

/// One counter for each reason's number.
#[derive(Debug)]
pub(crate) struct Counts {
    steered: AtomicU64,
    left: [AtomicU64; 256],
}

impl Default for Counts {
    fn default() -> Self {
        Self { steered: AtomicU64::new(0), left: std::array::from_fn(|_| AtomicU64::new(0)) }
    }
}

impl Counts {
    pub(crate) fn count(&self, why: Option<Why>) {
        let counter = match why {
            None => &self.steered,
            Some(why) => match self.left.get(usize::from(why.code().0)) {
                Some(counter) => counter,
                None => return,
            },
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Files steered, and files left with each reason that occurred.
    pub(crate) fn read(&self) -> (u64, Vec<(Why, u64)>) {
        let left = self.left.iter().enumerate().filter_map(|(code, count)| {
            let count = count.load(Ordering::Relaxed);
            (count > 0).then(|| (Why::from_code(code as u8, 0), count))
        });
        (self.steered.load(Ordering::Relaxed), left.collect())
    }

    /// One line.
    pub(crate) fn summary(&self) -> String {
        let (steered, left) = self.read();
        let mut line = format!("{steered} files steered");
        for (why, count) in left {
            // Writing to a string cannot fail.
            let _ = write!(line, ", {count} left ({})", why.as_str());
        }
        line
    }
}

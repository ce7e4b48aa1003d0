//! Where ranks wait for each other. Unlike the standard library's barrier, it can be told to end.

use std::sync::{Condvar, Mutex, PoisonError};

use super::clock::{LOOK_EVERY, Stop};

/// A meeting of a fixed number of threads, again and again.
#[derive(Debug)]
pub(super) struct Meeting {
    members: usize,
    /// Those who wait, and how often all have met.
    state: Mutex<(usize, u64)>,
    all_here: Condvar,
}

impl Meeting {
    /// A meeting of so many.
    pub(super) fn new(members: usize) -> Self {
        Self { members, state: Mutex::new((0, 0)), all_here: Condvar::new() }
    }

    /// Waits until all are here; `false` where the end came first.
    pub(super) fn meet(&self, stop: &Stop) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 += 1;
        if state.0 >= self.members {
            *state = (0, state.1 + 1);
            self.all_here.notify_all();
            return true;
        }
        let round = state.1;
        while state.1 == round {
            if stop.is_set() {
                return false;
            }
            let woken = self.all_here.wait_timeout(state, LOOK_EVERY);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_meet_again_and_again_or_end() {
        let (meeting, stop) = (Meeting::new(3), Stop::default());
        std::thread::scope(|scope| {
            let one = || (0..100).all(|_| meeting.meet(&stop));
            let all: Vec<_> = (0..3).map(|_| scope.spawn(one)).collect();
            assert!(all.into_iter().all(|thread| thread.join().unwrap()));
        });
        stop.set();
        assert!(!meeting.meet(&stop));
    }
}

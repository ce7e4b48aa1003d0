//! A lock that nobody waits for.

use std::sync::{Mutex, MutexGuard, TryLockError};

/// Tries before a caller goes on without. Holders keep the lock for well under a microsecond; one that was put to sleep
/// by the scheduler, or that a fork left locked for ever, costs a caller no more than these.
const TRIES: usize = 200;

/// A value that threads share for moments.
#[derive(Debug, Default)]
pub(crate) struct Short<T>(Mutex<T>);

impl<T> Short<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Runs `body` with the value; `None` where another thread keeps it. `body` must not call the system.
    pub(crate) fn with<R>(&self, body: impl FnOnce(&mut T) -> R) -> Option<R> {
        for _ in 0..TRIES {
            if let Some(mut guard) = self.try_once() {
                return Some(body(&mut guard));
            }
            std::hint::spin_loop();
        }
        None
    }

    fn try_once(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            // A holder that panicked has left a value that is whole: bodies change it in one step.
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_a_holder_who_stays() {
        let shared = Short::new(1);
        let inside = shared.with(|value| (shared.with(|_| ()), *value));
        assert_eq!(inside, Some((None, 1)));
        assert_eq!(shared.with(|value| std::mem::replace(value, 2)), Some(1));
    }
}

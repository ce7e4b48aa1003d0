//! Objects made ready on a target before files ask for them: one store per metadata target and target
//! (`osp_precreate.c`).
//!
//! It is the only thing like feedback of load that Lustre's allocators have: a slow target answers slowly,
//! runs out under a burst of creates, and is passed over.

use std::collections::VecDeque;
use std::time::Duration;

use tarazu_layout::Time;

/// First and least batch (`OST_MIN_PRECREATE`).
const BATCH_MIN: u32 = 32;

/// Largest batch: half of `max_create_count` (20,000).
const BATCH_MAX: u32 = 10_000;

/// A batch above this asks anew when a quarter is used up, not half.
const BATCH_LARGE: u32 = 1024;

/// A request of objects on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Request {
    objects: u32,
    due: Time,
}

/// The ready objects of one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Precreate {
    ready: u32,
    /// Creates that wait for objects on their way.
    owed: u32,
    batch: u32,
    /// By their arrival; the target works on one after the other.
    requests: VecDeque<Request>,
    /// The batch was doubled since the last answer: once for each.
    doubled: bool,
}

impl Default for Precreate {
    /// As after the mount: the first batch is there.
    fn default() -> Self {
        Self { ready: BATCH_MIN, owed: 0, batch: BATCH_MIN, requests: VecDeque::new(), doubled: false }
    }
}

impl Precreate {
    /// Objects ready at once.
    #[must_use]
    pub const fn ready(&self) -> u32 {
        self.ready
    }

    /// Takes in what has arrived by `now`; those who wait get theirs first.
    pub fn settle(&mut self, now: Time) {
        while let Some(request) = self.requests.pop_front_if(|request| request.due <= now) {
            let paid = self.owed.min(request.objects);
            self.owed -= paid;
            self.ready += request.objects - paid;
            self.doubled = false;
        }
    }

    /// Takes one object and asks for more where they run low. Returns how long the create waits for it:
    /// nothing if one is ready, else until the request with its object arrives.
    ///
    /// `answer_in` is how long the target takes for so many objects at its present load.
    pub fn take(&mut self, now: Time, answer_in: impl Fn(u32) -> Duration) -> Duration {
        self.settle(now);
        if !self.doubled && self.ready <= self.batch / 4 + 1 {
            self.double();
        }
        let need = if self.batch > BATCH_LARGE { (self.batch / 4).min(BATCH_LARGE) } else { self.batch / 2 };
        if self.requests.is_empty() && self.batch.saturating_sub(self.ready) > need {
            self.ask(now, &answer_in);
        }
        if self.ready > 0 {
            self.ready -= 1;
            return Duration::ZERO;
        }
        self.owed += 1;
        loop {
            let mut covered = 0;
            for request in &self.requests {
                covered += request.objects;
                if covered >= self.owed {
                    return request.due.since(now);
                }
            }
            // The next request goes out when the last one is answered, and is twice as large.
            self.double();
            self.ask(now, &answer_in);
        }
    }

    fn double(&mut self) {
        self.batch = (self.batch * 2).min(BATCH_MAX);
        self.doubled = true;
    }

    fn ask(&mut self, now: Time, answer_in: &impl Fn(u32) -> Duration) {
        let begun = self.requests.back().map_or(now, |last| last.due.max(now));
        self.requests.push_back(Request { objects: self.batch, due: begun + answer_in(self.batch) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: fn(u32) -> Duration = |_| Duration::from_millis(1);

    #[test]
    fn slow_creates_never_wait() {
        let mut store = Precreate::default();
        for step in 0..10_000u64 {
            assert_eq!(store.take(Time(step * 10_000_000), QUICK), Duration::ZERO);
        }
        // Asked for in time, the batch has no need to grow.
        assert_eq!(store.batch, BATCH_MIN);
    }

    #[test]
    fn a_burst_doubles_the_batch_and_waits_for_answers() {
        let mut store = Precreate::default();
        let answer_in = |objects: u32| Duration::from_micros(u64::from(objects) * 100);
        let mut now = Time::ZERO;
        let mut waited = Duration::ZERO;
        for _ in 0..20_000 {
            let wait = store.take(now, answer_in);
            waited += wait;
            now += wait;
        }
        assert_eq!(store.batch, BATCH_MAX);
        // Nothing else takes time, so all objects but the first batch are waited for at 100 µs each.
        let expected = Duration::from_micros(100) * (20_000 - BATCH_MIN);
        assert!(waited >= expected, "{waited:?} {expected:?}");
        assert!(waited < expected * 2, "{waited:?} {expected:?}");
    }

    #[test]
    fn a_burst_at_one_moment_waits_for_every_object() {
        let mut store = Precreate::default();
        let answer_in = |objects: u32| Duration::from_millis(u64::from(objects) * 100);
        let waits: Vec<Duration> = (0..1000).map(|_| store.take(Time::ZERO, answer_in)).collect();
        assert_eq!(waits.iter().filter(|wait| wait.is_zero()).count(), BATCH_MIN as usize);
        assert!(waits.windows(2).all(|pair| pair[0] <= pair[1]));
        // 968 objects at 0.1 s each, in whole batches.
        assert!(waits[999] >= Duration::from_millis(96_800), "{:?}", waits[999]);
        // Nobody else finds one ready before those have theirs.
        store.settle(Time::ZERO + waits[999] - Duration::from_secs(1));
        assert_eq!(store.ready(), 0);
    }

    #[test]
    fn an_empty_store_says_so() {
        let mut store = Precreate::default();
        for _ in 0..BATCH_MIN {
            assert_eq!(store.take(Time::ZERO, |_| Duration::from_secs(10)), Duration::ZERO);
        }
        assert_eq!(store.ready(), 0);
        store.settle(Time::from_secs_f64(9.9));
        assert_eq!(store.ready(), 0);
        store.settle(Time::from_secs_f64(10.1));
        assert!(store.ready() > 0);
    }
}

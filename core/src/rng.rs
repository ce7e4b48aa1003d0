//! Random streams: every consumer has its own, keyed by (seed, purpose, id).

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use tarazu_layout::hash::stream_seed;

/// The random source that decisions receive. Its algorithm is fixed, so a seed means the same numbers
/// on every machine and in every release.
pub type Rng = ChaCha8Rng;

/// The stream of one consumer. Equal arguments give equal streams; streams of different purposes or
/// ids are independent, so adding a consumer never shifts the numbers of another.
#[must_use]
pub fn stream(seed: u64, purpose: &str, id: u64) -> Rng {
    Rng::seed_from_u64(stream_seed(seed, purpose, id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    #[test]
    fn streams_are_reproducible_and_distinct() {
        let mut first: Rng = stream(7, "start", 3);
        let mut same: Rng = stream(7, "start", 3);
        let mut other: Rng = stream(7, "start", 4);
        let a: u64 = first.random_range(0..=u64::MAX);
        assert_eq!(a, same.random_range(0..=u64::MAX));
        assert_ne!(a, other.random_range(0..=u64::MAX));
    }
}

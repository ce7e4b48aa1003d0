//! What reading any bytes as Lustre's statistics must hold.
//!
//! Compiled into the fuzz target and, by path, into the test that replays its corpus: `text` is the parser's module
//! beside this one.

use super::text;

/// A file is refused, or its counters are words of it; a listing's values are parts of it. Whether it was read.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let Ok(input) = std::str::from_utf8(bytes) else { return false };
    let mut lists_targets = false;
    let mut longest = 0;
    for (name, value) in text::params(input) {
        longest += name.len() + value.len();
        lists_targets |= text::target_name(name.split('.').nth(1).unwrap_or("")).is_some();
        check_stats(value);
    }
    assert!(longest <= input.len(), "values do not overlap");
    check_stats(input) || lists_targets
}

fn check_stats(input: &str) -> bool {
    let stats = match text::stats(input) {
        Ok(stats) => stats,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return false;
        }
    };
    for counter in &stats.counters {
        assert!(!counter.name.is_empty() && input.contains(counter.name) && input.contains(counter.unit));
        assert!(stats.get(counter.name).is_some());
    }
    assert!(stats.counters.len() <= input.lines().count());
    true
}

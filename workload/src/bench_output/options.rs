//! Command lines as benchmarks print them: single letters with or without a value.

use std::collections::BTreeMap;

/// Options of a command line by letter, the last value of each; an empty value for a flag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options(BTreeMap<char, String>);

impl Options {
    /// Reads a command line. `with_value` has the letters that a value follows, attached, behind `=` or as the
    /// next word. Quotes around words are taken off; long options are left out.
    pub(super) fn parse(command: &str, with_value: &str) -> Self {
        let mut options = Self::default();
        let mut words = command.split_whitespace().map(|word| word.trim_matches('\''));
        while let Some(word) = words.next() {
            if word.starts_with("--") {
                continue;
            }
            let Some(letters) = word.strip_prefix('-') else { continue };
            let mut rest = letters.chars();
            while let Some(letter) = rest.next() {
                if !with_value.contains(letter) {
                    options.0.insert(letter, String::new());
                    continue;
                }
                let attached = rest.as_str().trim_start_matches('=');
                let value = if attached.is_empty() { words.next().unwrap_or_default() } else { attached };
                options.0.insert(letter, value.to_owned());
                break;
            }
        }
        options
    }

    /// Whether a letter is there.
    pub(super) fn has(&self, letter: char) -> bool {
        self.0.contains_key(&letter)
    }

    /// A letter's value.
    pub(super) fn value(&self, letter: char) -> Option<&str> {
        self.0.get(&letter).map(String::as_str)
    }

    /// A letter's value as a number of bytes, with IOR's binary units.
    pub(super) fn bytes(&self, letter: char) -> Option<u64> {
        self.value(letter).and_then(crate::text::parse_bytes)
    }

    /// A letter's value as a whole number.
    pub(super) fn number(&self, letter: char) -> Option<u64> {
        self.value(letter).and_then(|value| value.parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_attached_or_follow() {
        let options =
            Options::parse("./ior --posix.odirect -wr -b4m -t=1m -s 2 -G -326683272 -F '-i' '6'", "btsGi");
        assert!(options.has('w') && options.has('r') && options.has('F') && !options.has('p'));
        assert_eq!((options.bytes('b'), options.bytes('t')), (Some(4 << 20), Some(1 << 20)));
        assert_eq!((options.number('s'), options.number('i')), (Some(2), Some(6)));
        assert_eq!(options.value('G'), Some("-326683272"));
        assert_eq!(Options::parse("ior -b", "b").bytes('b'), None);
    }
}

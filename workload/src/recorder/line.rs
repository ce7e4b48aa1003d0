//! One line of the text form: times, function, depth, arguments. Knows the form, not the functions.
//!
//! `recorder2text` prints `START END FUNCTION LEVEL TYPE ( ARGUMENTS )`: seconds, the call's depth in the stack
//! of traced calls, the number of the layer, then the arguments with one space before each.

use std::borrow::Cow;

use crate::text::parse_seconds;

/// Longest run that is believed, in nanoseconds: ten years. Later times are damage.
const TIME_MAX_NS: u64 = 10 * 365 * 86_400 * 1_000_000_000;

/// A line taken apart.
#[derive(Debug, PartialEq)]
pub(super) struct Line<'a> {
    pub(super) start_ns: u64,
    /// Not before the start.
    pub(super) end_ns: u64,
    /// Without the `P` of MPI's profiling names.
    pub(super) function: &'a str,
    /// 0 for a call that no traced call made.
    pub(super) depth: u8,
    pub(super) args: Vec<&'a str>,
}

impl<'a> Line<'a> {
    /// Reads a line without its line break.
    pub(super) fn parse(text: &'a str) -> Result<Self, &'static str> {
        let mut words = text.split_ascii_whitespace();
        let start_ns =
            time(words.next().unwrap_or_default()).ok_or("the first word is no time in seconds")?;
        let end_ns = time(words.next().unwrap_or_default()).ok_or("the second word is no time in seconds")?;
        let function = words.next().ok_or("the function is missing")?;
        let depth = words.next().ok_or("the call's depth is missing")?;
        let depth = depth.parse().map_err(|_| "the word behind the function is no depth from 0 to 255")?;
        let layer = words.next().ok_or("the call's layer is missing")?;
        if layer.parse::<u8>().is_err() {
            return Err("the word behind the depth is no layer number");
        }
        if words.next() != Some("(") {
            return Err("the arguments do not begin with a bracket");
        }
        let mut args: Vec<&str> = words.collect();
        if args.pop() != Some(")") {
            return Err("the arguments do not end with a bracket");
        }
        let function = if function.starts_with("PMPI_") { &function[1..] } else { function };
        Ok(Self { start_ns, end_ns: end_ns.max(start_ns), function, depth, args })
    }

    /// The argument of this number.
    pub(super) fn arg(&self, number: usize) -> Result<&'a str, &'static str> {
        self.args.get(number).copied().ok_or("an argument is missing")
    }

    /// The argument of this number counted from the last, which is 0.
    pub(super) fn arg_from_end(&self, number: usize) -> Result<&'a str, &'static str> {
        let place = self.args.len().checked_sub(number + 1);
        place.and_then(|place| self.args.get(place)).copied().ok_or("an argument is missing")
    }

    /// A whole number.
    pub(super) fn number(text: &str) -> Result<i64, &'static str> {
        text.parse().map_err(|_| "an argument is no whole number")
    }

    /// The path that is followed by `behind` other arguments; it may have blanks.
    pub(super) fn path_before(&self, behind: usize) -> Result<Cow<'a, str>, &'static str> {
        self.path(0, behind)
    }

    /// The path between `before` and `behind` other arguments.
    pub(super) fn path(&self, before: usize, behind: usize) -> Result<Cow<'a, str>, &'static str> {
        let end = self.args.len().checked_sub(behind).ok_or("an argument is missing")?;
        match self.args.get(before..end) {
            None | Some([]) => Err("the path is missing"),
            Some([word]) => Ok(Cow::Borrowed(word)),
            Some(words) => Ok(Cow::Owned(words.join(" "))),
        }
    }
}

/// Nanoseconds. The times of a rank whose clock is behind that of rank 0 may be below 0.
fn time(word: &str) -> Option<u64> {
    let nanos = match word.strip_prefix('-') {
        Some(below) => parse_seconds(below).map(|_| 0),
        None => parse_seconds(word),
    };
    nanos.filter(|nanos| *nanos <= TIME_MAX_NS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_times_function_depth_and_arguments() {
        let line = Line::parse("0.0061841 0.0062139 write 1 0 ( /scratch/a b %p 65536 )").unwrap();
        assert_eq!(
            (line.start_ns, line.end_ns, line.function, line.depth),
            (6_184_100, 6_213_900, "write", 1)
        );
        assert_eq!(line.path_before(2).unwrap(), "/scratch/a b");
        assert_eq!(line.arg_from_end(0), Ok("65536"));
        let none = Line::parse("-0.1 0.2 PMPI_Barrier 0 2 ( )").unwrap();
        assert_eq!((none.start_ns, none.function, none.args.len()), (0, "MPI_Barrier", 0));
        assert!(none.arg(0).is_err() && none.arg_from_end(0).is_err() && none.path_before(1).is_err());
    }

    #[test]
    fn damage_is_named() {
        for (text, part) in [
            ("", "first word"),
            ("0.1", "second word"),
            ("0.1 0.2", "function"),
            ("0.1 0.2 write", "depth"),
            ("0.1 0.2 write 256 0 ( )", "depth"),
            ("0.1 0.2 write 0", "layer"),
            ("0.1 0.2 write 0 0 /a )", "begin"),
            ("0.1 0.2 write 0 0 ( /a", "end"),
            ("99999999999 0.2 write 0 0 ( )", "first word"),
        ] {
            let error = Line::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}

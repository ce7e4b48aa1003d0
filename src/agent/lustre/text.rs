//! The text of Lustre's statistics: `*.stats` files and `name=value` listings of `lctl get_param`.
//!
//! Pure, and on its own, because it is fuzzed. Why not `lustre_collector`: it throws `start_time` away, by which a
//! reset is seen; it knows neither space nor state of `obdfilter`; one line that it does not expect ends the reading
//! of all that follows; and it makes owned records of everything. It is the oracle of this module's tests.

/// Lines of one statistics file: Lustre has fewer than a hundred counters in any.
const LINES_MAX: usize = 4096;

/// What is wrong with a statistics file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TextError {
    /// It does not begin as statistics do.
    #[error("does not begin with snapshot_time")]
    Header,
    /// A time is not `seconds.nanoseconds`.
    #[error("line {line}: no time in seconds and nanoseconds")]
    Time {
        /// From 1.
        line: usize,
    },
    /// A counter's line is not `name count samples [unit] min max sum sumsq`.
    #[error("line {line}: no counter")]
    Counter {
        /// From 1.
        line: usize,
    },
    /// Far more lines than Lustre writes.
    #[error("more than 4096 lines")]
    Lines,
}

/// A statistics file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stats<'a> {
    /// When it was taken, nanoseconds since 1970.
    pub(crate) snapshot_ns: u64,
    /// When the counters began; absent before 2.15 and where the header is switched off.
    pub(crate) start_ns: Option<u64>,
    /// The counters, in the order of the file.
    pub(crate) counters: Vec<Counter<'a>>,
}

/// One counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counter<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// Samples.
    pub(crate) count: u64,
    /// Its unit without brackets.
    pub(crate) unit: &'a str,
    /// Sum of the samples; absent for plain counts.
    pub(crate) sum: Option<u64>,
}

impl<'a> Stats<'a> {
    /// A counter by its name.
    pub(crate) fn get(&self, name: &str) -> Option<Counter<'a>> {
        self.counters.iter().copied().find(|counter| counter.name == name)
    }
}

/// Reads a statistics file. Columns are not looked at, only words: their width changed in 2.17.54.
pub(crate) fn stats(text: &str) -> Result<Stats<'_>, TextError> {
    let mut stats = Stats::default();
    let mut headed = false;
    for (place, line) in text.lines().enumerate() {
        let line_number = place + 1;
        if place >= LINES_MAX {
            return Err(TextError::Lines);
        }
        let mut words = line.split_ascii_whitespace();
        let Some(name) = words.next() else { continue };
        match name.trim_end_matches(':') {
            "snapshot_time" => {
                stats.snapshot_ns = time_ns(words.next()).ok_or(TextError::Time { line: line_number })?;
                headed = true;
            }
            "start_time" => {
                stats.start_ns = Some(time_ns(words.next()).ok_or(TextError::Time { line: line_number })?);
            }
            "elapsed_time" => {}
            _ if !headed => return Err(TextError::Header),
            _ => {
                let counter = counter(name, words).ok_or(TextError::Counter { line: line_number })?;
                stats.counters.push(counter);
            }
        }
    }
    if headed { Ok(stats) } else { Err(TextError::Header) }
}

fn counter<'a>(name: &'a str, mut words: impl Iterator<Item = &'a str>) -> Option<Counter<'a>> {
    let count = words.next()?.parse().ok()?;
    if words.next()? != "samples" {
        return None;
    }
    let unit = words.next()?.strip_prefix('[')?.strip_suffix(']')?;
    // Minimum and maximum are those since the last reset: of no use for an interval. `sumsq` may be missing.
    let sum = words.nth(2).map(str::parse).transpose().ok()?;
    Some(Counter { name, count, unit, sum })
}

/// `1790000000.123456789` as nanoseconds.
fn time_ns(word: Option<&str>) -> Option<u64> {
    let (seconds, fraction) = word?.split_once('.')?;
    if fraction.len() != 9 {
        return None;
    }
    let (seconds, fraction) = (digits(seconds)?, digits(fraction)?);
    seconds.checked_mul(1_000_000_000)?.checked_add(fraction)
}

/// Digits only: `parse` alone would take a sign.
fn digits(word: &str) -> Option<u64> {
    if word.bytes().all(|byte| byte.is_ascii_digit()) { word.parse().ok() } else { None }
}

/// Parameters of an `lctl get_param` output, with the text of each. Values of several lines begin behind their
/// name's line; what stands before the first name (an error message) belongs to none.
pub(crate) fn params(text: &str) -> Vec<(&str, &str)> {
    let mut found: Vec<(&str, usize, usize)> = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if let Some((name, _)) = line.split_once('=').filter(|(name, _)| is_name(name)) {
            close(&mut found, at);
            found.push((name, at + name.len() + 1, text.len()));
        }
        at += line.len();
    }
    found.into_iter().map(|(name, from, to)| (name, text[from..to].trim_matches('\n'))).collect()
}

/// Ends the last parameter where the next one begins.
fn close(found: &mut [(&str, usize, usize)], at: usize) {
    if let Some(last) = found.last_mut() {
        last.2 = at;
    }
}

/// Whether a word is the name of a parameter: dots between plain characters, no blanks.
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@:".contains(&byte);
    name.contains('.') && name.bytes().all(plain)
}

/// A target's name such as `lustre-OST001f`: the file system and the index.
pub(crate) fn target_name(name: &str) -> Option<(&str, u32)> {
    let (file_system, index) = name.rsplit_once("-OST")?;
    if file_system.is_empty() || index.len() != 4 || !index.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    // 65535 is no index: it stands for "any".
    u32::from_str_radix(index, 16).ok().filter(|index| *index < 0xffff).map(|index| (file_system, index))
}

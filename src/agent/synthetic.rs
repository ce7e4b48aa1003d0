//! Counters that another program writes: the I/O path of an emulated target.
//!
//! Format (`tarazu-counters 1`, then one `key value` a line, each key once, in any order; unknown keys are skipped):
//!
//! | key | value |
//! | --- | --- |
//! | `start_unix_ns` | when the counters began; another value means that they began again |
//! | `read_bytes`, `written_bytes` | bytes since then |
//! | `ops` | requests since then |
//! | `latency_total_s` | sum of their times from arrival to answer, seconds |
//! | `busy_s` | seconds with at least one request in flight |
//! | `depth_integral_s` | integral of requests in flight over time, seconds |
//! | `free_bytes`, `capacity_bytes` | space now |
//! | `inactive`, `degraded`, `no_create`, `read_only`, `full` | 0 or 1, now |

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::clock;
use super::collector::{self, Collector, Found, Place, Processors, Source};
use super::error::AgentError;
use super::files;
use super::reading::{Counters, Latency, Reading, State};

/// First line of the file.
const HEAD: &str = "tarazu-counters 1";

/// Seconds that a counter can hold: 30 years of a thousand requests in flight.
const SECONDS_MAX: f64 = 1e12;

/// Cumulative counters of one emulated target.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "they are the flags of the wire format")]
pub(crate) struct SyntheticCounters {
    /// When the counters began, nanoseconds since 1970.
    pub(crate) start_unix_ns: u64,
    /// Bytes read.
    pub(crate) read_bytes: u64,
    /// Bytes written.
    pub(crate) written_bytes: u64,
    /// Requests served.
    pub(crate) ops: u64,
    /// Sum of their times, seconds.
    pub(crate) latency_total_s: f64,
    /// Seconds with at least one request in flight.
    pub(crate) busy_s: f64,
    /// Integral of requests in flight over time, seconds.
    pub(crate) depth_integral_s: f64,
    /// Free space, bytes.
    pub(crate) free_bytes: u64,
    /// Size, bytes.
    pub(crate) capacity_bytes: u64,
    /// Not connected.
    pub(crate) inactive: bool,
    /// Marked degraded.
    pub(crate) degraded: bool,
    /// Accepts no new objects.
    pub(crate) no_create: bool,
    /// Accepts no writes.
    pub(crate) read_only: bool,
    /// Below its reserved space.
    pub(crate) full: bool,
}

impl SyntheticCounters {
    /// The file's text.
    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("{HEAD}\n");
        let whole = [
            ("start_unix_ns", self.start_unix_ns),
            ("read_bytes", self.read_bytes),
            ("written_bytes", self.written_bytes),
            ("ops", self.ops),
            ("free_bytes", self.free_bytes),
            ("capacity_bytes", self.capacity_bytes),
            ("inactive", self.inactive.into()),
            ("degraded", self.degraded.into()),
            ("no_create", self.no_create.into()),
            ("read_only", self.read_only.into()),
            ("full", self.full.into()),
        ];
        let seconds = [
            ("latency_total_s", self.latency_total_s),
            ("busy_s", self.busy_s),
            ("depth_integral_s", self.depth_integral_s),
        ];
        // Writing to a string cannot fail.
        for (key, value) in whole {
            let _ = writeln!(text, "{key} {value}");
        }
        for (key, value) in seconds {
            let _ = writeln!(text, "{key} {value}");
        }
        text
    }

    /// Replaces the file: a reader sees the old text or the new one. One writer a file.
    pub(crate) fn write_atomically(&self, path: &Path) -> Result<(), AgentError> {
        let cannot = |source| AgentError::Write { path: path.to_owned(), source };
        let mut new = path.as_os_str().to_owned();
        new.push(".new");
        std::fs::write(&new, self.to_text()).map_err(cannot)?;
        std::fs::rename(&new, path).map_err(cannot)
    }

    /// Reads the text; `name` is the file's, for errors.
    pub(crate) fn from_text(name: &Path, text: &str) -> Result<Self, AgentError> {
        let bad = |line: usize, fault| AgentError::Counters { path: name.to_owned(), line, fault };
        let mut lines = text.lines().enumerate();
        if lines.next().is_none_or(|(_, head)| head.trim_end() != HEAD) {
            return Err(bad(1, "another first line"));
        }
        let mut counters = Self::default();
        for (place, line) in lines {
            let Some((key, value)) = line.trim().split_once(' ') else { continue };
            counters.set(key, value.trim()).map_err(|fault| bad(place + 1, fault))?;
        }
        if counters.capacity_bytes == 0 {
            return Err(bad(text.lines().count(), "capacity_bytes is missing or 0"));
        }
        Ok(counters)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), &'static str> {
        match key {
            "start_unix_ns" => self.start_unix_ns = whole(value)?,
            "read_bytes" => self.read_bytes = whole(value)?,
            "written_bytes" => self.written_bytes = whole(value)?,
            "ops" => self.ops = whole(value)?,
            "latency_total_s" => self.latency_total_s = seconds(value)?,
            "busy_s" => self.busy_s = seconds(value)?,
            "depth_integral_s" => self.depth_integral_s = seconds(value)?,
            "free_bytes" => self.free_bytes = whole(value)?,
            "capacity_bytes" => self.capacity_bytes = whole(value)?,
            "inactive" => self.inactive = flag(value)?,
            "degraded" => self.degraded = flag(value)?,
            "no_create" => self.no_create = flag(value)?,
            "read_only" => self.read_only = flag(value)?,
            "full" => self.full = flag(value)?,
            _ => {}
        }
        Ok(())
    }

    fn counters(&self, ost_index: u32, at_ns: u64) -> Counters {
        let micros = |seconds: f64| (seconds * 1e6).round() as u64;
        Counters {
            ost_index,
            at_ns,
            start_ns: Some(self.start_unix_ns),
            snapshot_ns: None,
            read_bytes: self.read_bytes,
            written_bytes: self.written_bytes,
            ops: Some(self.ops),
            latency: Some(Latency { count: self.ops, sum_us: micros(self.latency_total_s) }),
            busy_us: Some(micros(self.busy_s)),
            in_flight_us: Some(micros(self.depth_integral_s)),
            free_bytes: self.free_bytes.min(self.capacity_bytes),
            capacity_bytes: self.capacity_bytes,
            state: State {
                inactive: self.inactive,
                degraded: self.degraded,
                no_create: self.no_create,
                read_only: self.read_only,
                full: self.full,
            },
        }
    }
}

fn whole(value: &str) -> Result<u64, &'static str> {
    value.parse().map_err(|_| "no whole number")
}

fn seconds(value: &str) -> Result<f64, &'static str> {
    let seconds: f64 = value.parse().map_err(|_| "no number of seconds")?;
    if (0.0..=SECONDS_MAX).contains(&seconds) {
        Ok(seconds)
    } else {
        Err("no number of seconds from 0 to 1e12")
    }
}

fn flag(value: &str) -> Result<bool, &'static str> {
    match value {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err("neither 0 nor 1"),
    }
}

/// The collector.
pub(super) struct Synthetic {
    targets: Vec<Place>,
}

impl Synthetic {
    /// Files of the command line.
    pub(super) fn new(targets: &[Place]) -> Result<Self, AgentError> {
        collector::check(targets)?;
        Ok(Self { targets: targets.to_vec() })
    }
}

impl Collector for Synthetic {
    fn find(&mut self) -> Result<Found, AgentError> {
        let mut sources: Vec<Box<dyn Source>> = vec![Box::new(Processors { root: PathBuf::from("/") })];
        for place in &self.targets {
            sources.push(Box::new(Emulated { name: place.path.display().to_string(), place: place.clone() }));
        }
        Ok(Found { sources, version: String::new() })
    }
}

struct Emulated {
    name: String,
    place: Place,
}

impl Source for Emulated {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&mut self) -> Result<Reading, AgentError> {
        let at_ns = clock::monotonic_ns();
        let text = files::read_needed(&self.place.path)?;
        let counters = SyntheticCounters::from_text(&self.place.path, &text)?;
        Ok(Reading { targets: vec![counters.counters(self.place.ost_index, at_ns)], host: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_file_is_replaced_whole_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ost3");
        let counters = SyntheticCounters {
            start_unix_ns: 5,
            written_bytes: 7 << 20,
            ops: 7,
            busy_s: 0.25,
            capacity_bytes: 1 << 30,
            degraded: true,
            ..SyntheticCounters::default()
        };
        counters.write_atomically(&path).unwrap();
        let mut found = Synthetic::new(&[Place { ost_index: 3, path }]).unwrap().find().unwrap();
        let read = &found.sources[1].read().unwrap().targets[0];
        assert_eq!((read.ost_index, read.written_bytes, read.busy_us), (3, 7 << 20, Some(250_000)));
        assert!(read.state.degraded);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn lies_are_refused_with_their_line() {
        for (body, line) in [
            ("tarazu-counters 1\ncapacity_bytes 5\nbusy_s NaN\n", "line 3"),
            ("tarazu-counters 1\nlatency_total_s -1\n", "line 2"),
            ("tarazu-counters 1\nops 1e30\n", "line 2"),
            ("tarazu-counters 2\n", "line 1"),
            ("tarazu-counters 1\nops 4\n", "line 2"),
            ("", "line 1"),
        ] {
            let error = SyntheticCounters::from_text(Path::new("ost0"), body).unwrap_err().to_string();
            assert!(error.starts_with("ost0: ") && error.contains(line), "{error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            numbers in proptest::array::uniform6(any::<u64>()),
            seconds in proptest::array::uniform3(0.0..=SECONDS_MAX),
            flags in proptest::array::uniform5(any::<bool>()),
        ) {
            let [start_unix_ns, read_bytes, written_bytes, ops, free_bytes, capacity] = numbers;
            let [latency_total_s, busy_s, depth_integral_s] = seconds;
            let [inactive, degraded, no_create, read_only, full] = flags;
            let counters = SyntheticCounters {
                start_unix_ns, read_bytes, written_bytes, ops, latency_total_s, busy_s, depth_integral_s, free_bytes,
                capacity_bytes: capacity.max(1), inactive, degraded, no_create, read_only, full,
            };
            let read = SyntheticCounters::from_text(Path::new("x"), &counters.to_text()).unwrap();
            prop_assert_eq!(read, counters);
        }

        #[test]
        fn any_text_is_refused_or_read(text in "(tarazu-counters 1\\n)?([a-z_]{0,12} ?[-0-9.e]{0,6}\\n){0,6}") {
            let _ = SyntheticCounters::from_text(Path::new("x"), &text);
        }
    }
}

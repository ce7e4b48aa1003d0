//! What a POSIX or STDIO record says, in the terms of the conversion and with damaged values removed.

use tarazu_darshan::Counters;
use tarazu_darshan::Shape;

/// Seconds after a job's start beyond which a time is taken for damage: ten years.
pub(super) const TIME_MAX_S: f64 = 3.2e8;

/// A time since the job's start, `None` where it is no number, negative or absurd.
pub(super) fn credible(time_s: f64) -> Option<f64> {
    (0.0..TIME_MAX_S).contains(&time_s).then_some(time_s)
}

/// One direction of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Flow {
    /// Calls; at least 1 where there are bytes.
    pub(super) calls: u64,
    /// Bytes moved.
    pub(super) bytes: u64,
    /// One behind the highest byte touched, 0 where unknown.
    pub(super) top: u64,
    /// First start and last end in seconds; equal where unknown.
    pub(super) window_s: (f64, f64),
    /// Time inside the calls in seconds, summed over ranks.
    pub(super) inside_s: f64,
}

/// A record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Access {
    pub(super) id: u64,
    pub(super) rank: i64,
    pub(super) opens: u64,
    /// Opened with `O_CREAT`: only then Darshan learns a mode.
    pub(super) may_create: bool,
    /// Calls of fsync, fdatasync or fflush's POSIX twin.
    pub(super) syncs: u64,
    pub(super) read: Flow,
    pub(super) write: Flow,
    /// Start of the first and end of the last open in seconds, if recorded.
    pub(super) open_s: (Option<f64>, Option<f64>),
    /// Start of the first and end of the last close in seconds, if recorded.
    pub(super) close_s: (Option<f64>, Option<f64>),
}

/// Places of the counters that a conversion needs, looked up once per module.
pub(super) struct Columns {
    opens: Option<usize>,
    mode: Option<usize>,
    syncs: [Option<usize>; 2],
    read: FlowColumns,
    write: FlowColumns,
    open: [Option<usize>; 2],
    close: [Option<usize>; 2],
}

struct FlowColumns {
    calls: Option<usize>,
    bytes: Option<usize>,
    top: Option<usize>,
    window: [Option<usize>; 2],
    inside: Option<usize>,
}

impl Columns {
    pub(super) fn of(shape: &Shape) -> Self {
        Self {
            opens: shape.int("OPENS"),
            mode: shape.int("MODE"),
            syncs: [shape.int("FSYNCS"), shape.int("FDSYNCS")],
            read: FlowColumns {
                calls: shape.int("READS"),
                bytes: shape.int("BYTES_READ"),
                top: shape.int("MAX_BYTE_READ"),
                window: [shape.float("F_READ_START_TIMESTAMP"), shape.float("F_READ_END_TIMESTAMP")],
                inside: shape.float("F_READ_TIME"),
            },
            write: FlowColumns {
                calls: shape.int("WRITES"),
                bytes: shape.int("BYTES_WRITTEN"),
                top: shape.int("MAX_BYTE_WRITTEN"),
                window: [shape.float("F_WRITE_START_TIMESTAMP"), shape.float("F_WRITE_END_TIMESTAMP")],
                inside: shape.float("F_WRITE_TIME"),
            },
            open: [shape.float("F_OPEN_START_TIMESTAMP"), shape.float("F_OPEN_END_TIMESTAMP")],
            close: [shape.float("F_CLOSE_START_TIMESTAMP"), shape.float("F_CLOSE_END_TIMESTAMP")],
        }
    }

    /// A record's access; `None` for a record that does not exist.
    pub(super) fn access(&self, counters: &Counters, record: usize) -> Option<Access> {
        let values = Values { ints: counters.ints(record), floats: counters.floats(record) };
        let open_s = (values.time(self.open[0]), values.time(self.open[1]));
        Some(Access {
            id: *counters.ids().get(record)?,
            rank: *counters.ranks().get(record)?,
            opens: values.count(self.opens),
            may_create: values.count(self.mode) > 0,
            syncs: values.count(self.syncs[0]).saturating_add(values.count(self.syncs[1])),
            read: self.read.flow(&values, open_s.0),
            write: self.write.flow(&values, open_s.0),
            open_s,
            close_s: (values.time(self.close[0]), values.time(self.close[1])),
        })
    }
}

impl FlowColumns {
    fn flow(&self, values: &Values<'_>, opened_s: Option<f64>) -> Flow {
        let bytes = values.count(self.bytes);
        if bytes == 0 {
            return Flow::default();
        }
        // Bytes without a time were moved at some point behind the open.
        let start = values.time(self.window[0]).or(opened_s).unwrap_or(0.0);
        let end = values.time(self.window[1]).unwrap_or(start).max(start);
        Flow {
            calls: values.count(self.calls).max(1),
            bytes,
            top: values.count(self.top).saturating_add(1),
            window_s: (start, end),
            inside_s: values.time(self.inside).unwrap_or(0.0),
        }
    }
}

struct Values<'a> {
    ints: &'a [i64],
    floats: &'a [f64],
}

impl Values<'_> {
    /// A counter; -1 (not monitored) and other negative values count as 0.
    fn count(&self, place: Option<usize>) -> u64 {
        let value = place.and_then(|place| self.ints.get(place)).copied().unwrap_or(0);
        u64::try_from(value).unwrap_or(0)
    }

    /// A timestamp or duration; 0 means never.
    fn time(&self, place: Option<usize>) -> Option<f64> {
        let value = place.and_then(|place| self.floats.get(place)).copied()?;
        credible(value).filter(|seconds| *seconds > 0.0)
    }
}

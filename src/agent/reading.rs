//! Readings: raw counters at one moment, as values. Nothing here reads or judges.

/// Raw counters of one target. They rise from some start; only differences mean something.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Counters {
    /// Index as the file system knows it, 0 to 65534.
    pub(super) ost_index: u32,
    /// When the file was read, nanoseconds of the agent's monotonic clock.
    pub(super) at_ns: u64,
    /// When the counters began, in the source's own clock, nanoseconds; another value means they began again.
    pub(super) start_ns: Option<u64>,
    /// When the source says that the counters were taken, in its own clock, nanoseconds.
    pub(super) snapshot_ns: Option<u64>,
    /// Bytes read so far.
    pub(super) read_bytes: u64,
    /// Bytes written so far.
    pub(super) written_bytes: u64,
    /// Requests served so far; absent where the source cannot tell.
    pub(super) ops: Option<u64>,
    /// Requests whose time was measured, and the sum of their times in microseconds.
    pub(super) latency: Option<Latency>,
    /// Microseconds with at least one request in flight.
    pub(super) busy_us: Option<u64>,
    /// Integral of the number of requests in flight over time, microseconds.
    pub(super) in_flight_us: Option<u64>,
    /// Free space that a new object may use, bytes.
    pub(super) free_bytes: u64,
    /// Size, bytes.
    pub(super) capacity_bytes: u64,
    /// State at that moment.
    pub(super) state: State,
}

/// Times of requests so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Latency {
    /// Requests.
    pub(super) count: u64,
    /// Sum of their times, microseconds.
    pub(super) sum_us: u64,
}

/// State flags, as in `tarazu.v1.TargetSample`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// Not connected, set inactive, or in recovery: a create would wait.
    pub(super) inactive: bool,
    /// Marked degraded.
    pub(super) degraded: bool,
    /// Accepts no new objects.
    pub(super) no_create: bool,
    /// Accepts no writes.
    pub(super) read_only: bool,
    /// Below its reserved space.
    pub(super) full: bool,
}

/// Raw counters of the server as a whole; each part absent where it cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Host {
    /// Lengths of the queue of `ost_io` as arriving requests found it.
    pub(super) queue: Option<Queue>,
    /// Time of all processors.
    pub(super) cpu: Option<Cpu>,
}

/// Queue lengths seen by arriving requests so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Queue {
    /// When these counters began, nanoseconds.
    pub(super) start_ns: Option<u64>,
    /// Requests that arrived.
    pub(super) arrivals: u64,
    /// Sum of the lengths that they found.
    pub(super) sum: u64,
}

/// Time of all processors so far, in ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cpu {
    /// Ticks that were not idle.
    pub(super) busy: u64,
    /// All ticks.
    pub(super) all: u64,
}

/// What one source gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reading {
    /// Its targets.
    pub(super) targets: Vec<Counters>,
    /// The server as a whole, where this source knows it.
    pub(super) host: Option<Host>,
}

/// One round: what all sources that answered in time gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Snapshot {
    /// When it was taken, nanoseconds of the agent's monotonic clock.
    pub(super) at_ns: u64,
    /// Targets by index, rising.
    pub(super) targets: Vec<Counters>,
    /// The server as a whole.
    pub(super) host: Host,
}

impl Snapshot {
    /// Joins readings; where two sources give one target, the first is taken.
    pub(super) fn join(at_ns: u64, readings: impl IntoIterator<Item = Reading>) -> Self {
        let mut joined = Self { at_ns, ..Self::default() };
        for reading in readings {
            joined.targets.extend(reading.targets);
            if let Some(host) = reading.host {
                joined.host.queue = joined.host.queue.or(host.queue);
                joined.host.cpu = joined.host.cpu.or(host.cpu);
            }
        }
        joined.targets.sort_by_key(|target| target.ost_index);
        joined.targets.dedup_by_key(|target| target.ost_index);
        joined
    }

    /// One target's counters.
    pub(super) fn target(&self, ost_index: u32) -> Option<&Counters> {
        let place = self.targets.binary_search_by_key(&ost_index, |target| target.ost_index).ok()?;
        self.targets.get(place)
    }
}

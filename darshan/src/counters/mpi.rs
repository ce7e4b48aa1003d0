//! Counters of MPI calls (AutoPerf's APMPI).

use super::{Shape, join};
use crate::header::Module;

/// Bytes of the node's name behind the counters.
const NODE_BYTES: usize = 128;

/// Hands the calls that move data between two ranks to a macro.
macro_rules! point_to_point {
    ($use:ident) => {
        $use!(
            "SEND",
            "SSEND",
            "RSEND",
            "BSEND",
            "RECV",
            "SENDRECV",
            "SENDRECV_REPLACE",
            "ISEND",
            "ISSEND",
            "IRSEND",
            "IBSEND",
            "IRECV"
        )
    };
}

/// Those that ask or wait for messages, and barriers.
macro_rules! waiting {
    ($use:ident) => {
        $use!(
            "PROBE", "IPROBE", "TEST", "TESTANY", "TESTALL", "TESTSOME", "WAIT", "WAITANY", "WAITALL",
            "WAITSOME", "BARRIER", "IBARRIER"
        )
    };
}

macro_rules! blocking_collectives {
    ($use:ident) => {
        $use!(
            "BCAST",
            "GATHER",
            "GATHERV",
            "SCATTER",
            "SCATTERV",
            "SCAN",
            "EXSCAN",
            "ALLGATHER",
            "ALLGATHERV",
            "REDUCE",
            "ALLREDUCE",
            "REDUCE_SCATTER",
            "ALLTOALL",
            "ALLTOALLV",
            "ALLTOALLW"
        )
    };
}

macro_rules! nonblocking_collectives {
    ($use:ident) => {
        $use!(
            "IBCAST",
            "IGATHER",
            "IGATHERV",
            "ISCATTER",
            "ISCATTERV",
            "ISCAN",
            "IEXSCAN",
            "IALLGATHER",
            "IALLGATHERV",
            "IREDUCE",
            "IALLREDUCE",
            "IREDUCE_SCATTER",
            "IALLTOALL",
            "IALLTOALLV",
            "IALLTOALLW"
        )
    };
}

macro_rules! one_sided {
    ($use:ident) => {
        $use!("PUT", "GET", "ACCUMULATE", "GET_ACCUMULATE")
    };
}

macro_rules! windows {
    ($use:ident) => {
        $use!(
            "FETCH_AND_OP",
            "COMPARE_AND_SWAP",
            "WIN_FENCE",
            "WIN_START",
            "WIN_COMPLETE",
            "WIN_POST",
            "WIN_WAIT",
            "WIN_TEST",
            "WIN_LOCK",
            "WIN_UNLOCK",
            "WIN_UNLOCK_ALL",
            "WIN_FLUSH",
            "WIN_FLUSH_ALL",
            "WIN_FLUSH_LOCAL",
            "WIN_FLUSH_LOCAL_ALL",
            "WIN_SYNC"
        )
    };
}

/// Counters of a call that moves data: calls, bytes, messages by size.
macro_rules! sized {
    ($($call:literal),*) => {
        [$(
            concat!($call, "_CALL_COUNT"),
            concat!($call, "_TOTAL_BYTES"),
            concat!($call, "_MSG_SIZE_AGG_0_256"),
            concat!($call, "_MSG_SIZE_AGG_256_1K"),
            concat!($call, "_MSG_SIZE_AGG_1K_8K"),
            concat!($call, "_MSG_SIZE_AGG_8K_256K"),
            concat!($call, "_MSG_SIZE_AGG_256K_1M"),
            concat!($call, "_MSG_SIZE_AGG_1M_PLUS"),
        )*]
    };
}

macro_rules! called {
    ($($call:literal),*) => { [$(concat!($call, "_CALL_COUNT")),*] };
}

macro_rules! timed {
    ($($call:literal),*) => {
        [$(concat!($call, "_TOTAL_TIME"), concat!($call, "_MIN_TIME"), concat!($call, "_MAX_TIME")),*]
    };
}

macro_rules! synchronised {
    ($($call:literal),*) => { [$(concat!($call, "_TOTAL_SYNC_TIME")),*] };
}

const INTS: [&str; 396] = join(&[
    &point_to_point!(sized),
    &waiting!(called),
    &blocking_collectives!(sized),
    &nonblocking_collectives!(sized),
    &one_sided!(sized),
    &windows!(called),
]);

const FLOATS: [&str; 240] = join(&[
    &point_to_point!(timed),
    &waiting!(timed),
    &blocking_collectives!(timed),
    &nonblocking_collectives!(timed),
    &one_sided!(timed),
    &windows!(timed),
    &["BARRIER_TOTAL_SYNC_TIME"],
    &blocking_collectives!(synchronised),
    &["TOTAL_COMM_TIME", "TOTAL_COMM_SYNC_TIME"],
]);

/// By version, the first is 1.
pub(super) static APMPI: [Shape; 1] =
    [Shape { tail_bytes: NODE_BYTES, ..Shape::plain(Module::Apmpi, "MPI_", &INTS, &FLOATS) }];

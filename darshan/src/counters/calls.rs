//! Counters of system calls: POSIX, MPI-IO and the C library's streams.

use super::{
    ACCESSES, FLOATS, FLOATS_OLD, RANK_TIMES, RANKS, SIZE_READ, SIZE_READ_AGG, SIZE_WRITE, SIZE_WRITE_AGG,
    STRIDES, Shape, join,
};
use crate::header::Module;

/// From MODE to MAX_WRITE_TIME_SIZE, equal in all versions of POSIX.
const POSIX_BYTES: [&str; 16] = [
    "MODE",
    "BYTES_READ",
    "BYTES_WRITTEN",
    "MAX_BYTE_READ",
    "MAX_BYTE_WRITTEN",
    "CONSEC_READS",
    "CONSEC_WRITES",
    "SEQ_READS",
    "SEQ_WRITES",
    "RW_SWITCHES",
    "MEM_NOT_ALIGNED",
    "MEM_ALIGNMENT",
    "FILE_NOT_ALIGNED",
    "FILE_ALIGNMENT",
    "MAX_READ_TIME_SIZE",
    "MAX_WRITE_TIME_SIZE",
];
const POSIX_TAIL: [&str; 56] = join(&[&POSIX_BYTES, &SIZE_READ, &SIZE_WRITE, &STRIDES, &ACCESSES, &RANKS]);
const POSIX_V1: [&str; 68] = join(&[
    &["OPENS", "READS", "WRITES", "SEEKS", "STATS", "MMAPS", "FOPENS", "FREADS", "FWRITES", "FSEEKS"],
    &["FSYNCS", "FDSYNCS"],
    &POSIX_TAIL,
]);
const POSIX_V2: [&str; 64] =
    join(&[&["OPENS", "READS", "WRITES", "SEEKS", "STATS", "MMAPS", "FSYNCS", "FDSYNCS"], &POSIX_TAIL]);
const POSIX_V4: [&str; 69] = join(&[
    &["OPENS", "FILENOS", "DUPS", "READS", "WRITES", "SEEKS", "STATS", "MMAPS", "FSYNCS", "FDSYNCS"],
    &["RENAME_SOURCES", "RENAME_TARGETS", "RENAMED_FROM"],
    &POSIX_TAIL,
]);

const MPIIO_INTS: [&str; 51] = join(&[
    &["INDEP_OPENS", "COLL_OPENS", "INDEP_READS", "INDEP_WRITES", "COLL_READS", "COLL_WRITES"],
    &["SPLIT_READS", "SPLIT_WRITES", "NB_READS", "NB_WRITES", "SYNCS", "HINTS", "VIEWS", "MODE"],
    &["BYTES_READ", "BYTES_WRITTEN", "RW_SWITCHES", "MAX_READ_TIME_SIZE", "MAX_WRITE_TIME_SIZE"],
    &SIZE_READ_AGG,
    &SIZE_WRITE_AGG,
    &ACCESSES,
    &RANKS,
]);

const STDIO_BYTES: [&str; 8] = [
    "READS",
    "WRITES",
    "SEEKS",
    "FLUSHES",
    "BYTES_WRITTEN",
    "BYTES_READ",
    "MAX_BYTE_READ",
    "MAX_BYTE_WRITTEN",
];
const STDIO_V1: [&str; 13] = join(&[&["OPENS"], &STDIO_BYTES, &RANKS]);
const STDIO_V2: [&str; 14] = join(&[&["OPENS", "FDOPENS"], &STDIO_BYTES, &RANKS]);
const STDIO_FLOATS: [&str; 15] = join(&[
    &["F_META_TIME", "F_WRITE_TIME", "F_READ_TIME"],
    &[
        "F_OPEN_START_TIMESTAMP",
        "F_CLOSE_START_TIMESTAMP",
        "F_WRITE_START_TIMESTAMP",
        "F_READ_START_TIMESTAMP",
    ],
    &["F_OPEN_END_TIMESTAMP", "F_CLOSE_END_TIMESTAMP", "F_WRITE_END_TIMESTAMP", "F_READ_END_TIMESTAMP"],
    &RANK_TIMES,
]);

const fn posix(ints: &'static [&'static str], floats: &'static [&'static str]) -> Shape {
    Shape::plain(Module::Posix, "POSIX_", ints, floats)
}

const fn mpiio(floats: &'static [&'static str]) -> Shape {
    Shape::plain(Module::MpiIo, "MPIIO_", &MPIIO_INTS, floats)
}

const fn stdio(ints: &'static [&'static str]) -> Shape {
    Shape::plain(Module::Stdio, "STDIO_", ints, &STDIO_FLOATS)
}

/// By version, the first is 1. Version 3 of POSIX has the counters of 2 and the timestamps of 4.
pub(super) static POSIX: [Shape; 4] = [
    posix(&POSIX_V1, &FLOATS_OLD),
    posix(&POSIX_V2, &FLOATS_OLD),
    posix(&POSIX_V2, &FLOATS),
    posix(&POSIX_V4, &FLOATS),
];
pub(super) static MPIIO: [Shape; 3] = [mpiio(&FLOATS_OLD), mpiio(&FLOATS_OLD), mpiio(&FLOATS)];
pub(super) static STDIO: [Shape; 2] = [stdio(&STDIO_V1), stdio(&STDIO_V2)];

//! Names and order of the counters of POSIX, MPI-IO and STDIO records, by record version.
//!
//! The order is that of Darshan's `darshan-*-log-format.h`. Names are kept without their module's
//! prefix, since the versions share most of them.

use super::header::Module;

/// The record layout of one version of a module: id and rank, then 64-bit integers, then doubles.
#[derive(Debug, PartialEq, Eq)]
pub struct Shape {
    /// The module.
    pub module: Module,
    /// What every counter's full name begins with, `POSIX_`.
    pub prefix: &'static str,
    /// Names of the integer counters, without the prefix.
    pub ints: &'static [&'static str],
    /// Names of the floating-point counters (seconds and variances), without the prefix.
    pub floats: &'static [&'static str],
}

impl Shape {
    /// The layout of a record version.
    pub(crate) fn of(module: Module, version: u32) -> Option<&'static Self> {
        let shapes = match module {
            Module::Posix => &POSIX[..],
            Module::MpiIo => &MPIIO[..],
            Module::Stdio => &STDIO[..],
            _ => return None,
        };
        shapes.get((version as usize).checked_sub(1)?)
    }

    /// The versions known, for messages.
    pub(crate) const fn known(module: Module) -> &'static str {
        match module {
            Module::Posix => "1 to 4",
            Module::MpiIo => "1 to 3",
            Module::Stdio => "1 and 2",
            _ => "none",
        }
    }

    /// Bytes of a record.
    #[must_use]
    pub const fn record_bytes(&self) -> usize {
        16 + 8 * (self.ints.len() + self.floats.len())
    }

    /// The place of an integer counter, named without the prefix.
    #[must_use]
    pub fn int(&self, name: &str) -> Option<usize> {
        self.ints.iter().position(|known| *known == name)
    }

    /// The place of a floating-point counter, named without the prefix.
    #[must_use]
    pub fn float(&self, name: &str) -> Option<usize> {
        self.floats.iter().position(|known| *known == name)
    }
}

/// Joins lists at compile time; `N` must be the sum of their lengths, or it does not compile.
const fn join<const N: usize>(parts: &[&[&'static str]]) -> [&'static str; N] {
    let mut joined = [""; N];
    let (mut at, mut part) = (0, 0);
    while part < parts.len() {
        let mut item = 0;
        while item < parts[part].len() {
            joined[at] = parts[part][item];
            at += 1;
            item += 1;
        }
        part += 1;
    }
    assert!(at == N, "the lists do not have N names");
    joined
}

macro_rules! sizes {
    ($name:ident, $prefix:literal) => {
        const $name: [&str; 10] = [
            concat!($prefix, "0_100"),
            concat!($prefix, "100_1K"),
            concat!($prefix, "1K_10K"),
            concat!($prefix, "10K_100K"),
            concat!($prefix, "100K_1M"),
            concat!($prefix, "1M_4M"),
            concat!($prefix, "4M_10M"),
            concat!($prefix, "10M_100M"),
            concat!($prefix, "100M_1G"),
            concat!($prefix, "1G_PLUS"),
        ];
    };
}

sizes!(SIZE_READ, "SIZE_READ_");
sizes!(SIZE_WRITE, "SIZE_WRITE_");
sizes!(SIZE_READ_AGG, "SIZE_READ_AGG_");
sizes!(SIZE_WRITE_AGG, "SIZE_WRITE_AGG_");

const STRIDES: [&str; 8] = [
    "STRIDE1_STRIDE",
    "STRIDE2_STRIDE",
    "STRIDE3_STRIDE",
    "STRIDE4_STRIDE",
    "STRIDE1_COUNT",
    "STRIDE2_COUNT",
    "STRIDE3_COUNT",
    "STRIDE4_COUNT",
];
const ACCESSES: [&str; 8] = [
    "ACCESS1_ACCESS",
    "ACCESS2_ACCESS",
    "ACCESS3_ACCESS",
    "ACCESS4_ACCESS",
    "ACCESS1_COUNT",
    "ACCESS2_COUNT",
    "ACCESS3_COUNT",
    "ACCESS4_COUNT",
];
const RANKS: [&str; 4] = ["FASTEST_RANK", "FASTEST_RANK_BYTES", "SLOWEST_RANK", "SLOWEST_RANK_BYTES"];

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

const TIMES: [&str; 5] =
    ["F_READ_TIME", "F_WRITE_TIME", "F_META_TIME", "F_MAX_READ_TIME", "F_MAX_WRITE_TIME"];
const RANK_TIMES: [&str; 4] =
    ["F_FASTEST_RANK_TIME", "F_SLOWEST_RANK_TIME", "F_VARIANCE_RANK_TIME", "F_VARIANCE_RANK_BYTES"];

/// Timestamps without the start of closing and the end of opening: POSIX and MPI-IO 1 and 2.
const FLOATS_OLD: [&str; 15] = join(&[
    &["F_OPEN_START_TIMESTAMP", "F_READ_START_TIMESTAMP", "F_WRITE_START_TIMESTAMP"],
    &["F_READ_END_TIMESTAMP", "F_WRITE_END_TIMESTAMP", "F_CLOSE_END_TIMESTAMP"],
    &TIMES,
    &RANK_TIMES,
]);
const FLOATS: [&str; 17] = join(&[
    &[
        "F_OPEN_START_TIMESTAMP",
        "F_READ_START_TIMESTAMP",
        "F_WRITE_START_TIMESTAMP",
        "F_CLOSE_START_TIMESTAMP",
    ],
    &["F_OPEN_END_TIMESTAMP", "F_READ_END_TIMESTAMP", "F_WRITE_END_TIMESTAMP", "F_CLOSE_END_TIMESTAMP"],
    &TIMES,
    &RANK_TIMES,
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
    Shape { module: Module::Posix, prefix: "POSIX_", ints, floats }
}

const fn mpiio(floats: &'static [&'static str]) -> Shape {
    Shape { module: Module::MpiIo, prefix: "MPIIO_", ints: &MPIIO_INTS, floats }
}

const fn stdio(ints: &'static [&'static str]) -> Shape {
    Shape { module: Module::Stdio, prefix: "STDIO_", ints, floats: &STDIO_FLOATS }
}

/// By version, the first is 1. Version 3 of POSIX has the counters of 2 and the timestamps of 4.
static POSIX: [Shape; 4] = [
    posix(&POSIX_V1, &FLOATS_OLD),
    posix(&POSIX_V2, &FLOATS_OLD),
    posix(&POSIX_V2, &FLOATS),
    posix(&POSIX_V4, &FLOATS),
];
static MPIIO: [Shape; 3] = [mpiio(&FLOATS_OLD), mpiio(&FLOATS_OLD), mpiio(&FLOATS)];
static STDIO: [Shape; 2] = [stdio(&STDIO_V1), stdio(&STDIO_V2)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_the_size_of_the_c_structs() {
        let bytes = |module, version| Shape::of(module, version).map(Shape::record_bytes);
        let posix = [680, 648, 664, 704].map(Some);
        assert_eq!([1, 2, 3, 4].map(|version| bytes(Module::Posix, version)), posix);
        assert_eq!([1, 2, 3].map(|version| bytes(Module::MpiIo, version)), [544, 544, 560].map(Some));
        assert_eq!([1, 2].map(|version| bytes(Module::Stdio, version)), [240, 248].map(Some));
        assert_eq!(bytes(Module::Posix, 0), None);
        assert_eq!(bytes(Module::Posix, 5), None);
        assert_eq!(bytes(Module::Lustre, 1), None);
    }

    #[test]
    fn no_name_occurs_twice() {
        for shape in POSIX.iter().chain(&MPIIO).chain(&STDIO) {
            let mut names: Vec<_> = shape.ints.iter().chain(shape.floats).collect();
            names.sort();
            assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{shape:?}");
        }
    }
}

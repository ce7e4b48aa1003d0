//! Names and order of the counters of fixed-size records, by module and record version.
//!
//! The order is that of Darshan's `darshan-*-log-format.h` and, for MPI calls, AutoPerf's
//! `darshan-apmpi-log-format.h`. Names are kept without their module's prefix, since the versions share
//! most of them.

mod calls;
mod libraries;
mod machines;
mod mpi;

use super::header::Module;

/// What stands between the rank and the first counter of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Head {
    /// Nothing.
    None,
    /// The record id of the file that the dataset or variable lies in.
    FileId,
    /// A word without meaning.
    Unused,
}

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
    /// What stands before the counters.
    pub(crate) head: Head,
    /// Bytes behind the counters: identifiers of object stores, a node's name.
    pub(crate) tail_bytes: usize,
}

impl Shape {
    /// A layout of counters only.
    const fn plain(
        module: Module,
        prefix: &'static str,
        ints: &'static [&'static str],
        floats: &'static [&'static str],
    ) -> Self {
        Self { module, prefix, ints, floats, head: Head::None, tail_bytes: 0 }
    }

    /// The layouts of a module by version, the first is 1; none where its records have no fixed size.
    const fn versions(module: Module) -> &'static [Self] {
        match module {
            Module::Posix => &calls::POSIX,
            Module::MpiIo => &calls::MPIIO,
            Module::Stdio => &calls::STDIO,
            Module::H5f => &libraries::H5F,
            Module::H5d => &libraries::H5D,
            Module::PnetcdfFile => &libraries::PNETCDF_FILE,
            Module::PnetcdfVar => &libraries::PNETCDF_VAR,
            Module::Bgq => &machines::BGQ,
            Module::Dfs => &machines::DFS,
            Module::Daos => &machines::DAOS,
            Module::Apmpi => &mpi::APMPI,
            _ => &[],
        }
    }

    /// Whether records of the module have a layout here, in some version.
    pub(crate) const fn exists(module: Module) -> bool {
        !Self::versions(module).is_empty()
    }

    /// The layout of a record version.
    pub(crate) fn of(module: Module, version: u32) -> Option<&'static Self> {
        Self::versions(module).get((version as usize).checked_sub(1)?)
    }

    /// The newest version known, 0 without any.
    pub(crate) const fn newest(module: Module) -> u32 {
        Self::versions(module).len() as u32
    }

    /// Bytes of a record.
    #[must_use]
    pub const fn record_bytes(&self) -> usize {
        self.head_bytes() + 8 * (self.ints.len() + self.floats.len()) + self.tail_bytes
    }

    /// Bytes before the first counter.
    pub(crate) const fn head_bytes(&self) -> usize {
        if matches!(self.head, Head::None) { 16 } else { 24 }
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
/// First start and last end of opening, reading, writing and closing.
const FLOATS_START_END: [&str; 8] = [
    "F_OPEN_START_TIMESTAMP",
    "F_READ_START_TIMESTAMP",
    "F_WRITE_START_TIMESTAMP",
    "F_CLOSE_START_TIMESTAMP",
    "F_OPEN_END_TIMESTAMP",
    "F_READ_END_TIMESTAMP",
    "F_WRITE_END_TIMESTAMP",
    "F_CLOSE_END_TIMESTAMP",
];
const FLOATS: [&str; 17] = join(&[&FLOATS_START_END, &TIMES, &RANK_TIMES]);

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Module; 11] = [
        Module::Posix,
        Module::MpiIo,
        Module::Stdio,
        Module::H5f,
        Module::H5d,
        Module::PnetcdfFile,
        Module::PnetcdfVar,
        Module::Bgq,
        Module::Dfs,
        Module::Daos,
        Module::Apmpi,
    ];

    #[test]
    fn records_have_the_size_of_the_c_structs() {
        let bytes = |module| Shape::versions(module).iter().map(Shape::record_bytes).collect::<Vec<_>>();
        assert_eq!(bytes(Module::Posix), [680, 648, 664, 704]);
        assert_eq!(bytes(Module::MpiIo), [544, 544, 560]);
        assert_eq!(bytes(Module::Stdio), [240, 248]);
        assert_eq!(bytes(Module::H5f), [40, 56, 80]);
        assert_eq!(bytes(Module::H5d), [904, 912]);
        assert_eq!(bytes(Module::PnetcdfFile), [48, 64, 152]);
        assert_eq!(bytes(Module::PnetcdfVar), [1120]);
        assert_eq!(bytes(Module::Bgq), [120, 112]);
        assert_eq!(bytes(Module::Dfs), [584]);
        assert_eq!(bytes(Module::Daos), [696]);
        assert_eq!(bytes(Module::Apmpi), [5232]);
        assert_eq!(bytes(Module::Lustre), [0; 0]);
        assert_eq!(Shape::of(Module::Posix, 0), None);
        assert_eq!(Shape::of(Module::Posix, 5), None);
    }

    #[test]
    fn no_name_occurs_twice() {
        for shape in ALL.iter().flat_map(|module| Shape::versions(*module)) {
            let mut names: Vec<_> = shape.ints.iter().chain(shape.floats).collect();
            names.sort();
            assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{shape:?}");
        }
    }
}

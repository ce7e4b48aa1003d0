//! The header: format version, byte order, compression and where each region lies.

use std::fmt;

use super::cursor::{ByteOrder, Cursor, text};
use super::error::Fault;

/// Identifies a Darshan log (`DARSHAN_MAGIC_NR`).
const MAGIC: u64 = 6_567_223;

/// Header bytes of the formats 3.00 to 3.21 and of 3.41.
const HEADER_BYTES: usize = 360;
pub(crate) const HEADER_BYTES_341: usize = 1328;

/// Modules of the formats before 3.41 and of 3.41.
const MODULES: usize = 16;
const MODULES_341: usize = 64;

/// What a region of a log holds: a module's records, the job or the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Module {
    /// The job record.
    Job,
    /// The name records.
    Names,
    /// An empty module of merged logs.
    Null,
    /// POSIX calls.
    Posix,
    /// MPI-IO calls.
    MpiIo,
    /// HDF5 files.
    H5f,
    /// HDF5 datasets.
    H5d,
    /// PnetCDF files.
    PnetcdfFile,
    /// PnetCDF variables.
    PnetcdfVar,
    /// Blue Gene/Q partitions.
    Bgq,
    /// Lustre layouts.
    Lustre,
    /// Calls of the C library's streams.
    Stdio,
    /// Traced POSIX accesses.
    DxtPosix,
    /// Traced MPI-IO accesses.
    DxtMpiio,
    /// MDHIM.
    Mdhim,
    /// Cray router counters.
    Apxc,
    /// MPI call counters.
    Apmpi,
    /// Bytes per time bin.
    Heatmap,
    /// DAOS file system calls.
    Dfs,
    /// DAOS objects.
    Daos,
    /// A module that this reader does not know, by its number in the log.
    Unknown(u8),
}

/// In order of the module number in format 3.41.
const MODULES_BY_ID: [Module; 18] = [
    Module::Null,
    Module::Posix,
    Module::MpiIo,
    Module::H5f,
    Module::H5d,
    Module::PnetcdfFile,
    Module::PnetcdfVar,
    Module::Bgq,
    Module::Lustre,
    Module::Stdio,
    Module::DxtPosix,
    Module::DxtMpiio,
    Module::Mdhim,
    Module::Apxc,
    Module::Apmpi,
    Module::Heatmap,
    Module::Dfs,
    Module::Daos,
];

impl Module {
    /// The module with number `id` in a format: H5D came in with 3.20 and PNETCDF_VAR with 3.41, and
    /// the modules behind them moved up.
    fn from_id(id: usize, format: Format) -> Self {
        let inserted = match format {
            Format::V300 | Format::V310 => usize::from(id > 3) + usize::from(id > 4),
            Format::V320 | Format::V321 => usize::from(id > 5),
            Format::V341 => 0,
        };
        // Modules newer than the format cannot be in it: their numbers are free there.
        let newest = match format {
            Format::V300 | Format::V310 => 14,
            Format::V320 | Format::V321 => 15,
            Format::V341 => 17,
        };
        let known = MODULES_BY_ID.get(id + inserted).filter(|_| id + inserted <= newest);
        known.copied().unwrap_or(Self::Unknown(id as u8))
    }

    /// The name that Darshan's tools print.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Job => "job record",
            Self::Names => "name records",
            Self::Null => "NULL",
            Self::Posix => "POSIX",
            Self::MpiIo => "MPI-IO",
            Self::H5f => "H5F",
            Self::H5d => "H5D",
            Self::PnetcdfFile => "PNETCDF_FILE",
            Self::PnetcdfVar => "PNETCDF_VAR",
            Self::Bgq => "BG/Q",
            Self::Lustre => "LUSTRE",
            Self::Stdio => "STDIO",
            Self::DxtPosix => "DXT_POSIX",
            Self::DxtMpiio => "DXT_MPIIO",
            Self::Mdhim => "MDHIM",
            Self::Apxc => "APXC",
            Self::Apmpi => "APMPI",
            Self::Heatmap => "HEATMAP",
            Self::Dfs => "DFS",
            Self::Daos => "DAOS",
            Self::Unknown(_) => "unknown module",
        }
    }
}

impl fmt::Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(id) => write!(f, "unknown module {id}"),
            known => f.write_str(known.name()),
        }
    }
}

/// The formats that exist; Darshan's own tools compare them exactly, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Format {
    V300,
    V310,
    V320,
    V321,
    V341,
}

impl Format {
    const ALL: [(Self, &'static str); 5] = [
        (Self::V300, "3.00"),
        (Self::V310, "3.10"),
        (Self::V320, "3.20"),
        (Self::V321, "3.21"),
        (Self::V341, "3.41"),
    ];

    fn from_text(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, name)| *name == text).map(|(format, _)| *format)
    }

    const fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    const fn header_bytes(self) -> usize {
        if matches!(self, Self::V341) { HEADER_BYTES_341 } else { HEADER_BYTES }
    }

    const fn modules(self) -> usize {
        if matches!(self, Self::V341) { MODULES_341 } else { MODULES }
    }
}

/// How regions are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Concatenated zlib streams.
    Zlib,
    /// Concatenated bzip2 streams.
    Bzip2,
    /// Plain bytes: memory-mapped logs of killed jobs.
    None,
}

/// Where a module's records lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// The owner.
    pub module: Module,
    /// The owner's number in this format.
    pub id: u8,
    /// First byte in the file.
    pub offset: u64,
    /// Bytes in the file, above 0.
    pub length: u64,
    /// Version of the module's records.
    pub version: u32,
    /// Whether Darshan ran out of memory for the module, so that records are missing.
    pub partial: bool,
}

/// The header of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub(crate) format: Format,
    /// Order of the bytes of every word.
    pub order: ByteOrder,
    /// How regions are packed.
    pub compression: Compression,
    /// First byte and length of the job region.
    pub(crate) job: (u64, u64),
    /// First byte and length of the name region; length 0 where there is none.
    pub(crate) names: (u64, u64),
    /// Modules that have records, by rising number.
    pub regions: Vec<Region>,
    /// Modules flagged as incomplete, also those without records.
    pub partial: Vec<Module>,
}

impl Header {
    /// The format version as the log spells it.
    #[must_use]
    pub const fn version(&self) -> &'static str {
        self.format.name()
    }

    /// The region of a module, `None` where it has no records.
    #[must_use]
    pub fn region(&self, module: Module) -> Option<Region> {
        self.regions.iter().find(|region| region.module == module).copied()
    }

    /// Size in bytes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.format.header_bytes()
    }

    /// Reads the header from the first bytes of a log, which has `file_bytes`.
    pub(crate) fn read(log: &[u8], file_bytes: u64) -> Result<Self, Fault> {
        if log.is_empty() {
            return Err(Fault::Empty);
        }
        for (start, packing) in [(&b"\x1f\x8b"[..], "gzip"), (&b"BZh"[..], "bzip2")] {
            if log.starts_with(start) {
                return Err(Fault::OldFormat { packing });
            }
        }
        let short = |header| Fault::ShortHeader { bytes: log.len() as u64, header };
        let version = text(log.get(..8).ok_or_else(|| short(HEADER_BYTES))?);
        let format = Format::from_text(&version).ok_or(Fault::Version { found: version })?;
        let head = log.get(..format.header_bytes()).ok_or_else(|| short(format.header_bytes()))?;
        Self::parse(format, head, file_bytes).unwrap_or_else(|| Err(short(format.header_bytes())))
    }

    /// `None` only where `head` is shorter than the format's header.
    fn parse(format: Format, head: &[u8], file_bytes: u64) -> Option<Result<Self, Fault>> {
        let magic = Cursor::new(head.get(8..)?, ByteOrder::Little).u64()?;
        let order = match magic {
            MAGIC => ByteOrder::Little,
            swapped if swapped.swap_bytes() == MAGIC => ByteOrder::Big,
            found => return Some(Err(Fault::Magic { found })),
        };
        let compression = match *head.get(16)? {
            0 => Compression::Zlib,
            1 => Compression::Bzip2,
            2 => Compression::None,
            found => return Some(Err(Fault::Compression { found })),
        };
        let mut words = Cursor::new(head, order);
        // Up to the flags: version, magic, compression type and padding.
        let flags = if format == Format::V341 {
            words.take(24)?;
            words.u64()?
        } else {
            words.take(20)?;
            u64::from(words.u32()?)
        };
        let names = (words.u64()?, words.u64()?);
        let mut map = Vec::with_capacity(format.modules());
        for _ in 0..format.modules() {
            map.push((words.u64()?, words.u64()?));
        }
        let mut regions = Vec::new();
        for (id, &(offset, length)) in map.iter().enumerate() {
            let version = words.u32()?;
            if length > 0 {
                let module = Module::from_id(id, format);
                let partial = flags >> id & 1 == 1;
                regions.push(Region { module, id: id as u8, offset, length, version, partial });
            }
        }
        let flagged = (0..format.modules()).filter(|id| flags >> id & 1 == 1);
        let partial = flagged.map(|id| Module::from_id(id, format)).collect();
        // Offsets may be set while the length is 0; they bound the job region all the same.
        let start = format.header_bytes() as u64;
        let offsets = std::iter::once(names.0).chain(map.iter().map(|(offset, _)| *offset));
        let end = offsets.into_iter().find(|offset| *offset != 0).unwrap_or(file_bytes);
        let job = (start, end.min(file_bytes).saturating_sub(start));
        Some(Ok(Self { format, order, compression, job, names, regions, partial }))
    }
}

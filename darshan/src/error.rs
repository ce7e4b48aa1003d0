//! What can be wrong with a log. Owns the words of the messages: file, place, cause, remedy.

use std::fmt;

use super::header::Module;

/// A fault of one log.
#[derive(Debug)]
pub struct DarshanError {
    /// The log as it was named by the caller.
    pub file: String,
    /// What is wrong with it.
    pub fault: Fault,
}

impl fmt::Display for DarshanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.fault)
    }
}

impl std::error::Error for DarshanError {
    /// The fault's own cause: the fault itself is in the message, and would be printed twice.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.fault.source()
    }
}

/// What is wrong, and where.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The operating system refused to read the file.
    #[error("cannot be read; check that the path is right and may be read by you")]
    Read(#[source] std::io::Error),
    /// A pipe gave more than is held in memory.
    #[error(
        "is no plain file and has more than {limit} bytes; copy it into a file, which is read piece by piece"
    )]
    PipeTooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// A file of 0 bytes.
    #[error("is empty; Darshan leaves an empty file when the job ended before the log was written")]
    Empty,
    /// A log of Darshan 1 or 2.
    #[error(
        "begins like a {packing} file, which Darshan 1.x and 2.x logs are; only 3.x logs are supported: \
             decompress the file if it is a packed 3.x log"
    )]
    OldFormat {
        /// `gzip` or `bzip2`.
        packing: &'static str,
    },
    /// The file ends inside the header.
    #[error(
        "ends after {bytes} bytes, inside the header of {header} bytes; the file is truncated, copy it again"
    )]
    ShortHeader {
        /// Size of the file.
        bytes: u64,
        /// Size of the header.
        header: usize,
    },
    /// The first eight bytes are no known format version.
    #[error(
        "is not a Darshan 3.x log: offset 0 has the version text {found:?} instead of 3.00, 3.10, 3.20, 3.21 or 3.41"
    )]
    Version {
        /// The text found.
        found: String,
    },
    /// The magic number is wrong in both byte orders.
    #[error(
        "has the magic number {found:#x} at offset 8 instead of 6567223; the header is damaged, copy the file again"
    )]
    Magic {
        /// The number found, read little-endian.
        found: u64,
    },
    /// A compression type that no Darshan wrote.
    #[error(
        "names compression type {found} at offset 16; 0 (zlib), 1 (bzip2) and 2 (none) exist, so the header is damaged"
    )]
    Compression {
        /// The type found.
        found: u8,
    },
    /// A region does not lie within the file.
    #[error(
        "{module}: the region of {length} bytes at offset {offset} does not lie in the file of {file_bytes} bytes; \
             the log is truncated or its header damaged"
    )]
    Region {
        /// The region's owner.
        module: Module,
        /// Start in the file.
        offset: u64,
        /// Compressed length.
        length: u64,
        /// Size of the file.
        file_bytes: u64,
    },
    /// A region shares bytes with an earlier one.
    #[error(
        "{module}: the region of {length} bytes at offset {offset} overlaps that of {other}, so the header is damaged \
             and this module was left out"
    )]
    Overlap {
        /// The region's owner.
        module: Module,
        /// Start in the file.
        offset: u64,
        /// Compressed length.
        length: u64,
        /// Owner of the other region.
        other: Module,
    },
    /// A compressed stream is broken or ends too early.
    #[error(
        "{module}: the compressed stream at offset {stream} is {how}; what lies behind it in this module is lost"
    )]
    Stream {
        /// The region's owner.
        module: Module,
        /// Start of the region in the file.
        offset: u64,
        /// Compressed length of the region.
        length: u64,
        /// Start of the stream in the file.
        stream: u64,
        /// What is wrong with it.
        how: Damage,
    },
    /// A region inflates to more than is allowed.
    #[error(
        "{module}: the region at offset {offset} inflates to more than {limit} bytes, which no known log does; \
             it was refused to protect memory"
    )]
    Inflated {
        /// The region's owner.
        module: Module,
        /// Start of the region in the file.
        offset: u64,
        /// Compressed length of the region.
        length: u64,
        /// The limit.
        limit: u64,
    },
    /// No job record.
    #[error(
        "the job record at offset {offset} has {bytes} of {needed} bytes; nothing can be read from this log"
    )]
    Job {
        /// Start in the file.
        offset: u64,
        /// Bytes up to the next region.
        length: u64,
        /// Bytes that are there.
        bytes: usize,
        /// Bytes of the fixed part.
        needed: usize,
    },
    /// The number of processes is impossible.
    #[error(
        "the job record says {nprocs} processes; the log was written by a development version or is damaged, \
             and cannot be converted"
    )]
    Processes {
        /// Start of the job record in the file.
        offset: u64,
        /// Bytes up to the next region.
        length: u64,
        /// The number found.
        nprocs: i64,
    },
    /// Records name ranks that the job does not have.
    #[error(
        "{module}: {records} records name ranks that a job of {nprocs} processes does not have, the first is {rank}; \
             they are counted in sums but not converted"
    )]
    Ranks {
        /// The module.
        module: Module,
        /// Start of the region in the file.
        offset: u64,
        /// Compressed length of the region.
        length: u64,
        /// How many.
        records: usize,
        /// The first such rank.
        rank: i64,
        /// Processes of the job.
        nprocs: i64,
    },
    /// A record version that is not known.
    #[error(
        "{module}: record version {version} is not known (known: 1 to {newest}); a newer tarazu may read it"
    )]
    RecordVersion {
        /// The module.
        module: Module,
        /// Start of the region in the file.
        offset: u64,
        /// Compressed length of the region.
        length: u64,
        /// The version found.
        version: u32,
        /// The newest version known.
        newest: u32,
    },
    /// A record is cut short, or a count in it is impossible.
    #[error(
        "{module}: the record at byte {at} of the inflated region {what}; the {kept} records before it were kept"
    )]
    Record {
        /// The module.
        module: Module,
        /// Start of the region in the file.
        offset: u64,
        /// Compressed length of the region.
        length: u64,
        /// Byte in the inflated region.
        at: u64,
        /// What is wrong.
        what: &'static str,
        /// Records read before.
        kept: usize,
    },
}

/// What is wrong with a compressed stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Its bytes or their checksum are wrong.
    Broken,
    /// It has no end.
    CutShort,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Broken => "damaged",
            Self::CutShort => "cut short",
        })
    }
}

impl Fault {
    /// The module whose data is affected; [`Module::Job`] and [`Module::Names`] for those regions, `None` where
    /// it is the whole log.
    #[must_use]
    pub const fn module(&self) -> Option<Module> {
        match self {
            Self::Region { module, .. }
            | Self::Overlap { module, .. }
            | Self::Stream { module, .. }
            | Self::Inflated { module, .. }
            | Self::Ranks { module, .. }
            | Self::RecordVersion { module, .. }
            | Self::Record { module, .. } => Some(*module),
            Self::Job { .. } | Self::Processes { .. } => Some(Module::Job),
            _ => None,
        }
    }

    /// Start and length in the file of the region that is affected, as the header gives them.
    #[must_use]
    pub const fn region(&self) -> Option<(u64, u64)> {
        match self {
            Self::Region { offset, length, .. }
            | Self::Overlap { offset, length, .. }
            | Self::Stream { offset, length, .. }
            | Self::Inflated { offset, length, .. }
            | Self::Ranks { offset, length, .. }
            | Self::RecordVersion { offset, length, .. }
            | Self::Record { offset, length, .. }
            | Self::Job { offset, length, .. }
            | Self::Processes { offset, length, .. } => Some((*offset, *length)),
            _ => None,
        }
    }

    /// The byte of the file at which the fault lies: of the header, or the start of the stream or region that
    /// has it. `None` where the file could not be read at all.
    #[must_use]
    pub const fn offset(&self) -> Option<u64> {
        match self {
            Self::Stream { stream, .. } => Some(*stream),
            Self::Empty | Self::OldFormat { .. } | Self::Version { .. } => Some(0),
            Self::ShortHeader { bytes, .. } => Some(*bytes),
            Self::Magic { .. } => Some(8),
            Self::Compression { .. } => Some(16),
            _ => match self.region() {
                Some((offset, _)) => Some(offset),
                None => None,
            },
        }
    }

    /// The byte of the inflated region at which the broken record begins; for faults of records only.
    #[must_use]
    pub const fn inflated_offset(&self) -> Option<u64> {
        match self {
            Self::Record { at, .. } => Some(*at),
            _ => None,
        }
    }

    /// What kind of fault it is, in a word that stays the same from version to version.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Read(_) => "unreadable",
            Self::PipeTooLarge { .. } | Self::Inflated { .. } => "too-large",
            Self::Empty => "empty",
            Self::OldFormat { .. } => "old-format",
            Self::ShortHeader { .. } => "truncated",
            Self::Version { .. } => "format-version",
            Self::Magic { .. } => "magic",
            Self::Compression { .. } => "compression-type",
            Self::Region { .. } => "outside-file",
            Self::Overlap { .. } => "overlap",
            Self::Stream { how: Damage::Broken, .. } => "damaged-stream",
            Self::Stream { how: Damage::CutShort, .. } => "cut-short-stream",
            Self::Job { .. } => "job-record",
            Self::Processes { .. } => "processes",
            Self::Ranks { .. } => "ranks",
            Self::RecordVersion { .. } => "record-version",
            Self::Record { .. } => "record",
        }
    }
}

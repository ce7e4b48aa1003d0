//! Which traced function does what. Names as in Recorder's list of functions, and close relatives that later
//! versions added.

/// What a function of the POSIX or STDIO layer does, with the places of its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Posix {
    /// `( PATH FLAGS [MODE] )`; the number of arguments before the path.
    Open(usize),
    /// `( PATH MODE )`
    Creat,
    /// `( PATH MODE )`, the mode a text as in `r+`.
    Fopen,
    /// `( FILE MODE )`, of a file that is open already.
    Fdopen,
    /// `( FILE )`
    Close,
    /// `( FILE BUFFER BYTES )`
    Transfer(Direction),
    /// `( FILE BUFFER BYTES OFFSET )`
    TransferAt(Direction),
    /// `( FILE BYTES BUFFERS )`
    Vector(Direction),
    /// `( FILE BYTES BUFFERS OFFSET )`
    VectorAt(Direction),
    /// `( BUFFER SIZE COUNT FILE )`
    Stream(Direction),
    /// `( FILE BYTES )`, with one byte more than is written.
    Printf,
    /// `( FILE OFFSET WHENCE )`
    Seek,
    /// `( FILE LENGTH )`
    Truncate,
    /// `( FILE )`
    Sync,
    /// `( FILE )`, or `( NUMBER )` where the name was not looked up.
    Dup,
    /// `( FILE COMMAND [VALUE] )`
    Fcntl,
    /// Names that come and go, which a workload does not have.
    Names,
    /// Mapped memory: the accesses themselves are invisible.
    Map,
    /// Neither bytes nor files' sizes.
    Harmless,
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Read,
    Write,
}

/// What an MPI function does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mpi {
    /// All ranks of the communicator in this argument meet.
    Meet(Place),
    /// `( COMM SIZE )`
    CommSize,
    /// `( COMM TYPE KEY INFO NEW RANK )`; all ranks meet.
    SplitType,
    /// `( COMM PATH MODE INFO FILE )`; all ranks meet.
    FileOpen,
    /// `( FILE )`; all ranks of the file meet.
    FileClose,
    /// As `FileClose`.
    FileSync,
    /// `( FILE [SIZE] )`, where all ranks of the file meet or not.
    FileSize {
        /// Whether they meet.
        meets: bool,
    },
    /// `( FILE OFFSET ETYPE FILETYPE … )`; all ranks of the file meet.
    FileView,
    /// `( FILE OFFSET WHENCE )`
    FileSeek,
    /// `( FILE [OFFSET] BUFFER COUNT TYPE … )`
    Transfer {
        /// Which way.
        direction: Direction,
        /// Whether an offset is given.
        at: bool,
        /// Whether all ranks of the file meet.
        meets: bool,
        /// Whether the ranks share one file pointer.
        shared: bool,
    },
    /// Messages, requests, types and groups: no bytes of files.
    Harmless,
    /// A file function that is not known.
    Unknown,
}

/// Where the communicator stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    First,
    Last,
}

/// Looks a POSIX or STDIO function up; `None` for one that is not known.
pub(super) fn posix(name: &str) -> Option<Posix> {
    use Direction::{Read, Write};
    // Names with `64` take larger offsets, otherwise the same.
    Some(match name.strip_suffix("64").unwrap_or(name) {
        "open" => Posix::Open(0),
        "openat" => Posix::Open(1),
        "creat" => Posix::Creat,
        "fopen" | "freopen" => Posix::Fopen,
        "fdopen" => Posix::Fdopen,
        "close" | "fclose" => Posix::Close,
        "read" => Posix::Transfer(Read),
        "write" => Posix::Transfer(Write),
        "pread" => Posix::TransferAt(Read),
        "pwrite" => Posix::TransferAt(Write),
        "readv" => Posix::Vector(Read),
        "writev" => Posix::Vector(Write),
        "preadv" => Posix::VectorAt(Read),
        "pwritev" => Posix::VectorAt(Write),
        "fread" => Posix::Stream(Read),
        "fwrite" => Posix::Stream(Write),
        "fprintf" | "vfprintf" => Posix::Printf,
        "lseek" | "fseek" | "fseeko" => Posix::Seek,
        "truncate" | "ftruncate" => Posix::Truncate,
        "fsync" | "fdatasync" => Posix::Sync,
        "dup" | "dup2" | "dup3" => Posix::Dup,
        "fcntl" => Posix::Fcntl,
        "unlink" | "unlinkat" | "remove" | "rename" | "renameat" | "link" | "linkat" | "symlink"
        | "symlinkat" | "mkdir" | "rmdir" | "mknod" | "mknodat" | "mkfifo" => Posix::Names,
        "mmap" => Posix::Map,
        "msync" | "munmap" | "ftell" | "ftello" | "rewinddir" | "__xstat" | "__lxstat" | "__fxstat"
        | "__fxstatat" | "stat" | "lstat" | "fstat" | "fstatat" | "statfs" | "getcwd" | "chdir"
        | "readlink" | "readlinkat" | "chmod" | "fchmod" | "chown" | "lchown" | "fchown" | "utime"
        | "opendir" | "readdir" | "closedir" | "umask" | "fileno" | "access" | "faccessat" | "fflush"
        | "pipe" | "flock" => Posix::Harmless,
        _ => return None,
    })
}

/// Looks an MPI function up; `None` for a name without `MPI_`.
pub(super) fn mpi(name: &str) -> Option<Mpi> {
    use Place::{First, Last};
    let name = name.strip_prefix("MPI_")?;
    if let Some(name) = name.strip_prefix("File_") {
        return Some(mpi_file(name));
    }
    // Calls in which every rank waits for every other. Where one rank sends to or gathers from the others
    // (Bcast, Reduce, Gather, Scatter), and in Scan, some may go on before the last has come.
    Some(match name {
        "Barrier" | "Comm_dup" | "Comm_split" | "Comm_create" | "Cart_create" | "Cart_sub" => {
            Mpi::Meet(First)
        }
        "Allreduce" | "Allgather" | "Allgatherv" | "Alltoall" | "Alltoallv" | "Alltoallw"
        | "Reduce_scatter" => Mpi::Meet(Last),
        "Comm_size" => Mpi::CommSize,
        "Comm_split_type" => Mpi::SplitType,
        _ => Mpi::Harmless,
    })
}

fn mpi_file(name: &str) -> Mpi {
    match name {
        "open" => return Mpi::FileOpen,
        "close" => return Mpi::FileClose,
        "sync" => return Mpi::FileSync,
        "set_size" | "preallocate" => return Mpi::FileSize { meets: true },
        "get_size" => return Mpi::FileSize { meets: false },
        "set_view" => return Mpi::FileView,
        "seek" => return Mpi::FileSeek,
        // The shared pointer is not followed; the end of a split call moves nothing that its begin did not.
        "seek_shared" | "delete" => return Mpi::Harmless,
        _ if name.ends_with("_end") || name.starts_with("get_") || name.starts_with("set_") => {
            return Mpi::Harmless;
        }
        _ => {}
    }
    let (direction, rest) = match name.trim_start_matches('i') {
        rest if rest.starts_with("read") => (Direction::Read, &rest["read".len()..]),
        rest if rest.starts_with("write") => (Direction::Write, &rest["write".len()..]),
        _ => return Mpi::Unknown,
    };
    let (at, meets, shared) = match rest.strip_suffix("_begin").unwrap_or(rest) {
        "" => (false, false, false),
        "_all" => (false, true, false),
        "_at" => (true, false, false),
        "_at_all" => (true, true, false),
        "_shared" => (false, false, true),
        "_ordered" => (false, true, true),
        _ => return Mpi::Unknown,
    };
    // What does not block keeps nobody waiting.
    let meets = meets && !name.starts_with('i');
    Mpi::Transfer { direction, at, meets, shared }
}

/// Bytes of one element of a named MPI type, `None` for types that programs made and for unnamed ones.
pub(super) fn type_bytes(name: &str) -> Option<u64> {
    Some(match name.strip_prefix("MPI_")? {
        "BYTE" | "CHAR" | "SIGNED_CHAR" | "UNSIGNED_CHAR" | "PACKED" | "INT8_T" | "UINT8_T" | "C_BOOL"
        | "CXX_BOOL" | "CHARACTER" | "INTEGER1" | "LOGICAL1" => 1,
        "SHORT" | "UNSIGNED_SHORT" | "INT16_T" | "UINT16_T" | "INTEGER2" | "LOGICAL2" | "REAL2" => 2,
        "INT" | "UNSIGNED" | "UNSIGNED_INT" | "FLOAT" | "INT32_T" | "UINT32_T" | "WCHAR" | "INTEGER"
        | "REAL" | "LOGICAL" | "INTEGER4" | "REAL4" | "LOGICAL4" => 4,
        "LONG" | "UNSIGNED_LONG" | "LONG_LONG" | "LONG_LONG_INT" | "UNSIGNED_LONG_LONG" | "DOUBLE"
        | "INT64_T" | "UINT64_T" | "AINT" | "OFFSET" | "COUNT" | "DOUBLE_PRECISION" | "INTEGER8"
        | "REAL8" | "LOGICAL8" | "COMPLEX" | "COMPLEX8" | "C_COMPLEX" | "C_FLOAT_COMPLEX" | "2INT"
        | "2REAL" | "2INTEGER" | "FLOAT_INT" => 8,
        "LONG_DOUBLE" | "DOUBLE_COMPLEX" | "C_DOUBLE_COMPLEX" | "COMPLEX16" | "REAL16"
        | "2DOUBLE_PRECISION" => 16,
        "C_LONG_DOUBLE_COMPLEX" | "COMPLEX32" => 32,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transfers_are_told_apart() {
        let transfer = |direction, at, meets, shared| Some(Mpi::Transfer { direction, at, meets, shared });
        for (name, want) in [
            ("MPI_File_write", transfer(Direction::Write, false, false, false)),
            ("MPI_File_write_at_all", transfer(Direction::Write, true, true, false)),
            ("MPI_File_read_all_begin", transfer(Direction::Read, false, true, false)),
            ("MPI_File_iread_at", transfer(Direction::Read, true, false, false)),
            ("MPI_File_iwrite_at_all", transfer(Direction::Write, true, false, false)),
            ("MPI_File_write_ordered", transfer(Direction::Write, false, true, true)),
            ("MPI_File_write_at_all_end", Some(Mpi::Harmless)),
            ("MPI_File_frobnicate", Some(Mpi::Unknown)),
            ("MPI_Bcast", Some(Mpi::Harmless)),
            ("MPI_Barrier", Some(Mpi::Meet(Place::First))),
            ("write", None),
        ] {
            assert_eq!(mpi(name), want, "{name}");
        }
        assert_eq!(posix("pwrite64"), Some(Posix::TransferAt(Direction::Write)));
        assert_eq!(posix("open64"), posix("open"));
        assert_eq!(posix("sendfile"), None);
        assert_eq!((type_bytes("MPI_DOUBLE"), type_bytes("MPI_TYPE_UNKNOWN")), (Some(8), None));
    }
}

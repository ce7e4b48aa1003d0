//! Where a log's bytes come from: a file that is read window by window, or memory.

use std::fs::{File, Metadata};
use std::io::{Error, Read};
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::Path;
use std::sync::Arc;

use super::error::Fault;

/// Bytes asked of the file system at once: large enough that calls do not count, small enough for a cache.
const READ_BYTES: usize = 128 << 10;

/// Bytes of an input that cannot be read at any place, such as a pipe, and is therefore held in memory. The
/// largest known logs have some hundred MiB.
const PIPE_BYTES_MAX: u64 = 1 << 30;

/// Where the pipes are found that a shell opened for the program, as in `<(bzcat x.bz2)`.
const OPEN_PIPES: [&str; 3] = ["/dev/stdin", "/dev/fd", "/proc/self/fd"];

/// A part of the file in memory: most logs fit into it whole.
#[derive(Debug, Default)]
pub(crate) struct Window {
    bytes: Vec<u8>,
    /// Where it lies in the file, and how much of it is filled.
    start: u64,
    filled: usize,
}

/// The bytes of a log.
#[derive(Debug)]
pub(crate) enum Source<'a> {
    File { file: Arc<File>, bytes: u64, window: Window },
    Borrowed(&'a [u8]),
    Owned(Vec<u8>),
}

impl Source<'static> {
    pub(crate) fn open(path: &Path) -> Result<Self, Fault> {
        // Before it is opened: that would wait for a writer of a named pipe, and a device may never end.
        let about = std::fs::metadata(path).map_err(Fault::Read)?;
        readable(path, &about).map_err(|why| Fault::Read(Error::other(why)))?;
        let mut file = File::open(path).map_err(Fault::Read)?;
        let about = file.metadata().map_err(Fault::Read)?;
        if about.is_file() {
            return Ok(Self::File { file: Arc::new(file), bytes: about.len(), window: Window::default() });
        }
        let mut bytes = Vec::new();
        file.by_ref().take(PIPE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(Fault::Read)?;
        if bytes.len() as u64 > PIPE_BYTES_MAX {
            return Err(Fault::PipeTooLarge { limit: PIPE_BYTES_MAX });
        }
        Ok(Self::Owned(bytes))
    }
}

/// Whether a file can be a log; else why not, and the remedy.
fn readable(path: &Path, about: &Metadata) -> Result<(), &'static str> {
    let is_open_pipe = || about.file_type().is_fifo() && OPEN_PIPES.iter().any(|open| path.starts_with(open));
    if about.is_file() || is_open_pipe() {
        return Ok(());
    }
    if about.is_dir() {
        return Err("is a folder; name the logs in it");
    }
    Err("is no regular file; save it to a file first")
}

impl Source<'_> {
    /// Size of the log.
    pub(crate) const fn bytes(&self) -> u64 {
        match self {
            Self::File { bytes, .. } => *bytes,
            Self::Borrowed(bytes) => bytes.len() as u64,
            Self::Owned(bytes) => bytes.len() as u64,
        }
    }

    /// The same bytes for another thread, with a window of its own.
    pub(crate) fn twin(&self) -> Source<'_> {
        match self {
            Self::File { file, bytes, .. } => {
                Source::File { file: Arc::clone(file), bytes: *bytes, window: Window::default() }
            }
            Self::Borrowed(bytes) => Source::Borrowed(bytes),
            Self::Owned(bytes) => Source::Borrowed(bytes),
        }
    }

    /// Bytes from `offset` on, at most `most`; fewer where the window or the log ends before.
    pub(crate) fn at(&mut self, offset: u64, most: u64) -> Result<&[u8], Fault> {
        match self {
            Self::File { file, window, .. } => {
                if offset < window.start || offset >= window.start + window.filled as u64 {
                    window.read(file, offset)?;
                }
                Ok(part(window.bytes.get(..window.filled).unwrap_or(&[]), offset - window.start, most))
            }
            Self::Borrowed(bytes) => Ok(part(bytes, offset, most)),
            Self::Owned(bytes) => Ok(part(bytes, offset, most)),
        }
    }
}

impl Window {
    fn read(&mut self, file: &File, offset: u64) -> Result<(), Fault> {
        // Allocated once: all regions of a log pass through the same window.
        self.bytes.resize(READ_BYTES, 0);
        (self.start, self.filled) = (offset, 0);
        while let Some(room) = self.bytes.get_mut(self.filled..).filter(|room| !room.is_empty()) {
            match file.read_at(room, offset + self.filled as u64) {
                Ok(0) => break,
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Fault::Read(error)),
            }
        }
        Ok(())
    }
}

/// The bytes of memory at a place, as far as they are there.
fn part(bytes: &[u8], offset: u64, most: u64) -> &[u8] {
    let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
    let rest = &bytes[start..];
    &rest[..rest.len().min(usize::try_from(most).unwrap_or(usize::MAX))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn only_files_and_pipes_that_are_open_are_read() {
        let why = |path: &str| match Source::open(Path::new(path)) {
            Err(fault) => fault.source().map(ToString::to_string).unwrap_or_default(),
            Ok(_) => "opened".to_owned(),
        };
        assert_eq!(why(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")), "opened");
        assert_eq!(why(env!("CARGO_MANIFEST_DIR")), "is a folder; name the logs in it");
        for device in ["/dev/zero", "/dev/null", "/dev/tty"] {
            if Path::new(device).exists() {
                assert_eq!(why(device), "is no regular file; save it to a file first", "{device}");
            }
        }
        // As a shell opens it for `<(...)`.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(writer);
        let number = std::os::fd::AsRawFd::as_raw_fd(&reader);
        assert_eq!(why(&format!("/dev/fd/{number}")), "opened");
    }
}

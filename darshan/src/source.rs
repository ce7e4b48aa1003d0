//! Where a log's bytes come from: a file that is read window by window, or memory.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use super::error::Fault;

/// Bytes asked of the file system at once: large enough that calls do not count, small enough for a cache.
const READ_BYTES: usize = 128 << 10;

/// Bytes of an input that cannot be read at any place, such as a pipe, and is therefore held in memory. The
/// largest known logs have some hundred MiB.
const PIPE_BYTES_MAX: u64 = 4 << 30;

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

//! Canaries: a few MiB written to a target and timed, where the controller asks for it.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use rustix::fs::OFlags;
use tokio::sync::oneshot;
use tracing::warn;

use super::clock;

/// Most bytes that one canary writes, whatever is asked for: the controller's canaries are 4 MiB.
pub(super) const BYTES_MAX: u64 = 4 << 20;

/// A canary that takes longer has failed. Its thread stays until the target lets go of it.
const DEADLINE: Duration = Duration::from_secs(60);

/// Alignment that direct writes need on every device.
const ALIGN_BYTES: usize = 4096;

/// Bytes of the thread's stack: the data lie on the heap.
const STACK_BYTES: usize = 128 << 10;

/// Targets with a canary under way: one each, so that a target that hangs holds one thread.
#[derive(Clone, Debug, Default)]
pub(super) struct Canaries {
    under_way: Arc<Mutex<BTreeSet<u32>>>,
}

impl Canaries {
    /// Writes a canary and says how many seconds it took; `None` where it failed, hangs, or one is under way.
    pub(super) async fn run(&self, ost_index: u32, folder: PathBuf, bytes: u64) -> Option<f64> {
        if !self.lock().insert(ost_index) {
            warn!("canary on target {ost_index}: the one before is still under way");
            return None;
        }
        let (told, tells) = oneshot::channel();
        let mine = self.clone();
        let body = move || {
            let outcome = write(&folder, bytes.min(BYTES_MAX));
            mine.lock().remove(&ost_index);
            // Nobody listens any more behind the deadline.
            let _ = told.send(outcome.map_err(|error| format!("{}: {error}", folder.display())));
        };
        if let Err(error) = Builder::new().name("canary".to_owned()).stack_size(STACK_BYTES).spawn(body) {
            self.lock().remove(&ost_index);
            warn!("canary on target {ost_index}: no thread: {error}");
            return None;
        }
        match tokio::time::timeout(DEADLINE, tells).await {
            Ok(Ok(Ok(seconds))) => Some(seconds),
            Ok(Ok(Err(error))) => {
                warn!("canary on target {ost_index} failed: {error}");
                None
            }
            Ok(Err(_)) | Err(_) => {
                warn!("canary on target {ost_index}: not done after {} s", DEADLINE.as_secs());
                None
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<u32>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes the bytes to a new file past the page cache where the file system allows it, and removes the file.
fn write(folder: &Path, bytes: u64) -> std::io::Result<f64> {
    // One name, so that what a killed agent left behind goes with the next canary.
    let path = folder.join(".tarazu-canary");
    if let Err(error) = std::fs::remove_file(&path)
        && error.kind() != ErrorKind::NotFound
    {
        return Err(error);
    }
    // Whole blocks: direct writes take no others.
    let length = (bytes as usize).next_multiple_of(ALIGN_BYTES).max(ALIGN_BYTES);
    let buffer = noise(length + ALIGN_BYTES);
    let from = buffer.as_ptr().align_offset(ALIGN_BYTES).min(ALIGN_BYTES);
    let data = &buffer[from..from + length];
    let written = timed(&path, data, OFlags::DIRECT | OFlags::DSYNC).or_else(|error| match error.kind() {
        // tmpfs and some network file systems know no direct writes.
        ErrorKind::InvalidInput | ErrorKind::Unsupported => {
            let _ = std::fs::remove_file(&path);
            timed(&path, data, OFlags::DSYNC)
        }
        _ => Err(error),
    });
    let removed = std::fs::remove_file(&path);
    let seconds = written?;
    removed.map(|()| seconds)
}

fn timed(path: &Path, data: &[u8], flags: OFlags) -> std::io::Result<f64> {
    let flags = (flags | OFlags::NOFOLLOW | OFlags::CLOEXEC).bits().cast_signed();
    let mut file: File =
        OpenOptions::new().write(true).create_new(true).mode(0o600).custom_flags(flags).open(path)?;
    let start_ns = clock::monotonic_ns();
    file.write_all(data)?;
    Ok(clock::monotonic_ns().saturating_sub(start_ns) as f64 / 1e9)
}

/// Bytes that no file system can compress or share (xorshift).
fn noise(length: usize) -> Vec<u8> {
    let mut state = clock::unix_ns() | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_canary_takes_time_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let canaries = Canaries::default();
        let seconds = canaries.run(3, folder.path().to_owned(), 1 << 20).await.unwrap();
        assert!(seconds > 0.0, "{seconds}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(canaries.lock().is_empty());
    }

    #[tokio::test]
    async fn one_canary_a_target_and_none_without_its_folder() {
        let canaries = Canaries::default();
        assert_eq!(canaries.run(3, PathBuf::from("no/such/folder"), 4096).await, None);
        canaries.lock().insert(3);
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(canaries.run(3, folder.path().to_owned(), 4096).await, None);
        assert!(canaries.run(4, folder.path().to_owned(), u64::MAX).await.is_some());
    }
}

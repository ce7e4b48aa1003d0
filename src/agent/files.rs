//! Reading small files of `/proc`, `/sys` and recordings, with a limit.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::block::{self, Device};
use super::error::AgentError;

/// Bytes of a statistics file: those of one target have some 3 KB, recordings of 256 targets less than 1 MB.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// What helps where a file cannot be read.
const REMEDY: &str = "run the agent as root, or with CAP_DAC_READ_SEARCH";

/// The text of a file; `None` where there is none. Bytes that are no UTF-8 are replaced.
pub(super) fn read(path: &Path) -> Result<Option<String>, AgentError> {
    let cannot = |source| AgentError::Read { path: path.to_owned(), remedy: REMEDY, source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(cannot(error)),
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(AgentError::Long { path: path.to_owned(), limit: FILE_BYTES_MAX });
    }
    let text = String::from_utf8(bytes);
    Ok(Some(text.unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())))
}

/// The text of a file that must be there.
pub(super) fn read_needed(path: &Path) -> Result<String, AgentError> {
    read(path)?.ok_or_else(|| AgentError::Read {
        path: path.to_owned(),
        remedy: "name a file that exists",
        source: ErrorKind::NotFound.into(),
    })
}

/// Names in a folder, sorted; none where there is no folder.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, AgentError> {
    let cannot = |source| AgentError::Read { path: folder.to_owned(), remedy: REMEDY, source };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(cannot(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(cannot)?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

/// The name that the kernel's statistics give a device, `dm-3` of `/dev/mapper/ost3`. Links lead to it on a live
/// server; in a recording the last part of the path is all there is.
pub(super) fn device_name(root: &Path, device: &str) -> Option<String> {
    let below_root = root.join(device.trim_start_matches('/'));
    let real = std::fs::canonicalize(&below_root).unwrap_or_else(|_| PathBuf::from(device));
    Some(real.file_name()?.to_str()?.to_owned())
}

/// Counters of a block device: its own file of one line where there is one, for `/proc/diskstats` lists them all.
pub(super) fn device(root: &Path, name: &str) -> Option<Device> {
    let own = root.join("sys/class/block").join(name.replace('/', "!")).join("stat");
    if let Ok(Some(line)) = read(&own) {
        return block::device(&line);
    }
    block::of_name(&read(&root.join("proc/diskstats")).ok()??, name)
}

//! The newest table on disk, so that a controller that was started again can send nodes only what changed.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use tarazu_layout::limits::TABLE_BYTES_MAX;

/// Writes it in the place of the one before. What fails is said and does no harm.
pub(crate) fn write(path: &Path, table: &[u8]) {
    let new = path.with_extension("new");
    let written = fs::File::create(&new).and_then(|mut file| file.write_all(table));
    if let Err(error) = written.and_then(|()| fs::rename(&new, path)) {
        tracing::debug!(path = %path.display(), %error, "the newest table is not kept");
    }
}

/// Reads it; `None` where there is none. Whoever uses it verifies it.
pub(crate) fn read(path: &Path) -> Option<Vec<u8>> {
    let mut table = Vec::new();
    fs::File::open(path).ok()?.take(TABLE_BYTES_MAX as u64).read_to_end(&mut table).ok()?;
    Some(table)
}

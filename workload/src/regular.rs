//! Opens files, and nothing else that has a name in a folder.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Opens a regular file, through symbolic links too.
///
/// # Errors
/// As [`File::open`]; and of a folder, of a pipe, which would be waited for, and of a device, which may never end.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    check(path)?;
    File::open(path)
}

/// Whether a path is a regular file.
///
/// # Errors
/// As [`open`].
pub(crate) fn check(path: &Path) -> io::Result<()> {
    let about = fs::metadata(path)?;
    if about.is_file() {
        return Ok(());
    }
    let what = if about.is_dir() {
        "is a folder; name a file in it"
    } else {
        "is no regular file; save it to a file first"
    };
    Err(io::Error::other(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_devices_are_no_files() {
        let why = |path: &str| open(Path::new(path)).map(|_| ()).map_err(|error| error.to_string());
        assert_eq!(why(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")), Ok(()));
        assert!(why(env!("CARGO_MANIFEST_DIR")).unwrap_err().contains("is a folder"));
        assert!(why("/dev/zero").unwrap_err().contains("no regular file; save it to a file first"));
        assert!(why("no-such-file").unwrap_err().contains("os error 2"));
    }
}

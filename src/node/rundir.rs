//! The run directory: its folders, the published tables, and the lock that keeps two daemons apart.
//!
//! It owns who may do what there. Clients believe a table only where nobody but root or themselves could have written
//! it, so the folders around it must be as strict.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, fchmod, flock, open};
use tarazu::spool::SPOOL_FOLDER;
use tarazu_layout::limits::TABLE_BYTES_MAX;
use tarazu_proto::limits::FILE_SYSTEM_NAME_MAX;

use super::aside::ASIDE_FOLDER;
use super::decisions::DECISIONS_FOLDER;

/// The published table of one file system, inside the folder of its name.
pub(crate) const TABLE_FILE: &str = "table";

/// Files of records that the daemon has taken and not yet read to their end.
pub(crate) const TAKEN_FOLDER: &str = "taken";

/// What the daemon says of itself.
pub(crate) const STATUS_FILE: &str = "status";

const LOCK_FILE: &str = "lock";

/// Bits by which others than the owner may write.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Why a run directory cannot be used, or a file in it not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunDirError {
    #[error("cannot make the folder {path}: {source}; choose another with --run-dir or TARAZU_RUN_DIR")]
    Make { path: PathBuf, source: io::Error },
    #[error(
        "{path} belongs to user {owner}, or others may write to it (mode {mode:03o}); it must be this daemon's alone"
    )]
    NotOurs { path: PathBuf, owner: u32, mode: u32 },
    #[error("another node daemon uses {path}; stop it first, or choose another --run-dir")]
    InUse { path: PathBuf },
    #[error("cannot write {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error(
        "{name:?} cannot be a file system's name here: 1 to {FILE_SYSTEM_NAME_MAX} letters, digits, '_', '-' and '.', the first no '.', and not the name of another folder of the run directory"
    )]
    Name { name: String },
}

/// A run directory that is this daemon's.
#[derive(Debug)]
pub(crate) struct RunDir {
    root: PathBuf,
    /// Held as long as the daemon lives; the kernel lets go of it.
    _lock: File,
}

impl RunDir {
    /// Makes what is missing, checks what is there, and locks it.
    pub(crate) fn open(root: &Path, file_systems: &[String]) -> Result<Self, RunDirError> {
        for name in file_systems {
            check_name(name)?;
        }
        folder(root, 0o755)?;
        let path = root.join(LOCK_FILE);
        let lock = create(&path, OFlags::empty(), 0o600)
            .map_err(|source| RunDirError::Write { path: path.clone(), source })?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| RunDirError::InUse { path: root.into() })?;
        // Everybody may leave a file there and nobody list or remove another's.
        folder(&root.join(SPOOL_FOLDER), 0o1733)?;
        folder(&root.join(TAKEN_FOLDER), 0o700)?;
        folder(&root.join(ASIDE_FOLDER), 0o700)?;
        // Each file in it is its user's alone, who has to get there.
        folder(&root.join(DECISIONS_FOLDER), 0o711)?;
        for name in file_systems {
            folder(&root.join(name), 0o755)?;
        }
        Ok(Self { root: root.to_owned(), _lock: lock })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// What is published of a file system, with one byte more than a table may have where it is longer; `None` where
    /// nothing can be read.
    pub(crate) fn published(&self, file_system: &str) -> Option<Vec<u8>> {
        let path = self.root.join(file_system).join(TABLE_FILE);
        let file = open(
            &path,
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .ok()?;
        let mut bytes = Vec::new();
        File::from(file).take(TABLE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// Publishes a file system's table: readers see the old one or the new one, whole. A folder that somebody has
    /// removed is made again.
    pub(crate) fn publish(&self, file_system: &str, bytes: &[u8]) -> Result<(), RunDirError> {
        let place = self.root.join(file_system);
        let published = replace(&place.join(TABLE_FILE), bytes, 0o644);
        match published {
            Err(RunDirError::Write { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                folder(&place, 0o755)?;
                replace(&place.join(TABLE_FILE), bytes, 0o644)
            }
            published => published,
        }
    }

    pub(crate) fn write_status(&self, text: &str) -> Result<(), RunDirError> {
        replace(&self.root.join(STATUS_FILE), text.as_bytes(), 0o644)
    }
}

/// Writes a file new beside the old one and renames it over. Not made durable: a run directory lives as long as the
/// boot.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), RunDirError> {
    replace_for(path, bytes, mode, None)
}

/// As [`replace`], and gives the file to a user where that is stated.
pub(crate) fn replace_for(
    path: &Path,
    bytes: &[u8],
    mode: u32,
    owner: Option<u32>,
) -> Result<(), RunDirError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let failed = |source| RunDirError::Write { path: path.to_owned(), source };
    // What a daemon that was killed has left.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut file = create(&new, OFlags::EXCL, mode).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    if owner.is_some() {
        std::os::unix::fs::fchown(&file, owner, None).map_err(failed)?;
    }
    fs::rename(&new, path).map_err(failed)
}

fn create(path: &Path, flags: OFlags, mode: u32) -> io::Result<File> {
    let flags = flags | OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(mode);
    let file = open(path, flags, mode)?;
    // The process's mask may have taken bits away that readers need.
    fchmod(&file, mode)?;
    Ok(File::from(file))
}

/// Makes a folder with exactly this mode, or sees that the one that is there is ours.
fn folder(path: &Path, mode: u32) -> Result<(), RunDirError> {
    let failed = |source| RunDirError::Make { path: path.to_owned(), source };
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty() && !parent.exists()) {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
        _ => {}
    }
    let found = fs::symlink_metadata(path).map_err(failed)?;
    let ours = found.is_dir() && found.uid() == rustix::process::geteuid().as_raw();
    // The folder of records is everybody's, and sticky.
    if !ours || (mode & WRITABLE_BY_OTHERS == 0 && found.mode() & WRITABLE_BY_OTHERS != 0) {
        let (owner, mode) = (found.uid(), found.mode() & 0o7777);
        return Err(RunDirError::NotOurs { path: path.to_owned(), owner, mode });
    }
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
    fs::set_permissions(path, permissions).map_err(failed)
}

fn check_name(name: &str) -> Result<(), RunDirError> {
    let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    let taken = [SPOOL_FOLDER, TAKEN_FOLDER, ASIDE_FOLDER, DECISIONS_FOLDER, STATUS_FILE, LOCK_FILE];
    let reserved = taken.contains(&name) || name.ends_with(".new");
    if !letters || reserved || name.starts_with('.') || !(1..=FILE_SYSTEM_NAME_MAX).contains(&name.len()) {
        return Err(RunDirError::Name { name: name.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside_the_run_directory() {
        for good in ["scratch", "fs-1", "a.b", "x"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        let long = "x".repeat(65);
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "placed",
            "taken",
            "aside",
            "decisions",
            "status",
            "lock",
            "status.new",
            "ä",
            &long,
        ] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn folders_and_files_have_their_modes_and_one_daemon() {
        let place = tempfile::tempdir().expect("a folder");
        let root = place.path().join("run/tarazu");
        let run = RunDir::open(&root, &["scratch".into()]).expect("a run directory");
        run.publish("scratch", b"bytes").expect("published");
        run.publish("scratch", b"other").expect("published again");
        assert_eq!(run.published("scratch").as_deref(), Some(&b"other"[..]));
        fs::remove_dir_all(root.join("scratch")).expect("somebody removes it");
        run.publish("scratch", b"again").expect("published all the same");
        assert_eq!(run.published("scratch").as_deref(), Some(&b"again"[..]));
        let mode = |path: &str| fs::symlink_metadata(root.join(path)).expect("it is there").mode() & 0o7777;
        let modes = ["", "placed", "taken", "decisions", "scratch", "scratch/table"].map(mode);
        assert_eq!(modes, [0o755, 0o1733, 0o700, 0o711, 0o755, 0o644]);
        assert!(matches!(RunDir::open(&root, &[]), Err(RunDirError::InUse { .. })));
        drop(run);
        fs::set_permissions(root.join("scratch"), std::os::unix::fs::PermissionsExt::from_mode(0o777))
            .expect("set");
        let refused = RunDir::open(&root, &["scratch".into()]).expect_err("others may write there");
        assert!(refused.to_string().contains("scratch") && refused.to_string().contains("777"), "{refused}");
    }
}

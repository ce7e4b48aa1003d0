//! Records in one redb file.
//!
//! Owns the file: its form, its lock, and what happens when the disk fails. It must not acknowledge what it cannot be sure
//! of: after a failed write or sync nobody knows which pages reached the disk (the kernel drops a page's error once it was
//! told), so the file is not trusted any more. All that was acknowledged is in memory too, and the next write begins with
//! a new file made of it, which takes the place of the old one.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError, TableDefinition,
    TableError,
};

use super::codec::{decode, encode};
use super::{Record, State, Store, StoreError};

/// Version of what is in the file. Another one is refused.
pub(super) const FORMAT: u64 = 1;

/// Bytes of redb's cache: the whole state of a large system fits several times.
const CACHE_BYTES: usize = 8 << 20;

/// Name of the file in the state directory.
const FILE_NAME: &str = "intent.redb";

/// Name of the file that is locked.
const LOCK_NAME: &str = "lock";

/// The one table: keys are `format`, `term/FS`, `drain/FS/OST`, `policy/FS` and `inventory/FS`.
pub(super) const INTENT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("intent");

/// Records in a redb file, and all of them in memory.
pub(crate) struct RedbStore {
    /// The file for messages.
    place: String,
    /// Where a new file can be made; `None` for a backend, which stays failed.
    path: Option<PathBuf>,
    database: Database,
    /// What was acknowledged.
    known: State,
    /// Why the database cannot be trusted any more.
    failed: Option<String>,
    /// Held as long as the store lives; redb's own lock is on a file that may be replaced.
    lock: Option<File>,
}

impl RedbStore {
    /// Opens or makes the store of a state directory, which is made too where it is missing.
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        make_folder(folder)
            .map_err(|error| StoreError::Folder { path: folder.to_owned(), reason: error.to_string() })?;
        let path = folder.join(FILE_NAME);
        let place = path.display().to_string();
        let lock = lock(folder, &place)?;
        // A file that is made in place and then cut off by a crash would look like a damaged one.
        let is_missing = fs::metadata(&path)
            .map_or_else(|error| error.kind() == ErrorKind::NotFound, |file| file.len() == 0);
        let database = if is_missing {
            make_new(&path, &State::default())?
        } else {
            guarded(&place, || builder().open(&path))?
        };
        let mut store = Self::start(database, place, Some(path))?;
        store.lock = Some(lock);
        Ok(store)
    }

    /// A store in a backend: for tests, which let it fail.
    #[cfg(test)]
    pub(crate) fn with_backend(backend: impl redb::StorageBackend) -> Result<Self, StoreError> {
        Self::with_backend_at(backend, None)
    }

    /// As [`Self::with_backend`]; a new file is made at the path when the backend failed.
    #[cfg(test)]
    pub(super) fn with_backend_at(
        backend: impl redb::StorageBackend,
        path: Option<PathBuf>,
    ) -> Result<Self, StoreError> {
        let place = String::from("the backend");
        let database = guarded(&place, || builder().create_with_backend(backend))?;
        Self::start(database, place, path)
    }

    fn start(database: Database, place: String, path: Option<PathBuf>) -> Result<Self, StoreError> {
        let read = contained(|| read_all(&database)).unwrap_or_else(|panic| Err(Unreadable::Damaged(panic)));
        let known = match read {
            Ok(Some(state)) => state,
            Ok(None) => {
                // Nothing was written since the file was made.
                commit(&database, &place, &[])?;
                State::default()
            }
            Err(Unreadable::Damaged(reason)) => return Err(StoreError::Damaged { place, reason }),
            Err(Unreadable::Format(found)) => {
                return Err(StoreError::Format { place, found, known: FORMAT });
            }
            Err(Unreadable::Io(reason)) => return Err(StoreError::Open { place, reason }),
        };
        Ok(Self { place, path, database, known, failed: None, lock: None })
    }

    /// Makes a new file of what was acknowledged, and lets it take the place of the failed one.
    fn renew(&mut self) -> Result<(), StoreError> {
        let Some(reason) = &self.failed else { return Ok(()) };
        let failed = |reason: String| StoreError::Write { place: self.place.clone(), reason };
        let Some(path) = &self.path else {
            return Err(failed(format!("it failed before: {reason}")));
        };
        let made = make_new(path, &self.known);
        let database = made.map_err(|error| failed(format!("{error}, after {reason}")))?;
        // It may fail while it is closed, and nothing depends on it any more.
        let old = std::mem::replace(&mut self.database, database);
        let _ = contained(move || drop(old));
        self.failed = None;
        Ok(())
    }
}

impl Store for RedbStore {
    fn load(&mut self) -> Result<State, StoreError> {
        Ok(self.known.clone())
    }

    fn write(&mut self, records: &[Record]) -> Result<(), StoreError> {
        self.known.check(records)?;
        self.renew()?;
        if records.is_empty() {
            return Ok(());
        }
        if let Err(error) = commit(&self.database, &self.place, records) {
            self.failed = Some(error.to_string());
            return Err(error);
        }
        self.known.apply(records);
        Ok(())
    }
}

impl Drop for RedbStore {
    fn drop(&mut self) {
        // redb writes a last time when it is closed, and in debug builds panics on what it finds there. Moving the
        // database out of `self` is not possible here, so an empty one takes its place.
        let empty = builder().create_with_backend(redb::backends::InMemoryBackend::new());
        let Ok(empty) = empty else { return };
        let old = std::mem::replace(&mut self.database, empty);
        let _ = contained(move || drop(old));
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    // Without it a file that was altered is trusted.
    builder.set_check_integrity_on_open(true);
    builder
}

/// Makes a folder and those above it, so that their names are durable too.
fn make_folder(folder: &Path) -> std::io::Result<()> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|above| !above.exists()).collect();
    // What operators wrote is nobody else's business.
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    missing.into_iter().filter(|made| !made.as_os_str().is_empty()).try_for_each(sync_folder_of)
}

/// One controller a folder, whatever happens to the files in it.
fn lock(folder: &Path, place: &str) -> Result<File, StoreError> {
    let unusable = |error: std::io::Error| StoreError::Folder {
        path: folder.to_owned(),
        reason: format!("cannot lock it: {error}"),
    };
    // Opened for writing, because network file systems give exclusive locks on no other.
    let file =
        File::options().write(true).create(true).truncate(false).mode(0o600).open(folder.join(LOCK_NAME));
    let file = file.map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { place: place.to_owned() }),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

/// A new file with a state: made whole and synced under another name, and only then durable under its own.
fn make_new(path: &Path, state: &State) -> Result<Database, StoreError> {
    let new = path.with_extension("redb.new");
    let made = make_beside(&new, path, state);
    if made.is_err() {
        // It may be half a file on a full disk; where it cannot be removed, the next try does.
        let _ = fs::remove_file(&new);
    }
    made
}

fn make_beside(new: &Path, path: &Path, state: &State) -> Result<Database, StoreError> {
    let place = new.display().to_string();
    let failed =
        |error: std::io::Error| StoreError::Write { place: place.clone(), reason: error.to_string() };
    match fs::remove_file(new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let database = guarded(&place, || builder().create(new))?;
    commit(&database, &place, &state.records())?;
    fs::rename(new, path).map_err(failed)?;
    // A file whose name is not durable is lost with everything in it.
    sync_folder_of(path).map_err(failed)?;
    Ok(database)
}

/// Makes the name of a file or folder durable.
fn sync_folder_of(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// One transaction with all records, and the format's number.
fn commit(database: &Database, place: &str, records: &[Record]) -> Result<(), StoreError> {
    let outcome = contained(|| put_all(database, records).map_err(|error| error.to_string()));
    outcome.unwrap_or_else(Err).map_err(|reason| StoreError::Write { place: place.to_owned(), reason })
}

fn put_all(database: &Database, records: &[Record]) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    // First the pages, then the pointer to them: a torn write of the pointer cannot meet pages that are not there.
    transaction.set_two_phase_commit(true);
    {
        let mut table = transaction.open_table(INTENT)?;
        put(&mut table, "format", &FORMAT)?;
        for record in records {
            let fs = record.fs();
            match record {
                Record::Term { term, .. } => put(&mut table, &format!("term/{fs}"), term)?,
                Record::Policy { policy, .. } => put(&mut table, &format!("policy/{fs}"), policy)?,
                Record::Inventory { inventory, .. } if inventory.is_empty() => {
                    table.remove(format!("inventory/{fs}").as_str())?;
                }
                Record::Inventory { inventory, .. } => {
                    put(&mut table, &format!("inventory/{fs}"), inventory)?;
                }
                Record::Drain { ost, drain: Some(drain), .. } => {
                    put(&mut table, &format!("drain/{fs}/{ost}"), drain)?;
                }
                Record::Drain { ost, drain: None, .. } => {
                    table.remove(format!("drain/{fs}/{ost}").as_str())?;
                }
            }
        }
    }
    transaction.commit()?;
    Ok(())
}

fn put<T: serde::Serialize>(
    table: &mut redb::Table<'_, &str, &[u8]>,
    key: &str,
    value: &T,
) -> Result<(), redb::Error> {
    let bytes = encode(key, value).map_err(|error| redb::Error::Io(error.into()))?;
    table.insert(key, bytes.as_slice())?;
    Ok(())
}

/// Why a file's content cannot be used.
enum Unreadable {
    Damaged(String),
    Format(String),
    Io(String),
}

impl From<redb::Error> for Unreadable {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Io(error) if !is_damage(&error) => Self::Io(error.to_string()),
            error => Self::Damaged(error.to_string()),
        }
    }
}

/// The state in a file; `None` where nothing was ever written.
fn read_all(database: &Database) -> Result<Option<State>, Unreadable> {
    let transaction = database.begin_read().map_err(redb::Error::from)?;
    let table = match transaction.open_table(INTENT) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => {
            let tables = transaction.list_tables().map_err(redb::Error::from)?.count();
            return match tables {
                0 => Ok(None),
                _ => Err(Unreadable::Damaged(String::from("it is a database of something else"))),
            };
        }
        Err(error) => return Err(redb::Error::from(error).into()),
    };
    let format = table.get("format").map_err(redb::Error::from)?;
    let Some(format) = format else {
        return Err(Unreadable::Damaged(String::from("it has no format number")));
    };
    let format: u64 = decode("format", format.value()).map_err(Unreadable::Damaged)?;
    if format != FORMAT {
        return Err(Unreadable::Format(format.to_string()));
    }
    let mut state = State::default();
    for row in table.iter().map_err(redb::Error::from)? {
        let (key, value) = row.map_err(redb::Error::from)?;
        let Some(record) = record_of(key.value(), value.value()).map_err(Unreadable::Damaged)? else {
            continue;
        };
        let record = [record];
        state.check(&record).map_err(|error| Unreadable::Damaged(error.to_string()))?;
        state.apply(&record);
    }
    Ok(Some(state))
}

/// The record under a key; `None` for the format's number.
fn record_of(key: &str, value: &[u8]) -> Result<Option<Record>, String> {
    let unknown = || format!("it has an unknown key {key:?}");
    if key == "format" {
        return Ok(None);
    }
    let (kind, fs) = key.split_once('/').ok_or_else(unknown)?;
    let owned = fs.to_owned();
    Ok(Some(match kind {
        "term" => Record::Term { fs: owned, term: decode(key, value)? },
        "policy" => Record::Policy { fs: owned, policy: decode(key, value)? },
        "inventory" => Record::Inventory { fs: owned, inventory: decode(key, value)? },
        "drain" => {
            // The name may have slashes of its own; an index has none.
            let (fs, ost) = fs.rsplit_once('/').ok_or_else(unknown)?;
            let ost = ost.parse().map_err(|_| unknown())?;
            Record::Drain { fs: fs.to_owned(), ost, drain: Some(decode(key, value)?) }
        }
        _ => return Err(unknown()),
    }))
}

/// Opens a database; what is in a damaged file must not end the process.
fn guarded(
    place: &str,
    open: impl FnOnce() -> Result<Database, DatabaseError>,
) -> Result<Database, StoreError> {
    let place = place.to_owned();
    match contained(open) {
        Ok(Ok(database)) => Ok(database),
        Err(panic) => Err(StoreError::Damaged { place, reason: panic }),
        Ok(Err(error)) => Err(match error {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
                StoreError::InUse { place }
            }
            DatabaseError::UpgradeRequired(found) => {
                StoreError::Format { place, found: format!("of redb {found}"), known: FORMAT }
            }
            DatabaseError::Storage(StorageError::Io(error)) if !is_damage(&error) => {
                StoreError::Open { place, reason: error.to_string() }
            }
            error => StoreError::Damaged { place, reason: error.to_string() },
        }),
    }
}

/// Whether an error of reading says that the content is wrong, and not the disk.
fn is_damage(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof)
}

/// Runs code of redb, whose debug builds panic on damaged files, and gives a panic's message as error.
fn contained<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        format!("the database stopped: {}", text.unwrap_or_else(|| String::from("no reason given")))
    })
}

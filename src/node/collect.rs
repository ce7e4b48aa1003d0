//! Fetching what client processes left: their files are moved into a folder of the daemon's own, read, and removed.
//!
//! It must never hold up a client: a client opens its file by name for each record, so after the move it begins a new
//! one, and an append that was under way lands in the moved file. So a moved file is read twice: at once, and from there
//! on at the next visit, when it is removed. How far it was read stands in its name and outlives the daemon.
//!
//! Anybody may leave anything in the folder, so nobody's files may take the turn of another's: the next file is always
//! one of the user who had least of this visit, and what is no file of records is taken away ([`super::aside`]).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{self, File, ReadDir};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, open};
use tarazu::spool::{RECORD_BYTES_MAX, Record, Records, SPOOL_BYTES_MAX, SPOOL_FOLDER};
use tracing::warn;

use super::aside::Aside;
use super::jobs::Session;
use super::rundir::TAKEN_FOLDER;

/// Files that one visit reads: a rank on each hardware thread of a large node, with two sessions each.
pub(crate) const FILES_MAX: usize = 1024;

/// Entries of a folder that one visit passes on its way to files; the next visit goes on behind them.
const ENTRIES_MAX: usize = 16 * FILES_MAX;

/// Bytes that one visit reads, about forty thousand files' records: more would hold a core of the job's for longer
/// than some milliseconds.
pub(crate) const BYTES_MAX: usize = 4 << 20;

/// What a file costs its user beside its bytes: opening and moving take about as long as reading so much.
const FILE_COST_BYTES: usize = 4096;

/// Characters of a file's name: process id, its start, a random number and the session's, of 53 digits and dashes.
const NAME_BYTES_MAX: usize = 64;

/// Files that were read and cannot be removed, of which the daemon remembers not to read them again. Beyond, moved files
/// are left unread.
const STUCK_MAX: usize = 4 * FILES_MAX;

/// What one file held.
#[derive(Debug)]
pub(crate) struct Said {
    /// Whose session: the owner of the file is the only word on who speaks.
    pub(crate) session: Session,
    pub(crate) records: Vec<Record>,
}

/// What one visit brought.
#[derive(Debug, Default)]
pub(crate) struct Visit {
    pub(crate) said: Vec<Said>,
    /// Places in files that are no record.
    pub(crate) damaged: u64,
    /// Things in the folder that are no files of records; taken away.
    pub(crate) foreign: u64,
    /// Files that could not be read; removed.
    pub(crate) unreadable: u64,
    /// Files that were read and could not be removed.
    pub(crate) not_removed: u64,
    /// Sessions whose files are there and not read to their end.
    pub(crate) waiting: BTreeSet<Session>,
    /// The folder holds more than was looked at.
    pub(crate) more: bool,
    read_bytes: usize,
    read_files: usize,
    /// Names of files that were moved and not read to their end.
    moving: BTreeSet<String>,
}

/// A file that may be read in a visit.
#[derive(Debug)]
struct Candidate {
    session: Session,
    /// How far an earlier visit has read it; none where it was not moved yet.
    offset: Option<u64>,
}

/// The folders, and how far they were looked through.
#[derive(Debug)]
pub(crate) struct Collector {
    placed: PathBuf,
    taken: PathBuf,
    aside: Aside,
    /// The folder of records where a visit did not get to its end: whatever lies in front, what is behind gets its turn.
    listing: Option<ReadDir>,
    /// Names of moved files that were read and cannot be removed.
    stuck: BTreeSet<String>,
    warned_of_stuck: bool,
    remove: fn(&Path) -> io::Result<()>,
    owner_of: fn(&fs::Metadata) -> u32,
}

impl Collector {
    pub(crate) fn new(run_dir: &Path) -> Self {
        Self {
            placed: run_dir.join(SPOOL_FOLDER),
            taken: run_dir.join(TAKEN_FOLDER),
            aside: Aside::new(run_dir),
            listing: None,
            stuck: BTreeSet::new(),
            warned_of_stuck: false,
            remove: |path| fs::remove_file(path),
            owner_of: MetadataExt::uid,
        }
    }

    /// The folder in which files appear.
    pub(crate) fn placed(&self) -> &Path {
        &self.placed
    }

    /// Whether nothing waits in the folder. Folders hold no records, and one that cannot be taken away must not keep
    /// the daemon awake.
    pub(crate) fn is_empty(&self) -> bool {
        let is_folder = |entry: io::Result<fs::DirEntry>| {
            entry.and_then(|entry| entry.file_type()).is_ok_and(|kind| kind.is_dir())
        };
        fs::read_dir(&self.placed).is_ok_and(|mut entries| {
            entries.by_ref().take(ENTRIES_MAX).all(is_folder) && entries.next().is_none()
        })
    }

    /// Reads what the last visit moved to its end, and moves and reads what is new, of each user in turn. What exceeds
    /// the limits stays for the next visit.
    pub(crate) fn visit(&mut self) -> io::Result<Visit> {
        let mut visit = Visit::default();
        self.aside.clear();
        let mut users = self.moved_files(&mut visit)?;
        self.new_files(&mut users, &mut visit)?;
        let mut spent: BTreeMap<u32, usize> = users.keys().map(|owner| (*owner, 0)).collect();
        while visit.read_bytes < BYTES_MAX && visit.read_files < FILES_MAX {
            let waits = |owner: &u32| users.get(owner).is_some_and(|files| !files.is_empty());
            let least = spent.iter().filter(|(owner, _)| waits(owner)).min_by_key(|(_, spent)| **spent);
            let Some(owner) = least.map(|(owner, _)| *owner) else { break };
            let Some(file) = users.get_mut(&owner).and_then(VecDeque::pop_front) else { break };
            let before = visit.read_bytes;
            visit.read_files += 1;
            match file.offset {
                Some(offset) => self.finish(file.session, offset, &mut visit),
                None => self.fetch(file.session, &mut visit),
            }
            *spent.entry(owner).or_default() += visit.read_bytes - before + FILE_COST_BYTES;
        }
        visit.waiting.extend(users.into_values().flatten().map(|file| file.session));
        Ok(visit)
    }

    /// Files that earlier visits moved, by owner. Their folder is the daemon's alone and holds what it has put there.
    fn moved_files(&mut self, visit: &mut Visit) -> io::Result<BTreeMap<u32, VecDeque<Candidate>>> {
        let mut users: BTreeMap<u32, VecDeque<Candidate>> = BTreeMap::new();
        let mut names: Vec<String> = Vec::new();
        for entry in fs::read_dir(&self.taken)?.take(ENTRIES_MAX).flatten() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        for name in names {
            let path = self.taken.join(&name);
            if self.stuck.contains(&name) {
                self.remove_read(&name, visit);
                continue;
            }
            let found = fs::symlink_metadata(&path).ok();
            let owner = found.filter(fs::Metadata::is_file).map(|found| (self.owner_of)(&found));
            match owner.and_then(|owner| moved(&name, owner)) {
                Some((session, offset)) => {
                    visit.moving.insert(session.name.clone());
                    visit.waiting.insert(session.clone());
                    let file = Candidate { offset: Some(offset), session };
                    users.entry(file.session.owner).or_default().push_back(file);
                }
                None => visit.foreign += u64::from(self.aside.take_away(&path, None)),
            }
        }
        Ok(users)
    }

    /// Files in the folder of records, by owner and name, behind those that were moved. Goes on where the last visit
    /// ended.
    fn new_files(
        &mut self,
        users: &mut BTreeMap<u32, VecDeque<Candidate>>,
        visit: &mut Visit,
    ) -> io::Result<()> {
        let placed = self.placed.clone();
        let begin = || fs::read_dir(&placed);
        let (mut listing, mut has_begun) = match self.listing.take() {
            Some(listing) => (listing, false),
            None => (begin()?, true),
        };
        let mut new: BTreeSet<Session> = BTreeSet::new();
        let mut passed = 0;
        while passed < ENTRIES_MAX {
            passed += 1;
            match listing.next() {
                Some(Ok(entry)) => new.extend(self.look_at(&entry, visit)),
                Some(Err(_)) => {}
                None if has_begun => break,
                // What lies in front was added, or not read, since then.
                None => (listing, has_begun) = (begin()?, true),
            }
        }
        if passed >= ENTRIES_MAX {
            visit.more = true;
            self.listing = Some(listing);
        }
        for session in new {
            users.entry(session.owner).or_default().push_back(Candidate { session, offset: None });
        }
        Ok(())
    }

    /// A file of records, or something to be taken away.
    fn look_at(&mut self, entry: &fs::DirEntry, visit: &mut Visit) -> Option<Session> {
        // The kind in the listing may be old; reading looks again.
        let kind = entry.file_type().ok();
        let name = entry.file_name();
        let name = name.to_str().filter(|name| kind.is_some_and(|kind| kind.is_file()) && shaped(name));
        let Some(name) = name else {
            visit.foreign += u64::from(self.aside.take_away(&entry.path(), kind));
            return None;
        };
        // It may be gone by now.
        let found = fs::symlink_metadata(entry.path()).ok()?;
        session(name, (self.owner_of)(&found))
    }

    /// A file that was moved by an earlier visit: no append is under way any more.
    fn finish(&mut self, session: Session, offset: u64, visit: &mut Visit) {
        let name = format!("{}@{offset}", session.name);
        if self.stuck.len() >= STUCK_MAX {
            return;
        }
        visit.waiting.remove(&session);
        visit.moving.remove(&session.name);
        let path = self.taken.join(&name);
        match self.read(&path, offset) {
            Ok(Some((owner, bytes))) => {
                visit.take(Session { owner, ..session }, &bytes);
                self.remove_read(&name, visit);
            }
            Ok(None) => visit.foreign += u64::from(self.aside.take_away(&path, None)),
            Err(error) => self.give_up(&path, &error, visit),
        }
    }

    /// Removes a file that was read to its end. Where that fails it is not read again, as its records would count twice.
    fn remove_read(&mut self, name: &str, visit: &mut Visit) {
        match (self.remove)(&self.taken.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                visit.not_removed += u64::from(self.stuck.insert(name.to_owned()));
                if !std::mem::replace(&mut self.warned_of_stuck, true) {
                    let folder = self.taken.display();
                    warn!(%error, %folder, name, "a file of records that was read cannot be removed; it is not read again, and others are not warned of");
                }
            }
            _ => {
                self.stuck.remove(name);
            }
        }
    }

    fn fetch(&mut self, session: Session, visit: &mut Visit) {
        let name = &session.name;
        let (path, start) = (self.placed.join(name), format!("{name}@0"));
        let here = self.taken.join(&start);
        // One file of a session at a time, so that its records stay in order; and none that cannot be removed is
        // written over.
        if visit.moving.contains(name) || here.exists() {
            visit.waiting.insert(session);
            return;
        }
        if let Err(error) = fs::rename(&path, &here) {
            return self.give_up(&path, &error, visit);
        }
        match self.read(&here, 0) {
            Ok(Some((owner, bytes))) => {
                let session = Session { owner, ..session };
                visit.moving.insert(session.name.clone());
                visit.waiting.insert(session.clone());
                // A record that is being written makes all of the file wait for the next visit, when it is whole.
                let mut records = Records::new(&bytes);
                let whole: Vec<Record> = records.by_ref().collect();
                let read_on = self.taken.join(format!("{}@{}", session.name, bytes.len()));
                visit.read_bytes += bytes.len();
                if records.damaged() == 0 && !read_on.exists() && fs::rename(&here, read_on).is_ok() {
                    visit.said.push(Said { session, records: whole });
                }
            }
            Ok(None) => visit.foreign += u64::from(self.aside.take_away(&here, None)),
            Err(error) => self.give_up(&here, &error, visit),
        }
    }

    /// A file that cannot be moved or read; one that is gone is nobody's loss.
    fn give_up(&self, path: &Path, error: &io::Error, visit: &mut Visit) {
        if error.kind() != io::ErrorKind::NotFound {
            visit.unreadable += 1;
            // What cannot be removed either is counted again at the next visit.
            let _ = fs::remove_file(path);
        }
    }

    /// Owner and bytes from `offset` on; `None` where it is no ordinary file.
    fn read(&self, path: &Path, offset: u64) -> io::Result<Option<(u32, Vec<u8>)>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let mut file = File::from(open(path, flags, Mode::empty())?);
        let found = file.metadata()?;
        if !found.is_file() {
            return Ok(None);
        }
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.take((SPOOL_BYTES_MAX + RECORD_BYTES_MAX) as u64).read_to_end(&mut bytes)?;
        Ok(Some(((self.owner_of)(&found), bytes)))
    }
}

impl Visit {
    fn take(&mut self, session: Session, bytes: &[u8]) {
        self.read_bytes += bytes.len();
        let mut records = Records::new(bytes);
        let whole: Vec<Record> = records.by_ref().collect();
        self.damaged += u64::from(records.damaged());
        if !whole.is_empty() {
            self.said.push(Said { session, records: whole });
        }
    }
}

/// Whether a file of records may have this name: numbers with dashes between them.
fn shaped(name: &str) -> bool {
    session(name, 0).is_some()
}

/// The session of a file in the folder of records: numbers with dashes between them, the process id first.
fn session(name: &str, owner: u32) -> Option<Session> {
    let shaped =
        name.len() <= NAME_BYTES_MAX && name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let pid = name.split('-').next()?.parse().ok()?;
    (shaped && pid > 0).then(|| Session { owner, pid, name: name.to_owned() })
}

/// Session of a moved file and how far it was read.
fn moved(name: &str, owner: u32) -> Option<(Session, u64)> {
    let (name, offset) = name.split_once('@')?;
    Some((session(name, owner)?, offset.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::super::aside::ASIDE_FOLDER;
    use super::*;
    use std::io::Write;
    use tarazu::spool::{Body, encode};
    use tarazu_layout::{JobId, Time};

    fn collector() -> (tempfile::TempDir, Collector) {
        let place = tempfile::tempdir().expect("a folder");
        let collector = Collector::new(place.path());
        for folder in [SPOOL_FOLDER, TAKEN_FOLDER, ASIDE_FOLDER] {
            fs::create_dir(place.path().join(folder)).expect("made");
        }
        (place, collector)
    }

    fn record(job: u64) -> Vec<u8> {
        let record = Record {
            uid: 1,
            pid: 2,
            at: Time(3),
            fs_name_hash: 4,
            job: JobId(job),
            lost: 0,
            body: Body::End,
        };
        encode(&record).expect("a record within its limits")
    }

    fn append(path: &Path, bytes: &[u8]) {
        let mut file = File::options().append(true).create(true).open(path).expect("opened");
        file.write_all(bytes).expect("written");
    }

    fn left(folder: &Path) -> usize {
        fs::read_dir(folder).expect("read").count()
    }

    fn jobs(visit: &Visit) -> Vec<u64> {
        visit.said.iter().flat_map(|said| said.records.iter().map(|record| record.job.0)).collect()
    }

    #[test]
    fn late_appends_are_read_at_the_next_visit_and_nothing_twice() {
        let (_place, mut collector) = collector();
        let path = collector.placed.join("9-1-4294967295-0");
        append(&path, &record(1));
        let mut late = File::options().append(true).open(&path).expect("a writer that is slow");
        let visit = collector.visit().expect("a visit");
        assert_eq!((jobs(&visit), visit.waiting.len()), (vec![1], 1));
        assert!(!path.exists());
        late.write_all(&record(2)).expect("written");
        append(&path, &record(3));
        let visit = collector.visit().expect("a visit");
        assert_eq!(jobs(&visit), [2, 3]);
        // A daemon that was killed now goes on where this one was.
        let visit = Collector::new(_place.path()).visit().expect("a visit");
        assert_eq!((jobs(&visit), visit.waiting.len(), visit.damaged), (vec![], 0, 0));
        assert_eq!(left(&collector.taken), 0);
    }

    #[test]
    fn a_record_that_is_being_written_is_waited_for_once() {
        let (_place, mut collector) = collector();
        let path = collector.placed.join("9-1-0");
        let whole = record(2);
        append(&path, &[&record(1)[..], &whole[..20]].concat());
        let mut late = File::options().append(true).open(&path).expect("a writer that is slow");
        let visit = collector.visit().expect("a visit");
        assert_eq!((jobs(&visit), visit.damaged), (vec![], 0));
        late.write_all(&whole[20..]).expect("written");
        assert_eq!(jobs(&collector.visit().expect("a visit")), [1, 2]);
        append(&path, &[&record(1)[..], &whole[..20]].concat());
        collector.visit().expect("a visit");
        let visit = collector.visit().expect("a visit");
        assert_eq!((jobs(&visit), visit.damaged), (vec![1], 1), "it stayed half");
    }

    #[test]
    fn foreign_things_are_removed_and_hold_nobody_up() {
        let (place, mut collector) = collector();
        let elsewhere = place.path().join("secret");
        append(&elsewhere, &record(9));
        std::os::unix::fs::symlink(&elsewhere, collector.placed.join("1-1-0")).expect("a link");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            collector.placed.join("2-1-0"),
            rustix::fs::FileType::Fifo,
            Mode::RWXU,
            0,
        )
        .expect("a pipe");
        fs::create_dir(collector.placed.join("3-1-0")).expect("a folder");
        fs::create_dir_all(collector.placed.join("6-1-0/full")).expect("a folder that is not empty");
        append(&collector.placed.join("x"), &record(9));
        append(&collector.placed.join("0-1"), &record(9));
        append(&collector.placed.join("4-1-0"), &record(4));
        append(&collector.placed.join("5-1-0"), &vec![0x54; 1 << 20]);
        let visit = collector.visit().expect("a visit");
        assert_eq!((jobs(&visit), visit.foreign + visit.unreadable), (vec![4], 6));
        let visit = collector.visit().expect("a visit");
        assert!(jobs(&visit).is_empty() && visit.damaged > 0 && visit.damaged < 20, "{visit:?}");
        assert!(elsewhere.exists());
        assert_eq!(
            left(&collector.placed) + left(&collector.taken) + left(&place.path().join(ASIDE_FOLDER)),
            0
        );
    }

    #[test]
    fn a_visit_has_its_limits_and_the_rest_comes_later() {
        let (_place, mut collector) = collector();
        let many = record(1).repeat(SPOOL_BYTES_MAX / record(1).len());
        for pid in 1..=6 {
            append(&collector.placed.join(format!("{pid}-1-0")), &many);
        }
        let (mut total, mut visits) = (0, 0);
        while total < 6 * SPOOL_BYTES_MAX / record(1).len() - 6 && visits < 10 {
            let visit = collector.visit().expect("a visit");
            assert!(visit.read_bytes <= BYTES_MAX + SPOOL_BYTES_MAX + RECORD_BYTES_MAX);
            total += jobs(&visit).len();
            visits += 1;
        }
        assert!((2..10).contains(&visits), "{visits} visits for {total} records");
    }

    #[test]
    fn thousands_of_foreign_things_do_not_hide_a_file() {
        let (place, mut collector) = collector();
        for number in 0..ENTRIES_MAX + 2000 {
            // Full folders are what takes most to be taken away.
            match number % 8 {
                0 => fs::create_dir_all(collector.placed.join(format!("d{number}/full"))).expect("made"),
                _ => std::os::unix::fs::symlink("x", collector.placed.join(format!("{number}-1-0")))
                    .expect("a link"),
            }
        }
        append(&collector.placed.join("999999-1-0"), &record(4));
        let (mut seen, mut visits) = (Vec::new(), 0);
        while seen.is_empty() && visits < 3 {
            let visit = collector.visit().expect("a visit");
            seen.extend(jobs(&visit));
            visits += 1;
        }
        assert_eq!(seen, [4]);
        while visits < 30 && !(collector.is_empty() && left(&collector.placed) == 0) {
            collector.visit().expect("a visit");
            visits += 1;
        }
        for _ in 0..3 {
            collector.visit().expect("a visit");
        }
        assert_eq!(left(&collector.placed) + left(&place.path().join(ASIDE_FOLDER)), 0, "{visits} visits");
    }

    #[test]
    fn one_users_files_do_not_take_anothers_turn() {
        let (_place, mut collector) = collector();
        // Only root can give files away, so here the small ones are another user's.
        collector.owner_of = |found| if found.len() < 4096 { 4242 } else { 1 };
        let many = record(1).repeat(SPOOL_BYTES_MAX / record(1).len());
        for number in 1..=8 {
            append(&collector.placed.join(format!("1-{number}-0")), &many);
        }
        for pid in 7000..7100 {
            append(&collector.placed.join(format!("{pid}-1-0")), &record(2));
        }
        let visit = collector.visit().expect("a visit");
        let small = visit.said.iter().filter(|said| said.session.owner == 4242).count();
        assert_eq!(small, 100, "all of the small user's files in one visit");
        assert!(visit.said.iter().any(|said| said.session.owner != 4242), "and some of the other's");
        assert!(visit.read_bytes <= BYTES_MAX + SPOOL_BYTES_MAX + RECORD_BYTES_MAX);
        assert!(visit.waiting.len() >= 100, "what was not read is waited for");
    }

    #[test]
    fn a_file_that_cannot_be_removed_is_not_read_twice() {
        let (_place, mut collector) = collector();
        append(&collector.placed.join("9-1-0"), &record(1));
        collector.remove = |_| Err(io::Error::from(io::ErrorKind::ReadOnlyFilesystem));
        let mut seen = Vec::new();
        let mut not_removed = 0;
        for _ in 0..4 {
            let visit = collector.visit().expect("a visit");
            seen.extend(jobs(&visit));
            not_removed += visit.not_removed;
        }
        assert_eq!((seen, not_removed, left(&collector.taken)), (vec![1], 1, 1));
        collector.remove = |path| fs::remove_file(path);
        let visit = collector.visit().expect("a visit");
        assert_eq!((jobs(&visit), visit.waiting.len(), left(&collector.taken)), (vec![], 0, 0));
        append(&collector.placed.join("9-1-0"), &record(2));
        assert_eq!(jobs(&collector.visit().expect("a visit")), [2], "its name can be used again");
    }
}

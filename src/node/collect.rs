//! Fetching what client processes left: their files are moved into a folder of the daemon's own, read, and removed.
//!
//! It must never hold up a client: a client opens its file by name for each record, so after the move it begins a new
//! one, and an append that was under way lands in the moved file. So a moved file is read twice: at once, and from there
//! on at the next visit, when it is removed. How far it was read stands in its name and outlives the daemon.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, open};
use tarazu::spool::{RECORD_BYTES_MAX, Record, Records, SPOOL_BYTES_MAX, SPOOL_FOLDER};

use super::jobs::Session;
use super::rundir::TAKEN_FOLDER;

/// Files that one visit looks at: a rank on each hardware thread of a large node, with two sessions each.
pub(crate) const FILES_MAX: usize = 1024;

/// Entries of a folder that one visit passes on its way to files.
const ENTRIES_MAX: usize = 16 * FILES_MAX;

/// Bytes that one visit reads, about forty thousand files' records: more would hold a core of the job's for longer
/// than some milliseconds.
pub(crate) const BYTES_MAX: usize = 4 << 20;

/// Characters of a file's name: process id, its start, a random number and the session's, of 53 digits and dashes.
const NAME_BYTES_MAX: usize = 64;

/// What one file held.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) session: Session,
    /// Who owns the file: the only word on who speaks.
    pub(crate) owner: u32,
    pub(crate) records: Vec<Record>,
}

/// What one visit brought.
#[derive(Debug, Default)]
pub(crate) struct Visit {
    pub(crate) said: Vec<Said>,
    /// Places in files that are no record.
    pub(crate) damaged: u64,
    /// Things in the folder that are no files of records; removed.
    pub(crate) foreign: u64,
    /// Files that could not be read; removed.
    pub(crate) unreadable: u64,
    /// Sessions whose files are there and not read to their end.
    pub(crate) waiting: BTreeSet<Session>,
    read_bytes: usize,
}

/// The two folders.
#[derive(Debug)]
pub(crate) struct Collector {
    placed: PathBuf,
    taken: PathBuf,
}

impl Collector {
    pub(crate) fn new(run_dir: &Path) -> Self {
        Self { placed: run_dir.join(SPOOL_FOLDER), taken: run_dir.join(TAKEN_FOLDER) }
    }

    /// The folder in which files appear.
    pub(crate) fn placed(&self) -> &Path {
        &self.placed
    }

    /// Whether nothing waits in the folder.
    pub(crate) fn is_empty(&self) -> bool {
        fs::read_dir(&self.placed).is_ok_and(|mut entries| entries.next().is_none())
    }

    /// Reads what the last visit moved to its end, then moves and reads what is new. What exceeds the limits stays
    /// for the next visit.
    pub(crate) fn visit(&self) -> io::Result<Visit> {
        let mut visit = Visit::default();
        for name in names(&self.taken)? {
            self.finish(&name, &mut visit);
        }
        for name in names(&self.placed)? {
            self.fetch(&name, &mut visit);
        }
        Ok(visit)
    }

    /// A file that was moved by an earlier visit: no append is under way any more.
    fn finish(&self, name: &str, visit: &mut Visit) {
        let path = self.taken.join(name);
        let Some((session, offset)) = moved(name) else {
            discard(&path, &mut visit.foreign);
            return;
        };
        if visit.read_bytes >= BYTES_MAX {
            visit.waiting.insert(session);
            return;
        }
        match read(&path, offset) {
            Ok(Some((owner, bytes))) => {
                let _ = fs::remove_file(&path);
                visit.take(session, owner, &bytes);
            }
            Ok(None) => discard(&path, &mut visit.foreign),
            Err(_) => discard(&path, &mut visit.unreadable),
        }
    }

    fn fetch(&self, name: &str, visit: &mut Visit) {
        let path = self.placed.join(name);
        let Some(session) = session(name) else {
            discard(&path, &mut visit.foreign);
            return;
        };
        // One file of a session at a time, so that its records stay in order.
        if visit.waiting.contains(&session) || visit.read_bytes >= BYTES_MAX {
            visit.waiting.insert(session);
            return;
        }
        let here = self.taken.join(format!("{name}@0"));
        if fs::rename(&path, &here).is_err() {
            discard(&path, &mut visit.foreign);
            return;
        }
        match read(&here, 0) {
            Ok(Some((owner, bytes))) => {
                visit.waiting.insert(session.clone());
                // A record that is being written makes all of the file wait for the next visit, when it is whole.
                let mut records = Records::new(&bytes);
                let whole: Vec<Record> = records.by_ref().collect();
                let read_on = self.taken.join(format!("{name}@{}", bytes.len()));
                if records.damaged() == 0 && fs::rename(&here, read_on).is_ok() {
                    visit.read_bytes += bytes.len();
                    visit.said.push(Said { session, owner, records: whole });
                }
            }
            Ok(None) => discard(&here, &mut visit.foreign),
            Err(_) => discard(&here, &mut visit.unreadable),
        }
    }
}

impl Visit {
    fn take(&mut self, session: Session, owner: u32, bytes: &[u8]) {
        self.read_bytes += bytes.len();
        let mut records = Records::new(bytes);
        let whole: Vec<Record> = records.by_ref().collect();
        self.damaged += u64::from(records.damaged());
        if !whole.is_empty() {
            self.said.push(Said { session, owner, records: whole });
        }
    }
}

/// The first files of a folder by name, in order, so that two visits of the same files agree. Folders are nobody's
/// records: an empty one is removed, and one that is not must not take a file's turn.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)?.take(ENTRIES_MAX).flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let _ = fs::remove_dir(entry.path());
        } else {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        if names.len() >= FILES_MAX {
            break;
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The session of a file in the folder of records: numbers with dashes between them, the process id first.
fn session(name: &str) -> Option<Session> {
    let shaped =
        name.len() <= NAME_BYTES_MAX && name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let pid = name.split('-').next()?.parse().ok()?;
    (shaped && pid > 0).then(|| Session { pid, name: name.to_owned() })
}

/// Session of a moved file and how far it was read.
fn moved(name: &str) -> Option<(Session, u64)> {
    let (name, offset) = name.split_once('@')?;
    Some((session(name)?, offset.parse().ok()?))
}

/// Owner and bytes from `offset` on; `None` where it is no ordinary file.
fn read(path: &Path, offset: u64) -> io::Result<Option<(u32, Vec<u8>)>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let mut file = File::from(open(path, flags, Mode::empty())?);
    let found = file.metadata()?;
    if !found.is_file() {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take((SPOOL_BYTES_MAX + RECORD_BYTES_MAX) as u64).read_to_end(&mut bytes)?;
    Ok(Some((found.uid(), bytes)))
}

/// Removes what does not belong here.
fn discard(path: &Path, counter: &mut u64) {
    *counter += 1;
    let _ = fs::remove_file(path);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use tarazu::spool::{Body, encode};
    use tarazu_layout::{JobId, Time};

    fn collector() -> (tempfile::TempDir, Collector) {
        let place = tempfile::tempdir().expect("a folder");
        let collector = Collector::new(place.path());
        for folder in [&collector.placed, &collector.taken] {
            fs::create_dir(folder).expect("made");
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

    fn jobs(visit: &Visit) -> Vec<u64> {
        visit.said.iter().flat_map(|said| said.records.iter().map(|record| record.job.0)).collect()
    }

    #[test]
    fn late_appends_are_read_at_the_next_visit_and_nothing_twice() {
        let (_place, collector) = collector();
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
        assert_eq!(names(&collector.taken).expect("read"), Vec::<String>::new());
    }

    #[test]
    fn a_record_that_is_being_written_is_waited_for_once() {
        let (_place, collector) = collector();
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
        let (place, collector) = collector();
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
        assert_eq!((jobs(&visit), visit.foreign + visit.unreadable), (vec![4], 4));
        let visit = collector.visit().expect("a visit");
        assert!(jobs(&visit).is_empty() && visit.damaged > 0 && visit.damaged < 20, "{visit:?}");
        assert!(elsewhere.exists());
        assert_eq!(
            names(&collector.placed).expect("read").len() + names(&collector.taken).expect("read").len(),
            0
        );
    }

    #[test]
    fn a_visit_has_its_limits_and_the_rest_comes_later() {
        let (_place, collector) = collector();
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
}

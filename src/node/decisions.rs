//! The recent decisions of each user, for `tarazu explain FILE`: a bounded text that only that user reads.
//!
//! It owns the lines: written here, read by [`read`] and [`latest`]. It holds no paths, only their hashes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, open};
use tarazu::spool::{Body, Record};
use tarazu_layout::{OstIndex, Time};

use super::rundir::{RunDirError, replace_for};

/// The folder of these files inside the run directory; each is named by its user's number.
pub(crate) const DECISIONS_FOLDER: &str = "decisions";

/// Decisions of one user: what a burst of one node makes, and enough for a question a moment later.
pub(crate) const DECISIONS_MAX: usize = 256;

/// Users of one node whose decisions are kept; the one who was heard longest ago goes first.
const USERS_MAX: usize = 64;

/// Targets that a line names; of a wider file the first.
const TARGETS_SHOWN: usize = 32;

/// Bytes of such a file that a reader takes: every line at its longest.
const FILE_BYTES_MAX: u64 = (DECISIONS_MAX as u64 + 1) * 640;

const HEAD: &str = "tarazu-decisions 1";

/// One decision as it was written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    /// When, in nanoseconds of the wall clock since 1970.
    pub(crate) at: Time,
    /// The file system's name, `-` where the daemon knows none of that hash.
    pub(crate) file_system: String,
    /// Hash of the path as the application gave it ([`tarazu_layout::hash::bytes`]).
    pub(crate) path_hash: u64,
    /// The rest in words: `placed order=(2, 40) tier=now asked=3,7 got=3,7` or `left unknown_job`.
    pub(crate) words: String,
}

impl Decision {
    /// What a record says of a file; `None` where it says nothing of one.
    pub(crate) fn of(record: &Record, at: Time, file_system: &str) -> Option<Self> {
        let (path_hash, words) = match &record.body {
            Body::Created(created) => {
                let tier = match created.tier {
                    tarazu_table::Tier::Now => "now",
                    tarazu_table::Tier::Steady => "steady",
                };
                let order = created.order;
                let (asked, got) = (targets(&created.asked), targets(&created.got));
                (
                    created.path_hash,
                    format!("placed order={},{} tier={tier} asked={asked} got={got}", order.term, order.seq),
                )
            }
            Body::Left { path_hash, why, .. } => (*path_hash, format!("left {why}")),
            Body::Advise(_) | Body::Closed { .. } | Body::End => return None,
        };
        Some(Self { at, file_system: file_system.to_owned(), path_hash, words })
    }

    fn line(&self) -> String {
        format!("{} {} {:016x} {}\n", self.at.0, self.file_system, self.path_hash, self.words)
    }

    fn parse(line: &str) -> Option<Self> {
        let mut parts = line.splitn(4, ' ');
        Some(Self {
            at: Time(parts.next()?.parse().ok()?),
            file_system: parts.next()?.to_owned(),
            path_hash: u64::from_str_radix(parts.next()?, 16).ok()?,
            words: parts.next()?.to_owned(),
        })
    }
}

/// Targets as a decision's words name them: the first of a wide file, and how many more there are.
pub(crate) fn targets(osts: &[OstIndex]) -> String {
    let mut text = String::new();
    for (place, ost) in osts.iter().take(TARGETS_SHOWN).enumerate() {
        let comma = if place == 0 { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(text, "{comma}{}", ost.0);
    }
    if osts.len() > TARGETS_SHOWN {
        let _ = write!(text, ",+{}", osts.len() - TARGETS_SHOWN);
    }
    if osts.is_empty() { "-".into() } else { text }
}

/// The decisions of the node's users.
#[derive(Debug)]
pub(crate) struct Decisions {
    run_dir: PathBuf,
    users: BTreeMap<u32, VecDeque<Decision>>,
    /// Users in the order in which they were heard, the newest last.
    heard: Vec<u32>,
    changed: BTreeSet<u32>,
}

impl Decisions {
    pub(crate) fn new(run_dir: &Path) -> Self {
        Self {
            run_dir: run_dir.to_owned(),
            users: BTreeMap::new(),
            heard: Vec::new(),
            changed: BTreeSet::new(),
        }
    }

    pub(crate) fn push(&mut self, uid: u32, decision: Decision) {
        self.heard.retain(|user| *user != uid);
        self.heard.push(uid);
        if self.heard.len() > USERS_MAX {
            let oldest = self.heard.remove(0);
            self.users.remove(&oldest);
            self.changed.remove(&oldest);
            let _ = std::fs::remove_file(path(&self.run_dir, oldest));
        }
        // What an earlier daemon wrote goes on.
        let user =
            self.users.entry(uid).or_insert_with(|| read(&self.run_dir, uid).unwrap_or_default().into());
        user.push_back(decision);
        if user.len() > DECISIONS_MAX {
            user.pop_front();
        }
        self.changed.insert(uid);
    }

    /// Writes the files of those who decided something since the last time. Each belongs to its user where this
    /// daemon may give files away.
    pub(crate) fn write(&mut self) -> Result<(), RunDirError> {
        let root = rustix::process::geteuid().is_root();
        for uid in std::mem::take(&mut self.changed) {
            let Some(user) = self.users.get(&uid) else { continue };
            let lines: String = user.iter().map(Decision::line).collect();
            let owner = root.then_some(uid);
            replace_for(&path(&self.run_dir, uid), format!("{HEAD}\n{lines}").as_bytes(), 0o600, owner)?;
        }
        Ok(())
    }
}

fn path(run_dir: &Path, uid: u32) -> PathBuf {
    run_dir.join(DECISIONS_FOLDER).join(uid.to_string())
}

/// The recent decisions of a user on this node, the oldest first; none where nothing was written. Lines that are no
/// decisions are left out.
///
/// # Errors
/// The file is there and cannot be read: it is another user's.
pub(crate) fn read(run_dir: &Path, uid: u32) -> io::Result<Vec<Decision>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match open(path(run_dir, uid), flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::NOENT) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let lines = text.lines().skip_while(|line| *line != HEAD).skip(1);
    Ok(lines.filter_map(Decision::parse).take(DECISIONS_MAX).collect())
}

/// The newest decision of a user about a path, given as the application gave it.
///
/// # Errors
/// As [`read`].
pub(crate) fn latest(run_dir: &Path, uid: u32, path: &[u8]) -> io::Result<Option<Decision>> {
    let hash = tarazu_layout::hash::bytes(path);
    Ok(read(run_dir, uid)?.into_iter().rev().find(|decision| decision.path_hash == hash))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;
    use tarazu::spool::Created;
    use tarazu_layout::{JobId, hash};
    use tarazu_table::{JobKey, Order, Tier};

    fn created(path: &[u8], stripes: u32) -> Record {
        let osts: Vec<_> = (0..stripes).map(OstIndex).collect();
        let body = Body::Created(Created {
            key: JobKey(1),
            path_hash: hash::bytes(path),
            order: Order { term: 2, seq: 40 },
            tier: Tier::Now,
            expected_bytes: 1,
            asked: osts.clone(),
            got: osts,
        });
        Record { uid: 5, pid: 2, at: Time(3), fs_name_hash: 4, job: JobId(6), lost: 0, body }
    }

    #[test]
    fn the_newest_decision_of_a_path_is_found_again() {
        let run = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(run.path().join(DECISIONS_FOLDER)).expect("made");
        let uid = rustix::process::getuid().as_raw();
        assert_eq!(read(run.path(), uid).expect("nothing yet"), []);
        let mut decisions = Decisions::new(run.path());
        for number in 0..DECISIONS_MAX + 10 {
            let record = created(format!("/fs/{number}").as_bytes(), 2);
            decisions.push(uid, Decision::of(&record, Time(number as u64), "scratch").expect("of a file"));
        }
        let wide = Decision::of(&created(b"/fs/wide", 2000), Time(1), "scratch").expect("of a file");
        assert!(wide.line().len() < 640 && wide.words.ends_with(",31,+1968"), "{}", wide.line());
        decisions.push(uid, wide.clone());
        decisions.write().expect("written");
        let found = std::fs::metadata(path(run.path(), uid)).expect("it is there");
        assert_eq!((found.mode() & 0o7777, found.uid()), (0o600, uid));
        assert_eq!(read(run.path(), uid).expect("read").len(), DECISIONS_MAX);
        let latest = |path: &[u8]| latest(run.path(), uid, path).expect("read");
        assert_eq!(latest(b"/fs/wide"), Some(wide));
        let words = "placed order=2,40 tier=now asked=0,1 got=0,1".to_owned();
        let wanted = Decision {
            at: Time(200),
            file_system: "scratch".into(),
            path_hash: hash::bytes(b"/fs/200"),
            words,
        };
        assert_eq!(latest(b"/fs/200"), Some(wanted));
        assert_eq!(latest(b"/fs/3"), None, "the oldest are gone");
        // The next daemon goes on.
        let mut next = Decisions::new(run.path());
        let left = Body::Left { key: JobKey(1), path_hash: hash::bytes(b"/x"), why: tarazu::Why::Off };
        let left = Record { body: left, ..created(b"", 1) };
        next.push(uid, Decision::of(&left, Time(9), "-").expect("of a file"));
        next.write().expect("written");
        let all = read(run.path(), uid).expect("read");
        assert_eq!((all.len(), all[DECISIONS_MAX - 1].words.as_str()), (DECISIONS_MAX, "left off"));
    }

    #[test]
    fn foreign_lines_are_left_out() {
        let run = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(run.path().join(DECISIONS_FOLDER)).expect("made");
        let text =
            format!("x\n{HEAD}\n\n1 fs zz left off\n1 fs 0f left off\n-1 fs 0f left off\n1 fs\n\u{fffd}");
        std::fs::write(path(run.path(), 5), text).expect("written");
        assert_eq!(read(run.path(), 5).expect("read").len(), 1);
    }
}

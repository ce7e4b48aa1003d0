//! Hashes of what a result hangs on, for telling whether two results are of one sweep.
//!
//! Names and totals do not tell: two files may be called alike, and `--set` changes numbers that no total shows. A
//! fingerprint is of everything that a run is given but policies and seeds, so equal ones mean equal runs, by the
//! same version of the program. It is no protection against people.

use std::fmt::{self, Write as _};

use serde::Serialize;
use tarazu_layout::hash;
use tarazu_workload::{Action, File, Job, Op, Rank, RankId, Workload};

use crate::scenario::Scenario;
use crate::system::System;

/// Hashes as 16 hexadecimal digits each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Fingerprint {
    system: String,
    workload: String,
    scenario: String,
}

impl Fingerprint {
    /// Of the values that a run is given; recorded background counts by its contents.
    pub(crate) fn of(workload: &Workload, system: &System, scenario: &Scenario) -> Self {
        let digits = |hash: u64| format!("{hash:016x}");
        Self {
            system: digits(of_debug(system)),
            workload: digits(of_workload(workload)),
            scenario: digits(of_debug(scenario)),
        }
    }
}

/// Hash of a value's derived `Debug` text, which has every field and every digit of it, without keeping the text.
fn of_debug(value: &impl fmt::Debug) -> u64 {
    let mut words = Words::default();
    // Writing to `Words` cannot fail.
    let _ = write!(words, "{value:?}");
    words.end()
}

/// Takes bytes as eight at a time, so that it does not matter how they were cut.
#[derive(Default)]
struct Words {
    hash: u64,
    word: [u8; 8],
    filled: usize,
    bytes: u64,
}

impl fmt::Write for Words {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.word[self.filled] = byte;
            self.filled += 1;
            if self.filled == self.word.len() {
                self.take();
            }
        }
        self.bytes += text.len() as u64;
        Ok(())
    }
}

impl Words {
    fn take(&mut self) {
        self.hash = hash::combine(self.hash, u64::from_le_bytes(self.word));
        (self.word, self.filled) = ([0; 8], 0);
    }

    fn end(mut self) -> u64 {
        self.take();
        hash::combine(self.hash, self.bytes)
    }
}

/// Field by field: the text of a workload with millions of operations would take longer than some runs.
fn of_workload(workload: &Workload) -> u64 {
    let Workload { jobs, files } = workload;
    let hash = files.iter().map(of_file).fold(files.len() as u64, hash::combine);
    jobs.iter().map(of_job).fold(hash::combine(hash, jobs.len() as u64), hash::combine)
}

fn of_file(file: &File) -> u64 {
    let File { name, exists, logged } = file;
    let layout = logged.as_ref().map_or(0, of_debug);
    fold([hash::bytes(name.as_bytes()), u64::from(*exists), layout])
}

fn of_job(job: &Job) -> u64 {
    let Job { id, name, uid, start, ranks, groups } = job;
    let head = fold([id.0, hash::bytes(name.as_bytes()), u64::from(*uid), start.0]);
    let of_group = |group: &Vec<RankId>| {
        group.iter().fold(group.len() as u64, |hash, rank| hash::combine(hash, u64::from(rank.0)))
    };
    let hash = groups.iter().map(of_group).fold(hash::combine(head, groups.len() as u64), hash::combine);
    ranks.iter().map(of_rank).fold(hash::combine(hash, ranks.len() as u64), hash::combine)
}

fn of_rank(rank: &Rank) -> u64 {
    let Rank { node, ops } = rank;
    ops.iter().map(of_op).fold(fold([u64::from(node.0), ops.len() as u64]), hash::combine)
}

fn of_op(op: &Op) -> u64 {
    let Op { start, think, action } = op;
    let (kind, place, offset, bytes) = match *action {
        Action::Create { file } => (1, file.0, 0, 0),
        Action::Open { file } => (2, file.0, 0, 0),
        Action::Read { file, offset, bytes } => (3, file.0, offset, bytes),
        Action::Write { file, offset, bytes } => (4, file.0, offset, bytes),
        Action::Fsync { file } => (5, file.0, 0, 0),
        Action::Close { file } => (6, file.0, 0, 0),
        Action::Sync { group } => (7, group.0, 0, 0),
    };
    let think = fold([think.as_secs(), u64::from(think.subsec_nanos())]);
    fold([start.0, think, kind, u64::from(place), offset, bytes])
}

fn fold<const N: usize>(values: [u64; N]) -> u64 {
    values.into_iter().fold(N as u64, hash::combine)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tarazu_layout::{JobId, NodeId, Time};
    use tarazu_workload::{FileId, GroupId};

    use super::*;

    fn workload() -> Workload {
        let file = FileId(0);
        let op = |action| Op { start: Time(5), think: Duration::from_nanos(7), action };
        let write = Action::Write { file, offset: 0, bytes: 100 };
        let ops = vec![op(Action::Create { file }), op(write), op(Action::Sync { group: GroupId(0) })];
        let job = Job {
            id: JobId(1),
            name: "ior".into(),
            uid: 0,
            start: Time::ZERO,
            ranks: vec![Rank { node: NodeId(0), ops }],
            groups: vec![vec![RankId(0)]],
        };
        Workload { jobs: vec![job], files: vec![File { name: "a".into(), exists: false, logged: None }] }
    }

    #[test]
    fn every_change_of_a_workload_shows() {
        let changes: [fn(&mut Workload); 12] = [
            |all| all.files[0].name.push('b'),
            |all| all.files[0].exists = true,
            |all| all.files[0].logged = Some(tarazu_layout::Layout::plain(1, 1 << 20)),
            |all| all.jobs[0].id = JobId(2),
            |all| all.jobs[0].name.clear(),
            |all| all.jobs[0].start = Time(1),
            |all| all.jobs[0].groups.clear(),
            |all| all.jobs[0].ranks[0].node = NodeId(1),
            |all| all.jobs[0].ranks[0].ops[1].start = Time(6),
            |all| all.jobs[0].ranks[0].ops[1].think = Duration::from_nanos(8),
            |all| all.jobs[0].ranks[0].ops[0].action = Action::Open { file: FileId(0) },
            |all| all.jobs[0].ranks[0].ops.swap(0, 1),
        ];
        let mut hashes = vec![of_workload(&workload())];
        assert_eq!(hashes[0], of_workload(&workload()));
        for change in changes {
            let mut changed = workload();
            change(&mut changed);
            hashes.push(of_workload(&changed));
        }
        hashes.sort_unstable();
        assert!(hashes.windows(2).all(|pair| pair[0] != pair[1]), "{hashes:x?}");
    }

    #[test]
    fn text_counts_as_a_whole_however_it_was_cut() {
        let of = |parts: &[&str]| {
            let mut words = Words::default();
            parts.iter().for_each(|part| words.write_str(part).expect("words take everything"));
            words.end()
        };
        assert_eq!(of(&["recorded", " background"]), of(&["rec", "orded backgr", "", "ound"]));
        assert_ne!(of(&["recorded"]), of(&["recorded\0"]));
        assert_ne!(of(&["recorded"]), of(&["recordee"]));
        assert_ne!(of(&[]), of(&["\0"]));
    }
}

//! Several workloads as one, one several times, and larger files.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tarazu_layout::{JobId, NodeId, Time};

use super::builder::Draws;
use super::{GenerateError, at_most};
use crate::limits::{FILE_BYTES_MAX, FILES_MAX, JOBS_MAX, MOVED_BYTES_MAX, NODES_MAX, OPS_MAX, RANKS_MAX};
use crate::{Action, File, FileId, Workload};

/// Longest stagger in seconds, as for other times of a generator.
const STAGGER_MAX_S: f64 = 1e9;

/// What a file name that several workloads use means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SameNames {
    /// A file in each; the later ones are renamed to `name.1` for the second workload and so on.
    #[default]
    Distinct,
    /// One file for all, such as an input that every job reads. It exists beforehand if it does in any of
    /// them, and keeps the first logged layout.
    Shared,
}

/// Runs several workloads beside each other, each on nodes of its own.
///
/// Node numbers follow each other in the order of the parts. A job keeps its id unless an earlier part
/// has it; then it gets the lowest id above 0 that no part uses. Starts stay as they are.
///
/// # Errors
/// More than [`crate::limits`] allow.
pub fn combine(parts: Vec<Workload>, names: SameNames) -> Result<Workload, GenerateError> {
    let mut size = Size::default();
    for part in &parts {
        size.add(part, 1);
    }
    size.check("combine")?;
    let mut merged = Workload::default();
    let mut ids = JobIds::new(&parts);
    let mut files = Names::new(names);
    let mut first_node = 0u32;
    for (number, part) in parts.into_iter().enumerate() {
        // `size` has bounded the sum of all nodes.
        let nodes = nodes(&part) as u32;
        let places: Vec<_> =
            part.files.into_iter().map(|file| files.place(file, number, &mut merged.files)).collect();
        for mut job in part.jobs {
            job.id = ids.unique(job.id);
            for rank in &mut job.ranks {
                rank.node = NodeId(rank.node.0 + first_node);
                for op in &mut rank.ops {
                    op.action =
                        with_file(op.action, |file| places.get(file.0 as usize).copied().unwrap_or(file));
                }
            }
            merged.jobs.push(job);
        }
        first_node += nodes;
    }
    merged.jobs.sort_by_key(|job| (job.start, job.id));
    Ok(merged)
}

/// Runs `copies` of a workload beside each other as [`combine`] does, every copy with files of its own and
/// begun later by a random time, uniform in `[0, stagger_s)` seconds.
///
/// # Errors
/// No copy, a stagger beyond 0 to 1e9 seconds, or more than [`crate::limits`] allow.
pub fn replicate(
    workload: &Workload,
    copies: u32,
    stagger_s: f64,
    seed: u64,
) -> Result<Workload, GenerateError> {
    let refuse = |rule| Err(GenerateError::Range { kind: "replicate", rule });
    if copies == 0 {
        return refuse("copies must be at least 1");
    }
    if !(0.0..=STAGGER_MAX_S).contains(&stagger_s) {
        return refuse("stagger must be 0 to 1e9 seconds");
    }
    let mut size = Size::default();
    size.add(workload, copies);
    size.check("replicate")?;
    let parts = (0..copies).map(|number| {
        let later_s = stagger_s * Draws::new(seed, "replicate start", u64::from(number)).unit();
        let later = Duration::from_nanos(Time::from_secs_f64(later_s).0);
        let mut copy = workload.clone();
        for job in &mut copy.jobs {
            job.start += later;
        }
        copy
    });
    combine(parts.collect(), SameNames::Distinct)
}

/// Multiplies every offset and length by `factor`, from 1: files grow, the number and times of operations
/// stay. Logged layouts stay as well, so a component's boundary does not move with the bytes.
///
/// # Errors
/// A factor of 0, or a file that would pass [`FILE_BYTES_MAX`].
pub fn scale_bytes(workload: &Workload, factor: u64) -> Result<Workload, GenerateError> {
    if factor == 0 {
        return Err(GenerateError::Range { kind: "scale", rule: "the factor must be at least 1" });
    }
    let mut scaled = workload.clone();
    let mut moved = 0u128;
    let ranks = scaled.jobs.iter_mut().flat_map(|job| &mut job.ranks);
    for op in ranks.flat_map(|rank| &mut rank.ops) {
        if let Action::Read { offset, bytes, .. } | Action::Write { offset, bytes, .. } = &mut op.action {
            let end = (u128::from(*offset) + u128::from(*bytes)).saturating_mul(u128::from(factor));
            at_most("scale", "bytes in a file", end, FILE_BYTES_MAX)?;
            *offset *= factor;
            *bytes *= factor;
            moved += u128::from(*bytes);
        }
    }
    at_most("scale", "bytes to move", moved, MOVED_BYTES_MAX)?;
    Ok(scaled)
}

/// The action on another file.
pub(crate) fn with_file(action: Action, place: impl Fn(FileId) -> FileId) -> Action {
    match action {
        Action::Create { file } => Action::Create { file: place(file) },
        Action::Open { file } => Action::Open { file: place(file) },
        Action::Read { file, offset, bytes } => Action::Read { file: place(file), offset, bytes },
        Action::Write { file, offset, bytes } => Action::Write { file: place(file), offset, bytes },
        Action::Fsync { file } => Action::Fsync { file: place(file) },
        Action::Close { file } => Action::Close { file: place(file) },
        Action::Sync { group } => Action::Sync { group },
    }
}

/// Bytes that an operation reads or writes.
fn moved_bytes(action: Action) -> u64 {
    match action {
        Action::Read { bytes, .. } | Action::Write { bytes, .. } => bytes,
        _ => 0,
    }
}

/// One more than the highest node number, without the overflow of a hostile one.
fn nodes(workload: &Workload) -> u64 {
    let ranks = workload.jobs.iter().flat_map(|job| &job.ranks);
    ranks.map(|rank| u64::from(rank.node.0) + 1).max().unwrap_or(0)
}

/// Sums over the parts, so that limits hold before anything is copied.
#[derive(Default)]
struct Size {
    jobs: u128,
    ranks: u128,
    ops: u128,
    files: u128,
    nodes: u128,
    moved_bytes: u128,
}

impl Size {
    fn add(&mut self, workload: &Workload, copies: u32) {
        let copies = u128::from(copies);
        let ranks = || workload.jobs.iter().flat_map(|job| &job.ranks);
        self.jobs += workload.jobs.len() as u128 * copies;
        self.ranks += ranks().count() as u128 * copies;
        self.ops += ranks().map(|rank| rank.ops.len() as u128).sum::<u128>() * copies;
        self.files += workload.files.len() as u128 * copies;
        self.nodes += u128::from(nodes(workload)) * copies;
        let ops = ranks().flat_map(|rank| &rank.ops);
        self.moved_bytes += ops.map(|op| u128::from(moved_bytes(op.action))).sum::<u128>() * copies;
    }

    fn check(&self, kind: &'static str) -> Result<(), GenerateError> {
        at_most(kind, "jobs", self.jobs, JOBS_MAX)?;
        at_most(kind, "ranks", self.ranks, RANKS_MAX)?;
        at_most(kind, "operations", self.ops, OPS_MAX)?;
        at_most(kind, "files", self.files, FILES_MAX)?;
        at_most(kind, "bytes to move", self.moved_bytes, MOVED_BYTES_MAX)?;
        at_most(kind, "nodes", self.nodes, u64::from(NODES_MAX))
    }
}

/// Keeps job ids unique.
struct JobIds {
    /// Ids of any part: none of them is given to a renumbered job.
    of_parts: BTreeSet<JobId>,
    taken: BTreeSet<JobId>,
    /// No free id is below this.
    next: u64,
}

impl JobIds {
    fn new(parts: &[Workload]) -> Self {
        let of_parts = parts.iter().flat_map(|part| &part.jobs).map(|job| job.id).collect();
        Self { of_parts, taken: BTreeSet::new(), next: 1 }
    }

    fn unique(&mut self, id: JobId) -> JobId {
        if self.taken.insert(id) {
            return id;
        }
        // Ends: there are far fewer jobs than ids.
        while self.of_parts.contains(&JobId(self.next)) {
            self.next += 1;
        }
        let free = JobId(self.next);
        self.next += 1;
        self.taken.insert(free);
        free
    }
}

/// Keeps file names unique. The map is only looked up, so its random order does not show.
struct Names {
    same: SameNames,
    ids: HashMap<String, FileId>,
}

impl Names {
    fn new(same: SameNames) -> Self {
        Self { same, ids: HashMap::new() }
    }

    /// Adds a file of part `part` to `files`, or finds the one that it shares.
    fn place(&mut self, mut file: File, part: usize, files: &mut Vec<File>) -> FileId {
        if let Some(known) = self.ids.get(&file.name) {
            if self.same == SameNames::Shared {
                let known = *known;
                let earlier = &mut files[known.0 as usize];
                earlier.exists |= file.exists;
                earlier.logged = earlier.logged.take().or(file.logged);
                return known;
            }
            while self.ids.contains_key(&file.name) {
                file.name = format!("{}.{part}", file.name);
            }
        }
        let id = FileId(files.len() as u32);
        self.ids.insert(file.name.clone(), id);
        files.push(file);
        id
    }
}

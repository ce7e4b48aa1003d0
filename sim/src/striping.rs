//! The striping that every policy gets alike: as recorded, forced, by a site's rule of thumb or by a site's default
//! layout.
//!
//! Rules that need to know how large a file becomes and who writes it look at the whole workload once and lay
//! their layouts on its files ([`Striping::lay_out`]); a run then takes them as it takes recorded ones. This module
//! must not choose targets.

mod sites;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use tarazu_core::striping::{FileToCome, Headroom, advise};
use tarazu_core::topology::TargetSpec;
use tarazu_layout::limits::STRIPES_MAX;
use tarazu_layout::{Layout, OstIndex, PoolName, Time};
use tarazu_workload::{Action, FileId, Job, Workload};

use crate::profile::largest_burst;
use crate::scenario::ParseError;
use crate::system::System;
pub use sites::Site;

/// The striping that every policy gets alike: placement is compared, never striping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Striping {
    /// As the log says; the system's default where it says nothing.
    #[default]
    AsLogged,
    /// So many stripes for every file, of the system's default size.
    Count(u32),
    /// Stripe counts by a file's final size and by whether one process writes it or many, as NERSC told its users
    /// (see [`Striping::lay_out`]).
    SizeRule,
    /// The default layout of a site for every file.
    Pfl(Site),
    /// Stripe counts and sizes as tarazu advises where nobody has striped ([`tarazu_core::striping`]).
    Advised,
}

impl FromStr for Striping {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let in_range = |count: &u32| (1..=STRIPES_MAX as u32).contains(count);
        let parsed = match text.split_once('=') {
            None if text == "as-logged" => Some(Self::AsLogged),
            None if text == "size-rule" => Some(Self::SizeRule),
            None if text == "advised" => Some(Self::Advised),
            Some(("count", count)) => count.parse().ok().filter(in_range).map(Self::Count),
            Some(("pfl", site)) => Site::named(site).map(Self::Pfl),
            _ => None,
        };
        parsed.ok_or_else(|| ParseError {
            what: "striping",
            given: text.to_string(),
            valid: "as-logged, count=K with K from 1 to 2000, size-rule, advised, or pfl=SITE with the SITE azure, cleps, delta, \
                    fsx, orion or perlmutter",
        })
    }
}

impl fmt::Display for Striping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AsLogged => f.write_str("as-logged"),
            Self::Count(count) => write!(f, "count={count}"),
            Self::SizeRule => f.write_str("size-rule"),
            Self::Advised => f.write_str("advised"),
            Self::Pfl(site) => write!(f, "pfl={site}"),
        }
    }
}

/// Sizes are those of the rule's page: powers of ten.
const GB: u64 = 1_000_000_000;

/// The size rule of NERSC's "File Striping Recommendations" for Cori (docs.nersc.gov/performance/io/lustre): files
/// above so many bytes get so many stripes. The widest that applies comes first.
const SHARED: [(u64, u32); 3] = [(100 * GB, 72), (10 * GB, 24), (GB, 8)];

/// The same for a file that one of many processes writes.
const PER_PROCESS: [(u64, u32); 1] = [(1000 * GB, 72)];

/// "In all cases, the stripe size is 1MB."
const RULE_STRIPE_SIZE: u64 = 1 << 20;

impl Striping {
    /// The workload with the layouts that the rule gives its files. [`Striping::AsLogged`] and
    /// [`Striping::Count`] need no look at it and change nothing.
    ///
    /// The size rule goes by the highest byte that the workload touches, which a user knows beforehand: a file that
    /// several ranks write, or that the only writer of a job writes, gets 8 stripes above 1 GB, 24 above 10 GB and
    /// 72 above 100 GB; a file of one among several writers gets 72 above 1,000 GB. All others keep the system's default.
    /// Where nobody writes, those who read count instead. Laying out twice changes nothing more.
    #[must_use]
    pub fn lay_out<'a>(self, workload: &'a Workload, system: &System) -> Cow<'a, Workload> {
        let layouts: Vec<Option<Layout<OstIndex>>> = match self {
            Self::AsLogged | Self::Count(_) => return Cow::Borrowed(workload),
            Self::SizeRule => uses(workload).iter().map(Use::layout).collect(),
            Self::Advised => advised(workload, system),
            Self::Pfl(site) => vec![Some(site.layout(system)); workload.files.len()],
        };
        let mut laid_out = workload.clone();
        for (file, layout) in laid_out.files.iter_mut().zip(layouts) {
            file.logged = layout;
        }
        Cow::Owned(laid_out)
    }

    /// What the rule cannot do as it says on this system, for people: pools that the system lacks, and who ignores those
    /// that it has.
    #[must_use]
    pub fn notes(self, workload: &Workload, system: &System) -> Vec<String> {
        let named: BTreeSet<PoolName> = match self {
            Self::Count(_) | Self::SizeRule | Self::Advised => BTreeSet::new(),
            Self::Pfl(site) => site.pools().collect(),
            Self::AsLogged => {
                let layouts = workload.files.iter().filter_map(|file| file.logged.as_ref());
                layouts.flat_map(|layout| &layout.components).filter_map(|component| component.pool).collect()
            }
        };
        let list = |there: bool| -> Vec<String> {
            let pools = named.iter().filter(|pool| system.pools.contains_key(pool) == there);
            pools.map(|pool| pool.as_str().to_string()).collect()
        };
        let (known, unknown) = (list(true), list(false));
        let mut notes = Vec::new();
        if !unknown.is_empty() {
            notes.push(format!(
                "the system {} has no pool {}: as in Lustre, such a component takes all targets",
                system.name,
                unknown.join(", ")
            ));
        }
        if !known.is_empty() {
            notes.push(format!(
                "layouts name the pool {}: Lustre's own allocators and random stay inside; policies that steer leave such \
                 files to the file system",
                known.join(", ")
            ));
        }
        notes
    }
}

/// A process, by its job's place and its rank.
type Process = (usize, usize);

/// What is known of a file beforehand.
#[derive(Clone, Copy, Debug, Default)]
struct Use {
    /// One more than its highest byte that is touched.
    end: u64,
    writers: Parties,
    readers: Parties,
    /// Those that count are the only ones of their job.
    serial: bool,
}

/// Processes that move bytes of a file.
#[derive(Clone, Copy, Debug, Default)]
enum Parties {
    #[default]
    None,
    One(Process),
    /// With the job of the first.
    Several(usize),
}

impl Parties {
    fn add(&mut self, process: Process) {
        *self = match *self {
            Self::None => Self::One(process),
            Self::One(other) if other == process => Self::One(process),
            Self::One((job, _)) | Self::Several(job) => Self::Several(job),
        };
    }
}

impl Use {
    /// Who counts: those who write, or where nobody does, those who read.
    fn parties(&self) -> Parties {
        if matches!(self.writers, Parties::None) { self.readers } else { self.writers }
    }

    /// The rule's layout; `None` for the system's default.
    fn layout(&self) -> Option<Layout<OstIndex>> {
        let shared = self.serial || matches!(self.parties(), Parties::Several(_));
        let steps: &[(u64, u32)] = if shared { &SHARED } else { &PER_PROCESS };
        let step = steps.iter().find(|(above, _)| self.end > *above);
        step.map(|(_, count)| Layout::plain(*count, RULE_STRIPE_SIZE))
    }
}

/// The use of every file over the whole workload.
fn uses(workload: &Workload) -> Vec<Use> {
    let mut uses = vec![Use::default(); workload.files.len()];
    // Ranks of each job that write, and that read.
    let mut active = vec![[0u32; 2]; workload.jobs.len()];
    for ((job_number, job), ranks) in workload.jobs.iter().enumerate().zip(&mut active) {
        for (rank_number, rank) in job.ranks.iter().enumerate() {
            let mut moves = [false; 2];
            for op in &rank.ops {
                let (file, end, writes) = match op.action {
                    Action::Write { file, offset, bytes } => (file, offset.saturating_add(bytes), true),
                    Action::Read { file, offset, bytes } => (file, offset.saturating_add(bytes), false),
                    _ => continue,
                };
                moves[usize::from(!writes)] = true;
                let Some(file) = uses.get_mut(file.0 as usize) else { continue };
                file.end = file.end.max(end);
                let parties = if writes { &mut file.writers } else { &mut file.readers };
                parties.add((job_number, rank_number));
            }
            ranks.iter_mut().zip(moves).for_each(|(count, moves)| *count += u32::from(moves));
        }
    }
    for file in &mut uses {
        let Parties::One((job, _)) = file.parties() else { continue };
        let kind = usize::from(matches!(file.writers, Parties::None));
        file.serial = active[job][kind] == 1;
    }
    uses
}

/// The layouts that tarazu advises, file by file.
fn advised(workload: &Workload, system: &System) -> Vec<Option<Layout<OstIndex>>> {
    let targets = system.topology.targets();
    let free = |(number, spec): (usize, &TargetSpec)| {
        let filled = system.filled[number];
        (spec.capacity.0 as f64 * (1.0 - filled.share - filled.spread).max(0.0)) as u64
    };
    let headroom = Headroom {
        targets: targets.len() as u32,
        least_free_bytes: targets.iter().enumerate().map(free).min().unwrap_or(0),
    };
    let bursts: Vec<u32> = workload.jobs.iter().map(files_at_once).collect();
    let advice = |file: &Use| {
        let (writers, job) = match file.parties() {
            Parties::None => return None,
            Parties::One((job, _)) => (1, job),
            Parties::Several(job) => (workload.jobs[job].ranks.len() as u32, job),
        };
        let advice = advise(&FileToCome { expected_bytes: file.end, writers, files: bursts[job] }, &headroom);
        Some(Layout::plain(advice.stripe_count, advice.stripe_size))
    };
    uses(workload).iter().map(advice).collect()
}

/// Files that a job makes at a time, at least 1.
fn files_at_once(job: &Job) -> u32 {
    let mut made_at = BTreeMap::<FileId, Time>::new();
    for op in job.ranks.iter().flat_map(|rank| &rank.ops) {
        if let Action::Create { file } = op.action {
            let first = made_at.entry(file).or_insert(op.start);
            *first = (*first).min(op.start);
        }
    }
    largest_burst(made_at.into_values().collect()).max(1)
}

#[cfg(test)]
mod tests;

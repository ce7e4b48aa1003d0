//! Which jobs are steered: what a place is expected to bring, held against what layouts cost.
//!
//! One typed verdict for every job and kind of file, with the numbers that it rests on: what the table
//! says, what is counted and what is shown come from the same value.

use std::collections::{BTreeMap, BTreeSet};

use tarazu_layout::Bytes;
use tarazu_layout::limits::{STRIPES_MAX, TABLE_JOBS_MAX};
use tarazu_table::{JobEntry, JobKey, STRIPE_SIZE_UNIT};

use crate::demand::class_of;
use crate::gain::{GAIN_OVER_COST, GAIN_SHARE_MIN, GAIN_SHARE_STRIPED, READ_BACK};
use crate::plan::{ClassPlan, Plan};
use crate::sample::FileProfile;
use crate::view::View;

/// What steering one job's files is expected to bring, seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Gain {
    /// When its last stripe is written if the file system places it.
    pub stock_s: f64,
    /// The same as planned.
    pub planned_s: f64,
    /// By how much reading everything back gets more even.
    pub evened_s: f64,
}

/// Why the files of a job are steered or left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// Steered: an operator wants it, whatever it costs.
    AtAnyCost,
    /// Steered: its files are written earlier by more than layouts cost and errors may be.
    Earlier,
    /// Steered before, and with what layouts cost aside it is no later for it: half a burst on the ring and half
    /// on the file system's cursor is worse than either.
    Kept,
    /// Steered: no later for itself, and what is read later lies more evenly.
    Evener,
    /// Left: as planned it would be written later than without.
    Later,
    /// Left: what is gained is less than ten times what the layouts cost.
    BelowCost,
    /// Left: what is gained is less than what is known of sizes and speeds may err.
    BelowError,
    /// Left: it would be steered for evenness alone, but other jobs are left to the file system, and a
    /// moment's files half on rings and half on its cursor lie less evenly than either.
    Mixed,
    /// Left: no ring has a place for it.
    NoPlace,
}

impl Why {
    /// Every reason.
    pub const ALL: [Self; 9] = [
        Self::AtAnyCost,
        Self::Earlier,
        Self::Kept,
        Self::Evener,
        Self::Later,
        Self::BelowCost,
        Self::BelowError,
        Self::Mixed,
        Self::NoPlace,
    ];

    /// Whether it is a reason to steer.
    #[must_use]
    pub fn steers(self) -> bool {
        matches!(self, Self::AtAnyCost | Self::Earlier | Self::Kept | Self::Evener)
    }

    /// A short stable name for counters.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AtAnyCost => "at_any_cost",
            Self::Earlier => "earlier",
            Self::Kept => "kept",
            Self::Evener => "evener",
            Self::Later => "later",
            Self::BelowCost => "below_cost",
            Self::BelowError => "below_error",
            Self::Mixed => "mixed",
            Self::NoPlace => "no_place",
        }
    }
}

/// A verdict with what it rests on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// The verdict.
    pub why: Why,
    /// What steering is expected to bring.
    pub gain: Gain,
    /// The least gain that is worth the layouts of the burst: ten times what they cost, seconds.
    pub cost_s: f64,
}

/// What steering is held against.
#[derive(Clone, Debug)]
pub(crate) struct Worth {
    /// By key.
    pub(crate) gains: BTreeMap<JobKey, Gain>,
    /// An operator's drain is honoured whatever it costs.
    pub(crate) at_any_cost: bool,
    /// Round trip of a layout, seconds.
    pub(crate) layout_s: f64,
    /// Time of the metadata server for one, seconds.
    pub(crate) service_s: f64,
    /// Keys whose files are steered now, because they are written earlier.
    pub(crate) steered: BTreeSet<JobKey>,
}

impl Worth {
    /// Whether a job's files are worth a layout each, and why.
    pub(crate) fn judge(&self, file: &FileProfile) -> Verdict {
        // The burst saves its gain once, but every file costs its own layout, one after the other in
        // each process, and all of them at the metadata server.
        let of_process_s = self.layout_s * f64::from(file.files_per_process.max(1));
        let of_burst_s = self.service_s * f64::from(file.files_per_burst);
        let cost_s = GAIN_OVER_COST * (of_process_s + of_burst_s);
        let gain = self.gains.get(&file.key).copied();
        let why = gain.map_or(Why::NoPlace, |gain| self.weigh(file, gain, cost_s));
        let why = if self.at_any_cost { Why::AtAnyCost } else { why };
        Verdict { why, gain: gain.unwrap_or_default(), cost_s }
    }

    fn weigh(&self, file: &FileProfile, gain: Gain, cost_s: f64) -> Why {
        let own_s = gain.stock_s - gain.planned_s;
        if own_s < 0.0 {
            return Why::Later;
        }
        // Half of a burst on the ring and half on the file system's cursor is worse than either, so what is
        // steered stays so as long as it does no harm.
        if self.steered.contains(&file.key) {
            return Why::Kept;
        }
        // What a file's later components take is not ours to save.
        let whole_s = gain.stock_s * file.expected.0 as f64 / file.placed.0.max(1) as f64;
        let striped = file.stripe_count > 1;
        let least_share = if striped { GAIN_SHARE_STRIPED } else { GAIN_SHARE_MIN };
        if own_s >= cost_s && own_s >= whole_s * least_share {
            return Why::Earlier;
        }
        // Files of several stripes depend on who meets whom when; to move them for others' sake alone
        // would be a gamble with their own time.
        if !striped && READ_BACK * gain.evened_s >= cost_s {
            return Why::Evener;
        }
        if own_s >= cost_s { Why::BelowError } else { Why::BelowCost }
    }
}

/// Keys whose files are steered under a plan because they are written earlier.
pub(crate) fn steered(plan: Option<&Plan>) -> BTreeSet<JobKey> {
    let verdicts = plan.iter().flat_map(|plan| &plan.verdicts);
    let earlier = verdicts.filter(|(_, verdict)| matches!(verdict.why, Why::Earlier | Why::Kept));
    earlier.map(|(key, _)| *key).collect()
}

/// Judges all jobs, then takes back what would be half of a moment only.
fn verdicts(view: &View, worth: &Worth) -> BTreeMap<JobKey, Verdict> {
    let files = view.jobs.values().flat_map(|job| &job.files);
    let mut verdicts: BTreeMap<JobKey, Verdict> = files.map(|file| (file.key, worth.judge(file))).collect();
    if verdicts.values().any(|verdict| !verdict.why.steers()) {
        for verdict in verdicts.values_mut().filter(|verdict| verdict.why == Why::Evener) {
            verdict.why = Why::Mixed;
        }
    }
    verdicts
}

/// The largest stripe size that a table can say and that is not above this one; 0, the class's, for a smaller one.
fn sayable(stripe_size: u64) -> u32 {
    let unit = STRIPE_SIZE_UNIT;
    u32::try_from(stripe_size).unwrap_or(u32::MAX) / unit * unit
}

/// The job section of a table, and why each job is in it as it is.
pub(crate) struct JobRows {
    /// In order of their keys.
    pub(crate) rows: Vec<JobEntry>,
    /// By key; of those that found no room, too.
    pub(crate) verdicts: BTreeMap<JobKey, Verdict>,
    /// Rows that found no room.
    pub(crate) left_out: usize,
}

/// The job section, the jobs with most bytes first where there is not room for all.
pub(crate) fn job_rows(view: &View, worth: &Worth, classes: &[ClassPlan], places: bool) -> JobRows {
    let mut rows: Vec<(Bytes, JobEntry)> = Vec::new();
    let verdicts = verdicts(view, worth);
    for file in view.jobs.values().flat_map(|job| &job.files) {
        let class = class_of(file.expected);
        let placing = classes.get(usize::from(class)).and_then(|class| class.placings.get(&file.key));
        let row = JobEntry {
            key: file.key,
            class,
            confidence_percent: file.confidence.min(100),
            worthwhile: verdicts.get(&file.key).is_some_and(|verdict| verdict.why.steers()),
            // A profile is somebody's word: one that no table can say must not keep all others from being published.
            stripe_count: file.stripe_count.min(STRIPES_MAX as u32) as u16,
            stripe_size: sayable(file.stripe_size),
            expected_bytes: file.expected.0,
            place: placing.filter(|_| places).map(|placing| placing.place),
        };
        rows.push((Bytes(file.expected.0.saturating_mul(u64::from(file.files_per_burst))), row));
    }
    rows.sort_by_key(|(bytes, row)| (std::cmp::Reverse(*bytes), row.key));
    let left_out = rows.len().saturating_sub(TABLE_JOBS_MAX);
    rows.truncate(TABLE_JOBS_MAX);
    let mut rows: Vec<JobEntry> = rows.into_iter().map(|(_, row)| row).collect();
    rows.sort_by_key(|row| row.key);
    rows.dedup_by_key(|row| row.key);
    JobRows { rows, verdicts, left_out }
}

//! The format `tarazu.day/1`: a machine day in TOML. `docs/machine-day.md` describes it key by key.

use std::fmt::Display;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tarazu_layout::Time;
use tarazu_layout::limits::STRIPES_MAX;

use super::keys::{Paths, Stripes};
use super::{Arrivals, DayError, Machine, StripeShare};
use crate::darshan::{Mounts, RANKS_PER_NODE};
use crate::limits::{JOBS_MAX, NODES_MAX};

/// The format's name and version.
pub(super) const FORMAT: &str = "tarazu.day/1";

/// Bytes of a day file: thousands of parts with long lists of logs fit in.
const DAY_BYTES_MAX: u64 = 4 << 20;

/// Hours of a day: a year.
const HOURS_MAX: f64 = 366.0 * 24.0;

/// Jobs per hour and weights: far above any machine, and sums of them stay exact enough.
const RATE_MAX: f64 = 1e9;

/// Ranks of one node: above any machine's hardware threads.
const RANKS_PER_NODE_MAX: u32 = 65_536;

/// What a node moves in the planned run of a generated job where the file does not say, in MiB/s.
const NODE_MIBPS: f64 = 200.0;

/// Stripe size where the file does not say: Lustre's default.
const STRIPE_SIZE_KIB: u64 = 1024;

/// Stripe sizes are multiples of 64 KiB up to 4 GiB (Lustre manual, `lfs setstripe -S`).
const STRIPE_UNIT_KIB: u64 = 64;
const STRIPE_SIZE_MAX_KIB: u64 = 4 << 20;

/// How far the shares of stripe counts may be from 1 together: people round.
const SHARES_SLACK: f64 = 1e-6;

/// A day as its file describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Day {
    /// The machine, and when jobs arrive.
    pub machine: Machine,
    /// The seed of everything that is drawn.
    pub seed: u64,
    /// Its kinds of jobs, at least one.
    pub parts: Vec<PartSpec>,
}

/// One kind of job as the file describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct PartSpec {
    /// Its name in messages; `part N` where it has none.
    pub name: String,
    /// Where its jobs come from.
    pub source: SourceSpec,
    /// How often they run.
    pub often: Often,
    /// Factor of all sizes, from 1.
    pub scale_bytes: u64,
    /// Stripe counts of the jobs' files; empty for the layouts of the source.
    pub stripes: Vec<StripeShare>,
    /// Stripe size of these, in bytes.
    pub stripe_size: u64,
    /// Beginnings of the names of files that all jobs share.
    pub shared: Vec<String>,
    /// Which files of a log are kept.
    pub mounts: Mounts,
    /// Ranks on a node where a log has no host names.
    pub ranks_per_node: u32,
}

/// Where a part's jobs come from.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceSpec {
    /// Darshan logs, a job each.
    Logs(Vec<PathBuf>),
    /// Workload files, every job of them.
    Csv(Vec<PathBuf>),
    /// A generator, as [`crate::generate::from_spec`] takes it.
    Generate(String),
}

/// How often a part's jobs run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Often {
    /// Drawn for each arrival, as often as its weight is of all weights. Above 0.
    Weight(f64),
    /// So many jobs, at times that are uniform over the day; with recorded arrivals so many copies of each job.
    Count(u32),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(non_snake_case, reason = "units stand last in the names of the file")]
struct DayFile {
    format: String,
    nodes: u32,
    hours: Option<f64>,
    #[serde(default)]
    seed: u64,
    arrivals: ArrivalsFile,
    jobs_per_hour: Option<f64>,
    node_MiBps: Option<f64>,
    stripe_count: Option<Stripes>,
    stripe_size_KiB: Option<u64>,
    #[serde(default)]
    part: Vec<PartFile>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ArrivalsFile {
    Recorded,
    RecordedGaps,
    Poisson,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(non_snake_case, reason = "units stand last in the names of the file")]
struct PartFile {
    name: Option<String>,
    log: Option<Paths>,
    csv: Option<Paths>,
    generate: Option<String>,
    weight: Option<f64>,
    count: Option<u32>,
    scale_bytes: Option<u64>,
    stripe_count: Option<Stripes>,
    stripe_size_KiB: Option<u64>,
    #[serde(default)]
    shared: Vec<String>,
    mounts: Option<MountsFile>,
    under: Option<Vec<String>>,
    ranks_per_node: Option<u32>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum MountsFile {
    Auto,
    All,
    Parallel,
}

impl Day {
    /// Reads a day file.
    ///
    /// # Errors
    /// The file is unreadable, is not TOML of this form, or a value is out of its range.
    pub fn read(path: &Path) -> Result<Self, DayError> {
        let origin = path.display().to_string();
        let unread = |source| DayError::Read { path: origin.clone(), source };
        let mut text = String::new();
        let file = File::open(path).map_err(unread)?;
        file.take(DAY_BYTES_MAX + 1).read_to_string(&mut text).map_err(unread)?;
        if text.len() as u64 > DAY_BYTES_MAX {
            return Err(DayError::TooLong { path: origin, limit: DAY_BYTES_MAX });
        }
        Self::parse(&text, &origin)
    }

    /// Reads a day from TOML text; `origin` names it in errors.
    ///
    /// # Errors
    /// It is not TOML of this form, or a value is out of its range.
    pub fn parse(text: &str, origin: &str) -> Result<Self, DayError> {
        let file: DayFile = toml::from_str(text).map_err(|error| DayError::Parse {
            origin: origin.to_owned(),
            message: error.to_string().trim_end().to_owned(),
        })?;
        if file.format != FORMAT {
            let found = file.format.chars().take(40).collect();
            return Err(DayError::Format { origin: origin.to_owned(), found, wanted: FORMAT });
        }
        let check = Check { origin, place: String::new() };
        check.within("nodes", file.nodes, 1, NODES_MAX)?;
        let hours = file.hours.map(|hours| check.above_zero("hours", hours, HOURS_MAX)).transpose()?;
        let rate = check.above_zero("node_MiBps", file.node_MiBps.unwrap_or(NODE_MIBPS), RATE_MAX)?;
        let machine = Machine {
            nodes: file.nodes,
            span: hours.map(|hours| Duration::from_nanos(Time::from_secs_f64(hours * 3600.0).0)),
            arrivals: arrivals(&file, &check)?,
            node_bps: rate * f64::from(1 << 20),
        };
        let defaults = check.stripes(file.stripe_count, file.stripe_size_KiB)?;
        if file.part.is_empty() {
            return check.broken("there is no [[part]]: a day needs one at least");
        }
        let parts = (1..).zip(file.part).map(|(number, part)| {
            let name = part.name.clone().unwrap_or_else(|| format!("part {number}"));
            let check = Check { origin, place: format!("part {name:?}: ") };
            part.resolve(name, file.arrivals, &defaults, &check)
        });
        Ok(Self { machine, seed: file.seed, parts: parts.collect::<Result<_, _>>()? })
    }
}

fn arrivals(file: &DayFile, check: &Check) -> Result<Arrivals, DayError> {
    match (file.arrivals, file.jobs_per_hour) {
        (ArrivalsFile::Poisson, rate) => {
            let jobs_per_hour = rate.unwrap_or(0.0);
            if (0.0..=RATE_MAX).contains(&jobs_per_hour) {
                return Ok(Arrivals::Poisson { jobs_per_hour });
            }
            check.refuse("jobs_per_hour", jobs_per_hour, format!("a number from 0 to {RATE_MAX}"))
        }
        (_, Some(_)) => check.broken("jobs_per_hour goes with arrivals = \"poisson\" only"),
        (ArrivalsFile::Recorded, None) => Ok(Arrivals::Recorded),
        (ArrivalsFile::RecordedGaps, None) => Ok(Arrivals::RecordedGaps),
    }
}

impl PartFile {
    fn resolve(
        self,
        name: String,
        arrivals: ArrivalsFile,
        defaults: &(Vec<StripeShare>, u64),
        check: &Check,
    ) -> Result<PartSpec, DayError> {
        let of_logs = self.mounts.is_some() || self.under.is_some() || self.ranks_per_node.is_some();
        if of_logs && self.log.is_none() {
            return check.broken("mounts, under and ranks_per_node go with log only");
        }
        if self.mounts.is_some() && self.under.is_some() {
            return check.broken("mounts and under do not go together: both say which files to keep");
        }
        let often = match (self.weight, self.count) {
            (Some(_), Some(_)) => return check.broken("weight and count do not go together"),
            (Some(_), None) if arrivals == ArrivalsFile::Recorded => {
                return check.broken("weight has no meaning with recorded arrivals: take count");
            }
            (None, None) if arrivals == ArrivalsFile::Recorded => Often::Count(1),
            (weight, None) => Often::Weight(check.above_zero("weight", weight.unwrap_or(1.0), RATE_MAX)?),
            (None, Some(count)) => {
                check.within("count", u64::from(count), 1, JOBS_MAX)?;
                Often::Count(count)
            }
        };
        let (stripes, stripe_size) = if self.stripe_count.is_some() || self.stripe_size_KiB.is_some() {
            check.stripes(self.stripe_count, self.stripe_size_KiB)?
        } else {
            defaults.clone()
        };
        let scale_bytes = self.scale_bytes.unwrap_or(1);
        check.within("scale_bytes", scale_bytes, 1, u64::MAX)?;
        let ranks_per_node = self.ranks_per_node.unwrap_or(RANKS_PER_NODE);
        check.within("ranks_per_node", ranks_per_node, 1, RANKS_PER_NODE_MAX)?;
        let source = match (self.log, self.csv, self.generate) {
            (Some(Paths(paths)), None, None) if !paths.is_empty() => SourceSpec::Logs(paths),
            (None, Some(Paths(paths)), None) if !paths.is_empty() => SourceSpec::Csv(paths),
            (None, None, Some(text)) => SourceSpec::Generate(text),
            _ => return check.broken("give one of log, csv and generate, and not an empty list"),
        };
        let mounts = match (self.under, self.mounts) {
            (Some(folders), _) => Mounts::Prefixes(folders),
            (None, Some(MountsFile::All)) => Mounts::All,
            (None, Some(MountsFile::Parallel)) => Mounts::Parallel,
            (None, Some(MountsFile::Auto) | None) => Mounts::Auto,
        };
        let shared = self.shared;
        Ok(PartSpec {
            name,
            source,
            often,
            scale_bytes,
            stripes,
            stripe_size,
            shared,
            mounts,
            ranks_per_node,
        })
    }
}

/// Where a value stands, for messages.
struct Check<'a> {
    origin: &'a str,
    place: String,
}

impl Check<'_> {
    fn refuse<T>(&self, key: &'static str, found: impl Copy + Display, range: String) -> Result<T, DayError> {
        let (origin, place) = (self.origin.to_owned(), self.place.clone());
        Err(DayError::Value { origin, place, key, found: found.to_string(), range })
    }

    fn broken<T>(&self, rule: &'static str) -> Result<T, DayError> {
        Err(DayError::Rule { origin: self.origin.to_owned(), place: self.place.clone(), rule })
    }

    fn within<T: Copy + PartialOrd + Display>(
        &self,
        key: &'static str,
        found: T,
        low: T,
        high: T,
    ) -> Result<(), DayError> {
        if (&low..=&high).contains(&&found) {
            return Ok(());
        }
        let range = format!("a whole number from {low} to {high}");
        self.refuse(key, found, range)
    }

    fn above_zero(&self, key: &'static str, found: f64, high: f64) -> Result<f64, DayError> {
        // A NaN fails both comparisons.
        if found > 0.0 && found <= high {
            return Ok(found);
        }
        self.refuse(key, found, format!("a number above 0, up to {high}"))
    }

    /// Stripe counts with their shares, and the stripe size in bytes.
    fn stripes(
        &self,
        counts: Option<Stripes>,
        size_kib: Option<u64>,
    ) -> Result<(Vec<StripeShare>, u64), DayError> {
        if counts.is_none() && size_kib.is_some() {
            return self.broken("stripe_size_KiB needs a stripe_count beside it");
        }
        let size_kib = size_kib.unwrap_or(STRIPE_SIZE_KIB);
        self.within("stripe_size_KiB", size_kib, STRIPE_UNIT_KIB, STRIPE_SIZE_MAX_KIB)?;
        if !size_kib.is_multiple_of(STRIPE_UNIT_KIB) {
            return self.refuse("stripe_size_KiB", size_kib, format!("a multiple of {STRIPE_UNIT_KIB}"));
        }
        let Some(Stripes(shares)) = counts else { return Ok((Vec::new(), size_kib << 10)) };
        for stripes in &shares {
            self.within("stripe_count", stripes.count, 1, STRIPES_MAX as u32)?;
            self.above_zero("share of stripe_count", stripes.share, 1.0)?;
        }
        let sum: f64 = shares.iter().map(|stripes| stripes.share).sum();
        if (sum - 1.0).abs() > SHARES_SLACK {
            return self.refuse("the sum of the shares of stripe_count", sum, "1".into());
        }
        Ok((shares, size_kib << 10))
    }
}

//! One situation in the words of the command line: what it is, the command that repeats it, and the values that a run
//! takes.
//!
//! A case is kept as words so that the command printed beside a result is what was run, not a description of it.

use std::path::Path;

use serde::{Deserialize, Serialize};
use tarazu_workload::Workload;
use tarazu_workload::generate::{GenerateError, SameNames, combine, from_spec, replicate};

use crate::background::{BackgroundSpec, LoadError};
use crate::experiment::{SEEDS_MAX, Shard};
use crate::faults::{self, Fault, FaultError};
use crate::scenario::{ParseError, Scenario, Sick, Timing};
use crate::system::{System, SystemError};

/// Longest time of a case, as for other times of a workload.
const SECONDS_MAX: f64 = 1e9;

/// A situation. Every word means what the option of the same name means to `tarazu sim`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Case {
    /// A system's name or file.
    #[serde(default = "bundled")]
    pub system: String,
    /// Changes of single keys of the system.
    #[serde(default)]
    pub set: Vec<String>,
    /// Generated workloads, each on nodes of its own.
    pub generate: Vec<String>,
    /// Copies of all of them.
    #[serde(default = "one")]
    pub copies: u32,
    /// Seconds over which the copies start.
    #[serde(default)]
    pub stagger: f64,
    /// Seed of the generated workloads and of the copies' starts.
    #[serde(default = "one_seed")]
    pub workload_seed: u64,
    /// Stripe counts and sizes.
    #[serde(default = "as_logged")]
    pub striping: String,
    /// Load of others.
    #[serde(default = "none")]
    pub background: String,
    /// What goes wrong.
    #[serde(default)]
    pub fault: Vec<String>,
    /// A slow target.
    #[serde(default)]
    pub sick: Option<String>,
    /// After how many intervals the controller knows of it: a number, or "never".
    #[serde(default = "three")]
    pub sick_known_after: String,
    /// What is known of jobs beforehand.
    #[serde(default = "perfect")]
    pub forecast: String,
    /// Bound of the random delay of each job's start, seconds.
    #[serde(default = "five")]
    pub start_jitter: f64,
    /// Whether every known job is steered.
    #[serde(default)]
    pub steer_always: bool,
    /// Seeds up to this...
    #[serde(default = "four")]
    pub seeds: u64,
    /// ... of which this share is run.
    #[serde(default = "whole")]
    pub shard: String,
}

fn bundled() -> String {
    "ost35".to_string()
}
fn one() -> u32 {
    1
}
fn one_seed() -> u64 {
    1
}
fn as_logged() -> String {
    "as-logged".to_string()
}
fn none() -> String {
    "none".to_string()
}
fn three() -> String {
    "3".to_string()
}
fn perfect() -> String {
    "perfect".to_string()
}
fn five() -> f64 {
    5.0
}
fn four() -> u64 {
    4
}
fn whole() -> String {
    "1/1".to_string()
}

impl Default for Case {
    /// The command's own defaults and no workload.
    fn default() -> Self {
        Self {
            system: bundled(),
            set: Vec::new(),
            generate: Vec::new(),
            copies: one(),
            stagger: 0.0,
            workload_seed: one_seed(),
            striping: as_logged(),
            background: none(),
            fault: Vec::new(),
            sick: None,
            sick_known_after: three(),
            forecast: perfect(),
            start_jitter: five(),
            steer_always: false,
            seeds: four(),
            shard: whole(),
        }
    }
}

/// Why a case cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// It moves nothing.
    #[error("the case generates no workload; name one, such as generate = [\"ior:nodes=4\"]")]
    NoWorkload,
    /// Its system is none.
    #[error(transparent)]
    System(#[from] SystemError),
    /// Its workload cannot be generated.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// A word means nothing.
    #[error(transparent)]
    Word(#[from] ParseError),
    /// The load of others is not to be had.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The faults do not fit the system.
    #[error(transparent)]
    Fault(#[from] FaultError),
    /// A number is none, or out of its range.
    #[error("{key} cannot be {found:?}: use {wanted}")]
    Number {
        /// The option.
        key: &'static str,
        /// What stands there.
        found: String,
        /// What may.
        wanted: &'static str,
    },
}

/// What the runs of a case take.
#[derive(Clone, Debug)]
pub struct Built {
    /// The system.
    pub system: System,
    /// The workload.
    pub workload: Workload,
    /// The rest.
    pub scenario: Scenario,
    /// The seeds.
    pub seeds: Vec<u64>,
}

impl Case {
    /// Reads the words.
    ///
    /// # Errors
    /// One of them means nothing, or the workload is too large.
    pub fn build(&self) -> Result<Built, CaseError> {
        let system = System::named_or_read(Path::new(&self.system), &self.set)?;
        let scenario = self.scenario()?;
        faults::check(&scenario.faults, &system.topology)?;
        let number =
            |key, found: &dyn ToString, wanted| CaseError::Number { key, found: found.to_string(), wanted };
        if !(1..=SEEDS_MAX).contains(&self.seeds) {
            return Err(number("seeds", &self.seeds, "1 to 100000"));
        }
        let shard: Shard =
            self.shard.parse().map_err(|_| number("shard", &self.shard, "NUMBER/COUNT, such as 2/16"))?;
        Ok(Built { workload: self.workload()?, system, scenario, seeds: shard.seeds(self.seeds) })
    }

    /// Generates the workload as the command does.
    fn workload(&self) -> Result<Workload, CaseError> {
        let parts: Result<Vec<Workload>, GenerateError> =
            self.generate.iter().map(|spec| from_spec(spec, self.workload_seed)).collect();
        let mut parts = parts?;
        let joined = match parts.len() {
            0 => return Err(CaseError::NoWorkload),
            1 => parts.remove(0),
            _ => combine(parts, SameNames::Distinct)?,
        };
        if self.copies == 1 && self.stagger == 0.0 {
            return Ok(joined);
        }
        Ok(replicate(&joined, self.copies, self.stagger, self.workload_seed)?)
    }

    fn scenario(&self) -> Result<Scenario, CaseError> {
        if !(0.0..=SECONDS_MAX).contains(&self.start_jitter) {
            let found = self.start_jitter.to_string();
            return Err(CaseError::Number { key: "start-jitter", found, wanted: "seconds from 0 to 1e9" });
        }
        let faults: Result<Vec<Fault>, ParseError> = self.fault.iter().map(|fault| fault.parse()).collect();
        let background: BackgroundSpec = self.background.parse()?;
        let sick: Option<Sick> = self.sick.as_deref().map(str::parse).transpose()?;
        let known_after = match self.sick_known_after.as_str() {
            "never" => None,
            count => Some(count.parse().map_err(|_| CaseError::Number {
                key: "sick-known-after",
                found: count.to_string(),
                wanted: "a number of intervals, or never",
            })?),
        };
        Ok(Scenario {
            timing: Timing::Closed,
            striping: self.striping.parse()?,
            background: background.load()?,
            faults: faults?,
            sick,
            sick_known_after: known_after,
            forecast: self.forecast.parse()?,
            steer_always: self.steer_always,
            start_jitter_s: self.start_jitter,
            ..Scenario::default()
        })
    }

    /// The arguments of `tarazu` that repeat the case's runs; what is as by default is left out.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let mut all = vec!["sim".to_string()];
        let mut option = |name: &str, value: &dyn ToString, is_default: bool| {
            if !is_default {
                all.extend([format!("--{name}"), value.to_string()]);
            }
        };
        let default = Self::default();
        option("system", &self.system, self.system == default.system);
        self.set.iter().for_each(|change| option("set", change, false));
        self.generate.iter().for_each(|spec| option("generate", spec, false));
        option("copies", &self.copies, self.copies == default.copies);
        option("stagger", &self.stagger, self.stagger == default.stagger);
        option("workload-seed", &self.workload_seed, self.workload_seed == default.workload_seed);
        option("striping", &self.striping, self.striping == default.striping);
        option("background", &self.background, self.background == default.background);
        self.fault.iter().for_each(|fault| option("fault", fault, false));
        self.sick.iter().for_each(|sick| option("sick", sick, false));
        option("sick-known-after", &self.sick_known_after, self.sick_known_after == default.sick_known_after);
        option("forecast", &self.forecast, self.forecast == default.forecast);
        option("start-jitter", &self.start_jitter, self.start_jitter == default.start_jitter);
        option("policy", &"lustre-rr,lustre-qos,tarazu", false);
        option("seeds", &self.seeds, false);
        option("shard", &self.shard, self.shard == default.shard);
        if self.steer_always {
            all.push("--steer-always".to_string());
        }
        all
    }

    /// The command that repeats the case's runs, for a shell.
    #[must_use]
    pub fn command(&self) -> String {
        let quoted = |word: String| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_=.,:/@%+".contains(c);
            if !word.is_empty() && word.chars().all(plain) {
                return word;
            }
            format!("'{}'", word.replace('\'', r"'\''"))
        };
        let words: Vec<String> = self.arguments().into_iter().map(quoted).collect();
        format!("tarazu {}", words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_reads_as_the_command_that_repeats_it() {
        let case = Case {
            set: vec!["servers.count=2".into()],
            generate: vec!["ior:nodes=2".into()],
            fault: vec!["failover:0>1".into()],
            sick: Some("3:0.5".into()),
            seeds: 8,
            shard: "2/4".into(),
            ..Case::default()
        };
        assert_eq!(
            case.command(),
            "tarazu sim --set servers.count=2 --generate ior:nodes=2 --fault 'failover:0>1' --sick 3:0.5 --policy \
             lustre-rr,lustre-qos,tarazu --seeds 8 --shard 2/4"
        );
        let built = case.build().expect("a case");
        assert_eq!((built.seeds, built.system.topology.targets().len()), (vec![2, 6], 10));
        assert_eq!(built.workload.jobs.len(), 1);
    }

    #[test]
    fn mistakes_are_named() {
        let ior = || Case { generate: vec!["ior:nodes=2".into()], ..Case::default() };
        let refused = |case: Case| case.build().expect_err("must be refused").to_string();
        assert!(refused(Case::default()).contains("no workload"));
        assert!(refused(Case { system: "ost36".into(), ..ior() }).contains("ost36"));
        assert!(refused(Case { striping: "wide".into(), ..ior() }).contains("count=K"));
        assert!(refused(Case { fault: vec!["down:99".into()], ..ior() }).contains("0 to 34"));
        assert!(refused(Case { sick_known_after: "soon".into(), ..ior() }).contains("never"));
        assert!(refused(Case { forecast: "good".into(), ..ior() }).contains("perfect"));
        assert!(refused(Case { shard: "3/2".into(), ..ior() }).contains("2/16"));
        assert!(refused(Case { seeds: 0, ..ior() }).contains("100000"));
    }
}

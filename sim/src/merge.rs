//! Shares of one sweep, each a result file of its own, joined as if they had been one run.
//!
//! Everything but seeds and their runs must be the same in all of them, the fingerprints of system, workload and
//! scenario included: a sweep is one command and one version.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::counters;
use crate::experiment::{Results, SEEDS_MAX, Shard, summarise};
use crate::outcome::{Metric, Outcome};
use crate::report::{RunPart, SCHEMA, policy_part};
use crate::scenario::Policy;

/// Why shares cannot be joined.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// The text is no JSON.
    #[error("{file} is no JSON; give the files that `tarazu sim --shard N/COUNT --output json` wrote")]
    Json {
        /// The file.
        file: String,
        /// Where and why.
        source: serde_json::Error,
    },
    /// It is JSON of something else, or cut.
    #[error("{file} is no result of `tarazu sim --output json` of this version: {what}")]
    Form {
        /// The file.
        file: String,
        /// What is missing or wrong.
        what: String,
    },
    /// Two files are not of one sweep.
    #[error("{file} is not of the same sweep as {first}: {key} differs")]
    Other {
        /// The file.
        file: String,
        /// The first one.
        first: String,
        /// What differs.
        key: String,
    },
    /// A share came twice.
    #[error("{file} and {first} are both share {} of {}", shard.number, shard.count)]
    Twice {
        /// The file.
        file: String,
        /// The other one.
        first: String,
        /// The share.
        shard: Shard,
    },
    /// Shares are missing.
    #[error("{} of {count} shares are missing: {}", missing.len(), list(missing))]
    Missing {
        /// Their numbers.
        missing: Vec<u64>,
        /// Shares of the whole.
        count: u64,
    },
}

/// Numbers as people read them, not more than a line.
fn list(numbers: &[u64]) -> String {
    let shown: Vec<String> = numbers.iter().take(20).map(u64::to_string).collect();
    let more = if numbers.len() > shown.len() { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// One share.
#[derive(Clone, Debug)]
pub struct Part {
    file: String,
    /// Everything but seeds and results.
    head: Map<String, Value>,
    shard: Shard,
    seeds: Vec<u64>,
    /// By policy, then by seed.
    outcomes: Vec<(Policy, Vec<Outcome>)>,
}

/// A joined sweep.
#[derive(Clone, Debug)]
pub struct Merged {
    /// What the results are about, in the words of the result file.
    pub head: Map<String, Value>,
    /// The results of all seeds.
    pub results: Results,
}

impl Part {
    /// Reads a result file; `file` names it in errors.
    ///
    /// # Errors
    /// It is no result file of this version.
    pub fn read(text: &str, file: &str) -> Result<Self, MergeError> {
        let parsed =
            serde_json::from_str(text).map_err(|source| MergeError::Json { file: file.into(), source })?;
        let form = |what: &str| MergeError::Form { file: file.into(), what: what.into() };
        let Value::Object(mut head) = parsed else { return Err(form("it is no object")) };
        if head.get("schema").and_then(Value::as_str) != Some(SCHEMA) {
            return Err(form(&format!("its schema is not {SCHEMA}")));
        }
        let mut take = |key: &str| head.remove(key).ok_or_else(|| form(&format!("{key} is missing")));
        let (shard, seeds, policies) = (take("shard")?, take("seeds")?, take("policies")?);
        let bad = |key: &'static str| {
            move |error: serde_json::Error| MergeError::Form {
                file: file.into(),
                what: format!("{key}: {error}"),
            }
        };
        let shard: Option<Shard> = serde_json::from_value(shard).map_err(bad("shard"))?;
        let shard = shard.unwrap_or(Shard::WHOLE);
        let seeds: Vec<u64> = serde_json::from_value(seeds).map_err(bad("seeds"))?;
        check_head(&head, shard, &seeds).map_err(|what| form(&what))?;
        let policies: Vec<Value> = serde_json::from_value(policies).map_err(bad("policies"))?;
        let outcomes = policies.iter().map(|policy| outcomes(policy, &seeds).map_err(|what| form(&what)));
        let outcomes = outcomes.collect::<Result<Vec<_>, _>>()?;
        if outcomes.is_empty() {
            return Err(form("it has no policy"));
        }
        Ok(Self { file: file.into(), head, shard, seeds, outcomes })
    }
}

/// Whether the seeds are those of the share, and the head says what tells one sweep from another.
fn check_head(head: &Map<String, Value>, shard: Shard, seeds: &[u64]) -> Result<(), String> {
    if !head.get("fingerprint").is_some_and(Value::is_object) {
        return Err("fingerprint is missing".into());
    }
    let total = head.get("seeds_total").and_then(Value::as_u64);
    let total = total.filter(|total| (1..=SEEDS_MAX).contains(total));
    let total = total.ok_or_else(|| format!("seeds_total is no number from 1 to {SEEDS_MAX}"))?;
    if seeds.is_empty() || seeds != shard.seeds(total) {
        let Shard { number, count } = shard;
        return Err(format!("its seeds are not those of share {number} of {count} of {total} seeds"));
    }
    Ok(())
}

/// The runs of one policy.
fn outcomes(value: &Value, seeds: &[u64]) -> Result<(Policy, Vec<Outcome>), String> {
    let name = value["policy"].as_str().ok_or("a policy has no name")?;
    let policy: Policy = name.parse().map_err(|error| format!("{error}"))?;
    let runs: Vec<RunPart> =
        serde_json::from_value(value["runs"].clone()).map_err(|error| format!("runs of {name}: {error}"))?;
    if runs.len() != seeds.len() {
        return Err(format!("{name} has {} runs for {} seeds", runs.len(), seeds.len()));
    }
    let series: Vec<Vec<Option<f64>>> = Metric::ALL
        .into_iter()
        .map(|metric| by_seed(value, name, metric, seeds.len()))
        .collect::<Result<_, _>>()?;
    let mut outcomes = Vec::with_capacity(seeds.len());
    for (place, (run, seed)) in runs.into_iter().zip(seeds).enumerate() {
        let mut values = [None; Metric::ALL.len()];
        for (series, slot) in series.iter().zip(&mut values) {
            *slot = series[place];
        }
        outcomes.push(Outcome {
            policy,
            seed: *seed,
            values,
            files_made: run.files_made,
            files_steered: run.files_steered,
            read_bytes: run.read_bytes,
            written_bytes: run.written_bytes,
            off_target_bytes: run.off_target_bytes,
            overfilled_bytes: run.overfilled_bytes,
            steered_bytes: run.steered_bytes,
            steered: known(run.steered, counters::steered_name_of)?,
            refusals: known(run.refusals, counters::left_name_of)?,
            plans: run.plans,
            reports_refused: run.reports_refused,
            bound_s: run.bound_s,
            series: None,
            explanation: None,
        });
    }
    Ok((policy, outcomes))
}

/// Counts under the names of this version.
fn known(
    counts: BTreeMap<String, u64>,
    name_of: fn(&str) -> Option<&'static str>,
) -> Result<BTreeMap<&'static str, u64>, String> {
    let one = |(reason, count): (String, u64)| {
        let known = name_of(&reason).ok_or_else(|| format!("the reason {reason:?} is not known"))?;
        Ok((known, count))
    };
    counts.into_iter().map(one).collect()
}

/// A metric's value for each seed; `None` only where the file says so.
fn by_seed(policy: &Value, name: &str, metric: Metric, seeds: usize) -> Result<Vec<Option<f64>>, String> {
    let metric = metric.name();
    let values = policy["metrics"][metric]["by_seed"].as_array();
    let values = values.ok_or_else(|| format!("by_seed of {metric} of {name} is missing"))?;
    if values.len() != seeds {
        return Err(format!("{metric} of {name} has {} values for {seeds} seeds", values.len()));
    }
    let number = |value: &Value| match value {
        Value::Null => Ok(None),
        value => value.as_f64().map(Some).ok_or_else(|| format!("{metric} of {name} is no number")),
    };
    values.iter().map(number).collect()
}

/// Joins all shares of a sweep.
///
/// # Errors
/// A share is missing, came twice, or belongs to another sweep.
pub fn merge(mut parts: Vec<Part>) -> Result<Merged, MergeError> {
    parts.sort_by_key(|part| part.shard);
    let Some(first) = parts.first().cloned() else {
        return Err(MergeError::Missing { missing: vec![1], count: 1 });
    };
    let order: Vec<Policy> = first.outcomes.iter().map(|(policy, _)| *policy).collect();
    for part in &parts[1..] {
        let other = |key: &str| MergeError::Other {
            file: part.file.clone(),
            first: first.file.clone(),
            key: key.into(),
        };
        if part.shard.count != first.shard.count {
            return Err(other("the number of shares"));
        }
        let keys = first.head.keys().chain(part.head.keys());
        if let Some(key) = keys.into_iter().find(|key| first.head.get(*key) != part.head.get(*key)) {
            return Err(other(key));
        }
        if !part.outcomes.iter().map(|(policy, _)| *policy).eq(order.iter().copied()) {
            return Err(other("the list of policies"));
        }
    }
    if let Some(pair) = parts.windows(2).find(|pair| pair[0].shard == pair[1].shard) {
        let (file, first) = (pair[1].file.clone(), pair[0].file.clone());
        return Err(MergeError::Twice { file, first, shard: pair[0].shard });
    }
    let count = first.shard.count;
    let there: BTreeSet<u64> = parts.iter().map(|part| part.shard.number).collect();
    let missing: Vec<u64> = (1..=count).filter(|number| !there.contains(number)).collect();
    if !missing.is_empty() {
        return Err(MergeError::Missing { missing, count });
    }
    let mut seeds: Vec<u64> = parts.iter().flat_map(|part| part.seeds.iter().copied()).collect();
    seeds.sort_unstable();
    let mut all: Vec<Outcome> = Vec::with_capacity(seeds.len() * order.len());
    for place in 0..order.len() {
        let mut of_policy: Vec<Outcome> =
            parts.iter().flat_map(|part| part.outcomes[place].1.iter().cloned()).collect();
        of_policy.sort_by_key(|outcome| outcome.seed);
        all.extend(of_policy);
    }
    Ok(Merged { head: first.head, results: summarise(&order, seeds, &all) })
}

impl Merged {
    /// The result file of the whole sweep: the same values as one run would have given.
    #[must_use]
    pub fn report(&self) -> Value {
        let mut whole = self.head.clone();
        whole.insert("shard".into(), Value::Null);
        whole.insert("seeds".into(), self.results.seeds.clone().into());
        let policies = self.results.policies.iter().map(|result| serde_json::json!(policy_part(result)));
        whole.insert("policies".into(), policies.collect());
        Value::Object(whole)
    }
}

//! `tarazu sim --explain FILE`: the plans of one run with their reasons as a file, whole or not at all.

use std::path::Path;

use anyhow::{Context, Result};
use tarazu_sim::experiment::Results;
use tarazu_sim::report::Subject;

use crate::cli::whole_file::replace;
use crate::cli::words::counted;

/// Writes the file, and says in a line what is in it.
pub(super) fn write(path: &Path, subject: &Subject<'_>, results: &Results) -> Result<String> {
    let outcomes = results.policies.iter().flat_map(|result| &result.outcomes);
    let explanation = outcomes.filter_map(|outcome| outcome.explanation.as_deref()).next();
    let explanation = explanation.context("no run was explained")?;
    let mut bytes = Vec::new();
    let cannot = || format!("cannot write the explanation {}", path.display());
    explanation.write(subject, &mut bytes).with_context(cannot)?;
    replace(path, &bytes).with_context(cannot)?;
    let plans = counted(explanation.plans() as u64, "plan");
    let left_out = match explanation.left_out() {
        0 => String::new(),
        more => format!(", {more} later ones left out"),
    };
    let (policy, seed) = (explanation.policy(), explanation.seed());
    Ok(format!("explained: {plans} of {policy} in seed {seed}{left_out}: {}\n", path.display()))
}

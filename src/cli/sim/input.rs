//! Where the workload of `tarazu sim` comes from.

use std::path::Path;

use anyhow::{Result, bail};
use tarazu_darshan::Log;
use tarazu_workload::Workload;
use tarazu_workload::generate::{from_spec, replicate, scale_bytes};

use super::ReplayArgs;
use crate::cli::input::{self, Joined, Trace};
use crate::cli::logs::Condition;
use crate::cli::words::counted_as;

/// A real run of a checkpointing program: 16 ranks, 8 file-per-process checkpoints, one restart. Used
/// when no trace is named.
const BUNDLED_LOG: &[u8] = include_bytes!("../../../traces/darshan/ckpt-fpp-n16-lustre.darshan");
const BUNDLED_NAME: &str = "ckpt-fpp-n16-lustre.darshan";

/// A workload with its history.
pub(super) struct Input {
    pub(super) workload: Workload,
    /// Where it came from, for people.
    pub(super) source: String,
    /// What was assumed.
    pub(super) notes: Vec<String>,
    /// Bytes that logs moved in files that were not kept; `None` without logs.
    pub(super) left_out_bytes: Option<u64>,
    /// How the logs were.
    pub(super) condition: Condition,
}

/// Reads traces and generators, joins them, and applies copies and scaling.
pub(super) fn read(args: &ReplayArgs) -> Result<Input> {
    if let Some(word) = args.traces.iter().find(|path| is_no_tool(path)) {
        let known = "the one tool of `tarazu sim` is `flows`, everything else is the name of a trace";
        bail!("there is no file {}; {known}", word.display());
    }
    let traces = Trace::of_all(&args.traces)?;
    let mut sources: Vec<String> = args.traces.iter().map(|path| path.display().to_string()).collect();
    let mut joined = if args.traces.is_empty() && args.generate.is_empty() {
        sources.push(format!("the bundled log {BUNDLED_NAME}"));
        let converted = args.select.convert(&[Log::from_bytes(BUNDLED_NAME, BUNDLED_LOG)?])?;
        Joined {
            parts: vec![converted.workload],
            notes: converted.notes,
            left_out_bytes: Some(converted.left_out_bytes),
            ..Joined::default()
        }
    } else {
        input::read(&traces, &args.select, args.tolerance, args.workload_seed)?
    };
    for spec in &args.generate {
        joined.parts.push(from_spec(spec, args.workload_seed)?);
        sources.push(spec.clone());
    }
    let (notes, left_out_bytes) = (std::mem::take(&mut joined.notes), joined.left_out_bytes);
    let condition = joined.condition;
    let mut workload = joined.workload()?;
    if args.scale_bytes != 1 {
        workload = scale_bytes(&workload, args.scale_bytes)?;
        sources.push(format!("sizes × {}", args.scale_bytes));
    }
    if args.copies != 1 || args.stagger > 0.0 {
        workload = replicate(&workload, args.copies, args.stagger, args.workload_seed)?;
        sources.push(format!("{} over {} s", counted_as(args.copies.into(), "copy", "copies"), args.stagger));
    }
    Ok(Input { workload, source: sources.join(", "), notes, left_out_bytes, condition })
}

/// Whether a bare word that names no file may have been meant as a tool.
fn is_no_tool(path: &Path) -> bool {
    path.extension().is_none() && path.components().count() == 1 && std::fs::symlink_metadata(path).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bare_word_may_have_been_meant_as_a_tool() {
        assert!(is_no_tool(Path::new("flow")));
        for path in ["flow.csv", "runs/flow", "./flow", "Cargo.toml", "src"] {
            assert!(!is_no_tool(Path::new(path)), "{path}");
        }
    }
}

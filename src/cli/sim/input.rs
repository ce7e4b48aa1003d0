//! Where the workload of `tarazu sim` comes from.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, bail};
use tarazu_workload::darshan::{ConvertOptions, Log, to_workload};
use tarazu_workload::generate::{SameNames, combine, from_spec, replicate, scale_bytes};
use tarazu_workload::{Workload, csv_format};

use super::ReplayArgs;

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
}

/// Reads traces and generators, joins them, and applies copies and scaling.
pub(super) fn read(args: &ReplayArgs) -> Result<Input> {
    let mut notes = Vec::new();
    let mut sources = Vec::new();
    let mut parts = Vec::new();
    let mut logs = Vec::new();
    for path in &args.traces {
        sources.push(path.display().to_string());
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => parts.push(read_csv(path)?),
            Some("darshan") => logs.push(Log::open(path)?),
            _ => bail!(
                "{}: a trace is a Darshan log (*.darshan) or a workload file (*.csv); rename it if it is one",
                path.display()
            ),
        }
    }
    if args.traces.is_empty() && args.generate.is_empty() {
        sources.push(format!("the bundled log {BUNDLED_NAME}"));
        logs.push(Log::from_bytes(BUNDLED_NAME, BUNDLED_LOG)?);
    }
    if !logs.is_empty() {
        let logs: Vec<&Log> = logs.iter().collect();
        let converted = to_workload(&logs, &ConvertOptions::default())?;
        notes.extend(converted.notes.iter().map(ToString::to_string));
        parts.push(converted.workload);
    }
    for spec in &args.generate {
        parts.push(from_spec(spec, args.workload_seed)?);
        sources.push(spec.clone());
    }
    let mut workload = match parts.len() {
        1 => parts.remove(0),
        _ => combine(parts, SameNames::Distinct)?,
    };
    if args.scale_bytes != 1 {
        workload = scale_bytes(&workload, args.scale_bytes)?;
        sources.push(format!("sizes × {}", args.scale_bytes));
    }
    if args.copies != 1 || args.stagger > 0.0 {
        workload = replicate(&workload, args.copies, args.stagger, args.workload_seed)?;
        sources.push(format!("{} copies over {} s", args.copies, args.stagger));
    }
    Ok(Input { workload, source: sources.join(", "), notes })
}

fn read_csv(path: &Path) -> Result<Workload> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    Ok(csv_format::read(file, &path.display().to_string())?)
}

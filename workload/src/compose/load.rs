//! Reads what a day's parts name: logs, workload files, and nothing for generators.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tarazu_darshan::Log;
use tarazu_layout::Time;

use super::{ComposeError, Day, Part, PartSpec, Source, SourceSpec, Template};
use crate::darshan::{ConvertOptions, to_workload};
use crate::generate::{scale_bytes, with_file};
use crate::limits::JOBS_MAX;
use crate::{Action, File, FileId, Workload, csv_format, regular};

/// Logs that are read side by side, so that reading thousands needs the memory of these only.
const LOGS_AT_ONCE: usize = 32;

/// The clock of all logs: their starts are seconds since 1970. Workload files have clocks of their own.
const LOG_CLOCK: u32 = 0;

/// A day's parts with their jobs.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// In the order of the description.
    pub parts: Vec<Part>,
    /// What was assumed, one sentence each.
    pub notes: Vec<String>,
    /// Bytes that logs moved in files that were not kept; `None` without logs.
    pub left_out_bytes: Option<u64>,
}

/// Reads the logs and workload files of a day; their paths are relative to `folder`.
///
/// Starts of logs become relative to the earliest log of the day; those of a workload file stay as they are.
///
/// # Errors
/// The first log or file that cannot be read, converted or scaled.
pub fn load(day: &Day, folder: &Path) -> Result<Loaded, ComposeError> {
    let mut loading = Loading { folder, logs: Vec::new(), clocks: LOG_CLOCK, notes: Vec::new(), left_out: 0 };
    let mut parts = Vec::with_capacity(day.parts.len());
    for (number, spec) in day.parts.iter().enumerate() {
        let source = match &spec.source {
            SourceSpec::Logs(paths) => Source::Jobs(loading.logs(number, spec, paths)?),
            SourceSpec::Csv(paths) => Source::Jobs(loading.tables(spec, paths)?),
            SourceSpec::Generate(text) => {
                Source::Generator { spec: text.clone(), scale_bytes: spec.scale_bytes }
            }
        };
        parts.push(Part {
            name: spec.name.clone(),
            source,
            often: spec.often,
            stripes: spec.stripes.clone(),
            stripe_size: spec.stripe_size,
            shared: spec.shared.clone(),
        });
    }
    let has_logs = !loading.logs.is_empty();
    loading.set_starts(&mut parts);
    Ok(Loaded { parts, notes: loading.notes, left_out_bytes: has_logs.then_some(loading.left_out) })
}

/// Where a log's job is, and when it started in nanoseconds since 1970.
struct LogStart {
    part: usize,
    template: usize,
    at_ns: i128,
}

struct Loading<'a> {
    folder: &'a Path,
    logs: Vec<LogStart>,
    /// The last clock that was given.
    clocks: u32,
    notes: Vec<String>,
    left_out: u64,
}

impl Loading<'_> {
    fn logs(
        &mut self,
        number: usize,
        spec: &PartSpec,
        paths: &[PathBuf],
    ) -> Result<Vec<Template>, ComposeError> {
        let part = || spec.name.clone();
        let options = ConvertOptions { ranks_per_node: spec.ranks_per_node, mounts: spec.mounts.clone() };
        let mut templates = Vec::new();
        for paths in paths.chunks(LOGS_AT_ONCE) {
            let paths: Vec<PathBuf> = paths.iter().map(|path| self.folder.join(path)).collect();
            for log in Log::open_all(&paths) {
                let mut log = log.map_err(|source| ComposeError::Log { part: part(), source })?;
                // A day is not made of half a log: what is missing would be nobody's load.
                if !log.faults.is_empty() {
                    return Err(ComposeError::Log { part: part(), source: log.faults.swap_remove(0) });
                }
                let converted = to_workload(&[&log], &options)
                    .map_err(|source| ComposeError::Convert { part: part(), source })?;
                self.notes.extend(converted.notes);
                self.left_out = self.left_out.saturating_add(converted.left_out_bytes);
                let at_ns = i128::from(log.job.start_sec) * 1_000_000_000 + i128::from(log.job.start_nsec);
                let recorded = Time::from_secs_f64(log.job.run_time_s().unwrap_or(0.0));
                for mut template in split(scaled(spec, converted.workload)?, LOG_CLOCK) {
                    template.run = template.run.max(Duration::from_nanos(recorded.0));
                    self.logs.push(LogStart { part: number, template: templates.len(), at_ns });
                    templates.push(template);
                }
                at_most_jobs(templates.len())?;
            }
        }
        Ok(templates)
    }

    fn tables(&mut self, spec: &PartSpec, paths: &[PathBuf]) -> Result<Vec<Template>, ComposeError> {
        let mut templates = Vec::new();
        for path in paths {
            let path = self.folder.join(path);
            let name = path.display().to_string();
            let file = regular::open(&path).map_err(|source| ComposeError::Open {
                part: spec.name.clone(),
                file: name.clone(),
                source,
            })?;
            let workload = csv_format::read(file, &name)
                .map_err(|error| ComposeError::Csv { part: spec.name.clone(), source: error.into() })?;
            self.clocks += 1;
            templates.extend(split(scaled(spec, workload)?, self.clocks));
            at_most_jobs(templates.len())?;
        }
        Ok(templates)
    }

    /// Gives the logs' jobs their start relative to the earliest.
    fn set_starts(&self, parts: &mut [Part]) {
        let earliest = self.logs.iter().map(|log| log.at_ns).min().unwrap_or(0);
        for log in &self.logs {
            let part = parts.get_mut(log.part).map(|part| &mut part.source);
            if let Some(Source::Jobs(templates)) = part
                && let Some(template) = templates.get_mut(log.template)
            {
                template.job.start = Time(u64::try_from(log.at_ns - earliest).unwrap_or(u64::MAX));
            }
        }
    }
}

fn at_most_jobs(found: usize) -> Result<(), ComposeError> {
    if found as u64 <= JOBS_MAX {
        return Ok(());
    }
    Err(ComposeError::TooMany { what: "jobs", limit: JOBS_MAX })
}

fn scaled(spec: &PartSpec, workload: Workload) -> Result<Workload, ComposeError> {
    if spec.scale_bytes == 1 {
        return Ok(workload);
    }
    scale_bytes(&workload, spec.scale_bytes)
        .map_err(|error| ComposeError::Generate { part: spec.name.clone(), source: error.into() })
}

/// The jobs of a workload, each with the files that it uses. What a job uses and does not write must be there
/// before it, whichever job wrote it in the workload.
pub(super) fn split(workload: Workload, clock: u32) -> Vec<Template> {
    let files = workload.files;
    let one = |mut job: crate::Job| {
        let mut places: BTreeMap<FileId, FileId> = BTreeMap::new();
        let mut own: Vec<File> = Vec::new();
        let mut written: Vec<bool> = Vec::new();
        let mut last = Time::ZERO;
        for op in job.ranks.iter_mut().flat_map(|rank| &mut rank.ops) {
            last = last.max(op.start);
            let Some(file) = op.action.file() else { continue };
            let place = *places.entry(file).or_insert(FileId(own.len() as u32));
            if place.0 as usize == own.len() {
                own.extend(files.get(file.0 as usize).cloned());
                written.push(false);
            }
            if let Some(mark) = written.get_mut(place.0 as usize) {
                *mark |= matches!(op.action, Action::Create { .. } | Action::Write { .. });
            }
            op.action = with_file(op.action, |_| place);
        }
        for (file, written) in own.iter_mut().zip(written) {
            file.exists |= !written;
        }
        Template { job, files: own, clock, run: Duration::from_nanos(last.0) }
    };
    workload.jobs.into_iter().map(one).collect()
}

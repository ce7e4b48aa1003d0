//! What nodes say.

use tarazu_core::policy::Chosen;
use tarazu_core::sample::{FileProfile, JobStart, Placed, PlacedOutcome};
use tarazu_layout::limits::STRIPES_MAX;
use tarazu_layout::{Bytes, JobId, OstIndex, TargetId};
use tarazu_table::{JobKey, STRIPE_SIZE_UNIT, Tier};

use super::error::{Invalid, count, number};
use crate::limits::{PROFILES_MAX, WORLD_MAX};
use crate::v1;

/// A placed file with the controller's numbers.
///
/// # Errors
/// No or too many stripes, a target that is not known, no outcome.
pub fn placed(
    message: &v1::Placed,
    target: &dyn Fn(OstIndex) -> Option<TargetId>,
) -> Result<Placed, Invalid> {
    count("stripes of a placed file", message.ost_indices.len(), 1, STRIPES_MAX)?;
    let known = |ost: &u32| target(OstIndex(*ost)).ok_or(Invalid::UnknownOst(*ost));
    let outcome = match message.outcome.as_ref().ok_or(Invalid::Missing("the outcome"))? {
        v1::placed::Outcome::Created(created) => {
            let tier = if created.steady { Tier::Steady } else { Tier::Now };
            PlacedOutcome::Created { reason: Chosen::Ticket(tier) }
        }
        v1::placed::Outcome::Closed(closed) => PlacedOutcome::Closed { written: Bytes(closed.written_bytes) },
    };
    Ok(Placed {
        job: JobId(message.job),
        key: JobKey(message.key),
        targets: message.ost_indices.iter().map(known).collect::<Result<_, Invalid>>()?,
        expected: Bytes(message.expected_bytes),
        outcome,
    })
}

/// A placed file as it travels. `ost` gives the index of a target.
#[must_use]
pub fn placed_from(placed: &Placed, ost: &dyn Fn(TargetId) -> OstIndex) -> v1::Placed {
    let outcome = match placed.outcome {
        PlacedOutcome::Created { reason } => v1::placed::Outcome::Created(v1::placed::Created {
            steady: reason == Chosen::Ticket(Tier::Steady),
        }),
        PlacedOutcome::Closed { written } => {
            v1::placed::Outcome::Closed(v1::placed::Closed { written_bytes: written.0 })
        }
    };
    v1::Placed {
        job: placed.job.0,
        key: placed.key.0,
        ost_indices: placed.targets.iter().map(|target| ost(*target).0).collect(),
        expected_bytes: placed.expected.0,
        outcome: Some(outcome),
    }
}

/// The start of a job.
///
/// # Errors
/// A number outside its range.
pub fn job_start(message: &v1::JobStart) -> Result<JobStart, Invalid> {
    if message.world == 0 || message.world > WORLD_MAX {
        return Err(number("the number of processes", &message.world, "1 to 2^24"));
    }
    count("classes of files of a job", message.files.len(), 1, PROFILES_MAX)?;
    Ok(JobStart {
        job: JobId(message.job),
        world: message.world,
        files: message.files.iter().map(profile).collect::<Result<_, _>>()?,
    })
}

fn profile(message: &v1::FileProfile) -> Result<FileProfile, Invalid> {
    let stripes = message.stripe_count;
    if stripes == 0 || stripes as usize > STRIPES_MAX {
        return Err(number("a stripe count", &stripes, "1 to 2000"));
    }
    let size = message.stripe_size_bytes;
    let unit = u64::from(STRIPE_SIZE_UNIT);
    if size == 0 || size > u64::from(u32::MAX) || !size.is_multiple_of(unit) {
        return Err(number("a stripe size", &size, "a multiple of 65536 below 2^32"));
    }
    let confidence = u8::try_from(message.confidence_percent).ok().filter(|percent| *percent <= 100);
    let confidence =
        confidence.ok_or_else(|| number("a confidence", &message.confidence_percent, "0 to 100 percent"))?;
    if message.placed_bytes > message.expected_bytes {
        return Err(number("the placed part", &message.placed_bytes, "at most the file's expected bytes"));
    }
    Ok(FileProfile {
        key: JobKey(message.key),
        files_per_burst: message.files_per_burst,
        files_per_process: message.files_per_process,
        stripes_per_burst: message
            .stripes_per_burst
            .unwrap_or_else(|| u64::from(message.files_per_burst) * u64::from(stripes)),
        expected: Bytes(message.expected_bytes),
        placed: Bytes(message.placed_bytes),
        stripe_count: stripes,
        stripe_size: size,
        confidence,
    })
}

/// The start of a job as it travels.
#[must_use]
pub fn job_start_from(start: &JobStart) -> v1::JobStart {
    let profile = |file: &FileProfile| v1::FileProfile {
        key: file.key.0,
        files_per_burst: file.files_per_burst,
        files_per_process: file.files_per_process,
        stripe_count: file.stripe_count,
        stripe_size_bytes: file.stripe_size,
        expected_bytes: file.expected.0,
        placed_bytes: file.placed.0,
        confidence_percent: u32::from(file.confidence),
        stripes_per_burst: Some(file.stripes_per_burst),
    };
    v1::JobStart { job: start.job.0, world: start.world, files: start.files.iter().map(profile).collect() }
}

//! Situations that were designed or found to hurt, each a file with what it is about and what tarazu may cost in it.
//!
//! They are listed apart: nobody drew them, so they belong to no statistics.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::verdict::{MEASURES, above_better, judge_means};
use super::{Case, RunError, run_case};

/// Largest file of a named situation: a page of text.
const BYTES_MAX: u64 = 1 << 16;

/// Files of one folder.
const NAMED_MAX: usize = 1000;

/// A named situation.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// Its name: that of its file.
    #[serde(skip)]
    pub name: String,
    /// What is meant to go wrong.
    pub what: String,
    /// What may.
    pub limits: Limits,
    /// The situation.
    pub case: Case,
}

/// What tarazu may cost, by the main measure, means over the case's seeds.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// Most that its time may be of the better stock allocator's.
    pub over_better: f64,
}

/// What a named situation gave.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Kept {
    /// tarazu over the better stock allocator.
    pub over_better: f64,
    /// Share of the bytes written that were steered.
    pub bytes_steered_share: f64,
    /// Whether the limits hold.
    pub holds: bool,
}

/// Why named situations cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum NamedError {
    /// There is no such file or folder, or it is unreadable.
    #[error("cannot read {path}")]
    Read {
        /// The file or folder.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// There is nothing in it, or too much.
    #[error("{path} has {found} files *.toml; give a folder with 1 to {NAMED_MAX}")]
    Folder {
        /// The folder.
        path: String,
        /// Files in it.
        found: usize,
    },
    /// Too large to be one.
    #[error("{path} has more than {BYTES_MAX} bytes, which no named situation needs")]
    TooLarge {
        /// The file.
        path: String,
    },
    /// It is none.
    #[error("{path} is no named situation: {message}")]
    Parse {
        /// The file.
        path: String,
        /// What and where.
        message: String,
    },
}

impl Named {
    /// Reads a file, or all files `*.toml` of a folder by name.
    ///
    /// # Errors
    /// Unreadable, empty, or not of this form.
    pub fn read(path: &Path) -> Result<Vec<Self>, NamedError> {
        let at = |source| NamedError::Read { path: path.display().to_string(), source };
        if !std::fs::metadata(path).map_err(at)?.is_dir() {
            return Ok(vec![Self::read_file(path)?]);
        }
        let mut files: Vec<PathBuf> = Vec::new();
        for entry in std::fs::read_dir(path).map_err(at)? {
            let file = entry.map_err(at)?.path();
            if file.extension().is_some_and(|extension| extension == "toml") {
                files.push(file);
            }
        }
        if !(1..=NAMED_MAX).contains(&files.len()) {
            return Err(NamedError::Folder { path: path.display().to_string(), found: files.len() });
        }
        files.sort();
        files.iter().map(|file| Self::read_file(file)).collect()
    }

    fn read_file(path: &Path) -> Result<Self, NamedError> {
        use std::io::Read as _;

        let name = path.display().to_string();
        let at = |source| NamedError::Read { path: name.clone(), source };
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(at)?;
        file.take(BYTES_MAX + 1).read_to_string(&mut text).map_err(at)?;
        if text.len() as u64 > BYTES_MAX {
            return Err(NamedError::TooLarge { path: name });
        }
        let parsed: Result<Self, toml::de::Error> = toml::from_str(&text);
        let named = parsed.map_err(|error| NamedError::Parse {
            path: name.clone(),
            message: error.to_string().trim_end().to_string(),
        })?;
        if !(named.limits.over_better.is_finite() && named.limits.over_better > 0.0) {
            let message = "over-better must be a number above 0".to_string();
            return Err(NamedError::Parse { path: name, message });
        }
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Self { name: stem, ..named })
    }

    /// Runs it with all its policies and seeds. `None` where it had nothing to measure.
    ///
    /// # Errors
    /// It cannot be built, or a run ends early.
    pub fn check(&self) -> Result<Option<Kept>, RunError> {
        let outcomes = run_case(&self.case)?;
        let Some(verdict) = judge_means(&outcomes, MEASURES[0]) else { return Ok(None) };
        let ours = above_better(&outcomes);
        let sums = ours.iter().fold((0u64, 0u64), |sums, outcome| {
            (sums.0.saturating_add(outcome.steered_bytes), sums.1.saturating_add(outcome.written_bytes))
        });
        Ok(Some(Kept {
            over_better: verdict.tarazu,
            bytes_steered_share: sums.0 as f64 / sums.1.max(1) as f64,
            holds: verdict.tarazu <= self.limits.over_better,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_what_it_is_about() {
        let text = "what = \"nothing\"\n[limits]\nover-better = 1.0\n[case]\ngenerate = [\"ior:nodes=1\"]\nseeds = 1\n";
        let named: Named = toml::from_str(text).expect("a named situation");
        let kept = named.check().expect("a run").expect("a verdict");
        assert!(kept.holds && kept.over_better == 1.0, "{kept:?}");
        let never = text.replace("seeds = 1", "seeds = 1\nstart-jitter = inf");
        let never: Named = toml::from_str(&never).expect("a number");
        assert!(never.check().is_err_and(|error| error.to_string().contains("start-jitter")));
        let wrong = text.replace("seeds", "sedes");
        assert!(toml::from_str::<Named>(&wrong).is_err_and(|error| error.to_string().contains("sedes")));
    }

    #[test]
    fn what_is_not_there_is_named() {
        let error = Named::read(Path::new("no/such/folder")).expect_err("nothing there").to_string();
        assert!(error.contains("no/such/folder"), "{error}");
    }
}

//! Load of others on each target: what was asked for, and its course over a run.
//!
//! A course depends on the seed and the target alone, never on what a policy does: all policies of a seed meet the
//! same others. It says which share of a target others take; what that leaves is the replay's to work out.

mod markov;
mod recorded;
mod table;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rand::RngExt;
use tarazu_core::rng::stream;
use tarazu_layout::{TargetId, Time};

use crate::scenario::ParseError;
pub use markov::Markov;
pub use recorded::{Recorded, RecordedSpec};

/// Others' load never takes more than this share, so that every job ends.
pub const BACKGROUND_MAX: f64 = 0.95;

/// Factors of the process's times: from a hundredth of a second between changes to states of a month.
const DWELL: std::ops::RangeInclusive<f64> = 1e-3..=1e5;

/// What `--background` takes, for errors and help.
const VALID: &str = "none, constant=SHARE, uniform=SHARE, markov, markov=MEAN or markov=MEAN,dwell=FACTOR (SHARE and \
                     MEAN from 0 to 0.95, FACTOR from 0.001 to 100000), or \
                     recorded=FILE[,read=FILE][,missing=FILE][,mask=FROM-TO][,start=TIME][,scale=FACTOR][,mean=MEAN]";

/// Load of others as it is asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum BackgroundSpec {
    /// The system is otherwise empty.
    None,
    /// The same share, 0 to [`BACKGROUND_MAX`], on every target.
    Constant(f64),
    /// A share per target, drawn uniformly from 0 to this for each seed.
    Uniform(f64),
    /// The process of [`Markov`].
    Markov {
        /// Long-run mean load; `None` for that of the frozen parameters.
        mean: Option<f64>,
        /// All times of the process are multiplied by this.
        dwell: f64,
    },
    /// Series that were measured on a real system.
    Recorded(RecordedSpec),
}

/// Load of others, ready for runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Background {
    /// The system is otherwise empty.
    #[default]
    None,
    /// The same share, 0 to [`BACKGROUND_MAX`], on every target.
    Constant(f64),
    /// A share per target, drawn uniformly from 0 to this for each seed.
    Uniform(f64),
    /// Three states with lognormal levels.
    Markov(Arc<Markov>),
    /// Series that were measured on a real system.
    Recorded(Arc<Recorded>),
}

/// Why a load of others is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The program's own parameters are broken.
    #[error("the frozen parameters of the background process are broken: {reason}")]
    Frozen {
        /// What is wrong.
        reason: String,
    },
    /// A file cannot be read.
    #[error("cannot read the recorded series {path}")]
    Read {
        /// The file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// A file is not a table of rates.
    #[error("{path}, line {line}: {reason}")]
    Row {
        /// The file.
        path: String,
        /// The line, counted from 1.
        line: u64,
        /// What is wrong, and what is expected.
        reason: String,
    },
    /// A value of a table is not a rate.
    #[error("{path}, line {line}, column {column}: {value:?} is not {expected}")]
    Value {
        /// The file.
        path: String,
        /// The line, counted from 1.
        line: u64,
        /// The column, by the name in the first line.
        column: String,
        /// What stands there.
        value: String,
        /// What may.
        expected: &'static str,
    },
    /// A table is beyond all measure.
    #[error("{path} has more than {max} {what}; cut out the part that is to be replayed")]
    TooLarge {
        /// The file.
        path: String,
        /// What there is too much of.
        what: &'static str,
        /// How much there may be.
        max: u64,
    },
    /// Two tables do not belong together.
    #[error(
        "{path} and {other} do not have the same times and columns; give series of one system and one period"
    )]
    Mismatch {
        /// The first file.
        path: String,
        /// The other one.
        other: String,
    },
    /// The series does not contain what was asked for.
    #[error("{path}: {reason}")]
    Series {
        /// The file.
        path: String,
        /// What is wrong, and what to do.
        reason: String,
    },
}

/// Shares of a target's bandwidth that others take, together at most [`BACKGROUND_MAX`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Load {
    /// By reading.
    pub(crate) read: f64,
    /// By writing.
    pub(crate) write: f64,
}

impl Load {
    /// Others only write.
    pub(crate) fn writing(share: f64) -> Self {
        Self { read: 0.0, write: share }
    }

    /// Share of the disk's time that others take.
    pub(crate) fn total(self) -> f64 {
        self.read + self.write
    }

    /// Demand beyond what others may take is cut, reading and writing alike.
    fn capped(self) -> Self {
        let total = self.total();
        if total <= BACKGROUND_MAX {
            return self;
        }
        let kept = BACKGROUND_MAX / total;
        Self { read: self.read * kept, write: self.write * kept }
    }
}

/// The course of one target's load in one run.
#[derive(Clone, Debug)]
pub(crate) enum Course {
    /// It never changes.
    Constant(Load),
    /// The process.
    Markov(Box<markov::Playing>),
    /// A recorded column.
    Recorded(recorded::Playing),
}

impl Course {
    /// The load at the start. To be asked for once, first.
    pub(crate) fn first(&mut self) -> Load {
        match self {
            Self::Constant(load) => *load,
            Self::Markov(playing) => playing.first(),
            Self::Recorded(playing) => playing.first(),
        }
    }

    /// The next change; `None` if there is none any more.
    pub(crate) fn next(&mut self) -> Option<(Time, Load)> {
        match self {
            Self::Constant(_) => None,
            Self::Markov(playing) => Some(playing.next()),
            Self::Recorded(playing) => playing.next(),
        }
    }
}

impl Background {
    /// The course on one target in the run of one seed.
    pub(crate) fn course(&self, seed: u64, target: TargetId) -> Course {
        match self {
            Self::None => Course::Constant(Load::default()),
            Self::Constant(share) => Course::Constant(Load::writing(*share)),
            Self::Uniform(most) => {
                let draw: f64 = stream(seed, "background", u64::from(target.0)).random_range(0.0..1.0);
                Course::Constant(Load::writing(draw * most))
            }
            Self::Markov(process) => Course::Markov(Box::new(process.play(seed, target))),
            Self::Recorded(recorded) => Course::Recorded(Recorded::play(recorded, seed, target)),
        }
    }

    /// What was asked for.
    #[must_use]
    pub fn spec(&self) -> BackgroundSpec {
        match self {
            Self::None => BackgroundSpec::None,
            Self::Constant(share) => BackgroundSpec::Constant(*share),
            Self::Uniform(share) => BackgroundSpec::Uniform(*share),
            Self::Markov(process) => {
                let (mean, dwell) = process.typed();
                BackgroundSpec::Markov { mean, dwell }
            }
            Self::Recorded(recorded) => BackgroundSpec::Recorded(recorded.spec().clone()),
        }
    }

    /// What people should know about it, such as how recorded series were read.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        match self {
            Self::Recorded(recorded) => recorded.notes(),
            _ => Vec::new(),
        }
    }
}

impl BackgroundSpec {
    /// Makes it ready for runs: reads its files.
    ///
    /// # Errors
    /// A recorded series is unreadable, malformed, too large or does not contain what was asked for.
    pub fn load(&self) -> Result<Background, LoadError> {
        Ok(match self {
            Self::None => Background::None,
            Self::Constant(share) => Background::Constant(*share),
            Self::Uniform(share) => Background::Uniform(*share),
            Self::Markov { mean, dwell } => Background::Markov(Arc::new(Markov::new(*mean, *dwell)?)),
            Self::Recorded(spec) => Background::Recorded(Arc::new(Recorded::read(spec)?)),
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let share = |text: &str| text.parse().ok().filter(|share| (0.0..=BACKGROUND_MAX).contains(share));
        match text.split_once('=') {
            None if text == "none" => Some(Self::None),
            None if text == "markov" => Some(Self::Markov { mean: None, dwell: 1.0 }),
            Some(("constant", value)) => share(value).map(Self::Constant),
            Some(("uniform", value)) => share(value).map(Self::Uniform),
            Some(("markov", value)) => {
                let (mean, dwell) = value.split_once(",dwell=").unwrap_or((value, "1"));
                let dwell = dwell.parse().ok().filter(|dwell| DWELL.contains(dwell))?;
                Some(Self::Markov { mean: Some(share(mean)?), dwell })
            }
            Some(("markov,dwell", value)) => {
                let dwell = value.parse().ok().filter(|dwell| DWELL.contains(dwell))?;
                Some(Self::Markov { mean: None, dwell })
            }
            Some(("recorded", value)) => RecordedSpec::parse(value).map(Self::Recorded),
            _ => None,
        }
    }
}

impl FromStr for BackgroundSpec {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text).ok_or_else(|| ParseError::new("background", text, VALID))
    }
}

impl fmt::Display for BackgroundSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Constant(share) => write!(f, "constant={share}"),
            Self::Uniform(share) => write!(f, "uniform={share}"),
            Self::Markov { mean, dwell } => {
                f.write_str("markov")?;
                mean.iter().try_for_each(|mean| write!(f, "={mean}"))?;
                if *dwell == 1.0 { Ok(()) } else { write!(f, ",dwell={dwell}") }
            }
            Self::Recorded(spec) => write!(f, "recorded={spec}"),
        }
    }
}

impl fmt::Display for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.spec().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_round_trip_and_mistakes_say_what_is_valid() {
        let good = [
            "none",
            "constant=0.3",
            "uniform=0.5",
            "markov",
            "markov=0.8",
            "markov=0.8,dwell=10",
            "markov,dwell=0.5",
            "recorded=w.csv",
            "recorded=w.csv.gz,read=r.csv,missing=m.csv,mask=10-20,mask=30-40.5,start=7,scale=2",
            "recorded=w.csv,mean=0.5",
        ];
        for text in good {
            let spec = text.parse::<BackgroundSpec>().expect(text);
            assert_eq!(spec.to_string(), text);
        }
        let wrong = [
            "constant=1",
            "constant=nan",
            "often",
            "uniform=-1",
            "",
            "markov=",
            "markov=0.96",
            "markov=0.5,dwell=0",
            "markov=0.5,dwel=1",
            "recorded=",
            "recorded=a,mask=5",
            "recorded=a,mask=5-3",
            "recorded=a,start=x",
            "recorded=a,scale=0",
            "recorded=a,scale=2,mean=0.5",
            "recorded=a,what=1",
        ];
        for text in wrong {
            let error = text.parse::<BackgroundSpec>().expect_err(text).to_string();
            assert!(error.contains("constant=SHARE"), "{error}");
        }
    }

    #[test]
    fn what_is_beyond_the_bound_is_cut_alike() {
        let cut = Load { read: 1.5, write: 0.5 }.capped();
        assert!((cut.total() - BACKGROUND_MAX).abs() < 1e-12 && (cut.read / cut.write - 3.0).abs() < 1e-12);
        let kept = Load { read: 0.5, write: 0.25 };
        assert_eq!(kept.capped(), kept);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(markov|recorded|constant)[=,a-z0-9.\\-]{0,24}") {
            if let Ok(spec) = text.parse::<BackgroundSpec>() {
                prop_assert_eq!(spec.to_string().parse::<BackgroundSpec>(), Ok(spec));
            }
        }
    }
}

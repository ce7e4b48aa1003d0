//! What a run is made of besides workload and system: who decides, what disturbs, how it is replayed.

use std::fmt;
use std::str::FromStr;

use tarazu_layout::TargetId;

use crate::background::Background;
use crate::faults::Fault;

pub use crate::striping::Striping;

/// A placement policy by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Policy {
    /// Lustre's round robin: doing nothing.
    LustreRr,
    /// Lustre as it comes, 2.16 and later: weighted by free space where that differs, else round robin.
    LustreQos,
    /// The same of 2.13 to 2.15.
    LustreQos215,
    /// The same up to 2.12.
    LustreQos212,
    /// Uniform random targets.
    Random,
    /// libPIO: each job's own use counts (ICPADS 2014).
    Libpio,
    /// Minimum-cost flow with linear costs (Big Data 2017).
    LinearFlow,
    /// The less busy of two random targets.
    TwoChoices,
    /// The real thing: planner, encoded table, one table per node, ticket pick per process.
    Tarazu,
    /// Each file at once with a perfect view of all placements; a reference for the cost of distribution.
    TarazuCentral,
}

impl Policy {
    /// All policies, in the order that results show them.
    pub const ALL: [Self; 10] = [
        Self::LustreRr,
        Self::LustreQos,
        Self::LustreQos215,
        Self::LustreQos212,
        Self::Random,
        Self::Libpio,
        Self::LinearFlow,
        Self::TwoChoices,
        Self::Tarazu,
        Self::TarazuCentral,
    ];

    /// Its name on the command line and in results.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LustreRr => "lustre-rr",
            Self::LustreQos => "lustre-qos",
            Self::LustreQos215 => "lustre-qos-2.15",
            Self::LustreQos212 => "lustre-qos-2.12",
            Self::Random => "random",
            Self::Libpio => "libpio",
            Self::LinearFlow => "linear-flow",
            Self::TwoChoices => "two-choices",
            Self::Tarazu => "tarazu",
            Self::TarazuCentral => "tarazu-central",
        }
    }

    /// Whether agents report and a controller takes their samples in beside the file system.
    #[must_use]
    pub fn has_controller(self) -> bool {
        matches!(self, Self::LinearFlow | Self::TwoChoices | Self::Tarazu | Self::TarazuCentral)
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word of the command line that means nothing here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no {what}; use {valid}")]
pub struct ParseError {
    pub(crate) what: &'static str,
    pub(crate) given: String,
    pub(crate) valid: &'static str,
}

impl ParseError {
    /// `given` is no `what`; `valid` says what is.
    pub(crate) fn new(what: &'static str, given: &str, valid: &'static str) -> Self {
        Self { what, given: given.to_string(), valid }
    }
}

impl FromStr for Policy {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::ALL.into_iter().find(|policy| policy.as_str() == text).ok_or_else(|| ParseError {
            what: "policy",
            given: text.to_string(),
            valid: "lustre-rr, lustre-qos, lustre-qos-2.15, lustre-qos-2.12, random, libpio, linear-flow, two-choices, \
                    tarazu or tarazu-central",
        })
    }
}

/// When an operation starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Timing {
    /// After the rank's previous one and the recorded think time; barriers hold.
    #[default]
    Closed,
    /// At its recorded time, whatever the system does.
    Open,
}

/// One target that is slow from the start of the run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sick {
    /// The target.
    pub target: TargetId,
    /// Its speed as a share of a healthy one's, above 0 up to 1.
    pub speed: f64,
}

impl FromStr for Sick {
    type Err = ParseError;

    /// `TARGET` (a twentieth of its speed) or `TARGET:SPEED`.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (target, speed) = text.split_once(':').unwrap_or((text, "0.05"));
        let target = target.strip_prefix("OST").unwrap_or(target).parse().ok();
        let speed = speed.parse().ok().filter(|speed| *speed > 0.0 && *speed <= 1.0);
        match (target, speed) {
            (Some(target), Some(speed)) => Ok(Self { target: TargetId(target), speed }),
            _ => Err(ParseError {
                what: "sick target",
                given: text.to_string(),
                valid: "TARGET or TARGET:SPEED, such as 3:0.05 (SPEED above 0 up to 1)",
            }),
        }
    }
}

/// What is known of jobs before they write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Forecast {
    /// Sizes and numbers of the files each job will make, from the workload itself. An upper bound: a
    /// real forecast errs.
    #[default]
    Perfect,
    /// Nothing: every job is unknown.
    Nothing,
}

/// Everything about a run that is not workload, system, policy or seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// When operations start.
    pub timing: Timing,
    /// Stripe counts and sizes.
    pub striping: Striping,
    /// Load of others.
    pub background: Background,
    /// What else goes wrong, and when.
    pub faults: Vec<Fault>,
    /// A slow target.
    pub sick: Option<Sick>,
    /// The controller is told of the slow target after so many reporting intervals; `None`: never.
    pub sick_known_after: Option<u32>,
    /// What is known of jobs.
    pub forecast: Forecast,
    /// `tarazu` steers every known job, also where nothing is to be gained: shows what steering costs.
    pub steer_always: bool,
    /// Each job's start is delayed by a uniform draw from 0 to this, seconds, the same for all policies.
    pub start_jitter_s: f64,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            timing: Timing::Closed,
            striping: Striping::AsLogged,
            background: Background::None,
            faults: Vec::new(),
            sick: None,
            sick_known_after: Some(3),
            forecast: Forecast::Perfect,
            steer_always: false,
            start_jitter_s: 5.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip_and_mistakes_say_what_is_valid() {
        for policy in Policy::ALL {
            assert_eq!(policy.as_str().parse(), Ok(policy));
        }
        assert_eq!("3:0.1".parse(), Ok(Sick { target: TargetId(3), speed: 0.1 }));
        assert_eq!("OST14".parse(), Ok(Sick { target: TargetId(14), speed: 0.05 }));
        for wrong in ["3:0", "x", "3:2", "3:nan", "3:"] {
            assert!(wrong.parse::<Sick>().is_err(), "{wrong}");
        }
        let error = "rr".parse::<Policy>().expect_err("no such policy").to_string();
        assert!(error.contains("lustre-rr"), "{error}");
    }
}

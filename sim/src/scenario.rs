//! What a run is made of besides workload and system: who decides, what disturbs, how it is replayed.

use std::fmt;
use std::str::FromStr;

use tarazu_layout::TargetId;

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
    what: &'static str,
    given: String,
    valid: &'static str,
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

/// The striping that every policy gets alike: placement is compared, never striping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Striping {
    /// As the log says; the system's default where it says nothing.
    #[default]
    AsLogged,
    /// So many stripes for every file, of the system's default size.
    Count(u32),
}

impl FromStr for Striping {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text == "as-logged" {
            return Ok(Self::AsLogged);
        }
        let count = text.strip_prefix("count=").and_then(|count| count.parse().ok());
        let valid = count.filter(|count| (1..=tarazu_layout::limits::STRIPES_MAX as u32).contains(count));
        valid.map(Self::Count).ok_or_else(|| ParseError {
            what: "striping",
            given: text.to_string(),
            valid: "as-logged or count=K with K from 1 to 2000",
        })
    }
}

impl fmt::Display for Striping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AsLogged => f.write_str("as-logged"),
            Self::Count(count) => write!(f, "count={count}"),
        }
    }
}

/// Load of others: a constant share of each target's bandwidth.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Background {
    /// The system is otherwise empty.
    #[default]
    None,
    /// The same share, 0 to below 1, on every target.
    Constant(f64),
    /// A share per target, drawn uniformly from 0 to this for each seed.
    Uniform(f64),
}

/// Others' load never takes more than this share, so that every job ends.
pub const BACKGROUND_MAX: f64 = 0.95;

impl FromStr for Background {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let share = |text: &str| text.parse().ok().filter(|share| (0.0..=BACKGROUND_MAX).contains(share));
        let parsed = match text.split_once('=') {
            None if text == "none" => Some(Self::None),
            Some(("constant", value)) => share(value).map(Self::Constant),
            Some(("uniform", value)) => share(value).map(Self::Uniform),
            _ => None,
        };
        parsed.ok_or_else(|| ParseError {
            what: "background",
            given: text.to_string(),
            valid: "none, constant=SHARE or uniform=SHARE with SHARE from 0 to 0.95",
        })
    }
}

impl fmt::Display for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Constant(share) => write!(f, "constant={share}"),
            Self::Uniform(share) => write!(f, "uniform={share}"),
        }
    }
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
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scenario {
    /// When operations start.
    pub timing: Timing,
    /// Stripe counts and sizes.
    pub striping: Striping,
    /// Load of others.
    pub background: Background,
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
        for background in ["none", "constant=0.3", "uniform=0.5"] {
            assert_eq!(background.parse::<Background>().map(|b| b.to_string()), Ok(background.to_string()));
        }
        assert_eq!("count=4".parse(), Ok(Striping::Count(4)));
        assert_eq!("3:0.1".parse(), Ok(Sick { target: TargetId(3), speed: 0.1 }));
        assert_eq!("OST14".parse(), Ok(Sick { target: TargetId(14), speed: 0.05 }));
        for wrong in ["constant=1", "constant=nan", "often", "uniform=-1", ""] {
            assert!(wrong.parse::<Background>().is_err(), "{wrong}");
        }
        for wrong in ["3:0", "x", "3:2", "3:nan", "3:"] {
            assert!(wrong.parse::<Sick>().is_err(), "{wrong}");
        }
        assert!("count=0".parse::<Striping>().is_err());
        let error = "rr".parse::<Policy>().expect_err("no such policy").to_string();
        assert!(error.contains("lustre-rr"), "{error}");
    }
}

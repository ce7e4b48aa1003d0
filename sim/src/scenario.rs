//! What a run is made of besides workload and system: who decides, what disturbs, how it is replayed.

use std::fmt;
use std::str::FromStr;

use tarazu_core::planner::Parts;
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

    /// Whether it is an allocator of a file system's own.
    #[must_use]
    pub fn is_stock(self) -> bool {
        matches!(
            self,
            Self::LustreRr | Self::LustreQos | Self::LustreQos215 | Self::LustreQos212 | Self::Random
        )
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
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Forecast {
    /// Sizes and numbers of the files each job will make, from the workload itself. An upper bound: a
    /// real forecast errs.
    #[default]
    Perfect,
    /// Nothing: every job is unknown.
    Nothing,
    /// As perfect, but sizes are off by a factor of their own for each job and kind of file, the
    /// exponential of a normal draw with mean 0 and this deviation.
    Errs(f64),
}

/// Largest deviation of forecast errors: a factor of 20 either way is within one deviation.
const ERROR_MAX: f64 = 3.0;

impl FromStr for Forecast {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let deviation =
            |text: &str| text.parse().ok().filter(|deviation| (0.0..=ERROR_MAX).contains(deviation));
        match text.split_once('=') {
            None if text == "perfect" => Ok(Self::Perfect),
            None if text == "none" => Ok(Self::Nothing),
            Some(("errs", by)) if deviation(by).is_some() => {
                Ok(deviation(by).map_or(Self::Perfect, Self::Errs))
            }
            _ => Err(ParseError::new(
                "forecast",
                text,
                "perfect, none or errs=DEVIATION with a deviation from 0 to 3",
            )),
        }
    }
}

impl fmt::Display for Forecast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Perfect => f.write_str("perfect"),
            Self::Nothing => f.write_str("none"),
            Self::Errs(deviation) => write!(f, "errs={deviation}"),
        }
    }
}

/// Which parts of tarazu's planner take part, by the names that they are taken away under.
pub const PARTS: [&str; 6] = ["ledger", "load", "servers", "streams", "written", "places"];

/// All parts of the planner but those named.
///
/// # Errors
/// A name that is not in [`PARTS`].
pub fn parts_without(names: &[String]) -> Result<Parts, ParseError> {
    let mut parts = Parts::ALL;
    for name in names {
        let part = match name.as_str() {
            "ledger" => &mut parts.ledger,
            "load" => &mut parts.load,
            "servers" => &mut parts.servers,
            "streams" => &mut parts.streams,
            "written" => &mut parts.written,
            "places" => &mut parts.places,
            _ => {
                return Err(ParseError::new(
                    "part",
                    name,
                    "ledger, load, servers, streams, written or places",
                ));
            }
        };
        *part = false;
    }
    Ok(parts)
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
    /// The controller judges targets by the samples of their agents.
    pub detect: bool,
    /// It has canaries written for that, too.
    pub canary: bool,
    /// What is known of jobs.
    pub forecast: Forecast,
    /// `tarazu` steers every known job, also where nothing is to be gained: shows what steering costs.
    pub steer_always: bool,
    /// The file system's own allocator: places what the policy leaves alone. Only a stock one.
    pub beneath: Policy,
    /// The file system's own allocators draw anew: what chance alone changes, all else being equal.
    pub redraw: bool,
    /// Parts of tarazu's planner that take part; all but to measure what each is worth.
    pub parts: Parts,
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
            detect: true,
            canary: false,
            forecast: Forecast::Perfect,
            steer_always: false,
            beneath: Policy::LustreRr,
            redraw: false,
            parts: Parts::ALL,
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

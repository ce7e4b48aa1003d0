//! What goes wrong in a run, and when: targets that are slow, down, rebuilding or not there yet, servers whose
//! targets another one serves.
//!
//! Knows the course of faults alone: which speed, state and link each target and server has at a moment. It must
//! not decide what a policy or a controller makes of it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use tarazu_core::topology::Topology;
use tarazu_layout::{ServerId, TargetId, Time};

use crate::scenario::ParseError;

/// Faults of one run: one an hour for a month.
pub const FAULTS_MAX: usize = 1000;

/// Latest moment of a fault, seconds: a year, the longest that a run may simulate.
const MOMENT_MAX_S: f64 = 366.0 * 86_400.0;

/// Speed of a target whose array is being rebuilt, where none is given: half.
const REBUILD_SPEED: f64 = 0.5;

const VALID: &str = "slow:TARGET:SPEED, down:TARGET, rebuild:TARGET[:SPEED], failover:SERVER>SERVER (SPEED above 0 up \
                     to 1), each with @FROM or @FROM-TO in seconds behind it or for the whole run, or expand:N[@TIME]";

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FaultKind {
    /// A target works at a share of its speed, above 0 up to 1. Nobody is told.
    Slow {
        /// The target.
        target: TargetId,
        /// Its speed as a share of a healthy one's.
        speed: f64,
    },
    /// A target serves nothing and accepts no new objects; its agent reports it as inactive.
    Down {
        /// The target.
        target: TargetId,
    },
    /// A target's array is being rebuilt: it is slower, and marked as degraded.
    Rebuild {
        /// The target.
        target: TargetId,
        /// Its speed as a share of a healthy one's.
        speed: f64,
    },
    /// A server's targets are served by another one: both servers' targets share its one link evenly.
    Failover {
        /// The server that is out of service.
        from: ServerId,
        /// The one that takes its targets over.
        to: ServerId,
    },
    /// The last targets of the system are new and empty. What existed before the run is not on them.
    Expand {
        /// How many.
        targets: u32,
    },
}

/// A fault with its time. Those of one target at one time multiply.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// When it begins. New targets of an expansion are not there before.
    pub from: Time,
    /// When it is over; `None`: never.
    pub until: Option<Time>,
}

/// Why faults do not fit a system.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// There are too many.
    #[error("{found} faults, a run has at most {FAULTS_MAX}")]
    TooMany {
        /// How many.
        found: usize,
    },
    /// A target that the system does not have.
    #[error("fault {fault}: the system has targets 0 to {last} only")]
    NoTarget {
        /// The fault.
        fault: String,
        /// The last target.
        last: u32,
    },
    /// A server that the system does not have.
    #[error("fault {fault}: the system has servers 0 to {last} only")]
    NoServer {
        /// The fault.
        fault: String,
        /// The last server.
        last: u32,
    },
    /// A server cannot take over for another while its own targets are with a third.
    #[error(
        "fault {fault}: at that time {other} already moves targets of one of these servers; let them follow each other"
    )]
    Chain {
        /// The fault.
        fault: String,
        /// The one that it meets.
        other: String,
    },
    /// Two expansions.
    #[error("fault {fault}: only one expansion is possible; name all new targets in one")]
    ExpandTwice {
        /// The fault.
        fault: String,
    },
    /// No target was there before.
    #[error("fault {fault}: the system has {targets} targets; at least one must be there before")]
    ExpandAll {
        /// The fault.
        fault: String,
        /// Targets of the system.
        targets: usize,
    },
}

impl Fault {
    fn acts_at(&self, now: Time) -> bool {
        self.from <= now && self.until.is_none_or(|until| now < until)
    }

    /// The target that it keeps from serving for the rest of the run, if it does so now.
    pub(crate) fn down_for_good(&self, now: Time) -> Option<TargetId> {
        match self.kind {
            FaultKind::Down { target } if self.until.is_none() && self.acts_at(now) => Some(target),
            _ => None,
        }
    }

    fn overlaps(&self, other: &Self) -> bool {
        let begins_before_end = |one: &Self, two: &Self| two.until.is_none_or(|until| one.from < until);
        begins_before_end(self, other) && begins_before_end(other, self)
    }

    fn parse(text: &str) -> Option<Self> {
        let (what, when) = text.split_once('@').map_or((text, None), |(what, when)| (what, Some(when)));
        let (from, until) = when.map_or(Some((Time::ZERO, None)), times)?;
        let (kind, rest) = what.split_once(':')?;
        let kind = match kind {
            "slow" => {
                let (target, speed) = rest.split_once(':')?;
                FaultKind::Slow { target: target_of(target)?, speed: speed_of(speed)? }
            }
            "down" => FaultKind::Down { target: target_of(rest)? },
            "rebuild" => match rest.split_once(':') {
                None => FaultKind::Rebuild { target: target_of(rest)?, speed: REBUILD_SPEED },
                Some((target, speed)) => {
                    FaultKind::Rebuild { target: target_of(target)?, speed: speed_of(speed)? }
                }
            },
            "failover" => {
                let (from, to) = rest.split_once('>')?;
                let (from, to) = (ServerId(from.parse().ok()?), ServerId(to.parse().ok()?));
                (from != to).then_some(FaultKind::Failover { from, to })?
            }
            "expand" => {
                let targets = rest.parse().ok().filter(|targets| *targets > 0)?;
                // What was put in stays.
                until.is_none().then_some(FaultKind::Expand { targets })?
            }
            _ => return None,
        };
        Some(Self { kind, from, until })
    }
}

/// `FROM` or `FROM-TO`, seconds.
fn times(text: &str) -> Option<(Time, Option<Time>)> {
    let moment = |text: &str| {
        let seconds = text.parse().ok().filter(|seconds| (0.0..=MOMENT_MAX_S).contains(seconds));
        seconds.map(Time::from_secs_f64)
    };
    let Some((from, until)) = text.split_once('-') else { return Some((moment(text)?, None)) };
    let (from, until) = (moment(from)?, moment(until)?);
    (from < until).then_some((from, Some(until)))
}

fn target_of(text: &str) -> Option<TargetId> {
    text.strip_prefix("OST").unwrap_or(text).parse().ok().map(TargetId)
}

fn speed_of(text: &str) -> Option<f64> {
    text.parse().ok().filter(|speed| *speed > 0.0 && *speed <= 1.0)
}

impl FromStr for Fault {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text).ok_or_else(|| ParseError::new("fault", text, VALID))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            FaultKind::Slow { target, speed } => write!(f, "slow:{}:{speed}", target.0)?,
            FaultKind::Down { target } => write!(f, "down:{}", target.0)?,
            FaultKind::Rebuild { target, speed } => write!(f, "rebuild:{}:{speed}", target.0)?,
            FaultKind::Failover { from, to } => write!(f, "failover:{}>{}", from.0, to.0)?,
            FaultKind::Expand { targets } => write!(f, "expand:{targets}")?,
        }
        match self.until {
            Some(until) => write!(f, "@{}-{}", self.from.as_secs_f64(), until.as_secs_f64()),
            None if self.from > Time::ZERO => write!(f, "@{}", self.from.as_secs_f64()),
            None => Ok(()),
        }
    }
}

/// A target at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct TargetState {
    /// Share of a healthy one's speed; 0 serves nothing.
    pub(crate) speed: f64,
    /// Accepts new objects.
    pub(crate) up: bool,
    pub(crate) degraded: bool,
}

/// All targets and servers at a moment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Conditions {
    pub(crate) targets: Vec<TargetState>,
    /// Bandwidth of each server's link that is left for its targets, bytes/s.
    pub(crate) link_bps: Vec<f64>,
}

/// Whether the faults are possible on a system.
///
/// # Errors
/// One names a target or server that does not exist, or two contradict each other.
pub fn check(faults: &[Fault], topology: &Topology) -> Result<(), FaultError> {
    if faults.len() > FAULTS_MAX {
        return Err(FaultError::TooMany { found: faults.len() });
    }
    let (targets, servers) = (topology.targets().len(), topology.servers().len());
    for (place, fault) in faults.iter().enumerate() {
        let name = || fault.to_string();
        let earlier = &faults[..place];
        match fault.kind {
            FaultKind::Slow { target, .. }
            | FaultKind::Down { target }
            | FaultKind::Rebuild { target, .. } => {
                if target.index() >= targets {
                    return Err(FaultError::NoTarget { fault: name(), last: targets as u32 - 1 });
                }
            }
            FaultKind::Failover { from, to } => {
                if from.index().max(to.index()) >= servers {
                    return Err(FaultError::NoServer { fault: name(), last: servers as u32 - 1 });
                }
                if let Some(other) = earlier.iter().find(|other| chains(fault, other)) {
                    return Err(FaultError::Chain { fault: name(), other: other.to_string() });
                }
            }
            FaultKind::Expand { targets: new } => {
                if earlier.iter().any(|other| matches!(other.kind, FaultKind::Expand { .. })) {
                    return Err(FaultError::ExpandTwice { fault: name() });
                }
                if new as usize >= targets {
                    return Err(FaultError::ExpandAll { fault: name(), targets });
                }
            }
        }
    }
    Ok(())
}

/// Whether two fail-overs at one time leave it open where a server's targets are. Several servers on one are fine.
fn chains(one: &Fault, other: &Fault) -> bool {
    let (FaultKind::Failover { from: a, to: b }, FaultKind::Failover { from: c, to: d }) =
        (one.kind, other.kind)
    else {
        return false;
    };
    one.overlaps(other) && (a == c || a == d || b == c)
}

/// Moments at which something changes, rising, the start of the run left out.
pub(crate) fn moments(faults: &[Fault]) -> Vec<Time> {
    let mut moments: Vec<Time> =
        faults.iter().flat_map(|fault| [Some(fault.from), fault.until]).flatten().collect();
    moments.retain(|moment| *moment > Time::ZERO);
    moments.sort_unstable();
    moments.dedup();
    moments
}

/// Number of targets that an expansion adds.
pub(crate) fn new_targets(faults: &[Fault]) -> usize {
    let new = faults.iter().find_map(|fault| match fault.kind {
        FaultKind::Expand { targets } => Some(targets),
        _ => None,
    });
    new.unwrap_or(0) as usize
}

/// Whether new targets come at this very moment.
pub(crate) fn expands_at(faults: &[Fault], now: Time) -> bool {
    faults.iter().any(|fault| matches!(fault.kind, FaultKind::Expand { .. }) && fault.from == now)
}

/// How things are at a moment.
pub(crate) fn conditions(faults: &[Fault], topology: &Topology, now: Time) -> Conditions {
    let mut targets = vec![TargetState { speed: 1.0, up: true, degraded: false }; topology.targets().len()];
    let mut carriers: BTreeMap<ServerId, Vec<ServerId>> = BTreeMap::new();
    for fault in faults {
        let acts = fault.acts_at(now);
        match fault.kind {
            FaultKind::Expand { targets: new } if !acts => {
                let first = targets.len() - new as usize;
                targets[first..].iter_mut().for_each(|target| target.up = false);
            }
            _ if !acts => {}
            FaultKind::Slow { target, speed } => targets[target.index()].speed *= speed,
            FaultKind::Down { target } => {
                let target = &mut targets[target.index()];
                (target.speed, target.up) = (0.0, false);
            }
            FaultKind::Rebuild { target, speed } => {
                let target = &mut targets[target.index()];
                (target.speed, target.degraded) = (target.speed * speed, true);
            }
            FaultKind::Failover { from, to } => carriers.entry(to).or_default().push(from),
            FaultKind::Expand { .. } => {}
        }
    }
    let mut link_bps: Vec<f64> = topology.servers().iter().map(|server| server.link_bps).collect();
    for (carrier, carried) in carriers {
        let share = link_bps[carrier.index()] / (carried.len() + 1) as f64;
        for server in carried.into_iter().chain([carrier]) {
            link_bps[server.index()] = share;
        }
    }
    Conditions { targets, link_bps }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::System;
    use proptest::prelude::*;

    fn faults(texts: &[&str]) -> Vec<Fault> {
        texts.iter().map(|text| text.parse().expect(text)).collect()
    }

    /// 35 targets on 7 servers.
    fn at(texts: &[&str], seconds: f64) -> Conditions {
        let system = System::bundled().expect("the bundled system");
        let faults = faults(texts);
        check(&faults, &system.topology).expect("possible faults");
        conditions(&faults, &system.topology, Time::from_secs_f64(seconds))
    }

    #[test]
    fn words_round_trip_and_mistakes_say_what_is_valid() {
        let good = [
            "slow:3:0.25@120-600",
            "slow:3:0.25",
            "down:3@100.5",
            "rebuild:3:0.5@10-20",
            "failover:0>1@5-6",
            "expand:4",
            "expand:4@60",
        ];
        for text in good {
            assert_eq!(text.parse::<Fault>().expect(text).to_string(), text);
        }
        assert_eq!("rebuild:OST3@1".parse::<Fault>().expect("a rebuild").to_string(), "rebuild:3:0.5@1");
        let wrong = [
            "",
            "slow:3",
            "slow:3:0",
            "slow:3:2",
            "slow:x:0.5",
            "down",
            "down:3@",
            "down:3@5-5",
            "down:3@-1",
            "down:3@1e300",
            "down:3@nan",
            "failover:0>0",
            "failover:0",
            "expand:0",
            "expand:3@1-2",
            "fire:3",
        ];
        for text in wrong {
            let error = text.parse::<Fault>().expect_err(text).to_string();
            assert!(error.contains("failover:SERVER>SERVER"), "{error}");
        }
    }

    #[test]
    fn faults_act_from_their_first_moment_to_before_their_last() {
        let course = ["slow:3:0.5@10-20", "rebuild:3:0.4@15-30", "down:4@10-20"];
        let speed = |seconds| at(&course, seconds).targets[3].speed;
        assert_eq!([9.0, 10.0, 15.0, 20.0, 30.0].map(speed), [1.0, 0.5, 0.2, 0.4, 1.0]);
        assert!(at(&course, 15.0).targets[3].degraded && !at(&course, 10.0).targets[3].degraded);
        assert_eq!(at(&course, 10.0).targets[4], TargetState { speed: 0.0, up: false, degraded: false });
        assert!(at(&course, 20.0).targets[4].up);
        let seconds: Vec<f64> = moments(&faults(&course)).iter().map(|moment| moment.as_secs_f64()).collect();
        assert_eq!(seconds, [10.0, 15.0, 20.0, 30.0]);
    }

    #[test]
    fn servers_that_share_a_link_share_it_evenly() {
        let link = at(&[], 0.0).link_bps[0];
        assert_eq!(at(&["failover:0>1@5-6"], 5.0).link_bps[..3], [link / 2.0, link / 2.0, link]);
        assert_eq!(at(&["failover:0>1@5-6"], 6.0).link_bps[..2], [link, link]);
        assert_eq!(
            at(&["failover:0>2", "failover:1>2"], 0.0).link_bps[..4],
            [link / 3.0, link / 3.0, link / 3.0, link]
        );
    }

    #[test]
    fn new_targets_are_not_there_before_their_time() {
        let up = |seconds| {
            at(&["expand:2@60"], seconds).targets.iter().map(|target| target.up).collect::<Vec<_>>()
        };
        assert_eq!(up(59.0)[32..], [true, false, false]);
        assert_eq!(up(60.0)[32..], [true, true, true]);
        assert_eq!(new_targets(&faults(&["down:1", "expand:2@60"])), 2);
    }

    #[test]
    fn what_a_system_cannot_suffer_is_refused() {
        let system = System::bundled().expect("the bundled system");
        let refused =
            |texts: &[&str]| check(&faults(texts), &system.topology).expect_err("impossible").to_string();
        assert_eq!(refused(&["down:35"]), "fault down:35: the system has targets 0 to 34 only");
        assert!(refused(&["failover:0>7"]).contains("servers 0 to 6 only"));
        assert!(refused(&["failover:0>1@1-9", "failover:1>2@5"]).contains("follow each other"));
        assert!(refused(&["failover:0>1", "failover:0>2"]).contains("follow each other"));
        assert!(refused(&["expand:3", "expand:4"]).contains("only one expansion"));
        assert!(refused(&["expand:35"]).contains("at least one"));
        assert!(check(&faults(&["failover:0>1@1-5", "failover:1>2@5"]), &system.topology).is_ok());
    }

    #[test]
    fn only_a_fault_without_an_end_is_for_good() {
        let faults = faults(&["down:1@10-20", "down:2@10"]);
        let for_good = |place: usize, seconds| faults[place].down_for_good(Time::from_secs_f64(seconds));
        assert_eq!((for_good(0, 15.0), for_good(1, 5.0)), (None, None));
        assert_eq!(for_good(1, 15.0), Some(TargetId(2)));
    }

    proptest! {
        #[test]
        fn nothing_changes_between_the_moments(
            drawn in proptest::collection::vec((0u32..4, 0u32..7, 0u32..20, 1u32..20), 0..8),
            seconds in 0.0f64..50.0,
        ) {
            let text = |(kind, place, from, length): (u32, u32, u32, u32)| {
                let what = match kind {
                    0 => format!("slow:{place}:0.5"),
                    1 => format!("down:{place}"),
                    2 => format!("rebuild:{place}"),
                    _ => format!("failover:{place}>{}", (place + 1) % 7),
                };
                format!("{what}@{from}-{}", from + length)
            };
            let texts: Vec<String> = drawn.into_iter().map(text).collect();
            let faults = faults(&texts.iter().map(String::as_str).collect::<Vec<_>>());
            let system = System::bundled().expect("the bundled system");
            prop_assume!(check(&faults, &system.topology).is_ok());
            let now = Time::from_secs_f64(seconds);
            let last = moments(&faults).into_iter().rev().find(|moment| *moment <= now).unwrap_or(Time::ZERO);
            let then = conditions(&faults, &system.topology, last);
            prop_assert_eq!(conditions(&faults, &system.topology, now), then);
        }

        #[test]
        fn no_text_panics(text in "(slow|down|rebuild|failover|expand):[0-9:>@.\\-]{0,16}") {
            if let Ok(fault) = text.parse::<Fault>() {
                prop_assert!(fault.to_string().parse::<Fault>().is_ok());
            }
        }
    }
}

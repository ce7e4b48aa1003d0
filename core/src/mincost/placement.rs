//! Solving a placement problem: which way, and what comes out.

use thiserror::Error;

use super::compact::Compact;
use super::deal::{Lists, can_deal, deal_filled};
use super::fill;
use super::network::NetworkError;
pub use super::problem::{Group, Problem, ProblemError, Segments, Spec};

/// Which way a problem is solved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// By filling where its result is the proven optimum, else by the flow solver.
    #[default]
    Auto,
    /// By filling, or not at all.
    Fill,
    /// By the flow solver.
    Exact,
}

/// What solved a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Solver {
    /// Cheapest-first filling, proven optimal for this problem.
    Fill,
    /// Minimum-cost flow by the network simplex.
    Exact,
}

/// A capacity that keeps more stripes from being placed.
///
/// All of them are used up. Together they stand in every way of the requests that went short: whatever is done
/// elsewhere, not one stripe more can be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// What a target takes.
    Target {
        /// Target number.
        target: u32,
        /// Stripes.
        capacity: i64,
    },
    /// What goes through a server.
    Server {
        /// Server number.
        server: u32,
        /// Stripes.
        capacity: i64,
    },
    /// What goes through a router.
    Router {
        /// Router number.
        router: u32,
        /// Stripes.
        capacity: i64,
    },
    /// Requests: none may have two stripes on one target.
    Distinct {
        /// Target number.
        target: u32,
        /// First group, as given, of those that want the same; `None` for all requests that may use the target.
        class: Option<u32>,
        /// How many requests they are.
        capacity: i64,
    },
}

impl Binding {
    pub(super) fn of_server(problem: &Problem, server: usize) -> Self {
        let server = problem.server_at[server];
        Self::Server { server, capacity: problem.server_capacities[server as usize] }
    }

    /// A full target, by position: its own capacity, or that of the requests where they are fewer.
    pub(super) fn of_target(problem: &Problem, target: usize) -> Self {
        let bound = i64::from(problem.target_curves.all(target));
        let target = problem.target_at[target];
        let capacity = problem.target_capacities[target as usize];
        if bound < capacity {
            return Self::Distinct { target, class: None, capacity: bound };
        }
        Self::Target { target, capacity }
    }
}

/// A solved problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Stripes placed: as many as can be.
    pub flow: u32,
    /// Their total cost: the least there is for so many.
    pub cost: i64,
    /// What found it.
    pub solver: Solver,
    /// Stripes by target number.
    pub units_by_target: Vec<u32>,
    /// Targets of each request.
    pub lists: Lists,
    /// What keeps the other stripes out; empty where all are placed.
    pub binding: Vec<Binding>,
}

/// Why a problem was not solved.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlaceError {
    /// Filling was asked for where it is only a bound.
    #[error("filling is not exact here: {reason}; use the solver auto or exact")]
    NotFillable {
        /// Why.
        reason: &'static str,
    },
    /// The network of the problem was refused.
    #[error("the flow network of the problem: {0}")]
    Network(#[from] NetworkError),
}

/// Solves a problem: as many stripes as possible, and those at the least cost.
///
/// # Errors
/// Filling alone was asked for and is not exact here.
pub fn place(problem: &Problem, choice: Choice) -> Result<Placement, PlaceError> {
    if choice == Choice::Exact {
        return exact(problem);
    }
    match filled(problem) {
        Ok(placement) => Ok(placement),
        Err(_) if choice == Choice::Auto => exact(problem),
        Err(reason) => Err(PlaceError::NotFillable { reason }),
    }
}

/// By filling, where its units can be dealt: a relaxation whose result is allowed is optimal.
fn filled(problem: &Problem) -> Result<Placement, &'static str> {
    if problem.groups.iter().any(|group| group.pool.is_some()) {
        return Err("requests have different pools");
    }
    let (units, flow) = fill::units_by_position(problem);
    if !can_deal(problem, &units) {
        return Err(
            "its cheapest units put more on some targets than requests with several stripes can take",
        );
    }
    let lists = deal_filled(problem, &units);
    let filled = fill::by_target(problem, &units, flow);
    Ok(Placement {
        flow,
        cost: filled.cost,
        solver: Solver::Fill,
        units_by_target: filled.units_by_target,
        lists,
        binding: filled.binding,
    })
}

fn exact(problem: &Problem) -> Result<Placement, PlaceError> {
    let optimum = Compact::new(problem)?.solve()?;
    Ok(Placement {
        flow: optimum.flow,
        cost: optimum.cost,
        solver: Solver::Exact,
        units_by_target: optimum.units_by_target,
        lists: optimum.lists,
        binding: optimum.binding,
    })
}

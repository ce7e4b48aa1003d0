//! Requests for stripes onto targets at the least total cost, as minimum-cost flow.
//!
//! A [`placement::Problem`] says what each target costs the fuller it gets, what its servers and routers let
//! through, and what groups of equal requests want. [`placement::place`] answers with units by target and with a
//! list of targets for every request. Two ways lead there:
//!
//! - [`fill`] puts units cheapest first under the nested capacities. That is the exact optimum of the problem
//!   without pools and without the rule that one request takes a target once; it is the optimum of the whole problem
//!   whenever its units can be dealt into valid lists ([`deal`]).
//! - [`network`] and its network simplex are exact for everything, on a network with one node for each group of
//!   equal requests.
//!
//! Nothing here knows seconds, bytes or health: costs come in as whole numbers, and values go out. Nothing panics:
//! what could overflow is refused when the problem is made.

mod compact;
mod curves;
pub mod deal;
pub mod fill;
pub mod network;
pub mod placement;
pub mod problem;
mod simplex;
mod tree;

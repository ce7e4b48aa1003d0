//! The wire format of tarazu's services: generated code and checked conversions.
//!
//! Owns what travels between agents, nodes, tools and the controller (`tarazu/v1/*.proto`), and the limits that a
//! receiver holds every message against before it believes it. It must not decide anything, and no other room parses
//! these bytes.
#![forbid(unsafe_code)]

mod convert;
pub mod limits;

pub use convert::agents::{Registration, Rows, register, sample, sample_from};
pub use convert::error::Invalid;
pub use convert::events::{event_from, event_to, head_matches};
pub use convert::intent::{drain_from, drain_to, policy_from, policy_to};
pub use convert::nodes::{job_start, job_start_from, placed, placed_from};
pub use convert::words::{file_system_name, host_name, text};

/// The generated messages and services of package `tarazu.v1`.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod v1 {
    tonic::include_proto!("tarazu.v1");
}

//! The wire format of tarazu's services: generated code and checked conversions.
//!
//! Owns what travels between agents, nodes, tools and the controller (`tarazu/v1/*.proto`), and the limits that a
//! receiver holds every message against before it believes it. It must not decide anything, and no other room parses
//! these bytes.
#![forbid(unsafe_code)]

/// The generated messages and services of package `tarazu.v1`.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod v1 {
    tonic::include_proto!("tarazu.v1");
}

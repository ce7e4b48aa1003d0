//! The whole system as real processes: what must hold while parts of it are killed, frozen, doubled, lied to or damaged.
//!
//! One binary, so that tests which mostly wait do so side by side. Every wait is for a condition, with a deadline.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests may unwrap; these start processes and wait for them by the clock"
)]

mod live;

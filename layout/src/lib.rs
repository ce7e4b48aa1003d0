//! The words every other room shares: ids, units, limits, file layouts and Lustre's bytes for them.
//!
//! This crate owns what a *target*, a *server*, a *stripe* and a *layout* are, how many bytes of a
//! file's range lie on which stripe, and the named limits of the system. It must not decide anything,
//! allocate behind a reader's back, or depend on any other crate: the client library carries it into
//! other people's processes.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod extent;
pub mod hash;
mod ids;
mod layout;
pub mod limits;
pub mod lov;
mod units;

pub use extent::{Extent, StripeBytes, stripe_bytes};
pub use ids::{FsId, JobId, MdtId, NodeId, OstIndex, ServerId, TargetId};
pub use layout::{Component, Layout, LayoutError, Pattern, PoolName};
pub use units::{Bytes, Time};

//! Applies tarazu's placement to the files that a process creates: Rust API and C ABI.
//!
//! It owns what happens inside an application's `open()`: reading the published table, asking
//! [`tarazu_table::choose`], bringing the layout to the file system, and telling the node daemon. Three rules hold for
//! all of it: a create never fails or waits because of tarazu, every doubt ends at the plain `open()`, and nothing is
//! left behind in the process: no thread, no descriptor, no growing memory.

pub mod abi;
mod backend;
mod counts;
mod explain;
mod lock;
mod memory;
mod options;
mod process;
mod session;
pub mod spool;
mod sys;
mod tables;
#[cfg(test)]
mod testing;
mod why;

pub use explain::{Explanation, MadeHere};
pub use memory::Decided;
pub use options::{DefaultTarget, Mode, Options, Report, Striping};
pub use session::{Expect, Files, Session};
pub use why::Why;

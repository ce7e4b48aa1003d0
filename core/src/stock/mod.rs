//! The allocators that a file system has by itself, as they are: baselines, and what happens wherever
//! tarazu gives no layout.

mod random;
mod round_robin;

pub use random::Random;
pub use round_robin::{LustreRoundRobin, interleave};

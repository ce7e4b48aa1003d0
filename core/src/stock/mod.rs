//! The allocators that a file system has by itself, as they are: baselines, and what happens wherever
//! tarazu gives no layout.

mod lustre;
mod random;

pub use lustre::{Generation, Lustre, Precreate, Settings, interleave};
pub use random::Random;

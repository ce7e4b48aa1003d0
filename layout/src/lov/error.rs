//! What is wrong with a request or with foreign bytes.

use core::fmt;

use super::XATTR_BYTES_MAX;
use crate::limits::{COMPONENTS_MAX, STRIPES_MAX};

/// Why a request cannot be written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// No component, or more than [`COMPONENTS_MAX`].
    Components {
        /// Components found.
        found: usize,
    },
    /// A component is empty, does not begin where the one before ends, or ends inside a unit of 64 KiB.
    Extent {
        /// Its number from 0.
        component: usize,
    },
    /// A stripe size that is not a multiple of 64 KiB.
    StripeSize {
        /// Its number from 0.
        component: usize,
    },
    /// A list longer than [`STRIPES_MAX`] or of another length than the stripe count, with an index that no target
    /// has, beside a pool or an offset, or on the metadata target.
    List {
        /// Its number from 0.
        component: usize,
    },
    /// More bytes than an attribute may have.
    TooLong {
        /// Bytes needed.
        bytes: usize,
    },
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Components { found } => {
                write!(f, "a layout has 1 to {COMPONENTS_MAX} components, not {found}")
            }
            Self::Extent { component } => {
                write!(
                    f,
                    "component {component} must begin where the one before it ends, and end at a multiple of 64 KiB"
                )
            }
            Self::StripeSize { component } => {
                write!(f, "component {component} needs a stripe size that is a multiple of 64 KiB")
            }
            Self::List { component } => {
                write!(
                    f,
                    "component {component} needs a list of as many targets as it has stripes, at most {STRIPES_MAX}, \
                     and no pool or offset beside it"
                )
            }
            Self::TooLong { bytes } => {
                write!(f, "a layout of {bytes} bytes is longer than {XATTR_BYTES_MAX}")
            }
        }
    }
}

impl core::error::Error for EncodeError {}

/// Why bytes are not a layout that this reader understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LovError {
    /// They end before what they announce.
    Truncated,
    /// The first four bytes name no layout.
    Magic {
        /// What they are.
        found: u32,
    },
    /// A layout of another system's data (`LOV_USER_MAGIC_FOREIGN`).
    Foreign,
    /// A layout whose components grow by themselves.
    SelfExtending,
    /// Several copies, where a default for new files was to be read.
    Mirrored,
    /// No component, or more than [`COMPONENTS_MAX`].
    Components {
        /// Components found.
        found: usize,
    },
    /// A component is empty, or does not begin where the one before ends.
    Extent {
        /// Its number from 0.
        component: usize,
    },
    /// A pattern that this reader does not know.
    Pattern {
        /// What it is.
        found: u32,
    },
    /// A stripe that no target can have, or more than [`STRIPES_MAX`].
    Stripes {
        /// Stripes stated.
        stated: u16,
    },
    /// A pool whose name is no text.
    Pool,
}

impl fmt::Display for LovError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => write!(f, "the layout's bytes end before what they announce"),
            Self::Magic { found } => write!(f, "no layout begins with {found:#010x}"),
            Self::Foreign => write!(f, "a foreign layout"),
            Self::SelfExtending => write!(f, "a self-extending layout"),
            Self::Mirrored => write!(f, "a mirrored layout"),
            Self::Components { found } => write!(f, "{found} components are not 1 to {COMPONENTS_MAX}"),
            Self::Extent { component } => {
                write!(f, "component {component} is empty or does not begin where the one before it ends")
            }
            Self::Pattern { found } => write!(f, "unknown pattern {found:#x}"),
            Self::Stripes { stated } => {
                write!(f, "{stated} stripes are more than {STRIPES_MAX}, or one has an impossible target")
            }
            Self::Pool => write!(f, "the pool's name is no text"),
        }
    }
}

impl core::error::Error for LovError {}

//! The bytes of Lustre's `lustre.lov` extended attribute: what a new file asks for, what a folder passes on, what a
//! file has.
//!
//! It owns the codec and nothing else: it must not call the system, and it must not decide which targets are good. The
//! structures are those of the user side of Lustre's interface, packed and in the host's byte order. Reading takes any
//! bytes: it never panics, and what it does not understand it refuses by name.

mod decode;
mod encode;
mod error;
mod fields;

use alloc::vec::Vec;

use crate::{Extent, Layout, OstIndex, Pattern, PoolName};

pub use decode::{read_default, read_file};
pub use encode::{DEFAULT, encode};
pub use error::{EncodeError, LovError};

/// The name of the attribute.
pub const XATTR: &str = "lustre.lov";

/// Bytes of one attribute: the kernel takes no longer value (`XATTR_SIZE_MAX`).
pub const XATTR_BYTES_MAX: usize = 65536;

/// The unit of stripe sizes and of the ends of components, bytes.
pub const STRIPE_SIZE_UNIT: u64 = 65536;

const MAGIC_V1: u32 = 0x0BD1_0BD0;
const MAGIC_V3: u32 = 0x0BD3_0BD0;
const MAGIC_SPECIFIC: u32 = 0x0BD5_0BD0;
const MAGIC_COMPOSITE: u32 = 0x0BD6_0BD0;
const MAGIC_FOREIGN: u32 = 0x0BD7_0BD0;
const MAGIC_SELF_EXTENDING: u32 = 0x0BD8_0BD0;

const PATTERN_RAID0: u32 = 0x1;
const PATTERN_MDT: u32 = 0x100;
const PATTERN_OVERSTRIPED: u32 = 0x200;
/// The data was moved to an archive: the layout has no objects.
const PATTERN_RELEASED: u32 = 0x8000_0000;

const FLAG_STALE: u32 = 0x1;
const FLAG_INITIALISED: u32 = 0x10;
const FLAG_EXTENSION: u32 = 0x40;
const FLAG_PARITY: u32 = 0x80;

const V1_BYTES: usize = 32;
const V3_BYTES: usize = 48;
const OBJECT_BYTES: usize = 24;
const HEADER_BYTES: usize = 32;
const ENTRY_BYTES: usize = 48;

/// "Anywhere": the offset of a request that leaves the first target open.
const ANYWHERE: u16 = 0xFFFF;

/// The highest index of a target: Lustre keeps `ffff` for "unassigned".
const OST_INDEX_MAX: u32 = 0xFFFE;

/// A layout as it is asked for, and as a folder passes it on to new files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// At least one, contiguous from offset 0.
    pub components: Vec<Wanted>,
}

/// One component of a request. Zero means the file system's default, as in `lfs setstripe`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The range of the file it covers; its end a multiple of [`STRIPE_SIZE_UNIT`].
    pub extent: Extent,
    /// How it stores its bytes.
    pub pattern: Pattern,
    /// Bytes of one stripe unit, a multiple of [`STRIPE_SIZE_UNIT`]; 0 for the default.
    pub stripe_size: u32,
    /// Stripes: 0 for the default, `0xffff` for all targets (down to `0xffe0`: so many times all, since 2.16). Where
    /// there is a list, its length.
    pub stripe_count: u16,
    /// The index of the first target, where one is named.
    pub offset: Option<u16>,
    /// The pool to take targets from.
    pub pool: Option<PoolName>,
    /// The exact targets in stripe order; empty leaves them to the file system. All of them or none: a list with one
    /// target that cannot be had makes the whole create fail.
    pub list: Vec<OstIndex>,
}

impl Wanted {
    /// One component over the whole file that leaves everything to the file system.
    #[must_use]
    pub const fn anything() -> Self {
        Self {
            extent: Extent::ALL,
            pattern: Pattern::Raid0,
            stripe_size: 0,
            stripe_count: 0,
            offset: None,
            pool: None,
            list: Vec::new(),
        }
    }

    /// Whether it says in any way which targets are to be used.
    #[must_use]
    pub fn names_targets(&self) -> bool {
        !self.list.is_empty() || self.offset.is_some() || self.pool.is_some()
    }
}

impl Request {
    /// A plain layout of one component.
    #[must_use]
    pub fn plain(wanted: Wanted) -> Self {
        Self { components: alloc::vec![wanted] }
    }

    /// The first component that stores bytes on targets: the only one that a list may be given for, since a later
    /// list would fail hours later, in a write.
    #[must_use]
    pub fn first_on_targets(&self) -> Option<usize> {
        self.components.iter().position(|component| component.pattern != Pattern::Mdt)
    }

    /// The same request with a list for its first component on targets; `None` where it has no such component or the
    /// list is longer than Lustre allows.
    #[must_use]
    pub fn with_list(&self, list: &[OstIndex]) -> Option<Self> {
        let at = self.first_on_targets()?;
        let mut request = self.clone();
        let component = request.components.get_mut(at)?;
        component.stripe_count = u16::try_from(list.len()).ok()?;
        component.list = list.to_vec();
        Some(request)
    }
}

/// The layout of a file that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Counts the changes of the layout.
    pub generation: u32,
    /// One for each copy of the file; one in all but mirrored files.
    pub mirrors: Vec<Mirror>,
}

/// One copy of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// Lustre's number of it, 0 in files that are not mirrored.
    pub id: u16,
    /// Whether a write has made any of it out of date.
    pub is_stale: bool,
    /// Its components. The stripe count of one that is not initialised is what was asked for, so it may be 0
    /// (the default) or `0xffe0` and above (all targets).
    pub layout: Layout<OstIndex>,
    /// For each component whether it has objects, or needs none, being on the metadata target.
    pub initialised: Vec<bool>,
}

impl Stored {
    /// The copy that is read first: the first one that is up to date.
    #[must_use]
    pub fn main(&self) -> Option<&Mirror> {
        self.mirrors.iter().find(|mirror| !mirror.is_stale).or(self.mirrors.first())
    }

    /// The targets of the main copy's first component on targets, in stripe order.
    #[must_use]
    pub fn first_list(&self) -> &[OstIndex] {
        let first = self.main().and_then(|mirror| {
            let at = mirror.layout.first_on_targets()?;
            mirror.layout.components.get(at)
        });
        first.map_or(&[], |component| &component.stripes)
    }
}

#[cfg(test)]
mod tests;

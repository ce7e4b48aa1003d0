//! File layouts: components (PFL), stripes and pools, generic over what names a stripe's target.

use alloc::vec::Vec;
use core::fmt;

use crate::extent::{Extent, StripeBytes, stripe_bytes};
use crate::limits::{COMPONENTS_MAX, POOL_NAME_MAX, STRIPES_MAX};
use crate::{OstIndex, TargetId};

/// How a component stores its bytes (`lmm_pattern`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// Striped over distinct targets.
    #[default]
    Raid0,
    /// On the metadata target (data-on-MDT): no stripes on targets.
    Mdt,
    /// Striped, a target may hold several stripes.
    Overstriped,
}

/// A pool's name: at most 15 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoolName {
    bytes: [u8; POOL_NAME_MAX],
    len: u8,
}

impl PoolName {
    /// Checks and keeps a name; `None` where it is empty or too long.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        if name.is_empty() || name.len() > POOL_NAME_MAX {
            return None;
        }
        let mut bytes = [0; POOL_NAME_MAX];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        Some(Self { bytes, len: name.len() as u8 })
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Made from a `&str` in `new`, so it is UTF-8.
        core::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or("")
    }
}

impl fmt::Debug for PoolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// One component of a layout: a range of the file with its own striping.
///
/// `Id` names a target: [`OstIndex`] in what Lustre writes and reads, [`TargetId`] inside tarazu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component<Id = OstIndex> {
    /// The range of the file it covers.
    pub extent: Extent,
    /// Bytes written to one stripe before the next begins.
    pub stripe_size: u64,
    /// Stripes wanted; equal to `stripes.len()` once they are allocated, 0 for [`Pattern::Mdt`].
    pub stripe_count: u32,
    /// How it stores its bytes.
    pub pattern: Pattern,
    /// The pool that its targets come from.
    pub pool: Option<PoolName>,
    /// The targets in stripe order; empty while not allocated.
    pub stripes: Vec<Id>,
}

impl<Id> Component<Id> {
    /// Whether its stripes have targets.
    #[must_use]
    pub fn is_allocated(&self) -> bool {
        !self.stripes.is_empty()
    }

    /// The bytes of the file range `[start, end)` on each stripe of this component.
    pub fn split(&self, start: u64, end: u64) -> impl Iterator<Item = StripeBytes> + use<Id> {
        let (from, to) = self.extent.clip(start, end).unwrap_or((0, 0));
        stripe_bytes(from, to, self.stripe_size, self.stripe_count)
    }
}

/// The layout of a file: components in file order without gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout<Id = OstIndex> {
    /// At least one, contiguous from offset 0.
    pub components: Vec<Component<Id>>,
}

/// The layout on a simulated or controlled file system.
impl Layout<TargetId> {
    /// Every target that holds a stripe, in stripe order, repeated where one holds several.
    pub fn targets(&self) -> impl Iterator<Item = TargetId> + '_ {
        self.components.iter().flat_map(|component| component.stripes.iter().copied())
    }
}

impl<Id: Copy> Layout<Id> {
    /// One component over the whole file, its targets still open.
    #[must_use]
    pub fn plain(stripe_count: u32, stripe_size: u64) -> Self {
        let component = Component {
            extent: Extent::ALL,
            stripe_size,
            stripe_count,
            pattern: Pattern::Raid0,
            pool: None,
            stripes: Vec::new(),
        };
        Self { components: alloc::vec![component] }
    }

    /// The same components without targets: what a new file would ask for.
    #[must_use]
    pub fn shape<Other>(&self) -> Layout<Other> {
        let components = self.components.iter().map(|component| Component {
            extent: component.extent,
            stripe_size: component.stripe_size,
            stripe_count: component.stripe_count,
            pattern: component.pattern,
            pool: component.pool,
            stripes: Vec::new(),
        });
        Layout { components: components.collect() }
    }

    /// The first component that stores bytes on targets: the one a list of targets may be given for.
    #[must_use]
    pub fn first_on_targets(&self) -> Option<usize> {
        self.components.iter().position(|component| component.pattern != Pattern::Mdt)
    }

    /// Checks that components are in order without gaps and stripes within their limits.
    ///
    /// # Errors
    /// The first rule that is broken, with the component's number.
    pub fn check(&self) -> Result<(), LayoutError> {
        if self.components.is_empty() || self.components.len() > COMPONENTS_MAX {
            return Err(LayoutError::Components { found: self.components.len() });
        }
        let mut expected = Some(0);
        for (number, component) in self.components.iter().enumerate() {
            let extent = component.extent;
            if Some(extent.start) != expected || extent.end.is_some_and(|end| end <= extent.start) {
                return Err(LayoutError::Extent { component: number });
            }
            expected = extent.end;
            if component.pattern == Pattern::Mdt {
                if !component.stripes.is_empty() {
                    return Err(LayoutError::StripesOnMdt { component: number });
                }
                continue;
            }
            let wanted = component.stripe_count as usize;
            if component.stripe_size == 0 || wanted == 0 || wanted > STRIPES_MAX {
                return Err(LayoutError::Striping { component: number });
            }
            if !component.stripes.is_empty() && component.stripes.len() != wanted {
                return Err(LayoutError::StripeList { component: number });
            }
        }
        Ok(())
    }
}

/// What is wrong with a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutError {
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
    /// Stripe size 0, stripe count 0 or above [`STRIPES_MAX`].
    Striping {
        /// Its number from 0.
        component: usize,
    },
    /// The list of targets is not as long as the stripe count.
    StripeList {
        /// Its number from 0.
        component: usize,
    },
    /// A data-on-MDT component has targets.
    StripesOnMdt {
        /// Its number from 0.
        component: usize,
    },
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Components { found } => {
                write!(f, "a layout has 1 to {COMPONENTS_MAX} components, not {found}")
            }
            Self::Extent { component } => {
                write!(f, "component {component} is empty or does not begin where the one before it ends")
            }
            Self::Striping { component } => {
                write!(f, "component {component} needs a stripe size above 0 and 1 to {STRIPES_MAX} stripes")
            }
            Self::StripeList { component } => {
                write!(f, "component {component} lists another number of targets than its stripe count")
            }
            Self::StripesOnMdt { component } => {
                write!(f, "component {component} is on the MDT but lists targets")
            }
        }
    }
}

impl core::error::Error for LayoutError {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn pfl() -> Layout<TargetId> {
        let mut layout = Layout::plain(1, 1 << 20);
        layout.components[0].extent.end = Some(4 << 20);
        let mut rest = Layout::plain(4, 1 << 20).components.remove(0);
        rest.extent.start = 4 << 20;
        layout.components.push(rest);
        layout
    }

    #[test]
    fn components_must_join() {
        let mut layout = pfl();
        assert_eq!(layout.check(), Ok(()));
        layout.components[1].extent.start += 1;
        assert_eq!(layout.check(), Err(LayoutError::Extent { component: 1 }));
    }

    #[test]
    fn stripes_must_match_the_count() {
        let mut layout = pfl();
        layout.components[1].stripes = vec![TargetId(0); 3];
        assert_eq!(layout.check(), Err(LayoutError::StripeList { component: 1 }));
        layout.components[1].pattern = Pattern::Mdt;
        assert_eq!(layout.check(), Err(LayoutError::StripesOnMdt { component: 1 }));
    }

    #[test]
    fn a_later_component_stripes_by_absolute_offset() {
        let layout = pfl();
        // Offset 5 MiB is unit 5, and 5 mod 4 = 1, although the component begins at unit 4.
        let parts: Vec<_> = layout.components[1].split(5 << 20, 6 << 20).collect();
        assert_eq!(parts, vec![StripeBytes { stripe: 1, bytes: 1 << 20 }]);
        assert_eq!(layout.components[0].split(5 << 20, 6 << 20).count(), 0);
    }

    #[test]
    fn pool_names_have_a_limit() {
        assert_eq!(PoolName::new("flash").map(|pool| pool.len), Some(5));
        assert_eq!(PoolName::new("a-name-too-long-"), None);
        assert_eq!(PoolName::new(""), None);
    }
}

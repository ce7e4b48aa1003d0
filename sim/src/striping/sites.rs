//! Default layouts of sites, as they publish them.

use std::fmt;

use tarazu_layout::limits::STRIPES_MAX;
use tarazu_layout::{Component, Extent, Layout, OstIndex, Pattern, PoolName};

use crate::system::System;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// A site with a published default layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Site {
    /// Azure Managed Lustre.
    Azure,
    /// CLEPS, the cluster of Inria Paris.
    Cleps,
    /// Delta of NCSA.
    Delta,
    /// Amazon FSx for Lustre.
    Fsx,
    /// Orion of OLCF, Frontier's file system.
    Orion,
    /// Perlmutter of NERSC, as it was at first.
    Perlmutter,
}

/// One component of a site's layout.
struct Part {
    /// Its end in the file; `None` for the rest.
    end: Option<u64>,
    stripes: Stripes,
    /// Bytes; `None` where the site does not say: the system's default.
    stripe_size: Option<u64>,
    pool: Option<&'static str>,
}

enum Stripes {
    /// Data on the metadata target.
    OnMdt,
    Count(u32),
    /// One on every target (`-c -1`).
    All,
}

const fn part(end: Option<u64>, count: u32, stripe_size: Option<u64>) -> Part {
    Part { end, stripes: Stripes::Count(count), stripe_size, pool: None }
}

const fn all(stripe_size: Option<u64>) -> Part {
    Part { end: None, stripes: Stripes::All, stripe_size, pool: None }
}

const fn pooled(end: Option<u64>, count: u32, pool: &'static str) -> Part {
    Part { end, stripes: Stripes::Count(count), stripe_size: Some(MIB), pool: Some(pool) }
}

/// What the pages call GB and MB is taken as binary: an end must be a multiple of 64 KiB.
const AZURE: &[Part] =
    &[part(Some(GIB), 1, None), part(Some(100 * GIB), 5, None), part(Some(500 * GIB), 10, None), all(None)];

const CLEPS: &[Part] =
    &[part(Some(512 * MIB), 1, Some(MIB)), part(Some(40 * GIB), 4, Some(4 * MIB)), all(Some(64 * MIB))];

const DELTA: &[Part] = &[part(Some(32 * MIB), 1, None), part(Some(512 * MIB), 4, None), part(None, 8, None)];

const FSX: &[Part] = &[
    part(Some(100 * MIB), 1, None),
    part(Some(10 * GIB), 8, None),
    part(Some(100 * GIB), 16, None),
    part(None, 32, None),
];

/// `lfs setstripe -E 256K -L mdt -E 8M -c 1 -S 1M -p performance -z 64M -E 128G -c 1 -S 1M -z 16G -p capacity
/// -E -1 -z 256G -c 8 -S 1M -p capacity`, without the extension sizes (`-z`): they move a component away from a
/// target that runs full, which no run here comes to.
const ORION: &[Part] = &[
    Part { end: Some(256 * KIB), stripes: Stripes::OnMdt, stripe_size: None, pool: None },
    pooled(Some(8 * MIB), 1, "performance"),
    pooled(Some(128 * GIB), 1, "capacity"),
    pooled(None, 8, "capacity"),
];

const PERLMUTTER: &[Part] = &[
    part(Some(GIB), 1, None),
    part(Some(10 * GIB), 8, None),
    part(Some(100 * GIB), 24, None),
    part(None, 72, None),
];

impl Site {
    /// All sites, by name.
    pub const ALL: [Self; 6] =
        [Self::Azure, Self::Cleps, Self::Delta, Self::Fsx, Self::Orion, Self::Perlmutter];

    /// Its name in `pfl=SITE`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Azure => "azure",
            Self::Cleps => "cleps",
            Self::Delta => "delta",
            Self::Fsx => "fsx",
            Self::Orion => "orion",
            Self::Perlmutter => "perlmutter",
        }
    }

    /// The layout in one line, and where it is published.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Azure => "1 stripe to 1 GiB, 5 to 100 GiB, 10 to 500 GiB, then all (Azure Managed Lustre)",
            Self::Cleps => {
                "1 x 1 MiB to 512 MiB, 4 x 4 MiB to 40 GiB, then all x 64 MiB (Inria Paris, CLEPS user guide)"
            }
            Self::Delta => "1 stripe to 32 MiB, 4 to 512 MiB, then 8 (NCSA Delta)",
            Self::Fsx => {
                "1 stripe to 100 MiB, 8 to 10 GiB, 16 to 100 GiB, then 32 (Amazon FSx for Lustre user guide)"
            }
            Self::Orion => {
                "256 KiB on the MDT, 1 flash stripe to 8 MiB, 1 disk stripe to 128 GiB, then 8 (OLCF user guide)"
            }
            Self::Perlmutter => {
                "1 stripe to 1 GiB, 8 to 10 GiB, 24 to 100 GiB, then 72 (NERSC, Perlmutter's first default)"
            }
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|site| site.as_str() == name)
    }

    /// The pools that its layout names.
    pub(super) fn pools(self) -> impl Iterator<Item = PoolName> {
        self.parts().iter().filter_map(|part| part.pool.and_then(PoolName::new))
    }

    /// Its layout on a system; a pool that the system lacks is left out.
    pub(super) fn layout(self, system: &System) -> Layout<OstIndex> {
        let mut start = 0;
        let mut components = Vec::new();
        for part in self.parts() {
            let pool = part.pool.and_then(PoolName::new).filter(|pool| system.pools.contains_key(pool));
            let (pattern, stripe_count) = match part.stripes {
                Stripes::OnMdt => (Pattern::Mdt, 0),
                Stripes::Count(count) => (Pattern::Raid0, count),
                Stripes::All => (Pattern::Raid0, system.topology.targets().len().min(STRIPES_MAX) as u32),
            };
            components.push(Component {
                extent: Extent { start, end: part.end },
                stripe_size: part.stripe_size.unwrap_or(system.default_stripe_size),
                stripe_count,
                pattern,
                pool,
                stripes: Vec::new(),
            });
            start = part.end.unwrap_or(u64::MAX);
        }
        Layout { components }
    }

    fn parts(self) -> &'static [Part] {
        match self {
            Self::Azure => AZURE,
            Self::Cleps => CLEPS,
            Self::Delta => DELTA,
            Self::Fsx => FSX,
            Self::Orion => ORION,
            Self::Perlmutter => PERLMUTTER,
        }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

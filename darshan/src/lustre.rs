//! LUSTRE records: the layout of each file at its last open, as components with their OSTs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use super::cursor::{ByteOrder, text};
use super::decode::{Decode, Mark, decode, grow};
use super::error::Fault;
use super::header::Region;
use super::inflate::{Packed, Plain};

/// Bytes of a pool's name.
const POOL_BYTES: usize = 16;

/// The newest record version.
const NEWEST: u32 = 2;

/// A version 2 record keeps room for the components of the first open; this stripe size ends the used ones.
const UNUSED: i64 = -1;

/// In place of a pool.
const NO_POOL: u32 = u32::MAX;

/// A range of a list. A region is below 4 GiB, so 32 bits do, and a record takes less memory than in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    const fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// One component as recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LustreComponent {
    /// Bytes per stripe before the next begins.
    pub stripe_size: i64,
    /// Span; 0 for data-on-MDT, and while not allocated.
    pub stripe_count: i64,
    /// First byte of the file it covers.
    pub ext_start: i64,
    /// First byte behind it, -1 for the end of the file.
    pub ext_end: i64,
    /// 0 striped, 2 on the MDT, 4 overstriped, 8 foreign; 0 in version 1.
    pub pattern: i32,
    /// `LCME_FL_*`; 0x10 is initialised.
    pub flags: i32,
    /// Which mirror it belongs to.
    pub mirror_id: i32,
    pool: u32,
    stripes: Span,
}

/// The layout of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LustreRecord {
    /// The file.
    pub id: u64,
    /// Who recorded it, -1 for a shared file.
    pub rank: i64,
    /// Components that the record has room for, used or not.
    pub recorded_components: u32,
    /// OST indices in the record, of used components or not.
    pub recorded_stripes: u32,
    components: Span,
}

impl LustreComponent {
    /// Place of its OST indices in [`Lustre::stripes`].
    #[must_use]
    pub const fn stripes(&self) -> Range<usize> {
        self.stripes.range()
    }
}

impl LustreRecord {
    /// Place of its used components in [`Lustre::components`].
    #[must_use]
    pub const fn components(&self) -> Range<usize> {
        self.components.range()
    }
}

/// What version 1 records say beside the layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LustreRequested {
    /// OSTs of the file system, -1 where unknown.
    pub osts: i32,
    /// Metadata targets of the file system, -1 where unknown.
    pub mdts: i32,
    /// The first OST asked for, -1 for any.
    pub stripe_offset: i32,
}

/// All layouts of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lustre {
    /// One per file and recording rank, in the log's order.
    pub records: Vec<LustreRecord>,
    /// Used components of all records.
    pub components: Vec<LustreComponent>,
    /// OST indices of all components.
    pub stripes: Vec<i64>,
    /// Version of the records.
    pub version: u32,
    /// Whether Darshan ran out of memory, so that records are missing.
    pub partial: bool,
    requested: Vec<LustreRequested>,
    pools: Vec<[u8; POOL_BYTES]>,
}

impl Lustre {
    /// The used components of a record.
    #[must_use]
    pub fn components_of(&self, record: &LustreRecord) -> &[LustreComponent] {
        self.components.get(record.components.range()).unwrap_or(&[])
    }

    /// The OST indices of a component.
    #[must_use]
    pub fn stripes_of(&self, component: &LustreComponent) -> &[i64] {
        self.stripes.get(component.stripes.range()).unwrap_or(&[])
    }

    /// Every OST that holds a stripe of some file.
    #[must_use]
    pub fn osts_used(&self) -> BTreeSet<i64> {
        self.stripes.iter().copied().collect()
    }

    /// How many components have each stripe count.
    #[must_use]
    pub fn stripe_counts(&self) -> BTreeMap<i64, u64> {
        tally(self.components.iter().map(|component| component.stripe_count))
    }

    /// How many components have each stripe size.
    #[must_use]
    pub fn stripe_sizes(&self) -> BTreeMap<i64, u64> {
        tally(self.components.iter().map(|component| component.stripe_size))
    }

    /// How many records have each number of components.
    #[must_use]
    pub fn component_counts(&self) -> BTreeMap<i64, u64> {
        tally(self.records.iter().map(|record| record.components.range().len() as i64))
    }

    /// The pool of a component, empty where none.
    #[must_use]
    pub fn pool_of(&self, component: &LustreComponent) -> String {
        self.pools.get(component.pool as usize).map(|name| text(name)).unwrap_or_default()
    }

    /// What only version 1 records say of a file; `None` for later ones.
    #[must_use]
    pub fn requested(&self, record: usize) -> Option<LustreRequested> {
        self.requested.get(record).copied()
    }

    /// Reads a region: whole records of whole streams.
    pub(crate) fn read(
        plain: &mut Plain<'_, '_>,
        packed: Packed,
        order: ByteOrder,
        region: &Region,
    ) -> Result<(Self, Vec<Fault>), Fault> {
        let Region { module, offset, length, version, partial, .. } = *region;
        if version == 0 || version > NEWEST {
            return Err(Fault::RecordVersion { module, offset, length, version, newest: NEWEST });
        }
        let lustre = Self { version, partial, ..Self::default() };
        let mut reading = Reading { lustre, order, pools: HashMap::new() };
        let faults = decode(plain, packed, &mut reading);
        Ok((reading.lustre, faults))
    }
}

/// Records as they come, with what finds the place of a pool's name.
struct Reading {
    lustre: Lustre,
    order: ByteOrder,
    pools: HashMap<[u8; POOL_BYTES], u32>,
}

const CUT: &str = "is cut short";
const COUNT: &str = "has a stripe or component count beyond its bytes";

impl Reading {
    fn words<const N: usize>(&self, plain: &mut Plain<'_, '_>) -> Option<[i64; N]> {
        plain.words(self.order).map(|words| words.map(u64::cast_signed))
    }

    fn next_v1(&mut self, plain: &mut Plain<'_, '_>) -> Result<(), &'static str> {
        let [id, rank, osts, mdts, stripe_offset, stripe_size, stripe_count] =
            self.words(plain).ok_or(CUT)?;
        let small = |value: i64| i32::try_from(value).map_err(|_| "has a number of servers that cannot be");
        let (osts, mdts, stripe_offset) = (small(osts)?, small(mdts)?, small(stripe_offset)?);
        let stripes = self.stripes(plain, stripe_count)?;
        let lustre = &mut self.lustre;
        let component = LustreComponent {
            stripe_size,
            stripe_count,
            ext_start: 0,
            ext_end: -1,
            pattern: 0,
            flags: 0,
            mirror_id: 0,
            pool: NO_POOL,
            stripes,
        };
        grow(&mut lustre.components, 1);
        lustre.components.push(component);
        grow(&mut lustre.requested, 1);
        lustre.requested.push(LustreRequested { osts, mdts, stripe_offset });
        self.record(id, rank, 1, stripe_count);
        Ok(())
    }

    fn next_v2(&mut self, plain: &mut Plain<'_, '_>) -> Result<(), &'static str> {
        let [id, rank, slots, stripes] = self.words(plain).ok_or(CUT)?;
        let first = self.lustre.components.len();
        let mut used = true;
        for _ in 0..count(slots)? {
            let component = self.component(plain)?;
            // A component without bytes ends the loop, however many were announced.
            used &= component.stripe_size != UNUSED;
            if used {
                grow(&mut self.lustre.components, 1);
                self.lustre.components.push(component);
            }
        }
        let mut left = count(stripes)?;
        for place in first..self.lustre.components.len() {
            let wanted = self.lustre.components.get(place).map_or(0, |component| component.stripe_count);
            left =
                left.checked_sub(count(wanted)?).ok_or("has components with more stripes than the record")?;
            let stripes = self.stripes(plain, wanted)?;
            if let Some(component) = self.lustre.components.get_mut(place) {
                component.stripes = stripes;
            }
        }
        // Entries of the unused components.
        while left > 0 {
            let entries = (plain.take_items(8, left.into()).len() / 8) as u32;
            left = left.checked_sub(entries).filter(|_| entries > 0).ok_or(COUNT)?;
        }
        self.record(id, rank, slots, stripes);
        Ok(())
    }

    fn component(&mut self, plain: &mut Plain<'_, '_>) -> Result<LustreComponent, &'static str> {
        let [stripe_size, stripe_count, pattern, flags, ext_start, ext_end, mirror_id] =
            self.words(plain).ok_or(COUNT)?;
        let pool = plain.array().ok_or(COUNT)?;
        if stripe_size == UNUSED {
            // Nothing else in it means anything.
            return Ok(LustreComponent { stripe_size, pool: NO_POOL, ..LustreComponent::default() });
        }
        let small =
            |value: i64| i32::try_from(value).map_err(|_| "has a pattern, flags or mirror that cannot be");
        Ok(LustreComponent {
            stripe_size,
            stripe_count,
            ext_start,
            ext_end,
            pattern: small(pattern)?,
            flags: small(flags)?,
            mirror_id: small(mirror_id)?,
            pool: self.pool(pool),
            stripes: Span::default(),
        })
    }

    fn pool(&mut self, name: [u8; POOL_BYTES]) -> u32 {
        if name.starts_with(b"\0") {
            return NO_POOL;
        }
        let pools = &mut self.lustre.pools;
        *self.pools.entry(name).or_insert_with(|| {
            pools.push(name);
            pools.len() as u32 - 1
        })
    }

    /// Reads OST indices and gives their place.
    fn stripes(&mut self, plain: &mut Plain<'_, '_>, wanted: i64) -> Result<Span, &'static str> {
        let start = self.lustre.stripes.len() as u32;
        let mut left = count(wanted)?;
        while left > 0 {
            let items = plain.take_items(8, left.into());
            let entries = items.len() / 8;
            if entries == 0 {
                return Err(COUNT);
            }
            left -= entries as u32;
            grow(&mut self.lustre.stripes, entries);
            self.lustre.stripes.extend(self.order.words(items).map(u64::cast_signed));
        }
        Ok(Span { start, end: self.lustre.stripes.len() as u32 })
    }

    fn record(&mut self, id: i64, rank: i64, slots: i64, stripes: i64) {
        let lustre = &mut self.lustre;
        let start = lustre.records.last().map_or(0, |last| last.components.end);
        let components = Span { start, end: lustre.components.len() as u32 };
        grow(&mut lustre.records, 1);
        lustre.records.push(LustreRecord {
            id: id.cast_unsigned(),
            rank,
            components,
            recorded_components: slots as u32,
            recorded_stripes: stripes as u32,
        });
    }
}

/// A foreign count; that many items must fit a region.
fn count(count: i64) -> Result<u32, &'static str> {
    u32::try_from(count).map_err(|_| COUNT)
}

impl Decode for Reading {
    fn next(&mut self, plain: &mut Plain<'_, '_>) -> Result<(), &'static str> {
        if self.lustre.version == 1 { self.next_v1(plain) } else { self.next_v2(plain) }
    }

    fn mark(&self) -> Mark {
        [self.lustre.records.len(), self.lustre.components.len(), self.lustre.stripes.len()]
    }

    fn cut(&mut self, mark: Mark) {
        // Pools stay: they are few, and nothing counts them.
        self.lustre.records.truncate(mark[0]);
        self.lustre.requested.truncate(mark[0]);
        self.lustre.components.truncate(mark[1]);
        self.lustre.stripes.truncate(mark[2]);
    }

    fn records(&self) -> usize {
        self.lustre.records.len()
    }
}

fn tally(values: impl Iterator<Item = i64>) -> BTreeMap<i64, u64> {
    let mut counts = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_insert(0) += 1;
    }
    counts
}

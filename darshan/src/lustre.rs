//! LUSTRE records: the layout of each file at its last open, as components with their OSTs.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ops::Range;

use super::cursor::{ByteOrder, Cursor, text};
use super::error::Fault;
use super::header::{Module, Region};

/// Bytes of one component in a version 2 record.
const COMPONENT_BYTES: usize = 72;

/// A version 2 record keeps room for the components of the first open; this stripe size ends the used ones.
const UNUSED: i64 = -1;

/// One component as recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LustreComponent {
    /// Bytes per stripe before the next begins.
    pub stripe_size: i64,
    /// Stripes; 0 for data-on-MDT, and while not allocated.
    pub stripe_count: i64,
    /// 0 striped, 2 on the MDT, 4 overstriped, 8 foreign; 0 in version 1.
    pub pattern: i64,
    /// `LCME_FL_*`; 0x10 is initialised.
    pub flags: i64,
    /// First byte of the file it covers.
    pub ext_start: i64,
    /// First byte behind it, -1 for the end of the file.
    pub ext_end: i64,
    /// Which mirror it belongs to.
    pub mirror_id: i64,
    /// The pool, empty where none.
    pub pool: String,
    /// Place of its OSTs in [`Lustre::stripes`].
    pub stripes: Range<usize>,
}

/// The layout of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LustreRecord {
    /// The file.
    pub id: u64,
    /// Who recorded it, -1 for a shared file.
    pub rank: i64,
    /// Place of its components in [`Lustre::components`].
    pub components: Range<usize>,
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
    /// Whether Darshan ran out of memory, so that records are missing.
    pub partial: bool,
}

impl Lustre {
    /// The used components of a record.
    #[must_use]
    pub fn components_of(&self, record: &LustreRecord) -> &[LustreComponent] {
        self.components.get(record.components.clone()).unwrap_or(&[])
    }

    /// The OST indices of a component.
    #[must_use]
    pub fn stripes_of(&self, component: &LustreComponent) -> &[i64] {
        self.stripes.get(component.stripes.clone()).unwrap_or(&[])
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
        tally(self.records.iter().map(|record| record.components.len() as i64))
    }

    /// Reads a plain region, up to the first impossible record.
    pub(crate) fn read(
        bytes: &[u8],
        order: ByteOrder,
        region: &Region,
    ) -> Result<(Self, Option<Fault>), Fault> {
        let (module, version) = (Module::Lustre, region.version);
        let next = match version {
            1 => Self::next_v1,
            2 => Self::next_v2,
            _ => return Err(Fault::RecordVersion { module, version, known: "1 and 2" }),
        };
        let mut read = Self { partial: region.partial, ..Self::default() };
        let mut words = Cursor::new(bytes, order);
        let mut fault = None;
        while !words.rest().is_empty() {
            let at = words.at();
            let (components, stripes) = (read.components.len(), read.stripes.len());
            let outcome = next(&mut read, &mut words).unwrap_or(Err("is cut short"));
            if let Err(what) = outcome {
                read.components.truncate(components);
                read.stripes.truncate(stripes);
                fault = Some(Fault::Record { module, at, what, kept: read.records.len() });
                break;
            }
        }
        Ok((read, fault))
    }

    /// `None` at the end of the bytes, an error for an impossible count.
    fn next_v1(&mut self, words: &mut Cursor<'_>) -> Option<Result<(), &'static str>> {
        let (id, rank) = (words.u64()?, words.i64()?);
        // OSTs and MDTs of the file system, and the stripe offset asked for, say nothing about the file.
        words.take(24)?;
        let (stripe_size, stripe_count) = (words.i64()?, words.i64()?);
        let Some(count) = fitting(stripe_count, 8, words.rest().len()) else {
            return Some(Err("has a stripe count beyond its bytes"));
        };
        let stripes = self.stripes.len()..self.stripes.len() + count;
        for _ in 0..count {
            self.stripes.push(words.i64()?);
        }
        let components = self.components.len()..self.components.len() + 1;
        self.components.push(LustreComponent {
            stripe_size,
            stripe_count,
            pattern: 0,
            flags: 0,
            ext_start: 0,
            ext_end: -1,
            mirror_id: 0,
            pool: String::new(),
            stripes,
        });
        self.records.push(LustreRecord { id, rank, components });
        Some(Ok(()))
    }

    fn next_v2(&mut self, words: &mut Cursor<'_>) -> Option<Result<(), &'static str>> {
        let (id, rank) = (words.u64()?, words.i64()?);
        let (slots, stripes) = (words.i64()?, words.i64()?);
        let Some(slots) = fitting(slots, COMPONENT_BYTES, words.rest().len()) else {
            return Some(Err("has a component count beyond its bytes"));
        };
        let first = self.components.len();
        let mut used = true;
        for _ in 0..slots {
            let component = next_component(words)?;
            used &= component.stripe_size != UNUSED;
            if used {
                self.components.push(component);
            }
        }
        let Some(stripes) = fitting(stripes, 8, words.rest().len()) else {
            return Some(Err("has a stripe count beyond its bytes"));
        };
        let mut left = stripes;
        for component in self.components.iter_mut().skip(first) {
            let Some(count) = usize::try_from(component.stripe_count).ok().filter(|count| *count <= left)
            else {
                return Some(Err("has components with more stripes than the record"));
            };
            left -= count;
            component.stripes = self.stripes.len()..self.stripes.len() + count;
            for _ in 0..count {
                self.stripes.push(words.i64()?);
            }
        }
        // Entries of the unused components.
        words.take(left * 8)?;
        self.records.push(LustreRecord { id, rank, components: first..self.components.len() });
        Some(Ok(()))
    }
}

fn next_component(words: &mut Cursor<'_>) -> Option<LustreComponent> {
    Some(LustreComponent {
        stripe_size: words.i64()?,
        stripe_count: words.i64()?,
        pattern: words.i64()?,
        flags: words.i64()?,
        ext_start: words.i64()?,
        ext_end: words.i64()?,
        mirror_id: words.i64()?,
        pool: text(words.take(16)?),
        stripes: 0..0,
    })
}

/// A foreign count, where that many items of `item_bytes` fit in `left` bytes.
pub(crate) fn fitting(count: i64, item_bytes: usize, left: usize) -> Option<usize> {
    usize::try_from(count).ok().filter(|count| *count <= left / item_bytes)
}

fn tally(values: impl Iterator<Item = i64>) -> BTreeMap<i64, u64> {
    let mut counts = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_insert(0) += 1;
    }
    counts
}

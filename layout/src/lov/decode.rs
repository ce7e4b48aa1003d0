//! Bytes to what they mean.

use alloc::vec::Vec;

use super::error::LovError;
use super::fields::{bytes_at, u16_at, u32_at, u64_at};
use super::{
    ANYWHERE, ENTRY_BYTES, FLAG_EXTENSION, FLAG_INITIALISED, FLAG_PARITY, FLAG_STALE, HEADER_BYTES,
    MAGIC_COMPOSITE, MAGIC_FOREIGN, MAGIC_SELF_EXTENDING, MAGIC_SPECIFIC, MAGIC_V1, MAGIC_V3, Mirror,
    OBJECT_BYTES, OST_INDEX_MAX, PATTERN_MDT, PATTERN_OVERSTRIPED, PATTERN_RAID0, PATTERN_RELEASED, Request,
    Stored, V1_BYTES, V3_BYTES, Wanted,
};
use crate::limits::{COMPONENTS_MAX, POOL_NAME_MAX, STRIPES_MAX};
use crate::{Component, Extent, Layout, OstIndex, Pattern, PoolName};

/// Reads the default layout of a folder, or a request.
///
/// # Errors
/// The first thing that is wrong, or the kind of layout that is not understood: a caller leaves such a folder alone.
pub fn read_default(bytes: &[u8]) -> Result<Request, LovError> {
    if u32_at(bytes, 0).ok_or(LovError::Truncated)? != MAGIC_COMPOSITE {
        return Ok(Request::plain(Blob::read(bytes)?.wanted(Extent::ALL)?));
    }
    let composite = Composite::read(bytes)?;
    if composite.mirrors > 1 {
        return Err(LovError::Mirrored);
    }
    let mut components = Vec::new();
    for entry in &composite.entries {
        components.push(entry.blob.wanted(entry.extent)?);
    }
    joined(components.iter().map(|component| component.extent))?;
    Ok(Request { components })
}

/// Reads the layout of a file.
///
/// Mirrors are read one by one, components that hold parity are left out.
///
/// # Errors
/// The first thing that is wrong, or the kind of layout that is not understood.
pub fn read_file(bytes: &[u8]) -> Result<Stored, LovError> {
    if u32_at(bytes, 0).ok_or(LovError::Truncated)? != MAGIC_COMPOSITE {
        let blob = Blob::read(bytes)?;
        let component = blob.component(Extent::ALL)?;
        let mirror = Mirror {
            id: 0,
            is_stale: false,
            initialised: alloc::vec![component.is_allocated() || component.pattern == Pattern::Mdt],
            layout: Layout { components: alloc::vec![component] },
        };
        // In a file this field counts the layout's changes; 2.17 hands out "anywhere" where it never changed.
        let generation = if blob.offset == ANYWHERE { 0 } else { u32::from(blob.offset) };
        return Ok(Stored { generation, mirrors: alloc::vec![mirror] });
    }
    let composite = Composite::read(bytes)?;
    let mut mirrors: Vec<Mirror> = Vec::new();
    for entry in composite.entries.iter().filter(|entry| entry.flags & FLAG_PARITY == 0) {
        let id = (entry.id >> 16) as u16;
        if mirrors.last().is_none_or(|mirror| mirror.id != id) {
            let layout = Layout { components: Vec::new() };
            mirrors.push(Mirror { id, is_stale: false, layout, initialised: Vec::new() });
        }
        let Some(mirror) = mirrors.last_mut() else { continue };
        let mut component = entry.blob.component(entry.extent)?;
        let is_initialised = entry.flags & FLAG_INITIALISED != 0;
        if !is_initialised {
            // A list that is still a wish and no object.
            component.stripes.clear();
        }
        mirror.is_stale |= entry.flags & FLAG_STALE != 0;
        mirror.initialised.push(is_initialised);
        mirror.layout.components.push(component);
    }
    if mirrors.is_empty() {
        return Err(LovError::Components { found: 0 });
    }
    for mirror in &mirrors {
        joined(mirror.layout.components.iter().map(|component| component.extent))?;
    }
    Ok(Stored { generation: composite.generation, mirrors })
}

/// Each begins where the one before ends, the first at 0.
fn joined(extents: impl Iterator<Item = Extent>) -> Result<(), LovError> {
    let mut expected = Some(0);
    for (component, extent) in extents.enumerate() {
        if Some(extent.start) != expected || extent.end.is_some_and(|end| end <= extent.start) {
            return Err(LovError::Extent { component });
        }
        expected = extent.end;
    }
    Ok(())
}

struct Composite<'a> {
    generation: u32,
    /// Copies, at least 1.
    mirrors: u32,
    entries: Vec<Entry<'a>>,
}

struct Entry<'a> {
    id: u32,
    flags: u32,
    extent: Extent,
    blob: Blob<'a>,
}

impl<'a> Composite<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, LovError> {
        let stated = u32_at(bytes, 4).ok_or(LovError::Truncated)? as usize;
        let whole =
            bytes.get(..stated).filter(|whole| whole.len() >= HEADER_BYTES).ok_or(LovError::Truncated)?;
        let count = usize::from(u16_at(whole, 14).ok_or(LovError::Truncated)?);
        if count == 0 || count > COMPONENTS_MAX {
            return Err(LovError::Components { found: count });
        }
        let front = HEADER_BYTES + ENTRY_BYTES * count;
        let records = whole.get(HEADER_BYTES..front).ok_or(LovError::Truncated)?;
        let entries = records.chunks_exact(ENTRY_BYTES).map(|record| Entry::read(record, whole, front));
        Ok(Self {
            generation: u32_at(whole, 8).ok_or(LovError::Truncated)?,
            // Stored as one less.
            mirrors: u32::from(u16_at(whole, 16).ok_or(LovError::Truncated)?) + 1,
            entries: entries.collect::<Result<_, _>>()?,
        })
    }
}

impl<'a> Entry<'a> {
    fn read(record: &[u8], whole: &'a [u8], front: usize) -> Result<Self, LovError> {
        let short = |at| u32_at(record, at).ok_or(LovError::Truncated);
        let long = |at| u64_at(record, at).ok_or(LovError::Truncated);
        let (flags, end) = (short(4)?, long(16)?);
        if flags & FLAG_EXTENSION != 0 {
            return Err(LovError::SelfExtending);
        }
        let (at, length) = (short(24)? as usize, short(28)? as usize);
        let blob = at.checked_add(length).filter(|_| at >= front).and_then(|end| whole.get(at..end));
        Ok(Self {
            id: short(0)?,
            flags,
            extent: Extent { start: long(8)?, end: (end != u64::MAX).then_some(end) },
            blob: Blob::read(blob.ok_or(LovError::Truncated)?)?,
        })
    }
}

/// A plain layout's fields as they lie in the bytes.
struct Blob<'a> {
    pattern: u32,
    stripe_size: u32,
    stripe_count: u16,
    offset: u16,
    pool: Option<PoolName>,
    is_list: bool,
    objects: &'a [u8],
}

impl<'a> Blob<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, LovError> {
        let magic = u32_at(bytes, 0).ok_or(LovError::Truncated)?;
        let header = match magic {
            MAGIC_V1 => V1_BYTES,
            MAGIC_V3 | MAGIC_SPECIFIC => V3_BYTES,
            MAGIC_FOREIGN => return Err(LovError::Foreign),
            MAGIC_SELF_EXTENDING => return Err(LovError::SelfExtending),
            found => return Err(LovError::Magic { found }),
        };
        let objects = bytes.get(header..).ok_or(LovError::Truncated)?;
        let pool = if header == V3_BYTES { pool(bytes)? } else { None };
        Ok(Self {
            pattern: u32_at(bytes, 4).ok_or(LovError::Truncated)?,
            stripe_size: u32_at(bytes, 24).ok_or(LovError::Truncated)?,
            stripe_count: u16_at(bytes, 28).ok_or(LovError::Truncated)?,
            offset: u16_at(bytes, 30).ok_or(LovError::Truncated)?,
            pool,
            is_list: magic == MAGIC_SPECIFIC,
            objects,
        })
    }

    fn pattern(&self) -> Result<Pattern, LovError> {
        match self.pattern & !PATTERN_RELEASED {
            // A request may leave the pattern open.
            0 | PATTERN_RAID0 => Ok(Pattern::Raid0),
            PATTERN_MDT => Ok(Pattern::Mdt),
            found if found & !PATTERN_RAID0 == PATTERN_OVERSTRIPED => Ok(Pattern::Overstriped),
            found => Err(LovError::Pattern { found }),
        }
    }

    /// The targets of the objects; none where the objects are not made yet.
    fn stripes(&self) -> Result<Vec<OstIndex>, LovError> {
        let count = usize::from(self.stripe_count);
        if self.objects.is_empty() || count == 0 {
            return Ok(Vec::new());
        }
        let stated = self.stripe_count;
        if count > STRIPES_MAX {
            return Err(LovError::Stripes { stated });
        }
        let objects = self.objects.get(..count * OBJECT_BYTES).ok_or(LovError::Truncated)?;
        let index = |object: &[u8]| u32_at(object, 20).filter(|index| *index <= OST_INDEX_MAX);
        let stripes = objects.chunks_exact(OBJECT_BYTES).map(|object| index(object).map(OstIndex));
        stripes.collect::<Option<_>>().ok_or(LovError::Stripes { stated })
    }

    fn component(&self, extent: Extent) -> Result<Component<OstIndex>, LovError> {
        let pattern = self.pattern()?;
        let on_mdt = pattern == Pattern::Mdt;
        let released = self.pattern & PATTERN_RELEASED != 0;
        Ok(Component {
            extent,
            stripe_size: u64::from(self.stripe_size),
            stripe_count: if on_mdt { 0 } else { u32::from(self.stripe_count) },
            pattern,
            pool: self.pool,
            stripes: if on_mdt || released { Vec::new() } else { self.stripes()? },
        })
    }

    fn wanted(&self, extent: Extent) -> Result<Wanted, LovError> {
        let list = if self.is_list { self.stripes()? } else { Vec::new() };
        if self.is_list && list.is_empty() && self.stripe_count != 0 {
            return Err(LovError::Truncated);
        }
        // Beside a list the offset says only which of its targets comes first.
        let offset = (self.offset != ANYWHERE && list.is_empty()).then_some(self.offset);
        Ok(Wanted {
            extent,
            pattern: self.pattern()?,
            stripe_size: self.stripe_size,
            stripe_count: self.stripe_count,
            offset,
            pool: self.pool,
            list,
        })
    }
}

/// The pool's name behind a plain layout; empty where there is none.
fn pool(bytes: &[u8]) -> Result<Option<PoolName>, LovError> {
    let field: [u8; POOL_NAME_MAX + 1] = bytes_at(bytes, V1_BYTES).ok_or(LovError::Truncated)?;
    let length = field.iter().position(|byte| *byte == 0).ok_or(LovError::Pool)?;
    let name = core::str::from_utf8(&field[..length]).map_err(|_| LovError::Pool)?;
    Ok(PoolName::new(name))
}

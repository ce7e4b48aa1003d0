//! A request to bytes.

use alloc::vec::Vec;

use super::error::EncodeError;
use super::{
    ANYWHERE, ENTRY_BYTES, HEADER_BYTES, MAGIC_COMPOSITE, MAGIC_SPECIFIC, MAGIC_V1, MAGIC_V3, OBJECT_BYTES,
    OST_INDEX_MAX, PATTERN_MDT, PATTERN_OVERSTRIPED, PATTERN_RAID0, Request, STRIPE_SIZE_UNIT, V1_BYTES,
    V3_BYTES, Wanted, XATTR_BYTES_MAX,
};
use crate::limits::{COMPONENTS_MAX, POOL_NAME_MAX, STRIPES_MAX};
use crate::{Extent, Pattern};

/// Asks for the file system's own default: what a descriptor gets whose list was refused, so that it can be written to.
pub const DEFAULT: [u8; V1_BYTES] = {
    let mut bytes = [0; V1_BYTES];
    let (magic, pattern) = (MAGIC_V1.to_ne_bytes(), PATTERN_RAID0.to_ne_bytes());
    let mut at = 0;
    while at < 4 {
        bytes[at] = magic[at];
        bytes[4 + at] = pattern[at];
        at += 1;
    }
    // Offset 0xffff: anywhere. Size and count stay 0.
    bytes[30] = 0xFF;
    bytes[31] = 0xFF;
    bytes
};

/// The bytes of a request, for `fsetxattr` on a file that has no layout yet.
///
/// One component over the whole file becomes a plain layout; everything else, and everything on the metadata target, a
/// composite one.
///
/// # Errors
/// What Lustre would refuse, found before it is asked.
pub fn encode(request: &Request) -> Result<Vec<u8>, EncodeError> {
    check(request)?;
    let bytes = match request.components.as_slice() {
        [only] if only.extent == Extent::ALL && only.pattern != Pattern::Mdt => plain(only),
        components => composite(components),
    };
    if bytes.len() > XATTR_BYTES_MAX {
        return Err(EncodeError::TooLong { bytes: bytes.len() });
    }
    Ok(bytes)
}

fn check(request: &Request) -> Result<(), EncodeError> {
    let found = request.components.len();
    if found == 0 || found > COMPONENTS_MAX {
        return Err(EncodeError::Components { found });
    }
    let mut expected = Some(0);
    for (component, wanted) in request.components.iter().enumerate() {
        let Extent { start, end } = wanted.extent;
        let ends_well =
            end.is_none_or(|end| end > start && end != u64::MAX && end.is_multiple_of(STRIPE_SIZE_UNIT));
        if Some(start) != expected || !ends_well {
            return Err(EncodeError::Extent { component });
        }
        expected = end;
        if !u64::from(wanted.stripe_size).is_multiple_of(STRIPE_SIZE_UNIT) {
            return Err(EncodeError::StripeSize { component });
        }
        if !wanted.list.is_empty() && !list_fits(wanted) {
            return Err(EncodeError::List { component });
        }
    }
    Ok(())
}

fn list_fits(wanted: &Wanted) -> bool {
    wanted.list.len() <= STRIPES_MAX
        && wanted.list.len() == usize::from(wanted.stripe_count)
        && wanted.list.iter().all(|ost| ost.0 <= OST_INDEX_MAX)
        && wanted.pool.is_none()
        && wanted.offset.is_none()
        && wanted.pattern != Pattern::Mdt
}

fn plain(wanted: &Wanted) -> Vec<u8> {
    let magic = match (wanted.list.is_empty(), wanted.pool) {
        (false, _) => MAGIC_SPECIFIC,
        (true, Some(_)) => MAGIC_V3,
        (true, None) => MAGIC_V1,
    };
    let pattern = match wanted.pattern {
        Pattern::Raid0 => PATTERN_RAID0,
        Pattern::Mdt => PATTERN_MDT,
        Pattern::Overstriped => PATTERN_RAID0 | PATTERN_OVERSTRIPED,
    };
    let mut bytes = Vec::with_capacity(V3_BYTES + OBJECT_BYTES * wanted.list.len());
    bytes.extend_from_slice(&magic.to_ne_bytes());
    bytes.extend_from_slice(&pattern.to_ne_bytes());
    // The object's id is the file system's to fill.
    bytes.extend_from_slice(&[0; 16]);
    bytes.extend_from_slice(&wanted.stripe_size.to_ne_bytes());
    bytes.extend_from_slice(&wanted.stripe_count.to_ne_bytes());
    bytes.extend_from_slice(&wanted.offset.unwrap_or(ANYWHERE).to_ne_bytes());
    if magic != MAGIC_V1 {
        let mut pool = [0; POOL_NAME_MAX + 1];
        if let Some(name) = wanted.pool {
            let name = name.as_str().as_bytes();
            pool[..name.len()].copy_from_slice(name);
        }
        bytes.extend_from_slice(&pool);
    }
    for ost in &wanted.list {
        bytes.extend_from_slice(&[0; OBJECT_BYTES - 4]);
        bytes.extend_from_slice(&ost.0.to_ne_bytes());
    }
    bytes
}

fn composite(components: &[Wanted]) -> Vec<u8> {
    let blobs: Vec<_> = components.iter().map(plain).collect();
    let front = HEADER_BYTES + ENTRY_BYTES * components.len();
    let whole = front + blobs.iter().map(Vec::len).sum::<usize>();
    let mut bytes = Vec::with_capacity(whole);
    bytes.extend_from_slice(&MAGIC_COMPOSITE.to_ne_bytes());
    bytes.extend_from_slice(&(whole as u32).to_ne_bytes());
    // Generation and flags, then the number of entries; one mirror is written as 0.
    bytes.extend_from_slice(&[0; 6]);
    bytes.extend_from_slice(&(components.len() as u16).to_ne_bytes());
    bytes.resize(HEADER_BYTES, 0);
    let mut at = front;
    for (wanted, blob) in components.iter().zip(&blobs) {
        // Number and flags are the file system's to fill.
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&wanted.extent.start.to_ne_bytes());
        bytes.extend_from_slice(&wanted.extent.end.unwrap_or(u64::MAX).to_ne_bytes());
        bytes.extend_from_slice(&(at as u32).to_ne_bytes());
        bytes.extend_from_slice(&(blob.len() as u32).to_ne_bytes());
        bytes.extend_from_slice(&[0; 16]);
        at += blob.len();
    }
    blobs.iter().for_each(|blob| bytes.extend_from_slice(blob));
    bytes
}

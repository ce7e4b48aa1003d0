//! The stamp that the node daemon puts in front of a table: when and on which boot it was received.

use alloc::vec::Vec;

use tarazu_layout::Time;

use crate::format::{STAMP_BYTES, STAMP_MAGIC, u32_at, u64_at};
use crate::{Refused, Table, View};

/// When the controller's view behind a table reached this host.
///
/// The daemon moves it only when the controller confirms the view: a daemon that is cut off must not
/// make an old table look young.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Hash of the host's boot id (`/proc/sys/kernel/random/boot_id`): boot clocks of two boots cannot
    /// be compared.
    pub boot_hash: u64,
    /// The moment on the host's boot clock.
    pub received: Time,
}

impl Stamp {
    /// The stamp's bytes in front of the table with this checksum, so that a stamp never vouches for
    /// another table.
    #[must_use]
    pub fn encode(&self, table_checksum: u32) -> [u8; STAMP_BYTES] {
        let mut bytes = [0; STAMP_BYTES];
        bytes[0..8].copy_from_slice(&STAMP_MAGIC);
        bytes[8..16].copy_from_slice(&self.boot_hash.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.received.0.to_le_bytes());
        bytes[24..28].copy_from_slice(&table_checksum.to_le_bytes());
        let checksum = crc32fast::hash(&bytes[..28]);
        bytes[28..32].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads a stamp and the checksum of the table that it belongs to.
    fn read(bytes: &[u8; STAMP_BYTES]) -> Result<(Self, u32), Refused> {
        let sound = bytes.starts_with(&STAMP_MAGIC) && crc32fast::hash(&bytes[..28]) == u32_at(bytes, 28);
        if !sound {
            return Err(Refused::Stamp);
        }
        let stamp = Self { boot_hash: u64_at(bytes, 8), received: Time(u64_at(bytes, 16)) };
        Ok((stamp, u32_at(bytes, 24)))
    }
}

/// What a client reads: a stamp and a verified table.
#[derive(Clone, Copy, Debug)]
pub struct Published<'a> {
    /// When it was received.
    pub stamp: Stamp,
    /// The table itself.
    pub table: Table<'a>,
}

impl<'a> Published<'a> {
    /// Checks a published file's bytes as a whole.
    ///
    /// # Errors
    /// The first thing that is wrong, as [`Table::verify`] does.
    pub fn verify(bytes: &'a [u8]) -> Result<Self, Refused> {
        let Some((stamp, body)) = bytes.split_first_chunk::<STAMP_BYTES>() else {
            return Err(Refused::TooShort { found: bytes.len() });
        };
        let (stamp, table_checksum) = Stamp::read(stamp)?;
        let table = Table::verify(body)?;
        if table.checksum() != table_checksum {
            return Err(Refused::StampOfOther);
        }
        Ok(Self { stamp, table })
    }

    /// What the [ladder](crate::rung) judges by.
    #[must_use]
    pub const fn view(&self) -> View {
        View {
            fs_name_hash: self.table.fs().name_hash,
            boot_hash: self.stamp.boot_hash,
            received: self.stamp.received,
            interval: self.table.interval(),
            steady_only: self.table.flags().steady_only,
        }
    }
}

/// The bytes that a daemon publishes: stamp, then table.
///
/// # Errors
/// What is wrong with the table; a daemon never publishes what its clients would refuse.
pub fn publish(stamp: &Stamp, body: &[u8]) -> Result<Vec<u8>, Refused> {
    let table = Table::verify(body)?;
    let mut bytes = Vec::with_capacity(STAMP_BYTES + body.len());
    bytes.extend_from_slice(&stamp.encode(table.checksum()));
    bytes.extend_from_slice(body);
    Ok(bytes)
}

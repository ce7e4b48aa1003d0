//! Carrying a delta out: bounded in time and memory, and never a panic, whatever the bytes are.

use alloc::vec::Vec;

use super::{
    DELTA_CHECKSUM_BYTES, DELTA_FRAME_BYTES, DELTA_HEADER_BYTES, DELTA_MAGIC, DELTA_VERSION, STEP_BITS,
    STEP_INSERT, STEP_KEEP, STEP_MOVE, STEP_REPLACE, STEP_TICKETS, TICKET_BITS_MAX,
};
use crate::format::{BODY_BYTES_MAX, CHECKSUM_BYTES, u16_at, u32_at};
use crate::{Refused, Table};

/// Why a delta leads nowhere. The remedy is always the same: ask for the whole table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeltaRefused {
    /// Shorter than the shortest delta.
    #[error("{found} bytes are too short for a delta")]
    TooShort {
        /// Bytes given.
        found: usize,
    },
    /// Longer than a whole table, which would have been sent instead.
    #[error("{found} bytes of delta are more than the {BODY_BYTES_MAX} of the longest table")]
    TooLong {
        /// Bytes given.
        found: usize,
    },
    /// The first eight bytes are not a delta's.
    #[error("the bytes do not begin as a delta does")]
    Magic,
    /// A version that this reader does not know.
    #[error("delta of format version {found}, this reader knows {DELTA_VERSION}")]
    Version {
        /// Version stated.
        found: u16,
    },
    /// The checksum does not match.
    #[error("checksum {computed:08x} where the delta states {stated:08x}")]
    Checksum {
        /// Stated at the end of the delta.
        stated: u32,
        /// Computed over the rest.
        computed: u32,
    },
    /// A field of the delta's header is outside its range.
    #[error("the delta's header has a width of tickets, a length or a reserved byte outside its range")]
    Header,
    /// It starts from another table than the one given.
    #[error("the delta starts from the table {wanted:08x}, not from {found:08x}")]
    OtherBase {
        /// Checksum of the table that it starts from.
        wanted: u32,
        /// Checksum of the table given.
        found: u32,
    },
    /// A step is damaged, leaves the base, or makes the result longer than stated.
    #[error("the delta's step at byte {at} is damaged or leaves its bounds")]
    Step {
        /// Its first byte, counted from the delta's.
        at: usize,
    },
    /// The result is not as long as the delta states.
    #[error("the delta leads to {found} bytes where it states {stated}")]
    Length {
        /// Bytes stated.
        stated: u32,
        /// Bytes made.
        found: usize,
    },
    /// What came out is not a sound table.
    #[error("the delta does not lead to a table: {0}")]
    Result(#[from] Refused),
}

/// The table that a delta leads to. `base` is the table that the receiver holds and has verified, without
/// its stamp.
///
/// # Errors
/// The first thing that is wrong with the delta, the base, or the result, which is verified as
/// [`Table::verify`] does.
pub fn apply(base: &[u8], delta: &[u8]) -> Result<Vec<u8>, DeltaRefused> {
    let frame = Frame::read(delta)?;
    let found = base.last_chunk().map_or(0, |checksum| u32::from_le_bytes(*checksum));
    if found != frame.base_checksum {
        return Err(DeltaRefused::OtherBase { wanted: frame.base_checksum, found });
    }
    let content_bytes = frame.result_bytes as usize - CHECKSUM_BYTES;
    let mut run = Run {
        base,
        cursor: 0,
        steps: frame.steps,
        at: 0,
        ticket_bits: frame.ticket_bits,
        limit: content_bytes,
        // At most the longest table, which `Frame::read` has checked.
        out: Vec::with_capacity(frame.result_bytes as usize),
    };
    while run.at < run.steps.len() {
        let at = run.at;
        run.step().ok_or(DeltaRefused::Step { at: DELTA_HEADER_BYTES + at })?;
    }
    let mut out = run.out;
    if out.len() != content_bytes {
        return Err(DeltaRefused::Length { stated: frame.result_bytes, found: out.len() + CHECKSUM_BYTES });
    }
    out.extend_from_slice(&frame.result_checksum.to_le_bytes());
    Table::verify(&out)?;
    Ok(out)
}

/// A delta whose checksum and header are right.
struct Frame<'a> {
    ticket_bits: u8,
    base_checksum: u32,
    result_checksum: u32,
    result_bytes: u32,
    steps: &'a [u8],
}

impl<'a> Frame<'a> {
    fn read(delta: &'a [u8]) -> Result<Self, DeltaRefused> {
        let found = delta.len();
        if found > BODY_BYTES_MAX {
            return Err(DeltaRefused::TooLong { found });
        }
        let (Some(header), Some((content, stated))) =
            (delta.first_chunk::<DELTA_HEADER_BYTES>(), delta.split_last_chunk::<DELTA_CHECKSUM_BYTES>())
        else {
            return Err(DeltaRefused::TooShort { found });
        };
        if found < DELTA_FRAME_BYTES {
            return Err(DeltaRefused::TooShort { found });
        }
        if !header.starts_with(&DELTA_MAGIC) {
            return Err(DeltaRefused::Magic);
        }
        let version = u16_at(header, 8);
        if version != DELTA_VERSION {
            return Err(DeltaRefused::Version { found: version });
        }
        let (stated, computed) = (u32::from_le_bytes(*stated), crc32fast::hash(content));
        if stated != computed {
            return Err(DeltaRefused::Checksum { stated, computed });
        }
        let result_bytes = u32_at(header, 20);
        let long_enough = (CHECKSUM_BYTES..=BODY_BYTES_MAX).contains(&(result_bytes as usize));
        if !long_enough || !(1..=TICKET_BITS_MAX).contains(&header[10]) || header[11] != 0 {
            return Err(DeltaRefused::Header);
        }
        Ok(Self {
            ticket_bits: header[10],
            base_checksum: u32_at(header, 12),
            result_checksum: u32_at(header, 16),
            result_bytes,
            steps: content.get(DELTA_HEADER_BYTES..).unwrap_or(&[]),
        })
    }
}

/// What one application of a delta has reached. Every step that yields bytes consumes some of the delta and
/// the result is limited, so the work is too.
struct Run<'a> {
    base: &'a [u8],
    cursor: usize,
    steps: &'a [u8],
    at: usize,
    ticket_bits: u8,
    limit: usize,
    out: Vec<u8>,
}

impl Run<'_> {
    /// The next step; `None` where it is damaged or leaves its bounds.
    fn step(&mut self) -> Option<()> {
        let number = self.number()?;
        let length = number >> STEP_BITS;
        match number & ((1 << STEP_BITS) - 1) {
            STEP_KEEP => {
                let kept = self.base.get(self.cursor..self.cursor.checked_add(length as usize)?)?;
                self.push(kept)?;
                self.advance(length as usize)
            }
            STEP_REPLACE => {
                self.take(length as usize)?;
                self.advance(length as usize)
            }
            STEP_INSERT => self.take(length as usize),
            STEP_MOVE => {
                let distance = i64::from(length >> 1) ^ -i64::from(length & 1);
                let cursor = usize::try_from(self.cursor as i64 + distance).ok()?;
                (cursor <= BODY_BYTES_MAX).then(|| self.cursor = cursor)
            }
            STEP_TICKETS => self.tickets(length as usize),
            _ => None,
        }
    }

    /// A number of seven bits a byte, lowest first; one that could have been shorter or does not fit into
    /// 32 bits is damaged.
    fn number(&mut self) -> Option<u32> {
        let mut value = 0u32;
        for shift in (0..32).step_by(7) {
            let byte = *self.steps.get(self.at)?;
            self.at += 1;
            let part = u32::from(byte & 0x7F);
            let placed = part << shift;
            if placed >> shift != part || (byte == 0 && shift > 0) {
                return None;
            }
            value |= placed;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// Bytes of the delta into the result.
    fn take(&mut self, length: usize) -> Option<()> {
        let steps = self.steps;
        let bytes = steps.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        self.push(bytes)
    }

    fn push(&mut self, bytes: &[u8]) -> Option<()> {
        let fits = !bytes.is_empty() && self.out.len() + bytes.len() <= self.limit;
        fits.then(|| self.out.extend_from_slice(bytes))
    }

    /// The cursor may pass the base's end, as a result may be longer; keeping bytes from there is refused.
    fn advance(&mut self, length: usize) -> Option<()> {
        let cursor = self.cursor + length;
        (cursor <= BODY_BYTES_MAX).then(|| self.cursor = cursor)
    }

    fn tickets(&mut self, count: usize) -> Option<()> {
        let width = u32::from(self.ticket_bits);
        let bytes = count.checked_mul(2)?;
        if count == 0 || self.out.len().checked_add(bytes)? > self.limit {
            return None;
        }
        let packed_bytes = (count * width as usize).div_ceil(8);
        let packed = self.steps.get(self.at..self.at.checked_add(packed_bytes)?)?;
        let (mut held, mut held_bits) = (0u32, 0u32);
        let mut rest = packed.iter();
        for _ in 0..count {
            while held_bits < width {
                held |= u32::from(*rest.next()?) << held_bits;
                held_bits += 8;
            }
            let ticket = (held & ((1 << width) - 1)) as u16;
            self.out.extend_from_slice(&ticket.to_le_bytes());
            held >>= width;
            held_bits -= width;
        }
        self.at += packed_bytes;
        // Bits that stand for nothing are 0, so that a delta can be written in one way only.
        if held != 0 {
            return None;
        }
        self.advance(bytes)
    }
}

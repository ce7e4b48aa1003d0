//! Records to bytes and back. Reading takes any bytes: it never panics and its work is bounded by their length.

use tarazu_layout::limits::STRIPES_MAX;
use tarazu_layout::{JobId, OstIndex, Time, hash};
use tarazu_table::{JobKey, OST_INDEX_MAX, Order, Tier};

use super::{Advice, Body, Created, DAMAGES_MAX, RECORD_BYTES_MAX, Record, SPOOL_BYTES_MAX};
use crate::Why;

const MAGIC: [u8; 4] = *b"TZR1";
const HEADER_BYTES: usize = 44;
const CHECK_BYTES: usize = 4;

const ADVISE: u8 = 1;
const CREATED: u8 = 2;
const LEFT: u8 = 3;
const CLOSED: u8 = 4;
const END: u8 = 5;

/// The bytes of a record; `None` where one of its lists is longer than Lustre allows or names a target that cannot be.
#[must_use]
pub fn encode(record: &Record) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + 64);
    bytes.extend_from_slice(&MAGIC);
    // The length is known at the end only.
    bytes.extend_from_slice(&[0, 0, kind(&record.body), 0]);
    bytes.extend_from_slice(&record.uid.to_le_bytes());
    bytes.extend_from_slice(&record.pid.to_le_bytes());
    bytes.extend_from_slice(&record.at.0.to_le_bytes());
    bytes.extend_from_slice(&record.fs_name_hash.to_le_bytes());
    bytes.extend_from_slice(&record.job.0.to_le_bytes());
    bytes.extend_from_slice(&record.lost.to_le_bytes());
    put_body(&mut bytes, &record.body)?;
    let length = u16::try_from(bytes.len() + CHECK_BYTES).ok()?;
    bytes[4..6].copy_from_slice(&length.to_le_bytes());
    let check = check(&bytes);
    bytes.extend_from_slice(&check.to_le_bytes());
    Some(bytes)
}

const fn kind(body: &Body) -> u8 {
    match body {
        Body::Advise(_) => ADVISE,
        Body::Created(_) => CREATED,
        Body::Left { .. } => LEFT,
        Body::Closed { .. } => CLOSED,
        Body::End => END,
    }
}

fn put_body(bytes: &mut Vec<u8>, body: &Body) -> Option<()> {
    let mut word = |value: u64| bytes.extend_from_slice(&value.to_le_bytes());
    match body {
        Body::Advise(advice) => {
            word(advice.key.0);
            word(advice.expected_bytes);
            word(advice.stripe_size);
            word(u64::from(advice.rank) | u64::from(advice.world) << 32);
            word(u64::from(advice.files_per_process) | u64::from(advice.files_per_burst) << 32);
            bytes.extend_from_slice(&advice.stripe_count.to_le_bytes());
            bytes.push(advice.confidence_percent);
        }
        Body::Created(created) => {
            word(created.key.0);
            word(created.path_hash);
            word(created.order.term);
            word(created.order.seq);
            word(created.expected_bytes);
            bytes.push(u8::from(created.tier == Tier::Steady));
            put_targets(bytes, &created.asked)?;
            put_targets(bytes, &created.got)?;
        }
        Body::Left { key, path_hash, why } => {
            word(key.0);
            word(*path_hash);
            let (code, errno) = why.code();
            bytes.push(code);
            bytes.extend_from_slice(&errno.to_le_bytes());
        }
        Body::Closed { key, osts, expected_bytes, written_bytes } => {
            word(key.0);
            word(*expected_bytes);
            word(*written_bytes);
            put_targets(bytes, osts)?;
        }
        Body::End => {}
    }
    Some(())
}

/// A count, then 16 bits an index: what Lustre prints in four digits.
fn put_targets(bytes: &mut Vec<u8>, osts: &[OstIndex]) -> Option<()> {
    if osts.len() > STRIPES_MAX {
        return None;
    }
    bytes.extend_from_slice(&(osts.len() as u16).to_le_bytes());
    for ost in osts {
        let index = u16::try_from(ost.0).ok().filter(|index| u32::from(*index) <= OST_INDEX_MAX)?;
        bytes.extend_from_slice(&index.to_le_bytes());
    }
    Some(())
}

fn check(bytes: &[u8]) -> u32 {
    hash::bytes(bytes) as u32
}

/// What a spool file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// The records that are whole, in order.
    pub records: Vec<Record>,
    /// Places that are no record: appends that were cut short, or foreign bytes.
    pub damaged: u32,
}

/// Reads a whole file's bytes. Bytes above [`SPOOL_BYTES_MAX`] and one record more are not looked at.
#[must_use]
pub fn decode(bytes: &[u8]) -> Decoded {
    let mut records = Records::new(bytes);
    let read = records.by_ref().collect();
    Decoded { records: read, damaged: records.damaged() }
}

/// The records in some bytes, one after the other. Damaged places are stepped over, up to [`DAMAGES_MAX`] of them.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
    damaged: u32,
}

impl<'a> Records<'a> {
    /// Begins at the front.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        let longest = SPOOL_BYTES_MAX + RECORD_BYTES_MAX;
        Self { rest: &bytes[..bytes.len().min(longest)], damaged: 0 }
    }

    /// Damaged places stepped over so far.
    #[must_use]
    pub const fn damaged(&self) -> u32 {
        self.damaged
    }

    /// Steps to the next place that begins as a record does.
    fn step_over(&mut self) {
        self.damaged += 1;
        let next = self.rest.windows(MAGIC.len()).skip(1).position(|window| window == MAGIC);
        self.rest = match next {
            Some(at) if (self.damaged as usize) < DAMAGES_MAX => &self.rest[at + 1..],
            _ => &[],
        };
    }
}

impl Iterator for Records<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        while !self.rest.is_empty() {
            if let Some((record, length)) = read(self.rest) {
                self.rest = &self.rest[length..];
                return Some(record);
            }
            self.step_over();
        }
        None
    }
}

/// The record at the front and its length; `None` where there is none.
fn read(bytes: &[u8]) -> Option<(Record, usize)> {
    let mut header = Fields(bytes.get(..HEADER_BYTES)?);
    if header.take::<4>()? != MAGIC {
        return None;
    }
    let length = usize::from(header.u16()?);
    let (kind, zero) = (header.u8()?, header.u8()?);
    let whole = bytes.get(..length)?;
    let (content, stated) = whole.split_last_chunk::<CHECK_BYTES>()?;
    if zero != 0 || length > RECORD_BYTES_MAX || check(content) != u32::from_le_bytes(*stated) {
        return None;
    }
    let mut body = Fields(content.get(HEADER_BYTES..)?);
    let record = Record {
        uid: header.u32()?,
        pid: header.u32()?,
        at: Time(header.u64()?),
        fs_name_hash: header.u64()?,
        job: JobId(header.u64()?),
        lost: header.u32()?,
        body: body.body(kind)?,
    };
    // Bytes that no field claims would be another format.
    body.0.is_empty().then_some((record, length))
}

/// Bytes that are taken from the front.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn targets(&mut self) -> Option<Vec<OstIndex>> {
        let count = usize::from(self.u16()?);
        // The bytes must be there before room is made for them.
        if count > STRIPES_MAX || self.0.len() < 2 * count {
            return None;
        }
        (0..count)
            .map(|_| self.u16().map(u32::from).filter(|index| *index <= OST_INDEX_MAX).map(OstIndex))
            .collect()
    }

    fn body(&mut self, kind: u8) -> Option<Body> {
        Some(match kind {
            ADVISE => Body::Advise(Advice {
                key: JobKey(self.u64()?),
                expected_bytes: self.u64()?,
                stripe_size: self.u64()?,
                rank: self.u32()?,
                world: self.u32()?,
                files_per_process: self.u32()?,
                files_per_burst: self.u32()?,
                stripe_count: self.u16()?,
                confidence_percent: self.u8().filter(|percent| *percent <= 100)?,
            }),
            CREATED => Body::Created(Created {
                key: JobKey(self.u64()?),
                path_hash: self.u64()?,
                order: Order { term: self.u64()?, seq: self.u64()? },
                expected_bytes: self.u64()?,
                tier: match self.u8()? {
                    0 => Tier::Now,
                    1 => Tier::Steady,
                    _ => return None,
                },
                asked: self.targets()?,
                got: self.targets()?,
            }),
            LEFT => Body::Left {
                key: JobKey(self.u64()?),
                path_hash: self.u64()?,
                why: Why::from_code(self.u8()?, self.u16()?),
            },
            CLOSED => Body::Closed {
                key: JobKey(self.u64()?),
                expected_bytes: self.u64()?,
                written_bytes: self.u64()?,
                osts: self.targets()?,
            },
            END => Body::End,
            _ => return None,
        })
    }
}

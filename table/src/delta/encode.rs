//! Writing a delta: sections are aligned with each other, rings by their seeds, jobs by their keys.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::ops::Range;

use super::align::{Index, Piece, UNIT};
use super::{
    DELTA_MAGIC, DELTA_VERSION, STEP_BITS, STEP_INSERT, STEP_KEEP, STEP_MOVE, STEP_REPLACE, STEP_TICKETS,
};
use crate::format::{
    CHECKSUM_BYTES, CLASS_BYTES, HEADER_BYTES, Header, JOB_BYTES, RING_BYTES, TARGET_BYTES, TICKET_BYTES,
    u32_at, u64_at,
};

/// Equal bytes between two changed ones that are not worth a step of their own: two steps take two bytes.
const GAP_BYTES: usize = 3;

/// Writes what turns the table `base` into the table `new`, both verified and without stamps. Allocates a few
/// times the tables' length.
///
/// What it returns may be longer than `new`, where nothing is equal: the sender compares.
#[must_use]
pub fn encode(base: &[u8], new: &[u8]) -> Vec<u8> {
    let mut steps = Steps::default();
    let base_parts = Parts::of(base).unwrap_or_default();
    let parts = Parts::of(new);
    let ticket_bits = parts.as_ref().map_or(super::TICKET_BITS_MAX, Parts::ticket_bits);
    let content = new.get(..new.len().saturating_sub(CHECKSUM_BYTES)).unwrap_or(&[]);
    match &parts {
        Some(parts) => sections(&mut steps, (base, &base_parts), (new, parts), ticket_bits),
        // Not a table: its receiver will say so.
        None => steps.push(STEP_INSERT, content),
    }
    let checksum_of = |table: &[u8]| table.last_chunk().map_or([0; CHECKSUM_BYTES], |bytes| *bytes);
    let mut delta = Vec::with_capacity(steps.bytes.len() + super::DELTA_FRAME_BYTES);
    delta.extend_from_slice(&DELTA_MAGIC);
    delta.extend_from_slice(&DELTA_VERSION.to_le_bytes());
    delta.extend_from_slice(&[ticket_bits, 0]);
    delta.extend_from_slice(&checksum_of(base));
    delta.extend_from_slice(&checksum_of(new));
    delta.extend_from_slice(&(new.len() as u32).to_le_bytes());
    delta.extend_from_slice(&steps.finished());
    let checksum = crc32fast::hash(&delta);
    delta.extend_from_slice(&checksum.to_le_bytes());
    delta
}

fn sections(steps: &mut Steps, (base, old): (&[u8], &Parts), (new, parts): (&[u8], &Parts), bits: u8) {
    let cut = |range: &Range<usize>| new.get(range.clone()).unwrap_or(&[]);
    let cut_base = |range: &Range<usize>| base.get(range.clone()).unwrap_or(&[]);
    steps.changed((cut_base(&old.header), old.header.start), cut(&parts.header));
    let targets = cut_base(&old.targets);
    for piece in located(Index::new(targets).pieces(cut(&parts.targets), 0), cut(&parts.targets)) {
        steps.piece(piece, old.targets.start, STEP_REPLACE, <[u8]>::to_vec);
    }
    for (old, new) in [(&old.classes, &parts.classes), (&old.rings, &parts.rings)] {
        steps.changed((cut_base(old), old.start), cut(new));
    }
    let tickets = cut_base(&old.tickets);
    let index = Index::new(tickets);
    let rings = cut(&parts.rings).as_chunks::<RING_BYTES>().0;
    let old_rings = cut_base(&old.rings).as_chunks::<RING_BYTES>().0;
    for (number, ring) in rings.iter().enumerate() {
        let same_seed = |old: &&[u8; RING_BYTES]| u64_at(old, 8) == u64_at(ring, 8);
        let twin = old_rings.get(number).filter(same_seed).or_else(|| old_rings.iter().find(same_seed));
        let begin = twin.map_or(0, |old| u32_at(old, 0) as usize);
        let (first, length) = (u32_at(ring, 0) as usize, u32_at(ring, 4) as usize);
        let own = cut(&parts.tickets).get(first * UNIT..(first + length) * UNIT).unwrap_or(&[]);
        for piece in located(index.pieces(own, begin), own) {
            steps.piece(piece, old.tickets.start, STEP_TICKETS, |bytes| packed(bytes, bits));
        }
    }
    jobs(steps, (cut_base(&old.jobs), old.jobs.start), cut(&parts.jobs));
}

/// Jobs stand in rising order of key in both tables, so they are walked together.
fn jobs(steps: &mut Steps, (base, base_start): (&[u8], usize), new: &[u8]) {
    let mut olds = base.as_chunks::<JOB_BYTES>().0.iter().enumerate().peekable();
    for entry in new.as_chunks::<JOB_BYTES>().0 {
        let key = u64_at(entry, 0);
        while olds.next_if(|(_, old)| u64_at(old, 0) < key).is_some() {}
        match olds.next_if(|(_, old)| u64_at(old, 0).cmp(&key) == Ordering::Equal) {
            Some((place, old)) => steps.changed((old, base_start + place * JOB_BYTES), entry),
            None => steps.push(STEP_INSERT, entry),
        }
    }
}

/// The pieces of a row, each with its own bytes.
fn located(pieces: Vec<Piece>, row: &[u8]) -> impl Iterator<Item = (Piece, &[u8])> {
    let mut at = 0;
    pieces.into_iter().map(move |piece| {
        let (Piece::Equal { length, .. } | Piece::Fresh { length }) = piece;
        let bytes = row.get(at..at + length * UNIT).unwrap_or(&[]);
        at += length * UNIT;
        (piece, bytes)
    })
}

/// Tickets in so many bits each, lowest bits first.
fn packed(tickets: &[u8], bits: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(tickets.len());
    let (mut held, mut held_bits) = (0u32, 0u32);
    for ticket in tickets.as_chunks::<TICKET_BYTES>().0 {
        held |= u32::from(u16::from_le_bytes(*ticket)) << held_bits;
        held_bits += u32::from(bits);
        while held_bits >= 8 {
            out.push(held as u8);
            held >>= 8;
            held_bits -= 8;
        }
    }
    if held_bits > 0 {
        out.push(held as u8);
    }
    out
}

/// Where the sections of a table lie.
#[derive(Default)]
struct Parts {
    header: Range<usize>,
    targets: Range<usize>,
    classes: Range<usize>,
    rings: Range<usize>,
    tickets: Range<usize>,
    jobs: Range<usize>,
    target_count: u32,
}

impl Parts {
    /// `None` where the counts do not fit the bytes.
    fn of(table: &[u8]) -> Option<Self> {
        let header = Header::read(table.first_chunk::<HEADER_BYTES>()?);
        if header.wanted_bytes() != table.len() as u64 {
            return None;
        }
        let mut at = HEADER_BYTES;
        let mut next = |count: u32, bytes: usize| {
            let start = at;
            at += count as usize * bytes;
            start..at
        };
        Some(Self {
            header: 0..HEADER_BYTES,
            targets: next(header.targets, TARGET_BYTES),
            classes: next(u32::from(header.classes), CLASS_BYTES),
            rings: next(u32::from(header.rings), RING_BYTES),
            tickets: next(header.tickets, TICKET_BYTES),
            jobs: next(header.jobs, JOB_BYTES),
            target_count: header.targets,
        })
    }

    /// Bits that hold every target number of the table.
    fn ticket_bits(&self) -> u8 {
        (u32::BITS - self.target_count.saturating_sub(1).leading_zeros()).clamp(1, 16) as u8
    }
}

/// Steps being written. Neighbours of the same kind become one.
#[derive(Default)]
struct Steps {
    bytes: Vec<u8>,
    /// Where the base's cursor stands behind what is written and what waits.
    cursor: usize,
    /// The step that may still grow: its kind, and its length so far or its bytes.
    kind: u32,
    kept: usize,
    waiting: Vec<u8>,
}

impl Steps {
    /// `new` in the place of equally placed bytes of the base: equal runs are kept, the rest is replaced.
    fn changed(&mut self, (base, base_start): (&[u8], usize), new: &[u8]) {
        let mut at = 0;
        let equal_at = |at: usize| at < new.len() && base.get(at) == new.get(at);
        while at < new.len() {
            let start = at;
            if equal_at(at) {
                while equal_at(at) {
                    at += 1;
                }
                self.keep(base_start + start, at - start);
                continue;
            }
            // A changed run goes on over gaps that are not worth a step.
            let mut equal = 0;
            while at < new.len() && equal < GAP_BYTES {
                equal = if equal_at(at) { equal + 1 } else { 0 };
                at += 1;
            }
            at -= equal;
            self.go(base_start + start);
            self.push(STEP_REPLACE, &new[start..at]);
        }
    }

    /// One piece of a row whose units begin at `row_start` of the base.
    fn piece(
        &mut self,
        (piece, bytes): (Piece, &[u8]),
        row_start: usize,
        fresh: u32,
        write: impl Fn(&[u8]) -> Vec<u8>,
    ) {
        match piece {
            Piece::Equal { base, length } => self.keep(row_start + base * UNIT, length * UNIT),
            Piece::Fresh { length } if fresh == STEP_TICKETS => {
                self.flush();
                self.number(STEP_TICKETS, length);
                self.bytes.extend_from_slice(&write(bytes));
                self.cursor += length * UNIT;
            }
            Piece::Fresh { .. } => self.push(fresh, &write(bytes)),
        }
    }

    fn keep(&mut self, from: usize, length: usize) {
        self.go(from);
        if self.kind != STEP_KEEP {
            self.flush();
        }
        self.kind = STEP_KEEP;
        self.kept += length;
        self.cursor += length;
    }

    fn push(&mut self, kind: u32, bytes: &[u8]) {
        if self.kind != kind {
            self.flush();
        }
        self.kind = kind;
        self.waiting.extend_from_slice(bytes);
        if kind == STEP_REPLACE {
            self.cursor += bytes.len();
        }
    }

    /// Moves the cursor where it does not stand there already.
    fn go(&mut self, to: usize) {
        if self.cursor == to {
            return;
        }
        self.flush();
        let distance = to as i64 - self.cursor as i64;
        let zigzag = (distance << 1) ^ (distance >> 63);
        self.number(STEP_MOVE, zigzag as usize);
        self.cursor = to;
    }

    fn flush(&mut self) {
        if self.kept > 0 {
            self.number(STEP_KEEP, self.kept);
            self.kept = 0;
        }
        if !self.waiting.is_empty() {
            self.number(self.kind, self.waiting.len());
            let mut waiting = core::mem::take(&mut self.waiting);
            self.bytes.append(&mut waiting);
        }
    }

    /// The number that begins a step: seven bits a byte, lowest first. Lengths stay below 2^18.
    fn number(&mut self, kind: u32, length: usize) {
        let mut value = (length as u32) << STEP_BITS | kind;
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    fn finished(mut self) -> Vec<u8> {
        self.flush();
        self.bytes
    }
}

//! Finding what is equal between two rows of two-byte units: tickets of rings, and OST indices.

use alloc::vec;
use alloc::vec::Vec;

use tarazu_layout::hash;

/// Bytes of a unit.
pub(super) const UNIT: usize = 2;

/// Units that must be equal before going elsewhere in the base pays: a move, a copy and a new row of
/// packed tickets take about six bytes, which is five tickets of eleven bits.
const RUN_MIN: usize = 6;

/// Units that must be equal where the cursor already stands: only the copy and a new row to pay for.
const RUN_HERE_MIN: usize = 4;

/// Places that are tried for one row: enough to find a longer one, few enough for a ring that repeats
/// itself hundreds of times.
const TRIES_MAX: usize = 16;

/// Bits of the table of places.
const SLOT_BITS: u32 = 14;

/// One piece of the new row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// So many units as in the base from that unit on.
    Equal { base: usize, length: usize },
    /// So many units that are new.
    Fresh { length: usize },
}

/// Where rows of [`RUN_MIN`] units begin in the base, by their hash.
pub(super) struct Index<'a> {
    base: &'a [u8],
    /// The newest place + 1 of each slot, 0 for none.
    heads: Vec<u32>,
    /// For each place the one before it in the same slot + 1.
    before: Vec<u32>,
}

impl<'a> Index<'a> {
    pub(super) fn new(base: &'a [u8]) -> Self {
        let units = base.len() / UNIT;
        let mut index = Self { base, heads: vec![0; 1 << SLOT_BITS], before: vec![0; units] };
        // Backwards, so that the earliest place is tried first.
        for place in (0..(units + 1).saturating_sub(RUN_MIN)).rev() {
            if let Some(slot) = slot(base, place) {
                index.before[place] = index.heads[slot];
                index.heads[slot] = place as u32 + 1;
            }
        }
        index
    }

    /// Cuts `new` into pieces. `begin` is the unit of the base at which it is expected to be equal.
    pub(super) fn pieces(&self, new: &[u8], begin: usize) -> Vec<Piece> {
        let units = new.len() / UNIT;
        let mut pieces = Vec::new();
        let (mut at, mut fresh, mut cursor) = (0, 0, begin);
        while at < units {
            match self.best(new, at, cursor) {
                Some((base, length)) => {
                    if fresh > 0 {
                        pieces.push(Piece::Fresh { length: fresh });
                    }
                    pieces.push(Piece::Equal { base, length });
                    (at, fresh, cursor) = (at + length, 0, base + length);
                }
                None => (at, fresh, cursor) = (at + 1, fresh + 1, cursor + 1),
            }
        }
        if fresh > 0 {
            pieces.push(Piece::Fresh { length: fresh });
        }
        pieces
    }

    fn best(&self, new: &[u8], at: usize, cursor: usize) -> Option<(usize, usize)> {
        let here = self.run(new, at, cursor);
        let mut best = (here >= RUN_HERE_MIN).then_some((cursor, here));
        let mut next = slot(new, at).map_or(0, |slot| self.heads[slot]);
        for _ in 0..TRIES_MAX {
            let Some(place) = (next as usize).checked_sub(1) else { break };
            let length = self.run(new, at, place);
            // Going elsewhere costs a move, so a row there must be longer by more than that.
            let bar = best.map_or(RUN_MIN, |(_, length)| length + RUN_HERE_MIN);
            if length >= bar {
                best = Some((place, length));
            }
            next = self.before[place];
        }
        best
    }

    /// Equal units from these places on.
    fn run(&self, new: &[u8], at: usize, place: usize) -> usize {
        let new = new.get(at * UNIT..).unwrap_or(&[]);
        let base = self.base.get(place * UNIT..).unwrap_or(&[]);
        let equal = new.chunks_exact(UNIT).zip(base.chunks_exact(UNIT)).take_while(|(new, base)| new == base);
        equal.count()
    }
}

fn slot(row: &[u8], place: usize) -> Option<usize> {
    let bytes: &[u8; RUN_MIN * UNIT] = row.get(place * UNIT..)?.first_chunk()?;
    let (low, high) = bytes.split_first_chunk::<8>()?;
    let high = high.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    Some((hash::combine(u64::from_le_bytes(*low), high) >> (u64::BITS - SLOT_BITS)) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(units: &[u16]) -> Vec<u8> {
        units.iter().flat_map(|unit| unit.to_le_bytes()).collect()
    }

    #[test]
    fn equal_rows_are_found_wherever_they_moved() {
        let base: Vec<u16> = (0..40).collect();
        let moved: Vec<u16> = (20..40).chain(0..20).collect();
        let (base, moved) = (row(&base), row(&moved));
        let pieces = Index::new(&base).pieces(&moved, 0);
        assert_eq!(pieces, [Piece::Equal { base: 20, length: 20 }, Piece::Equal { base: 0, length: 20 }]);
        assert_eq!(Index::new(&base).pieces(&base, 0), [Piece::Equal { base: 0, length: 40 }]);
        assert_eq!(Index::new(&[]).pieces(&base, 0), [Piece::Fresh { length: 40 }]);
        assert_eq!(Index::new(&base).pieces(&[], 0), []);
    }

    #[test]
    fn a_changed_unit_is_one_fresh_piece() {
        let base: Vec<u16> = (0..40).collect();
        let mut new = base.clone();
        new[10] = 99;
        let (base, new) = (row(&base), row(&new));
        let pieces = Index::new(&base).pieces(&new, 0);
        assert_eq!(
            pieces,
            [
                Piece::Equal { base: 0, length: 10 },
                Piece::Fresh { length: 1 },
                Piece::Equal { base: 11, length: 29 }
            ]
        );
    }
}

//! A ring of tickets as it lies in a verified table, and the walk around it.
//!
//! # The walk
//!
//! Files take *positions*, numbers without end; the ring is finite. `position mod length` alone would
//! be a trap: if a job creates one file per node, neighbouring files are `ranks per node × stripes`
//! positions apart, and with a stride that shares a factor with the ring's length they would all meet
//! on the same few targets. So the row of files that all ranks create together is cut into *passes* of
//! `lcm(round, stripes)` positions, a round being as many tickets as there are targets, and each pass
//! but the first is rotated: by the fraction `pass × (√2 − 1) mod 1` of a round. √2 − 1 is badly
//! approximated by every fraction, so passes that stand in any regular relation to each other still
//! spread over all targets.
//!
//! That costs nothing where all ranks create their files: with equal weights a pass gives every target
//! the same number of tickets, what is left over after the last pass of one row is followed by that of
//! the next row without a gap, and a row shorter than a pass is not moved at all. So no target gets
//! more than the perfect share, rounded up.

use tarazu_layout::TargetId;
use tarazu_layout::limits::TARGETS_MAX;

use crate::Position;

/// √2 − 1 as a fraction of 2^64.
const SHIFT: u64 = 0x6A09_E667_F3BC_C908;

/// One ring of a verified table.
#[derive(Clone, Copy, Debug)]
pub struct RingView<'a> {
    pub(crate) tickets: &'a [[u8; 2]],
    pub(crate) distinct: u16,
    pub(crate) targets: u16,
    pub(crate) seed: u64,
}

impl<'a> RingView<'a> {
    /// Its tickets in order.
    pub fn tickets(&self) -> impl ExactSizeIterator<Item = TargetId> + use<'a> {
        self.tickets.iter().map(|bytes| target(*bytes))
    }

    /// Number of tickets, at least 1.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.tickets.len()
    }

    /// Whether it has no ticket; never so in a verified table.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.tickets.is_empty()
    }

    /// Consecutive tickets that are distinct, the last and the first counting as neighbours.
    #[must_use]
    pub const fn distinct(&self) -> usize {
        self.distinct as usize
    }

    /// Different targets on it.
    #[must_use]
    pub const fn targets(&self) -> usize {
        self.targets as usize
    }

    /// What tells this ring from others when a job's place on it is chosen.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// Takes consecutive tickets for one file, all distinct: `stripes` of them, or fewer where `out`
    /// or the ring's number of targets is smaller. Returns how many; their targets are the first of
    /// `out`, in stripe order. Files follow each other every `step` tickets: as many as hold data, so
    /// that what a file leaves empty is the next one's.
    ///
    /// Up to [`RingView::distinct`] stripes it copies a piece of the ring. Beyond, it walks on and
    /// skips targets that it already has, at most once around.
    pub fn pick(&self, position: Position, step: usize, stripes: usize, out: &mut [TargetId]) -> usize {
        let wanted = stripes.min(out.len()).min(self.targets());
        let start = self.start(position, step.min(wanted));
        let (before, after) = self.tickets.split_at_checked(start).unwrap_or((&[], self.tickets));
        let walk = after.iter().chain(before).map(|bytes| target(*bytes));
        if wanted <= self.distinct() {
            for (slot, ticket) in out.iter_mut().take(wanted).zip(walk) {
                *slot = ticket;
            }
            return wanted;
        }
        let mut seen = TargetSet::default();
        let fresh = walk.filter(|ticket| seen.insert(*ticket));
        let mut taken = 0;
        for (slot, ticket) in out.iter_mut().take(wanted).zip(fresh) {
            *slot = ticket;
            taken += 1;
        }
        taken
    }

    /// The place on the ring where a file at `position` begins, in rows of `step` tickets a file.
    fn start(&self, position: Position, step: usize) -> usize {
        let begin = position.begin.wrapping_add(walked(self.len(), self.targets(), step, position.within));
        // A verified ring has at least one ticket.
        (begin % self.tickets.len().max(1) as u64) as usize
    }
}

/// How far from its row's begin a file lies on a ring of `length` tickets of `targets` targets, `within`
/// positions behind the first rank's, where each file takes `step` tickets.
#[must_use]
pub fn walked(length: usize, targets: usize, step: usize, within: u64) -> u64 {
    // At most 16,384 targets and 2^16 tickets, so no product below leaves 32 bits.
    let (length, targets, step) = (length as u32, targets as u32, step as u32);
    if targets == 0 || step == 0 || length < targets {
        return 0;
    }
    let rounds = length / targets;
    let round = if length.is_multiple_of(rounds) { length / rounds } else { targets };
    let pass = round / common_divisor(round, step) * step;
    let number = within / u64::from(pass);
    // Rotated within its pass, by whole files: the pass has the same tickets as before.
    let shift = fraction(number, round.div_ceil(step)) * step;
    let inside = wrapped((within % u64::from(pass)) as u32 + shift, pass);
    number.wrapping_mul(u64::from(pass)).wrapping_add(u64::from(inside))
}

/// `number × (√2 − 1) mod 1` of `whole`, rounded down.
fn fraction(number: u64, whole: u32) -> u32 {
    let part = u128::from(number.wrapping_mul(SHIFT)) * u128::from(whole);
    // The high half of the product, below `whole`.
    (part >> 64) as u32
}

/// `value mod length` for values below twice the length.
const fn wrapped(value: u32, length: u32) -> u32 {
    if value >= length { value - length } else { value }
}

/// The greatest common divisor; of 0 and x it is x, of 0 and 0 it is 1 to be safe to divide by.
const fn common_divisor(a: u32, b: u32) -> u32 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    if a == 0 { 1 } else { a }
}

fn target(bytes: [u8; 2]) -> TargetId {
    TargetId(u32::from(u16::from_le_bytes(bytes)))
}

/// A set of targets in 2 KiB of stack, so that reading needs no allocation.
pub(crate) struct TargetSet {
    words: [u64; TARGETS_MAX / 64],
}

impl Default for TargetSet {
    fn default() -> Self {
        Self { words: [0; TARGETS_MAX / 64] }
    }
}

impl TargetSet {
    /// Adds a target; false where it was already there or is beyond every table.
    pub(crate) fn insert(&mut self, target: TargetId) -> bool {
        let bit = 1u64 << (target.0 % 64);
        let Some(word) = self.words.get_mut(target.index() / 64) else {
            return false;
        };
        let fresh = *word & bit == 0;
        *word |= bit;
        fresh
    }

    pub(crate) fn remove(&mut self, target: TargetId) {
        if let Some(word) = self.words.get_mut(target.index() / 64) {
            *word &= !(1u64 << (target.0 % 64));
        }
    }

    pub(crate) fn len(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divisors_are_safe_at_the_edges() {
        assert_eq!(common_divisor(0, 0), 1);
        assert_eq!(common_divisor(2016, 64), 32);
        assert_eq!(common_divisor(35, 4), 1);
    }

    #[test]
    fn the_shift_is_the_root_of_two_less_one() {
        let value = SHIFT as f64 / 18_446_744_073_709_551_616.0;
        assert!(((value + 1.0) * (value + 1.0) - 2.0).abs() < 1e-12);
    }
}

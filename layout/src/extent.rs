//! Which stripe holds which bytes of a file: the arithmetic of RAID-0 striping.

/// A range of a file in bytes; `end` is exclusive, `None` is the end of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Extent {
    /// First byte.
    pub start: u64,
    /// First byte behind the range, `None` without end.
    pub end: Option<u64>,
}

impl Extent {
    /// The whole file.
    pub const ALL: Self = Self { start: 0, end: None };

    /// The part of `[start, end)` inside this extent, as `(start, end)`; `None` where they do not meet.
    #[must_use]
    pub fn clip(self, start: u64, end: u64) -> Option<(u64, u64)> {
        let from = start.max(self.start);
        let to = end.min(self.end.unwrap_or(u64::MAX));
        (from < to).then_some((from, to))
    }

    /// Whether `offset` lies inside.
    #[must_use]
    pub fn contains(self, offset: u64) -> bool {
        offset >= self.start && self.end.is_none_or(|end| offset < end)
    }
}

/// Bytes of a range that lie on one stripe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StripeBytes {
    /// Stripe number within the component, `0..stripe_count`.
    pub stripe: u32,
    /// Bytes of the range on it, above 0.
    pub bytes: u64,
}

/// Splits the range `[start, end)` of a file over `stripe_count` stripes of `stripe_size` bytes, in
/// order of the stripe number, stripes without bytes left out.
///
/// As in Lustre the stripe of a byte follows from its absolute file offset, also inside a later
/// component: `(offset / stripe_size) mod stripe_count`. A stripe count or size of 0 gives nothing.
pub fn stripe_bytes(
    start: u64,
    end: u64,
    stripe_size: u64,
    stripe_count: u32,
) -> impl Iterator<Item = StripeBytes> {
    let usable = stripe_size > 0 && start < end;
    let stripes = if usable { stripe_count } else { 0 };
    // A short range touches few stripes of a wide file: begin at its first stripe, visit only those.
    let first_unit = if usable { start / stripe_size } else { 0 };
    let units = if usable { (end - 1) / stripe_size - first_unit + 1 } else { 0 };
    let touched = u64::from(stripes).min(units) as u32;
    let first = if stripes == 0 { 0 } else { (first_unit % u64::from(stripes)) as u32 };
    // Touched stripes wrap around; yield the wrapped ones first to keep the order of stripe numbers.
    // In 64 bits: two counts may be more than 32 bits hold. At most `stripes`, so it fits again.
    let wrapped = (u64::from(first) + u64::from(touched)).saturating_sub(u64::from(stripes)) as u32;
    (0..wrapped).chain(first..first + (touched - wrapped)).filter_map(move |stripe| {
        let below = |x: u64| bytes_below(x, stripe_size, stripes, stripe);
        let bytes = below(end) - below(start);
        (bytes > 0).then_some(StripeBytes { stripe, bytes })
    })
}

/// Bytes of `[0, x)` on one stripe.
fn bytes_below(x: u64, stripe_size: u64, stripe_count: u32, stripe: u32) -> u64 {
    // In 128 bits, since width and stripe start may pass 64 bits for hostile sizes.
    let (x, size) = (u128::from(x), u128::from(stripe_size));
    let width = size * u128::from(stripe_count);
    let rest = (x % width).saturating_sub(size * u128::from(stripe)).min(size);
    // At most x, so it fits.
    (x / width * size + rest) as u64
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    /// The obvious twin: walk byte by byte.
    fn twin(start: u64, end: u64, size: u64, count: u32) -> Vec<StripeBytes> {
        let mut sums = vec![0u64; count as usize];
        for offset in start..end {
            sums[((offset / size) % u64::from(count)) as usize] += 1;
        }
        let rows = sums.iter().enumerate().filter(|(_, bytes)| **bytes > 0);
        rows.map(|(stripe, bytes)| StripeBytes { stripe: stripe as u32, bytes: *bytes }).collect()
    }

    proptest! {
        #[test]
        fn agrees_with_walking(start in 0u64..500, len in 0u64..500, size in 1u64..40, count in 1u32..12) {
            let fast: Vec<_> = stripe_bytes(start, start + len, size, count).collect();
            prop_assert_eq!(fast, twin(start, start + len, size, count));
        }

        #[test]
        fn nothing_is_lost_at_any_size(
            start in any::<u64>(), end in any::<u64>(), size in 1u64.., count in 1u32..2000,
        ) {
            let total: u64 = stripe_bytes(start, end, size, count).map(|part| part.bytes).sum();
            prop_assert_eq!(total, end.saturating_sub(start));
        }
    }

    #[test]
    fn hostile_stripe_counts_do_not_overflow() {
        let end = u64::from(u32::MAX) + 5;
        let total: u64 = stripe_bytes(end - 10, end, 1, u32::MAX).map(|part| part.bytes).sum();
        assert_eq!(total, 10);
    }

    #[test]
    fn degenerate_shapes_give_nothing() {
        assert_eq!(stripe_bytes(0, 10, 0, 4).count(), 0);
        assert_eq!(stripe_bytes(0, 10, 4, 0).count(), 0);
        assert_eq!(stripe_bytes(10, 10, 4, 2).count(), 0);
    }
}

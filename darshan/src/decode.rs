//! Drives the decoding of a region: record after record, and back to the last sure one where a stream is damaged.

use super::error::Fault;
use super::inflate::{Packed, Plain};

/// How much of each of a module's lists was filled.
pub(crate) type Mark = [usize; 3];

/// Bytes that a list may double up to. Beyond that it grows by an eighth, so that memory stays close to what
/// is used; a list below it is a small constant beside the program itself.
const DOUBLING_BYTES: usize = 1 << 20;

/// Records of one kind, filled from plain bytes.
pub(crate) trait Decode {
    /// Reads what begins at the current place: one record, or as many as are at hand. An error says what is
    /// wrong with the record, which may have been kept in part.
    fn next(&mut self, plain: &mut Plain<'_, '_>) -> Result<(), &'static str>;

    /// The state to return to.
    fn mark(&self) -> Mark;

    /// Forgets what came behind a mark.
    fn cut(&mut self, mark: Mark);

    /// Records so far.
    fn records(&self) -> usize;
}

/// Fills `records` from a region; what is wrong with it comes back. Kept are whole records of whole streams.
pub(crate) fn decode(plain: &mut Plain<'_, '_>, region: Packed, records: &mut impl Decode) -> Vec<Fault> {
    let mut faults = Vec::new();
    // The newest mark at or before the sure bytes, and the newest of all with its place.
    let mut sure = records.mark();
    let (mut last, mut at) = (sure, 0);
    let mut broken = None;
    while !plain.fill(1).is_empty() {
        (last, at) = (records.mark(), plain.at());
        if at <= plain.sure() {
            sure = last;
        }
        if let Err(what) = records.next(plain) {
            broken = Some((what, plain.at()));
            break;
        }
        if at <= plain.sure() {
            sure = last;
        }
    }
    if let Some((what, reached)) = broken {
        // A damaged stream breaks records: one is itself to blame only where its bytes are there and sure.
        let starved = plain.starved();
        plain.drain();
        let stream = plain.take_fault();
        records.cut(if at <= plain.sure() { last } else { sure });
        if stream.is_none() || (!starved && reached <= plain.sure()) {
            let Packed { module, offset, length, .. } = region;
            faults.push(Fault::Record { module, offset, length, at, what, kept: records.records() });
        }
        faults.extend(stream);
        return faults;
    }
    if let Some(fault) = plain.take_fault() {
        if plain.at() > plain.sure() {
            records.cut(if at <= plain.sure() { last } else { sure });
        }
        faults.push(fault);
    }
    faults
}

/// Makes room for `more` items without ever holding far more than is used.
pub(crate) fn grow<T>(list: &mut Vec<T>, more: usize) {
    if list.capacity() - list.len() >= more {
        return;
    }
    let bytes = list.len().saturating_mul(size_of::<T>());
    let step = if bytes < DOUBLING_BYTES { list.len() } else { list.len() / 8 };
    list.reserve_exact(more.max(step));
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::write::ZlibEncoder;
    use proptest::prelude::*;

    use super::super::cursor::ByteOrder;
    use super::super::dxt::Dxt;
    use super::super::header::{Compression, Module, Region};
    use super::super::inflate::{REGION_BYTES_MAX, Scratch};
    use super::super::source::Source;
    use super::*;

    /// Records of so many writes and reads, and where each ends.
    fn records(counts: &[(u8, u8)]) -> (Vec<u8>, Vec<usize>) {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for (rank, (writes, reads)) in counts.iter().enumerate() {
            let mut words = |words: &[u64]| bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
            words(&[7, rank as u64, 0, 0x61, 0, 0, 0, 0, 0, 0, 0, u64::from(*writes), u64::from(*reads)]);
            for segment in 0..u64::from(*writes) + u64::from(*reads) {
                words(&[segment, 1, 0, 0]);
            }
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    fn read(file: &[u8]) -> (Dxt, Vec<Fault>) {
        let (module, length, compression) = (Module::DxtPosix, file.len() as u64, Compression::Zlib);
        let packed = Packed { module, offset: 0, length, compression };
        let region = Region { module, id: 10, offset: 0, length, version: 1, partial: false };
        let (mut source, mut scratch) = (Source::Borrowed(file), Scratch::default());
        let mut plain = Plain::new(&mut source, &mut scratch, packed, REGION_BYTES_MAX);
        Dxt::read(&mut plain, packed, ByteOrder::Little, &region).unwrap()
    }

    proptest! {
        #[test]
        fn streams_may_be_split_anywhere_and_be_damaged(
            counts in proptest::collection::vec((0u8..9, 0u8..9), 1..12),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
            broken in any::<Option<prop::sample::Index>>(),
        ) {
            let (bytes, ends) = records(&counts);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut streams: Vec<Vec<u8>> = Vec::new();
            for pair in cuts.windows(2) {
                let mut encoder = ZlibEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(&bytes[pair[0]..pair[1]]).unwrap();
                streams.push(encoder.finish().unwrap());
            }
            let mut sure = bytes.len();
            if let Some(broken) = broken {
                let place = broken.index(streams.len());
                // The checksum stands at the end.
                *streams[place].last_mut().unwrap() ^= 1;
                sure = cuts[place];
            }
            let (dxt, faults) = read(&streams.concat());
            let whole = ends.iter().filter(|end| **end <= sure).count();
            prop_assert_eq!(dxt.records.len(), whole);
            let segments: usize = counts[..whole].iter().map(|(w, r)| usize::from(*w) + usize::from(*r)).sum();
            prop_assert_eq!(dxt.segments.len(), segments);
            prop_assert_eq!(faults.len(), usize::from(broken.is_some()));
            prop_assert!(faults.iter().all(|fault| fault.kind() == "damaged-stream"));
        }
    }
}

//! Unpacking a region: concatenated complete streams, one per rank that had data.
//!
//! A region passes through a window, so that reading needs the memory of what is kept and no second copy of it.
//! Bytes leave the window before their stream's checksum is known; [`Plain::sure`] says how many are known to be
//! right, and `decode` takes back what lies behind when a stream turns out to be damaged.

use bzip2::Decompress as Bunzip;
use flate2::{Decompress, FlushDecompress};

use super::cursor::ByteOrder;
use super::error::{Damage, Fault};
use super::header::{Compression, Module};
use super::source::Source;

/// Bytes that one region may inflate to. zlib expands up to about 1000:1, so a few megabytes of
/// hostile input could fill a machine; the largest real regions are DXT traces, whose default memory
/// limit is some MiB per rank. Places in a region therefore fit 32 bits.
pub(crate) const REGION_BYTES_MAX: u64 = (4 << 30) - 1;

/// Plain bytes at hand at once: above every fixed-size record, within a processor's second cache.
pub(crate) const WINDOW_BYTES: usize = 128 << 10;

/// Where a region lies and how it is packed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packed {
    pub(crate) module: Module,
    pub(crate) offset: u64,
    pub(crate) length: u64,
    pub(crate) compression: Compression,
}

/// What unpacking one region after another needs again: kept, so that small regions cost no allocation.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    window: Vec<u8>,
    zlib: Option<Decompress>,
}

/// The plain bytes of a region, in order.
pub(crate) struct Plain<'s, 'a> {
    source: &'s mut Source<'a>,
    scratch: &'s mut Scratch,
    bzip2: Option<Bunzip>,
    region: Packed,
    limit: u64,
    /// Packed bytes taken so far.
    taken: u64,
    /// Where the current stream began in the packed bytes; `None` between streams.
    stream: Option<u64>,
    streams: u64,
    /// The window's part that is filled and not consumed.
    start: usize,
    end: usize,
    /// Plain bytes consumed.
    at: u64,
    sure: u64,
    ended: bool,
    starved: bool,
    fault: Option<Fault>,
}

/// What one step of a decoder did.
struct Step {
    taken: usize,
    made: usize,
    stream_ends: bool,
}

impl<'s, 'a> Plain<'s, 'a> {
    pub(crate) fn new(
        source: &'s mut Source<'a>,
        scratch: &'s mut Scratch,
        region: Packed,
        limit: u64,
    ) -> Self {
        if scratch.window.is_empty() {
            scratch.window.resize(WINDOW_BYTES, 0);
        }
        if let Some(zlib) = &mut scratch.zlib {
            zlib.reset(true);
        }
        Self {
            source,
            scratch,
            bzip2: None,
            region,
            limit,
            taken: 0,
            stream: None,
            streams: 0,
            start: 0,
            end: 0,
            at: 0,
            sure: 0,
            ended: false,
            starved: false,
            fault: None,
        }
    }

    /// Plain bytes consumed so far.
    pub(crate) const fn at(&self) -> u64 {
        self.at
    }

    /// Plain bytes in streams that were read to their end with the right checksum.
    pub(crate) const fn sure(&self) -> u64 {
        self.sure
    }

    /// Streams read to their end.
    pub(crate) const fn streams(&self) -> u64 {
        self.streams
    }

    /// Whether more was asked for than there is.
    pub(crate) const fn starved(&self) -> bool {
        self.starved
    }

    /// Bytes consumed or at hand.
    const fn made(&self) -> u64 {
        self.at + (self.end - self.start) as u64
    }

    /// What kept the region from being read to its end.
    pub(crate) fn take_fault(&mut self) -> Option<Fault> {
        self.fault.take()
    }

    /// At least `need` bytes, which is a small constant; fewer only where the region ends or is damaged.
    pub(crate) fn fill(&mut self, need: usize) -> &[u8] {
        if need > self.scratch.window.len() {
            self.scratch.window.resize(need, 0);
        }
        while self.end - self.start < need && !self.ended {
            self.step();
        }
        self.starved |= self.end - self.start < need;
        self.scratch.window.get(self.start..self.end).unwrap_or(&[])
    }

    /// The next `count` bytes, consumed; `None` where there are fewer.
    pub(crate) fn take(&mut self, count: usize) -> Option<&[u8]> {
        if self.fill(count).len() < count {
            return None;
        }
        let start = self.start;
        self.consume(count);
        self.scratch.window.get(start..start + count)
    }

    /// The next `N` bytes, consumed; `None` where there are fewer.
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// The next `N` words, consumed; `None` where there are fewer.
    pub(crate) fn words<const N: usize>(&mut self, order: ByteOrder) -> Option<[u64; N]> {
        let mut read = [0; N];
        for (word, bytes) in read.iter_mut().zip(order.words(self.take(8 * N)?)) {
            *word = bytes;
        }
        Some(read)
    }

    /// As many whole items of `item` bytes as are at hand, at most `most` items, consumed; none at the end.
    ///
    /// Items of whole streams come before those whose checksum is still to come, never together.
    pub(crate) fn take_items(&mut self, item: usize, most: u64) -> &[u8] {
        let at_hand = self.fill(item).len();
        let sure = usize::try_from(self.sure.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let bytes = if sure >= item { at_hand.min(sure) } else { at_hand };
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let count = (bytes / item).min(most) * item;
        let start = self.start;
        self.consume(count);
        self.scratch.window.get(start..start + count).unwrap_or(&[])
    }

    /// Consumes bytes that are at hand.
    pub(crate) fn consume(&mut self, count: usize) {
        let count = count.min(self.end - self.start);
        self.start += count;
        self.at += count as u64;
    }

    /// Passes over the rest of the region, to learn whether its streams are whole.
    pub(crate) fn drain(&mut self) {
        while !self.ended {
            self.consume(self.end - self.start);
            self.step();
        }
    }

    /// Unpacks some more into the window.
    fn step(&mut self) {
        if self.start > 0 {
            self.scratch.window.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        match self.unpack() {
            Ok(more) => self.ended = !more,
            Err(fault) => {
                self.ended = true;
                self.fault = Some(fault);
                // Bytes of the damaged stream that nobody has seen yet are not handed out.
                let known = usize::try_from(self.sure.saturating_sub(self.at)).unwrap_or(usize::MAX);
                self.end = self.end.min(self.start.saturating_add(known));
            }
        }
    }

    /// One step of the decoder; `false` at the region's end.
    fn unpack(&mut self) -> Result<bool, Fault> {
        let left = self.region.length.saturating_sub(self.taken);
        if left == 0 {
            return if self.stream.is_some() { Err(self.damaged(Damage::CutShort)) } else { Ok(false) };
        }
        // One byte above the limit shows that the region does not end there.
        let room = usize::try_from((self.limit + 1).saturating_sub(self.made())).unwrap_or(usize::MAX);
        let until = self.scratch.window.len().min(self.end.saturating_add(room));
        let input = self.source.at(self.region.offset + self.taken, left)?;
        if input.is_empty() {
            // The file became shorter while it was read.
            return Err(self.damaged(Damage::CutShort));
        }
        let begins = self.stream.is_none();
        self.stream.get_or_insert(self.taken);
        let output = self.scratch.window.get_mut(self.end..until).unwrap_or_default();
        let step = match self.region.compression {
            Compression::None => copy(input, output, left),
            Compression::Zlib => {
                let zlib = self.scratch.zlib.get_or_insert_with(|| Decompress::new(true));
                inflate(zlib, input, output)
            }
            Compression::Bzip2 => {
                if begins {
                    self.bzip2 = Some(Bunzip::new(false));
                }
                self.bzip2.as_mut().and_then(|bzip2| bunzip(bzip2, input, output))
            }
        };
        let Some(step) = step else { return Err(self.damaged(Damage::Broken)) };
        self.taken += step.taken as u64;
        self.end += step.made;
        if self.made() > self.limit {
            let Packed { module, offset, length, .. } = self.region;
            return Err(Fault::Inflated { module, offset, length, limit: self.limit });
        }
        if step.stream_ends {
            self.stream = None;
            self.streams += 1;
            self.sure = self.made();
            if let Some(zlib) = &mut self.scratch.zlib {
                zlib.reset(true);
            }
        }
        Ok(true)
    }

    fn damaged(&self, how: Damage) -> Fault {
        let Packed { module, offset, length, .. } = self.region;
        let stream = offset + self.stream.unwrap_or(self.taken);
        Fault::Stream { module, offset, length, stream, how }
    }
}

/// A region that is not packed counts as one stream.
fn copy(input: &[u8], output: &mut [u8], left: u64) -> Option<Step> {
    let count = input.len().min(output.len());
    output.get_mut(..count)?.copy_from_slice(input.get(..count)?);
    Some(Step { taken: count, made: count, stream_ends: count as u64 == left })
}

/// `None` where the stream is damaged.
fn inflate(zlib: &mut Decompress, input: &[u8], output: &mut [u8]) -> Option<Step> {
    let (read, written) = (zlib.total_in(), zlib.total_out());
    let status = zlib.decompress(input, output, FlushDecompress::None).ok()?;
    let taken = (zlib.total_in() - read) as usize;
    let made = (zlib.total_out() - written) as usize;
    // A step that does nothing would be repeated for ever.
    let moved = taken > 0 || made > 0;
    moved.then_some(Step { taken, made, stream_ends: status == flate2::Status::StreamEnd })
}

/// `None` where the stream is damaged.
fn bunzip(bzip2: &mut Bunzip, input: &[u8], output: &mut [u8]) -> Option<Step> {
    let (read, written) = (bzip2.total_in(), bzip2.total_out());
    let status = bzip2.decompress(input, output).ok()?;
    let taken = (bzip2.total_in() - read) as usize;
    let made = (bzip2.total_out() - written) as usize;
    let moved = taken > 0 || made > 0;
    moved.then_some(Step { taken, made, stream_ends: status == bzip2::Status::StreamEnd })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use bzip2::write::BzEncoder;
    use flate2::write::ZlibEncoder;
    use proptest::prelude::*;

    use super::*;

    fn pack(bytes: &[u8], compression: Compression) -> Vec<u8> {
        match compression {
            Compression::Zlib => {
                let mut encoder = ZlibEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Bzip2 => {
                let mut encoder = BzEncoder::new(Vec::new(), bzip2::Compression::best());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Compression::None => bytes.to_vec(),
        }
    }

    /// Everything that can be read, with a window of so many bytes, and the fault.
    fn unpack(
        packed: &[u8],
        compression: Compression,
        limit: u64,
        window: usize,
    ) -> (Vec<u8>, Option<Fault>, u64) {
        // Fifty bytes of something else in front, so that offsets are told from places in the region.
        let file = [&[7; 50][..], packed].concat();
        let length = packed.len() as u64;
        let region = Packed { module: Module::Posix, offset: 50, length, compression };
        let mut source = Source::Borrowed(&file);
        let mut scratch = Scratch { window: vec![0; window], zlib: None };
        let mut plain = Plain::new(&mut source, &mut scratch, region, limit);
        let mut bytes = Vec::new();
        loop {
            let part = plain.take_items(1, u64::MAX);
            if part.is_empty() {
                break;
            }
            bytes.extend_from_slice(part);
        }
        bytes.truncate(usize::try_from(plain.sure()).unwrap());
        (bytes, plain.take_fault(), plain.streams())
    }

    fn any_packing() -> impl Strategy<Value = Compression> {
        prop_oneof![Just(Compression::Zlib), Just(Compression::Bzip2)]
    }

    fn any_parts() -> impl Strategy<Value = Vec<Vec<u8>>> {
        proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..12)
    }

    proptest! {
        #[test]
        fn streams_are_joined(parts in any_parts(), compression in any_packing(), window in 1usize..700) {
            let packed: Vec<u8> = parts.iter().flat_map(|part| pack(part, compression)).collect();
            let (bytes, fault, streams) = unpack(&packed, compression, REGION_BYTES_MAX, window);
            prop_assert!(fault.is_none(), "{:?}", fault);
            prop_assert_eq!(bytes, parts.concat());
            prop_assert_eq!(streams, parts.len() as u64);
        }

        #[test]
        fn whole_streams_before_a_cut_are_kept(
            parts in any_parts(),
            compression in any_packing(),
            window in 1usize..700,
            cut in any::<prop::sample::Index>(),
        ) {
            let packed: Vec<Vec<u8>> = parts.iter().map(|part| pack(part, compression)).collect();
            let all = packed.concat();
            prop_assume!(!all.is_empty());
            let length = cut.index(all.len());
            let (bytes, fault, streams) = unpack(&all[..length], compression, REGION_BYTES_MAX, window);
            let ends = packed.iter().scan(0, |end, part| { *end += part.len(); Some(*end) });
            let whole = ends.take_while(|end| *end <= length).count();
            prop_assert_eq!(bytes, parts[..whole].concat());
            prop_assert_eq!(streams, whole as u64);
            let starts: usize = packed[..whole].iter().map(Vec::len).sum();
            prop_assert_eq!(fault.is_some(), starts < length);
            prop_assert!(fault.is_none_or(|fault| fault.offset() == Some(50 + starts as u64)
                && fault.kind() == "cut-short-stream" && fault.module() == Some(Module::Posix)));
        }

        #[test]
        fn a_flipped_bit_never_gets_through(
            parts in any_parts(),
            compression in any_packing(),
            place in any::<prop::sample::Index>(),
            bit in 0u32..8,
        ) {
            let packed: Vec<u8> = parts.iter().flat_map(|part| pack(part, compression)).collect();
            prop_assume!(!packed.is_empty());
            let mut damaged = packed.clone();
            damaged[place.index(packed.len())] ^= 1 << bit;
            let (bytes, fault, _) = unpack(&damaged, compression, REGION_BYTES_MAX, WINDOW_BYTES);
            let whole = parts.concat();
            prop_assert!(whole.starts_with(&bytes));
            // bzip2 pads its last byte with bits that nobody reads.
            prop_assert!(fault.is_some() || bytes == whole);
        }
    }

    #[test]
    fn damage_is_told_from_a_missing_end() {
        for compression in [Compression::Zlib, Compression::Bzip2] {
            let (first, mut second) = (pack(b"first", compression), pack(b"second", compression));
            let middle = second.len() / 2;
            second[middle] ^= 0x10;
            let (bytes, fault, _) = unpack(&[first.clone(), second].concat(), compression, 1 << 20, 64);
            assert_eq!(bytes, b"first");
            let fault = fault.unwrap();
            assert_eq!(fault.kind(), "damaged-stream", "{compression:?}");
            assert_eq!(fault.offset(), Some(50 + first.len() as u64));
        }
    }

    #[test]
    fn a_bomb_is_refused() {
        for compression in [Compression::Zlib, Compression::Bzip2] {
            let packed = pack(&vec![0; 10 << 20], compression);
            assert!(packed.len() < 20_000);
            let (bytes, fault, _) = unpack(&packed, compression, 1 << 20, WINDOW_BYTES);
            assert!(bytes.is_empty());
            assert!(matches!(fault, Some(Fault::Inflated { limit, .. }) if limit == 1 << 20));
            // At the limit itself everything is read.
            let (bytes, fault, _) = unpack(&packed, compression, 10 << 20, WINDOW_BYTES);
            assert!(fault.is_none() && bytes.len() == 10 << 20);
            let (bytes, fault, _) = unpack(&packed, compression, (10 << 20) - 1, WINDOW_BYTES);
            assert!(fault.is_some() && bytes.is_empty());
        }
    }

    #[test]
    fn a_region_without_compression_is_one_stream() {
        let bytes: Vec<u8> = (0..1000u32).flat_map(u32::to_le_bytes).collect();
        let (read, fault, streams) = unpack(&bytes, Compression::None, REGION_BYTES_MAX, 333);
        assert!(fault.is_none());
        assert_eq!((read, streams), (bytes, 1));
    }
}

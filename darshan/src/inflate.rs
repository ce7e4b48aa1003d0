//! Unpacking a region: concatenated complete streams, one per rank that had data.

use std::borrow::Cow;

use flate2::{Decompress, FlushDecompress, Status};

use super::error::Fault;
use super::header::{Compression, Module};

/// Bytes that one region may inflate to. zlib expands up to about 1000:1, so a few megabytes of
/// hostile input could fill a machine; the largest real regions are DXT traces, whose default memory
/// limit is some MiB per rank.
pub(crate) const REGION_BYTES_MAX: usize = 4 << 30;

/// First guess of the output, as a multiple of the input: counters shrink about this much.
const EXPANSION_GUESS: usize = 8;

/// A region's plain bytes, and what kept it from being complete. Only whole streams are kept: their
/// checksum was right.
pub(crate) struct Plain<'a> {
    pub(crate) bytes: Cow<'a, [u8]>,
    pub(crate) fault: Option<Fault>,
}

/// Unpacks all streams of a region that begins at `offset` of the file.
pub(crate) fn unpack<'a>(
    packed: &'a [u8],
    compression: Compression,
    module: Module,
    offset: u64,
    limit: usize,
) -> Plain<'a> {
    match compression {
        Compression::None => {
            let kept = &packed[..packed.len().min(limit)];
            let fault = (kept.len() < packed.len()).then_some(Fault::Inflated { module, offset, limit });
            Plain { bytes: Cow::Borrowed(kept), fault }
        }
        Compression::Zlib => {
            let mut bytes = Vec::new();
            let fault = inflate(packed, &mut bytes, module, offset, limit).err();
            Plain { bytes: Cow::Owned(bytes), fault }
        }
        Compression::Bzip2 => Plain { bytes: Cow::Borrowed(&[]), fault: Some(Fault::Bzip2) },
    }
}

/// Appends the streams' bytes to `out`, which after an error holds the whole streams before it.
fn inflate(packed: &[u8], out: &mut Vec<u8>, module: Module, offset: u64, limit: usize) -> Result<(), Fault> {
    out.reserve(packed.len().saturating_mul(EXPANSION_GUESS).min(limit).max(64));
    let mut stream = Decompress::new(true);
    let mut rest = packed;
    while !rest.is_empty() {
        let whole = out.len();
        stream.reset(true);
        let used = one_stream(&mut stream, rest, out, limit).map_err(|broken| {
            out.truncate(whole);
            let at = offset + (packed.len() - rest.len()) as u64;
            match broken {
                Broken::Damaged => Fault::Inflate { module, offset: at, how: "damaged" },
                Broken::CutShort => Fault::Inflate { module, offset: at, how: "cut short" },
                Broken::TooLong => Fault::Inflated { module, offset, limit },
            }
        })?;
        rest = rest.get(used..).unwrap_or(&[]);
    }
    Ok(())
}

enum Broken {
    Damaged,
    CutShort,
    TooLong,
}

/// Inflates the stream at the start of `packed` and gives its packed length.
fn one_stream(
    stream: &mut Decompress,
    packed: &[u8],
    out: &mut Vec<u8>,
    limit: usize,
) -> Result<usize, Broken> {
    loop {
        let (read, written) = (stream.total_in(), stream.total_out());
        if out.len() == out.capacity() {
            let room = limit.saturating_sub(out.len());
            if room == 0 {
                return Err(Broken::TooLong);
            }
            out.reserve_exact(out.len().max(64).min(room));
        }
        let input = packed.get(read as usize..).unwrap_or(&[]);
        let status = stream.decompress_vec(input, out, FlushDecompress::None).map_err(|_| Broken::Damaged)?;
        if status == Status::StreamEnd {
            // An empty step would never end; a stream has at least its two header bytes.
            let used = stream.total_in() as usize;
            return if used == 0 { Err(Broken::Damaged) } else { Ok(used) };
        }
        let moved = stream.total_in() > read || stream.total_out() > written;
        if !moved && out.len() < out.capacity() {
            return Err(Broken::CutShort);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression as Level, write::ZlibEncoder};
    use proptest::prelude::*;

    use super::*;

    fn deflate(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Level::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn unpacked(packed: &[u8], limit: usize) -> Plain<'_> {
        unpack(packed, Compression::Zlib, Module::Posix, 100, limit)
    }

    proptest! {
        #[test]
        fn streams_are_joined(parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..20)) {
            let packed: Vec<u8> = parts.iter().flat_map(|part| deflate(part)).collect();
            let plain = unpacked(&packed, REGION_BYTES_MAX);
            prop_assert!(plain.fault.is_none());
            prop_assert_eq!(plain.bytes.into_owned(), parts.concat());
        }
    }

    #[test]
    fn whole_streams_before_the_damage_are_kept() {
        let (first, second) = (deflate(b"first"), deflate(b"second"));
        let mut packed = [first.clone(), second].concat();
        let last = packed.len() - 1;
        packed[last] ^= 1;
        let plain = unpacked(&packed, REGION_BYTES_MAX);
        assert_eq!(&*plain.bytes, b"first");
        let at = 100 + first.len() as u64;
        assert!(matches!(plain.fault, Some(Fault::Inflate { offset, how: "damaged", .. }) if offset == at));
        let plain = unpacked(&packed[..last - 2], REGION_BYTES_MAX);
        assert!(matches!(plain.fault, Some(Fault::Inflate { how: "cut short", .. })));
    }

    #[test]
    fn a_bomb_is_refused() {
        let packed = deflate(&vec![0; 10 << 20]);
        assert!(packed.len() < 20_000);
        let plain = unpacked(&packed, 1 << 20);
        assert!(plain.bytes.is_empty());
        assert!(matches!(plain.fault, Some(Fault::Inflated { limit, .. }) if limit == 1 << 20));
    }
}

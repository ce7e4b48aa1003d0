//! Names of files by record id, in one buffer: a log may name hundreds of thousands.

use std::borrow::Cow;

use super::cursor::ByteOrder;
use super::decode::{Decode, Mark, decode, grow};
use super::error::Fault;
use super::header::Format;
use super::inflate::{Packed, Plain};

/// File names by record id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The names one behind the other.
    bytes: Vec<u8>,
    /// By rising id without repeats.
    index: Vec<Entry>,
}

/// A name's place. A region is below 4 GiB, so 32 bits do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    id: u64,
    start: u32,
    length: u32,
}

impl Names {
    /// The name of a record id, `None` where the log has none. Bytes that are not UTF-8 become U+FFFD.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<Cow<'_, str>> {
        let place = self.index.binary_search_by_key(&id, |entry| entry.id).ok()?;
        let name = self.name(self.index.get(place)?);
        (!name.is_empty()).then(|| String::from_utf8_lossy(name))
    }

    /// All ids with their names, by rising id; a name is empty where the log has none.
    pub fn iter(&self) -> impl Iterator<Item = (u64, Cow<'_, str>)> + '_ {
        self.index.iter().map(|entry| (entry.id, String::from_utf8_lossy(self.name(entry))))
    }

    fn name(&self, entry: &Entry) -> &[u8] {
        let start = entry.start as usize;
        self.bytes.get(start..start + entry.length as usize).unwrap_or(&[])
    }

    /// Ids that the log lists, with or without a name.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether the log lists no id.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Reads the name region. Of several names of one id the first that is not empty wins.
    pub(crate) fn read(
        plain: &mut Plain<'_, '_>,
        region: Packed,
        order: ByteOrder,
        format: Format,
    ) -> (Self, Vec<Fault>) {
        let mut reading = Reading { names: Self::default(), order, counted: format == Format::V300 };
        let faults = decode(plain, region, &mut reading);
        let mut names = reading.names;
        // In place, unlike a stable sort; the start keeps the first of equals first, and empty ones give way.
        names.index.sort_unstable_by_key(|entry| (entry.id, entry.length == 0, entry.start));
        names.index.dedup_by_key(|entry| entry.id);
        (names, faults)
    }
}

/// Names in the log's order.
struct Reading {
    names: Names,
    order: ByteOrder,
    /// Format 3.00 states a length; later ones end a name with NUL.
    counted: bool,
}

impl Reading {
    /// The name behind an id; `None` where it is cut short.
    fn name(&mut self, plain: &mut Plain<'_, '_>) -> Option<()> {
        let bytes = &mut self.names.bytes;
        if !self.counted {
            loop {
                let part = plain.fill(1);
                let end = part.iter().position(|byte| *byte == 0);
                let (count, whole) = end.map_or((part.len(), false), |end| (end, true));
                if part.is_empty() {
                    return None;
                }
                grow(bytes, count);
                bytes.extend_from_slice(part.get(..count)?);
                plain.consume(count + usize::from(whole));
                if whole {
                    return Some(());
                }
            }
        }
        let mut left = self.order.half(plain.array()?) as usize;
        while left > 0 {
            let part = plain.fill(1);
            let count = part.len().min(left);
            if count == 0 {
                return None;
            }
            grow(bytes, count);
            bytes.extend_from_slice(part.get(..count)?);
            plain.consume(count);
            left -= count;
        }
        Some(())
    }
}

impl Decode for Reading {
    fn next(&mut self, plain: &mut Plain<'_, '_>) -> Result<(), &'static str> {
        const CUT: &str = "is cut short, so its name is lost";
        let id = plain.array().ok_or(CUT)?;
        let start = self.names.bytes.len();
        self.name(plain).ok_or(CUT)?;
        let length = self.names.bytes.len() - start;
        grow(&mut self.names.index, 1);
        self.names.index.push(Entry { id: self.order.word(id), start: start as u32, length: length as u32 });
        Ok(())
    }

    fn mark(&self) -> Mark {
        [self.names.index.len(), self.names.bytes.len(), 0]
    }

    fn cut(&mut self, mark: Mark) {
        self.names.index.truncate(mark[0]);
        self.names.bytes.truncate(mark[1]);
    }

    fn records(&self) -> usize {
        self.names.index.len()
    }
}

#[cfg(test)]
mod tests {
    use super::super::header::{Compression, Module};
    use super::super::inflate::{REGION_BYTES_MAX, Scratch};
    use super::super::source::Source;
    use super::*;

    fn read(bytes: &[u8], order: ByteOrder, format: Format) -> (Names, Vec<Fault>) {
        let (length, compression) = (bytes.len() as u64, Compression::None);
        let region = Packed { module: Module::Names, offset: 0, length, compression };
        let (mut source, mut scratch) = (Source::Borrowed(bytes), Scratch::default());
        let mut plain = Plain::new(&mut source, &mut scratch, region, REGION_BYTES_MAX);
        Names::read(&mut plain, region, order, format)
    }

    fn entry(id: u64, name: &[u8]) -> Vec<u8> {
        [&id.to_le_bytes()[..], name, b"\0"].concat()
    }

    #[test]
    fn the_first_name_that_is_not_empty_wins() {
        let bytes = [entry(9, b""), entry(7, b"/a"), entry(9, b"/b"), entry(9, b"/c")].concat();
        let (names, faults) = read(&bytes, ByteOrder::Little, Format::V341);
        assert!(faults.is_empty());
        assert_eq!(names.len(), 2);
        assert_eq!(names.get(9).as_deref(), Some("/b"));
        assert_eq!(names.get(7).as_deref(), Some("/a"));
        assert_eq!(names.get(8), None);
    }

    #[test]
    fn a_name_without_end_is_reported_and_the_others_stay() {
        let bytes = [entry(1, b"/a"), 2u64.to_le_bytes().to_vec(), b"/b".to_vec()].concat();
        let (names, faults) = read(&bytes, ByteOrder::Little, Format::V310);
        assert!(matches!(faults[..], [Fault::Record { at: 11, kept: 1, .. }]), "{faults:?}");
        assert_eq!(names.get(1).as_deref(), Some("/a"));
    }

    #[test]
    fn format_3_00_counts_its_bytes() {
        let bytes = [&5u64.to_be_bytes()[..], &2u32.to_be_bytes()[..], b"/x"].concat();
        let (names, faults) = read(&bytes, ByteOrder::Big, Format::V300);
        assert!(faults.is_empty());
        assert_eq!(names.get(5).as_deref(), Some("/x"));
    }
}

//! Names of files by record id, in one buffer: a log may name hundreds of thousands.

use std::borrow::Cow;

use super::cursor::{ByteOrder, Cursor};
use super::error::Fault;
use super::header::{Format, Module};

/// File names by record id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    bytes: Vec<u8>,
    /// Id, first byte and length, by rising id without repeats.
    index: Vec<(u64, usize, usize)>,
}

impl Names {
    /// The name of a record id, `None` where the log has none. Bytes that are not UTF-8 become U+FFFD.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<Cow<'_, str>> {
        let place = self.index.binary_search_by_key(&id, |entry| entry.0).ok()?;
        let (_, start, length) = *self.index.get(place)?;
        let name = self.bytes.get(start..start + length).filter(|name| !name.is_empty())?;
        Some(String::from_utf8_lossy(name))
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

    /// Reads the plain name region. Of several names of one id the first that is not empty wins.
    pub(crate) fn read(bytes: Vec<u8>, order: ByteOrder, format: Format) -> (Self, Option<Fault>) {
        let mut index = Vec::new();
        let mut words = Cursor::new(&bytes, order);
        let mut fault = None;
        while !words.rest().is_empty() {
            let at = words.at();
            let Some(entry) = next(&mut words, format) else {
                let what = "is cut short, so its name is lost";
                fault = Some(Fault::Record { module: Module::Names, at, what, kept: index.len() });
                break;
            };
            index.push(entry);
        }
        // Stable, so that the first of equals stays first; then empty ones give way.
        index.sort_by_key(|entry: &(u64, usize, usize)| (entry.0, entry.2 == 0));
        index.dedup_by_key(|entry| entry.0);
        (Self { bytes, index }, fault)
    }
}

fn next(words: &mut Cursor<'_>, format: Format) -> Option<(u64, usize, usize)> {
    let id = words.u64()?;
    if format == Format::V300 {
        let length = words.u32()? as usize;
        let start = words.at();
        words.take(length)?;
        return Some((id, start, length));
    }
    let start = words.at();
    let length = words.rest().iter().position(|byte| *byte == 0)?;
    words.take(length + 1)?;
    Some((id, start, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: u64, name: &[u8]) -> Vec<u8> {
        [&id.to_le_bytes()[..], name, b"\0"].concat()
    }

    #[test]
    fn the_first_name_that_is_not_empty_wins() {
        let bytes = [entry(9, b""), entry(7, b"/a"), entry(9, b"/b"), entry(9, b"/c")].concat();
        let (names, fault) = Names::read(bytes, ByteOrder::Little, Format::V341);
        assert!(fault.is_none());
        assert_eq!(names.len(), 2);
        assert_eq!(names.get(9).as_deref(), Some("/b"));
        assert_eq!(names.get(7).as_deref(), Some("/a"));
        assert_eq!(names.get(8), None);
    }

    #[test]
    fn a_name_without_end_is_reported_and_the_others_stay() {
        let bytes = [entry(1, b"/a"), 2u64.to_le_bytes().to_vec(), b"/b".to_vec()].concat();
        let (names, fault) = Names::read(bytes, ByteOrder::Little, Format::V310);
        assert!(matches!(fault, Some(Fault::Record { at: 11, kept: 1, .. })));
        assert_eq!(names.get(1).as_deref(), Some("/a"));
    }

    #[test]
    fn format_3_00_counts_its_bytes() {
        let bytes = [&5u64.to_be_bytes()[..], &2u32.to_be_bytes()[..], b"/x"].concat();
        let (names, fault) = Names::read(bytes, ByteOrder::Big, Format::V300);
        assert!(fault.is_none());
        assert_eq!(names.get(5).as_deref(), Some("/x"));
    }
}

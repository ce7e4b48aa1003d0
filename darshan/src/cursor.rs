//! Words out of bytes in the log's byte order. Owns nothing; never reads past the end.

/// The order of the bytes of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    /// Least significant byte first.
    Little,
    /// Most significant byte first: logs of Blue Gene machines.
    Big,
}

impl ByteOrder {
    /// Eight bytes as a word.
    pub(crate) const fn word(self, bytes: [u8; 8]) -> u64 {
        match self {
            Self::Little => u64::from_le_bytes(bytes),
            Self::Big => u64::from_be_bytes(bytes),
        }
    }

    /// Four bytes as a half word.
    pub(crate) const fn half(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    /// The words of a slice; up to seven bytes behind the last whole word are left out.
    pub(crate) fn words(self, bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
        bytes.as_chunks::<8>().0.iter().map(move |chunk| self.word(*chunk))
    }
}

/// A place in a byte slice. Every reading method gives `None` at the end, and then has not moved.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    order: ByteOrder,
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(bytes: &'a [u8], order: ByteOrder) -> Self {
        Self { bytes, at: 0, order }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or(&[])
    }

    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let part = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(part)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        let order = self.order;
        self.array().map(|bytes| order.word(bytes))
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.u64().map(u64::cast_signed)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        let order = self.order;
        self.array().map(|bytes| order.half(bytes))
    }
}

/// Text up to its first NUL. Names in logs need not be UTF-8: foreign bytes become U+FFFD.
pub(crate) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

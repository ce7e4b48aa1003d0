//! Hands the CSV parser one line at a time, so that errors know the exact line and records stay bounded.

use std::io::{self, BufRead, BufReader, Read};

use super::RECORD_BYTES_MAX;

/// A reader that leaves out comments and empty lines between records.
///
/// The parser asks for more only when it has used up all it was given, and it is given one line at a
/// time: so the line counted here is the line the parser is at.
pub(super) struct Lines<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    handed_out: usize,
    number: u64,
    /// Whether the current record has begun: a `#` or an empty line inside quotes belongs to it.
    in_record: bool,
    record_line: u64,
    record_bytes: usize,
    too_long: bool,
    marker: Option<String>,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input: BufReader::new(input),
            line: Vec::new(),
            handed_out: 0,
            number: 0,
            in_record: false,
            record_line: 1,
            record_bytes: 0,
            too_long: false,
            marker: None,
        }
    }

    /// The parser is about to read the next record.
    pub(super) fn begin_record(&mut self) {
        self.in_record = false;
        self.record_bytes = 0;
    }

    /// The first line of the current record, from 1.
    pub(super) fn record_line(&self) -> u64 {
        self.record_line
    }

    /// Whether the record passed [`RECORD_BYTES_MAX`].
    pub(super) fn too_long(&self) -> bool {
        self.too_long
    }

    /// The text of a comment in line 1.
    pub(super) fn marker(&self) -> Option<&str> {
        self.marker.as_deref()
    }

    /// Loads the next line that the parser shall see; an empty one at the end.
    fn load(&mut self) -> io::Result<()> {
        loop {
            self.line.clear();
            self.handed_out = 0;
            let limit = RECORD_BYTES_MAX as u64 + 1;
            self.input.by_ref().take(limit).read_until(b'\n', &mut self.line)?;
            if self.line.is_empty() {
                return Ok(());
            }
            self.number += 1;
            if self.number == 1 && self.line.starts_with(b"\xEF\xBB\xBF") {
                // Spreadsheets begin UTF-8 with a byte order mark.
                self.line.drain(..3);
            }
            if self.in_record {
                break;
            }
            self.record_line = self.number;
            let blank = self.line.iter().all(u8::is_ascii_whitespace);
            let comment = self.line.starts_with(b"#");
            if comment && self.number == 1 {
                self.marker = Some(String::from_utf8_lossy(&self.line[1..]).into_owned());
            }
            if !blank && !comment {
                self.in_record = true;
                break;
            }
            self.refuse_beyond_limit(self.line.len())?;
        }
        self.record_bytes += self.line.len();
        self.refuse_beyond_limit(self.record_bytes)
    }

    fn refuse_beyond_limit(&mut self, bytes: usize) -> io::Result<()> {
        if bytes <= RECORD_BYTES_MAX {
            return Ok(());
        }
        self.too_long = true;
        Err(io::Error::new(io::ErrorKind::InvalidData, "record too long"))
    }
}

impl<R: Read> Read for Lines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.handed_out == self.line.len() {
            self.load()?;
        }
        let rest = &self.line[self.handed_out..];
        let bytes = rest.len().min(buffer.len());
        buffer[..bytes].copy_from_slice(&rest[..bytes]);
        self.handed_out += bytes;
        Ok(bytes)
    }
}

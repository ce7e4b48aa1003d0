//! Reads an event log from anywhere. Every error names the place and the byte.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;

use prost::Message;
use tarazu_proto::v1::{Head, Recorded, recorded::What};

use super::{MESSAGE_BYTES_MAX, VERSION};

/// Bytes of the longest length: a varint of 64 bits.
const LENGTH_BYTES_MAX: usize = 10;

/// Why a log cannot be read further.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// It cannot be opened.
    #[error("cannot open {place}: {source}")]
    Open { place: String, source: std::io::Error },
    /// The disk failed.
    #[error("cannot read {place} at byte {offset}: {source}")]
    Read { place: String, offset: u64, source: std::io::Error },
    /// No log begins so.
    #[error("{place} is no event log: {reason}")]
    NotALog { place: String, reason: String },
    /// Another release wrote it.
    #[error("{place} has version {found}, only {VERSION} can be read: use the release that wrote it")]
    Version { place: String, found: u32 },
    /// A message is longer than any that is written.
    #[error("{place} at byte {offset}: a message of {bytes} bytes, at most {MESSAGE_BYTES_MAX} are possible")]
    TooLong { place: String, offset: u64, bytes: u64 },
    /// Bytes that are no message.
    #[error("{place} at byte {offset}: {reason}; what stands before it is sound")]
    Damaged { place: String, offset: u64, reason: String },
    /// Time goes back.
    #[error("{place} at byte {offset}: time falls from {before_ns} to {now_ns} ns, which no controller does")]
    TimeBack { place: String, offset: u64, before_ns: u64, now_ns: u64 },
}

/// A log that is being read.
#[derive(Debug)]
pub(crate) struct LogReader<R> {
    place: String,
    input: R,
    /// Bytes read.
    offset: u64,
    before_ns: u64,
    head: Head,
    truncated_at: Option<u64>,
    /// It ended or failed: there is nothing behind that could be trusted.
    ended: bool,
    buffer: Vec<u8>,
}

impl LogReader<BufReader<File>> {
    /// Opens a file and reads its head.
    pub(crate) fn open(path: &Path) -> Result<Self, ReadError> {
        let place = path.display().to_string();
        match File::open(path) {
            Ok(file) => Self::new(BufReader::new(file), place),
            Err(source) => Err(ReadError::Open { place, source }),
        }
    }
}

impl<R: Read> LogReader<R> {
    /// Reads the head; `place` is what messages call the log.
    pub(crate) fn new(input: R, place: String) -> Result<Self, ReadError> {
        let mut reader = Self {
            place,
            input,
            offset: 0,
            before_ns: 0,
            head: Head::default(),
            truncated_at: None,
            ended: false,
            buffer: Vec::new(),
        };
        let not_a_log = |reason: &str, place: String| ReadError::NotALog { place, reason: reason.to_owned() };
        let first = match reader.message() {
            Ok(first) => first,
            // What is wrong with the first message is that it is something else.
            Err(ReadError::TooLong { place, .. }) => {
                return Err(not_a_log("it does not begin with a head", place));
            }
            Err(ReadError::Damaged { place, reason, .. }) => return Err(not_a_log(&reason, place)),
            Err(error) => return Err(error),
        };
        let Some(Recorded { what: Some(What::Head(head)), now_ns }) = first else {
            return Err(not_a_log("it does not begin with a head", reader.place));
        };
        if head.version != VERSION {
            return Err(ReadError::Version { place: reader.place, found: head.version });
        }
        (reader.head, reader.before_ns) = (head, now_ns);
        Ok(reader)
    }

    /// What the log is of.
    pub(crate) fn head(&self) -> &Head {
        &self.head
    }

    /// Where the last message begins that was not written whole, as when a controller was killed. To be said to whoever
    /// reads the log; known when [`Self::read`] has given `None`.
    pub(crate) fn truncated_at(&self) -> Option<u64> {
        self.truncated_at
    }

    /// The next message; `None` at the end. After an error it gives `None`.
    pub(crate) fn read(&mut self) -> Result<Option<Recorded>, ReadError> {
        if self.ended {
            return Ok(None);
        }
        let offset = self.offset;
        let outcome = self.message().and_then(|message| self.in_order(offset, message));
        self.ended = !matches!(outcome, Ok(Some(_)));
        outcome
    }

    fn in_order(&mut self, offset: u64, message: Option<Recorded>) -> Result<Option<Recorded>, ReadError> {
        let Some(message) = message else { return Ok(None) };
        if matches!(message.what, Some(What::Head(_))) {
            return Err(self.damaged(offset, "a second head"));
        }
        let (place, now_ns) = (self.place.clone(), message.now_ns);
        if now_ns < self.before_ns {
            return Err(ReadError::TimeBack { place, offset, before_ns: self.before_ns, now_ns });
        }
        self.before_ns = now_ns;
        Ok(Some(message))
    }

    /// One message of its frame.
    fn message(&mut self) -> Result<Option<Recorded>, ReadError> {
        let offset = self.offset;
        let Some(bytes) = self.length(offset)? else { return Ok(None) };
        let fits = usize::try_from(bytes).ok().filter(|bytes| *bytes <= MESSAGE_BYTES_MAX);
        let Some(length) = fits else {
            return Err(ReadError::TooLong { place: self.place.clone(), offset, bytes });
        };
        // Grows with what is really there, not with what a length claims.
        self.buffer.clear();
        let read = (&mut self.input).take(bytes).read_to_end(&mut self.buffer);
        let read = read.map_err(|source| ReadError::Read { place: self.place.clone(), offset, source })?;
        self.offset += read as u64;
        if read < length {
            self.truncated_at = Some(offset);
            return Ok(None);
        }
        match Recorded::decode(self.buffer.as_slice()) {
            Ok(Recorded { what: None, .. }) => Err(self.damaged(offset, "a message that says nothing")),
            Ok(message) => Ok(Some(message)),
            Err(error) => Err(self.damaged(offset, &error.to_string())),
        }
    }

    /// The length before a message; `None` at the end of the log.
    fn length(&mut self, offset: u64) -> Result<Option<u64>, ReadError> {
        let mut length: u64 = 0;
        for number in 0..LENGTH_BYTES_MAX {
            let Some(byte) = self.byte(offset)? else {
                // The end, or the middle of a length.
                self.truncated_at = (number > 0).then_some(offset);
                return Ok(None);
            };
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit.
            if number + 1 == LENGTH_BYTES_MAX && bits > 1 {
                break;
            }
            length |= bits << (7 * number);
            if byte < 0x80 {
                return Ok(Some(length));
            }
        }
        Err(self.damaged(offset, "a length that does not end"))
    }

    fn byte(&mut self, offset: u64) -> Result<Option<u8>, ReadError> {
        let mut byte = [0_u8];
        loop {
            match self.input.read(&mut byte) {
                Ok(0) => return Ok(None),
                Ok(_) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(source) => return Err(ReadError::Read { place: self.place.clone(), offset, source }),
            }
        }
        self.offset += 1;
        Ok(Some(byte[0]))
    }

    fn damaged(&self, offset: u64, reason: &str) -> ReadError {
        ReadError::Damaged { place: self.place.clone(), offset, reason: reason.to_owned() }
    }
}

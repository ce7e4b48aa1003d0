//! The only way to standard output and standard error. A reader that stops early (`| head`) ends the output
//! quietly; any other failure to write is an error with exit code 1. Nothing here can panic, as `println!` does.

use std::fmt::Display;
use std::io::{BufWriter, ErrorKind, StdoutLock, Write};

use anyhow::Context;

/// Standard output of one tool, with a buffer; [`Output::finish`] tells whether all of it arrived.
pub(crate) struct Output<W: Write = StdoutLock<'static>> {
    inner: BufWriter<UntilGone<W>>,
}

impl Output {
    /// Standard output, locked for the rest of the tool.
    pub(crate) fn open() -> Self {
        Self::to(std::io::stdout().lock())
    }

    /// Writes text, and makes sure that it arrived.
    pub(crate) fn print(text: &str) -> anyhow::Result<()> {
        let mut out = Self::open();
        out.put(text)?;
        out.finish()
    }
}

impl<W: Write> Output<W> {
    fn to(writer: W) -> Self {
        Self { inner: BufWriter::new(UntilGone { writer, gone: false }) }
    }

    /// Writes text.
    pub(crate) fn put(&mut self, text: &str) -> anyhow::Result<()> {
        self.inner.write_all(text.as_bytes()).context(CANNOT_WRITE)
    }

    /// Hands over what is buffered; `false` where nobody reads any more, so that work can end early.
    pub(crate) fn hand_over(&mut self) -> anyhow::Result<bool> {
        self.inner.flush().context(CANNOT_WRITE)?;
        Ok(!self.inner.get_ref().gone)
    }

    /// Hands over the rest. A result that was not written whole is an error.
    pub(crate) fn finish(mut self) -> anyhow::Result<()> {
        self.hand_over().map(|_| ())
    }
}

impl<W: Write> Write for Output<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

/// What stands before an error of standard output.
pub(crate) const CANNOT_WRITE: &str = "cannot write to standard output";

/// Passes bytes on until the reader has gone, then swallows them.
struct UntilGone<W> {
    writer: W,
    gone: bool,
}

impl<W> UntilGone<W> {
    fn unless_gone<T>(&mut self, outcome: std::io::Result<T>, instead: T) -> std::io::Result<T> {
        match outcome {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.gone = true;
                Ok(instead)
            }
            other => other,
        }
    }
}

impl<W: Write> Write for UntilGone<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.gone {
            return Ok(bytes.len());
        }
        let outcome = self.writer.write(bytes);
        self.unless_gone(outcome, bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if self.gone {
            return Ok(());
        }
        let outcome = self.writer.flush();
        self.unless_gone(outcome, ())
    }
}

/// Something to know about the input, on standard error.
pub(crate) fn note(text: impl Display) {
    say(format_args!("note: {text}"));
}

/// A message of the command itself, such as an error, on standard error.
pub(crate) fn message(text: impl Display) {
    say(format_args!("tarazu: {text}"));
}

fn say(line: std::fmt::Arguments<'_>) {
    // Where standard error cannot be written there is nobody left to tell.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes, then fails.
    struct Ends {
        left: usize,
        how: ErrorKind,
    }

    impl Write for Ends {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if self.left == 0 {
                return Err(self.how.into());
            }
            let taken = bytes.len().min(self.left);
            self.left -= taken;
            Ok(taken)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn written(left: usize, how: ErrorKind) -> anyhow::Result<bool> {
        let mut out = Output::to(Ends { left, how });
        for _ in 0..4 {
            out.put(&"x".repeat(10_000))?;
        }
        let read = out.hand_over()?;
        out.finish()?;
        Ok(read)
    }

    #[test]
    fn a_reader_that_leaves_is_no_error_and_is_noticed() {
        assert!(!written(0, ErrorKind::BrokenPipe).unwrap());
        assert!(!written(15_000, ErrorKind::BrokenPipe).unwrap());
        assert!(written(40_000, ErrorKind::BrokenPipe).unwrap());
    }

    #[test]
    fn a_full_disk_is_an_error_that_says_so() {
        for left in [0, 15_000, 39_999] {
            let error = written(left, ErrorKind::StorageFull).unwrap_err();
            assert!(error.to_string().contains("standard output"), "{error}");
        }
        assert!(written(40_000, ErrorKind::StorageFull).unwrap());
    }
}

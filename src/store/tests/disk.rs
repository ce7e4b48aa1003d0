//! A disk in memory that keeps what was synced apart from what was not, and fails at one call.

use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;

/// What is left of writes that were not synced when the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    Nothing,
    All,
    FirstHalf,
    SecondHalf,
    EveryOther,
    /// The first half, and half of the bytes of the next.
    Torn,
}

impl Left {
    pub(super) const ALL: [Self; 6] =
        [Self::Nothing, Self::All, Self::FirstHalf, Self::SecondHalf, Self::EveryOther, Self::Torn];
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The power goes before the call: it and all later ones fail.
    PowerOff,
    /// The power goes in the middle of the call.
    Midway,
    /// This call fails. A sync that fails has lost what it should have written, and says so once, as Linux does.
    Error,
}

#[derive(Clone, Debug)]
enum Change {
    Length(usize),
    Bytes(usize, Vec<u8>),
}

impl Change {
    fn make(&self, image: &mut Vec<u8>) {
        match self {
            Self::Length(length) => image.resize(*length, 0),
            Self::Bytes(offset, bytes) => {
                // A write of which the change of length before it was lost.
                if image.len() < offset + bytes.len() {
                    image.resize(offset + bytes.len(), 0);
                }
                image[*offset..offset + bytes.len()].copy_from_slice(bytes);
            }
        }
    }
}

#[derive(Debug, Default)]
struct Inner {
    /// What a reader sees.
    seen: Vec<u8>,
    synced: Vec<u8>,
    unsynced: Vec<Change>,
    calls: u64,
    fault: Option<(u64, Fault)>,
    off: bool,
    bytes_max: Option<u64>,
}

/// A handle of the disk; all handles are of one disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk(Arc<Mutex<Inner>>);

impl Disk {
    /// A disk with this content, all of it synced.
    pub(super) fn with(image: Vec<u8>) -> Self {
        let inner = Inner { seen: image.clone(), synced: image, ..Inner::default() };
        Self(Arc::new(Mutex::new(inner)))
    }

    /// Fails at the call of this number, from 0.
    pub(super) fn failing(at: u64, fault: Fault) -> Self {
        let disk = Self::default();
        disk.fail_at(at, fault);
        disk
    }

    pub(super) fn fail_at(&self, at: u64, fault: Fault) {
        self.inner().fault = Some((at, fault));
    }

    /// From now on there is room for so many bytes.
    pub(super) fn limit(&self, bytes_max: Option<u64>) {
        self.inner().bytes_max = bytes_max;
    }

    pub(super) fn bytes(&self) -> u64 {
        self.inner().seen.len() as u64
    }

    /// Calls so far.
    pub(super) fn calls(&self) -> u64 {
        self.inner().calls
    }

    /// The content for a process that starts while the machine lives on.
    pub(super) fn seen(&self) -> Vec<u8> {
        self.inner().seen.clone()
    }

    /// The content after the power went.
    pub(super) fn image(&self, left: Left) -> Vec<u8> {
        let inner = self.inner();
        let (mut image, half) = (inner.synced.clone(), inner.unsynced.len() / 2);
        for (number, change) in inner.unsynced.iter().enumerate() {
            let whole = match left {
                Left::Nothing => false,
                Left::All => true,
                Left::FirstHalf | Left::Torn => number < half,
                Left::SecondHalf => number >= half,
                Left::EveryOther => number % 2 == 1,
            };
            if whole {
                change.make(&mut image);
            } else if left == Left::Torn && number == half {
                torn(change).make(&mut image);
            }
        }
        image
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A panic inside a database is contained; the disk is none the worse.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Counts a call and says whether it is to fail midway.
    fn call(&self) -> io::Result<(MutexGuard<'_, Inner>, Option<Fault>)> {
        let mut inner = self.inner();
        if inner.off {
            return Err(io::Error::other("the power is off"));
        }
        let number = inner.calls;
        inner.calls += 1;
        let fault = inner.fault.filter(|(at, _)| *at == number).map(|(_, fault)| fault);
        match fault {
            Some(Fault::PowerOff) => {
                inner.off = true;
                Err(io::Error::other("the power goes off"))
            }
            Some(Fault::Midway) => {
                inner.off = true;
                Ok((inner, fault))
            }
            _ => Ok((inner, fault)),
        }
    }
}

/// The first half of a write; a change of length is made or not.
fn torn(change: &Change) -> Change {
    match change {
        Change::Length(length) => Change::Length(*length),
        Change::Bytes(offset, bytes) => Change::Bytes(*offset, bytes[..bytes.len() / 2].to_vec()),
    }
}

fn failed() -> io::Error {
    io::Error::other("told to fail")
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        match self.call()? {
            (inner, None) => Ok(inner.seen.len() as u64),
            _ => Err(failed()),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let (inner, None) = self.call()? else { return Err(failed()) };
        let from = usize::try_from(offset).unwrap();
        let Some(bytes) = inner.seen.get(from..from + out.len()) else {
            return Err(ErrorKind::UnexpectedEof.into());
        };
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let (mut inner, None) = self.call()? else { return Err(failed()) };
        if inner.bytes_max.is_some_and(|bytes_max| len > bytes_max) {
            return Err(ErrorKind::StorageFull.into());
        }
        let change = Change::Length(usize::try_from(len).unwrap());
        change.make(&mut inner.seen);
        inner.unsynced.push(change);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let (mut inner, fault) = self.call()?;
        let changes = std::mem::take(&mut inner.unsynced);
        let done = match fault {
            None => changes.len(),
            Some(Fault::Error) => 0,
            Some(_) => changes.len() / 2,
        };
        for change in &changes[..done] {
            change.make(&mut inner.synced);
        }
        if fault == Some(Fault::Midway) {
            // The rest may still have been on its way.
            inner.unsynced = changes[done..].to_vec();
        }
        fault.map_or(Ok(()), |_| Err(failed()))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let (mut inner, fault) = self.call()?;
        if fault == Some(Fault::Error) {
            return Err(failed());
        }
        let mut change = Change::Bytes(usize::try_from(offset).unwrap(), data.to_vec());
        if fault.is_some() {
            change = torn(&change);
        }
        change.make(&mut inner.seen);
        inner.unsynced.push(change);
        fault.map_or(Ok(()), |_| Err(failed()))
    }
}

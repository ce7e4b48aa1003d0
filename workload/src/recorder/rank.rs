//! One rank's calls into accesses with offsets: follows file positions through opens, seeks and transfers.
//!
//! Recorder prints descriptors, streams and handles as the name of the file, so a file that one rank has
//! open twice has one position here: that of the open it made last.

use std::collections::BTreeMap;

use super::functions::{self, Direction, Posix};
use super::line::Line;
use crate::limits::FILE_BYTES_MAX;

/// Longest path of a file: `PATH_MAX` of Linux.
const PATH_BYTES_MAX: usize = 4096;

const O_CREAT: i64 = 0o100;
const O_APPEND: i64 = 0o2000;
const O_TRUNC: i64 = 0o1000;
const O_DIRECTORY: i64 = 0o200_000;
const F_DUPFD: &str = "0";
const F_DUPFD_CLOEXEC: &str = "1030";

/// Which layer made an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    /// POSIX or STDIO, called by the program or a library above MPI-IO.
    Posix,
    /// POSIX, called by MPI-IO.
    UnderMpi,
    /// MPI-IO itself.
    Mpi,
}

/// What a kept call does. Files and communicators are places in the rank's own tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Open { file: u32, creates: bool },
    Close { file: u32 },
    Fsync { file: u32 },
    Transfer { file: u32, direction: Direction, offset: u64, bytes: u64 },
    Meet { comm: u32 },
}

/// A kept call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
    pub(super) layer: Layer,
    pub(super) what: What,
}

/// What is counted for the notes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Calls of functions that are not known, by name.
    pub(super) unknown: BTreeMap<String, u64>,
    pub(super) left_out_calls: u64,
    pub(super) left_out_bytes: u64,
    /// First folders of the files that were left out.
    pub(super) left_out_places: BTreeMap<String, u64>,
    pub(super) names: u64,
    pub(super) maps: u64,
    pub(super) impossible: u64,
    pub(super) twice_open: u64,
    pub(super) guessed_ends: u64,
    pub(super) guessed_offsets: u64,
    pub(super) untyped: u64,
    pub(super) unknown_comms: u64,
    pub(super) unnamed: u64,
}

/// One rank's part of a trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RankTrace {
    pub(super) calls: Vec<Call>,
    pub(super) files: Vec<String>,
    /// The highest byte that the rank knows each file to have had.
    pub(super) extents: Vec<u64>,
    pub(super) comms: Vec<String>,
    /// Ranks of `MPI_COMM_WORLD`, where the rank asked.
    pub(super) world: Option<u64>,
    /// The communicator of the ranks on the same node, where the program made one.
    pub(super) node: Option<String>,
    pub(super) tally: Tally,
}

/// An open file of a rank.
#[derive(Clone, Copy, Debug, Default)]
struct Descriptor {
    position: u64,
    appends: bool,
    /// Descriptors that share the position.
    copies: u32,
}

/// What a rank knows of a file.
#[derive(Debug, Default)]
struct Known {
    /// The rank's place of the file, `None` where it is left out.
    file: Option<u32>,
    open: Vec<Descriptor>,
    size: u64,
    /// Whether `size` comes from the trace.
    sized: bool,
}

/// Follows one rank.
pub(super) struct Follower<'a> {
    pub(super) trace: RankTrace,
    keeps: &'a dyn Fn(&str) -> bool,
    names: BTreeMap<String, usize>,
    known: Vec<Known>,
    pub(super) comm_places: BTreeMap<String, u32>,
    pub(super) handles: BTreeMap<String, super::mpi::Handle>,
    /// The layer of each traced call around the present one.
    around: Vec<Around>,
}

#[derive(Clone, Copy, PartialEq)]
enum Around {
    Posix,
    MpiIo,
    Other,
}

/// Where an access goes: an offset, or the file's position.
#[derive(Clone, Copy)]
enum Where {
    At(i64),
    Position,
}

impl<'a> Follower<'a> {
    /// A rank before its first call; `keeps` says which files count.
    pub(super) fn new(keeps: &'a dyn Fn(&str) -> bool) -> Self {
        Self {
            trace: RankTrace::default(),
            keeps,
            names: BTreeMap::new(),
            known: Vec::new(),
            comm_places: BTreeMap::new(),
            handles: BTreeMap::new(),
            around: Vec::new(),
        }
    }

    /// Takes the next call.
    pub(super) fn call(&mut self, line: &Line) -> Result<(), &'static str> {
        self.around.truncate(usize::from(line.depth));
        let inside_posix = self.around.contains(&Around::Posix);
        let layer = if self.around.contains(&Around::MpiIo) { Layer::UnderMpi } else { Layer::Posix };
        // A damaged depth may skip levels: what is not known calls nothing.
        self.around.resize(usize::from(line.depth), Around::Other);
        if let Some(mpi) = functions::mpi(line.function) {
            let is_io = line.function.starts_with("MPI_File_");
            self.around.push(if is_io { Around::MpiIo } else { Around::Other });
            return self.mpi(line, mpi);
        }
        let Some(posix) = functions::posix(line.function) else {
            self.around.push(Around::Other);
            // Libraries above call what is read here; user functions do nothing by themselves.
            if !is_library(line.function) {
                self.unknown(line.function);
            }
            return Ok(());
        };
        self.around.push(Around::Posix);
        // The outer call has been counted.
        if inside_posix { Ok(()) } else { self.posix(line, posix, layer) }
    }

    pub(super) fn unknown(&mut self, function: &str) {
        // Damage may invent any number of names.
        const NAMES_MAX: usize = 64;
        let unknown = &mut self.trace.tally.unknown;
        let name = if unknown.len() < NAMES_MAX { function } else { "others" };
        *unknown.entry(name.to_owned()).or_default() += 1;
    }

    fn posix(&mut self, line: &Line, posix: Posix, layer: Layer) -> Result<(), &'static str> {
        match posix {
            Posix::Open(before) => self.open(line, before, layer)?,
            Posix::Creat => {
                let path = line.path_before(1)?;
                self.opened(line, layer, &path, O_CREAT | O_TRUNC)?;
            }
            Posix::Fopen => {
                let path = line.path_before(1)?;
                self.opened(line, layer, &path, flags_of(line.arg_from_end(0)?))?;
            }
            Posix::Fdopen => {
                let appends = flags_of(line.arg_from_end(0)?) & O_APPEND != 0;
                let known = self.known(&line.path_before(1)?)?;
                if let Some(open) = self.descriptor(known).filter(|_| appends) {
                    open.appends = true;
                }
            }
            Posix::Close => self.close(line, layer)?,
            Posix::Transfer(direction) => {
                let bytes = Line::number(line.arg_from_end(0)?)?;
                self.transfer(line, layer, &line.path_before(2)?, direction, Where::Position, bytes)?;
            }
            Posix::TransferAt(direction) | Posix::VectorAt(direction) => {
                let place = if matches!(posix, Posix::TransferAt(_)) { 1 } else { 2 };
                let bytes = Line::number(line.arg_from_end(place)?)?;
                let at = Where::At(Line::number(line.arg_from_end(0)?)?);
                self.transfer(line, layer, &line.path_before(3)?, direction, at, bytes)?;
            }
            Posix::Vector(direction) => {
                let bytes = Line::number(line.arg_from_end(1)?)?;
                self.transfer(line, layer, &line.path_before(2)?, direction, Where::Position, bytes)?;
            }
            Posix::Stream(direction) => {
                let (size, count) = (Line::number(line.arg(1)?)?, Line::number(line.arg(2)?)?);
                let bytes = size.checked_mul(count).unwrap_or(i64::MAX);
                self.transfer(line, layer, &line.path(3, 0)?, direction, Where::Position, bytes)?;
            }
            Posix::Printf => {
                // Recorder counts the zero byte at the text's end.
                let bytes = Line::number(line.arg_from_end(0)?)?.saturating_sub(1);
                let path = line.path_before(1)?;
                self.transfer(line, layer, &path, Direction::Write, Where::Position, bytes)?;
            }
            Posix::Seek => self.seek(line)?,
            Posix::Truncate => {
                let length = Line::number(line.arg_from_end(0)?)?;
                let place = self.known(&line.path_before(1)?)?;
                self.resize(place, length);
            }
            Posix::Sync => {
                let known = self.known(&line.path_before(0)?)?;
                self.push_for(line, layer, known, |file| What::Fsync { file });
            }
            Posix::Dup => self.copied(&line.path_before(usize::from(line.args.len() > 1))?),
            Posix::Fcntl => {
                if line.args.len() >= 3 && [F_DUPFD, F_DUPFD_CLOEXEC].contains(&line.arg_from_end(1)?) {
                    self.copied(&line.path_before(2)?);
                }
            }
            Posix::Names => self.trace.tally.names += 1,
            Posix::Map => self.trace.tally.maps += 1,
            Posix::Harmless => {}
        }
        Ok(())
    }

    /// `open` has a mode behind the flags where it may create.
    fn open(&mut self, line: &Line, before: usize, layer: Layer) -> Result<(), &'static str> {
        let last = Line::number(line.arg_from_end(0)?)?;
        let words = line.args.len().saturating_sub(before);
        let flags = line.arg_from_end(1).ok().filter(|_| words >= 3).and_then(|word| word.parse().ok());
        let (path, flags) = match flags {
            Some(flags) if flags & O_CREAT != 0 => (line.path(before, 2)?, flags),
            _ => (line.path(before, 1)?, last),
        };
        self.opened(line, layer, &path, flags)
    }

    fn opened(&mut self, line: &Line, layer: Layer, path: &str, flags: i64) -> Result<(), &'static str> {
        if flags & O_DIRECTORY != 0 {
            return Ok(());
        }
        let place = self.known(path)?;
        if let Some(known) = self.known.get_mut(place) {
            if flags & O_TRUNC != 0 {
                known.size = 0;
                known.sized = true;
            }
            let again = !known.open.is_empty();
            known.open.push(Descriptor { position: 0, appends: flags & O_APPEND != 0, copies: 1 });
            self.trace.tally.twice_open += u64::from(again && known.file.is_some());
        }
        self.push_for(line, layer, place, |file| What::Open { file, creates: flags & O_CREAT != 0 });
        Ok(())
    }

    fn close(&mut self, line: &Line, layer: Layer) -> Result<(), &'static str> {
        let place = self.known(&line.path_before(0)?)?;
        let Some(known) = self.known.get_mut(place) else { return Ok(()) };
        // Opened before the trace began, or a descriptor that was made in a way that is not traced.
        let Some(open) = known.open.last_mut() else { return Ok(()) };
        open.copies -= 1;
        if open.copies == 0 {
            known.open.pop();
            self.push_for(line, layer, place, |file| What::Close { file });
        }
        Ok(())
    }

    fn copied(&mut self, name: &str) {
        // A bare number names no file; then a close too many follows, which does no harm.
        let Some(place) = self.names.get(name).copied() else { return };
        if let Some(open) = self.descriptor(place) {
            open.copies = open.copies.saturating_add(1);
        }
    }

    fn seek(&mut self, line: &Line) -> Result<(), &'static str> {
        let offset = Line::number(line.arg_from_end(1)?)?;
        let whence = Line::number(line.arg_from_end(0)?)?;
        let place = self.known(&line.path_before(2)?)?;
        let Some(known) = self.known.get_mut(place) else { return Ok(()) };
        let Some(open) = known.open.last_mut() else { return Ok(()) };
        let base = match whence {
            1 => open.position,
            2 => known.size,
            _ => 0,
        };
        // A seek to before the first byte fails and changes nothing.
        if let Some(position) = base.checked_add_signed(offset) {
            open.position = position;
            self.trace.tally.guessed_ends += u64::from(whence == 2 && !known.sized && known.file.is_some());
        }
        Ok(())
    }

    /// The file has this length from now on.
    pub(super) fn resize(&mut self, place: usize, length: i64) {
        let Ok(length) = u64::try_from(length) else { return };
        let Some(known) = self.known.get_mut(place) else { return };
        known.size = length;
        known.sized = true;
        let file = known.file;
        self.reaches(file, length);
    }

    fn reaches(&mut self, file: Option<u32>, end: u64) {
        if let Some(extent) = file.and_then(|file| self.trace.extents.get_mut(file as usize)) {
            *extent = (*extent).max(end);
        }
    }

    fn transfer(
        &mut self,
        line: &Line,
        layer: Layer,
        path: &str,
        direction: Direction,
        at: Where,
        bytes: i64,
    ) -> Result<(), &'static str> {
        let place = self.known(path)?;
        let Some(known) = self.known.get_mut(place) else { return Ok(()) };
        // Descriptors that were inherited begin at 0, as far as the trace can tell.
        if known.open.is_empty() {
            known.open.push(Descriptor { copies: 1, ..Descriptor::default() });
        }
        let Some(open) = known.open.last_mut() else { return Ok(()) };
        let (offset, moves) = match at {
            Where::At(offset) => (u64::try_from(offset).ok(), false),
            Where::Position if open.appends && direction == Direction::Write => (Some(known.size), true),
            Where::Position => (Some(open.position), true),
        };
        if bytes == 0 {
            return Ok(());
        }
        let range = offset.zip(u64::try_from(bytes).ok());
        let range = range
            .filter(|(offset, bytes)| offset.checked_add(*bytes).is_some_and(|end| end <= FILE_BYTES_MAX));
        let Some((offset, bytes)) = range else {
            self.trace.tally.impossible += 1;
            return Ok(());
        };
        let end = offset + bytes;
        if moves {
            open.position = end;
        }
        if direction == Direction::Write {
            known.size = known.size.max(end);
        }
        let file = known.file;
        if file.is_none() {
            let sum = &mut self.trace.tally.left_out_bytes;
            *sum = sum.saturating_add(bytes);
        }
        if direction == Direction::Write {
            self.reaches(file, end);
        }
        self.push_for(line, layer, place, |file| What::Transfer { file, direction, offset, bytes });
        Ok(())
    }

    /// Counts what an MPI-IO call moves.
    pub(super) fn mpi_transfer(
        &mut self,
        line: &Line,
        place: usize,
        direction: Direction,
        offset: u64,
        bytes: u64,
    ) {
        let Some(end) = offset.checked_add(bytes).filter(|end| *end <= FILE_BYTES_MAX) else {
            self.trace.tally.impossible += 1;
            return;
        };
        let file = self.known.get(place).and_then(|known| known.file);
        if direction == Direction::Write {
            self.reaches(file, end);
        }
        self.push_for(line, Layer::Mpi, place, |file| What::Transfer { file, direction, offset, bytes });
    }

    fn descriptor(&mut self, place: usize) -> Option<&mut Descriptor> {
        self.known.get_mut(place).and_then(|known| known.open.last_mut())
    }

    /// The place of a name, which is kept or left out when it first occurs.
    pub(super) fn known(&mut self, path: &str) -> Result<usize, &'static str> {
        if let Some(place) = self.names.get(path) {
            return Ok(*place);
        }
        if path.len() > PATH_BYTES_MAX {
            return Err("a path has more than 4096 bytes");
        }
        let file = (self.keeps)(path).then_some(self.trace.files.len() as u32);
        if file.is_some() {
            self.trace.files.push(path.to_owned());
            self.trace.extents.push(0);
        } else {
            self.leave_out(path);
        }
        let place = self.known.len();
        self.known.push(Known { file, ..Known::default() });
        self.names.insert(path.to_owned(), place);
        Ok(place)
    }

    fn leave_out(&mut self, path: &str) {
        // Enough for a note; damage may invent any number.
        const PLACES_MAX: usize = 64;
        let first = path.strip_prefix('/').map(|rest| rest.split('/').next().unwrap_or_default());
        let place = first.map_or_else(|| "no path".to_owned(), |first| format!("/{first}"));
        let places = &mut self.trace.tally.left_out_places;
        if places.len() < PLACES_MAX || places.contains_key(&place) {
            *places.entry(place).or_default() += 1;
        }
    }

    /// Keeps a call about a file that is kept.
    pub(super) fn push_for(&mut self, line: &Line, layer: Layer, place: usize, what: impl Fn(u32) -> What) {
        match self.known.get(place).and_then(|known| known.file) {
            Some(file) => self.push(line, layer, what(file)),
            None => self.trace.tally.left_out_calls += 1,
        }
    }

    pub(super) fn push(&mut self, line: &Line, layer: Layer, what: What) {
        self.trace.calls.push(Call { start_ns: line.start_ns, end_ns: line.end_ns, layer, what });
    }
}

/// The flags of `open` that a mode of `fopen` stands for, as far as they count here.
fn flags_of(mode: &str) -> i64 {
    match mode.as_bytes().first() {
        Some(b'w') => O_CREAT | O_TRUNC,
        Some(b'a') => O_CREAT | O_APPEND,
        _ => 0,
    }
}

/// Whether a function belongs to a library above MPI-IO or to the program itself.
fn is_library(function: &str) -> bool {
    function == "user_function"
        || ["H5", "nc_", "ncmpi_", "adios", "cuda", "cu", "hip"]
            .iter()
            .any(|start| function.starts_with(start))
}

//! MPI calls of one rank: where ranks meet, and what MPI-IO moves.

use super::functions::{Direction, Mpi, Place, type_bytes};
use super::line::Line;
use super::rank::{Follower, Layer, What};

/// Communicators of one process, which nobody meets in.
const ALONE: [&str; 2] = ["MPI_COMM_SELF", "MPI_COMM_NULL"];

/// The communicator of all ranks.
pub(super) const WORLD: &str = "MPI_COMM_WORLD";

/// `MPI_MODE_CREATE`: 1 in both MPICH and Open MPI.
const MODE_CREATE: i64 = 1;

/// `MPI_COMM_TYPE_SHARED` in Open MPI and MPICH.
const TYPE_SHARED: [&str; 2] = ["0", "1"];

/// An open MPI-IO file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handle {
    /// The file's place at the [`Follower`].
    place: usize,
    comm: Option<u32>,
    /// Where the individual file pointer stands, in bytes from the view's beginning.
    position: u64,
    /// The view: its first byte, bytes of its elements, and whether it has gaps.
    first: u64,
    element: u64,
    gaps: bool,
}

impl Follower<'_> {
    pub(super) fn mpi(&mut self, line: &Line, mpi: Mpi) -> Result<(), &'static str> {
        match mpi {
            Mpi::Meet(Place::First) => self.meet(line, line.arg(0)?),
            Mpi::Meet(Place::Last) => self.meet(line, line.arg_from_end(0)?),
            Mpi::CommSize => {
                if line.arg(0)? == WORLD {
                    // Versions before 2.3 printed an address.
                    self.trace.world = line.arg(1)?.parse().ok();
                }
            }
            Mpi::SplitType => {
                let comm = line.arg(0)?;
                self.meet(line, comm);
                let new = line.arg_from_end(1)?;
                let shared = comm == WORLD && TYPE_SHARED.contains(&line.arg(1)?);
                if shared && self.trace.node.is_none() && is_id(new) {
                    self.trace.node = Some(new.to_owned());
                }
            }
            Mpi::FileOpen => self.mpi_open(line)?,
            Mpi::FileClose => self.mpi_close(line)?,
            Mpi::FileSync => {
                if let Some(handle) = self.handle(line)? {
                    self.meet_of(line, &handle);
                    self.push_for(line, Layer::Mpi, handle.place, |file| What::Fsync { file });
                }
            }
            Mpi::FileSize { meets } => {
                let size = Line::number(line.arg(1)?)?;
                if let Some(handle) = self.handle(line)? {
                    if meets {
                        self.meet_of(line, &handle);
                    }
                    self.resize(handle.place, size);
                }
            }
            Mpi::FileView => self.mpi_view(line)?,
            Mpi::FileSeek => self.mpi_seek(line)?,
            Mpi::Transfer { direction, at, meets, shared } => {
                self.mpi_moves(line, direction, at, meets, shared)?;
            }
            Mpi::Harmless => {}
            Mpi::Unknown => self.unknown(line.function),
        }
        Ok(())
    }

    fn meet(&mut self, line: &Line, comm: &str) {
        if let Some(comm) = self.comm(comm) {
            self.push(line, Layer::Mpi, What::Meet { comm });
        }
    }

    fn meet_of(&mut self, line: &Line, handle: &Handle) {
        if let Some(comm) = handle.comm {
            self.push(line, Layer::Mpi, What::Meet { comm });
        }
    }

    /// The rank's place of a communicator in which ranks meet.
    fn comm(&mut self, name: &str) -> Option<u32> {
        if ALONE.contains(&name) {
            return None;
        }
        // Names that programs and MPI libraries give are not unique.
        if name != WORLD && !is_id(name) {
            self.trace.tally.unknown_comms += 1;
            return None;
        }
        if let Some(place) = self.comm_places.get(name) {
            return Some(*place);
        }
        let place = self.trace.comms.len() as u32;
        self.trace.comms.push(name.to_owned());
        self.comm_places.insert(name.to_owned(), place);
        Some(place)
    }

    fn mpi_open(&mut self, line: &Line) -> Result<(), &'static str> {
        let comm = self.comm(line.arg(0)?);
        let path = line.path(1, 3)?;
        let mode = Line::number(line.arg_from_end(2)?)?;
        let id = line.arg_from_end(0)?;
        let place = self.known(&path)?;
        let handle = Handle { place, comm, position: 0, first: 0, element: 1, gaps: false };
        self.meet_of(line, &handle);
        self.handles.insert(id.to_owned(), handle);
        self.push_for(line, Layer::Mpi, place, |file| What::Open { file, creates: mode & MODE_CREATE != 0 });
        Ok(())
    }

    fn mpi_close(&mut self, line: &Line) -> Result<(), &'static str> {
        if let Some(handle) = self.handles.remove(line.arg(0)?) {
            self.meet_of(line, &handle);
            self.push_for(line, Layer::Mpi, handle.place, |file| What::Close { file });
        }
        Ok(())
    }

    /// The open file of a call; one whose open is not traced has no name.
    fn handle(&mut self, line: &Line) -> Result<Option<Handle>, &'static str> {
        let handle = self.handles.get(line.arg(0)?).copied();
        self.trace.tally.unnamed += u64::from(handle.is_none());
        Ok(handle)
    }

    fn mpi_view(&mut self, line: &Line) -> Result<(), &'static str> {
        let Some(mut handle) = self.handle(line)? else { return Ok(()) };
        self.meet_of(line, &handle);
        let (etype, filetype) = (line.arg(2)?, line.arg(3)?);
        handle.first = u64::try_from(Line::number(line.arg(1)?)?).unwrap_or(0);
        handle.element = type_bytes(etype).unwrap_or(1);
        // A file type other than the elements themselves may leave gaps, and nothing tells which.
        handle.gaps = filetype != etype || type_bytes(etype).is_none();
        handle.position = 0;
        self.handles.insert(line.arg(0)?.to_owned(), handle);
        Ok(())
    }

    fn mpi_seek(&mut self, line: &Line) -> Result<(), &'static str> {
        let offset = Line::number(line.arg(1)?)?;
        let whence = line.arg(2)?;
        let Some(handle) = self.handles.get_mut(line.arg(0)?) else { return Ok(()) };
        let bytes = offset.saturating_mul(handle.element as i64);
        let base = match whence {
            "MPI_SEEK_CUR" => handle.position,
            "MPI_SEEK_SET" => 0,
            _ => {
                self.trace.tally.guessed_ends += 1;
                handle.position
            }
        };
        handle.position = base.saturating_add_signed(bytes);
        Ok(())
    }

    fn mpi_moves(
        &mut self,
        line: &Line,
        direction: Direction,
        at: bool,
        meets: bool,
        shared: bool,
    ) -> Result<(), &'static str> {
        let behind = usize::from(at);
        let offset = if at { Some(Line::number(line.arg(1)?)?) } else { None };
        let count = Line::number(line.arg(2 + behind)?)?;
        let element = type_bytes(line.arg(3 + behind)?);
        let Some(handle) = self.handle(line)? else { return Ok(()) };
        if meets {
            self.meet_of(line, &handle);
        }
        if count <= 0 {
            return Ok(());
        }
        let Some(bytes) = element.and_then(|element| element.checked_mul(count.unsigned_abs())) else {
            self.trace.tally.untyped += 1;
            return Ok(());
        };
        let from = match offset {
            Some(elements) => {
                u64::try_from(elements).ok().and_then(|place| place.checked_mul(handle.element))
            }
            None => Some(handle.position),
        };
        let Some(first) = from.and_then(|from| from.checked_add(handle.first)) else {
            self.trace.tally.impossible += 1;
            return Ok(());
        };
        self.trace.tally.guessed_offsets += u64::from(shared || handle.gaps);
        if let Some(open) = self.handles.get_mut(line.arg(0)?).filter(|_| !at) {
            open.position = open.position.saturating_add(bytes);
        }
        self.mpi_transfer(line, handle.place, direction, first, bytes);
        Ok(())
    }
}

/// Whether this is an id that Recorder gave: the rank that made it, and its count there.
fn is_id(name: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    name.split_once('-').is_some_and(|(rank, count)| digits(rank) && digits(count))
}

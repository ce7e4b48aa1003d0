//! A log that is read piece by piece: header and job at once, names and modules when asked for.

use std::path::Path;

use super::autoperf::{Apmpi, Apxc};
use super::counters::Shape;
use super::dxt::Dxt;
use super::error::{DarshanError, Fault};
use super::header::{Format, HEADER_BYTES_341, Header, Module, Region};
use super::heatmap::Heatmap;
use super::inflate::{Packed, Plain, REGION_BYTES_MAX, Scratch};
use super::job::Job;
use super::log::Skipped;
use super::lustre::Lustre;
use super::names::Names;
use super::records::{Counters, foreign_ranks};
use super::source::Source;

/// A Darshan log whose header and job record have been read.
///
/// While a module is read, memory is what its records take, which is below twice their bytes in the log, and a
/// constant below 8 MiB. Nothing of a module stays in the reader.
///
/// ```
/// use tarazu_darshan::{Module, Reader, Records};
///
/// let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../traces/darshan/ior-fpp-wr-n16.darshan");
/// let mut reader = Reader::open(path.as_ref())?;
/// println!("{} processes ran {}", reader.job().nprocs, reader.job().exe);
/// if let Some(part) = reader.module(Module::DxtPosix)? {
///     let Records::Dxt(dxt) = part.value else { unreachable!("DXT_POSIX holds traces") };
///     println!("{} accesses", dxt.segments.len());
/// #   assert_eq!(dxt.segments.len(), 1024);
/// }
/// # Ok::<(), tarazu_darshan::DarshanError>(())
/// ```
#[derive(Debug)]
pub struct Reader<'a> {
    file: String,
    source: Source<'a>,
    scratch: Scratch,
    header: Header,
    job: Job,
    notes: Vec<String>,
    faults: Vec<Fault>,
}

/// A part of a log: what could be read of it, and what is to be said about that.
#[derive(Debug)]
pub struct Part<T> {
    /// The records.
    pub value: T,
    /// Compressed streams that were whole; a region that is not compressed counts as one.
    pub streams: u64,
    /// Bytes of the region when inflated, as far as they were read.
    pub inflated_bytes: u64,
    /// What a reader of the numbers should know.
    pub notes: Vec<String>,
    /// What is damaged. Records before the damage are there all the same.
    pub faults: Vec<DarshanError>,
}

/// The records of a module.
#[derive(Clone, Debug, PartialEq)]
pub enum Records {
    /// Counters of fixed number: POSIX, MPI-IO, STDIO, H5F, H5D, PNETCDF_FILE, PNETCDF_VAR, BG/Q, DFS, DAOS.
    Counters(Counters),
    /// Layouts of files.
    Lustre(Lustre),
    /// Traced accesses: DXT_POSIX, DXT_MPIIO.
    Dxt(Dxt),
    /// Bytes by time.
    Heatmap(Heatmap),
    /// MPI calls.
    Apmpi(Apmpi),
    /// Routers of a Cray XC.
    Apxc(Apxc),
    /// A module that is not decoded; its bytes were not read.
    Skipped(Skipped),
}

impl Reader<'static> {
    /// Opens a log and reads its header and job record. A file is read piece by piece; what is no plain file,
    /// such as a pipe, is read into memory.
    ///
    /// # Errors
    /// Where the file cannot be read, is no Darshan 3.x log, or has no job record.
    pub fn open(path: &Path) -> Result<Self, DarshanError> {
        let file = path.display().to_string();
        let source = Source::open(path).map_err(|fault| DarshanError { file: file.clone(), fault })?;
        Self::new(file, source)
    }
}

impl<'a> Reader<'a> {
    /// Reads the header and job record of a log in memory; `file` names it in messages.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn from_bytes(file: &str, bytes: &'a [u8]) -> Result<Self, DarshanError> {
        Self::new(file.to_owned(), Source::Borrowed(bytes))
    }

    fn new(file: String, mut source: Source<'a>) -> Result<Self, DarshanError> {
        let mut scratch = Scratch::default();
        let mut notes = Vec::new();
        let read = read_start(&mut source, &mut scratch, &mut notes);
        let (header, job) = match read {
            Ok(read) => read,
            Err(fault) => return Err(DarshanError { file, fault }),
        };
        let faults = judge(&header, &job, &mut notes);
        Ok(Self { file, source, scratch, header, job, notes, faults })
    }

    /// The log's name as the caller gave it.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Size of the log.
    #[must_use]
    pub const fn file_bytes(&self) -> u64 {
        self.source.bytes()
    }

    /// Format, byte order, regions.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Who ran what, when, over how many processes.
    #[must_use]
    pub const fn job(&self) -> &Job {
        &self.job
    }

    /// What header and job record say to a reader of the numbers: incomplete modules, a killed job.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// A reader of the same log for another thread.
    pub(crate) fn twin(&self) -> Reader<'_> {
        Reader {
            file: self.file.clone(),
            source: self.source.twin(),
            scratch: Scratch::default(),
            header: self.header.clone(),
            job: self.job.clone(),
            notes: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// The header, the job record, notes and faults, for a [`Log`](super::Log).
    pub(crate) fn into_parts(self) -> (String, Header, Job, Vec<String>, Vec<DarshanError>) {
        let faults = self.faults.into_iter();
        let faults = faults.map(|fault| DarshanError { file: self.file.clone(), fault }).collect();
        (self.file, self.header, self.job, self.notes, faults)
    }

    /// Reads the names of files.
    pub fn names(&mut self) -> Part<Names> {
        let (offset, length) = self.header.names;
        let module = Module::Names;
        let mut part = Part {
            value: Names::default(),
            streams: 0,
            inflated_bytes: 0,
            notes: Vec::new(),
            faults: Vec::new(),
        };
        if length == 0 {
            return part;
        }
        let (length, beyond) = match self.inside(module, offset, length) {
            Ok(inside) => inside,
            Err(fault) => {
                part.faults.push(self.error(fault));
                return part;
            }
        };
        let packed = Packed { module, offset, length, compression: self.header.compression };
        let mut plain = Plain::new(&mut self.source, &mut self.scratch, packed, REGION_BYTES_MAX);
        let (names, faults) = Names::read(&mut plain, packed, self.header.order, self.header.format);
        part.value = names;
        (part.streams, part.inflated_bytes) = (plain.streams(), plain.at());
        part.faults = beyond.into_iter().chain(faults).map(|fault| self.error(fault)).collect();
        part
    }

    /// Reads the records of one module; `None` where the log has none.
    ///
    /// # Errors
    /// Where nothing of the module can be read: its region begins behind the file, overlaps another, or has records
    /// of an unknown version. Lesser damage is in [`Part::faults`].
    pub fn module(&mut self, module: Module) -> Result<Option<Part<Records>>, DarshanError> {
        let Some(region) = self.header.region(module) else { return Ok(None) };
        match self.read(&region) {
            Ok(part) => Ok(Some(part)),
            Err(fault) => Err(self.error(fault)),
        }
    }

    fn error(&self, fault: Fault) -> DarshanError {
        DarshanError { file: self.file.clone(), fault }
    }

    /// How much of a region lies in the file, and the fault where that is not all of it. What reaches beyond the
    /// file ends where the next region begins: the length is wrong, and those bytes are another's.
    fn inside(&self, module: Module, offset: u64, length: u64) -> Result<(u64, Option<Fault>), Fault> {
        let file_bytes = self.source.bytes();
        if lies_in(offset, length, file_bytes) {
            return Ok((length, None));
        }
        let fault = Fault::Region { module, offset, length, file_bytes };
        let starts = self.header.regions.iter().map(|other| other.offset).filter(|start| *start > offset);
        let end = starts.fold(file_bytes, u64::min);
        if end > offset { Ok((end - offset, Some(fault))) } else { Err(fault) }
    }

    fn read(&mut self, region: &Region) -> Result<Part<Records>, Fault> {
        let Region { module, offset, version, .. } = *region;
        let (length, beyond) = self.inside(module, offset, region.length)?;
        // A region that is itself wrong accuses no other.
        let before = self.header.regions.iter().take_while(|other| other.id < region.id);
        let mut before = before.filter(|other| lies_in(other.offset, other.length, self.source.bytes()));
        if let Some(other) = before.find(|other| overlap(region, other)) {
            return Err(Fault::Overlap { module, offset, length, other: other.module });
        }
        let order = self.header.order;
        let packed = Packed { module, offset, length, compression: self.header.compression };
        let mut plain = Plain::new(&mut self.source, &mut self.scratch, packed, REGION_BYTES_MAX);
        let mut notes = Vec::new();
        let (value, mut faults) = match module {
            Module::Lustre => {
                let (read, faults) = Lustre::read(&mut plain, packed, order, region)?;
                (Records::Lustre(read), faults)
            }
            Module::DxtPosix | Module::DxtMpiio => {
                let (read, faults) = Dxt::read(&mut plain, packed, order, region)?;
                (Records::Dxt(read), faults)
            }
            Module::Heatmap => {
                let (read, faults) = Heatmap::read(&mut plain, packed, order, region)?;
                notes = read.notes();
                (Records::Heatmap(read), faults)
            }
            Module::Apmpi => {
                let (read, faults) = Apmpi::read(&mut plain, packed, order, region)?;
                (Records::Apmpi(read), faults)
            }
            Module::Apxc => {
                let (read, faults) = Apxc::read(&mut plain, packed, order, region)?;
                notes = read.notes();
                (Records::Apxc(read), faults)
            }
            _ if Shape::exists(module) => {
                let (read, faults) = Counters::read(&mut plain, packed, order, region)?;
                (Records::Counters(read), faults)
            }
            _ => (Records::Skipped(Skipped { module, version, packed_bytes: length }), Vec::new()),
        };
        let (streams, inflated_bytes) = (plain.streams(), plain.at());
        // A job record without processes has been reported; every rank is foreign to it.
        if self.job.has_processes() {
            faults.extend(foreign_ranks(region, value.ranks(), self.job.nprocs));
        }
        let faults = beyond.into_iter().chain(faults).map(|fault| self.error(fault)).collect();
        Ok(Part { value, streams, inflated_bytes, notes, faults })
    }
}

impl Records {
    /// Ranks of all records.
    fn ranks(&self) -> Box<dyn Iterator<Item = i64> + '_> {
        match self {
            Self::Counters(read) => Box::new(read.ranks().iter().copied()),
            Self::Lustre(read) => Box::new(read.records.iter().map(|record| record.rank)),
            Self::Dxt(read) => Box::new(read.records.iter().map(|record| record.rank)),
            Self::Heatmap(read) => Box::new(read.records.iter().map(|record| record.rank)),
            Self::Apmpi(read) => Box::new(read.ranks.ranks().iter().copied()),
            Self::Apxc(_) | Self::Skipped(_) => Box::new(std::iter::empty()),
        }
    }
}

fn read_start(
    source: &mut Source<'_>,
    scratch: &mut Scratch,
    notes: &mut Vec<String>,
) -> Result<(Header, Job), Fault> {
    let bytes = source.bytes();
    let header = Header::read(source.at(0, HEADER_BYTES_341 as u64)?, bytes)?;
    let job = Job::read(source, scratch, &header, notes)?;
    Ok((header, job))
}

/// Faults and notes that follow from header and job record alone.
fn judge(header: &Header, job: &Job, notes: &mut Vec<String>) -> Vec<Fault> {
    if job.end_sec == 0 {
        notes.push("the end time is 0: the job was killed, its log may end early".to_owned());
    } else if job.run_time_s().is_none() {
        notes.push("the job ends before it starts: its times are not to be trusted".to_owned());
    }
    if header.format == Format::V320 {
        let known = "written by Darshan 3.2.0, which damages common-access counters and possibly others";
        notes.push(known.to_owned());
    }
    for module in &header.partial {
        notes.push(match module {
            Module::Null => "Darshan marked an unnamed module incomplete".to_owned(),
            module => format!("{module} is incomplete: Darshan ran out of memory for it"),
        });
    }
    if job.has_processes() {
        return Vec::new();
    }
    let (offset, length) = header.job;
    vec![Fault::Processes { offset, length, nprocs: job.nprocs }]
}

fn lies_in(offset: u64, length: u64, file_bytes: u64) -> bool {
    offset.checked_add(length).is_some_and(|end| end <= file_bytes)
}

fn overlap(a: &Region, b: &Region) -> bool {
    a.offset < b.offset.saturating_add(b.length) && b.offset < a.offset.saturating_add(a.length)
}

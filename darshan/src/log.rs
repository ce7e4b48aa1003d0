//! A whole log: reads the regions in order and collects what went wrong without giving up.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::counters::Shape;
use super::dxt::Dxt;
use super::error::{DarshanError, Fault};
use super::header::{Format, Header, Module, Region};
use super::inflate::{Plain, REGION_BYTES_MAX, unpack};
use super::job::Job;
use super::lustre::Lustre;
use super::names::Names;
use super::records::{Counters, foreign_ranks};

/// Bytes of a log file. The file is held in memory; the largest known logs have some hundred MiB.
const FILE_BYTES_MAX: u64 = 4 << 30;

/// A module that was not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The module.
    pub module: Module,
    /// Version of its records.
    pub version: u32,
    /// Its bytes in the file.
    pub packed_bytes: u64,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (record version {}) was skipped: it is not decoded", self.module, self.version)
    }
}

/// A Darshan log in memory.
#[derive(Debug)]
pub struct Log {
    /// The log's name as the caller gave it.
    pub file: String,
    /// Format, byte order, regions.
    pub header: Header,
    /// Who, when, how many.
    pub job: Job,
    /// File names.
    pub names: Names,
    /// POSIX counters.
    pub posix: Option<Counters>,
    /// MPI-IO counters.
    pub mpiio: Option<Counters>,
    /// STDIO counters.
    pub stdio: Option<Counters>,
    /// Lustre layouts.
    pub lustre: Option<Lustre>,
    /// Traced POSIX accesses.
    pub dxt_posix: Option<Dxt>,
    /// Traced MPI-IO accesses.
    pub dxt_mpiio: Option<Dxt>,
    /// Modules with records that were not decoded.
    pub skipped: Vec<Skipped>,
    /// What a reader of the numbers should know: incomplete modules, a killed job.
    pub notes: Vec<String>,
    /// What is damaged. What could be read is there all the same.
    pub faults: Vec<DarshanError>,
}

impl Log {
    /// Reads a log from a file.
    ///
    /// # Errors
    /// Where the file cannot be read, is no Darshan 3.x log, or has no job record. Damage to single
    /// modules is in [`Log::faults`] instead.
    pub fn open(path: &Path) -> Result<Self, DarshanError> {
        let file = path.display().to_string();
        let fail = |fault| DarshanError { file: file.clone(), fault };
        let bytes = fs::metadata(path).map_err(|error| fail(Fault::Read(error)))?.len();
        if bytes > FILE_BYTES_MAX {
            return Err(fail(Fault::FileTooLarge { bytes, limit: FILE_BYTES_MAX }));
        }
        let log = fs::read(path).map_err(|error| fail(Fault::Read(error)))?;
        Self::from_bytes(&file, &log)
    }

    /// Reads several logs in parallel; the answers are in the order of the paths.
    #[must_use]
    pub fn open_all(paths: &[PathBuf]) -> Vec<Result<Self, DarshanError>> {
        paths.par_iter().map(|path| Self::open(path)).collect()
    }

    /// Reads a log from memory; `file` names it in messages.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn from_bytes(file: &str, bytes: &[u8]) -> Result<Self, DarshanError> {
        let fail = |fault| DarshanError { file: file.to_owned(), fault };
        let header = Header::read(bytes).map_err(fail)?;
        let mut notes = Vec::new();
        let job = Job::read(bytes, &header, &mut notes).map_err(fail)?;
        let mut log = Self {
            file: file.to_owned(),
            header,
            job,
            names: Names::default(),
            posix: None,
            mpiio: None,
            stdio: None,
            lustre: None,
            dxt_posix: None,
            dxt_mpiio: None,
            skipped: Vec::new(),
            notes,
            faults: Vec::new(),
        };
        log.judge_job();
        log.read_names(bytes);
        log.read_modules(bytes);
        Ok(log)
    }

    fn fault(&mut self, fault: Fault) {
        self.faults.push(DarshanError { file: self.file.clone(), fault });
    }

    /// Notes and faults that follow from header and job record alone.
    fn judge_job(&mut self) {
        if !self.job.has_processes() {
            self.fault(Fault::Processes { nprocs: self.job.nprocs });
        }
        if self.job.end_sec == 0 {
            self.notes.push("the end time is 0: the job was killed, its log may end early".to_owned());
        } else if self.job.run_time_s().is_none() {
            self.notes.push("the job ends before it starts: its times are not to be trusted".to_owned());
        }
        if self.header.format == Format::V320 {
            let known = "written by Darshan 3.2.0, which damages common-access counters and possibly others";
            self.notes.push(known.to_owned());
        }
        for module in &self.header.partial {
            self.notes.push(match module {
                Module::Null => "Darshan marked an unnamed module incomplete".to_owned(),
                module => format!("{module} is incomplete: Darshan ran out of memory for it"),
            });
        }
    }

    fn read_names(&mut self, log: &[u8]) {
        let (offset, length) = self.header.names;
        if length == 0 {
            return;
        }
        let module = Module::Names;
        let (file_bytes, compression) = (log.len(), self.header.compression);
        let Some(packed) = slice(log, offset, length) else {
            self.fault(Fault::Region { module, offset, length, file_bytes });
            return;
        };
        let Plain { bytes, fault } = unpack(packed, compression, module, offset, REGION_BYTES_MAX);
        let (names, cut) = Names::read(bytes.into_owned(), self.header.order, self.header.format);
        self.names = names;
        for fault in fault.into_iter().chain(cut) {
            self.fault(fault);
        }
    }

    fn read_modules(&mut self, log: &[u8]) {
        let regions = self.header.regions.clone();
        let mut seen: Vec<Region> = Vec::with_capacity(regions.len());
        for region in regions {
            if let Err(fault) = self.read_module(log, &region, &seen) {
                self.fault(fault);
            }
            seen.push(region);
        }
    }

    fn read_module(&mut self, log: &[u8], region: &Region, seen: &[Region]) -> Result<(), Fault> {
        let Region { module, offset, length, version, .. } = *region;
        let packed = slice(log, offset, length).ok_or(Fault::Region {
            module,
            offset,
            length,
            file_bytes: log.len(),
        })?;
        if let Some(other) = seen.iter().find(|other| overlap(region, other)) {
            return Err(Fault::Overlap { module, offset, other: other.module });
        }
        let compression = self.header.compression;
        let decoded = Shape::of(module, 1).is_some()
            || matches!(module, Module::Lustre | Module::DxtPosix | Module::DxtMpiio);
        if !decoded {
            self.skipped.push(Skipped { module, version, packed_bytes: length });
            return Ok(());
        }
        let Plain { bytes, fault } = unpack(packed, compression, module, offset, REGION_BYTES_MAX);
        if let Some(fault) = fault {
            self.fault(fault);
        }
        self.keep(&bytes, region)
    }

    /// Decodes a plain region and keeps its records.
    fn keep(&mut self, bytes: &[u8], region: &Region) -> Result<(), Fault> {
        let (module, order) = (region.module, self.header.order);
        let nprocs = self.job.nprocs;
        let (cut, foreign) = match module {
            Module::Lustre => {
                let (read, cut) = Lustre::read(bytes, order, region)?;
                let foreign = foreign_ranks(module, read.records.iter().map(|record| record.rank), nprocs);
                self.lustre = Some(read);
                (cut, foreign)
            }
            Module::DxtPosix | Module::DxtMpiio => {
                let (read, cut) = Dxt::read(bytes, order, region)?;
                let foreign = foreign_ranks(module, read.records.iter().map(|record| record.rank), nprocs);
                let place =
                    if module == Module::DxtPosix { &mut self.dxt_posix } else { &mut self.dxt_mpiio };
                *place = Some(read);
                (cut, foreign)
            }
            _ => {
                let (read, cut) = Counters::read(bytes, order, region)?;
                let foreign = foreign_ranks(module, read.ranks().iter().copied(), nprocs);
                let place = match module {
                    Module::Posix => &mut self.posix,
                    Module::MpiIo => &mut self.mpiio,
                    _ => &mut self.stdio,
                };
                *place = Some(read);
                (cut, foreign)
            }
        };
        // A job record without processes has been reported; every rank is foreign to it.
        let foreign = foreign.filter(|_| self.job.has_processes());
        for fault in cut.into_iter().chain(foreign) {
            self.fault(fault);
        }
        Ok(())
    }
}

fn slice(log: &[u8], offset: u64, length: u64) -> Option<&[u8]> {
    let end = offset.checked_add(length)?;
    log.get(usize::try_from(offset).ok()?..usize::try_from(end).ok()?)
}

fn overlap(a: &Region, b: &Region) -> bool {
    a.offset < b.offset.saturating_add(b.length) && b.offset < a.offset.saturating_add(a.length)
}

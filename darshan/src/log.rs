//! A whole log in memory: every part of it read, and what went wrong collected without giving up.

use std::fmt;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::autoperf::{Apmpi, Apxc};
use super::dxt::Dxt;
use super::error::DarshanError;
use super::header::{Header, Module};
use super::heatmap::Heatmap;
use super::job::Job;
use super::lustre::Lustre;
use super::names::Names;
use super::reader::{Part, Reader, Records};
use super::records::Counters;

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

/// How a region was packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inflated {
    /// Whose region, [`Module::Names`] for the names.
    pub module: Module,
    /// Compressed streams that were whole; a region that is not compressed counts as one.
    pub streams: u64,
    /// Bytes when inflated, as far as they were read.
    pub bytes: u64,
}

/// What a module gave.
type Outcome = Result<Option<Part<Records>>, DarshanError>;

/// Names and modules; those of a larger log on several threads, whatever order they are read in.
fn read_all(reader: &mut Reader<'_>) -> (Part<Names>, Vec<(Module, Outcome)>) {
    let modules: Vec<Module> = reader.header().regions.iter().map(|region| region.module).collect();
    if reader.file_bytes() < THREADS_FROM_BYTES {
        let names = reader.names();
        return (names, modules.into_iter().map(|module| (module, reader.module(module))).collect());
    }
    let reader = &*reader;
    rayon::join(
        || reader.twin().names(),
        || modules.into_par_iter().map(|module| (module, reader.twin().module(module))).collect(),
    )
}

/// Size of a log from which modules are read side by side: below it threads cost more than they bring.
const THREADS_FROM_BYTES: u64 = 64 << 10;

/// A Darshan log in memory.
#[derive(Debug)]
pub struct Log {
    /// The log's name as the caller gave it.
    pub file: String,
    /// Size of the file.
    pub file_bytes: u64,
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
    /// HDF5 files.
    pub h5f: Option<Counters>,
    /// HDF5 datasets.
    pub h5d: Option<Counters>,
    /// PnetCDF files.
    pub pnetcdf_file: Option<Counters>,
    /// PnetCDF variables.
    pub pnetcdf_var: Option<Counters>,
    /// Blue Gene/Q partitions.
    pub bgq: Option<Counters>,
    /// Files of DAOS file systems.
    pub dfs: Option<Counters>,
    /// DAOS objects.
    pub daos: Option<Counters>,
    /// Lustre layouts.
    pub lustre: Option<Lustre>,
    /// Traced POSIX accesses.
    pub dxt_posix: Option<Dxt>,
    /// Traced MPI-IO accesses.
    pub dxt_mpiio: Option<Dxt>,
    /// Bytes by time.
    pub heatmap: Option<Heatmap>,
    /// MPI calls.
    pub apmpi: Option<Apmpi>,
    /// Routers of a Cray XC.
    pub apxc: Option<Apxc>,
    /// How the regions that were read were packed, in the order of reading.
    pub inflated: Vec<Inflated>,
    /// Modules with records that were not decoded.
    pub skipped: Vec<Skipped>,
    /// What a reader of the numbers should know: incomplete modules, a killed job.
    pub notes: Vec<String>,
    /// What is damaged. What could be read is there all the same.
    pub faults: Vec<DarshanError>,
}

impl Log {
    /// Reads a log from a file. Of the file itself only a window is in memory.
    ///
    /// # Errors
    /// Where the file cannot be read, is no Darshan 3.x log, or has no job record. Damage to single
    /// modules is in [`Log::faults`] instead.
    pub fn open(path: &Path) -> Result<Self, DarshanError> {
        Reader::open(path).map(Self::read)
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
        Reader::from_bytes(file, bytes).map(Self::read)
    }

    /// The counters of a module that has nothing but counters; `None` where the log has none. Those of MPI calls
    /// are [`Apmpi::ranks`].
    #[must_use]
    pub const fn counters(&self, module: Module) -> Option<&Counters> {
        match module {
            Module::Posix => self.posix.as_ref(),
            Module::MpiIo => self.mpiio.as_ref(),
            Module::Stdio => self.stdio.as_ref(),
            Module::H5f => self.h5f.as_ref(),
            Module::H5d => self.h5d.as_ref(),
            Module::PnetcdfFile => self.pnetcdf_file.as_ref(),
            Module::PnetcdfVar => self.pnetcdf_var.as_ref(),
            Module::Bgq => self.bgq.as_ref(),
            Module::Dfs => self.dfs.as_ref(),
            Module::Daos => self.daos.as_ref(),
            _ => None,
        }
    }

    /// The traces of a layer, [`Module::DxtPosix`] or [`Module::DxtMpiio`].
    #[must_use]
    pub const fn dxt(&self, module: Module) -> Option<&Dxt> {
        match module {
            Module::DxtPosix => self.dxt_posix.as_ref(),
            Module::DxtMpiio => self.dxt_mpiio.as_ref(),
            _ => None,
        }
    }

    /// Whether something is missing or damaged, so that sums are lower bounds: faults, or modules that Darshan
    /// had no memory for.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        !self.faults.is_empty() || !self.header.partial.is_empty()
    }

    fn read(mut reader: Reader<'_>) -> Self {
        let (names, read) = read_all(&mut reader);
        let Part { value: names, streams, inflated_bytes, notes, faults } = names;
        let mut inflated = vec![Inflated { module: Module::Names, streams, bytes: inflated_bytes }];
        let mut parts = Vec::with_capacity(read.len());
        let (mut late_notes, mut late_faults) = (notes, faults);
        for (module, outcome) in read {
            match outcome {
                Ok(Some(part)) => {
                    late_notes.extend(part.notes);
                    late_faults.extend(part.faults);
                    if !matches!(part.value, Records::Skipped(_)) {
                        let (streams, bytes) = (part.streams, part.inflated_bytes);
                        inflated.push(Inflated { module, streams, bytes });
                    }
                    parts.push((module, part.value));
                }
                Ok(None) => {}
                Err(error) => late_faults.push(error),
            }
        }
        let file_bytes = reader.file_bytes();
        let (file, header, job, mut notes, mut faults) = reader.into_parts();
        notes.append(&mut late_notes);
        faults.append(&mut late_faults);
        let mut log = Self {
            file,
            file_bytes,
            header,
            job,
            names,
            posix: None,
            mpiio: None,
            stdio: None,
            h5f: None,
            h5d: None,
            pnetcdf_file: None,
            pnetcdf_var: None,
            bgq: None,
            dfs: None,
            daos: None,
            lustre: None,
            dxt_posix: None,
            dxt_mpiio: None,
            heatmap: None,
            apmpi: None,
            apxc: None,
            inflated,
            skipped: Vec::new(),
            notes,
            faults,
        };
        parts.into_iter().for_each(|(module, records)| log.keep(module, records));
        log
    }

    fn keep(&mut self, module: Module, records: Records) {
        match records {
            Records::Counters(read) => {
                let place = match module {
                    Module::Posix => &mut self.posix,
                    Module::MpiIo => &mut self.mpiio,
                    Module::Stdio => &mut self.stdio,
                    Module::H5f => &mut self.h5f,
                    Module::H5d => &mut self.h5d,
                    Module::PnetcdfFile => &mut self.pnetcdf_file,
                    Module::PnetcdfVar => &mut self.pnetcdf_var,
                    Module::Bgq => &mut self.bgq,
                    Module::Dfs => &mut self.dfs,
                    _ => &mut self.daos,
                };
                *place = Some(read);
            }
            Records::Dxt(read) => {
                let is_posix = module == Module::DxtPosix;
                *(if is_posix { &mut self.dxt_posix } else { &mut self.dxt_mpiio }) = Some(read);
            }
            Records::Lustre(read) => self.lustre = Some(read),
            Records::Heatmap(read) => self.heatmap = Some(read),
            Records::Apmpi(read) => self.apmpi = Some(read),
            Records::Apxc(read) => self.apxc = Some(read),
            Records::Skipped(skipped) => self.skipped.push(skipped),
        }
    }
}

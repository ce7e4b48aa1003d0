//! The job record: who ran what, when, over how many processes, and which file systems were mounted.

use super::cursor::{Cursor, text};
use super::error::Fault;
use super::header::{Format, Header, Module};
use super::inflate::{Packed, Plain, Scratch};
use super::source::Source;

/// Bytes that the job region may inflate to. Darshan writes at most 4096; more is not looked at.
const JOB_BYTES_MAX: u64 = 64 << 10;

/// Fixed part, metadata, command line and mounts together (`DARSHAN_EXE_LEN` plus the struct).
const JOB_RECORD_BYTES: usize = 4096;

/// Bytes of the metadata lines.
const METADATA_BYTES: usize = 1024;

/// Processes beyond which a job record is taken for garbage: about a hundred times the largest runs.
pub(crate) const PROCESSES_MAX: i64 = 1 << 30;

/// A mounted file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Its type: `lustre`, `gpfs`, `nfs`.
    pub fs_type: String,
    /// Where it is mounted.
    pub path: String,
}

/// The job record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Job {
    /// The owner's numeric user id.
    pub uid: i64,
    /// Start in seconds since 1970.
    pub start_sec: i64,
    /// Nanoseconds behind `start_sec`; 0 before format 3.41.
    pub start_nsec: i64,
    /// End in seconds since 1970; 0 where the job was killed.
    pub end_sec: i64,
    /// Nanoseconds behind `end_sec`.
    pub end_nsec: i64,
    /// MPI processes, 1 for serial programs.
    pub nprocs: i64,
    /// The scheduler's number of the job.
    pub jobid: i64,
    /// `key=value` lines, in order: `lib_ver`, `h` (MPI-IO hints).
    pub metadata: Vec<(String, String)>,
    /// The command line.
    pub exe: String,
    /// Mounted file systems in the log's order.
    pub mounts: Vec<Mount>,
    /// Whole seconds only, as before format 3.41: the run time then counts the begun second.
    pub(crate) whole_seconds: bool,
}

impl Job {
    /// End minus start in seconds as the log has it, negative where the end is unknown. Logs before
    /// format 3.41 have whole seconds, and one is added for the begun one, as Darshan's tools do.
    #[must_use]
    pub fn recorded_run_time_s(&self) -> f64 {
        // In 128 bits, since damaged logs hold any number here.
        let seconds = i128::from(self.end_sec) - i128::from(self.start_sec);
        if self.whole_seconds {
            return (seconds + 1) as f64;
        }
        let nanoseconds = i128::from(self.end_nsec) - i128::from(self.start_nsec);
        seconds as f64 + nanoseconds as f64 / 1e9
    }

    /// Run time in seconds, `None` where the job was killed or its times are impossible.
    #[must_use]
    pub fn run_time_s(&self) -> Option<f64> {
        Some(self.recorded_run_time_s()).filter(|seconds| self.end_sec > 0 && *seconds >= 0.0)
    }

    /// Whether the number of processes can be true.
    #[must_use]
    pub const fn has_processes(&self) -> bool {
        self.nprocs >= 1 && self.nprocs <= PROCESSES_MAX
    }

    /// The version of the library that wrote the log, if known.
    #[must_use]
    pub fn library(&self) -> Option<&str> {
        self.metadata.iter().find(|(key, _)| key == "lib_ver").map(|(_, value)| value.as_str())
    }

    /// The mount that `path` lies on: the longest that is a prefix by whole names.
    #[must_use]
    pub fn mount_of(&self, path: &str) -> Option<&Mount> {
        let above = self.mounts.iter().filter(|mount| lies_under(path, &mount.path));
        above.max_by_key(|mount| mount.path.len())
    }

    /// Reads the job region of a log, and notes about it.
    pub(crate) fn read(
        source: &mut Source<'_>,
        scratch: &mut Scratch,
        header: &Header,
        notes: &mut Vec<String>,
    ) -> Result<Self, Fault> {
        let (offset, length) = header.job;
        let region = Packed { module: Module::Job, offset, length, compression: header.compression };
        let mut plain = Plain::new(source, scratch, region, JOB_BYTES_MAX);
        let needed = if header.format == Format::V341 { 56 } else { 40 } + METADATA_BYTES;
        let there = plain.fill(JOB_RECORD_BYTES).len();
        if there < needed {
            // A region too long is no obstacle where its start could be read; a broken one is.
            return Err(plain.take_fault().unwrap_or(Fault::Job { offset, length, bytes: there, needed }));
        }
        let bytes = plain.take(there.min(JOB_RECORD_BYTES)).unwrap_or(&[]);
        let bad = Fault::Job { offset, length, bytes: bytes.len(), needed };
        Self::parse(bytes, header, notes).ok_or(bad)
    }

    fn parse(bytes: &[u8], header: &Header, notes: &mut Vec<String>) -> Option<Self> {
        let mut words = Cursor::new(bytes, header.order);
        let precise = header.format == Format::V341;
        let mut job = Self { uid: words.i64()?, start_sec: words.i64()?, ..Self::default() };
        if precise {
            job.start_nsec = words.i64()?;
        }
        job.end_sec = words.i64()?;
        if precise {
            job.end_nsec = words.i64()?;
        }
        job.nprocs = words.i64()?;
        job.jobid = words.i64()?;
        job.whole_seconds = !precise;
        let metadata = text(words.take(METADATA_BYTES)?);
        let pairs = metadata.lines().filter_map(|line| line.split_once('='));
        job.metadata = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let tail = text(words.rest());
        let mut lines = tail.split('\n');
        job.exe = lines.next().unwrap_or_default().to_owned();
        let mut malformed = 0;
        for line in lines.filter(|line| !line.is_empty()) {
            match line.split_once('\t').filter(|(_, path)| path.starts_with('/')) {
                Some((fs_type, path)) => {
                    job.mounts.push(Mount { fs_type: fs_type.to_owned(), path: path.to_owned() });
                }
                None => malformed += 1,
            }
        }
        if malformed > 0 {
            notes.push(format!("{malformed} malformed lines of the mount table were skipped"));
        }
        Some(job)
    }
}

/// Whether `path` is `folder` or lies under it, by whole names.
#[must_use]
pub fn lies_under(path: &str, folder: &str) -> bool {
    let folder = folder.trim_end_matches('/');
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(fs_type: &str, path: &str) -> Mount {
        Mount { fs_type: fs_type.to_owned(), path: path.to_owned() }
    }

    #[test]
    fn the_longest_mount_wins_by_whole_names() {
        let mounts = vec![mount("ext4", "/"), mount("lustre", "/scratch"), mount("nfs", "/scratch/home")];
        let job = Job { mounts, ..Job::default() };
        let fs = |path| job.mount_of(path).map(|mount| mount.fs_type.as_str());
        assert_eq!(fs("/scratch/a"), Some("lustre"));
        assert_eq!(fs("/scratch/home/b"), Some("nfs"));
        assert_eq!(fs("/scratch2/a"), Some("ext4"));
        assert_eq!(fs("<STDOUT>"), None);
    }

    #[test]
    fn a_killed_job_has_no_run_time() {
        let job = Job { start_sec: 100, start_nsec: 5, ..Job::default() };
        assert_eq!(job.run_time_s(), None);
        let job = Job { start_sec: 100, end_sec: 101, end_nsec: 500_000_000, ..Job::default() };
        assert_eq!(job.run_time_s(), Some(1.5));
        let job = Job { start_sec: 100, end_sec: 100, whole_seconds: true, ..Job::default() };
        assert_eq!(job.run_time_s(), Some(1.0));
    }
}

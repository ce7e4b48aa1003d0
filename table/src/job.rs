//! How a file that is about to be created finds its entry in the job section.

use tarazu_layout::{JobId, hash};

/// The kind of a file, judged by the end of its name: one program writes checkpoints and logs, and
/// only the name tells them apart at `open()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileClass {
    /// No or an unknown ending.
    Other,
    /// HDF5.
    Hdf5,
    /// NetCDF.
    NetCdf,
    /// ADIOS.
    Adios,
    /// Checkpoints and restart files by name.
    Checkpoint,
    /// Raw binary data.
    Binary,
    /// Logs and other text.
    Text,
}

/// Endings without their dot, in lower case. New ones may be added at any time: a table made with
/// another list falls back to the entry for any file class.
const ENDINGS: [(&[u8], FileClass); 27] = [
    (b"h5", FileClass::Hdf5),
    (b"hdf5", FileClass::Hdf5),
    (b"hdf", FileClass::Hdf5),
    (b"he5", FileClass::Hdf5),
    (b"nc", FileClass::NetCdf),
    (b"nc4", FileClass::NetCdf),
    (b"cdf", FileClass::NetCdf),
    (b"bp", FileClass::Adios),
    (b"bp4", FileClass::Adios),
    (b"bp5", FileClass::Adios),
    (b"chk", FileClass::Checkpoint),
    (b"ckpt", FileClass::Checkpoint),
    (b"cpt", FileClass::Checkpoint),
    (b"rst", FileClass::Checkpoint),
    (b"restart", FileClass::Checkpoint),
    (b"bin", FileClass::Binary),
    (b"dat", FileClass::Binary),
    (b"data", FileClass::Binary),
    (b"raw", FileClass::Binary),
    (b"npy", FileClass::Binary),
    (b"vtu", FileClass::Binary),
    (b"txt", FileClass::Text),
    (b"log", FileClass::Text),
    (b"out", FileClass::Text),
    (b"err", FileClass::Text),
    (b"csv", FileClass::Text),
    (b"json", FileClass::Text),
];

/// No ending in the list is longer; longer ones are not looked at.
const ENDING_MAX: usize = 7;

impl FileClass {
    /// The class of a path or file name; upper and lower case count the same.
    #[must_use]
    pub fn of_name(name: &[u8]) -> Self {
        let tail = &name[name.len().saturating_sub(ENDING_MAX + 1)..];
        let Some(dot) = tail.iter().rposition(|byte| *byte == b'.') else {
            return Self::Other;
        };
        let ending = &tail[dot + 1..];
        let known = ENDINGS.iter().find(|(known, _)| known.eq_ignore_ascii_case(ending));
        known.map_or(Self::Other, |(_, class)| *class)
    }

    /// Its number in keys. Part of table bytes, so it never changes.
    const fn number(self) -> u64 {
        match self {
            Self::Other => 1,
            Self::Hdf5 => 2,
            Self::NetCdf => 3,
            Self::Adios => 4,
            Self::Checkpoint => 5,
            Self::Binary => 6,
            Self::Text => 7,
        }
    }
}

/// A kind of entry that a file may be found under: one for each file class, one for any file of the
/// executable, one for any of the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(u8);

impl Slot {
    /// Number of slots.
    pub const COUNT: usize = 9;

    /// Its number, `0..COUNT`.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The hashed key of an entry in the job section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobKey(pub u64);

// What stands for "any" in a key. Distinct from every file class, and unlikely as a hash.
const ANY_FILE: u64 = 0;
const ANY_EXECUTABLE: u64 = 0x616E_795F_6578_6500;

/// Who creates a file, as far as a process knows it at `open()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct JobName {
    /// Numeric user id.
    pub uid: u32,
    /// The scheduler's job id.
    pub job: JobId,
    /// Hash of the executable's name without its path ([`hash::bytes`]).
    pub executable_hash: u64,
    /// Kind of the file.
    pub file: FileClass,
}

impl JobName {
    /// The key for exactly this file class of this executable.
    #[must_use]
    pub const fn exact(&self) -> JobKey {
        self.key(self.executable_hash, self.file.number())
    }

    /// The key for all files of this executable.
    #[must_use]
    pub const fn any_file(&self) -> JobKey {
        self.key(self.executable_hash, ANY_FILE)
    }

    /// The key for all files of the job.
    #[must_use]
    pub const fn any_executable(&self) -> JobKey {
        self.key(ANY_EXECUTABLE, ANY_FILE)
    }

    /// The keys in the order of lookups, from exact to general.
    #[must_use]
    pub const fn keys(&self) -> [JobKey; 3] {
        [self.exact(), self.any_file(), self.any_executable()]
    }

    /// Which count of a process goes with the entry of this key: equal for all ranks of a job.
    #[must_use]
    pub fn slot(&self, found: JobKey) -> Slot {
        match self.keys().iter().position(|key| *key == found) {
            Some(0) => Slot(self.file.number() as u8),
            Some(1) => Slot(0),
            _ => Slot(Slot::COUNT as u8 - 1),
        }
    }

    const fn job_hash(&self) -> u64 {
        hash::combine(hash::mix(self.uid as u64), self.job.0)
    }

    const fn key(&self, executable_hash: u64, file: u64) -> JobKey {
        JobKey(hash::combine(hash::combine(self.job_hash(), executable_hash), file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_found_in_paths() {
        assert_eq!(FileClass::of_name(b"/scratch/u/run.1/step_0001.H5"), FileClass::Hdf5);
        assert_eq!(FileClass::of_name(b"state.restart"), FileClass::Checkpoint);
        assert_eq!(FileClass::of_name(b"a.nc"), FileClass::NetCdf);
        for other in [&b""[..], b".", b"nc", b"dir.nc/file", b"x.unknownending", b"\xff\xff.", b"part.0007"] {
            assert_eq!(FileClass::of_name(other), FileClass::Other, "{other:?}");
        }
        assert!(ENDINGS.iter().all(|(ending, _)| ending.len() <= ENDING_MAX));
    }

    #[test]
    fn keys_differ_in_every_part() {
        let name = JobName { uid: 1, job: JobId(2), executable_hash: 3, file: FileClass::Hdf5 };
        let others = [
            JobName { uid: 2, ..name },
            JobName { job: JobId(3), ..name },
            JobName { executable_hash: 4, ..name },
            JobName { file: FileClass::Other, ..name },
        ];
        assert!(others.iter().all(|other| other.exact() != name.exact()));
        let [exact, file, executable] = name.keys();
        assert!(exact != file && file != executable && exact != executable);
        assert_eq!(others[3].any_file(), file);
        assert_eq!(others[2].any_executable(), executable);
    }
}

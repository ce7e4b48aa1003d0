//! Directories as targets: space of the file system, traffic of the block device below.
//!
//! The device's traffic is all that goes through it, whoever causes it: two targets on one device both report it.
//! A file system in memory or behind a network has no device: its bytes stay 0, its requests and times are absent.

use std::path::{Path, PathBuf};

use super::block::{self, Below, Device};
use super::clock;
use super::collector::{self, Collector, Found, Place, Processors, Source};
use super::error::AgentError;
use super::files;
use super::lustre::target::is_full;
use super::reading::{Counters, Reading, State};

/// The collector.
pub(super) struct Directories {
    root: PathBuf,
    targets: Vec<Place>,
}

impl Directories {
    /// Directories of the command line; `root` is where `/proc` and `/sys` are found.
    pub(super) fn new(root: &Path, targets: &[Place]) -> Result<Self, AgentError> {
        collector::check(targets)?;
        Ok(Self { root: root.to_owned(), targets: targets.to_vec() })
    }
}

impl Collector for Directories {
    fn find(&mut self) -> Result<Found, AgentError> {
        let mut sources: Vec<Box<dyn Source>> = vec![Box::new(Processors { root: self.root.clone() })];
        for place in &self.targets {
            sources.push(Box::new(Directory {
                name: place.path.display().to_string(),
                place: place.clone(),
                root: self.root.clone(),
                device: None,
            }));
        }
        Ok(Found { sources, version: String::new() })
    }
}

struct Directory {
    name: String,
    place: Place,
    root: PathBuf,
    /// The device's name, looked for at the first reading.
    device: Option<Option<String>>,
}

impl Directory {
    fn find_device(&self) -> Option<String> {
        let real = std::fs::canonicalize(&self.place.path).ok()?;
        let mounts = files::read(&self.root.join("proc/self/mountinfo")).ok()??;
        match block::below(&mounts, real.to_str()?) {
            Below::Numbers(major, minor) => {
                let diskstats = files::read(&self.root.join("proc/diskstats")).ok()??;
                block::name_of(&diskstats, major, minor).map(str::to_owned)
            }
            Below::Path(path) => files::device_name(&self.root, &path),
            Below::Nothing => None,
        }
    }
}

impl Source for Directory {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&mut self) -> Result<Reading, AgentError> {
        let at_ns = clock::monotonic_ns();
        let space = rustix::fs::statvfs(&self.place.path).map_err(|error| AgentError::Read {
            path: self.place.path.clone(),
            remedy: "name a directory that exists",
            source: error.into(),
        })?;
        if self.device.is_none() {
            self.device = Some(self.find_device());
        }
        let device = self.device.iter().flatten().next().and_then(|name| files::device(&self.root, name));
        let space = Space {
            free_bytes: space.f_bavail.saturating_mul(space.f_frsize),
            capacity_bytes: space.f_blocks.saturating_mul(space.f_frsize),
            read_only: space.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
        };
        Ok(Reading { targets: vec![counters(self.place.ost_index, at_ns, space, device)], host: None })
    }
}

/// What `statvfs` says.
#[derive(Clone, Copy, Debug)]
struct Space {
    free_bytes: u64,
    capacity_bytes: u64,
    read_only: bool,
}

fn counters(ost_index: u32, at_ns: u64, space: Space, device: Option<Device>) -> Counters {
    let traffic = device.unwrap_or_default();
    Counters {
        ost_index,
        at_ns,
        start_ns: None,
        snapshot_ns: None,
        read_bytes: traffic.read_bytes,
        written_bytes: traffic.written_bytes,
        ops: device.map(|device| device.served.count),
        latency: device.map(|device| device.served),
        busy_us: device.map(|device| device.busy_us),
        in_flight_us: device.map(|device| device.in_flight_us),
        free_bytes: space.free_bytes.min(space.capacity_bytes),
        capacity_bytes: space.capacity_bytes,
        state: State {
            read_only: space.read_only,
            full: is_full(space.free_bytes, space.capacity_bytes),
            ..State::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_device_there_is_space_and_no_times() {
        let space = Space { free_bytes: 5 << 30, capacity_bytes: 8 << 30, read_only: true };
        let bare = counters(3, 7, space, None);
        assert_eq!((bare.read_bytes, bare.ops, bare.latency, bare.busy_us), (0, None, None, None));
        assert_eq!((bare.free_bytes, bare.capacity_bytes), (5 << 30, 8 << 30));
        assert_eq!(bare.state, State { read_only: true, ..State::default() });
        assert!(counters(3, 7, Space { free_bytes: 9, ..space }, None).state.full);
    }

    #[test]
    fn a_real_directory_has_a_size_and_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place { ost_index: 4, path: folder.path().to_owned() };
        let mut collector = Directories::new(Path::new("/"), &[place]).unwrap();
        let mut found = collector.find().unwrap();
        let reading = found.sources[1].read().unwrap();
        assert_eq!(reading.targets[0].ost_index, 4);
        assert!(reading.targets[0].capacity_bytes > 0);
        assert!(found.sources[0].read().unwrap().host.is_some());
        folder.close().unwrap();
        assert!(found.sources[1].read().unwrap_err().to_string().contains("directory that exists"));
    }
}

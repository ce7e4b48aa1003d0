//! A live server's file tree, or a copy of one.

use std::path::{Path, PathBuf};

use super::super::clock;
use super::super::collector::{Found, Source};
use super::super::error::AgentError;
use super::super::files;
use super::super::reading::Reading;
use super::{target, text};

/// Where Lustre's files may be, in the order in which they are tried.
const PLACES: [&str; 3] = ["sys/fs/lustre", "sys/kernel/debug/lustre", "proc/fs/lustre"];

/// Targets of the file system and the server's own statistics. A place that may not be read is passed over and said:
/// the others may do.
pub(super) fn find(root: &Path, file_system: &str) -> Result<Found, AgentError> {
    let mut names: Vec<String> = Vec::new();
    let mut refused = None;
    for place in PLACES {
        match files::names(&root.join(place).join("obdfilter")) {
            Ok(found) => names.extend(found),
            Err(error) => refused = Some(error),
        }
    }
    names.sort();
    names.dedup();
    let mut sources: Vec<Box<dyn Source>> = Vec::with_capacity(names.len() + 1);
    sources.push(Box::new(Server { root: root.to_owned(), queue: first(root, "ost/OSS/ost_io/stats") }));
    for name in names {
        let Some((_, ost_index)) = text::target_name(&name).filter(|(found, _)| *found == file_system) else {
            continue;
        };
        sources.push(Box::new(Target::new(root, name, ost_index)));
    }
    if sources.len() == 1
        && let Some(refused) = refused
    {
        return Err(refused);
    }
    let version = first(root, "version").map_or(Ok(None), |path| files::read(&path))?.unwrap_or_default();
    Ok(Found { sources, version: version.trim().to_owned() })
}

/// The first place that has this file.
fn first(root: &Path, file: &str) -> Option<PathBuf> {
    PLACES.iter().map(|place| root.join(place).join(file)).find(|path| path.exists())
}

/// One target's files.
struct Target {
    name: String,
    ost_index: u32,
    root: PathBuf,
    params: Vec<(&'static str, PathBuf)>,
    /// Looked for at the first reading: it follows links, which may hang.
    device: Option<Option<String>>,
}

impl Target {
    fn new(root: &Path, name: String, ost_index: u32) -> Self {
        let path = |param: &str| first(root, &format!("obdfilter/{name}/{param}"));
        let mut params: Vec<_> =
            target::PARAMS.iter().filter_map(|param| Some((*param, path(param)?))).collect();
        if !params.iter().any(|(param, _)| *param == "no_create") {
            params.extend(path(target::NO_CREATE_OLD).map(|path| ("no_create", path)));
        }
        Self { name, ost_index, root: root.to_owned(), params, device: None }
    }

    /// The block device of an ldiskfs target; a ZFS pool is none.
    fn find_device(&self) -> Option<String> {
        let named = PLACES.iter().find_map(|place| {
            let kinds = files::names(&self.root.join(place)).ok()?;
            kinds.iter().filter(|kind| kind.starts_with("osd-")).find_map(|kind| {
                files::read(&self.root.join(place).join(kind).join(&self.name).join("mntdev")).ok()?
            })
        });
        let mounts = || files::read(&self.root.join("proc/mounts")).ok().flatten();
        let device = named
            .map(|text| text.trim().to_owned())
            .or_else(|| target::mounted_device(&mounts()?, &self.name).map(str::to_owned))?;
        files::device_name(&self.root, &device)
    }
}

impl Source for Target {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&mut self) -> Result<Reading, AgentError> {
        if self.device.is_none() {
            self.device = Some(self.find_device());
        }
        let at_ns = clock::monotonic_ns();
        let mut texts = Vec::with_capacity(self.params.len());
        for (param, path) in &self.params {
            // A file that has just gone is as one that never was.
            if let Some(text) = files::read(path)? {
                texts.push((*param, text));
            }
        }
        let value =
            |name: &str| texts.iter().find(|(param, _)| *param == name).map(|(_, text)| text.as_str());
        let device = self.device.iter().flatten().next().and_then(|name| files::device(&self.root, name));
        let counters = target::counters(&self.name, self.ost_index, at_ns, value, device)?;
        Ok(Reading { targets: vec![counters], host: None })
    }
}

/// The server's own statistics.
struct Server {
    root: PathBuf,
    queue: Option<PathBuf>,
}

impl Source for Server {
    fn name(&self) -> &str {
        "the server's queue and processors"
    }

    fn read(&mut self) -> Result<Reading, AgentError> {
        let queue = self.queue.as_ref().map_or(Ok(None), |path| files::read(path))?;
        let stat = files::read(&self.root.join("proc/stat"))?;
        Ok(Reading { targets: Vec::new(), host: Some(target::host(queue.as_deref(), stat.as_deref())) })
    }
}

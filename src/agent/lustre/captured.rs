//! A folder of `lctl get_param` outputs, one file a parameter: `obdfilter.stats.txt`, `proc_diskstats.txt`, and so on.
//! One source, for a recording does not hang.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::super::block;
use super::super::clock;
use super::super::collector::{Found, Source};
use super::super::error::AgentError;
use super::super::files;
use super::super::reading::Reading;
use super::{target, text};

pub(super) fn find(folder: &Path, file_system: &str) -> Result<Found, AgentError> {
    let version = files::read(&folder.join("version.txt"))?.unwrap_or_default();
    let version = version.trim().trim_start_matches("version=").to_owned();
    let source = Recording { folder: folder.to_owned(), file_system: file_system.to_owned() };
    Ok(Found { sources: vec![Box::new(source)], version })
}

struct Recording {
    folder: PathBuf,
    file_system: String,
}

impl Recording {
    fn text(&self, name: &str) -> Result<String, AgentError> {
        Ok(files::read(&self.folder.join(format!("{name}.txt")))?.unwrap_or_default())
    }
}

impl Source for Recording {
    fn name(&self) -> &str {
        "the recording"
    }

    fn read(&mut self) -> Result<Reading, AgentError> {
        let at_ns = clock::monotonic_ns();
        let mut texts = Vec::with_capacity(target::PARAMS.len() + 2);
        for param in target::PARAMS {
            texts.push(self.text(&format!("obdfilter.{param}"))?);
        }
        let (devices, diskstats) = (self.text("osd.mntdev")?, self.text("proc_diskstats")?);
        let (queue, stat) = (self.text("ost.OSS.ost_io.stats")?, self.text("proc_stat")?);
        let devices: BTreeMap<&str, &str> = text::params(&devices)
            .into_iter()
            .filter_map(|(name, value)| Some((owner(name)?, value)))
            .collect();
        let mut targets: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
        for (param, text) in target::PARAMS.iter().zip(&texts) {
            for (name, value) in text::params(text) {
                if let Some(owner) = owner(name) {
                    targets.entry(owner).or_default().insert(param, value);
                }
            }
        }
        let mut reading = Reading::default();
        for (name, values) in targets {
            let Some((_, index)) = text::target_name(name).filter(|(found, _)| *found == self.file_system)
            else {
                continue;
            };
            let device = devices.get(name).and_then(|device| device.rsplit('/').next());
            let device = device.and_then(|device| block::of_name(&diskstats, device));
            let value = |param: &str| values.get(param).copied();
            reading.targets.push(target::counters(name, index, at_ns, value, device)?);
        }
        let queue = text::params(&queue).into_iter().next().map(|(_, value)| value);
        reading.host = Some(target::host(queue, Some(&stat)));
        Ok(reading)
    }
}

/// The target in the name of its parameter, `lustre-OST0003` of `obdfilter.lustre-OST0003.stats`.
fn owner(name: &str) -> Option<&str> {
    name.split('.').nth(1)
}

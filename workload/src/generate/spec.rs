//! Generators from one line of text, as the command takes it: `ior:nodes=16,access=ssf,block=64MiB`.

use super::{
    Access, CheckpointParams, DlParams, GenerateError, HaccParams, IorParams, MdtestParams, Readers,
    StartupParams, Storage, checkpoint, dl, hacc, ior, mdtest, startup,
};
use crate::Workload;
use crate::csv_format::layout_text;
use crate::text::{parse_bytes, parse_seconds};

/// The generators and their keys, for a command's help.
pub const KINDS: &str = "\
KIND:KEY=VALUE,KEY=VALUE,...   every key has a default

ior          IOR: writes, and reads by the next node, between barriers
  access=fpp|ssf  block=256M  transfer=1M  segments=1  iterations=1  gap=20  write=true  read=false  wait=0  fsync=true
  (segmented shared file: segments=1; strided: block equal to transfer, many segments)
hacc         HACC-IO: nine arrays of 38 bytes a particle behind a header of 24 MiB, then the restart
  access=fpp|ssf  particles=4M  steps=1  gap=60  restart=true  wait=0
checkpoint   computes and writes its state, time after time
  access=fpp|ssf  bytes=512M  transfer=4M  count=4  period=300  jitter=0.1  fsync=true  restart=false
mdtest       many small files: created and written, then read, between barriers; stat and removal are left out
  files=64  write_bytes=3901  read_bytes=3901  unique_dir=false  iterations=1  create=true  read=true  shift=0
  fsync=false  gap=0
dl           deep learning: every epoch reads all samples in a new order, ranks share them; rank 0 writes models
  storage=files|packed  samples=8192  sample=128K  spread=0.5  shards=16  epochs=2  batch=32  compute=0.2
  transfer=64K  checkpoint=0  checkpoint_every=0  checkpoint_transfer=4M  ranks_per_node=4
startup      containers start at once: each node reads one image, or many small files
  readers=node|rank  image=512M  fraction=1  transfer=1M  random=false  files=0  file=16K  spread=0.5  shared=true
  nodes=64  ranks_per_node=1  skew=1

all kinds    nodes=8  ranks_per_node=8  skew=0.01  start=0  job=1  uid=1000  dir=/KIND
  layout=\"-c 4 -S 1M\": layout of the job's files in the words of lfs setstripe, also progressive; else the system's

Sizes and particles take K M G T P E (binary; MiB and so on as well). gap, wait, period, compute, skew and start are
seconds.
";

/// Keys that every generator has.
const SHARED_KEYS: &[&str] = &["nodes", "ranks_per_node", "skew", "start", "job", "uid", "dir", "layout"];
const IOR_KEYS: &[&str] = &[
    "access",
    "block",
    "transfer",
    "segments",
    "iterations",
    "gap",
    "write",
    "read",
    "wait",
    "fsync",
    "api",
];
const HACC_KEYS: &[&str] = &["access", "particles", "steps", "gap", "restart", "wait"];
const CHECKPOINT_KEYS: &[&str] =
    &["access", "bytes", "transfer", "count", "period", "jitter", "fsync", "restart"];
const MDTEST_KEYS: &[&str] = &[
    "files",
    "write_bytes",
    "read_bytes",
    "unique_dir",
    "iterations",
    "create",
    "read",
    "shift",
    "fsync",
    "gap",
];
const DL_KEYS: &[&str] = &[
    "storage",
    "samples",
    "sample",
    "spread",
    "shards",
    "epochs",
    "batch",
    "compute",
    "transfer",
    "checkpoint",
    "checkpoint_every",
    "checkpoint_transfer",
];
const STARTUP_KEYS: &[&str] =
    &["readers", "image", "fraction", "transfer", "random", "files", "file", "spread", "shared"];

/// Generates what a specification such as `hacc:nodes=16,particles=1M` names. [`KINDS`] lists the keys.
///
/// # Errors
/// An unknown kind or key, a malformed value, and what the generator itself refuses.
pub fn from_spec(spec: &str, seed: u64) -> Result<Workload, GenerateError> {
    let (kind, pairs) = spec.split_once(':').unwrap_or((spec, ""));
    let mut workload = generate(kind, pairs, seed)?;
    if let Some(text) = pairs.split(',').find_map(|pair| pair.strip_prefix("layout=")) {
        let layout = layout_text::parse(text)
            .map_err(|problem| GenerateError::Layout { found: text.chars().take(80).collect(), problem })?;
        for file in &mut workload.files {
            file.logged = Some(layout.clone());
        }
    }
    Ok(workload)
}

fn generate(kind: &str, pairs: &str, seed: u64) -> Result<Workload, GenerateError> {
    match kind {
        "ior" => {
            let mut params = IorParams::default();
            each_pair("ior", IOR_KEYS, pairs, |pair| set_ior(&mut params, pair))?;
            ior(&params, seed)
        }
        "hacc" => {
            let mut params = HaccParams::default();
            each_pair("hacc", HACC_KEYS, pairs, |pair| set_hacc(&mut params, pair))?;
            hacc(&params, seed)
        }
        "checkpoint" => {
            let mut params = CheckpointParams::default();
            each_pair("checkpoint", CHECKPOINT_KEYS, pairs, |pair| set_checkpoint(&mut params, pair))?;
            checkpoint(&params, seed)
        }
        "mdtest" => {
            let mut params = MdtestParams::default();
            each_pair("mdtest", MDTEST_KEYS, pairs, |pair| set_mdtest(&mut params, pair))?;
            mdtest(&params, seed)
        }
        "dl" => {
            let mut params = DlParams::default();
            each_pair("dl", DL_KEYS, pairs, |pair| set_dl(&mut params, pair))?;
            dl(&params, seed)
        }
        "startup" => {
            let mut params = StartupParams::default();
            each_pair("startup", STARTUP_KEYS, pairs, |pair| set_startup(&mut params, pair))?;
            startup(&params, seed)
        }
        other => Err(GenerateError::Kind { found: other.chars().take(40).collect() }),
    }
}

/// One `key=value`.
struct Pair<'a> {
    kind: &'static str,
    key: &'a str,
    value: &'a str,
}

fn each_pair(
    kind: &'static str,
    own_keys: &[&str],
    pairs: &str,
    mut set: impl FnMut(&Pair) -> Result<(), GenerateError>,
) -> Result<(), GenerateError> {
    let mut seen: Vec<&str> = Vec::new();
    for text in pairs.split(',').filter(|text| !text.is_empty()) {
        let Some((key, value)) = text.split_once('=') else {
            return Err(GenerateError::Form { kind, found: text.chars().take(40).collect() });
        };
        if !own_keys.contains(&key) && !SHARED_KEYS.contains(&key) {
            let known = [SHARED_KEYS, own_keys].concat().join(" ");
            return Err(GenerateError::Key { kind, found: key.chars().take(40).collect(), known });
        }
        if seen.contains(&key) {
            return Err(GenerateError::Repeated { kind, key: key.to_owned() });
        }
        seen.push(key);
        set(&Pair { kind, key, value })?;
    }
    Ok(())
}

impl Pair<'_> {
    fn wrong(&self, wanted: &'static str) -> GenerateError {
        let (key, found) = (self.key.to_owned(), self.value.chars().take(40).collect());
        GenerateError::Value { kind: self.kind, key, found, wanted }
    }

    fn count<T: std::str::FromStr>(&self, place: &mut T) -> Result<(), GenerateError> {
        *place = self.value.parse().map_err(|_| self.wrong("a whole number"))?;
        Ok(())
    }

    fn bytes(&self, place: &mut u64) -> Result<(), GenerateError> {
        *place = parse_bytes(self.value).ok_or_else(|| self.wrong("a size such as 64K, 1M or 4GiB"))?;
        Ok(())
    }

    fn seconds(&self, place: &mut f64) -> Result<(), GenerateError> {
        let nanos = parse_seconds(self.value).ok_or_else(|| self.wrong("seconds such as 20 or 0.5"))?;
        *place = nanos as f64 / 1e9;
        Ok(())
    }

    fn fraction(&self, place: &mut f64) -> Result<(), GenerateError> {
        *place = self.value.parse().map_err(|_| self.wrong("a number from 0 to 1"))?;
        Ok(())
    }

    fn flag(&self, place: &mut bool) -> Result<(), GenerateError> {
        *place = self.value.parse().map_err(|_| self.wrong("true or false"))?;
        Ok(())
    }

    fn access(&self, place: &mut Access) -> Result<(), GenerateError> {
        *place = match self.value {
            "fpp" => Access::Fpp,
            "ssf" => Access::Ssf,
            _ => return Err(self.wrong("fpp (file per process) or ssf (single shared file)")),
        };
        Ok(())
    }

    fn storage(&self, place: &mut Storage) -> Result<(), GenerateError> {
        *place = match self.value {
            "files" => Storage::Files,
            "packed" => Storage::Packed,
            _ => return Err(self.wrong("files (one for each sample) or packed (shards)")),
        };
        Ok(())
    }

    fn readers(&self, place: &mut Readers) -> Result<(), GenerateError> {
        *place = match self.value {
            "node" => Readers::Node,
            "rank" => Readers::Rank,
            _ => return Err(self.wrong("node (one rank of each) or rank (every one)")),
        };
        Ok(())
    }

    /// [`each_pair`] has refused other keys already; this is what a key without its arm below gives.
    fn unknown(&self) -> Result<(), GenerateError> {
        let (kind, found) = (self.kind, self.key.to_owned());
        Err(GenerateError::Key { kind, found, known: SHARED_KEYS.join(" ") })
    }
}

/// Sets a parameter that all generators have; they are fields of equal name and type, not one struct, since
/// serde cannot both flatten a struct and deny unknown fields.
macro_rules! set_shared {
    ($params:expr, $pair:expr) => {
        match $pair.key {
            "nodes" => $pair.count(&mut $params.nodes),
            "ranks_per_node" => $pair.count(&mut $params.ranks_per_node),
            "skew" => $pair.seconds(&mut $params.skew_s),
            "start" => $pair.seconds(&mut $params.start_s),
            "job" => $pair.count(&mut $params.job),
            "uid" => $pair.count(&mut $params.uid),
            "dir" => {
                $params.dir = $pair.value.to_owned();
                Ok(())
            }
            // No generator's own affair: it is laid on the files afterwards.
            "layout" => Ok(()),
            _ => $pair.unknown(),
        }
    };
}

fn set_ior(params: &mut IorParams, pair: &Pair) -> Result<(), GenerateError> {
    match pair.key {
        // `api` is an alias.
        "access" | "api" => pair.access(&mut params.access),
        "block" => pair.bytes(&mut params.block_bytes),
        "transfer" => pair.bytes(&mut params.transfer_bytes),
        "segments" => pair.count(&mut params.segments),
        "iterations" => pair.count(&mut params.iterations),
        "gap" => pair.seconds(&mut params.gap_s),
        "write" => pair.flag(&mut params.write),
        "read" => pair.flag(&mut params.read),
        "wait" => pair.seconds(&mut params.wait_s),
        "fsync" => pair.flag(&mut params.fsync),
        _ => set_shared!(params, pair),
    }
}

fn set_hacc(params: &mut HaccParams, pair: &Pair) -> Result<(), GenerateError> {
    match pair.key {
        "access" => pair.access(&mut params.access),
        "particles" => pair.bytes(&mut params.particles),
        "steps" => pair.count(&mut params.steps),
        "gap" => pair.seconds(&mut params.gap_s),
        "restart" => pair.flag(&mut params.restart),
        "wait" => pair.seconds(&mut params.wait_s),
        _ => set_shared!(params, pair),
    }
}

fn set_checkpoint(params: &mut CheckpointParams, pair: &Pair) -> Result<(), GenerateError> {
    match pair.key {
        "access" => pair.access(&mut params.access),
        "bytes" => pair.bytes(&mut params.bytes),
        "transfer" => pair.bytes(&mut params.transfer_bytes),
        "count" => pair.count(&mut params.count),
        "period" => pair.seconds(&mut params.period_s),
        "jitter" => pair.fraction(&mut params.jitter),
        "fsync" => pair.flag(&mut params.fsync),
        "restart" => pair.flag(&mut params.restart),
        _ => set_shared!(params, pair),
    }
}

fn set_mdtest(params: &mut MdtestParams, pair: &Pair) -> Result<(), GenerateError> {
    match pair.key {
        "files" => pair.count(&mut params.files),
        "write_bytes" => pair.bytes(&mut params.write_bytes),
        "read_bytes" => pair.bytes(&mut params.read_bytes),
        "unique_dir" => pair.flag(&mut params.unique_dir),
        "iterations" => pair.count(&mut params.iterations),
        "create" => pair.flag(&mut params.create),
        "read" => pair.flag(&mut params.read),
        "shift" => pair.count(&mut params.shift),
        "fsync" => pair.flag(&mut params.fsync),
        "gap" => pair.seconds(&mut params.gap_s),
        _ => set_shared!(params, pair),
    }
}

fn set_dl(params: &mut DlParams, pair: &Pair) -> Result<(), GenerateError> {
    match pair.key {
        "storage" => pair.storage(&mut params.storage),
        "samples" => pair.count(&mut params.samples),
        "sample" => pair.bytes(&mut params.sample_bytes),
        "spread" => pair.fraction(&mut params.spread),
        "shards" => pair.count(&mut params.shards),
        "epochs" => pair.count(&mut params.epochs),
        "batch" => pair.count(&mut params.batch),
        "compute" => pair.seconds(&mut params.compute_s),
        "transfer" => pair.bytes(&mut params.transfer_bytes),
        "checkpoint" => pair.bytes(&mut params.checkpoint_bytes),
        "checkpoint_every" => pair.count(&mut params.checkpoint_every),
        "checkpoint_transfer" => pair.bytes(&mut params.checkpoint_transfer_bytes),
        _ => set_shared!(params, pair),
    }
}

fn set_startup(params: &mut StartupParams, pair: &Pair) -> Result<(), GenerateError> {
    match pair.key {
        "readers" => pair.readers(&mut params.readers),
        "image" => pair.bytes(&mut params.image_bytes),
        "fraction" => pair.fraction(&mut params.fraction),
        "transfer" => pair.bytes(&mut params.transfer_bytes),
        "random" => pair.flag(&mut params.random),
        "files" => pair.count(&mut params.files),
        "file" => pair.bytes(&mut params.file_bytes),
        "spread" => pair.fraction(&mut params.spread),
        "shared" => pair.flag(&mut params.shared),
        _ => set_shared!(params, pair),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value that any key takes, so that the loop below finds keys without an arm.
    fn sample(key: &str) -> &'static str {
        match key {
            "access" | "api" => "ssf",
            "storage" => "packed",
            "readers" => "rank",
            "write" | "read" | "fsync" | "restart" | "unique_dir" | "create" | "random" | "shared" => "true",
            "dir" => "/d",
            "layout" => "-E 64M -c 1 -E -1 -c 8",
            "block" | "transfer" | "bytes" | "image" | "write_bytes" => "1M",
            "jitter" | "skew" | "spread" | "fraction" => "0.5",
            "samples" => "2048",
            _ => "2",
        }
    }

    #[test]
    fn every_key_is_taken_and_in_the_help() {
        let kinds = [
            ("ior", IOR_KEYS),
            ("hacc", HACC_KEYS),
            ("checkpoint", CHECKPOINT_KEYS),
            ("mdtest", MDTEST_KEYS),
            ("dl", DL_KEYS),
            ("startup", STARTUP_KEYS),
        ];
        for (kind, keys) in kinds {
            assert!(KINDS.contains(&format!("\n{kind} ")), "{kind}");
            for key in [SHARED_KEYS, keys].concat() {
                // The help shows one name only.
                assert!(key == "api" || KINDS.contains(&format!("{key}=")), "{key} is not in the help");
                let spec = format!("{kind}:{key}={}", sample(key));
                assert!(from_spec(&spec, 1).is_ok(), "{spec}: {:?}", from_spec(&spec, 1).err());
            }
        }
    }
}

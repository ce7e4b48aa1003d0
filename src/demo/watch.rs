//! What the controller says, read from its JSON interface as anybody could.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde::Deserialize;

use super::error::DemoError;
use super::{FILE_SYSTEM, TARGETS};

/// The controller answers within this, also on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of an answer: 35 targets make some 20 KiB.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// How the file system stands.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct FileSystem {
    /// Targets of which news came lately.
    pub(crate) targets_fresh: u32,
    /// Targets that get no new files.
    pub(crate) targets_excluded: u32,
    /// Whether the controller still waits for most agents.
    pub(crate) starting: bool,
    /// Rows of jobs whose files are steered.
    pub(crate) jobs_steered: u32,
    /// The number of its plan.
    pub(crate) plan: Option<Order>,
}

/// A plan's number.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) struct Order {
    pub(crate) term: u64,
    pub(crate) seq: u64,
}

/// What a plan says of one target.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct TargetWhy {
    pub(crate) ost_index: u32,
    pub(crate) reason: String,
    pub(crate) health: f64,
    pub(crate) write_bps: f64,
    pub(crate) judged: String,
    pub(crate) ticket_shares: Vec<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    file_systems: Vec<Named>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Named {
    name: String,
    #[serde(flatten)]
    file_system: FileSystem,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Explained {
    targets: Vec<TargetWhy>,
}

impl FileSystem {
    /// What is missing before a run can begin; nothing where all is there.
    pub(crate) fn missing(&self) -> Option<String> {
        if self.targets_fresh < TARGETS {
            return Some(format!("{} of {TARGETS} targets report", self.targets_fresh));
        }
        (self.starting || self.plan.is_none()).then(|| "there is no plan yet".into())
    }
}

/// How the file system stands now; one that is not yet known is empty.
pub(crate) fn status(http: SocketAddr) -> Result<FileSystem, DemoError> {
    let status: Status = get(http, "/api/v1/status")?;
    let ours = status.file_systems.into_iter().find(|named| named.name == FILE_SYSTEM);
    Ok(ours.map(|named| named.file_system).unwrap_or_default())
}

/// What the plan in force says of the targets.
pub(crate) fn targets(http: SocketAddr) -> Result<Vec<TargetWhy>, DemoError> {
    get(http, &format!("/api/v1/explain?fs={FILE_SYSTEM}")).map(|explained: Explained| explained.targets)
}

fn get<T: serde::de::DeserializeOwned>(http: SocketAddr, path: &str) -> Result<T, DemoError> {
    let failed =
        |reason: String| DemoError::Ask { address: http.to_string(), reason: format!("{path}: {reason}") };
    let answer = ask(http, path).map_err(|error| failed(error.to_string()))?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| failed("no HTTP".into()))?;
    let first = head.lines().next().unwrap_or_default();
    if first.split(' ').nth(1) != Some("200") {
        return Err(failed(first.to_owned()));
    }
    serde_json::from_str(body).map_err(|error| failed(error.to_string()))
}

fn ask(http: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&http, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // HTTP 1.0 is answered in one piece, and the connection ends.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {http}\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
    Ok(answer)
}

//! The gRPC services: from requests to commands, and answers back. Nothing is decided here.

mod admin;
mod agents;
mod nodes;
mod placement;

pub(crate) use admin::{AdminService, status, targets};
pub(crate) use agents::AgentService;
pub(crate) use nodes::NodeService;
pub(crate) use placement::PlacementService;

use tarazu_layout::JobId;
use tarazu_proto::{Invalid, text, v1};
use tarazu_table::{FileClass, JobName};
use tonic::Status;

use super::sites::{Site, Sites, Stopping};

/// Bytes of the name whose ending tells a file's class.
const ENDING_MAX: usize = 64;

pub(super) fn invalid(error: &Invalid) -> Status {
    Status::invalid_argument(error.to_string())
}

pub(super) fn stopping(error: Stopping) -> Status {
    Status::unavailable(error.to_string())
}

/// The file system that a request names; where it names none, the only one.
pub(crate) fn site(sites: &Sites, name: &str) -> Result<Site, Status> {
    let found = sites.named(name);
    match (&found[..], name) {
        ([site], _) => Ok(site.clone()),
        ([], "") => Err(Status::not_found("no file system is known yet: no agent has registered")),
        ([], name) => Err(Status::not_found(format!(
            "file system {name:?} is not known here; known: {}",
            sites.all().iter().map(|site| site.name.to_string()).collect::<Vec<_>>().join(", ")
        ))),
        _ => Err(Status::invalid_argument(format!(
            "this controller has several file systems; name one of: {}",
            found.iter().map(|site| site.name.to_string()).collect::<Vec<_>>().join(", ")
        ))),
    }
}

pub(super) fn job_name(name: &v1::JobName) -> Result<JobName, Invalid> {
    let ending = text("the name that tells the file's class", &name.ending, ENDING_MAX)?;
    Ok(JobName {
        uid: name.uid,
        job: JobId(name.job),
        executable_hash: name.executable_hash,
        file: FileClass::of_name(ending.as_bytes()),
    })
}

//! Nodes: one exchange an interval.

use std::sync::{Arc, PoisonError};

use tarazu_layout::JobId;
use tarazu_proto::limits::{ENDS_MAX, FILE_SYSTEMS_MAX, PLACED_MAX, PROTOCOL, STARTS_MAX};
use tarazu_proto::v1::nodes_server::Nodes;
use tarazu_proto::v1::{FileSystemReport, SyncRequest, SyncResponse, TableUpdate};
use tarazu_proto::{file_system_name, host_name};
use tarazu_table::Order;
use tonic::{Request, Response, Status};

use super::{invalid, stopping};
use crate::controller::command::{Command, NodeReport};
use crate::controller::fanout::{next_exchange, node_key};
use crate::controller::sites::{Site, Sites};
use crate::controller::tables::{Held, payload_bytes};

/// The service.
pub(crate) struct NodeService {
    sites: Arc<Sites>,
}

impl NodeService {
    pub(crate) fn new(sites: Arc<Sites>) -> Self {
        Self { sites }
    }

    /// What a node hears of one file system; nothing where the network is full for the moment.
    fn update(&self, site: &Site, report: &FileSystemReport) -> Option<TableUpdate> {
        if !report.wants_table {
            return None;
        }
        let held = report.held.as_ref().map(|order| Held {
            order: Order { term: order.term, seq: order.seq },
            checksum: report.held_checksum,
        });
        let now = self.sites.now();
        let update = site.shared.tables.update_for(&site.name, held, now)?;
        let bytes = payload_bytes(&update);
        let mut bucket = self.sites.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        if bytes > 0 && !bucket.take(bytes, now) {
            site.shared.counters.refuse("fanout_deferred");
            return None;
        }
        Some(update)
    }
}

#[tonic::async_trait]
impl Nodes for NodeService {
    async fn sync(&self, request: Request<SyncRequest>) -> Result<Response<SyncResponse>, Status> {
        let request = request.into_inner();
        check(&request)?;
        let node = node_key(&request.node);
        let now = self.sites.now();
        let is_new = {
            let mut nodes = self.sites.nodes.lock().unwrap_or_else(PoisonError::into_inner);
            nodes.hear(node, request.instance, request.sequence, now)
        };
        let mut updates = Vec::new();
        let mut was_deferred = false;
        for mut report in request.file_systems {
            let Some(site) = self.sites.get(&report.file_system) else { continue };
            let update = self.update(&site, &report);
            was_deferred |= update.is_none() && report.wants_table && site.shared.tables.newest().is_some();
            updates.extend(update);
            let ours = site.shared.tables.newest().map_or(0, |newest| newest.order().term);
            let report = said(node, &mut report, is_new, ours);
            if let Some(report) = report {
                site.send(Command::Node(report)).await.map_err(stopping)?;
            }
        }
        let interval = self.sites.interval();
        let next = next_exchange(node, interval, now);
        // Whoever went away without a table comes back soon, but not together with all others.
        let next = if was_deferred { next.min(interval / 2) } else { next };
        let next_ms = u32::try_from(next.as_millis()).unwrap_or(u32::MAX);
        Ok(Response::new(SyncResponse { updates, next_ms }))
    }
}

/// What a node says of a file system; nothing where it has nothing to say. A term up to `ours` is no news.
fn said(node: u64, report: &mut FileSystemReport, is_new: bool, ours: u64) -> Option<NodeReport> {
    let highest_term = if report.highest_term > ours { report.highest_term } else { 0 };
    let mut said = NodeReport { node, highest_term, ..NodeReport::default() };
    if is_new {
        said.placed = std::mem::take(&mut report.placed);
        said.starts = std::mem::take(&mut report.starts);
        said.ends = report.ends.iter().map(|end| JobId(end.job)).collect();
        said.lost = report.records_lost;
    }
    let is_empty = said.placed.is_empty() && said.starts.is_empty() && said.ends.is_empty() && said.lost == 0;
    (!is_empty || said.highest_term > 0).then_some(said)
}

fn check(request: &SyncRequest) -> Result<(), Status> {
    if request.protocol != PROTOCOL {
        let error = tarazu_proto::Invalid::Protocol { found: request.protocol, wanted: PROTOCOL };
        return Err(invalid(&error));
    }
    host_name(&request.node).map_err(|error| invalid(&error))?;
    let bound = |what: &str, found: usize, max: usize| {
        let text = || format!("{found} {what} are more than {max}: send the rest with the next exchange");
        if found > max { Err(Status::invalid_argument(text())) } else { Ok(()) }
    };
    bound("file systems", request.file_systems.len(), FILE_SYSTEMS_MAX)?;
    for report in &request.file_systems {
        file_system_name(&report.file_system).map_err(|error| invalid(&error))?;
        bound("placed files", report.placed.len(), PLACED_MAX)?;
        bound("starts of jobs", report.starts.len(), STARTS_MAX)?;
        bound("ends of jobs", report.ends.len(), ENDS_MAX)?;
    }
    Ok(())
}

//! Nodes: one exchange an interval.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tarazu_layout::{JobId, hash};
use tarazu_proto::limits::{ENDS_MAX, FILE_SYSTEMS_MAX, PLACED_MAX, PROTOCOL, STARTS_MAX};
use tarazu_proto::v1::nodes_server::Nodes;
use tarazu_proto::v1::{FileSystemReport, SyncRequest, SyncResponse, TableUpdate};
use tarazu_proto::{file_system_name, host_name};
use tarazu_table::Order;
use tonic::{Request, Response, Status};

use super::{invalid, stopping};
use crate::controller::command::{Command, NodeReport};
use crate::controller::fanout::{Turn, next_exchange, node_key};
use crate::controller::sites::{Site, Sites};
use crate::controller::tables::{Held, payload_bytes};

/// Milliseconds are cut off on the way.
const TURN_SLACK: Duration = Duration::from_millis(1);

/// The service.
pub(crate) struct NodeService {
    sites: Arc<Sites>,
}

impl NodeService {
    pub(crate) fn new(sites: Arc<Sites>) -> Self {
        Self { sites }
    }

    /// What a node hears of one file system, or when its turn is where the network is full for the moment.
    fn update(
        &self,
        node: u64,
        site: &Site,
        report: &FileSystemReport,
    ) -> Result<Option<TableUpdate>, Duration> {
        if !report.wants_table {
            return Ok(None);
        }
        let now = self.sites.now();
        let Some(update) = site.shared.tables.update_for(&site.name, held(report), now) else {
            return Ok(None);
        };
        let bytes = payload_bytes(&update);
        if bytes == 0 {
            return Ok(Some(update));
        }
        let place = hash::combine(node, hash::bytes(site.name.as_bytes()));
        let turn = self.sites.fanout.lock().unwrap_or_else(PoisonError::into_inner).turn(place, bytes, now);
        match turn {
            Turn::Now => Ok(Some(update)),
            Turn::In(wait) => {
                site.shared.counters.refuse("fanout_deferred");
                Err(wait)
            }
        }
    }

    /// Hands over what a node says: all of it once. Room is waited for first, so that an exchange which the node gives
    /// up, and repeats, was not counted.
    async fn hand_over(&self, node: u64, request: &mut SyncRequest) -> Result<(), Status> {
        let mut places = Vec::new();
        for report in &mut request.file_systems {
            let Some(site) = self.sites.get(&report.file_system) else { continue };
            if let Some(said) = said(node, report, &site) {
                places.push((site.place().await.map_err(stopping)?, said));
            }
        }
        let is_new = {
            let mut nodes = self.sites.nodes.lock().unwrap_or_else(PoisonError::into_inner);
            nodes.hear(node, request.instance, request.sequence, self.sites.now())
        };
        for (place, mut said) in places {
            if !is_new {
                let NodeReport { highest_term, other_term, .. } = said;
                said = NodeReport { node, highest_term, other_term, ..NodeReport::default() };
            }
            place.send(Command::Node(said));
        }
        Ok(())
    }
}

fn held(report: &FileSystemReport) -> Option<Held> {
    report.held.as_ref().map(|order| Held {
        order: Order { term: order.term, seq: order.seq },
        checksum: report.held_checksum,
    })
}

#[tonic::async_trait]
impl Nodes for NodeService {
    async fn sync(&self, request: Request<SyncRequest>) -> Result<Response<SyncResponse>, Status> {
        let mut request = request.into_inner();
        check(&request)?;
        let node = node_key(&request.node);
        let now = self.sites.now();
        let mut updates = Vec::new();
        let mut turn: Option<Duration> = None;
        for report in &request.file_systems {
            let Some(site) = self.sites.get(&report.file_system) else { continue };
            match self.update(node, &site, report) {
                Ok(update) => updates.extend(update),
                Err(wait) => turn = Some(turn.map_or(wait, |other| other.min(wait))),
            }
        }
        self.hand_over(node, &mut request).await?;
        let interval = self.sites.interval();
        let next = next_exchange(node, interval, now);
        // Not a moment before its turn: whoever comes early comes in vain.
        let next = turn.map_or(next, |wait| wait + TURN_SLACK);
        let next_ms = u32::try_from(next.as_millis()).unwrap_or(u32::MAX);
        Ok(Response::new(SyncResponse { updates, next_ms }))
    }
}

/// What a node says of a file system; nothing where it has nothing to say. A term that is ours is no news.
fn said(node: u64, report: &mut FileSystemReport, site: &Site) -> Option<NodeReport> {
    let tables = &site.shared.tables;
    let ours = tables.newest().map_or(0, |newest| newest.order().term);
    let said = NodeReport {
        node,
        highest_term: if report.highest_term > ours { report.highest_term } else { 0 },
        other_term: tables.other_term(held(report)),
        placed: std::mem::take(&mut report.placed),
        starts: std::mem::take(&mut report.starts),
        ends: report.ends.iter().map(|end| JobId(end.job)).collect(),
        lost: report.records_lost,
    };
    let is_empty = said.placed.is_empty() && said.starts.is_empty() && said.ends.is_empty() && said.lost == 0;
    (!is_empty || said.highest_term > 0 || said.other_term.is_some()).then_some(said)
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

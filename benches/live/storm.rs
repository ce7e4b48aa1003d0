//! 5,000 node daemons that all come at the same moment, and come again as they are told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tarazu_proto::v1::nodes_client::NodesClient;
use tarazu_proto::v1::table_update::Update;
use tarazu_proto::v1::{FileSystemReport, Order, SyncRequest, TableUpdate};
use tonic::transport::Channel;

use crate::load::{FS, request};
use crate::process::{Controller, now};

/// Nodes of the storm.
const NODES: usize = 5000;

/// Connections that carry them: a process has not enough descriptors for one each, and the controller does not care.
const CONNECTIONS: usize = 100;

/// Bytes of tables that arrived, by tenth of a second.
type Arrived = Arc<Mutex<Vec<u64>>>;

/// The newest table that a first node gets.
async fn newest(controller: &Controller) -> anyhow::Result<TableUpdate> {
    let mut client = NodesClient::new(controller.connect().await?).max_decoding_message_size(4 << 20);
    loop {
        let report =
            FileSystemReport { file_system: FS.into(), wants_table: true, ..FileSystemReport::default() };
        let mut response = client.sync(request("first", vec![report])).await?.into_inner();
        if let Some(update) = response.updates.pop() {
            return Ok(update);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Runs a storm. `held` is what the nodes hold before it: the newest table of an earlier life, or nothing.
pub(crate) async fn run(controller: &Controller, what: &str, holds_old: bool) -> anyhow::Result<()> {
    static LAST: Mutex<Option<(Order, u32)>> = Mutex::new(None);
    let before =
        if holds_old { *LAST.lock().unwrap_or_else(std::sync::PoisonError::into_inner) } else { None };
    newest(controller).await?;
    let mut channels = Vec::new();
    for _ in 0..CONNECTIONS {
        channels.push(controller.connect().await?);
    }
    let arrived: Arrived = Arc::default();
    let begun = now();
    let nodes = (0..NODES).map(|number| {
        let channel = channels[number % CONNECTIONS].clone();
        tokio::spawn(node(number, channel, before, Arc::clone(&arrived), begun))
    });
    let mut served = Vec::new();
    for node in nodes.collect::<Vec<_>>() {
        served.push(node.await??);
    }
    served.sort_by(f64::total_cmp);
    let arrived = arrived.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    let all: u64 = arrived.iter().sum();
    let busiest = arrived.windows(10).map(|second| second.iter().sum::<u64>()).max().unwrap_or(all);
    println!(
        "{what}: half served after {:.2} s, all after {:.2} s; {:.1} KB a node, {:.1} MB/s in the busiest second \
         (goal: one interval of 5 s, at most 10 MB/s)",
        crate::quantile(&served, 0.5),
        served.last().copied().unwrap_or(0.0),
        all as f64 / NODES as f64 / 1e3,
        busiest as f64 / 1e6,
    );
    // What nodes hold when the controller is killed next.
    let table = newest(controller).await?;
    *LAST.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
        table.order.map(|order| (order, table.checksum));
    Ok(())
}

/// Comes until it has a table. Returns the seconds that took.
async fn node(
    number: usize,
    channel: Channel,
    held: Option<(Order, u32)>,
    arrived: Arrived,
    begun: std::time::Instant,
) -> anyhow::Result<f64> {
    let mut client = NodesClient::new(channel).max_decoding_message_size(4 << 20);
    let name = format!("node{number}");
    for sequence in 1.. {
        let report = FileSystemReport {
            file_system: FS.into(),
            held: held.map(|(order, _)| order),
            held_checksum: held.map_or(0, |(_, checksum)| checksum),
            highest_term: held.map_or(0, |(order, _)| order.term),
            wants_table: true,
            ..FileSystemReport::default()
        };
        let request = SyncRequest { sequence, ..request(&name, vec![report]) };
        let response = client.sync(request).await?.into_inner();
        let update = response.updates.first().and_then(|update| update.update.as_ref());
        let bytes = match update {
            Some(Update::Table(bytes) | Update::Delta(bytes)) => bytes.len(),
            Some(Update::Confirmed(_)) => 0,
            None => {
                tokio::time::sleep(Duration::from_millis(u64::from(response.next_ms))).await;
                continue;
            }
        };
        let at = begun.elapsed().as_secs_f64();
        let mut arrived = arrived.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let slot = (at * 10.0) as usize;
        if arrived.len() <= slot {
            arrived.resize(slot + 1, 0);
        }
        arrived[slot] += bytes as u64;
        return Ok(at);
    }
    Ok(0.0)
}

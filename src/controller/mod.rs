//! The controller service: moves bytes, time and effects around `core`'s state machine.
//!
//! Owns the sockets, the clock, the store and one task for each file system. It must not decide anything: what is
//! placed where, who speaks for whom and what is believed is `core`'s.

mod actor;
mod brain;
mod clock;
mod command;
mod counters;
mod fanout;
mod http;
mod intents;
mod jobs;
pub(crate) mod json;
mod lasting;
mod metrics;
pub(crate) mod replay;
mod services;
mod sites;
mod stored;
mod tables;
mod views;

use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tarazu_proto::limits::{
    ADMIN_RESPONSE_BYTES_MAX, AGENT_MESSAGE_BYTES_MAX, REQUEST_BYTES_MAX, SYNC_REQUEST_BYTES_MAX,
    SYNC_RESPONSE_BYTES_MAX,
};
use tarazu_proto::v1::admin_server::AdminServer;
use tarazu_proto::v1::agents_server::AgentsServer;
use tarazu_proto::v1::nodes_server::NodesServer;
use tarazu_proto::v1::placement_server::PlacementServer;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;

use crate::config::Config;
use crate::store::{RedbStore, Store, StoreError, StoreThread};
use clock::Clock;
use command::Command;
use services::{AdminService, AgentService, NodeService, PlacementService};
use sites::Sites;

/// Streams and requests of one connection at a time: an agent needs one, a tool a few.
const STREAMS_MAX: u32 = 64;

/// Streams that a peer may reset before they are accepted: beyond that it is an attack (CVE-2023-44487).
const RESETS_MAX: usize = 64;

/// Bytes of a request's headers.
const HEADERS_BYTES_MAX: u32 = 16 << 10;

/// A peer that answers no ping within this is gone.
const PING_EVERY: Duration = Duration::from_secs(20);

/// A node that was not heard of for so long runs no jobs any more.
const NODE_GONE_AFTER: Duration = Duration::from_secs(900);

/// Between two looks for nodes that are gone.
const NODES_EVERY: Duration = Duration::from_secs(60);

/// Streams get so long to end by themselves when the controller stops.
const GRACE: Duration = Duration::from_secs(2);

/// Why the controller cannot run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// The state directory.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The folder of event logs.
    #[error("cannot make {} for event logs ({source}); name another folder with record", path.display())]
    Record { path: std::path::PathBuf, source: std::io::Error },
    /// An address.
    #[error("cannot listen on {address} ({setting}): {source}")]
    Listen { address: SocketAddr, setting: &'static str, source: std::io::Error },
    /// More file systems are stored than fit.
    #[error(transparent)]
    TooMany(#[from] sites::TooMany),
    /// The server ended.
    #[error("the server ended: {0}")]
    Serve(String),
}

/// Runs until `stop` resolves. The addresses that are really served are told to `told`, for ports that were left to
/// the system.
pub(crate) async fn run(
    config: Config,
    stop: impl Future<Output = ()> + Send,
    told: impl FnOnce(SocketAddr, SocketAddr),
) -> Result<(), ServeError> {
    let clock = Clock::start();
    if let Some(path) = &config.record {
        let made = std::fs::create_dir_all(path);
        made.map_err(|source| ServeError::Record { path: path.clone(), source })?;
    }
    let mut store = RedbStore::open(&config.state_dir)?;
    let state = store.load()?;
    if state.fresh() {
        tracing::warn!(
            state_dir = %config.state_dir.display(),
            "the state directory is EMPTY: a first start, or drains and policies are lost"
        );
    }
    let store = StoreThread::start(store)?;
    let seed = config.seed.unwrap_or_else(drawn_seed);
    tracing::info!(seed, "the controller starts");
    let grpc = listen(config.listen, "listen").await?;
    let http = listen(config.http_listen, "http_listen").await?;
    let addresses = (grpc.1, http.1);
    let sites = Sites::start(config, clock, store, state, seed)?;
    told(addresses.0, addresses.1);
    tracing::info!(grpc = %addresses.0, http = %addresses.1, "the controller serves");
    let (ending, ended) = tokio::sync::watch::channel(false);
    let pages = axum::serve(http.0, http::router(Arc::clone(&sites)));
    let pages = tokio::spawn(pages.with_graceful_shutdown(wait(ended.clone())).into_future());
    let server = tokio::spawn(serve(Arc::clone(&sites), grpc.0, wait(ended)));
    let watch = tokio::spawn(forget_nodes(Arc::clone(&sites)));
    let mut server = server;
    tokio::select! {
        () = stop => {}
        outcome = &mut server => {
            let why = outcome.map_err(|error| error.to_string()).and_then(|served| served.map_err(|error| error.to_string()));
            return Err(ServeError::Serve(why.err().unwrap_or_else(|| "nobody asked it to".into())));
        }
    }
    tracing::info!("the controller stops");
    let _ = ending.send(true);
    watch.abort();
    // Agents' streams have no end of their own.
    let _ = tokio::time::timeout(GRACE, server).await;
    pages.abort();
    Ok(())
}

/// A seed that nobody chose.
fn drawn_seed() -> u64 {
    // The standard library keys its hash maps from the system's random source.
    std::hash::RandomState::new().hash_one(0u8)
}

async fn wait(mut ended: tokio::sync::watch::Receiver<bool>) {
    // An error means that the sender is gone, which is an end as well.
    let _ = ended.wait_for(|ended| *ended).await;
}

async fn listen(address: SocketAddr, setting: &'static str) -> Result<(TcpListener, SocketAddr), ServeError> {
    let failed = |source| ServeError::Listen { address, setting, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

async fn serve(
    sites: Arc<Sites>,
    listener: TcpListener,
    ended: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<AgentsServer<AgentService>>().await;
    reporter.set_serving::<NodesServer<NodeService>>().await;
    reporter.set_serving::<PlacementServer<PlacementService>>().await;
    reporter.set_serving::<AdminServer<AdminService>>().await;
    let agents = AgentsServer::new(AgentService::new(Arc::clone(&sites)));
    let nodes = NodesServer::new(NodeService::new(Arc::clone(&sites)));
    let placement = PlacementServer::new(PlacementService::new(Arc::clone(&sites)));
    let admin = AdminServer::new(AdminService::new(sites));
    Server::builder()
        .tcp_nodelay(true)
        .max_concurrent_streams(STREAMS_MAX)
        .http2_max_pending_accept_reset_streams(Some(RESETS_MAX))
        .http2_max_header_list_size(HEADERS_BYTES_MAX)
        .http2_keepalive_interval(Some(PING_EVERY))
        .http2_keepalive_timeout(Some(PING_EVERY))
        .add_service(health)
        .add_service(agents.max_decoding_message_size(AGENT_MESSAGE_BYTES_MAX))
        .add_service(
            nodes
                .max_decoding_message_size(SYNC_REQUEST_BYTES_MAX)
                .max_encoding_message_size(SYNC_RESPONSE_BYTES_MAX),
        )
        .add_service(placement.max_decoding_message_size(REQUEST_BYTES_MAX))
        .add_service(
            admin
                .max_decoding_message_size(REQUEST_BYTES_MAX)
                .max_encoding_message_size(ADMIN_RESPONSE_BYTES_MAX),
        )
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), ended)
        .await
}

/// Jobs of nodes that are gone for good have ended, and those of which nothing is heard any more.
async fn forget_nodes(sites: Arc<Sites>) {
    let mut ticks = tokio::time::interval(NODES_EVERY);
    loop {
        ticks.tick().await;
        let now = sites.now();
        let gone = sites.nodes.lock().unwrap_or_else(PoisonError::into_inner).forget(NODE_GONE_AFTER, now);
        for site in sites.all() {
            // Fails only while the controller stops.
            let _ = site.send(Command::NodesGone(gone.clone())).await;
        }
    }
}

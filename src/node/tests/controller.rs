//! A controller that says what a test wants, behind a real socket.
//!
//! Compiled into the daemon's own tests and, by path, into those that run it as a process.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tarazu_layout::{FsId, OstIndex, TargetId};
use tarazu_proto::v1;
use tarazu_proto::v1::nodes_server::{Nodes, NodesServer};
use tarazu_table::{Class, Flags, FsIdentity, Order, RingSpec, TableSpec, encode};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// What a controller answers to a request.
pub(crate) type Answer = Box<dyn FnMut(&v1::SyncRequest) -> Result<v1::SyncResponse, Status> + Send>;

struct Said {
    requests: Vec<v1::SyncRequest>,
    answer: Answer,
}

#[derive(Clone)]
struct Service(Arc<Mutex<Said>>);

#[tonic::async_trait]
impl Nodes for Service {
    async fn sync(&self, request: Request<v1::SyncRequest>) -> Result<Response<v1::SyncResponse>, Status> {
        let request = request.into_inner();
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = (said.answer)(&request);
        said.requests.push(request);
        answer.map(Response::new)
    }
}

/// A running controller.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    said: Arc<Mutex<Said>>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Fake {
    /// Starts at an address; port 0 takes a free one.
    pub(crate) async fn start(address: &str, answer: Answer) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let said = Arc::new(Mutex::new(Said { requests: Vec::new(), answer }));
        let (stop, stopped) = oneshot::channel();
        let service = NodesServer::new(Service(Arc::clone(&said)));
        let task = tokio::spawn(async move {
            let server = tonic::transport::Server::builder().add_service(service);
            let stopped = async { stopped.await.unwrap_or(()) };
            server
                .serve_with_incoming_shutdown(TcpListenerStream::new(listener), stopped)
                .await
                .expect("serves");
        });
        Self { address, said, stop, task }
    }

    /// Answers otherwise from now on.
    pub(crate) fn answer(&self, answer: Answer) {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).answer = answer;
    }

    /// What was asked so far.
    pub(crate) fn requests(&self) -> Vec<v1::SyncRequest> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).requests.clone()
    }

    /// Goes away; its port is free afterwards.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        self.task.await.expect("it ends");
    }
}

/// A small table of a file system. `first` is the target that its rings begin with, so that tables differ.
pub(crate) fn table(file_system: &str, order: Order, first: u32) -> Vec<u8> {
    let tickets: Vec<_> = (0..35).map(|ticket| TargetId((first + ticket) % 35)).collect();
    let class = Class {
        smallest_bytes: 0,
        largest_bytes: u64::MAX,
        stripe_size: 1 << 20,
        stripe_count: 1,
        ring_now: 0,
        ring_steady: 0,
    };
    let spec = TableSpec {
        fs: FsIdentity::new(FsId(0), file_system),
        order,
        interval: Duration::from_millis(100),
        flags: Flags::default(),
        targets: (0..35).map(OstIndex).collect(),
        classes: vec![class],
        rings: vec![RingSpec { seed: 0, tickets }],
        jobs: Vec::new(),
    };
    encode(&spec).expect("a table within its limits")
}

/// An update with a whole table.
pub(crate) fn whole(file_system: &str, order: Order, first: u32) -> v1::TableUpdate {
    let bytes = table(file_system, order, first);
    update(file_system, order, &bytes.clone(), v1::table_update::Update::Table(bytes))
}

/// An update that leads to `table` in some way.
pub(crate) fn update(
    file_system: &str,
    order: Order,
    table: &[u8],
    update: v1::table_update::Update,
) -> v1::TableUpdate {
    let checksum = table.last_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    v1::TableUpdate {
        file_system: file_system.to_owned(),
        order: Some(v1::Order { term: order.term, seq: order.seq }),
        update: Some(update),
        age_ms: 10,
        checksum,
    }
}

/// An answer that comes again in a tenth of a second.
pub(crate) fn response(updates: Vec<v1::TableUpdate>) -> Result<v1::SyncResponse, Status> {
    Ok(v1::SyncResponse { updates, next_ms: 100 })
}

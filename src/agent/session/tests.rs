//! Sessions against a controller behind a real socket.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tarazu_proto::v1::agent_message::Message;
use tarazu_proto::v1::agent_order::Order;
use tarazu_proto::v1::agents_server::{Agents, AgentsServer};
use tokio_stream::Stream;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, Streaming};

use super::*;
use crate::agent::Kind;
use crate::agent::sampler::Target;

/// Answers registrations: the first `contested` with a contested target.
#[derive(Clone)]
struct Controller {
    contested: u32,
    registrations: Arc<AtomicU32>,
    /// It answers the first registration without reading it, and reads nothing.
    is_deaf: bool,
}

fn registered(contested: bool) -> Result<v1::AgentOrder, Status> {
    let contested_ost_indices = if contested { vec![3] } else { Vec::new() };
    let registered =
        v1::Registered { session: 1, interval_ms: 100, message_bytes_max: 65_536, contested_ost_indices };
    Ok(v1::AgentOrder { order: Some(Order::Registered(registered)) })
}

#[tonic::async_trait]
impl Agents for Controller {
    type ReportStream = Pin<Box<dyn Stream<Item = Result<v1::AgentOrder, Status>> + Send>>;

    async fn report(
        &self,
        request: Request<Streaming<v1::AgentMessage>>,
    ) -> Result<Response<Self::ReportStream>, Status> {
        let mut messages = request.into_inner();
        let (send, orders) = mpsc::channel(8);
        let this = self.clone();
        tokio::spawn(async move {
            if this.is_deaf {
                let _ = send.send(registered(false)).await;
                send.closed().await;
            }
            while let Ok(Some(v1::AgentMessage { message: Some(message) })) = messages.message().await {
                if matches!(message, Message::Register(_)) {
                    let before = this.registrations.fetch_add(1, Ordering::SeqCst);
                    let _ = send.send(registered(before < this.contested)).await;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(orders))))
    }
}

async fn serve(controller: Controller) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    // A window that holds no whole message: what is not read does not leave the agent.
    let window = controller.is_deaf.then_some(16);
    let server = tonic::transport::Server::builder()
        .initial_stream_window_size(window)
        .add_service(AgentsServer::new(controller));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    address
}

fn desk(address: SocketAddr, waits: Waits) -> Desk {
    let sources = Sources {
        kind: Kind::Synthetic,
        file_system: "scratch".into(),
        root: PathBuf::from("/"),
        targets: Vec::new(),
    };
    let config = Config {
        controller: address.to_string(),
        server: "oss1".into(),
        sources,
        priors: Priors { read_bps: 1e9, write_bps: 1e9 },
        link_bps: 1e9,
        enclosure: None,
        interval: Duration::from_secs(1),
        canary_folders: BTreeMap::new(),
    };
    Desk { waits, ..Desk::new(config, 7) }
}

fn facts(ost_index: u32) -> Facts {
    Facts { targets: vec![Target { ost_index, capacity_bytes: 1 << 40 }], version: String::new() }
}

#[tokio::test]
async fn contested_targets_are_asked_for_until_none_is() {
    let registrations = Arc::new(AtomicU32::new(0));
    let controller = Controller { contested: 2, registrations: Arc::clone(&registrations), is_deaf: false };
    let address = serve(controller).await;
    let waits = Waits { contested: Duration::from_millis(50), ..Waits::default() };
    let desk = desk(address, waits);
    let endpoint = endpoint(&desk.config.controller).expect("an address");
    let (_facts_to, mut facts) = watch::channel(facts(3));
    let third = async {
        while registrations.load(Ordering::SeqCst) < 3 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // Time for many more, if there were any.
        tokio::time::sleep(Duration::from_millis(1000)).await;
    };
    tokio::select! {
        end = session(&desk, &endpoint, &mut facts) => panic!("the session goes on: {end:?}"),
        () = third => {}
        () = tokio::time::sleep(Duration::from_secs(60)) => panic!("not registered again"),
    }
    assert_eq!(registrations.load(Ordering::SeqCst), 3, "two contested answers, then no more");
}

#[tokio::test]
async fn a_controller_that_reads_nothing_does_not_hold_a_registration_for_ever() {
    let controller = Controller { contested: 0, registrations: Arc::default(), is_deaf: true };
    let address = serve(controller).await;
    let waits = Waits { answer: Duration::from_secs(3), ..Waits::default() };
    let desk = desk(address, waits);
    let endpoint = endpoint(&desk.config.controller).expect("an address");
    let (facts_to, mut known) = watch::channel(facts(3));
    let changes = async {
        while desk.interval.get() != Duration::from_millis(100) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for number in 0..50 {
            desk.samples.borrow_mut().push(v1::Sample { sequence: number, ..v1::Sample::default() });
            desk.news.notify_one();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        facts_to.send(facts(4)).expect("heard");
        std::future::pending::<()>().await;
    };
    tokio::select! {
        end = session(&desk, &endpoint, &mut known) => {
            assert!(matches!(&end, End::Lost(why) if why.contains("does not answer the registration")), "{end:?}");
        }
        () = changes => {}
        () = tokio::time::sleep(Duration::from_secs(60)) => panic!("the session hangs"),
    }
}

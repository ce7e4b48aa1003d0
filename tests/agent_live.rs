//! `tarazu agent` as a real process, against a controller of this test: it registers, samples, obeys and comes back.

// A test stops at the first surprise.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tarazu_proto::v1;
use tarazu_proto::v1::agent_message::Message;
use tarazu_proto::v1::agent_order::Order;
use tarazu_proto::v1::agents_server::{Agents, AgentsServer};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};

/// Longest wait for anything that must come: machines that test are busy.
const PATIENCE: Duration = Duration::from_secs(90);

/// Where a session takes orders.
type Orders = mpsc::Sender<Result<v1::AgentOrder, Status>>;

/// A controller that notes what comes and says what the test wants.
#[derive(Clone)]
struct Controller {
    heard: mpsc::UnboundedSender<Message>,
    /// Where the newest session takes orders.
    orders: Arc<Mutex<Option<Orders>>>,
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
        *self.orders.lock().unwrap() = Some(send.clone());
        let heard = self.heard.clone();
        tokio::spawn(async move {
            while let Ok(Some(v1::AgentMessage { message: Some(message) })) = messages.message().await {
                if matches!(message, Message::Register(_)) {
                    let registered = v1::Registered {
                        session: 1,
                        interval_ms: 200,
                        message_bytes_max: 65536,
                        contested_ost_indices: Vec::new(),
                    };
                    let _ = send.send(Ok(order(Order::Registered(registered)))).await;
                }
                let _ = heard.send(message);
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(orders))))
    }
}

fn order(order: Order) -> v1::AgentOrder {
    v1::AgentOrder { order: Some(order) }
}

/// A controller that runs, and what it hears.
struct Running {
    controller: Controller,
    heard: mpsc::UnboundedReceiver<Message>,
    address: SocketAddr,
    server: Option<Runtime>,
}

impl Running {
    async fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (send, heard) = mpsc::unbounded_channel();
        let controller = Controller { heard: send, orders: Arc::default() };
        let server = Some(serve(listener, controller.clone()));
        Self { controller, heard, address, server }
    }

    /// Kills the server with all its connections.
    fn kill(&mut self) {
        self.server.take().unwrap().shutdown_background();
        *self.controller.orders.lock().unwrap() = None;
    }

    /// Starts it again at the same address.
    async fn revive(&mut self) {
        let listener = loop {
            match std::net::TcpListener::bind(self.address) {
                Ok(listener) => break listener,
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        };
        self.server = Some(serve(listener, self.controller.clone()));
    }

    async fn order(&self, what: Order) {
        let orders = self.controller.orders.lock().unwrap().clone().unwrap();
        orders.send(Ok(order(what))).await.unwrap();
    }

    /// The next message that the test looks for; others are passed over.
    async fn hear<T>(&mut self, mut wanted: impl FnMut(Message) -> Option<T>) -> T {
        let look = async {
            loop {
                if let Some(found) = wanted(self.heard.recv().await.unwrap()) {
                    return found;
                }
            }
        };
        tokio::time::timeout(PATIENCE, look).await.expect("the agent says what the test waits for")
    }

    async fn register(&mut self) -> v1::Register {
        self.hear(|message| match message {
            Message::Register(register) => Some(register),
            _ => None,
        })
        .await
    }

    async fn sample(&mut self) -> v1::Sample {
        self.hear(|message| match message {
            Message::Sample(sample) => Some(sample),
            _ => None,
        })
        .await
    }
}

/// A runtime of its own: tonic's connections are tasks of their own, and all of them end with it.
fn serve(listener: std::net::TcpListener, controller: Controller) -> Runtime {
    listener.set_nonblocking(true).unwrap();
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.spawn(async move {
        let listener = TcpListener::from_std(listener).unwrap();
        let server = tonic::transport::Server::builder().add_service(AgentsServer::new(controller));
        server.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
    });
    runtime
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.shutdown_background();
        }
    }
}

/// An agent's process, killed with the test.
struct Agent {
    child: Child,
    log: PathBuf,
}

impl Agent {
    fn start(address: SocketAddr, folder: &Path, arguments: &[String]) -> Self {
        let log = folder.join("agent.log");
        let child = Command::new(env!("CARGO_BIN_EXE_tarazu"))
            .args(["agent", "--file-system", "lustre", "--server", "oss1", "--interval", "200ms"])
            .args(["--controller", &address.to_string()])
            .args(arguments)
            .env_remove("RUST_LOG")
            .stderr(std::fs::File::create(&log).unwrap())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, log }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Counters of an emulated target, replaced whole.
fn put(path: &Path, written_bytes: u64, start: u64) {
    let text = format!(
        "tarazu-counters 1\nstart_unix_ns {start}\nwritten_bytes {written_bytes}\nops 1\nfree_bytes 1000\ncapacity_bytes 1000000\n"
    );
    std::fs::write(path.with_extension("new"), text).unwrap();
    std::fs::rename(path.with_extension("new"), path).unwrap();
}

fn target(index: u32, path: &Path) -> Vec<String> {
    vec!["--target".to_owned(), format!("{index}={}", path.display())]
}

#[tokio::test]
async fn an_agent_registers_and_reports_rising_samples() {
    let folder = tempfile::tempdir().unwrap();
    let mut controller = Running::start().await;
    let _agent = Agent::start(
        controller.address,
        folder.path(),
        &words(&["--root", "traces/lustre/s1-after-session"]),
    );
    let register = controller.register().await;
    assert_eq!(
        (register.protocol, register.file_system.as_str(), register.server.as_str()),
        (1, "lustre", "oss1")
    );
    assert_eq!(register.file_system_version, "2.17.57_62_gc881f8e_dirty");
    assert_eq!(
        register.targets.iter().map(|target| target.ost_index).collect::<Vec<_>>(),
        [0, 1, 2, 3, 4, 5, 6, 7]
    );
    assert!(register.targets.iter().all(|target| target.capacity_bytes == 3_833_116 * 1024));
    assert!(!register.can_canary && register.instance != 0 && register.started_unix_ns > 1 << 60);
    let mut last = 0;
    for _ in 0..3 {
        let sample = controller.sample().await;
        assert!(sample.sequence > last && sample.interval_s >= 0.1, "{sample:?}");
        assert_eq!(sample.targets.len(), 8);
        // The recording stands still.
        assert!(sample.targets.iter().all(|row| row.written_bytes == 0 && row.free_bytes > 3 << 30));
        last = sample.sequence;
    }
}

#[tokio::test]
async fn a_killed_controller_is_found_again_and_the_newest_samples_come() {
    let folder = tempfile::tempdir().unwrap();
    let mut controller = Running::start().await;
    let path = folder.path().join("ost3");
    put(&path, 0, 1);
    let arguments = [words(&["--collector", "synthetic"]), target(3, &path)].concat();
    let _agent = Agent::start(controller.address, folder.path(), &arguments);
    let first = controller.register().await;
    let before = controller.sample().await.sequence;
    controller.kill();
    while controller.heard.try_recv().is_ok() {}
    put(&path, 7000, 1);
    tokio::time::sleep(Duration::from_secs(2)).await;
    controller.revive().await;
    let again = controller.register().await;
    assert_eq!((again.instance, again.started_unix_ns), (first.instance, first.started_unix_ns));
    let after = controller.sample().await;
    assert!(after.sequence > before, "{} {before}", after.sequence);
}

#[tokio::test]
async fn a_superseded_agent_is_silent_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let mut controller = Running::start().await;
    let agent =
        Agent::start(controller.address, folder.path(), &words(&["--root", "traces/lustre/s1-before"]));
    controller.register().await;
    controller.sample().await;
    controller.order(Order::Superseded(v1::Superseded { by_instance: 0xabc })).await;
    // What was on its way may still come; a new registration must not.
    let quiet = async {
        loop {
            if let Message::Register(_) = controller.heard.recv().await.unwrap() {
                return;
            }
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(5), quiet).await.is_err(), "it came back at once");
    let log = agent.log();
    assert!(
        log.contains("ERROR") && log.contains("0000000000000abc") && log.contains("at least 60 s"),
        "{log}"
    );
}

#[tokio::test]
async fn a_source_that_hangs_costs_its_own_row_and_one_thread() {
    let folder = tempfile::tempdir().unwrap();
    let mut controller = Running::start().await;
    let paths: BTreeMap<u32, PathBuf> =
        (0..3).map(|index| (index, folder.path().join(format!("ost{index}")))).collect();
    paths.values().for_each(|path| put(path, 0, 1));
    let mut arguments = words(&["--collector", "synthetic"]);
    paths.iter().for_each(|(index, path)| arguments.extend(target(*index, path)));
    let agent = Agent::start(controller.address, folder.path(), &arguments);
    assert_eq!(controller.register().await.targets.len(), 3);
    // A pipe that nobody writes to: opening it waits for ever.
    std::fs::remove_file(&paths[&1]).unwrap();
    assert!(Command::new("mkfifo").arg(&paths[&1]).status().unwrap().success());
    let rows = |sample: &v1::Sample| sample.targets.iter().map(|row| row.ost_index).collect::<Vec<_>>();
    let only_others = |message| match message {
        Message::Sample(sample) if rows(&sample) == [0, 2] => Some(()),
        _ => None,
    };
    for _ in 0..5 {
        controller.hear(only_others).await;
    }
    // The main thread, four readers and the finder; the runtime may hold one for names.
    let threads = std::fs::read_dir(format!("/proc/{}/task", agent.child.id())).unwrap().count();
    assert!((5..=8).contains(&threads), "{threads} threads");
    assert!(agent.log().contains("no answer in time"), "{}", agent.log());
    // A writer lets it go: it is refused for its text, then read again from a file.
    let fifo = paths[&1].clone();
    tokio::task::spawn_blocking(move || std::fs::write(&fifo, "").unwrap()).await.unwrap();
    put(&paths[&1], 5, 2);
    let all = |message| match message {
        Message::Sample(sample) if rows(&sample) == [0, 1, 2] => Some(()),
        _ => None,
    };
    controller.hear(all).await;
}

#[tokio::test]
async fn counters_that_lie_or_begin_again_never_leave_the_agent() {
    let folder = tempfile::tempdir().unwrap();
    let mut controller = Running::start().await;
    let path = folder.path().join("ost0");
    put(&path, 0, 1);
    let arguments = [words(&["--collector", "synthetic"]), target(0, &path)].concat();
    let _agent = Agent::start(controller.address, folder.path(), &arguments);
    controller.register().await;
    controller.sample().await;
    let lies = [
        "written_bytes 18446744073709551615",
        "busy_s NaN",
        "latency_total_s -1",
        "depth_integral_s 1e30",
        "ops 0",
    ];
    for (round, lie) in lies.iter().enumerate() {
        std::fs::write(&path, format!("tarazu-counters 1\ncapacity_bytes 1000000\nops 3\n{lie}\n")).unwrap();
        tokio::time::sleep(Duration::from_millis(450)).await;
        put(&path, 1000, 10 + round as u64);
        tokio::time::sleep(Duration::from_millis(450)).await;
    }
    put(&path, 4000, 14);
    let mut seen = 0;
    while seen < 3000 {
        let sample = controller.sample().await;
        for row in sample.targets {
            assert!(row.written_bytes <= 3000 && row.ops.is_none_or(|ops| ops <= 3), "{row:?}");
            assert!(row.latency_s.is_none_or(|value| (0.0..10.0).contains(&value)), "{row:?}");
            assert!(
                row.busy_s.is_none_or(|value| value == 0.0) && row.depth.is_none_or(|value| value == 0.0)
            );
            seen += row.written_bytes;
        }
    }
}

#[tokio::test]
async fn a_canary_is_written_where_it_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("ost5");
    std::fs::create_dir(&place).unwrap();
    let mut controller = Running::start().await;
    let arguments = [words(&["--collector", "directory"]), target(5, &place)].concat();
    let _agent = Agent::start(controller.address, folder.path(), &arguments);
    let register = controller.register().await;
    assert!(register.can_canary && register.targets[0].capacity_bytes > 0);
    controller.sample().await;
    for (ost_index, works) in [(5, true), (6, false)] {
        controller.order(Order::Canary(v1::Canary { ost_index, bytes: 4 << 20 })).await;
        let done = controller
            .hear(|message| match message {
                Message::CanaryDone(done) => Some(done),
                _ => None,
            })
            .await;
        assert_eq!((done.ost_index, done.seconds.is_some()), (ost_index, works), "{done:?}");
    }
    assert_eq!(std::fs::read_dir(&place).unwrap().count(), 0);
}

#[tokio::test]
async fn a_target_that_comes_registers_again_and_sigterm_ends_a_hung_agent() {
    let folder = tempfile::tempdir().unwrap();
    let mut controller = Running::start().await;
    let paths = [folder.path().join("ost0"), folder.path().join("ost1")];
    put(&paths[0], 0, 1);
    let arguments =
        [words(&["--collector", "synthetic"]), target(0, &paths[0]), target(1, &paths[1])].concat();
    let mut agent = Agent::start(controller.address, folder.path(), &arguments);
    assert_eq!(controller.register().await.targets.len(), 1);
    put(&paths[1], 0, 1);
    assert_eq!(controller.register().await.targets.len(), 2);
    std::fs::remove_file(&paths[0]).unwrap();
    assert!(Command::new("mkfifo").arg(&paths[0]).status().unwrap().success());
    let stale = |message| match message {
        Message::Sample(sample) if sample.targets.iter().all(|row| row.ost_index == 1) => Some(()),
        _ => None,
    };
    controller.hear(stale).await;
    let id = agent.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let ended = tokio::task::spawn_blocking(move || (agent.child.wait().unwrap(), agent)).await.unwrap();
    assert!(ended.0.success(), "{}", ended.1.log());
}

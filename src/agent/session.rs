//! The client of `Agents.Report`: registers, sends samples, takes orders, and comes back when the controller is gone.
//!
//! Everything runs on one thread: sampling and sending are two futures that share a desk. Neither waits for the other.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher};
use std::path::PathBuf;
use std::time::Duration;

use tarazu_proto::v1;
use tarazu_proto::v1::agent_message::Message;
use tarazu_proto::v1::agent_order::Order;
use tarazu_proto::v1::agents_client::AgentsClient;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tracing::{error, info, warn};

use super::Sources;
use super::backoff::{self, Backoff};
use super::canary::Canaries;
use super::clock;
use super::diff::Priors;
use super::error::AgentError;
use super::outbox::{CANARIES_MAX, Newest, SAMPLES_MAX};
use super::sampler::{Sampler, Target, chain};

/// Version of the protocol that this agent speaks.
const PROTOCOL: u32 = 1;

/// Longest message of a controller, bytes: its largest order has three numbers.
const ORDER_BYTES_MAX: usize = 4096;

/// Longest message of an agent, bytes (`tarazu.v1.AgentMessage`).
const MESSAGE_BYTES_MAX: usize = 256 << 10;

/// Bytes on their way in one stream before the controller has to take some.
const WINDOW_BYTES: u32 = 64 << 10;

/// Longest wait for a connection, and for the controller's word after registering.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// A connection without traffic is tried so often, and given up when no answer comes in the same time.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Shortest and longest interval that a controller may ask for (`tarazu.v1.Registered`), milliseconds.
const INTERVAL_MS: std::ops::RangeInclusive<u32> = 100..=300_000;

/// How often drops are said, at most.
const SAY_EVERY_NS: u64 = 60_000_000_000;

/// What an agent is told at its start.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The controller's `HOST:PORT`.
    pub(crate) controller: String,
    /// The server's name: its identity.
    pub(crate) server: String,
    /// What it reads.
    pub(crate) sources: Sources,
    /// Speeds of its targets' hardware.
    pub(crate) priors: Priors,
    /// Bandwidth of the server's link, bytes/s.
    pub(crate) link_bps: f64,
    /// Number of its enclosure.
    pub(crate) enclosure: Option<u32>,
    /// Interval until the controller names another.
    pub(crate) interval: Duration,
    /// Folders for canaries, by target.
    pub(crate) canary_folders: BTreeMap<u32, PathBuf>,
}

/// What is registered.
#[derive(Clone, Debug, Default, PartialEq)]
struct Facts {
    targets: Vec<Target>,
    version: String,
}

/// What sampling and sending share.
struct Desk {
    config: Config,
    instance: u64,
    started_unix_ns: u64,
    interval: Cell<Duration>,
    interval_changed: Notify,
    samples: RefCell<Newest<v1::Sample>>,
    canaries_done: RefCell<Newest<v1::CanaryDone>>,
    news: Notify,
    canaries: Canaries,
}

/// Runs an agent until it is told to end (SIGTERM, SIGINT).
pub(crate) async fn run(config: Config) -> Result<(), AgentError> {
    let signals = |kind| signal(kind).map_err(|source| AgentError::Signals { source });
    let (mut terminate, mut interrupt) =
        (signals(SignalKind::terminate())?, signals(SignalKind::interrupt())?);
    let endpoint = endpoint(&config.controller)?;
    let sampler = Sampler::new(config.sources.collector()?, config.priors);
    let desk = Desk {
        instance: random(),
        started_unix_ns: clock::unix_ns(),
        interval: Cell::new(config.interval),
        interval_changed: Notify::new(),
        samples: RefCell::new(Newest::new(SAMPLES_MAX)),
        canaries_done: RefCell::new(Newest::new(CANARIES_MAX)),
        news: Notify::new(),
        canaries: Canaries::default(),
        config,
    };
    info!("agent of {} started, instance {:016x}", desk.config.server, desk.instance);
    let (facts_to, facts) = watch::channel(Facts::default());
    tokio::select! {
        () = keep_sampling(&desk, sampler, &facts_to) => {}
        () = keep_reporting(&desk, &endpoint, facts) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    info!("agent of {} ends", desk.config.server);
    Ok(())
}

fn endpoint(controller: &str) -> Result<Endpoint, AgentError> {
    let endpoint = Endpoint::from_shared(format!("http://{controller}"))
        .map_err(|source| AgentError::Address { address: controller.to_owned(), source })?;
    Ok(endpoint
        .connect_timeout(ANSWER_DEADLINE)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .http2_max_header_list_size(16 << 10)
        .tcp_nodelay(true))
}

/// A number that no other agent has: the standard library seeds its hashes from the system's random source.
fn random() -> u64 {
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

/// Reads once an interval, for ever; also while nobody listens, so that the next sample has something to compare with.
async fn keep_sampling(desk: &Desk, mut sampler: Sampler, facts: &watch::Sender<Facts>) {
    let (mut said, mut said_at_ns) = (sampler.troubles(), 0);
    loop {
        let start_ns = clock::monotonic_ns();
        let round = sampler.round(desk.interval.get()).await;
        let now = Facts { targets: sampler.targets(), version: sampler.version().chars().take(64).collect() };
        facts.send_if_modified(|known| {
            let changed = *known != now;
            *known = now;
            changed
        });
        if let Some(sample) = round.sample {
            desk.samples.borrow_mut().push(sample);
            desk.news.notify_one();
        }
        let troubles = sampler.troubles();
        if troubles != said && start_ns.saturating_sub(said_at_ns) >= SAY_EVERY_NS {
            let (tally, stale) = troubles;
            let unsent = desk.samples.borrow().dropped();
            warn!(?tally, stale, unsent, "rows without a value since the start");
            (said, said_at_ns) = (troubles, start_ns);
        }
        let spent = Duration::from_nanos(clock::monotonic_ns().saturating_sub(start_ns));
        tokio::select! {
            () = tokio::time::sleep(desk.interval.get().saturating_sub(spent)) => {}
            () = desk.interval_changed.notified() => {}
        }
    }
}

/// How a session ended.
enum End {
    /// The controller is gone, or did not want us.
    Lost(String),
    /// Another agent has our name.
    Superseded(u64),
}

/// Holds one session after the other, for ever.
async fn keep_reporting(desk: &Desk, endpoint: &Endpoint, mut facts: watch::Receiver<Facts>) {
    let mut backoff = Backoff::default();
    loop {
        if facts.wait_for(|facts| !facts.targets.is_empty()).await.is_err() {
            return;
        }
        let start_ns = clock::monotonic_ns();
        let wait_ns = match session(desk, endpoint, &mut facts).await {
            End::Superseded(other) => {
                error!(
                    "another agent of the name {} runs, instance {other:016x}: this one, {:016x}, is silent for at least \
                     {} s. Stop one of them, or give it another --server",
                    desk.config.server,
                    desk.instance,
                    backoff::SUPERSEDED_NS / 1_000_000_000
                );
                backoff::jittered_ns(backoff::SUPERSEDED_NS, random())
            }
            End::Lost(why) => {
                if clock::monotonic_ns().saturating_sub(start_ns) >= backoff::GOOD_NS {
                    backoff.reset();
                }
                let wait_ns = backoff.next_ns(random());
                warn!(
                    "controller {}: {why}; tried again in {:.1} s",
                    desk.config.controller,
                    wait_ns as f64 / 1e9
                );
                wait_ns
            }
        };
        tokio::time::sleep(Duration::from_nanos(wait_ns)).await;
    }
}

/// One session: its stream of orders, and what is allowed in it.
struct Session {
    send: mpsc::Sender<v1::AgentMessage>,
    orders: tonic::Streaming<v1::AgentOrder>,
    registered: bool,
    message_bytes_max: usize,
}

async fn session(desk: &Desk, endpoint: &Endpoint, facts: &mut watch::Receiver<Facts>) -> End {
    let mut session = match open(desk, endpoint, facts).await {
        Ok(session) => session,
        Err(why) => return End::Lost(why),
    };
    let (canary_to, mut canary_done) = mpsc::channel(CANARIES_MAX);
    let answer_by = tokio::time::sleep(ANSWER_DEADLINE);
    tokio::pin!(answer_by);
    loop {
        let waiting = session.registered && desk.has_news();
        tokio::select! {
            order = session.orders.message() => match order {
                Ok(Some(v1::AgentOrder { order: Some(order) })) => {
                    if let Some(end) = desk.obey(&mut session, order, &canary_to) {
                        return end;
                    }
                }
                // An order of a newer protocol.
                Ok(Some(v1::AgentOrder { order: None })) => warn!("an unknown order was passed over"),
                Ok(None) => return End::Lost("ended the session".to_owned()),
                Err(status) => return End::Lost(said(&status)),
            },
            permit = session.send.clone().reserve_owned(), if waiting => match permit {
                Ok(permit) => {
                    if let Some(message) = desk.next_message(session.message_bytes_max) {
                        permit.send(v1::AgentMessage { message: Some(message) });
                    }
                }
                Err(_) => return End::Lost("takes no more".to_owned()),
            },
            () = desk.news.notified(), if !waiting => {}
            Some(done) = canary_done.recv() => {
                desk.canaries_done.borrow_mut().push(done);
                desk.news.notify_one();
            }
            changed = facts.changed() => {
                let now = facts.borrow_and_update().clone();
                if changed.is_err() || now.targets.is_empty() {
                    return End::Lost("was left, for there are no targets".to_owned());
                }
                info!("targets changed: registering again");
                session.registered = false;
                answer_by.as_mut().reset(tokio::time::Instant::now() + ANSWER_DEADLINE);
                if session.send.send(desk.register(&now)).await.is_err() {
                    return End::Lost("takes no more".to_owned());
                }
            }
            () = &mut answer_by, if !session.registered => {
                return End::Lost("does not answer the registration".to_owned());
            }
        }
    }
}

/// Connects and registers.
async fn open(
    desk: &Desk,
    endpoint: &Endpoint,
    facts: &mut watch::Receiver<Facts>,
) -> Result<Session, String> {
    let channel: Channel = endpoint.connect().await.map_err(|error| chain(&error))?;
    let mut client = AgentsClient::new(channel)
        .max_decoding_message_size(ORDER_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    // One message waits behind the one being sent: what is older than that waits in the outbox, which forgets.
    let (send, messages) = mpsc::channel(1);
    let now = facts.borrow_and_update().clone();
    send.try_send(desk.register(&now)).map_err(|error| error.to_string())?;
    let answer = tokio::time::timeout(ANSWER_DEADLINE, client.report(ReceiverStream::new(messages))).await;
    let orders = match answer {
        Ok(Ok(response)) => response.into_inner(),
        Ok(Err(status)) => return Err(said(&status)),
        Err(_) => return Err("does not answer".to_owned()),
    };
    Ok(Session { send, orders, registered: false, message_bytes_max: MESSAGE_BYTES_MAX })
}

/// A refusal as the controller puts it.
fn said(status: &tonic::Status) -> String {
    format!("{}: {}", status.code(), status.message())
}

impl Desk {
    fn has_news(&self) -> bool {
        !self.samples.borrow().is_empty() || !self.canaries_done.borrow().is_empty()
    }

    /// The next thing to send. A sample that the controller would not take is passed over.
    fn next_message(&self, bytes_max: usize) -> Option<Message> {
        if let Some(done) = self.canaries_done.borrow_mut().take() {
            return Some(Message::CanaryDone(done));
        }
        let sample = self.samples.borrow_mut().take()?;
        let bytes = prost::Message::encoded_len(&sample);
        if bytes > bytes_max {
            warn!("a sample of {bytes} bytes is not sent: the controller takes {bytes_max}");
            return None;
        }
        Some(Message::Sample(sample))
    }

    fn register(&self, facts: &Facts) -> v1::AgentMessage {
        let config = &self.config;
        let targets = facts.targets.iter().map(|target| v1::TargetFacts {
            ost_index: target.ost_index,
            capacity_bytes: target.capacity_bytes,
            read_bps: config.priors.read_bps,
            write_bps: config.priors.write_bps,
        });
        let register = v1::Register {
            protocol: PROTOCOL,
            file_system: config.sources.file_system.clone(),
            server: config.server.clone(),
            instance: self.instance,
            started_unix_ns: self.started_unix_ns,
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            file_system_version: facts.version.clone(),
            link_bps: config.link_bps,
            enclosure: config.enclosure,
            targets: targets.collect(),
            can_canary: !config.canary_folders.is_empty(),
        };
        v1::AgentMessage { message: Some(Message::Register(register)) }
    }

    /// Does what the controller orders; an end where it ends the session.
    fn obey(
        &self,
        session: &mut Session,
        order: Order,
        canary_to: &mpsc::Sender<v1::CanaryDone>,
    ) -> Option<End> {
        match order {
            Order::Registered(registered) => {
                if !INTERVAL_MS.contains(&registered.interval_ms) {
                    return Some(End::Lost(format!("asks for an interval of {} ms", registered.interval_ms)));
                }
                session.registered = true;
                session.message_bytes_max = MESSAGE_BYTES_MAX.min(registered.message_bytes_max as usize);
                let interval = Duration::from_millis(u64::from(registered.interval_ms));
                if self.interval.replace(interval) != interval {
                    self.interval_changed.notify_one();
                }
                info!("registered: session {}, a sample every {interval:?}", registered.session);
            }
            Order::Canary(canary) => self.start_canary(canary, canary_to.clone()),
            Order::Superseded(superseded) => return Some(End::Superseded(superseded.by_instance)),
        }
        None
    }

    fn start_canary(&self, canary: v1::Canary, done: mpsc::Sender<v1::CanaryDone>) {
        let ost_index = canary.ost_index;
        let folder = self.config.canary_folders.get(&ost_index).cloned();
        let canaries = self.canaries.clone();
        tokio::spawn(async move {
            let seconds = match folder {
                Some(folder) => canaries.run(ost_index, folder, canary.bytes).await,
                None => None,
            };
            // The session that asked may be over.
            let _ = done.try_send(v1::CanaryDone { ost_index, seconds });
        });
    }
}

//! The client of `Agents.Report`: registers, sends samples, takes orders, and comes back when the controller is gone.
//!
//! Everything runs on one thread: sampling and sending are two futures that share a desk. Neither waits for the other.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hasher};
use std::path::PathBuf;
use std::time::Duration;

use tarazu_proto::limits::AGENT_MESSAGE_BYTES_MAX as MESSAGE_BYTES_MAX;
use tarazu_proto::v1;
use tarazu_proto::v1::agents_client::AgentsClient;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tracing::{error, info, warn};

use super::Sources;
use super::backoff::{self, Backoff};
use super::clock;
use super::desk::{Desk, Facts};
use super::diff::{Priors, Tally};
use super::error::AgentError;
use super::outbox::CANARIES_MAX;
use super::sampler::{Sampler, chain};

/// Longest message of a controller, bytes: its largest order has three numbers.
const ORDER_BYTES_MAX: usize = 4096;

/// Bytes on their way in one stream before the controller has to take some.
const WINDOW_BYTES: u32 = 64 << 10;

/// Longest wait for a connection, and for the controller's word after registering.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// A connection without traffic is tried so often, and given up when no answer comes in the same time.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// An agent that has contested targets registers again so often: fail-over, in which a server lets go, takes minutes.
const CONTESTED_AGAIN: Duration = Duration::from_secs(60);

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

/// Runs an agent until it is told to end (SIGTERM, SIGINT).
pub(crate) async fn run(config: Config) -> Result<(), AgentError> {
    let signals = |kind| signal(kind).map_err(|source| AgentError::Signals { source });
    let (mut terminate, mut interrupt) =
        (signals(SignalKind::terminate())?, signals(SignalKind::interrupt())?);
    let endpoint = endpoint(&config.controller)?;
    let sampler = Sampler::new(config.sources.collector()?, config.priors);
    let desk = Desk::new(config, random());
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
    if endpoint.uri().port().is_none() {
        return Err(AgentError::Port { address: controller.to_owned() });
    }
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
    let mut said = Said::default();
    loop {
        let start_ns = clock::monotonic_ns();
        let round = sampler.round(desk.interval.get()).await;
        let now = Facts { targets: sampler.targets(), version: sampler.version().chars().take(64).collect() };
        said.troubles(desk, &sampler, now.targets.is_empty(), start_ns);
        facts.send_if_modified(|known| {
            let changed = *known != now;
            *known = now;
            changed
        });
        if let Some(sample) = round.sample {
            desk.samples.borrow_mut().push(sample);
            desk.news.notify_one();
        }
        let spent = Duration::from_nanos(clock::monotonic_ns().saturating_sub(start_ns));
        tokio::select! {
            () = tokio::time::sleep(desk.interval.get().saturating_sub(spent)) => {}
            () = desk.interval_changed.notified() => {}
        }
    }
}

/// What was said of lost rows, and when.
#[derive(Default)]
struct Said {
    troubles: (Tally, u64),
    at_ns: Option<u64>,
}

impl Said {
    /// Says what is new since the last time, at most once a minute.
    fn troubles(&mut self, desk: &Desk, sampler: &Sampler, no_targets: bool, now_ns: u64) {
        let (tally, stale) = sampler.troubles();
        // Every target is new once, which is no trouble.
        let troubles = (Tally { first: 0, ..tally }, stale);
        let too_soon = self.at_ns.is_some_and(|at_ns| now_ns.saturating_sub(at_ns) < SAY_EVERY_NS);
        if too_soon || (troubles == self.troubles && !no_targets) {
            return;
        }
        if no_targets {
            let (name, root) = (&desk.config.sources.file_system, desk.config.sources.root.display());
            warn!("no target of {name} could be read below {root}: nothing is reported until there is one");
        }
        if troubles != self.troubles {
            let unsent = desk.samples.borrow().dropped();
            warn!(?tally, stale, unsent, "rows and values that were left out since the start");
        }
        (self.troubles, self.at_ns) = (troubles, Some(now_ns));
    }
}

/// How long a session waits; other than the usual only in tests.
pub(super) struct Waits {
    /// For the controller's word after registering.
    answer: Duration,
    /// Before contested targets are asked for again.
    pub(super) contested: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self { answer: ANSWER_DEADLINE, contested: CONTESTED_AGAIN }
    }
}

/// How a session ended.
#[derive(Debug)]
pub(super) enum End {
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
pub(super) struct Session {
    send: mpsc::Sender<v1::AgentMessage>,
    orders: tonic::Streaming<v1::AgentOrder>,
    /// The controller has answered: samples may go.
    pub(super) registered: bool,
    /// Longest message that it takes.
    pub(super) message_bytes_max: usize,
    /// Targets that another live server speaks for, as the last answer named them.
    pub(super) contested: BTreeSet<u32>,
    /// A registration that waits for room in the stream: it is never waited for outside of the loop, whose deadline
    /// must go on.
    to_register: bool,
    /// When to register again for contested targets.
    again_at: Option<Instant>,
}

impl Session {
    /// The controller has to answer anew.
    fn register_again(&mut self) {
        self.registered = false;
        self.to_register = true;
        self.again_at = None;
    }

    /// Registers again in a while, or not.
    pub(super) fn ask_again(&mut self, wait: Option<Duration>) {
        self.again_at = wait.map(|wait| Instant::now() + wait);
    }
}

async fn session(desk: &Desk, endpoint: &Endpoint, facts: &mut watch::Receiver<Facts>) -> End {
    let mut session = match open(desk, endpoint, facts).await {
        Ok(session) => session,
        Err(why) => return End::Lost(why),
    };
    let (canary_to, mut canary_done) = mpsc::channel(CANARIES_MAX);
    let answer_by = tokio::time::sleep(desk.waits.answer);
    tokio::pin!(answer_by);
    loop {
        let waiting = session.to_register || (session.registered && desk.has_news());
        // A clock that never comes where nothing is due.
        let again_at = session.again_at.unwrap_or_else(|| Instant::now() + CONTESTED_AGAIN);
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
                Ok(permit) if std::mem::take(&mut session.to_register) => {
                    permit.send(desk.register(&facts.borrow()));
                }
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
                if changed.is_err() || facts.borrow_and_update().targets.is_empty() {
                    return End::Lost("was left, for there are no targets".to_owned());
                }
                info!("targets changed: registering again");
                session.register_again();
                answer_by.as_mut().reset(Instant::now() + desk.waits.answer);
            }
            () = tokio::time::sleep_until(again_at), if session.again_at.is_some() => {
                session.register_again();
                answer_by.as_mut().reset(Instant::now() + desk.waits.answer);
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
    Ok(Session {
        send,
        orders,
        registered: false,
        message_bytes_max: MESSAGE_BYTES_MAX,
        contested: BTreeSet::new(),
        to_register: false,
        again_at: None,
    })
}

/// A refusal as the controller puts it.
fn said(status: &tonic::Status) -> String {
    format!("{}: {}", status.code(), status.message())
}

#[cfg(test)]
mod tests;

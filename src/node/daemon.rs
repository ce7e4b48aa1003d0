//! The daemon's loop: one wake for all that there is to read, to say and to publish.

use std::io;
use std::mem::MaybeUninit;
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::inotify;
use tarazu_layout::Time;
use tarazu_proto::limits::{FILE_SYSTEMS_MAX, HOST_NAME_MAX, PROTOCOL, SYNC_RESPONSE_BYTES_MAX};
use tarazu_proto::v1;
use tarazu_proto::v1::nodes_client::NodesClient;
use tarazu_table::STAMP_BYTES;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tonic::transport::{Channel, Endpoint};
use tracing::{debug, info, warn};

use super::collect::{Collector, Visit};
use super::decisions::{Decision, Decisions};
use super::host;
use super::jobs::Jobs;
use super::outbox::Outbox;
use super::plan::FsTable;
use super::rundir::{RunDir, RunDirError};
use super::schedule::Pace;
use super::status::{self, Counters};
use super::translate::Intake;

/// An answer that takes longer counts as none: the next interval has come by then.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Where the kernel gives no inotify watch, an idle daemon looks this often instead.
const IDLE_LOOK: Duration = Duration::from_secs(5);

/// Answers after the start up to which an idle daemon goes on asking for tables that it does not hold: a minute, twice
/// what a controller takes to have heard of its agents.
const TABLES_AWAITED: u64 = 12;

/// What a node daemon is told when it starts.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Address of the controller, `HOST:PORT`.
    pub(crate) controller: String,
    /// Names of the file systems that are mounted here, as the controller calls them.
    pub(crate) file_systems: Vec<String>,
    pub(crate) run_dir: PathBuf,
    /// The node's name; the host's where none is given.
    pub(crate) node: Option<String>,
}

/// Why a daemon cannot run. Nothing that happens later ends it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NodeError {
    #[error(
        "{given} file systems are not 1 to {FILE_SYSTEMS_MAX}, or one is named twice; name each once with --file-system"
    )]
    FileSystems { given: usize },
    #[error("the node's name {name:?} has not 1 to {HOST_NAME_MAX} bytes; give one with --node")]
    Name { name: String },
    #[error("{address:?} is no controller's address: {source}; give HOST:PORT with --controller")]
    Address { address: String, source: tonic::transport::Error },
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    #[error("cannot read this host's boot id: {0}")]
    BootId(io::Error),
    #[error("cannot start: {0}")]
    Runtime(io::Error),
}

/// Runs until it is told to stop (SIGTERM, SIGINT).
///
/// # Errors
/// What keeps it from starting.
pub(crate) fn run(config: &Config) -> Result<(), NodeError> {
    // One thread: a node's cores belong to its jobs.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(NodeError::Runtime)?;
    runtime.block_on(async {
        let mut stop = Stop::new().map_err(NodeError::Runtime)?;
        let mut daemon = Daemon::new(config)?;
        tokio::select! {
            () = daemon.serve() => {}
            () = stop.wait() => info!("told to stop"),
        }
        daemon.write_status();
        Ok(())
    })
}

struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Everything that a daemon holds.
pub(crate) struct Daemon {
    node: String,
    instance: u64,
    run_dir: RunDir,
    endpoint: Endpoint,
    client: NodesClient<Channel>,
    collector: Collector,
    tables: Vec<FsTable>,
    name_hashes: Vec<u64>,
    jobs: Jobs,
    outbox: Outbox,
    decisions: Decisions,
    pace: Pace,
    counters: Counters,
    /// The highest term of any answer: a controller of a higher one has not heard of the running jobs.
    heard_term: u64,
    /// Whether an exchange was answered since the start.
    was_answered: bool,
    /// Whether files of records wait to be read.
    files_wait: bool,
}

impl Daemon {
    pub(crate) fn new(config: &Config) -> Result<Self, NodeError> {
        let names = &config.file_systems;
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        if names.is_empty() || names.len() > FILE_SYSTEMS_MAX || distinct.len() != names.len() {
            return Err(NodeError::FileSystems { given: names.len() });
        }
        let node = config.node.clone().unwrap_or_else(host::name);
        if !(1..=HOST_NAME_MAX).contains(&node.len()) {
            return Err(NodeError::Name { name: node });
        }
        let address = &config.controller;
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|source| NodeError::Address { address: address.clone(), source })?;
        let endpoint = endpoint.connect_timeout(ANSWER_MAX).timeout(ANSWER_MAX);
        let boot_hash = host::boot_hash().map_err(NodeError::BootId)?;
        let run_dir = RunDir::open(&config.run_dir, names)?;
        let mut tables: Vec<FsTable> = names.iter().map(|name| FsTable::new(name, boot_hash)).collect();
        for table in &mut tables {
            restore(table, &run_dir);
        }
        Ok(Self {
            node,
            instance: host::random(),
            client: connection(&endpoint),
            endpoint,
            collector: Collector::new(run_dir.root()),
            decisions: Decisions::new(run_dir.root()),
            name_hashes: tables.iter().map(FsTable::name_hash).collect(),
            outbox: Outbox::new(names.len()),
            run_dir,
            tables,
            jobs: Jobs::default(),
            pace: Pace::default(),
            counters: Counters::default(),
            heard_term: 0,
            was_answered: false,
            files_wait: false,
        })
    }

    /// Exchanges for ever, at the pace that is due; while nothing runs it sleeps.
    pub(crate) async fn serve(&mut self) {
        info!(node = %self.node, run_dir = %self.run_dir.root().display(), "node daemon started");
        loop {
            let began = tokio::time::Instant::now();
            self.wake().await;
            self.write_status();
            let plan_ms = self.tables.iter().filter_map(FsTable::interval_ms).min();
            tokio::time::sleep_until(began + self.pace.wait(plan_ms, host::random())).await;
            if self.is_idle() {
                self.sleep_until_a_file_comes().await;
            }
        }
    }

    /// Nothing runs, nothing waits, and there is a table for whoever comes.
    fn is_idle(&self) -> bool {
        self.was_answered && !self.wants_table() && self.outbox.is_empty()
    }

    /// Somebody needs tables, or whoever comes first would find none.
    fn wants_table(&self) -> bool {
        let missing = self.tables.iter().any(|table| table.order().is_none());
        let awaited = missing && self.counters.exchanges < TABLES_AWAITED;
        self.jobs.len() > 0 || self.files_wait || awaited || !self.was_answered
    }

    /// One wake: read what clients said, exchange, publish.
    pub(crate) async fn wake(&mut self) {
        self.counters.wakes += 1;
        self.read_clients();
        self.exchange().await;
        if let Err(error) = self.decisions.write() {
            self.counters.count("decisions_not_written", 1);
            warn!(%error, "recent decisions were not written");
        }
    }

    fn read_clients(&mut self) {
        let visit = match self.collector.visit() {
            Ok(visit) => visit,
            Err(error) => {
                self.counters.count("folder_of_records", 1);
                warn!(%error, folder = %self.collector.placed().display(), "the folder of records cannot be read");
                return;
            }
        };
        let now = host::boot_now();
        let wall = host::wall_now();
        self.intake(now).flush_starts();
        for said in &visit.said {
            for record in &said.records {
                self.counters.records += 1;
                if let Err(refused) = self.intake(now).take(record, &said.session) {
                    self.counters.count(refused.name(), 1);
                    continue;
                }
                let known = self.tables.iter().find(|table| table.name_hash() == record.fs_name_hash);
                let at = Time(wall.0.saturating_sub(now.0.saturating_sub(record.at.0)));
                if let Some(decision) = Decision::of(record, at, known.map_or("-", FsTable::name)) {
                    self.decisions.push(said.session.owner, decision);
                }
            }
        }
        self.end_jobs(&visit);
        self.files_wait = visit.more || !visit.waiting.is_empty();
        self.counters.count("records_damaged", visit.damaged);
        self.counters.count("files_foreign", visit.foreign);
        self.counters.count("files_unreadable", visit.unreadable);
        self.counters.count("files_not_removed", visit.not_removed);
        // What cannot be read was said and is lost; of which file system nobody knows.
        self.outbox.lose(0, visit.damaged + visit.unreadable);
    }

    fn intake(&mut self, now: Time) -> Intake<'_> {
        Intake { name_hashes: &self.name_hashes, jobs: &mut self.jobs, outbox: &mut self.outbox, now }
    }

    fn end_jobs(&mut self, visit: &Visit) {
        for (job, file_systems) in self.jobs.ended(host::lives, &visit.waiting) {
            debug!(%job, "no process of the job is left here");
            for file_system in file_systems {
                self.outbox.push(file_system, super::outbox::Report::End(v1::JobEnd { job: job.0 }));
            }
        }
    }

    fn request(&mut self) -> v1::SyncRequest {
        let wants_table = self.wants_table();
        let (sequence, batches) = self.outbox.next();
        let reports = self.tables.iter().zip(batches).map(|(table, batch)| {
            let (held, held_checksum, highest_term) = table.report();
            v1::FileSystemReport {
                file_system: table.name().to_owned(),
                held: held.map(|order| v1::Order { term: order.term, seq: order.seq }),
                held_checksum,
                highest_term,
                wants_table,
                placed: batch.placed,
                starts: batch.starts,
                ends: batch.ends,
                records_lost: batch.records_lost,
            }
        });
        let file_systems = reports.collect();
        v1::SyncRequest {
            protocol: PROTOCOL,
            node: self.node.clone(),
            instance: self.instance,
            sequence,
            file_systems,
        }
    }

    async fn exchange(&mut self) {
        let request = self.request();
        let sent = host::boot_now();
        match self.client.sync(request).await {
            Ok(response) => self.take(response.into_inner(), sent),
            Err(status) => {
                self.pace.failed();
                // A host that died says nothing: its connection would stay open for a quarter of an hour.
                self.client = connection(&self.endpoint);
                self.counters.count(code_name(status.code()), 1);
                warn!(code = ?status.code(), message = status.message(), "no answer of the controller");
            }
        }
    }

    fn take(&mut self, response: v1::SyncResponse, sent: Time) {
        self.counters.exchanges += 1;
        let first_answer = !std::mem::replace(&mut self.was_answered, true);
        self.pace.answered(response.next_ms);
        self.outbox.answered();
        let mut answered = 0;
        for update in response.updates.into_iter().take(FILE_SYSTEMS_MAX) {
            let place = self.tables.iter().position(|table| table.name() == update.file_system);
            let Some(place) = place else {
                self.counters.count("unknown_file_system", 1);
                continue;
            };
            answered += 1;
            self.take_update(place, update, sent);
        }
        let silent = self.tables.len().saturating_sub(answered);
        self.counters.count("file_system_not_answered", silent as u64);
        self.hear_term(first_answer);
    }

    fn take_update(&mut self, place: usize, update: v1::TableUpdate, sent: Time) {
        let Some(table) = self.tables.get_mut(place) else { return };
        let before = table.order();
        let taken = table.take(update, sent);
        let order = table.order();
        match taken {
            Ok(None) => {}
            Ok(Some(bytes)) => {
                if order == before {
                    self.counters.confirmations += 1;
                } else {
                    self.counters.tables += 1;
                }
                match self.run_dir.publish(table.name(), &bytes) {
                    Ok(()) => debug!(file_system = table.name(), ?order, "published"),
                    Err(error) => {
                        self.counters.count("table_not_written", 1);
                        warn!(%error, file_system = table.name(), "the table was not published");
                    }
                }
            }
            Err(refused) => {
                self.counters.count(refused.name(), 1);
                warn!(%refused, file_system = table.name(), "the controller's answer was not taken");
            }
        }
    }

    /// A controller of a new term does not know which jobs run. The first one that answers does: what was said went
    /// to it.
    fn hear_term(&mut self, first_answer: bool) {
        let term = self.tables.iter().map(|table| table.report().2).max().unwrap_or(0);
        if term > self.heard_term && !first_answer {
            self.jobs.repeat_starts();
        }
        self.heard_term = self.heard_term.max(term);
    }

    pub(crate) fn write_status(&mut self) {
        let (lost, jobs) = (self.outbox.lost(), self.jobs.len());
        let text = status::text(&self.counters, lost, jobs, &self.tables, host::boot_now());
        if let Err(error) = self.run_dir.write_status(&text) {
            self.counters.count("status_not_written", 1);
            warn!(%error, "the status was not written");
        }
    }

    /// Waits for a file in the folder of records, without a timer where the kernel watches for us.
    async fn sleep_until_a_file_comes(&self) {
        let watched = match Watch::new(self.collector.placed()) {
            Ok(watch) => watch,
            Err(error) => {
                debug!(%error, "no watch on the folder of records; looking every few seconds");
                tokio::time::sleep(IDLE_LOOK).await;
                return;
            }
        };
        // What came before the watch began is seen by looking once.
        if self.collector.is_empty() {
            watched.changed().await;
        }
    }
}

/// Connects with the first exchange.
fn connection(endpoint: &Endpoint) -> NodesClient<Channel> {
    NodesClient::new(endpoint.connect_lazy()).max_decoding_message_size(SYNC_RESPONSE_BYTES_MAX)
}

/// Takes back what is published; where it cannot be used it says so and begins with nothing.
fn restore(table: &mut FsTable, run_dir: &RunDir) {
    let Some(bytes) = run_dir.published(table.name()) else { return };
    if bytes.len() <= STAMP_BYTES {
        return;
    }
    match table.restore(&bytes, host::boot_now()) {
        Ok(()) => info!(file_system = table.name(), order = ?table.order(), "took back the published table"),
        Err(error) => warn!(%error, file_system = table.name(), "the published table cannot be used"),
    }
}

/// Watches a folder for new files until the first one comes.
struct Watch {
    events: AsyncFd<std::os::fd::OwnedFd>,
}

impl Watch {
    fn new(folder: &std::path::Path) -> io::Result<Self> {
        let events = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC)?;
        inotify::add_watch(&events, folder, inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO)?;
        // Deprecated because a type may give away another descriptor each time it is asked; an owned one cannot, and
        // the call that came in its place is unsafe.
        #[allow(deprecated, reason = "an owned descriptor keeps what the new call makes its caller promise")]
        let events = AsyncFd::new(events)?;
        Ok(Self { events })
    }

    async fn changed(&self) {
        let mut space = [MaybeUninit::uninit(); 512];
        while let Ok(mut ready) = self.events.readable().await {
            let mut reader = inotify::Reader::new(self.events.get_ref(), &mut space);
            if reader.next().is_ok() {
                return;
            }
            ready.clear_ready();
        }
    }
}

/// A status code's name in counters: the names are few and fixed.
fn code_name(code: tonic::Code) -> &'static str {
    match code {
        tonic::Code::Unavailable => "controller_unavailable",
        tonic::Code::DeadlineExceeded | tonic::Code::Cancelled => "controller_late",
        tonic::Code::InvalidArgument => "request_refused",
        tonic::Code::ResourceExhausted | tonic::Code::OutOfRange => "controller_busy",
        _ => "controller_error",
    }
}

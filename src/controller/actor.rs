//! The task of one file system: bytes, time and effects around its [`Brain`].
//!
//! Everything that changes a file system goes through its one queue, so nothing here needs a lock, and the order of
//! the queue is the order of the event log. It must not think: what a message means is `core`'s.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tarazu_core::control::{Drain, Effect, Event, Policy, Problem};
use tarazu_core::registry::{Admitted, Claim, ClaimRefused, Registry};
use tarazu_core::topology::Topology;
use tarazu_layout::{JobId, OstIndex, ServerId, TargetId, Time};
use tarazu_proto::v1::{self, agent_order::Order as AgentOrderKind};
use tarazu_proto::{Rows, job_start, placed, sample};
use tarazu_table::FRESH_INTERVALS;
use tokio::sync::mpsc;

use super::brain::{Brain, BrainSettings};
use super::clock::Clock;
use super::command::{Command, IntentRefused, NodeReport, Registered};
use super::counters::Counters;
use super::intents::{Intents, Reply};
use super::jobs::JobNodes;
use super::lasting::{self, Lasting};
use super::stored;
use super::tables::Tables;
use super::views;
use crate::record::{LOG_BYTES_MAX, Recorder, log_path};
use crate::store::{FsState, Record, StoreThread};

/// Commands that wait. Samples are dropped, and counted, where it is full; whatever else comes waits.
pub(crate) const QUEUE_MAX: usize = 8192;

/// Longest time between two looks at the clock.
const TICK_MAX: Duration = Duration::from_secs(1);

/// What a file system's task shares with those who ask it.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The newest table.
    pub(crate) tables: Tables,
    /// What happened, by reason.
    pub(crate) counters: Counters,
    /// The newest table on disk.
    pub(crate) lasting: Lasting,
}

/// Everything that a task needs from outside.
pub(crate) struct Surroundings {
    /// Where intent becomes durable.
    pub(crate) store: Arc<StoreThread>,
    /// The controller's clock.
    pub(crate) clock: Clock,
    /// The folder of event logs.
    pub(crate) record: Option<std::path::PathBuf>,
    /// The file of the newest table, for the next life: nodes hold that one, and need only what changed since.
    pub(crate) last_table: std::path::PathBuf,
    /// Nothing was in the state directory at the start.
    pub(crate) is_fresh: bool,
}

/// One agent that is connected.
struct Agent {
    session: u64,
    can_canary: bool,
    orders: mpsc::Sender<v1::AgentOrder>,
}

/// One file system's task.
pub(crate) struct Actor {
    settings: BrainSettings,
    around: Surroundings,
    shared: Arc<Shared>,
    /// To itself, for what comes back.
    queue: mpsc::WeakSender<Command>,
    brain: Option<Brain>,
    registry: Registry,
    agents: BTreeMap<ServerId, Agent>,
    /// Durable when this controller started, by index: of targets that may not have come yet.
    drains: BTreeMap<OstIndex, Drain>,
    stored: FsState,
    intents: Intents,
    jobs: JobNodes,
    effects: Vec<Effect>,
    /// The record that the newest step asked to be durable, if it did.
    asked: Option<u64>,
}

impl Actor {
    /// A task before its first command. It goes on from what is durable.
    pub(crate) fn new(
        settings: BrainSettings,
        around: Surroundings,
        shared: Arc<Shared>,
        queue: mpsc::WeakSender<Command>,
        stored: FsState,
    ) -> Self {
        let mut actor = Self {
            settings,
            around,
            shared,
            queue,
            brain: None,
            registry: Registry::new(),
            agents: BTreeMap::new(),
            drains: stored::drains(&stored),
            stored,
            intents: Intents::default(),
            jobs: JobNodes::default(),
            effects: Vec::new(),
            asked: None,
        };
        if let Some(table) = lasting::read(&actor.around.last_table) {
            actor.shared.tables.remember(&table);
        }
        actor.restore();
        actor
    }

    /// Goes on with the servers and targets of an earlier life.
    fn restore(&mut self) {
        match Registry::restored(&stored::claims(&self.stored)) {
            Ok((registry, topology)) => {
                self.registry = registry;
                if let Some(topology) = topology {
                    self.start_brain(topology);
                }
            }
            Err(error) => {
                tracing::error!(
                    file_system = self.settings.file_system, %error,
                    "the stored inventory is no file system; agents will bring it back"
                );
            }
        }
    }

    /// Runs until nobody can ask it any more.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let every = (self.settings.interval / 4).min(TICK_MAX);
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.take(command),
                    None => return,
                },
                _ = ticks.tick() => self.step(Event::Tick),
            }
        }
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Register { claim, can_canary, orders, reply } => {
                let answer = self.register(&claim, can_canary, orders);
                // Whoever hung up meanwhile is noticed when its stream ends.
                let _ = reply.send(answer);
            }
            Command::Sample { server, session, sample } => self.sample(server, session, sample),
            Command::CanaryDone { server, session, done } => self.canary_done(server, session, &done),
            Command::AgentGone { server, session } => self.agent_gone(server, session),
            Command::Node(report) => self.node(report),
            Command::NodesGone(nodes) => {
                let mut ended: Vec<JobId> = nodes.into_iter().flat_map(|node| self.jobs.gone(node)).collect();
                ended.extend(self.jobs.silent(self.now()));
                ended.into_iter().for_each(|job| self.step(Event::JobEnded(job)));
            }
            Command::Drain { osts, drain, reply } => self.drain(&osts, drain.as_ref(), reply),
            Command::SetPolicy { policy, reply } => self.set_policy(policy, reply),
            Command::Stored { write, failed } => self.durable(write, failed.as_deref()),
            Command::Solved { seq, plan } => self.step(Event::Solved { seq, plan }),
            Command::Status(reply) => {
                let _ = reply.send(self.status());
            }
            Command::Targets(reply) => {
                let _ = reply.send(self.targets());
            }
            Command::Policy(reply) => {
                let policy = self.brain.as_ref().map(|brain| brain.control().policy());
                let _ = reply.send(policy.unwrap_or_else(|| self.policy_at_start()));
            }
        }
    }

    fn policy_at_start(&self) -> Policy {
        stored::policy(&self.stored).unwrap_or(self.settings.policy)
    }

    fn status(&self) -> v1::FileSystemStatus {
        let mut status = v1::FileSystemStatus {
            name: self.settings.file_system.clone(),
            servers: self.registry.servers() as u32,
            servers_connected: self.registry.connected() as u32,
            interval_ms: u32::try_from(self.settings.interval.as_millis()).unwrap_or(u32::MAX),
            policy: Some(tarazu_proto::policy_to(self.policy_at_start())),
            refused: self.shared.counters.refused(),
            plans: self.shared.counters.plans(),
            files_placed: self.shared.counters.files_placed(),
            ..v1::FileSystemStatus::default()
        };
        if let Some(brain) = &self.brain {
            views::fill_status(&mut status, brain.control(), self.now());
        }
        status.table_bytes =
            self.shared.tables.newest().map_or(0, |newest| newest.publication.table.len() as u32);
        status
    }

    fn targets(&self) -> Vec<v1::Target> {
        let name = |server: ServerId| self.registry.server_name(server);
        let fs = &self.settings.file_system;
        self.brain
            .as_ref()
            .map_or_else(Vec::new, |brain| views::targets(fs, brain.control(), &name, self.now()))
    }

    fn now(&self) -> Time {
        self.around.clock.now()
    }

    fn fresh_within(&self) -> Duration {
        self.settings.interval * FRESH_INTERVALS
    }

    fn register(
        &mut self,
        claim: &Claim,
        can_canary: bool,
        orders: mpsc::Sender<v1::AgentOrder>,
    ) -> Result<Registered, ClaimRefused> {
        let admitted = match self.registry.claim(claim, self.now(), self.fresh_within()) {
            Ok(admitted) => admitted,
            Err(error) => {
                self.shared.counters.refuse("registration");
                tracing::warn!(file_system = self.settings.file_system, server = claim.server, %error, "an agent was refused");
                return Err(error);
            }
        };
        let Admitted { server, session, supersedes, grown, contested } = admitted;
        if let Some(topology) = grown {
            self.grow(topology);
        }
        let agent = Agent { session, can_canary, orders };
        let before = self.agents.insert(server, agent);
        if let (Some(before), Some(_)) = (before, supersedes) {
            let told = v1::Superseded { by_instance: claim.instance };
            // A full or closed stream ends all the same when its sender is dropped here.
            let _ = before.orders.try_send(order(AgentOrderKind::Superseded(told)));
            self.shared.counters.refuse("superseded_agent");
        }
        tracing::info!(
            file_system = self.settings.file_system,
            server = claim.server,
            session,
            targets = claim.targets.len(),
            contested = contested.len(),
            ?supersedes,
            "an agent has registered"
        );
        Ok(Registered { server, session, contested })
    }

    fn grow(&mut self, topology: Topology) {
        let inventory = stored::inventory(&self.settings.file_system, &self.registry);
        let fs = self.settings.file_system.clone();
        self.around.store.write(vec![inventory], move |outcome| {
            // Only comfort after a restart: agents say it again.
            if let Err(error) = outcome {
                tracing::warn!(file_system = fs, %error, "the inventory is not durable");
            }
        });
        let Some(brain) = &self.brain else { return self.start_brain(topology) };
        let known = brain.control().view().topology.targets().len();
        let drained = stored::drains_of(&self.drains, &topology, known);
        self.step(Event::Grown { topology, drained });
    }

    fn start_brain(&mut self, topology: Topology) {
        let drained = stored::drains_of(&self.drains, &topology, 0);
        let (now, fs) = (self.now(), &self.settings.file_system);
        let log = self.around.record.as_ref().and_then(|folder| {
            let path = log_path(folder, fs, self.around.clock.started_at().0);
            let log = Recorder::start(&path, now.0, self.settings.head(), LOG_BYTES_MAX);
            log.inspect_err(|error| tracing::error!(file_system = fs, %error, "events are NOT RECORDED")).ok()
        });
        self.brain = Some(Brain::new(&self.settings, topology, log, now));
        let policy = stored::policy(&self.stored);
        self.step(Event::Started { stored_term: self.stored.term, drained, policy });
    }

    fn sample(&mut self, server: ServerId, session: u64, mut message: v1::Sample) {
        let now = self.now();
        if !self.registry.heard(server, session, now) {
            return self.shared.counters.refuse("sample_of_superseded_agent");
        }
        let Some(brain) = &self.brain else { return };
        let topology = &brain.control().view().topology;
        let is_its_own = |ost: u32| {
            let target = self.registry.target(OstIndex(ost));
            target.is_some_and(|target| topology.targets()[target.index()].server == server)
        };
        // A target that another server speaks for now, or that it has not registered yet: the others still count.
        let rows = message.targets.len();
        message.targets.retain(|row| is_its_own(row.ost_index));
        if message.targets.len() < rows {
            self.shared.counters.refuse("row_of_foreign_target");
        }
        let rows = Rows { server, session, target: &|ost| self.registry.target(ost) };
        match sample(&message, &rows) {
            Ok(sample) => self.step(Event::Sample(sample)),
            Err(error) => {
                self.shared.counters.refuse(error.kind());
                tracing::debug!(file_system = self.settings.file_system, %server, %error, "a sample was refused");
            }
        }
    }

    fn canary_done(&mut self, server: ServerId, session: u64, done: &v1::CanaryDone) {
        if !self.registry.heard(server, session, self.now()) {
            return self.shared.counters.refuse("canary_of_superseded_agent");
        }
        let Some(target) = self.registry.target(OstIndex(done.ost_index)) else {
            return self.shared.counters.refuse("unknown_ost");
        };
        let Some(brain) = &self.brain else { return };
        if brain.control().view().topology.targets()[target.index()].server != server {
            return self.shared.counters.refuse("canary_of_foreign_target");
        }
        let seconds = done.seconds.filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
        self.step(Event::CanaryDone { target, seconds });
    }

    fn agent_gone(&mut self, server: ServerId, session: u64) {
        self.registry.closed(server, session);
        if self.agents.get(&server).is_some_and(|agent| agent.session == session && agent.orders.is_closed())
        {
            self.agents.remove(&server);
            let name = self.registry.server_name(server);
            tracing::warn!(file_system = self.settings.file_system, server = name, "an agent is gone");
        }
    }

    fn node(&mut self, report: NodeReport) {
        let NodeReport { node, highest_term, other_term, placed: files, starts, ends, lost } = report;
        self.saw_terms(highest_term, other_term);
        self.shared.counters.lose_records(lost);
        for start in &starts {
            match job_start(start) {
                Ok(start) => {
                    self.jobs.runs(start.job, node, self.now());
                    self.step(Event::JobStarted(start));
                }
                Err(error) => self.shared.counters.refuse(error.kind()),
            }
        }
        let find = |ost: OstIndex| self.registry.target(ost);
        let files: Vec<_> = files
            .iter()
            .filter_map(|file| {
                placed(file, &find).inspect_err(|error| self.shared.counters.refuse(error.kind())).ok()
            })
            .collect();
        if !files.is_empty() {
            let now = self.now();
            files.iter().for_each(|file| self.jobs.heard(file.job, now));
            self.shared.counters.place(&files);
            self.step(Event::Placed(files));
        }
        for job in ends {
            if self.jobs.ended(job, node) {
                self.step(Event::JobEnded(job));
            }
        }
    }

    /// A node that has heard of another life than this one: the state directory was lost, or another controller ran.
    fn saw_terms(&mut self, highest: u64, other: Option<u64>) {
        let Some(brain) = &self.brain else { return };
        let ours =
            self.shared.tables.newest().map_or(0, |newest| newest.order().term).max(brain.control().term());
        let is_later = highest > ours;
        let term = if is_later { highest } else { other.unwrap_or(0) };
        if is_later || term == ours && term > 0 {
            let fs = &self.settings.file_system;
            if self.around.is_fresh {
                tracing::error!(
                    file_system = fs,
                    term,
                    "nodes have seen this term, but the state directory was empty: it was LOST. Drains and policies \
                     in it are gone and have to be said again"
                );
                self.shared.counters.warn_lost_state(fs, term);
            } else {
                tracing::warn!(file_system = fs, term, "nodes have seen a higher term than ours");
            }
            self.step(if is_later { Event::SawTerm(term) } else { Event::SawOther(term) });
        }
    }

    fn drain(&mut self, osts: &[u32], drain: Option<&Drain>, reply: Reply) {
        let known: Result<Vec<TargetId>, IntentRefused> = osts
            .iter()
            .map(|ost| self.registry.target(OstIndex(*ost)).ok_or(IntentRefused::UnknownOst(*ost)))
            .collect();
        let is_over = drain.and_then(|drain| drain.until).is_some_and(|until| until <= self.now());
        let targets = match known {
            _ if self.brain.is_none() => Err(IntentRefused::NoTargets),
            _ if is_over => Err(IntentRefused::Over),
            known => known,
        };
        match targets {
            Ok(targets) => {
                self.intend(Event::Drain { targets, drain: drain.cloned() }, reply);
            }
            Err(error) => {
                let _ = reply.send(Err(error));
            }
        }
    }

    fn set_policy(&mut self, policy: Policy, reply: Reply) {
        if self.brain.is_none() {
            let _ = reply.send(Err(IntentRefused::NoTargets));
            return;
        }
        self.intend(Event::SetPolicy(policy), reply);
    }

    /// Hands over what an operator wants, and answers when it is durable.
    fn intend(&mut self, event: Event, reply: Reply) {
        self.step(event);
        match self.asked {
            Some(write) => self.intents.wait(write, reply),
            // Cannot be: targets are known. Whoever asks must not wait for ever all the same.
            None => drop(reply.send(Err(IntentRefused::NotDurable("it was refused".into())))),
        }
    }

    fn durable(&mut self, write: u64, failed: Option<&str>) {
        if let Some(why) = failed {
            tracing::error!(file_system = self.settings.file_system, why, "intent could not be made durable");
            self.shared.counters.refuse("not_durable");
            self.step(Event::PersistFailed { write });
        } else {
            self.step(Event::Persisted { write });
        }
        let term = self.brain.as_ref().map_or(0, |brain| brain.control().term());
        self.intents.stored(write, failed, term);
    }

    /// One step of the state machine, and everything that it asks for.
    fn step(&mut self, event: Event) {
        let now = self.now();
        let Some(brain) = &mut self.brain else { return };
        self.asked = None;
        let mut effects = std::mem::take(&mut self.effects);
        brain.step(now, event, &mut effects);
        for effect in effects.drain(..) {
            self.act(effect, now);
        }
        self.effects = effects;
    }

    fn act(&mut self, effect: Effect, now: Time) {
        match effect {
            Effect::Persist { write, record } => {
                self.asked = Some(write);
                let Some(brain) = &self.brain else { return };
                let topology = &brain.control().view().topology;
                self.store(write, stored::records(&self.settings.file_system, &record, topology));
            }
            Effect::Solve(problem) => self.solve(problem),
            Effect::Publish(publication) => {
                self.shared.counters.publish();
                self.shared.tables.publish(&publication);
                let (path, shared) = (self.around.last_table.clone(), Arc::clone(&self.shared));
                // Comfort only: it is written when there is time, and its loss costs whole tables instead of deltas.
                tokio::task::spawn_blocking(move || shared.lasting.write(&path, &publication));
            }
            Effect::Confirm(_) => self.shared.tables.confirm(now),
            Effect::Canary { target, bytes } => self.canary(target, bytes),
            Effect::Judged(verdict) => {
                self.shared.counters.judge();
                tracing::warn!(
                    file_system = self.settings.file_system, target = %verdict.target,
                    health = verdict.health.write, evidence = ?verdict.evidence, "a target was judged anew"
                );
            }
            Effect::Refused(refused) => {
                self.shared.counters.refuse(views::refusal_kind(&refused));
                tracing::debug!(file_system = self.settings.file_system, error = ?refused, "an event was refused");
            }
        }
    }

    fn store(&self, write: u64, records: Vec<Record>) {
        let queue = self.queue.clone();
        self.around.store.write(records, move |outcome| {
            let failed = outcome.err().map(|error| error.to_string());
            let Some(queue) = queue.upgrade() else { return };
            // On the store's own thread: it may wait for room, nothing else goes through it meanwhile. Called from the
            // task itself where the store takes nothing, so it must not wait there.
            let command = Command::Stored { write, failed };
            if let Err(mpsc::error::TrySendError::Full(command)) = queue.try_send(command) {
                std::thread::spawn(move || queue.blocking_send(command));
            }
        });
    }

    fn solve(&self, problem: Problem) {
        let (settings, queue) = (self.settings.clone(), self.queue.clone());
        tokio::task::spawn_blocking(move || {
            let plan = Box::new(settings.solve(&problem));
            if let Some(queue) = queue.upgrade() {
                // Ends with an error only when the task has ended.
                let _ = queue.blocking_send(Command::Solved { seq: problem.seq, plan });
            }
        });
    }

    fn canary(&self, target: TargetId, bytes: u64) {
        let Some(brain) = &self.brain else { return };
        let spec = &brain.control().view().topology.targets()[target.index()];
        let Some(agent) = self.agents.get(&spec.server).filter(|agent| agent.can_canary) else { return };
        let canary = v1::Canary { ost_index: spec.ost.0, bytes };
        // One that gets lost is asked for again.
        let _ = agent.orders.try_send(order(AgentOrderKind::Canary(canary)));
    }
}

fn order(order: AgentOrderKind) -> v1::AgentOrder {
    v1::AgentOrder { order: Some(order) }
}

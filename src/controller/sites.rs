//! All file systems of a controller, each with its task.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tarazu_core::control::{Expected, Policy};
use tarazu_layout::{FsId, Time, hash};
use tarazu_proto::limits::FILE_SYSTEMS_MAX;
use tokio::sync::{mpsc, oneshot};

use super::actor::{Actor, QUEUE_MAX, Shared, Surroundings};
use super::brain::BrainSettings;
use super::clock::Clock;
use super::command::Command;
use super::counters::Counters;
use super::fanout::{NodeBook, Queue};
use super::lasting::Lasting;
use super::tables::Tables;
use crate::config::{Config, Mode};
use crate::store::{FsState, State, StoreThread};

/// The way to one file system's task.
#[derive(Clone)]
pub(crate) struct Site {
    /// Its name.
    pub(crate) name: Arc<str>,
    /// What is shared with it.
    pub(crate) shared: Arc<Shared>,
    queue: mpsc::Sender<Command>,
}

/// A file system's task has ended: the controller is stopping.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the controller is stopping")]
pub(crate) struct Stopping;

impl Site {
    /// Hands over a command, and waits for room.
    pub(crate) async fn send(&self, command: Command) -> Result<(), Stopping> {
        self.queue.send(command).await.map_err(|_| Stopping)
    }

    /// A place in the queue, once there is one.
    pub(crate) async fn place(&self) -> Result<mpsc::OwnedPermit<Command>, Stopping> {
        self.queue.clone().reserve_owned().await.map_err(|_| Stopping)
    }

    /// Hands over a sample if there is room: the next one comes in an interval.
    pub(crate) fn offer(&self, command: Command) {
        if self.queue.try_send(command).is_err() {
            self.shared.counters.shed_sample();
        }
    }

    /// Asks and waits for the answer.
    pub(crate) async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, Stopping> {
        let (reply, answer) = oneshot::channel();
        self.send(question(reply)).await?;
        answer.await.map_err(|_| Stopping)
    }
}

/// There are as many file systems as a controller can have.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("this controller has {FILE_SYSTEMS_MAX} file systems already: start another one for more")]
pub(crate) struct TooMany;

/// Everything that the services share.
pub(crate) struct Sites {
    /// The controller's settings.
    pub(crate) config: Config,
    /// The controller's clock.
    pub(crate) clock: Clock,
    /// Nodes that were heard of.
    pub(crate) nodes: Mutex<NodeBook>,
    /// Bytes of tables that leave.
    pub(crate) fanout: Mutex<Queue>,
    store: Arc<StoreThread>,
    stored: Mutex<State>,
    is_fresh: bool,
    seed: u64,
    /// A file system's task that ends by itself has failed: half a controller is worse than none.
    failed: mpsc::Sender<String>,
    sites: RwLock<BTreeMap<String, Site>>,
}

impl Sites {
    /// Goes on with what is durable: every file system in it gets its task.
    pub(crate) fn start(
        config: Config,
        clock: Clock,
        store: StoreThread,
        stored: State,
        seed: u64,
        failed: mpsc::Sender<String>,
    ) -> Result<Arc<Self>, TooMany> {
        let names: Vec<String> = stored.file_systems.keys().cloned().collect();
        let now = clock.now();
        let sites = Arc::new(Self {
            config,
            clock,
            nodes: Mutex::new(NodeBook::default()),
            fanout: Mutex::new(Queue::new(now)),
            store: Arc::new(store),
            is_fresh: stored.fresh(),
            stored: Mutex::new(stored),
            seed,
            failed,
            sites: RwLock::new(BTreeMap::new()),
        });
        for name in names {
            sites.get_or_start(&name)?;
        }
        Ok(sites)
    }

    /// A file system that is known.
    pub(crate) fn get(&self, name: &str) -> Option<Site> {
        self.sites.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All of them, by name.
    pub(crate) fn all(&self) -> Vec<Site> {
        self.sites.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Those that a request names: all where it names none.
    pub(crate) fn named(&self, name: &str) -> Vec<Site> {
        if name.is_empty() { self.all() } else { self.get(name).into_iter().collect() }
    }

    /// Now.
    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }

    /// Between two samples and two plans.
    pub(crate) fn interval(&self) -> Duration {
        self.config.interval
    }

    /// A file system, whose task starts where there is none. The name must have been checked.
    pub(crate) fn get_or_start(&self, name: &str) -> Result<Site, TooMany> {
        if let Some(site) = self.get(name) {
            return Ok(site);
        }
        let mut sites = self.sites.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(site) = sites.get(name) {
            return Ok(site.clone());
        }
        if sites.len() >= FILE_SYSTEMS_MAX {
            return Err(TooMany);
        }
        let id = FsId(sites.len() as u32);
        let site = self.start_site(name, id);
        sites.insert(name.to_owned(), site.clone());
        Ok(site)
    }

    fn start_site(&self, name: &str, id: FsId) -> Site {
        let config = &self.config;
        let settings = BrainSettings {
            file_system: name.to_owned(),
            id,
            interval: config.interval,
            layout_cost: config.layout_cost,
            layout_service: config.layout_service,
            seed: hash::combine(self.seed, hash::bytes(name.as_bytes())),
            expected: Expected::Known(0),
            policy: Policy {
                apply: config.mode == Mode::Apply,
                canary: config.canary,
                detect: config.detect,
            },
        };
        let stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner).file_systems.remove(name);
        let stored: FsState = stored.unwrap_or_default();
        // Whoever knows neither from a setting nor from an earlier life how many there are waits until no more come.
        let expected = match config.servers_expected.get(name) {
            Some(expected) => Expected::Known(*expected as usize),
            None if stored.inventory.is_empty() => Expected::Unknown,
            None => Expected::Known(0),
        };
        let settings = BrainSettings { expected, ..settings };
        let around = Surroundings {
            store: Arc::clone(&self.store),
            clock: self.clock,
            record: config.record.clone(),
            last_table: config.state_dir.join(format!("table-{name}")),
            is_fresh: self.is_fresh,
        };
        let shared = Arc::new(Shared {
            tables: Tables::default(),
            counters: Counters::default(),
            lasting: Lasting::default(),
        });
        let (queue, commands) = mpsc::channel(QUEUE_MAX);
        let actor = Actor::new(settings, around, Arc::clone(&shared), queue.downgrade(), stored);
        let task = tokio::spawn(actor.run(commands));
        let (failed, of) = (self.failed.clone(), name.to_owned());
        tokio::spawn(async move {
            if let Err(error) = task.await
                && error.is_panic()
            {
                // One is enough.
                let _ = failed.try_send(format!("the task of file system {of} failed: {error}"));
            }
        });
        tracing::info!(file_system = name, "a file system is looked after");
        Site { name: name.into(), shared, queue }
    }
}

//! What a file system's task is asked, and what it answers.

use tarazu_core::control::{Drain, Policy};
use tarazu_core::plan::Plan;
use tarazu_core::registry::{Claim, ClaimRefused};
use tarazu_layout::{JobId, OstIndex, ServerId};
use tarazu_proto::v1;
use tokio::sync::{mpsc, oneshot};

/// Orders to an agent that wait in its stream: an agent that does not read them is of no use.
pub(crate) const ORDERS_MAX: usize = 16;

/// An agent's way in.
#[derive(Debug)]
pub(crate) struct Registered {
    /// Its server.
    pub(crate) server: ServerId,
    /// Its session.
    pub(crate) session: u64,
    /// Targets that another live server speaks for.
    pub(crate) contested: Vec<OstIndex>,
}

/// Why intent was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IntentRefused {
    /// No such target.
    #[error("OST{0:04x} is not a target of this file system; `tarazu ost list` shows those that are")]
    UnknownOst(u32),
    /// It is over already.
    #[error("the drain would have ended already")]
    Over,
    /// It is not durable, and so is not in force.
    #[error("it could not be made durable: {0}")]
    NotDurable(String),
    /// No agent has registered yet.
    #[error("nothing is known of this file system yet: no agent has registered")]
    NoTargets,
}

/// What a node says of one file system.
#[derive(Debug, Default)]
pub(crate) struct NodeReport {
    /// The node's key.
    pub(crate) node: u64,
    /// The highest term that it has seen; 0 where that is no news.
    pub(crate) highest_term: u64,
    /// The term of a table that it holds and that this controller did not make, though the term is its own.
    pub(crate) other_term: Option<u64>,
    /// What its clients placed and closed.
    pub(crate) placed: Vec<v1::Placed>,
    /// Jobs that start.
    pub(crate) starts: Vec<v1::JobStart>,
    /// Jobs that have no process left there.
    pub(crate) ends: Vec<JobId>,
    /// Records that were lost there.
    pub(crate) lost: u64,
}

/// Everything that a file system's task is asked.
pub(crate) enum Command {
    /// An agent registers.
    Register {
        /// Who it is.
        claim: Claim,
        /// Whether it can write canaries.
        can_canary: bool,
        /// Where its orders go.
        orders: mpsc::Sender<v1::AgentOrder>,
        /// The answer.
        reply: oneshot::Sender<Result<Registered, ClaimRefused>>,
    },
    /// A sample of a session.
    Sample {
        /// The server.
        server: ServerId,
        /// The session.
        session: u64,
        /// The sample.
        sample: v1::Sample,
    },
    /// A canary was written, or could not be.
    CanaryDone {
        /// The server.
        server: ServerId,
        /// The session.
        session: u64,
        /// The outcome.
        done: v1::CanaryDone,
    },
    /// An agent's stream has ended.
    AgentGone {
        /// The server.
        server: ServerId,
        /// The session.
        session: u64,
    },
    /// A node reports.
    Node(NodeReport),
    /// Nodes that are gone for good; with none of them, time to look for jobs that are.
    NodesGone(Vec<u64>),
    /// Targets are drained, or given back.
    Drain {
        /// Their indices.
        osts: Vec<u32>,
        /// What is said of it; `None` gives them back.
        drain: Option<Drain>,
        /// The term under which it is durable.
        reply: oneshot::Sender<Result<u64, IntentRefused>>,
    },
    /// Something else is wanted from now on.
    SetPolicy {
        /// What.
        policy: Policy,
        /// The term under which it is durable.
        reply: oneshot::Sender<Result<u64, IntentRefused>>,
    },
    /// A record is durable, or will never be.
    Stored {
        /// Its number.
        write: u64,
        /// Why not.
        failed: Option<String>,
    },
    /// A plan is ready.
    Solved {
        /// The problem.
        seq: u64,
        /// The plan.
        plan: Box<Plan>,
    },
    /// How things stand.
    Status(oneshot::Sender<v1::FileSystemStatus>),
    /// All targets.
    Targets(oneshot::Sender<Vec<v1::Target>>),
    /// What is wanted now.
    Policy(oneshot::Sender<Policy>),
}

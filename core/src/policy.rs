//! The two halves of a policy, and the words they speak: what is asked, what is known, what is decided.

use tarazu_layout::{Bytes, FsId, Layout, MdtId, ServerId, TargetId, Time};
use tarazu_table::{Cursor, JobName, Published, Reader, Reason, Tier};

use crate::demand::Demand;
use crate::ledger::Ledger;
use crate::plan::Plan;
use crate::rng::Rng;
use crate::view::View;

/// Turns what is seen and foreseen into a plan. Runs at most once an interval, away from any `open()`.
pub trait Planner {
    /// Plans for the given view and demand. The previous plan is an input: with an unchanged view the
    /// result places everything as before.
    fn plan(&mut self, view: &View, demand: &Demand, previous: Option<&Plan>, rng: &mut Rng) -> Plan;
}

/// Chooses targets for one component of one new file. Runs inside (or on behalf of) `open()`.
pub trait Allocator {
    /// Decides for one request.
    fn place(&mut self, request: &Request<'_>, knows: &Knows<'_>, rng: &mut Rng) -> Decision;
}

/// A new file (or a component that is about to be written first) that needs targets.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The file system it is made on.
    pub fs: FsId,
    /// The metadata target that makes it.
    pub mdt: MdtId,
    /// Who makes it, and what class of file it is.
    pub name: JobName,
    /// The creating process's id, which tells forked children from their parent.
    pub pid: u32,
    /// Bytes the file is expected to hold, where known.
    pub expected: Option<Bytes>,
    /// How sure that expectation is, percent.
    pub confidence: u8,
    /// Share of reads in the bytes to be moved, 0 to 1.
    pub read_share: f64,
    /// Processes that will write it.
    pub writers: u32,
    /// Mirrors of one file must not share this domain; `None` without mirrors.
    pub mirror_domain: Option<u32>,
    /// The layout that the file would inherit, without targets.
    pub inherited: &'a Layout<TargetId>,
    /// The component of it to be placed.
    pub component: usize,
    /// Targets that other components of the file use.
    pub siblings: &'a [TargetId],
    /// The first target that the user asked for (`lfs setstripe -i`), where he did.
    pub start: Option<TargetId>,
}

/// What the metadata server knows of a target: state, never load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetFacts {
    /// The server that serves it.
    pub server: ServerId,
    /// Accepts new objects: connected, writable, not full, not `no_create`.
    pub usable: bool,
    /// Marked degraded (a RAID rebuild, or an operator).
    pub degraded: bool,
    /// Objects are known to be ready, so that a create need not wait.
    pub precreated: bool,
    /// Free space.
    pub free: Bytes,
    /// Free inodes (`ffree` of its statfs).
    pub inodes_free: u64,
}

impl TargetFacts {
    /// A target in good order on server 0: a start for tests and for systems without further facts.
    pub const WELL: Self = Self {
        server: ServerId(0),
        usable: true,
        degraded: false,
        precreated: true,
        free: Bytes(1 << 40),
        inodes_free: 1 << 30,
    };
}

/// What an allocator may look at. Each uses the part that its place in the system can see.
#[derive(Clone, Copy, Debug)]
pub struct Knows<'a> {
    /// Now.
    pub now: Time,
    /// The metadata server's facts, by target.
    pub targets: &'a [TargetFacts],
    /// What the creating process holds of the node's table, or why it holds nothing.
    pub published: Result<&'a Published<'a>, Reason>,
    /// Where the process stands: its file system, boot and clock.
    pub reader: Reader,
    /// The creating process's counter of creates.
    pub cursor: &'a Cursor,
    /// The controller's view, for `tarazu-central` only.
    pub view: Option<&'a View>,
    /// Every placement so far, at once and without loss, for `tarazu-central` only.
    pub placed: Option<&'a Ledger>,
}

/// What was decided for one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// These targets, in stripe order.
    Place {
        /// One target a stripe.
        targets: Vec<TargetId>,
        /// Why.
        reason: Chosen,
    },
    /// No layout: the file system decides as before.
    Leave(Refusal),
    /// The file system itself has no target to give.
    Fail(NoTarget),
}

/// Why targets were chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chosen {
    /// The file system's own allocator.
    Stock,
    /// A ticket of a ring.
    Ticket(Tier),
    /// The least finish time over a perfect view.
    Central,
    /// A published rule, for comparison.
    Rival,
}

/// Why no layout was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// The client's own rules (table missing, stale, job unknown, …).
    Client(Reason),
    /// The inherited layout has no component on targets.
    NothingOnTargets,
    /// Fewer targets could be listed than the component has stripes.
    TooFewTargets,
    /// A later component: placed by the file system when it fills.
    LaterComponent,
    /// The expected size is unknown.
    SizeUnknown,
    /// The controller's view is not there yet.
    NoView,
    /// The metadata server refused the list, and gave its default layout on the next try.
    ListRefused,
    /// The component belongs to a pool, and the planner knows none.
    Pool,
    /// The file was made before, or without, a create that the client could see.
    CreateUnseen,
}

impl Refusal {
    /// All reasons that are not the client's own.
    pub const OWN: [Self; 8] = [
        Self::NothingOnTargets,
        Self::TooFewTargets,
        Self::LaterComponent,
        Self::SizeUnknown,
        Self::NoView,
        Self::ListRefused,
        Self::Pool,
        Self::CreateUnseen,
    ];

    /// The stable name that equals `text`, of whichever reason.
    #[must_use]
    pub fn name_of(text: &str) -> Option<&'static str> {
        let clients = Reason::ALL.into_iter().map(Reason::as_str);
        let own = Self::OWN.into_iter().map(Self::as_str);
        clients.chain(own).find(|name| *name == text)
    }

    /// A short stable name for counters.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client(reason) => reason.as_str(),
            Self::NothingOnTargets => "nothing_on_targets",
            Self::TooFewTargets => "too_few_targets",
            Self::LaterComponent => "later_component",
            Self::SizeUnknown => "size_unknown",
            Self::NoView => "no_view",
            Self::ListRefused => "list_refused",
            Self::Pool => "pool",
            Self::CreateUnseen => "create_unseen",
        }
    }
}

/// Why the file system could not place a component, with what the application is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTarget {
    /// ENOSPC.
    #[error("no target accepts new objects")]
    Nothing,
    /// EFBIG: with a start index all stripes are needed.
    #[error("only {found} of {wanted} stripes could be had from the start index on")]
    Short {
        /// Stripes found.
        found: usize,
        /// Stripes wanted.
        wanted: usize,
    },
    /// EINVAL: the start index or an entry of the list is unknown, outside the pool, or listed twice.
    #[error("{0} is not in the set of targets, or is listed twice")]
    Invalid(TargetId),
    /// EREMOTEIO, ENOSPC, EROFS or ENOBUFS: an entry of the list accepts no new objects.
    #[error("{0} of the list accepts no new objects")]
    Listed(TargetId),
}

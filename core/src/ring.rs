//! Rings of tickets: from weights of targets to the order in which files take them.
//!
//! This module owns the invariants that a client relies on when it takes consecutive tickets blindly.
//! It must not decide the weights (that is the plan) nor how a file finds its place on the ring (that
//! is the table).
//!
//! With `N` targets of weight above 0, a ring has `L = N × passes` tickets, and
//!
//! 1. a target has its weight's share of them by largest remainder, but at most `cap`;
//! 2. any [`Ring::distinct`] consecutive tickets, across the end too, are of different targets;
//! 3. in any window of `w` tickets a server has fewer than `w × share + 3`, its share being that of its
//!    targets' tickets;
//! 4. with equal weights the ring repeats with period `N`: every `N` consecutive tickets hold every
//!    target once.
//!
//! A target can have at most `L / K` tickets if any `K` consecutive ones are distinct, so `K = N` would
//! allow equal weights only. Hence `K = min(64, max(stripes, ⌈N / 2⌉))` and `cap = ⌊L / K⌋`: small
//! systems give up distinctness that no file of the class needs, and get weights up to twice the mean
//! for it. Where weights cannot be arranged under that, `K` is halved (never below `stripes`, and not
//! where it is 64), and only then the cap is lowered, in a few steps down to equal weights.
//!
//! The order has two levels. Servers come first, each ticket of a server in its *Pfair window*: the
//! j-th of `m` tickets of a ring of `L` lies in `[⌊jL/m⌋, ⌈(j+1)L/m⌉)`. Earliest deadline first meets
//! all windows (Baruah, Cohen, Plaxton, Varvel: Proportionate progress, Algorithmica 15, 1996), which
//! is invariant 3: a prefix is off by less than one ticket, a window by less than two. Within a server
//! its targets take turns by their ideal positions, and a target steps back while it is too close to
//! itself.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use tarazu_layout::limits::{DISTINCT_TICKETS, TARGETS_MAX};
use tarazu_layout::{ServerId, TargetId};
use tarazu_table::distinct_window;

/// Most passes of one ring: tickets that an average target gets. Sixteen steps of weight are finer than
/// any measurement of a target's speed.
pub const PASSES_MAX: usize = 16;

/// Tickets of one ring where there are many targets. Five rings of this length (*now* for four
/// classes, one *steady*) and 2,016 targets make a table of less than 64 KiB.
pub const RING_TICKETS_GOAL: usize = 4096;

/// Steps in which the cap on one target's tickets is lowered to that of equal weights.
const CAP_STEPS: usize = 4;

/// A window of `w` tickets holds fewer than `w × share +` this many tickets of one server. Two is what
/// Pfair windows give; one more leaves room to step around a target that would come too close to itself.
pub const SERVER_EXCESS: usize = 3;

/// What a ring is built from.
#[derive(Clone, Copy, Debug)]
pub struct RingRequest<'a> {
    /// Weight of each target by dense id, in any unit; 0 leaves it out.
    pub weights: &'a [u32],
    /// The server of each target by dense id.
    pub servers: &'a [ServerId],
    /// Stripes that files of the class usually have: so many consecutive tickets must be distinct, as
    /// far as 64 and the number of targets allow.
    pub stripes: usize,
    /// Ids of all targets in the order in which they come first on the ring where weights and spreading
    /// leave a choice; empty for the order of their ids.
    pub order: &'a [TargetId],
}

/// A ring of tickets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    /// Tickets in order, at least one.
    pub tickets: Vec<TargetId>,
    /// Consecutive tickets that are distinct, across the end too: 1 to 64.
    pub distinct: usize,
    /// Most tickets that one target was allowed, so that they could be kept apart.
    pub cap: usize,
}

/// Why no ring can be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// Weights and servers are of different lengths.
    #[error("{weights} weights but {servers} servers of targets, or not as many in the order")]
    Lengths {
        /// Weights given.
        weights: usize,
        /// Servers given.
        servers: usize,
    },
    /// More targets than a table can name.
    #[error("{found} targets are more than {TARGETS_MAX}")]
    TooMany {
        /// Targets given.
        found: usize,
    },
    /// Every weight is 0.
    #[error("no target has a weight above 0; leave the class out of the plan")]
    NoTarget,
}

/// Builds a ring. Equal requests give equal rings; ties go by [`RingRequest::order`].
///
/// # Errors
/// [`RingError`] where there is nothing to build a ring from.
pub fn build(request: &RingRequest<'_>) -> Result<Ring, RingError> {
    let members = members(request)?;
    let count = members.len();
    let passes = passes(count);
    let length = count * passes;
    let needed = request.stripes.clamp(1, DISTINCT_TICKETS).min(count);
    let wanted = DISTINCT_TICKETS.min(count.div_ceil(2)).max(needed);
    // From here on every step gives something up: first distinctness that no file of the class needs,
    // then the peaks of the weights. At equal weights targets can always be kept apart.
    let relaxed = if wanted == DISTINCT_TICKETS { wanted } else { wanted.div_ceil(2).max(needed) };
    let highest = length / wanted;
    for step in 0..=CAP_STEPS {
        let cap = highest - (highest - passes) * step / CAP_STEPS;
        let counts = apportion(&members, length, cap);
        let kept = [Some(wanted), (relaxed < wanted).then_some(relaxed)];
        let mut attempts = kept
            .into_iter()
            .flatten()
            .flat_map(|distinct| [Windows::Together, Windows::Staggered].map(|windows| (distinct, windows)));
        let found = attempts.find_map(|(distinct, windows)| {
            let tickets = sequence(&members, &counts, length, distinct, windows)?;
            is_spread(&tickets, &members, SERVER_EXCESS).then_some(tickets)
        });
        if let Some(tickets) = found {
            let (distinct, _) = distinct_window(&tickets);
            return Ok(Ring { tickets, distinct, cap });
        }
    }
    // Equal weights repeat with period `count`, so the last step found a ring; a plain round is one too.
    let tickets: Vec<TargetId> = members.iter().map(|member| member.target).collect();
    Ok(Ring { tickets, distinct: count.min(DISTINCT_TICKETS), cap: 1 })
}

/// Tickets that an average one of `targets` targets gets.
#[must_use]
pub fn passes(targets: usize) -> usize {
    (RING_TICKETS_GOAL / targets.max(1)).clamp(1, PASSES_MAX)
}

#[derive(Clone, Copy, Debug)]
struct Member {
    target: TargetId,
    weight: u32,
    /// Dense number of its server among those that have members.
    server: usize,
}

fn members(request: &RingRequest<'_>) -> Result<Vec<Member>, RingError> {
    let RingRequest { weights, servers, order, .. } = *request;
    if weights.len() != servers.len() || !(order.is_empty() || order.len() == weights.len()) {
        return Err(RingError::Lengths { weights: weights.len(), servers: servers.len() });
    }
    if weights.len() > TARGETS_MAX {
        return Err(RingError::TooMany { found: weights.len() });
    }
    let by_id: Vec<TargetId>;
    let order = if order.is_empty() {
        by_id = (0..weights.len() as u32).map(TargetId).collect();
        &by_id
    } else {
        order
    };
    // Ties between servers go to the one numbered first, and so do ties between targets.
    let mut numbers = BTreeMap::<ServerId, usize>::new();
    let mut seen = vec![false; weights.len()];
    let mut members = Vec::new();
    for target in order {
        let (Some(weight), Some(server)) = (weights.get(target.index()), servers.get(target.index())) else {
            return Err(RingError::Lengths { weights: weights.len(), servers: servers.len() });
        };
        // A target that is named again has its place already.
        if *weight > 0 && !std::mem::replace(&mut seen[target.index()], true) {
            let next = numbers.len();
            let server = *numbers.entry(*server).or_insert(next);
            members.push(Member { target: *target, weight: *weight, server });
        }
    }
    if members.is_empty() { Err(RingError::NoTarget) } else { Ok(members) }
}

/// Deals `length` tickets by weight: largest remainder, at most `cap` each. What the cap takes from the
/// heavy goes to the others by their weight. `cap × members` must not be below `length`.
fn apportion(members: &[Member], length: usize, cap: usize) -> Vec<usize> {
    let mut capped = vec![false; members.len()];
    let mut left = length as u64;
    let sum = loop {
        let free = members.iter().zip(&capped).filter(|(_, capped)| !**capped);
        let sum: u64 = free.map(|(member, _)| u64::from(member.weight)).sum();
        let mut moved = 0;
        for (member, capped) in members.iter().zip(&mut capped) {
            // Weights have 32 bits and lengths 19, so products fit.
            if !*capped && u64::from(member.weight) * left > cap as u64 * sum {
                *capped = true;
                moved += 1;
            }
        }
        if moved == 0 {
            break sum;
        }
        left -= moved * cap as u64;
    };
    let mut counts = vec![cap; members.len()];
    let mut remainders = Vec::with_capacity(members.len());
    let mut dealt = 0;
    for (place, member) in members.iter().enumerate().filter(|(place, _)| !capped[*place]) {
        let share = u64::from(member.weight) * left;
        counts[place] = (share / sum) as usize;
        dealt += share / sum;
        remainders.push((Reverse(share % sum), place));
    }
    remainders.sort_unstable();
    for (_, place) in remainders.into_iter().take((left - dealt) as usize) {
        counts[place] += 1;
    }
    counts
}

/// Puts the tickets in order; `None` where no target is left that is far enough from itself.
///
/// `O(length × log members)`: a target or server that has to wait is out of the way until it can go.
fn sequence(
    members: &[Member],
    counts: &[usize],
    length: usize,
    distinct: usize,
    windows: Windows,
) -> Option<Vec<TargetId>> {
    let mut queues = Queues::new(members, counts);
    let mut servers = Servers::new(server_sizes(members, counts), length, windows);
    let mut first: Vec<Option<usize>> = vec![None; members.len()];
    let mut order = Vec::with_capacity(length);
    for slot in 0..length {
        // Only what went in the last slots is too close to itself, so each slot frees one target.
        if let Some(freed) = slot.checked_sub(distinct).map(|place| order[place])
            && queues.put_back(freed)
        {
            servers.wake(members[freed].server);
        }
        let server = servers.take(slot, |server| !queues.ready[server].is_empty())?;
        let member = queues.take(server)?;
        // What it has left must fit before its first ticket comes again, across the ring's end.
        let end = *first[member].get_or_insert(slot) + length;
        if slot + distinct * (queues.left(member) + 1) > end {
            return None;
        }
        order.push(member);
    }
    Some(order.into_iter().map(|member| members[member].target).collect())
}

/// Tickets of each server.
fn server_sizes(members: &[Member], counts: &[usize]) -> Vec<usize> {
    let servers = members.iter().map(|member| member.server + 1).max().unwrap_or(0);
    let mut sizes = vec![0; servers];
    for (member, count) in members.iter().zip(counts) {
        sizes[member.server] += count;
    }
    sizes
}

/// A target's next ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    /// Ideal position among the server's tickets, as a fraction of 2^32.
    ideal: u64,
    member: usize,
}

/// Ideal positions of a member's tickets: evenly spaced, and the first tickets of a server's targets
/// evenly spaced too, so that they alternate.
#[derive(Clone, Copy, Debug)]
struct Spacing {
    /// Odd multiple of half the spacing of the server's targets.
    phase: u64,
    /// Twice the server's targets.
    all: u64,
    count: u64,
}

impl Spacing {
    /// Of each member, in their order.
    fn of(members: &[Member], counts: &[usize]) -> Vec<Self> {
        let mut seen = vec![0u64; members.len()];
        let mut spacings = Vec::with_capacity(members.len());
        for (member, count) in members.iter().zip(counts) {
            let seen = &mut seen[member.server];
            spacings.push(Self { phase: 2 * *seen + 1, all: 0, count: *count as u64 });
            *seen += u64::from(*count > 0);
        }
        for (member, spacing) in members.iter().zip(&mut spacings) {
            spacing.all = 2 * seen[member.server];
        }
        spacings
    }

    /// Ideal position of a ticket, (turn + phase / all) / count, as a fraction of 2^32. A ring has at
    /// most 2^13 tickets, so the numerator has at most 13 + 14 + 32 bits.
    fn ideal(&self, turn: u64) -> u64 {
        ((turn * self.all + self.phase) << 32) / (self.all * self.count)
    }
}

/// The targets that may go now, of each server, by the ideal position of their next ticket.
struct Queues<'a> {
    members: &'a [Member],
    spacings: Vec<Spacing>,
    /// Tickets taken of each member.
    turns: Vec<u64>,
    ready: Vec<BinaryHeap<Reverse<Turn>>>,
}

impl<'a> Queues<'a> {
    fn new(members: &'a [Member], counts: &[usize]) -> Self {
        let servers = members.iter().map(|member| member.server + 1).max().unwrap_or(0);
        let spacings = Spacing::of(members, counts);
        let mut first: Vec<Vec<Reverse<Turn>>> = vec![Vec::new(); servers];
        for (place, (member, spacing)) in members.iter().zip(&spacings).enumerate() {
            if spacing.count > 0 {
                first[member.server].push(Reverse(Turn { ideal: spacing.ideal(0), member: place }));
            }
        }
        let ready = first.into_iter().map(BinaryHeap::from).collect();
        Self { members, turns: vec![0; members.len()], spacings, ready }
    }

    /// Takes the first of a server's targets; it stays away until it is put back.
    fn take(&mut self, server: usize) -> Option<usize> {
        let Reverse(turn) = self.ready[server].pop()?;
        self.turns[turn.member] += 1;
        Some(turn.member)
    }

    /// Tickets that a member has yet to take.
    fn left(&self, member: usize) -> usize {
        (self.spacings[member].count - self.turns[member]) as usize
    }

    /// Lets a target go again; false if it has no ticket left.
    fn put_back(&mut self, member: usize) -> bool {
        let (turn, spacing) = (self.turns[member], &self.spacings[member]);
        let more = turn < spacing.count;
        if more {
            let ideal = spacing.ideal(turn);
            self.ready[self.members[member].server].push(Reverse(Turn { ideal, member }));
        }
        more
    }
}

/// How the windows of servers begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Windows {
    /// All at the ring's begin: every deadline can be met.
    Together,
    /// One after the other. Deadlines may be missed by a little, but the first and the last ticket of a
    /// server with few targets do not meet where the ring closes.
    Staggered,
}

/// Whose turn it is: earliest deadline first over Pfair windows.
struct Servers {
    windows: Windows,
    /// Tickets of each; they sum to `length`.
    sizes: Vec<usize>,
    length: usize,
    /// Tickets taken of each.
    turns: Vec<usize>,
    /// Servers whose window is open, by deadline.
    open: BinaryHeap<Reverse<(usize, usize)>>,
    /// Servers whose next window opens later, by release.
    later: BinaryHeap<Reverse<(usize, usize)>>,
    /// Servers in neither, because all their targets have to wait.
    asleep: Vec<bool>,
}

impl Servers {
    fn new(sizes: Vec<usize>, length: usize, windows: Windows) -> Self {
        let later = (0..sizes.len()).filter(|server| sizes[*server] > 0).map(|server| Reverse((0, server)));
        Self {
            turns: vec![0; sizes.len()],
            asleep: vec![false; sizes.len()],
            open: BinaryHeap::new(),
            later: later.collect(),
            sizes,
            length,
            windows,
        }
    }

    /// The server with the earliest deadline of those that are ready. All windows together fill every
    /// slot, so where nothing is blocked this meets every deadline. Only where all open servers are
    /// blocked does one go before its release. Servers found blocked are asleep until [`Self::wake`].
    fn take(&mut self, slot: usize, is_ready: impl Fn(usize) -> bool) -> Option<usize> {
        while let Some(Reverse((release, server))) = self.later.peek().copied()
            && release <= slot
        {
            self.later.pop();
            self.open.push(Reverse((self.deadline(server), server)));
        }
        let server = loop {
            let Reverse((_, server)) = self.open.pop().or_else(|| self.later.pop())?;
            if is_ready(server) {
                break server;
            }
            self.asleep[server] = true;
        };
        self.turns[server] += 1;
        if self.turns[server] < self.sizes[server] {
            self.later.push(Reverse((self.release(server), server)));
        }
        Some(server)
    }

    /// Lets a server take part again once one of its targets may go.
    fn wake(&mut self, server: usize) {
        if std::mem::take(&mut self.asleep[server]) {
            self.later.push(Reverse((self.release(server), server)));
        }
    }

    /// The slot from which the next ticket of a server may come: one window before its deadline.
    fn release(&self, server: usize) -> usize {
        let (end, scale) = self.window_end(server);
        (end.saturating_sub(scale) * self.length) / (scale * self.sizes[server])
    }

    /// The slot before which the next ticket of a server should come.
    fn deadline(&self, server: usize) -> usize {
        let (end, scale) = self.window_end(server);
        (end * self.length).div_ceil(scale * self.sizes[server])
    }

    /// Where the next window of a server ends, in windows since the ring's begin, as a fraction.
    fn window_end(&self, server: usize) -> (usize, usize) {
        let turn = self.turns[server];
        match self.windows {
            Windows::Together => (turn + 1, 1),
            Windows::Staggered => {
                let scale = 2 * self.sizes.len();
                (turn * scale + 2 * server + 1, scale)
            }
        }
    }
}

/// Whether every window of the ring, across its end too, holds less than `w × share + limit` tickets of
/// each server.
fn is_spread(tickets: &[TargetId], members: &[Member], limit: usize) -> bool {
    let targets = members.iter().map(|member| member.target.index() + 1).max().unwrap_or(0);
    let mut server_of = vec![0; targets];
    for member in members {
        server_of[member.target.index()] = member.server;
    }
    let mut sizes = vec![0usize; members.len()];
    for ticket in tickets {
        sizes[server_of[ticket.index()]] += 1;
    }
    // In units of 1 / length: the lag is what a server got above its share since the start, and a
    // window's excess is the lag at its end less that at its begin. Both are extreme at its own tickets.
    let length = tickets.len() as i64;
    let mut got = vec![0i64; members.len()];
    let mut lowest = vec![i64::MAX; members.len()];
    tickets.iter().chain(tickets).enumerate().all(|(slot, ticket)| {
        let server = server_of[ticket.index()];
        let (slot, size) = (slot as i64, sizes[server] as i64);
        lowest[server] = lowest[server].min(got[server] * length - size * slot);
        got[server] += 1;
        got[server] * length - size * (slot + 1) - lowest[server] < limit as i64 * length
    })
}

#[cfg(test)]
mod tests;

//! Which agents there are, and which targets each may speak for.
//!
//! Owns the numbers of servers and targets: an agent names its server and OST indices, everything else counts in
//! numbers that never change while the controller lives. It decides who speaks for a server where two agents claim to,
//! and for a target where two servers do. It must not judge what they say.

use std::collections::BTreeMap;
use std::time::Duration;

use tarazu_layout::limits::TARGETS_MAX;
use tarazu_layout::{Bytes, OstIndex, ServerId, TargetId, Time};

use crate::topology::{ServerSpec, TargetSpec, Topology, TopologyError};

/// What an agent says of itself when it registers.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// Its server's name.
    pub server: String,
    /// Random number of the agent process.
    pub instance: u64,
    /// When that process started, nanoseconds since 1970 by its own clock.
    pub started_unix_ns: u64,
    /// Bandwidth of the server's link, bytes/s.
    pub link_bps: f64,
    /// The enclosure that it stands in.
    pub enclosure: Option<u32>,
    /// Its targets, no two of one index.
    pub targets: Vec<ClaimedTarget>,
}

/// One target of a claim.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClaimedTarget {
    /// Its index.
    pub ost: OstIndex,
    /// Its size.
    pub capacity: Bytes,
    /// Prior read bandwidth of its class, bytes/s.
    pub read_bps: f64,
    /// Prior write bandwidth of its class, bytes/s.
    pub write_bps: f64,
}

/// An agent that may report.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// Its server.
    pub server: ServerId,
    /// The number of its session; higher than that of every agent that spoke for this server before.
    pub session: u64,
    /// The agent that is silenced by this one.
    pub supersedes: Option<u64>,
    /// What the file system is built of now, where the claim changed it.
    pub grown: Option<Topology>,
    /// Targets that it claimed and that another live server speaks for: fail-over needs the other to let go.
    pub contested: Vec<OstIndex>,
}

/// Why an agent may not report.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ClaimRefused {
    /// A live agent of that name started later.
    #[error("an agent of server {server} that started later is alive: stop one of the two")]
    Superseded {
        /// The server.
        server: String,
        /// The other's instance.
        by: u64,
    },
    /// No room for another server.
    #[error("a file system has at most {TARGETS_MAX} servers")]
    ServersFull,
    /// The file system would not be one.
    #[error("with the targets of server {server} the file system is none: {why}")]
    Topology {
        /// The server.
        server: String,
        /// What is wrong.
        why: TopologyError,
    },
}

#[derive(Clone, Debug)]
struct Server {
    name: String,
    spec: ServerSpec,
    session: Option<Session>,
    /// Targets that its newest claim had.
    claimed: Vec<OstIndex>,
}

#[derive(Clone, Copy, Debug)]
struct Session {
    number: u64,
    instance: u64,
    started_unix_ns: u64,
    heard_at: Time,
    is_open: bool,
}

/// All servers and targets of one file system that were ever heard of.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    servers: Vec<Server>,
    by_name: BTreeMap<String, ServerId>,
    targets: Vec<TargetSpec>,
    by_ost: BTreeMap<OstIndex, TargetId>,
    sessions: u64,
}

impl Registry {
    /// Nobody was heard of.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on from servers that were known, in the order in which they were first heard of.
    ///
    /// # Errors
    /// What is no file system.
    pub fn restored(claims: &[Claim]) -> Result<(Self, Option<Topology>), ClaimRefused> {
        let mut registry = Self::new();
        let mut topology = None;
        for claim in claims {
            let admitted = registry.claim(claim, Time::ZERO, Duration::ZERO)?;
            topology = admitted.grown.or(topology);
        }
        for server in &mut registry.servers {
            server.session = None;
        }
        Ok((registry, topology))
    }

    /// Takes in what an agent says of itself. An agent counts as alive while its stream is open and it was heard of
    /// within `alive_within`.
    ///
    /// # Errors
    /// Why it may not report; nothing has changed then.
    pub fn claim(
        &mut self,
        claim: &Claim,
        now: Time,
        alive_within: Duration,
    ) -> Result<Admitted, ClaimRefused> {
        let known = self.by_name.get(&claim.server).copied();
        if known.is_none() && self.servers.len() >= TARGETS_MAX {
            return Err(ClaimRefused::ServersFull);
        }
        let before = known.and_then(|server| self.servers[server.index()].session);
        if let Some(other) = before
            && other.instance != claim.instance
            && is_alive(&other, now, alive_within)
            && (claim.started_unix_ns, claim.instance) < (other.started_unix_ns, other.instance)
        {
            return Err(ClaimRefused::Superseded { server: claim.server.clone(), by: other.instance });
        }
        let mut next = self.clone();
        let (server, contested, changed) = next.enter(claim, now, alive_within);
        let grown = if changed { Some(next.topology(&claim.server)?) } else { None };
        let again = before.filter(|other| other.instance == claim.instance);
        next.sessions += u64::from(again.is_none());
        let number = again.map_or(next.sessions, |other| other.number);
        next.servers[server.index()].session = Some(Session {
            number,
            instance: claim.instance,
            started_unix_ns: claim.started_unix_ns,
            heard_at: now,
            is_open: true,
        });
        *self = next;
        let supersedes = before
            .filter(|other| other.instance != claim.instance && other.is_open)
            .map(|other| other.instance);
        Ok(Admitted { server, session: number, supersedes, grown, contested })
    }

    /// Books the claim's server and targets. Returns its number, what others keep, and whether anything is new.
    fn enter(&mut self, claim: &Claim, now: Time, alive_within: Duration) -> (ServerId, Vec<OstIndex>, bool) {
        let spec = ServerSpec { link_bps: claim.link_bps, enclosure: claim.enclosure };
        let next = ServerId(self.servers.len() as u32);
        let server = *self.by_name.entry(claim.server.clone()).or_insert(next);
        let mut changed = server == next;
        if changed {
            let name = claim.server.clone();
            self.servers.push(Server { name, spec: spec.clone(), session: None, claimed: Vec::new() });
        }
        let entry = &mut self.servers[server.index()];
        changed |= entry.spec != spec;
        entry.spec = spec;
        entry.claimed = claim.targets.iter().map(|target| target.ost).collect();
        let mut contested = Vec::new();
        for claimed in &claim.targets {
            if self.is_held_by_another(claimed.ost, server, now, alive_within) {
                contested.push(claimed.ost);
                continue;
            }
            changed |= self.book(claimed, server);
        }
        self.servers[server.index()].claimed.retain(|ost| !contested.contains(ost));
        (server, contested, changed)
    }

    /// Whether another live server's newest claim has that target.
    fn is_held_by_another(&self, ost: OstIndex, by: ServerId, now: Time, alive_within: Duration) -> bool {
        let Some(holder) = self.by_ost.get(&ost).map(|target| self.targets[target.index()].server) else {
            return false;
        };
        let other = &self.servers[holder.index()];
        holder != by
            && other.claimed.contains(&ost)
            && other.session.is_some_and(|session| is_alive(&session, now, alive_within))
    }

    /// Whether that changed anything.
    fn book(&mut self, claimed: &ClaimedTarget, server: ServerId) -> bool {
        let spec = TargetSpec {
            ost: claimed.ost,
            server,
            read_bps: claimed.read_bps,
            write_bps: claimed.write_bps,
            capacity: claimed.capacity,
        };
        let next = TargetId(self.targets.len() as u32);
        let target = *self.by_ost.entry(claimed.ost).or_insert(next);
        if target == next {
            self.targets.push(spec);
            return true;
        }
        let known = &mut self.targets[target.index()];
        let changed = *known != spec;
        *known = spec;
        changed
    }

    fn topology(&self, server: &str) -> Result<Topology, ClaimRefused> {
        let servers = self.servers.iter().map(|server| server.spec.clone()).collect();
        Topology::new(self.targets.clone(), servers)
            .map_err(|why| ClaimRefused::Topology { server: server.to_owned(), why })
    }

    /// Notes that a session was heard of. Returns whether it is the one that speaks for its server.
    pub fn heard(&mut self, server: ServerId, session: u64, now: Time) -> bool {
        let known = self.servers.get_mut(server.index()).and_then(|server| server.session.as_mut());
        let Some(known) = known.filter(|known| known.number == session) else { return false };
        known.heard_at = now;
        // An earlier stream of the same agent may have ended after this one began.
        known.is_open = true;
        true
    }

    /// Notes that a session's stream has ended.
    pub fn closed(&mut self, server: ServerId, session: u64) {
        let known = self.servers.get_mut(server.index()).and_then(|server| server.session.as_mut());
        if let Some(known) = known.filter(|known| known.number == session) {
            known.is_open = false;
        }
    }

    /// The number of a target.
    #[must_use]
    pub fn target(&self, ost: OstIndex) -> Option<TargetId> {
        self.by_ost.get(&ost).copied()
    }

    /// A server's name; empty for one that does not exist.
    #[must_use]
    pub fn server_name(&self, server: ServerId) -> &str {
        self.servers.get(server.index()).map_or("", |server| &server.name)
    }

    /// Servers that were ever heard of.
    #[must_use]
    pub fn servers(&self) -> usize {
        self.servers.len()
    }

    /// Servers whose agent is connected.
    #[must_use]
    pub fn connected(&self) -> usize {
        let is_open = |server: &&Server| server.session.is_some_and(|session| session.is_open);
        self.servers.iter().filter(is_open).count()
    }

    /// The server of a session that is open, by its number.
    #[must_use]
    pub fn open_session(&self, server: ServerId) -> Option<u64> {
        let session = self.servers.get(server.index())?.session?;
        session.is_open.then_some(session.number)
    }

    /// Everything that is known, as claims in the order of the servers' numbers: what a next life goes on from.
    /// Numbers of targets may differ then: only the servers' order is kept.
    #[must_use]
    pub fn inventory(&self) -> Vec<Claim> {
        let target = |spec: &TargetSpec| ClaimedTarget {
            ost: spec.ost,
            capacity: spec.capacity,
            read_bps: spec.read_bps,
            write_bps: spec.write_bps,
        };
        let of = |(number, server): (usize, &Server)| Claim {
            server: server.name.clone(),
            instance: 0,
            started_unix_ns: 0,
            link_bps: server.spec.link_bps,
            enclosure: server.spec.enclosure,
            targets: self.targets.iter().filter(|spec| spec.server.index() == number).map(target).collect(),
        };
        self.servers.iter().enumerate().map(of).collect()
    }
}

fn is_alive(session: &Session, now: Time, within: Duration) -> bool {
    session.is_open && now.since(session.heard_at) <= within
}

#[cfg(test)]
mod tests;

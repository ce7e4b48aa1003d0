//! Cheapest-first filling: units onto targets where the next one costs least, under nested capacities.
//!
//! Totals by target that respect target, server and router capacities are the integer points of a polymatroid, so
//! taking the cheapest next unit that still fits is optimal for convex costs (Federgruen and Groenevelt, Operations
//! Research 34, 1986). Units are not taken one by one: the result is that of a level of marginal cost, up to which
//! everything is taken that fits; the level is found by bisection, below a capacity that binds one of its own.
//!
//! Groups, pools and the rule of one stripe per request and target count only as a bound on each target. The result
//! is therefore a relaxation: never fewer units and, at equal units, never more cost than the true optimum, and the
//! true optimum itself whenever its units can be dealt into lists.

use std::ops::Range;

use super::curves::Curves;
use super::placement::Binding;
use super::problem::Problem;

/// Units by target after filling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filled {
    /// Units by target number.
    pub units_by_target: Vec<u32>,
    /// Their sum.
    pub flow: u32,
    /// Their total cost.
    pub cost: i64,
    /// What keeps more units out; empty where all are in.
    pub binding: Vec<Binding>,
}

/// Fills a problem, whatever its groups and pools are.
#[must_use]
pub fn fill(problem: &Problem) -> Filled {
    let (units, flow) = units_by_position(problem);
    by_target(problem, &units, flow)
}

/// What units by target position come to.
pub(super) fn by_target(problem: &Problem, units: &[u32], flow: u32) -> Filled {
    let cost = cost(problem, units);
    let mut units_by_target = vec![0; units.len()];
    for (target, units) in problem.target_at.iter().zip(units) {
        units_by_target[*target as usize] = *units;
    }
    let binding = if flow < problem.demand { Filling::new(problem).binding() } else { Vec::new() };
    Filled { units_by_target, flow, cost, binding }
}

/// Units by target position, and their sum.
pub(super) fn units_by_position(problem: &Problem) -> (Vec<u32>, u32) {
    let mut filling = Filling::new(problem);
    let flow = filling.through(Scope::All, End::High);
    filling.all(flow);
    (filling.units, flow)
}

/// Total cost of units by target position.
fn cost(problem: &Problem, units: &[u32]) -> i64 {
    let costs = units.iter().enumerate().map(|(target, units)| problem.target_curves.cost(target, *units));
    costs.sum::<i64>() + server_cost(problem, units)
}

/// What the servers' own costs add up to.
fn server_cost(problem: &Problem, units: &[u32]) -> i64 {
    let priced = (0..problem.server_at.len()).filter(|server| problem.is_priced(*server));
    let own = |server: usize| {
        let below: u32 = units[problem.targets_of(server)].iter().sum();
        let targets =
            problem.targets_of(server).map(|target| problem.target_curves.cost(target, units[target]));
        // The curve of a priced server holds both costs, and its targets are filled cheapest first.
        problem.server_curves.cost(server, below) - targets.sum::<i64>()
    };
    priced.map(own).sum()
}

/// What is looked at: everything, or what lies below a router or server position.
#[derive(Clone, Copy, Debug)]
enum Scope {
    All,
    Router(usize),
    Server(usize),
}

impl Scope {
    fn servers(self, problem: &Problem) -> Range<usize> {
        match self {
            Self::All => 0..problem.server_at.len(),
            Self::Router(router) => problem.servers_of(router),
            Self::Server(server) => server..server + 1,
        }
    }

    fn targets(self, problem: &Problem) -> Range<usize> {
        let servers = self.servers(problem);
        problem.targets_from[servers.start] as usize..problem.targets_from[servers.end] as usize
    }
}

/// Units in a scope, its own capacity aside, given what targets and priced servers hold.
fn total(
    problem: &Problem,
    scope: Scope,
    of_target: &mut impl FnMut(usize) -> u32,
    of_server: &mut impl FnMut(usize) -> u32,
) -> u64 {
    match scope {
        Scope::All => {
            let mut sum = 0;
            for (router, cap) in problem.router_caps.iter().enumerate() {
                sum += total(problem, Scope::Router(router), of_target, of_server).min(u64::from(*cap));
            }
            sum
        }
        Scope::Router(router) => {
            let mut sum = 0;
            for server in problem.servers_of(router) {
                sum += if problem.is_priced(server) {
                    // Its capacity is part of its curve.
                    u64::from(of_server(server))
                } else {
                    let below = total(problem, Scope::Server(server), of_target, of_server);
                    below.min(u64::from(problem.server_caps[server]))
                };
            }
            sum
        }
        Scope::Server(server) => problem.targets_of(server).map(|target| u64::from(of_target(target))).sum(),
    }
}

/// How many segments of each curve lie below a level that is too low, one that is high enough, and one between.
#[derive(Clone, Debug)]
struct Windows<'a> {
    curves: &'a Curves,
    low: Vec<u32>,
    middle: Vec<u32>,
    high: Vec<u32>,
}

/// Which of them.
#[derive(Clone, Copy, Debug)]
enum End {
    Low,
    High,
}

impl<'a> Windows<'a> {
    fn of(curves: &'a Curves, things: usize) -> Self {
        let high: Vec<u32> = (0..things).map(|thing| curves.segments(thing)).collect();
        Self { curves, low: vec![0; things], middle: vec![0; things], high }
    }

    /// Units up to a level; the segments are kept as the middle.
    fn take(&mut self, thing: usize, level: i64) -> u32 {
        let (low, high) = (self.low[thing] as usize, self.high[thing] as usize);
        let open = &self.curves.costs(thing)[low..high];
        let taken = (low + open.partition_point(|cost| *cost <= level)) as u32;
        self.middle[thing] = taken;
        self.curves.units(thing, taken)
    }

    fn units(&self, thing: usize, end: End) -> u32 {
        let segments = match end {
            End::Low => &self.low,
            End::High => &self.high,
        };
        self.curves.units(thing, segments[thing])
    }

    fn replace_end(&mut self, things: Range<usize>, end: End) {
        let segments = match end {
            End::Low => &mut self.low,
            End::High => &mut self.high,
        };
        segments[things.clone()].copy_from_slice(&self.middle[things]);
    }

    /// What was too little is enough.
    fn lower(&mut self, things: Range<usize>) {
        self.high[things.clone()].copy_from_slice(&self.low[things.clone()]);
        self.low[things].fill(0);
    }

    /// Nothing is known but that all is enough.
    fn widen(&mut self, things: Range<usize>) {
        for thing in things {
            self.low[thing] = 0;
            self.high[thing] = self.curves.segments(thing);
        }
    }
}

struct Filling<'a> {
    problem: &'a Problem,
    targets: Windows<'a>,
    /// Of servers with a cost of their own.
    servers: Windows<'a>,
    units: Vec<u32>,
}

impl<'a> Filling<'a> {
    fn new(problem: &'a Problem) -> Self {
        let targets = problem.target_at.len();
        Self {
            problem,
            targets: Windows::of(&problem.target_curves, targets),
            servers: Windows::of(&problem.server_curves, problem.priced.len()),
            units: vec![0; targets],
        }
    }

    /// Units in a scope at an end of the windows, its own capacity aside.
    fn sum(&self, scope: Scope, end: End) -> u64 {
        let (targets, servers) = (&self.targets, &self.servers);
        total(self.problem, scope, &mut |target| targets.units(target, end), &mut |server| {
            servers.units(server, end)
        })
    }

    /// As [`Self::sum`], within its own capacity.
    fn through(&self, scope: Scope, end: End) -> u32 {
        let cap = match scope {
            Scope::All => self.problem.demand,
            Scope::Router(router) => self.problem.router_caps[router],
            Scope::Server(server) if self.problem.is_priced(server) => {
                return self.servers.units(server, end);
            }
            Scope::Server(server) => self.problem.server_caps[server],
        };
        self.sum(scope, end).min(u64::from(cap)) as u32
    }

    /// The windows of a scope, for one of their changes.
    fn change(&mut self, scope: Scope, change: impl Fn(&mut Windows<'a>, Range<usize>)) {
        change(&mut self.targets, scope.targets(self.problem));
        if !self.problem.priced.is_empty() {
            change(&mut self.servers, scope.servers(self.problem));
        }
    }

    /// The lowest level of marginal cost that brings so many units in a scope, where `highest` brings them. The
    /// windows then end at it and one below it.
    fn search(&mut self, scope: Scope, highest: i64, units: u32) -> i64 {
        let (mut low, mut high) = (-1, highest);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            let (targets, servers) = (&mut self.targets, &mut self.servers);
            let sum = total(self.problem, scope, &mut |target| targets.take(target, middle), &mut |server| {
                servers.take(server, middle)
            });
            let enough = sum >= u64::from(units);
            let end = if enough { End::High } else { End::Low };
            *(if enough { &mut high } else { &mut low }) = middle;
            self.change(scope, |windows, things| windows.replace_end(things, end));
        }
        high
    }

    /// Puts so many units below all routers; they fit.
    fn all(&mut self, units: u32) {
        let level = self.search(Scope::All, highest_cost(self.problem), units);
        let mut rest = u64::from(units) - self.sum(Scope::All, End::Low).min(u64::from(units));
        for router in 0..self.problem.router_caps.len() {
            let share = self.share(Scope::Router(router), &mut rest);
            self.router(router, level, share);
        }
    }

    /// What a part gets: all below the level, and of the rest what costs just that.
    fn share(&self, scope: Scope, rest: &mut u64) -> u32 {
        let least = self.through(scope, End::Low);
        let more = u64::from(self.through(scope, End::High) - least).min(*rest);
        *rest -= more;
        least + more as u32
    }

    /// Puts so many units below a router; they fit at `level`, and its windows end there.
    fn router(&mut self, router: usize, level: i64, units: u32) {
        let scope = Scope::Router(router);
        let level = self.own_level(scope, level, units);
        let mut rest = u64::from(units) - self.sum(scope, End::Low).min(u64::from(units));
        for server in self.problem.servers_of(router) {
            let share = self.share(Scope::Server(server), &mut rest);
            self.server(server, level, share);
        }
    }

    fn server(&mut self, server: usize, level: i64, units: u32) {
        let scope = Scope::Server(server);
        if self.problem.is_priced(server) {
            // Levels so far were of both costs together; below it only those of targets count.
            self.targets.widen(scope.targets(self.problem));
            self.search(scope, highest_cost(self.problem), units);
        } else {
            self.own_level(scope, level, units);
        }
        let mut rest = u64::from(units) - self.sum(scope, End::Low).min(u64::from(units));
        for target in self.problem.targets_of(server) {
            let least = self.targets.units(target, End::Low);
            let more = u64::from(self.targets.units(target, End::High) - least).min(rest);
            rest -= more;
            self.units[target] = least + more as u32;
        }
    }

    /// Where a capacity binds, what lies below it has a lower level of its own.
    fn own_level(&mut self, scope: Scope, level: i64, units: u32) -> i64 {
        if self.sum(scope, End::Low) <= u64::from(units) {
            return level;
        }
        self.change(scope, Windows::lower);
        self.search(scope, level - 1, units)
    }

    /// The capacities that keep more units out, when all windows end at everything.
    fn binding(&self) -> Vec<Binding> {
        let problem = self.problem;
        let mut binding = Vec::new();
        for router in 0..problem.router_caps.len() {
            if self.sum(Scope::Router(router), End::High) >= u64::from(problem.router_caps[router]) {
                let capacity = problem.router_capacities[router];
                binding.push(Binding::Router { router: router as u32, capacity });
                continue;
            }
            for server in problem.servers_of(router) {
                if self.sum(Scope::Server(server), End::High) >= u64::from(problem.server_caps[server]) {
                    binding.push(Binding::of_server(problem, server));
                } else {
                    binding
                        .extend(problem.targets_of(server).map(|target| Binding::of_target(problem, target)));
                }
            }
        }
        binding
    }
}

/// The highest marginal cost of all.
fn highest_cost(problem: &Problem) -> i64 {
    let last = |curves: &Curves, thing| curves.costs(thing).last().copied().unwrap_or(0);
    let of_targets = (0..problem.target_at.len()).map(|target| last(&problem.target_curves, target));
    let of_servers = (0..problem.priced.len()).map(|server| last(&problem.server_curves, server));
    of_targets.chain(of_servers).max().unwrap_or(0)
}

//! The frozen distribution that situations are drawn from, and the draws.
//!
//! The numbers were written down before any result was looked at. They are no statistics of real machines: every
//! dimension along which a placement could do harm has its weight, so that each meets each.

use std::ops::RangeInclusive;
use std::path::Path;

use rand::RngExt;
use tarazu_core::rng::{Rng, stream};

use super::case::Case;
use crate::experiment::SEEDS_MAX;
use crate::system::{System, SystemError};

const MIB: f64 = 1024.0 * 1024.0;

/// Values with their weights.
pub type Weighted<T> = &'static [(u32, T)];

/// A kind of system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// 35 targets on 7 servers.
    Ost35,
    /// 24 targets on 24 servers.
    Edison,
    /// 248 targets on 248 servers.
    Cori,
    /// 450 targets on 150 servers, in pools.
    Orion,
    /// Spider II with 4 to 24 of its 288 servers.
    SmallSpider,
    /// Few targets of mixed speeds, on few servers.
    Small,
}

/// A kind of workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Writes, and perhaps reads.
    Ior,
    /// Writes its state, time after time.
    Checkpoint,
    /// HACC-IO.
    Hacc,
    /// Small files.
    Mdtest,
    /// Deep learning.
    Dl,
    /// Containers start.
    Startup,
}

/// A rule of striping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stripes {
    /// The system's default.
    Default,
    /// So many, or all targets where there are fewer.
    Count(u32),
    /// All targets.
    All,
    /// By file size.
    SizeRule,
    /// A site's default layout.
    Site(&'static str),
}

/// A kind of load of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// None.
    None,
    /// A constant share of each target, uniform from 0 to a bound.
    Uniform,
    /// The measured process.
    Markov,
    /// The same with another mean and other times.
    MarkovDwell,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    None,
    /// A target is slow from the start, and the controller is told.
    SickKnown,
    /// The same, and it is never told.
    SickUnknown,
    /// A target becomes slow in the run.
    SlowMidway,
    /// A target is down.
    Down,
    /// A target is rebuilt.
    Rebuild,
    /// Two servers behind one link.
    Failover,
    /// New empty targets.
    Expand,
}

/// How full targets are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// As the system says.
    Default,
    /// From a fifth to four fifths.
    Uneven,
    /// From nine tenths to nearly all.
    NearlyFull,
}

/// The whole distribution.
#[derive(Clone, Debug)]
pub struct Distribution {
    /// Systems.
    pub machines: Weighted<Machine>,
    /// How many jobs at once.
    pub jobs: Weighted<u32>,
    /// Copies of a single job; several jobs have none.
    pub copies: Weighted<u32>,
    /// What a job does.
    pub kinds: Weighted<Kind>,
    /// Nodes of a job, uniform in the logarithm.
    pub nodes: RangeInclusive<u32>,
    /// Ranks on each of its nodes.
    pub ranks_per_node: Weighted<u32>,
    /// What a job's bytes would take on the whole system alone, seconds, uniform in the logarithm: the load.
    pub alone_s: RangeInclusive<f64>,
    /// Share of workloads of several jobs whose starts are spread.
    pub staggered_share: f64,
    /// Seconds over which starts are spread, uniform.
    pub spread_s: f64,
    /// Stripe counts and sizes.
    pub striping: Weighted<Stripes>,
    /// Load of others.
    pub others: Weighted<Others>,
    /// What goes wrong.
    pub trouble: Weighted<Trouble>,
    /// How full targets are.
    pub space: Weighted<Space>,
    /// What the controller knows of jobs.
    pub forecast: Weighted<&'static str>,
    /// Bound of the random delay of starts, seconds.
    pub start_jitter_s: Weighted<f64>,
}

/// The distribution that all published figures are of. A change of any number is another distribution: results on
/// both sides of it must not be compared.
pub const DISTRIBUTION: Distribution = Distribution {
    machines: &[
        (30, Machine::Ost35),
        (15, Machine::Edison),
        (8, Machine::Cori),
        (5, Machine::Orion),
        (15, Machine::SmallSpider),
        (27, Machine::Small),
    ],
    jobs: &[(45, 1), (25, 2), (15, 3), (15, 4)],
    copies: &[(70, 1), (15, 2), (15, 4)],
    kinds: &[
        (35, Kind::Ior),
        (20, Kind::Checkpoint),
        (15, Kind::Hacc),
        (10, Kind::Mdtest),
        (10, Kind::Dl),
        (10, Kind::Startup),
    ],
    nodes: 1..=32,
    ranks_per_node: &[(15, 1), (20, 2), (30, 4), (25, 8), (10, 16)],
    alone_s: 0.1..=20.0,
    staggered_share: 0.5,
    spread_s: 60.0,
    striping: &[
        (40, Stripes::Default),
        (5, Stripes::Count(1)),
        (10, Stripes::Count(2)),
        (10, Stripes::Count(4)),
        (8, Stripes::Count(8)),
        (4, Stripes::All),
        (8, Stripes::SizeRule),
        (3, Stripes::Site("azure")),
        (3, Stripes::Site("delta")),
        (3, Stripes::Site("fsx")),
        (3, Stripes::Site("orion")),
        (3, Stripes::Site("perlmutter")),
    ],
    others: &[(50, Others::None), (20, Others::Uniform), (15, Others::Markov), (15, Others::MarkovDwell)],
    trouble: &[
        (64, Trouble::None),
        (9, Trouble::SickKnown),
        (7, Trouble::SickUnknown),
        (7, Trouble::SlowMidway),
        (4, Trouble::Down),
        (4, Trouble::Rebuild),
        (2, Trouble::Failover),
        (3, Trouble::Expand),
    ],
    space: &[(80, Space::Default), (12, Space::Uneven), (8, Space::NearlyFull)],
    forecast: &[(50, "perfect"), (20, "errs=0.3"), (15, "errs=1"), (15, "none")],
    start_jitter_s: &[(80, 5.0), (20, 0.0)],
};

/// Seeds of a case: enough for a mean that luck does not decide alone.
pub const SEEDS_EACH: u64 = 4;

/// Windows that a job's bytes may fill: what bounds the time of a run.
const WINDOWS_MAX: f64 = 3000.0;

/// Ranks of all jobs of a case.
const RANKS_MAX: u32 = 256;

/// The draws of one case.
struct Draws(Rng);

impl Draws {
    fn of<T: Copy>(&mut self, values: Weighted<T>) -> T {
        let all: u32 = values.iter().map(|(weight, _)| weight).sum();
        let mut left = self.0.random_range(0..all);
        for (weight, value) in values {
            if left < *weight {
                return *value;
            }
            left -= weight;
        }
        values[0].1
    }

    fn share(&mut self, low: f64, high: f64) -> f64 {
        // Two decimals, so that commands stay readable.
        (self.0.random_range(low..=high) * 100.0).round() / 100.0
    }

    fn log_uniform(&mut self, low: f64, high: f64) -> f64 {
        self.0.random_range(low.ln()..=high.ln()).exp()
    }

    fn whole(&mut self, low: u32, high: u32) -> u32 {
        self.0.random_range(low..=high)
    }

    fn coin(&mut self, chance: f64) -> bool {
        self.0.random_range(0.0..1.0) < chance
    }
}

/// What a job may move, and by whom.
struct Size {
    nodes: u32,
    ranks_per_node: u32,
    rank_bytes: f64,
}

/// Draws case `number` of a sweep. Equal arguments give equal cases.
///
/// # Errors
/// None that a test of this module would not show: all systems are bundled.
pub fn sample(of: &Distribution, seed: u64, number: u64) -> Result<Case, SystemError> {
    let mut draws = Draws(stream(seed, "regret case", number));
    let mut case =
        Case { workload_seed: u64::from(draws.whole(1, 1_000_000)), seeds: SEEDS_MAX, ..Case::default() };
    // Seeds of its own for each case, lest all meet the same four starts of one allocator.
    let shares = SEEDS_MAX / SEEDS_EACH;
    case.shard = format!("{}/{shares}", draws.0.random_range(1..=shares));
    let machine = draws.of(of.machines);
    set_machine(&mut case, machine, &mut draws);
    set_space(&mut case, machine, draws.of(of.space));
    let system = System::named_or_read(Path::new(&case.system), &case.set)?;
    let jobs = draws.of(of.jobs);
    let staggered = draws.coin(of.staggered_share);
    for _ in 0..jobs {
        let size = size(of, &system, RANKS_MAX / jobs, &mut draws);
        let spec = spec(draws.of(of.kinds), &size, &mut draws);
        let start = if staggered && jobs > 1 { draws.whole(0, of.spread_s as u32) } else { 0 };
        case.generate.push(if start > 0 { format!("{spec},start={start}") } else { spec });
    }
    let copies = draws.of(of.copies);
    if jobs == 1 && copies > 1 {
        case.copies = copies;
        case.stagger = if staggered { f64::from(draws.whole(1, of.spread_s as u32)) } else { 0.0 };
    }
    case.striping = striping(draws.of(of.striping), &system);
    case.background = background(draws.of(of.others), &mut draws);
    let trouble = draws.of(of.trouble);
    set_trouble(&mut case, trouble, &system, &mut draws);
    case.forecast = draws.of(of.forecast).to_string();
    case.start_jitter = draws.of(of.start_jitter_s);
    Ok(case)
}

fn set_machine(case: &mut Case, machine: Machine, draws: &mut Draws) {
    let mut set = |change: String| case.set.push(change);
    match machine {
        Machine::Ost35 => {}
        Machine::Edison => case.system = "edison".to_string(),
        Machine::Cori => case.system = "cori".to_string(),
        Machine::Orion => case.system = "orion-like".to_string(),
        Machine::SmallSpider => {
            set(format!("servers.count={}", draws.whole(4, 24)));
            case.system = "spider2".to_string();
        }
        Machine::Small => {
            let each = draws.of(&[(1, 1), (1, 2), (1, 4), (1, 8)]);
            let servers = draws.whole(4u32.div_ceil(each).max(1), 64 / each);
            set(format!("servers.count={servers}"));
            set(format!("servers.targets_each={each}"));
            set(format!("targets.write_MiBps={}", draws.of(&[(1, 250), (2, 500), (1, 1500)])));
            set(format!("nodes.nic_MiBps={}", draws.of(&[(1, 1250), (1, 5000), (2, 10000)])));
            set(format!("metadata.servers={}", draws.of(&[(3, 1), (1, 2)])));
        }
    }
}

/// Only where all targets are of one kind, as a key is of one.
fn set_space(case: &mut Case, machine: Machine, space: Space) {
    let (filled, spread) = match space {
        Space::Default => return,
        Space::Uneven => ("0.5", "0.3"),
        Space::NearlyFull => ("0.94", "0.05"),
    };
    if machine != Machine::Orion {
        case.set.push(format!("targets.filled={filled}"));
        case.set.push(format!("targets.filled_spread={spread}"));
    }
}

fn size(of: &Distribution, system: &System, ranks_max: u32, draws: &mut Draws) -> Size {
    let nodes = draws.log_uniform(f64::from(*of.nodes.start()), f64::from(*of.nodes.end()) + 0.5) as u32;
    let nodes = nodes.clamp(*of.nodes.start(), *of.nodes.end());
    let ranks_per_node = draws.of(of.ranks_per_node).min((ranks_max / nodes).max(1));
    let alone_s = draws.log_uniform(*of.alone_s.start(), *of.alone_s.end());
    let disks: f64 = system.topology.targets().iter().map(|spec| spec.write_bps).sum();
    let links: f64 = system.topology.servers().iter().map(|server| server.link_bps).sum();
    let fastest = disks.min(links).min(f64::from(nodes) * system.nic_bps);
    let window = system.client.window_bytes.unwrap_or(u64::MAX) as f64;
    let bytes = (alone_s * fastest).min(WINDOWS_MAX * window);
    Size { nodes, ranks_per_node, rank_bytes: bytes / f64::from(nodes * ranks_per_node) }
}

/// A power of two of MiB, from one.
fn mebibytes(bytes: f64) -> u64 {
    (2f64.powf((bytes / MIB).max(1.0).log2().round()) as u64).max(1)
}

fn spec(kind: Kind, size: &Size, draws: &mut Draws) -> String {
    let Size { nodes, ranks_per_node, rank_bytes } = *size;
    let who = format!("nodes={nodes},ranks_per_node={ranks_per_node}");
    let access = if draws.coin(0.6) { "fpp" } else { "ssf" };
    match kind {
        Kind::Ior => {
            let iterations = draws.of(&[(5, 1), (3, 2), (2, 4)]);
            let pieces = draws.of::<u32>(&[(1, 1), (2, 4), (2, 16)]);
            let transfer = mebibytes(rank_bytes / f64::from(iterations * pieces));
            let gap = draws.whole(1, 30);
            let (block, segments) = match draws.coin(0.3) {
                true => (transfer, u64::from(pieces)),
                false => (transfer * u64::from(pieces), 1),
            };
            let read = draws.coin(0.4);
            format!(
                "ior:{who},access={access},block={block}MiB,transfer={transfer}MiB,segments={segments},iterations={iterations},\
                 gap={gap},read={read}"
            )
        }
        Kind::Checkpoint => {
            let count = draws.of(&[(1, 1), (1, 2), (1, 4)]);
            let pieces = draws.of::<u32>(&[(1, 1), (1, 4), (1, 16)]);
            let transfer = mebibytes(rank_bytes / f64::from(count * pieces));
            let (period, restart) = (draws.whole(5, 60), draws.coin(0.3));
            format!(
                "checkpoint:{who},access={access},bytes={}MiB,transfer={transfer}MiB,count={count},period={period},\
                 restart={restart}",
                transfer * u64::from(pieces)
            )
        }
        Kind::Hacc => {
            let steps = draws.of(&[(2, 1), (1, 2)]);
            let particles = (rank_bytes / 38.0 / f64::from(steps)).max(1024.0) as u64;
            format!(
                "hacc:{who},access={access},particles={particles},steps={steps},gap=20,restart={}",
                draws.coin(0.5)
            )
        }
        Kind::Mdtest => {
            let (files, bytes) = (draws.whole(4, 32), draws.log_uniform(1024.0, 4.0 * MIB) as u64);
            format!("mdtest:{who},files={files},write_bytes={bytes},read_bytes={bytes}")
        }
        Kind::Dl => {
            // At least one batch of eight for each rank.
            let samples =
                (draws.log_uniform(512.0, 4096.0) as u64).max(8 * u64::from(nodes * ranks_per_node));
            let storage = draws.of(&[(1, "files"), (1, "packed")]);
            let sample = draws.log_uniform(64.0, 2048.0) as u64;
            let checkpoint = draws.of(&[(1, 0), (1, 256)]);
            format!(
                "dl:{who},storage={storage},samples={samples},sample={sample}KiB,transfer={}KiB,epochs=1,compute=0.05,batch=8,\
                 checkpoint={checkpoint}MiB,checkpoint_every={}",
                sample,
                u32::from(checkpoint > 0)
            )
        }
        Kind::Startup => {
            let image = mebibytes(rank_bytes.clamp(32.0 * MIB, 1024.0 * MIB));
            format!("startup:{who},image={image}MiB,transfer=8MiB")
        }
    }
}

fn striping(stripes: Stripes, system: &System) -> String {
    let targets = system.topology.targets().len() as u32;
    match stripes {
        Stripes::Default => "as-logged".to_string(),
        Stripes::Count(count) => format!("count={}", count.min(targets)),
        Stripes::All => format!("count={targets}"),
        Stripes::SizeRule => "size-rule".to_string(),
        Stripes::Site(site) => format!("pfl={site}"),
    }
}

fn background(others: Others, draws: &mut Draws) -> String {
    match others {
        Others::None => "none".to_string(),
        Others::Uniform => format!("uniform={}", draws.share(0.2, 0.9)),
        Others::Markov => "markov".to_string(),
        Others::MarkovDwell => {
            let dwell = draws.of(&[(1, "0.1"), (1, "1"), (1, "10"), (1, "100")]);
            format!("markov={},dwell={dwell}", draws.share(0.1, 0.7))
        }
    }
}

fn set_trouble(case: &mut Case, trouble: Trouble, system: &System, draws: &mut Draws) {
    let targets = system.topology.targets().len() as u32;
    let servers = system.topology.servers().len() as u32;
    let target = draws.whole(0, targets - 1);
    let speed = draws.share(0.02, 0.5);
    let from = draws.whole(8, 60);
    // Who reads what was there before waits for ever for a target that is down.
    let reads_old = case.generate.iter().any(|spec| {
        let restarts = spec.starts_with("checkpoint:") && spec.contains("restart=true");
        spec.starts_with("dl:") || spec.starts_with("startup:") || restarts
    });
    match trouble {
        Trouble::None => {}
        Trouble::SickKnown => case.sick = Some(format!("{target}:{speed}")),
        Trouble::SickUnknown => {
            case.sick = Some(format!("{target}:{speed}"));
            case.sick_known_after = "never".to_string();
        }
        Trouble::SlowMidway => case.fault.push(format!("slow:{target}:{speed}@{from}")),
        Trouble::Down if !reads_old => case.fault.push(format!("down:{target}")),
        Trouble::Down | Trouble::Rebuild => case.fault.push(format!("rebuild:{target}")),
        Trouble::Failover if servers > 1 => {
            let dead = draws.whole(0, servers - 1);
            case.fault.push(format!("failover:{dead}>{}", (dead + 1) % servers));
        }
        Trouble::Failover => {}
        Trouble::Expand => {
            let new = draws.whole(1, (targets / 4).max(1));
            case.fault.push(format!("expand:{new}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_give_equal_cases_and_all_can_be_built() {
        let mut machines = std::collections::BTreeSet::new();
        for number in 0..200 {
            let case = sample(&DISTRIBUTION, 1, number).expect("a case");
            assert_eq!(sample(&DISTRIBUTION, 1, number).expect("a case"), case);
            let built = case.build().unwrap_or_else(|error| panic!("{}: {error}", case.command()));
            assert_eq!(built.seeds.len() as u64, SEEDS_EACH);
            assert!(built.workload.totals().ranks <= 4 * u64::from(RANKS_MAX), "{}", case.command());
            machines.insert(case.system.clone());
        }
        assert_eq!(machines.len(), 5, "{machines:?}");
        assert_ne!(
            sample(&DISTRIBUTION, 1, 0).expect("a case"),
            sample(&DISTRIBUTION, 2, 0).expect("a case")
        );
    }

    #[test]
    fn weights_are_percent() {
        fn sum<T>(values: Weighted<T>) -> u32 {
            values.iter().map(|(weight, _)| weight).sum()
        }
        let of = &DISTRIBUTION;
        let sums = [
            sum(of.machines),
            sum(of.jobs),
            sum(of.copies),
            sum(of.kinds),
            sum(of.ranks_per_node),
            sum(of.striping),
            sum(of.others),
            sum(of.trouble),
            sum(of.space),
            sum(of.forecast),
            sum(of.start_jitter_s),
        ];
        assert_eq!(sums, [100; 11]);
    }
}

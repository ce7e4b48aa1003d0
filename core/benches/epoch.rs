//! What the controller pays once per interval for the largest systems: 2,016 targets on 252 servers.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench may unwrap; criterion's macros make undocumented items"
)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use tarazu_core::control::ControlConfig;
use tarazu_core::demand::Demand;
use tarazu_core::planner::{Parts, TarazuPlanner};
use tarazu_core::policy::Planner;
use tarazu_core::publish::encode_plan;
use tarazu_core::ring::{RingRequest, build};
use tarazu_core::rng::stream;
use tarazu_core::sample::{FileProfile, JobStart};
use tarazu_core::topology::{ServerSpec, TargetSpec, Topology};
use tarazu_core::view::{Health, View};
use tarazu_layout::{Bytes, FsId, JobId, OstIndex, ServerId, TargetId, Time};
use tarazu_table::{FsIdentity, JobKey};

const TARGETS: u32 = 2016;

/// Servers × targets of each: many small servers, fewer of more targets, and one for all.
const SHAPES: [(u32, u32); 4] = [(252, 8), (56, 36), (7, 288), (1, TARGETS)];

/// Five rings, as one plan has them: one *now* for each of four classes, and one *steady*.
fn rings(criterion: &mut Criterion) {
    let varied = |class: u32| (0..TARGETS).map(|target| 300 + (target * 7919 + class * 131) % 1500).collect();
    let equal = vec![1000; TARGETS as usize];
    let moderate: Vec<Vec<u32>> = (0..4).map(varied).chain([equal.clone()]).collect();
    // A few targets that would take everything: the cap is lowered step by step, which costs most.
    let heavy = |class: u32| {
        let many = [1, 4, 16, 60][class as usize];
        (0..TARGETS).map(|target| if target < many { u32::MAX } else { 1 }).collect()
    };
    let extreme: Vec<Vec<u32>> = (0..4).map(heavy).chain([equal]).collect();
    for (count, per_server) in SHAPES {
        let servers: Vec<ServerId> = (0..TARGETS).map(|target| ServerId(target / per_server)).collect();
        for (name, weights) in [("varied", &moderate), ("extreme", &extreme)] {
            criterion.bench_function(&format!("five_rings_{count}x{per_server}_{name}"), |bench| {
                bench.iter(|| {
                    let request =
                        |weights| RingRequest { weights, servers: &servers, stripes: 8, order: &[] };
                    let rings = weights.iter().map(|weights| build(black_box(&request(weights))));
                    rings.map(|ring| ring.unwrap().tickets.len()).sum::<usize>()
                });
            });
        }
    }
}

/// A busy machine: 200 jobs with files of all classes, placed work everywhere, some targets slow.
fn busy_view() -> View {
    let target = |number: u32| TargetSpec {
        ost: OstIndex(number),
        server: ServerId(number / 8),
        read_bps: 1e9,
        write_bps: 1e9,
        capacity: Bytes(1 << 46),
    };
    let server = ServerSpec { link_bps: 8e9, enclosure: None };
    let topology = Topology::new((0..TARGETS).map(target).collect(), vec![server; 252]).unwrap();
    let mut view = View::new(topology);
    for number in 0..TARGETS {
        let speed = if number % 97 == 0 { 0.05 } else { 0.6 + f64::from(number % 40) / 100.0 };
        view.targets[number as usize].health = Health { read: speed, write: speed };
        let bytes = Bytes(u64::from(number * 7919 % 1000) << 24);
        view.ledger.place(JobId(u64::from(number % 200)), TargetId(number), bytes, Time(1));
    }
    for number in 0..200u64 {
        let profile = FileProfile {
            key: JobKey(number),
            files_per_burst: 64 << (number % 6),
            files_per_process: 1,
            stripes_per_burst: (64 << (number % 6)) << (number % 4),
            expected: Bytes(1 << (20 + number % 18)),
            placed: Bytes(1 << (20 + number % 18)),
            stripe_count: 1 << (number % 4),
            stripe_size: 1 << 20,
            confidence: 100,
        };
        view.take_job_start(JobStart { job: JobId(number), world: 1024, files: vec![profile] });
    }
    view
}

/// The whole epoch: plan, rings, gains, encoded table.
fn epoch(criterion: &mut Criterion) {
    let view = busy_view();
    let config = ControlConfig { fs: FsIdentity::new(FsId(0), "bench"), interval: Duration::from_secs(5) };
    let mut planner = TarazuPlanner {
        fresh_within: Duration::from_secs(15),
        now: Time(2),
        lead: Duration::from_secs(5),
        layout_cost: Duration::from_micros(300),
        layout_service: Duration::from_micros(20),
        always: false,
        parts: Parts::ALL,
    };
    let mut rng = stream(1, "bench", 0);
    criterion.bench_function("epoch_2016_targets_200_jobs", |bench| {
        bench.iter(|| {
            let demand = Demand::of_running_jobs(black_box(&view));
            let plan = planner.plan(&view, &demand, None, &mut rng);
            encode_plan(&plan, &view.topology, &config).unwrap().len()
        });
    });
}

criterion_group!(benches, rings, epoch);
criterion_main!(benches);

//! Bytes of deltas between tables that the planner makes, for a small and for one of the largest systems.

use std::time::Duration;

use tarazu_core::control::ControlConfig;
use tarazu_core::demand::Demand;
use tarazu_core::planner::{Parts, TarazuPlanner};
use tarazu_core::policy::Planner;
use tarazu_core::publish::encode_plan;
use tarazu_core::rng::stream;
use tarazu_core::sample::{FileProfile, JobStart};
use tarazu_core::topology::{ServerSpec, TargetSpec, Topology};
use tarazu_core::view::{Health, View};
use tarazu_layout::{Bytes, FsId, JobId, OstIndex, ServerId, TargetId, Time};
use tarazu_table::delta::{apply, encode};
use tarazu_table::{FsIdentity, JobKey};

fn view(targets: u32, per_server: u32) -> View {
    let target = |number: u32| TargetSpec {
        ost: OstIndex(number),
        server: ServerId(number / per_server),
        read_bps: 1e9,
        write_bps: 1e9,
        capacity: Bytes(1 << 46),
    };
    let servers = targets.div_ceil(per_server) as usize;
    let server = ServerSpec { link_bps: 8e9, enclosure: None };
    let topology = Topology::new((0..targets).map(target).collect(), vec![server; servers]);
    let mut view = View::new(topology.expect("a valid topology"));
    for number in 0..targets {
        view.targets[number as usize].health = Health { read: 1.0, write: 1.0 };
        let bytes = Bytes(u64::from(number * 7919 % 1000) << 24);
        view.ledger.place(JobId(u64::from(number % 200)), TargetId(number), bytes, Time(1));
    }
    for number in 0..200 {
        view.take_job_start(start(number));
    }
    view
}

fn start(number: u64) -> JobStart {
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
    JobStart { job: JobId(number), world: 1024, files: vec![profile] }
}

fn table(view: &View, seq: u64) -> Vec<u8> {
    let config = ControlConfig { fs: FsIdentity::new(FsId(0), "scratch"), interval: Duration::from_secs(5) };
    let mut planner = TarazuPlanner {
        fresh_within: Duration::from_secs(15),
        now: Time(2),
        lead: Duration::from_secs(5),
        layout_cost: Duration::from_micros(300),
        layout_service: Duration::from_micros(20),
        always: false,
        parts: Parts::ALL,
    };
    let demand = Demand::of_running_jobs(view);
    let mut plan = planner.plan(view, &demand, None, &mut stream(1, "deltas", 0));
    plan.order.seq = seq;
    encode_plan(&plan, &view.topology, &config).expect("a plan within the table's limits")
}

/// Bytes of the whole table and of the delta to it, which leads there.
fn bytes(base: &[u8], new: &[u8]) -> (usize, usize) {
    let delta = encode(base, new);
    assert_eq!(apply(base, &delta).as_deref(), Ok(new));
    (new.len(), delta.len())
}

#[test]
fn deltas_of_planned_tables_are_smaller_than_the_tables() {
    for (targets, per_server) in [(35, 5), (2016, 8)] {
        let first = view(targets, per_server);
        let base = table(&first, 1);
        let order_only = bytes(&base, &table(&first, 2));

        let mut jobs = first.clone();
        jobs.take_job_end(JobId(7));
        jobs.take_job_start(start(300));
        let jobs = bytes(&base, &table(&jobs, 2));

        let mut loaded = first.clone();
        for target in (0..targets).step_by(100) {
            loaded.targets[target as usize].health = Health { read: 0.5, write: 0.5 };
        }
        let one_percent = bytes(&base, &table(&loaded, 2));

        let mut other = first.clone();
        for target in 0..targets {
            let speed = 0.3 + f64::from(target * 7919 % 700) / 1000.0;
            other.targets[target as usize].health = Health { read: speed, write: speed };
        }
        let everything = bytes(&base, &table(&other, 2));

        eprintln!(
            "{targets} targets, 200 jobs, bytes of (table, delta): order {order_only:?}, a job went and one came {jobs:?}, \
             1 % of targets changed {one_percent:?}, all changed {everything:?}"
        );
        assert!(order_only.1 < 100, "{order_only:?}");
        assert!(jobs.1 <= jobs.0 && one_percent.1 <= one_percent.0, "{jobs:?} {one_percent:?}");
        assert!(everything.1 <= everything.0, "{everything:?}");
    }
}

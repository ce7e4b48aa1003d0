//! What the replay tests share: small systems of round numbers, and workloads written down by hand.
#![allow(dead_code)]

use std::time::Duration;

use tarazu_layout::{JobId, NodeId, Time};
use tarazu_sim::{BUNDLED, Metric, Outcome, Policy, Scenario, System, run};
use tarazu_workload::{Action, File, FileId, Job, Op, Rank, RankId, Workload};

pub(crate) const MIB: u64 = 1 << 20;

/// Servers and targets of round numbers, and metadata that costs nothing unless a test says so.
pub(crate) fn system(changes: &[&str]) -> System {
    let quiet = [
        "servers.count=2",
        "servers.targets_each=2",
        "servers.link_MiBps=1000",
        "targets.write_MiBps=100",
        "targets.read_MiBps=200",
        "nodes.nic_MiBps=1000",
        "metadata.open_ms=0",
        "metadata.layout_ms=0",
        "metadata.creates_per_s=1e9",
        "metadata.precreates_per_s=1e9",
        "striping.default_size_KiB=1024",
    ];
    let changes: Vec<String> = quiet.iter().chain(changes).map(ToString::to_string).collect();
    System::parse_with(BUNDLED, "the test's system", &changes).expect("a valid system")
}

pub(crate) fn scenario() -> Scenario {
    Scenario { start_jitter_s: 0.0, ..Scenario::default() }
}

pub(crate) fn op(think_s: f64, action: Action) -> Op {
    Op { start: Time::ZERO, think: Duration::from_secs_f64(think_s), action }
}

pub(crate) fn create(file: u32) -> Op {
    op(0.0, Action::Create { file: FileId(file) })
}

pub(crate) fn write(file: u32, offset: u64, bytes: u64) -> Op {
    op(0.0, Action::Write { file: FileId(file), offset, bytes })
}

pub(crate) fn read(file: u32, bytes: u64) -> Op {
    op(0.0, Action::Read { file: FileId(file), offset: 0, bytes })
}

/// One job whose ranks run on nodes of their own and are all in group 0.
pub(crate) fn job(ranks: Vec<Vec<Op>>) -> Job {
    let group = (0..ranks.len() as u32).map(RankId).collect();
    let rank = |(number, ops): (usize, Vec<Op>)| Rank { node: NodeId(number as u32), ops };
    Job {
        id: JobId(1),
        name: "app".into(),
        uid: 1000,
        start: Time::ZERO,
        ranks: ranks.into_iter().enumerate().map(rank).collect(),
        groups: vec![group],
    }
}

pub(crate) fn files(count: u32) -> Vec<File> {
    (0..count).map(|number| File { name: format!("f{number}"), exists: false, logged: None }).collect()
}

pub(crate) fn outcome(workload: &Workload, system: &System, scenario: &Scenario) -> Outcome {
    run(workload, system, scenario, Policy::LustreRr, 1).expect("a run")
}

/// Times are kept in whole nanoseconds, flows in double precision.
pub(crate) fn close(outcome: &Outcome, metric: Metric, expected: f64) {
    let value = outcome.value(metric).expect("a value");
    assert!((value - expected).abs() < 1e-6, "{metric:?} is {value}, expected {expected}");
}

//! How clients share targets: windows, write-back caches and what sharing costs, against times computed by hand.

mod common;

use common::*;
use tarazu_layout::{JobId, NodeId, TargetId};
use tarazu_sim::{Metric, Policy, Sick, Striping, run};
use tarazu_workload::{Action, FileId, Workload};

/// One server with one target of 100 MiB/s.
const ONE_TARGET: [&str; 2] = ["servers.count=1", "servers.targets_each=1"];

fn with(changes: &[&str]) -> tarazu_sim::System {
    system(&[ONE_TARGET.as_slice(), changes].concat())
}

/// A job of one rank for each list, all on one node.
fn job_on(id: u64, node: u32, ranks: Vec<Vec<tarazu_workload::Op>>) -> tarazu_workload::Job {
    let mut job = job(ranks);
    job.id = JobId(id);
    job.ranks.iter_mut().for_each(|rank| rank.node = NodeId(node));
    job
}

#[test]
fn a_node_is_one_party_at_a_target() {
    // Three files of 96 MiB; two ranks share node 0, the third has node 1 for itself.
    let ops = |file| vec![create(file), write(file, 0, 96 * MIB)];
    let workload = Workload {
        jobs: vec![job_on(1, 0, vec![ops(0), ops(1)]), job_on(2, 1, vec![ops(2)])],
        files: files(3),
    };
    // Job 2 alone: node 1 has half the target until it is through, or a third without windows.
    let second_s = |changes: &[&str]| {
        let system = with(changes);
        let outcome = run(&workload, &system, &scenario(), Policy::LustreRr, 1).expect("a run");
        let mean = outcome.value(Metric::JobIo).expect("a value");
        // All bytes are through after 2.88 s, which is when job 1 ends.
        2.0 * mean - 2.88
    };
    assert!((second_s(&["client.window_MiB=32"]) - 1.92).abs() < 1e-6);
    assert!((second_s(&["client.window_MiB=0"]) - 2.88).abs() < 1e-6);
}

#[test]
fn the_slowest_stripe_holds_up_the_others() {
    // A file over both targets, one of which has a quarter of its speed; another node's file on one target.
    let striped = vec![create(0), write(0, 0, 400 * MIB)];
    let mut single = vec![create(1), write(1, 0, 100 * MIB)];
    single[0].think = std::time::Duration::from_millis(1);
    let mut workload =
        Workload { jobs: vec![job_on(1, 0, vec![striped]), job_on(2, 1, vec![single])], files: files(2) };
    workload.files[0].logged = Some(tarazu_layout::Layout::plain(2, MIB));
    let sick = Some(Sick { target: TargetId(1), speed: 0.25 });
    // The file is on either target; the seed with the best time has it on the healthy one.
    let best_s = |window: &str| {
        let system = system(&["servers.count=1", "servers.targets_each=2", window]);
        let scenario = tarazu_sim::Scenario { sick, striping: Striping::AsLogged, ..scenario() };
        let second = |seed| {
            let outcome = run(&workload, &system, &scenario, Policy::LustreRr, seed).expect("a run");
            // The striped job ends last, when the sick target is through.
            let striped_s = outcome.value(Metric::Makespan).expect("a value");
            2.0 * outcome.value(Metric::JobIo).expect("a value") - striped_s
        };
        (1..9).map(second).fold(f64::INFINITY, f64::min)
    };
    // Apart: half of the healthy target for 2 s. Together: after each window the healthy stripe waits.
    let (apart_s, together_s) = (best_s("client.window_MiB=0"), best_s("client.window_MiB=32"));
    assert!((apart_s - 2.0).abs() < 0.01, "{apart_s}");
    assert!((together_s - 1.36).abs() < 0.01, "{together_s}");
}

#[test]
fn a_cache_takes_writes_and_fsync_waits_for_the_disk() {
    let fsync = op(0.0, Action::Fsync { file: FileId(0) });
    let write_s = |bytes: u64, ops: &[tarazu_workload::Op], changes: &[&str]| {
        let mut all = vec![create(0), write(0, 0, bytes)];
        all.extend_from_slice(ops);
        let workload = Workload { jobs: vec![job(vec![all])], files: files(1) };
        outcome(&workload, &with(changes), &scenario()).value(Metric::Makespan).expect("a value")
    };
    let cache = ["client.dirty_MiB=64"];
    // 50 MiB fit in; 128 MiB wait until two windows have left.
    assert!(write_s(50 * MIB, &[], &cache) < 1e-6);
    assert!((write_s(128 * MIB, &[], &cache) - 0.64).abs() < 1e-6);
    assert!((write_s(50 * MIB, &[fsync], &cache) - 0.5).abs() < 1e-6);
    assert!((write_s(128 * MIB, &[fsync], &cache) - 1.28).abs() < 1e-6);
    // Copying takes its time.
    let slow = ["client.dirty_MiB=64", "client.memory_MiBps=200"];
    assert!((write_s(50 * MIB, &[], &slow) - 0.25).abs() < 1e-6);
    // Without a cache nothing is left to wait for.
    assert!((write_s(50 * MIB, &[fsync], &[]) - 0.5).abs() < 1e-6);
}

#[test]
fn shared_files_and_crowds_cost_disk_time() {
    let one = |file, offset| vec![create(file), write(file, offset, 50 * MIB)];
    let makespan = |shared: bool, changes: &[&str]| {
        let ranks = (0..4).map(|rank: u32| one(if shared { 0 } else { rank }, u64::from(rank) * 50 * MIB));
        let workload = Workload { jobs: vec![job(ranks.collect())], files: files(4) };
        outcome(&workload, &with(changes), &scenario()).value(Metric::Makespan).expect("a value")
    };
    assert!((makespan(true, &[]) - 2.0).abs() < 1e-6);
    // Four nodes at once to the power of a half, but for the first windows, which begin one by one.
    let locks = ["disk.shared_write_exponent=0.5", "client.window_MiB=1"];
    assert!((makespan(true, &locks) - 4.0).abs() < 0.05, "{}", makespan(true, &locks));
    assert!((makespan(false, &locks) - 2.0).abs() < 1e-6);
    // Streams 1 to 4 begin with 0, 1, 1.58 and 2 doublings; each costs a tenth.
    let crowd = ["disk.streams_loss=0.1", "client.window_MiB=0"];
    let expected = 0.5 * (4.0 + 0.1 * (0.0 + 1.0 + 3f64.log2() + 2.0));
    assert!((makespan(false, &crowd) - expected).abs() < 1e-6, "{}", makespan(false, &crowd));
}

#[test]
fn only_nodes_that_are_there_at_once_and_do_the_same_share_a_file() {
    // Node 0 writes a file; node 1 reads it long after: neither costs the other anything.
    let reader = vec![op(100.0, Action::Open { file: FileId(0) }), read(0, 50 * MIB)];
    let ranks = vec![vec![create(0), write(0, 0, 50 * MIB)], reader];
    let workload = Workload { jobs: vec![job(ranks)], files: files(1) };
    let costs = ["disk.shared_write_exponent=0.5", "disk.shared_read_exponent=0.5"];
    let makespan = |changes: &[&str]| {
        outcome(&workload, &with(changes), &scenario()).value(Metric::Makespan).expect("a value")
    };
    assert!((makespan(&costs) - makespan(&[])).abs() < 1e-9);
}

#[test]
fn what_a_cache_writes_back_keeps_its_channel_while_others_read() {
    // Two nodes write 200 MiB each into their caches for one target; node 0 reads tiny pieces of another file besides.
    let writes =
        |file| vec![create(file), write(file, 0, 200 * MIB), op(0.0, Action::Fsync { file: FileId(file) })];
    let reads: Vec<_> = std::iter::once(op(0.0, Action::Open { file: FileId(2) }))
        .chain((0..40).map(|_| read(2, 4096)))
        .collect();
    let mut workload = Workload {
        jobs: vec![job_on(1, 0, vec![writes(0), reads]), job_on(2, 1, vec![writes(1)])],
        files: files(3),
    };
    workload.files[2].exists = true;
    let system = with(&["client.window_MiB=0", "client.dirty_MiB=64"]);
    let outcome = run(&workload, &system, &scenario(), Policy::LustreRr, 1).expect("a run");
    // Half of 100 MiB/s each: both end after 4 s, and so does the mean of both jobs.
    assert!((outcome.value(Metric::JobIo).expect("a value") - 4.0).abs() < 0.05, "{outcome:?}");
}

#[test]
fn stripes_longer_than_a_window_are_filled_one_after_the_other() {
    let mut workload =
        Workload { jobs: vec![job(vec![vec![create(0), write(0, 0, 400 * MIB)]])], files: files(1) };
    workload.files[0].logged = Some(tarazu_layout::Layout::plain(2, 100 * MIB));
    let makespan = |window: &str| {
        let system = system(&["servers.count=1", "servers.targets_each=2", window]);
        outcome(&workload, &system, &scenario()).value(Metric::Makespan).expect("a value")
    };
    assert!((makespan("client.window_MiB=32") - 4.0).abs() < 1e-6);
    assert!((makespan("client.window_MiB=0") - 2.0).abs() < 1e-6);
}

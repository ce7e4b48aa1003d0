//! The replay against runs whose result can be computed by hand.

use std::time::Duration;

use tarazu_layout::{Extent, JobId, Layout, NodeId, Time};
use tarazu_sim::{
    BUNDLED, Background, Forecast, Metric, Outcome, Policy, Scenario, Sick, Striping, System, Timing, run,
};
use tarazu_workload::{Action, File, FileId, GroupId, Job, Op, Rank, RankId, Workload};

const MIB: u64 = 1 << 20;

/// Servers and targets of round numbers, and metadata that costs nothing unless a test says so.
fn system(changes: &[&str]) -> System {
    let quiet = [
        "servers.count=2",
        "servers.targets_each=2",
        "servers.link_MiBps=1000",
        "targets.write_MiBps=100",
        "targets.read_MiBps=200",
        "nodes.nic_MiBps=1000",
        "metadata.open_ms=0",
        "metadata.layout_ms=0",
        "striping.default_size_KiB=1024",
    ];
    let changes: Vec<String> = quiet.iter().chain(changes).map(ToString::to_string).collect();
    System::parse_with(BUNDLED, "the test's system", &changes).expect("a valid system")
}

fn scenario() -> Scenario {
    Scenario { start_jitter_s: 0.0, ..Scenario::default() }
}

fn op(think_s: f64, action: Action) -> Op {
    Op { start: Time::ZERO, think: Duration::from_secs_f64(think_s), action }
}

fn create(file: u32) -> Op {
    op(0.0, Action::Create { file: FileId(file) })
}

fn write(file: u32, offset: u64, bytes: u64) -> Op {
    op(0.0, Action::Write { file: FileId(file), offset, bytes })
}

fn read(file: u32, bytes: u64) -> Op {
    op(0.0, Action::Read { file: FileId(file), offset: 0, bytes })
}

/// One job whose ranks run on nodes of their own and are all in group 0.
fn job(ranks: Vec<Vec<Op>>) -> Job {
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

fn files(count: u32) -> Vec<File> {
    (0..count).map(|number| File { name: format!("f{number}"), exists: false, logged: None }).collect()
}

fn outcome(workload: &Workload, system: &System, scenario: &Scenario) -> Outcome {
    run(workload, system, scenario, Policy::LustreRr, 1).expect("a run")
}

/// Times are kept in whole nanoseconds, flows in double precision.
fn close(outcome: &Outcome, metric: Metric, expected: f64) {
    let value = outcome.value(metric).expect("a value");
    assert!((value - expected).abs() < 1e-6, "{metric:?} is {value}, expected {expected}");
}

#[test]
fn one_writer_has_its_targets_speed_and_a_reader_the_disks_read_speed() {
    let ops = vec![create(0), write(0, 0, 100 * MIB), read(0, 100 * MIB)];
    let workload = Workload { jobs: vec![job(vec![ops])], files: files(1) };
    let outcome = outcome(&workload, &system(&[]), &scenario());
    close(&outcome, Metric::Makespan, 1.5);
    close(&outcome, Metric::WriteBandwidth, 100.0);
    close(&outcome, Metric::ReadBandwidth, 200.0);
    close(&outcome, Metric::StretchP50, 1.0);
}

#[test]
fn stripes_work_side_by_side() {
    let ops = vec![create(0), write(0, 0, 100 * MIB)];
    let workload = Workload { jobs: vec![job(vec![ops])], files: files(1) };
    let striped = Scenario { striping: Striping::Count(4), ..scenario() };
    close(&outcome(&workload, &system(&[]), &striped), Metric::Makespan, 0.25);
    // A narrow node is the bottleneck then.
    close(&outcome(&workload, &system(&["nodes.nic_MiBps=200"]), &striped), Metric::Makespan, 0.5);
    // A link of 50 MiB/s for two targets each moves half of the bytes.
    close(&outcome(&workload, &system(&["servers.link_MiBps=50"]), &striped), Metric::Makespan, 1.0);
}

#[test]
fn a_barrier_makes_all_wait_for_the_slowest() {
    let sync = op(0.0, Action::Sync { group: GroupId(0) });
    let ranks = (0..4).map(|rank| {
        let bytes = if rank == 2 { 300 * MIB } else { 100 * MIB };
        vec![create(rank), write(rank, 0, bytes), sync, write(rank, bytes, 100 * MIB)]
    });
    let workload = Workload { jobs: vec![job(ranks.collect())], files: files(4) };
    let outcome = outcome(&workload, &system(&[]), &scenario());
    close(&outcome, Metric::Makespan, 4.0);
    // Waiting is not I/O, but one rank or another is writing all the time.
    close(&outcome, Metric::JobIo, 4.0);
    close(&outcome, Metric::FileIoP50, 2.0);
}

#[test]
fn think_time_passes_between_operations() {
    let ops = vec![create(0), write(0, 0, 100 * MIB), op(7.0, write(0, 0, 100 * MIB).action)];
    let workload = Workload { jobs: vec![job(vec![ops])], files: files(1) };
    let outcome = outcome(&workload, &system(&[]), &scenario());
    close(&outcome, Metric::Makespan, 9.0);
    close(&outcome, Metric::JobIo, 2.0);
}

#[test]
fn open_loop_starts_operations_at_their_recorded_times() {
    let at = |seconds: f64, op: Op| Op { start: Time::from_secs_f64(seconds), ..op };
    let ops = vec![at(0.0, create(0)), at(0.0, write(0, 0, 200 * MIB)), at(1.0, write(0, 0, 100 * MIB))];
    let workload = Workload { jobs: vec![job(vec![ops])], files: files(1) };
    let open = Scenario { timing: Timing::Open, ..scenario() };
    // Both writes share the one target from second 1 on: 300 MiB in 3 s, the second ends with the first.
    let outcome = outcome(&workload, &system(&[]), &open);
    close(&outcome, Metric::Makespan, 3.0);
    close(&outcome, Metric::JobIo, 3.0);
}

#[test]
fn metadata_costs_its_time_and_a_layout_its_own() {
    let ops = vec![create(0), write(0, 0, 100 * MIB)];
    let workload = Workload { jobs: vec![job(vec![ops])], files: files(1) };
    let system = system(&["metadata.open_ms=500", "metadata.layout_ms=250"]);
    close(&outcome(&workload, &system, &scenario()), Metric::Makespan, 1.5);
    let steered = run(&workload, &system, &scenario(), Policy::TarazuCentral, 1).expect("a run");
    close(&steered, Metric::Makespan, 1.75);
    assert_eq!((steered.files_made, steered.files_steered), (1, 1));
    assert_eq!(steered.steered_bytes, 100 * MIB);
}

#[test]
fn later_components_are_placed_by_the_file_system() {
    let mut logged: Layout = Layout::plain(1, MIB);
    logged.components[0].extent = Extent { start: 0, end: Some(50 * MIB) };
    let mut rest = Layout::plain(2, MIB).components.remove(0);
    rest.extent = Extent { start: 50 * MIB, end: None };
    logged.components.push(rest);
    let ops = vec![create(0), write(0, 0, 50 * MIB), write(0, 50 * MIB, 100 * MIB)];
    let file = File { name: "pfl".into(), exists: false, logged: Some(logged) };
    let workload = Workload { jobs: vec![job(vec![ops])], files: vec![file] };
    let steered = run(&workload, &system(&[]), &scenario(), Policy::TarazuCentral, 1).expect("a run");
    // 50 MiB on one target, then 100 MiB on two.
    close(&steered, Metric::Makespan, 1.0);
    assert_eq!((steered.steered_bytes, steered.written_bytes), (50 * MIB, 150 * MIB));
}

#[test]
fn an_existing_file_is_read_where_the_past_put_it() {
    let file = File { name: "input".into(), exists: true, logged: None };
    let open = op(0.0, Action::Open { file: FileId(0) });
    let workload = Workload { jobs: vec![job(vec![vec![open, read(0, 200 * MIB)]])], files: vec![file] };
    for policy in Policy::ALL {
        let outcome = run(&workload, &system(&[]), &scenario(), policy, 1).expect("a run");
        close(&outcome, Metric::Makespan, 1.0);
        assert_eq!((outcome.files_made, outcome.files_steered), (0, 0));
    }
}

#[test]
fn others_take_their_share_and_a_sick_target_is_slow() {
    let ops = vec![create(0), write(0, 0, 100 * MIB)];
    let workload = Workload { jobs: vec![job(vec![ops])], files: files(1) };
    let one = system(&["servers.count=1", "servers.targets_each=1"]);
    let busy = Scenario { background: Background::Constant(0.5), ..scenario() };
    let both = Scenario { sick: Some("0:0.1".parse::<Sick>().expect("a target")), ..busy };
    close(&outcome(&workload, &one, &busy), Metric::Makespan, 2.0);
    close(&outcome(&workload, &one, &both), Metric::Makespan, 20.0);
    // Stretch counts against the empty, healthy system.
    close(&outcome(&workload, &one, &both), Metric::StretchP50, 20.0);
}

#[test]
fn an_unknown_job_is_left_alone_with_a_reason() {
    let ops = vec![create(0), write(0, 0, 100 * MIB)];
    let workload = Workload { jobs: vec![job(vec![ops])], files: files(1) };
    let unknown = Scenario { forecast: Forecast::Nothing, ..scenario() };
    let outcome = run(&workload, &system(&[]), &unknown, Policy::Tarazu, 1).expect("a run");
    assert_eq!(outcome.files_steered, 0);
    assert_eq!(outcome.refusals.into_iter().collect::<Vec<_>>(), [("unknown_job", 1)]);
    // Without lead time the first table is not there yet when the job creates its file.
    let sudden = run(&workload, &system(&["control.launch_s=0"]), &scenario(), Policy::Tarazu, 1);
    let refusals = sudden.expect("a run").refusals;
    assert_eq!(refusals.into_iter().collect::<Vec<_>>(), [("no_table", 1)]);
}

#[test]
fn one_job_falls_on_the_ring_as_evenly_as_round_robin() {
    let ranks = (0..8).map(|rank| vec![create(rank), write(rank, 0, 100 * MIB)]).collect();
    let workload = Workload { jobs: vec![job(ranks)], files: files(8) };
    let always = Scenario { steer_always: true, ..scenario() };
    for seed in 1..20 {
        let steered = run(&workload, &system(&[]), &always, Policy::Tarazu, seed).expect("a run");
        assert_eq!(steered.files_steered, 8, "{:?}", steered.refusals);
        close(&steered, Metric::Makespan, 2.0);
        close(&steered, Metric::StoredCov, 0.0);
    }
}

#[test]
fn the_sick_target_is_avoided_once_it_is_known() {
    let sync = op(30.0, Action::Sync { group: GroupId(0) });
    let ranks = (0..4).map(|rank| vec![sync, create(rank), write(rank, 0, 100 * MIB)]).collect();
    let workload = Workload { jobs: vec![job(ranks)], files: files(4) };
    let sick = Some("1:0.05".parse::<Sick>().expect("a target"));
    let told = Scenario { sick, ..scenario() };
    let never = Scenario { sick_known_after: None, ..told };
    let makespan = |policy, scenario: &Scenario| {
        let outcome = run(&workload, &system(&["metadata.layout_ms=0.3"]), scenario, policy, 3);
        outcome.expect("a run").value(Metric::Makespan).expect("a value")
    };
    assert!((makespan(Policy::LustreRr, &told) - 20.0).abs() < 1e-6);
    assert!((makespan(Policy::Tarazu, &never) - 20.0).abs() < 1e-6);
    // Four files on three targets: two of them share one.
    assert!(makespan(Policy::Tarazu, &told) < 2.01);
    assert!(makespan(Policy::TarazuCentral, &told) < 2.01);
}

#[test]
fn a_month_without_io_is_passed_over() {
    let month_s = 30.0 * 86_400.0;
    let ops = vec![create(0), write(0, 0, 100 * MIB), op(month_s, write(0, 0, 100 * MIB).action)];
    let workload = Workload { jobs: vec![job(vec![ops])], files: files(1) };
    let outcome = run(&workload, &system(&[]), &scenario(), Policy::Tarazu, 1).expect("a run");
    close(&outcome, Metric::Makespan, month_s + 2.0);
    assert!(outcome.plans < 100, "{} plans", outcome.plans);
}

#[test]
fn a_run_without_end_is_an_error() {
    let ops = vec![create(0), write(0, 0, 1 << 60)];
    let workload = Workload { jobs: vec![job(vec![ops])], files: files(1) };
    let slow = system(&["targets.write_MiBps=0.01", "targets.read_MiBps=0.01"]);
    let error = run(&workload, &slow, &scenario(), Policy::LustreRr, 1).expect_err("too long");
    assert!(error.to_string().contains("simulated seconds"), "{error}");
}

#[test]
fn a_file_written_without_a_create_is_the_file_systems() {
    let workload = Workload { jobs: vec![job(vec![vec![write(0, 0, 100 * MIB)]])], files: files(1) };
    let outcome = run(&workload, &system(&[]), &scenario(), Policy::Tarazu, 1).expect("a run");
    assert_eq!((outcome.files_made, outcome.files_steered), (1, 0));
    assert_eq!(outcome.refusals.into_iter().collect::<Vec<_>>(), [("create_unseen", 1)]);
}

#[test]
fn bytes_on_no_target_take_no_time_and_count_in_no_bandwidth() {
    let ops = vec![create(0), write(0, 0, 100 * MIB), read(1, 500 * MIB)];
    let workload = Workload { jobs: vec![job(vec![ops])], files: files(2) };
    let outcome = outcome(&workload, &system(&[]), &scenario());
    close(&outcome, Metric::WriteBandwidth, 100.0);
    assert_eq!(outcome.value(Metric::ReadBandwidth), None);
    assert_eq!((outcome.read_bytes, outcome.off_target_bytes), (0, 500 * MIB));
}

#[test]
fn stretch_shows_what_a_layout_costs() {
    let workload = Workload { jobs: vec![job(vec![vec![create(0)]])], files: files(1) };
    let system = system(&["metadata.open_ms=100", "metadata.layout_ms=50"]);
    let steered = run(&workload, &system, &scenario(), Policy::TarazuCentral, 1).expect("a run");
    close(&steered, Metric::StretchP50, 1.5);
}

#[test]
fn a_striping_that_loses_a_target_is_not_steered() {
    let ops = vec![op(60.0, create(0).action), write(0, 0, 400 * MIB)];
    let workload = Workload { jobs: vec![job(vec![ops])], files: files(1) };
    let sick = Some("1:0.05".parse::<Sick>().expect("a target"));
    let wide = Scenario { sick, striping: Striping::Count(4), ..scenario() };
    let outcome = run(&workload, &system(&[]), &wide, Policy::Tarazu, 1).expect("a run");
    assert_eq!(outcome.refusals.into_iter().collect::<Vec<_>>(), [("too_few_targets", 1)]);
}

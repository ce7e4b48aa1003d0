//! The replay against runs whose result can be computed by hand.

use tarazu_layout::{Extent, Layout, Time};
use tarazu_sim::{Background, Forecast, Metric, Policy, Scenario, Sick, Striping, Timing, run};
use tarazu_workload::{Action, File, FileId, GroupId, Op, Workload};

mod common;

use common::*;

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
    let both = Scenario { sick: Some("0:0.1".parse::<Sick>().expect("a target")), ..busy.clone() };
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
    let never = Scenario { sick_known_after: None, ..told.clone() };
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

#[test]
fn creates_wait_for_each_other_at_one_metadata_server() {
    // Ten ranks make a file each at one moment: the last waits for 10 / (100 / s).
    let ranks = (0..10).map(|file| vec![create(file)]).collect();
    let workload = Workload { jobs: vec![job(ranks)], files: files(10) };
    let busy = system(&["metadata.creates_per_s=100"]);
    close(&outcome(&workload, &busy, &scenario()), Metric::Makespan, 0.1);
    // Files of one folder stay on one server; two folders may be on two.
    let two = system(&["metadata.creates_per_s=100", "metadata.servers=2"]);
    close(&outcome(&workload, &two, &scenario()), Metric::Makespan, 0.1);
    let mut spread = workload;
    for (number, file) in spread.files.iter_mut().enumerate() {
        file.name = format!("/{number}/f");
    }
    let makespan = outcome(&spread, &two, &scenario()).value(Metric::Makespan).expect("a value");
    assert!((0.05..0.1).contains(&makespan), "{makespan}");
}

#[test]
fn weighted_allocation_fills_the_emptier_targets_and_round_robin_does_not() {
    // Targets between 10 % and 90 % full: weighted mode gives the emptier ones more files.
    // One after the other, so that ready objects never run out.
    let create = |file: u32| op(f64::from(file) * 0.01, Action::Create { file: FileId(file) });
    let ranks = (0..400).map(|file| vec![create(file), write(file, 0, MIB)]).collect();
    let workload = Workload { jobs: vec![job(ranks)], files: files(400) };
    let uneven = system(&["servers.count=4", "targets.filled=0.5", "targets.filled_spread=0.4"]);
    let cov = |policy| {
        let outcome = run(&workload, &uneven, &scenario(), policy, 1).expect("a run");
        outcome.value(Metric::StoredCov).expect("a value")
    };
    assert!(cov(Policy::LustreRr) < 0.01);
    for policy in [Policy::LustreQos, Policy::LustreQos215, Policy::LustreQos212] {
        assert!(cov(policy) > 0.2, "{policy} {}", cov(policy));
    }
    // Alike space: exactly round robin.
    let even = system(&["servers.count=4"]);
    let stored = |policy| run(&workload, &even, &scenario(), policy, 1).expect("a run").values;
    assert_eq!(stored(Policy::LustreQos), stored(Policy::LustreRr));
}

#[test]
fn published_rules_run() {
    let ranks = (0..64).map(|file| vec![create(file), write(file, 0, 8 * MIB)]).collect();
    let workload = Workload { jobs: vec![job(ranks)], files: files(64) };
    let system = system(&["servers.count=4"]);
    let cov = |policy| {
        let outcome = run(&workload, &system, &scenario(), policy, 1).expect("a run");
        assert_eq!(outcome.files_steered, 64, "{policy}");
        outcome.value(Metric::StoredCov).expect("a value")
    };
    // One job: libPIO counts perfectly; two choices know nothing yet; linear costs put all on one target.
    assert!(cov(Policy::Libpio) < 1e-9);
    assert!((0.1..1.0).contains(&cov(Policy::TwoChoices)));
    assert!(cov(Policy::LinearFlow) > 2.0);
}

#[test]
fn a_target_without_room_gets_no_more_files() {
    let ranks = (0..40).map(|file| {
        vec![op(f64::from(file), Action::Create { file: FileId(file) }), write(file, 0, 100 * MIB)]
    });
    let workload = Workload { jobs: vec![job(ranks.collect())], files: files(40) };
    // Four targets of 1 GiB hold ten such files each; an eleventh would not fit anywhere.
    let small = system(&["targets.capacity_GiB=1", "targets.filled=0"]);
    let outcome = run(&workload, &small, &scenario(), Policy::LustreRr, 1).expect("a run");
    assert_eq!(outcome.overfilled_bytes, 0);
    let tiny = system(&["targets.capacity_GiB=1", "targets.filled=0.5"]);
    let error = run(&workload, &tiny, &scenario(), Policy::LustreRr, 1).expect_err("no room");
    assert!(error.to_string().contains("no target accepts new objects"), "{error}");
}

#[test]
fn nobody_opens_a_file_before_it_is_made() {
    // Rank 1 comes a millisecond after rank 0, whose create takes a second.
    let late = op(0.001, Action::Create { file: FileId(0) });
    let workload = Workload {
        jobs: vec![job(vec![vec![create(0)], vec![late, write(0, 0, 100 * MIB)]])],
        files: files(1),
    };
    let slow = system(&["metadata.creates_per_s=1"]);
    close(&outcome(&workload, &slow, &scenario()), Metric::Makespan, 2.0);
}

#[test]
fn a_component_that_is_placed_when_written_asks_the_metadata_server() {
    let mut layout = Layout::plain(1, MIB);
    layout.components[0].extent = Extent { start: 0, end: Some(MIB) };
    let mut rest = Layout::plain(1, MIB).components.remove(0);
    rest.extent = Extent { start: MIB, end: None };
    layout.components.push(rest);
    let mut workload =
        Workload { jobs: vec![job(vec![vec![create(0), write(0, MIB, 100 * MIB)]])], files: files(1) };
    workload.files[0].logged = Some(layout);
    let slow = system(&["metadata.creates_per_s=2", "metadata.open_ms=250"]);
    // Twice a round trip and a place in the queue, then a second of bytes.
    close(&outcome(&workload, &slow, &scenario()), Metric::Makespan, 2.0 * 0.75 + 1.0);
}

#[test]
fn writing_again_takes_no_space() {
    let writes = std::iter::repeat_n(write(0, 0, 100 * MIB), 50);
    let ops = std::iter::once(create(0)).chain(writes).collect();
    let workload = Workload { jobs: vec![job(vec![ops])], files: files(1) };
    let small = system(&["targets.capacity_GiB=1", "targets.filled=0"]);
    assert_eq!(outcome(&workload, &small, &scenario()).overfilled_bytes, 0);
}

#[test]
fn extreme_systems_do_not_panic() {
    let ranks = (0..1100).map(|rank: u32| {
        vec![
            op(0.0, Action::Open { file: FileId(0) }),
            op(0.0, Action::Read { file: FileId(0), offset: u64::from(rank) * 64, bytes: 64 }),
        ]
    });
    let mut workload = Workload { jobs: vec![job(ranks.collect())], files: files(1) };
    workload.files[0].exists = true;
    let extreme = [
        "targets.read_MiBps=0.6",
        "targets.write_MiBps=600",
        "disk.shared_read_exponent=1.0",
        "disk.streams_loss=1.0",
    ];
    assert!(run(&workload, &system(&extreme), &scenario(), Policy::LustreRr, 1).is_ok());
}

//! Load of others and faults against runs whose result can be computed by hand.

use std::io::Write;
use std::path::{Path, PathBuf};

use tarazu_sim::experiment::{Plan, Shard, experiment};
use tarazu_sim::{Background, BackgroundSpec, Fault, Metric, Outcome, Policy, Scenario, System, run};
use tarazu_workload::{File, Op, Workload};

mod common;

use common::{MIB, close, create, files, job, op, outcome, read, scenario, write};

/// Jobs write from second 0 on.
fn system(changes: &[&str]) -> System {
    let changes: Vec<&str> = ["control.launch_s=0"].iter().chain(changes).copied().collect();
    common::system(&changes)
}

fn background(text: &str) -> Background {
    text.parse::<BackgroundSpec>().expect(text).load().expect(text)
}

fn suffering(faults: &[&str]) -> Scenario {
    let faults: Vec<Fault> = faults.iter().map(|fault| fault.parse().expect(fault)).collect();
    Scenario { faults, ..scenario() }
}

/// One target of 100 MiB/s for writing and 200 MiB/s for reading.
fn one_target() -> System {
    system(&["servers.count=1", "servers.targets_each=1"])
}

fn one_writer(bytes: u64) -> Workload {
    Workload { jobs: vec![job(vec![vec![create(0), write(0, 0, bytes)]])], files: files(1) }
}

/// A file of its own for each test.
fn table(name: &str, text: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).expect("a temporary file");
    path
}

fn makespan(outcome: &Outcome) -> f64 {
    outcome.value(Metric::Makespan).expect("a makespan")
}

#[test]
fn a_slow_target_is_slow_while_it_is() {
    // 100 MiB in the first second, 25 MiB a second for four, the rest in two.
    let slow = suffering(&["slow:0:0.25@1-5"]);
    close(&outcome(&one_writer(400 * MIB), &one_target(), &slow), Metric::Makespan, 7.0);
    // Two at once multiply.
    let both = suffering(&["slow:0:0.5@1-5", "slow:0:0.5@1-5"]);
    close(&outcome(&one_writer(400 * MIB), &one_target(), &both), Metric::Makespan, 7.0);
}

#[test]
fn a_target_that_is_down_serves_nothing_until_it_is_back() {
    let down = suffering(&["down:0@1-100"]);
    close(&outcome(&one_writer(300 * MIB), &one_target(), &down), Metric::Makespan, 102.0);
}

#[test]
fn new_files_go_around_a_target_that_is_down_or_rebuilding() {
    let ranks = (0..3).map(|rank| vec![create(rank), write(rank, 0, 100 * MIB)]).collect();
    let workload = Workload { jobs: vec![job(ranks)], files: files(3) };
    for fault in ["down:2", "rebuild:2"] {
        for policy in [Policy::LustreRr, Policy::LustreQos, Policy::Random] {
            let outcome = run(&workload, &system(&[]), &suffering(&[fault]), policy, 1).expect("a run");
            if policy != Policy::Random {
                close(&outcome, Metric::Makespan, 1.0);
            }
            let down = suffering(&["down:0", "down:1", "down:3", fault]);
            let nowhere = run(&workload, &system(&[]), &down, policy, 1);
            assert_eq!(nowhere.is_err(), fault == "down:2", "{policy}");
        }
    }
}

#[test]
fn the_controller_learns_of_faults_from_its_agents() {
    // Half a minute after the fault, files steered by the ring avoid what is down or rebuilding.
    for fault in ["down:2@1", "rebuild:2@1"] {
        let rank = |rank| vec![op(30.0, create(rank).action), write(rank, 0, 100 * MIB)];
        let workload = Workload { jobs: vec![job((0..3).map(rank).collect())], files: files(3) };
        let always = Scenario { steer_always: true, ..suffering(&[fault]) };
        for seed in 1..10 {
            let outcome = run(&workload, &system(&[]), &always, Policy::Tarazu, seed).expect("a run");
            assert_eq!((outcome.files_steered, outcome.refusals.len()), (3, 0), "{fault}, seed {seed}");
            assert!((makespan(&outcome) - 1.0).abs() < 1e-6, "{fault}, seed {seed}: {}", makespan(&outcome));
        }
    }
}

#[test]
fn who_waits_for_a_target_that_never_comes_back_is_told() {
    let down = suffering(&["down:0@1"]);
    let error = run(&one_writer(300 * MIB), &one_target(), &down, Policy::LustreRr, 1).expect_err("no end");
    let text = error.to_string();
    assert!(text.contains("down:0@1") && text.contains("down:0@FROM-TO"), "{text}");
    // Whoever is through before does not notice.
    close(&outcome(&one_writer(50 * MIB), &one_target(), &down), Metric::Makespan, 0.5);
    let unknown = run(&one_writer(MIB), &one_target(), &suffering(&["down:1"]), Policy::LustreRr, 1);
    assert!(unknown.is_err());
}

#[test]
fn a_rebuild_takes_its_share() {
    let rebuild = suffering(&["rebuild:0@1-3"]);
    close(&outcome(&one_writer(300 * MIB), &one_target(), &rebuild), Metric::Makespan, 4.0);
}

#[test]
fn after_a_fail_over_two_servers_share_a_link() {
    let ranks = (0..4).map(|rank| vec![create(rank), write(rank, 0, 100 * MIB)]).collect();
    let workload = Workload { jobs: vec![job(ranks)], files: files(4) };
    let narrow = system(&["servers.link_MiBps=200"]);
    close(&outcome(&workload, &narrow, &scenario()), Metric::Makespan, 1.0);
    // Two targets on each server have 100 of 200 MiB/s.
    close(&outcome(&workload, &narrow, &suffering(&["failover:0>1"])), Metric::Makespan, 2.0);
    // 50 MiB each in half a second, then half as fast.
    close(&outcome(&workload, &narrow, &suffering(&["failover:1>0@0.5"])), Metric::Makespan, 1.5);
}

#[test]
fn new_targets_are_empty_and_hold_nothing_old() {
    let old = |number: u32| File { name: format!("f{number}"), exists: true, logged: None };
    let read_all = (0..4).map(|rank| vec![read(rank, 200 * MIB)]).collect();
    let workload = Workload { jobs: vec![job(read_all)], files: (0..4).map(old).collect() };
    close(&outcome(&workload, &system(&[]), &scenario()), Metric::Makespan, 1.0);
    // All four lie on the two old targets.
    close(&outcome(&workload, &system(&[]), &suffering(&["expand:2"])), Metric::Makespan, 2.0);

    // Weighted by space, nearly all new files go to the empty targets.
    let ranks = (0..64).map(|rank| vec![create(rank), write(rank, 0, MIB)]).collect();
    let fresh = Workload { jobs: vec![job(ranks)], files: files(64) };
    let full = system(&["targets.filled=0.9", "targets.filled_spread=0"]);
    let stored = |faults: &[&str]| {
        let outcome = run(&fresh, &full, &suffering(faults), Policy::LustreQos, 1).expect("a run");
        outcome.value(Metric::StoredExcess).expect("bytes were stored")
    };
    assert!(stored(&[]) < 0.1 && stored(&["expand:1"]) > 1.0, "{} {}", stored(&[]), stored(&["expand:1"]));
    // Before their time they are not there.
    let before = stored(&["expand:1@1000"]);
    assert!(before < 0.4, "{before}");
}

#[test]
fn a_recorded_series_takes_what_it_took() {
    // Shares of the highest rate: 0.5 for 10 s, 0.25 for 10 s; the last row shows the peak.
    let text = "time,a\n100,50\n110,25\n120,100\n";
    let path = table("recorded.csv", text);
    let busy = |more: &str| Scenario {
        background: background(&format!("recorded={},start=100{more}", path.display())),
        ..scenario()
    };
    // 500 MiB in 10 s, 750 MiB in 10 s, then 5 MiB/s.
    close(&outcome(&one_writer(1250 * MIB), &one_target(), &busy("")), Metric::Makespan, 20.0);
    close(&outcome(&one_writer(1255 * MIB), &one_target(), &busy("")), Metric::Makespan, 21.0);
    // It begins again after its end: 50 MiB in the third stretch.
    close(&outcome(&one_writer(1350 * MIB), &one_target(), &busy("")), Metric::Makespan, 31.0);
    // The probe masked, the stretch before it is repeated.
    close(&outcome(&one_writer(2000 * MIB), &one_target(), &busy(",mask=115-125")), Metric::Makespan, 30.0);
    close(&outcome(&one_writer(750 * MIB), &one_target(), &busy(",scale=0.5")), Metric::Makespan, 10.0);
}

#[test]
fn recorded_reads_and_gaps_count() {
    let written = table("written.csv", "time,a,b\n0,0,100\n10,0,100\n20,100,0\n");
    let read = table("read.csv", "time,a,b\n0,50,0\n10,,0\n20,200,0\n");
    let missing = table("missing.csv", "time,a,b\n0,0,0\n10,0,1\n20,0,0\n");
    let text = format!(
        "recorded={},read={},missing={},start=0",
        written.display(),
        read.display(),
        missing.display()
    );
    let busy = Scenario { background: background(&text), ..scenario() };
    // A quarter is read by others for 20 s, as a gap is what stood before it.
    close(&outcome(&one_writer(1500 * MIB), &one_target(), &busy), Metric::Makespan, 20.0);
}

#[test]
fn recorded_series_are_refused_with_their_place() {
    let refused = |text: String| {
        let error = text.parse::<BackgroundSpec>().expect("a form").load().expect_err("must be refused");
        error.to_string()
    };
    let path = table("broken.csv", "time,a\n0,1\n5,x\n");
    let error = refused(format!("recorded={}", path.display()));
    assert!(error.contains("broken.csv, line 3, column a: \"x\""), "{error}");
    let short = table("short.csv", "time,a\n0,1\n5,2\n");
    let other = table("other.csv", "time,a,b\n0,1,1\n5,2,2\n");
    assert!(refused(format!("recorded={},read={}", short.display(), other.display())).contains("same times"));
    assert!(refused(format!("recorded={},start=9", short.display())).contains("outside of the series"));
    assert!(refused(format!("recorded={},mask=0-5", short.display())).contains("leave nothing"));
    assert!(refused("recorded=there-is-no-such-file.csv".into()).contains("cannot read"));
    let idle = table("idle.csv", "time,a,b\n0,0,0\n5,0,1\n");
    assert!(refused(format!("recorded={},mean=0.5", idle.display())).contains("no factor"));
}

#[test]
fn compressed_series_read_like_plain_ones() {
    let text = "time,a\n0,50\n10,25\n20,100\n";
    let plain = table("plain.csv", text);
    let packed = Path::new(env!("CARGO_TARGET_TMPDIR")).join("packed.csv.gz");
    let file = std::fs::File::create(&packed).expect("a temporary file");
    let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::default());
    encoder.write_all(text.as_bytes()).expect("written");
    encoder.finish().expect("written");
    let with = |path: &Path| {
        let background = background(&format!("recorded={},start=0", path.display()));
        makespan(&outcome(&one_writer(1255 * MIB), &one_target(), &Scenario { background, ..scenario() }))
    };
    assert_eq!(with(&plain), with(&packed));
}

#[test]
fn edisons_day_can_be_replayed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/traces/oss-load");
    if !folder.exists() {
        eprintln!("SKIPPED: ../shared/traces/oss-load is absent");
        return;
    }
    let series = |what: &str| folder.join(format!("snx11025_2018-02-09_00h-12h_{what}.csv.gz"));
    let text = format!(
        "recorded={},read={},missing={},mask=1518174870-1518175600",
        series("ost_write_Bps").display(),
        series("ost_read_Bps").display(),
        series("ost_missing").display()
    );
    let Background::Recorded(quiet) = background(&text) else { panic!("a recorded series") };
    // Without the probes others hardly use the system.
    assert!((0.001..0.01).contains(&quiet.mean_load()), "{}", quiet.mean_load());
    let Background::Recorded(busy) = background(&format!("{text},mean=0.3")) else {
        panic!("a recorded series")
    };
    assert!((busy.mean_load() - 0.3).abs() < 1e-3, "{}", busy.mean_load());
}

#[test]
fn every_policy_meets_the_same_others() {
    let workload = one_writer(5000 * MIB);
    for kind in ["markov", "markov=0.8,dwell=3", "uniform=0.9"] {
        let scenario = Scenario { background: background(kind), steer_always: true, ..scenario() };
        for seed in 1..4 {
            let times: Vec<f64> = Policy::ALL
                .into_iter()
                .map(|policy| {
                    makespan(&run(&workload, &one_target(), &scenario, policy, seed).expect("a run"))
                })
                .collect();
            // Policies differ in what placing costs, not in what a target delivers; here placing is free.
            assert!(
                times.iter().all(|time| (time - times[0]).abs() < 1e-6),
                "{kind}, seed {seed}: {times:?}"
            );
            assert!(times[0] > 50.0);
        }
    }
}

#[test]
fn a_mean_load_leaves_the_rest_to_the_jobs() {
    let workload = one_writer(100_000 * MIB);
    let busy = Scenario { background: background("markov=0.5"), ..scenario() };
    // 1,000 s alone; half of the target on average, over some twenty states.
    let runs = (1..=8)
        .map(|seed| makespan(&run(&workload, &one_target(), &busy, Policy::LustreRr, seed).expect("a run")));
    let mean = runs.sum::<f64>() / 8.0;
    assert!((mean / 2000.0 - 1.0).abs() < 0.05, "{mean}");
}

#[test]
fn others_after_a_pause_are_where_they_would_be_anyway() {
    let pause = op(86_400.0, write(0, 100 * MIB, 500 * MIB).action);
    let first = vec![create(0), write(0, 0, 100 * MIB), pause];
    // Another rank keeps the system at work meanwhile, on a target of its own, for most of the day.
    let second = vec![create(1), write(1, 0, 3_000_000 * MIB)];
    let system = system(&["servers.count=2", "servers.targets_each=1"]);
    let busy = Scenario { background: background("markov"), ..scenario() };
    let end = |ranks: Vec<Vec<Op>>| {
        let workload = Workload { files: files(ranks.len() as u32), jobs: vec![job(ranks)] };
        makespan(&outcome(&workload, &system, &busy))
    };
    let (alone, watched) = (end(vec![first.clone()]), end(vec![first, second]));
    assert!(alone > 86_400.0 && (alone - watched).abs() < 1e-6, "{alone} and {watched}");
}

#[test]
fn threads_do_not_change_results() {
    let ranks = (0..8).map(|rank| vec![create(rank), write(rank, 0, 500 * MIB)]).collect();
    let workload = Workload { jobs: vec![job(ranks)], files: files(8) };
    let faults: Vec<Fault> = ["slow:3:0.1@2-9", "rebuild:1@1", "failover:0>1@3-6", "expand:1@4"]
        .iter()
        .map(|fault| fault.parse().expect("a fault"))
        .collect();
    let scenario = Scenario { background: background("markov=0.3"), faults, ..Scenario::default() };
    let results = |threads| {
        let plan = Plan {
            policies: &Policy::ALL,
            seeds: 3,
            shard: Shard::WHOLE,
            threads,
            record: false,
            explain: false,
        };
        experiment(&workload, &system(&[]), &scenario, &plan, &|| {}).expect("results")
    };
    assert_eq!(results(1), results(2));
}

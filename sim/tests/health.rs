//! Slow targets are found in the simulator from what agents see, and healthy ones are left alone.
//!
//! The tables of docs/health.md come from the test that is ignored here:
//! `cargo test --release -p tarazu-sim --test health -- --ignored --nocapture`

use rayon::prelude::*;
use tarazu_core::view::SICK_BELOW;
use tarazu_darshan::Log;
use tarazu_layout::TargetId;
use tarazu_sim::{BackgroundSpec, Judged, Metric, Outcome, Policy, Scenario, Sick, System, run_judged};
use tarazu_workload::Workload;
use tarazu_workload::darshan::{ConvertOptions, to_workload};
use tarazu_workload::generate::{from_spec, scale_bytes};

/// The sick target of these runs.
const SICK: TargetId = TargetId(3);

fn generated(spec: &str) -> Workload {
    from_spec(spec, 1).expect("a workload")
}

/// The log that `tarazu sim` runs without arguments, its sizes multiplied.
fn bundled(times: u64) -> Workload {
    let bytes = include_bytes!("../../traces/darshan/ckpt-fpp-n16-lustre.darshan");
    let log = Log::from_bytes("ckpt-fpp-n16-lustre.darshan", bytes).expect("a good log");
    let converted = to_workload(&[&log], &ConvertOptions::default()).expect("a workload");
    scale_bytes(&converted.workload, times).expect("larger sizes")
}

fn scenario(background: &str, speed: Option<f64>) -> Scenario {
    let background: BackgroundSpec = background.parse().expect("a background");
    Scenario {
        background: background.load().expect("a background"),
        sick: speed.map(|speed| Sick { target: SICK, speed }),
        sick_known_after: None,
        ..Scenario::default()
    }
}

fn runs(workload: &Workload, system: &System, scenario: &Scenario, seeds: u64) -> Vec<(Outcome, Judged)> {
    let one = |seed: u64| run_judged(workload, system, scenario, Policy::Tarazu, seed).expect("a run");
    (1..=seeds).into_par_iter().map(one).collect()
}

/// Exclusions of targets that are well.
fn false_exclusions(judged: &Judged, sick: Option<TargetId>) -> usize {
    judged.exclusions().filter(|(_, target)| Some(*target) != sick).count()
}

/// Targets that are well and were called slow.
fn false_slow(judged: &Judged, sick: Option<TargetId>) -> usize {
    let slow = |target: &TargetId| Some(*target) != sick && judged.slowed_at(*target).is_some();
    (0..10_000).map(TargetId).take_while(|target| target.0 < 4000).filter(slow).count()
}

/// Busy for a few minutes, with pauses; small enough for a test.
fn small() -> (Workload, System) {
    let system = System::parse_with(tarazu_sim::BUNDLED, "ost35", &["servers.count=3".to_string()]);
    (
        generated("ior:nodes=4,ranks_per_node=5,block=4GiB,transfer=64MiB,iterations=2,gap=10"),
        system.expect("a system"),
    )
}

#[test]
fn a_target_at_a_twentieth_is_excluded_soon_and_no_healthy_one_is() {
    let (workload, system) = small();
    let busy = scenario("markov", Some(0.05));
    for (seed, (_, judged)) in (1..).zip(runs(&workload, &system, &busy, 10)) {
        let at = judged.excluded_at(SICK).unwrap_or_else(|| panic!("seed {seed}: it is not found"));
        let intervals = at.since(judged.began).as_secs_f64() / system.control.interval_s;
        assert!(intervals <= 8.0, "seed {seed}: {intervals} intervals");
        assert_eq!(false_exclusions(&judged, Some(SICK)), 0, "seed {seed}: {:?}", judged.verdicts);
    }
}

#[test]
fn nobody_is_excluded_where_nobody_is_sick() {
    let (workload, system) = small();
    for background in ["none", "markov"] {
        for canary in [false, true] {
            let well = Scenario { canary, ..scenario(background, None) };
            for (_, judged) in runs(&workload, &system, &well, 5) {
                assert_eq!(judged.exclusions().count(), 0, "{background} {canary}: {:?}", judged.verdicts);
                assert!(judged.rows > 100, "{} rows", judged.rows);
            }
        }
    }
}

#[test]
fn canaries_find_a_sick_target_on_which_nothing_is_stored() {
    // One file on one target at a time: the sick one has nothing to do.
    let (_, system) = small();
    let workload = generated("ior:nodes=1,ranks_per_node=1,block=64GiB,transfer=64MiB,iterations=4,gap=20");
    let idle = Scenario { canary: true, ..scenario("none", Some(0.05)) };
    let (_, judged) = run_judged(&workload, &system, &idle, Policy::Tarazu, 1).expect("a run");
    assert!(judged.excluded_at(SICK).is_some(), "{judged:?}");
    assert_eq!(false_exclusions(&judged, Some(SICK)), 0, "{:?}", judged.verdicts);
}

#[test]
fn without_detection_nobody_is_judged_and_canaries_alone_change_little() {
    let (workload, system) = small();
    let off = Scenario { detect: false, ..scenario("none", Some(0.05)) };
    let (_, judged) = run_judged(&workload, &system, &off, Policy::Tarazu, 1).expect("a run");
    assert_eq!(judged.verdicts, []);
    let io = |canary| {
        let well = Scenario { canary, ..scenario("none", None) };
        let (outcome, _) = run_judged(&workload, &system, &well, Policy::LinearFlow, 1).expect("a run");
        outcome.value(Metric::JobIo).expect("a time")
    };
    let (without, with) = (io(false), io(true));
    assert!((with / without - 1.0).abs() < 0.02, "{without} s without canaries, {with} s with them");
}

/// What the tables of docs/health.md are measured on.
fn measured_workloads() -> [(&'static str, Workload); 4] {
    [
        ("ior", generated("ior:nodes=32,ranks_per_node=8,block=2GiB,transfer=16MiB,iterations=4,gap=20")),
        ("checkpoint", generated("checkpoint:nodes=16,bytes=1G,period=120,count=5")),
        ("hacc", generated("hacc:nodes=32,particles=64M")),
        ("log x 256", bundled(256)),
    ]
}

#[test]
#[ignore = "takes minutes; prints the tables of docs/health.md"]
fn measure_detection() {
    let system = System::bundled().expect("the bundled system");
    let workloads = measured_workloads();
    println!(
        "| workload | background | canary | speed | found | median, most [s] | false excl. | false slow | job I/O |"
    );
    for (name, workload) in &workloads {
        for background in ["none", "markov"] {
            for canary in [false, true] {
                for speed in [None, Some(0.05), Some(0.25), Some(0.5)] {
                    let scenario = Scenario { canary, ..scenario(background, speed) };
                    let runs = runs(workload, &system, &scenario, 10);
                    let sick = speed.map(|_| SICK);
                    let at = |judged: &Judged| {
                        if speed.is_some_and(|speed| speed < SICK_BELOW) {
                            judged.excluded_at(SICK)
                        } else {
                            judged.slowed_at(SICK)
                        }
                    };
                    let since =
                        |judged: &Judged| Some(at(judged)?.as_secs_f64() - judged.began.as_secs_f64());
                    let mut found: Vec<f64> = runs.iter().filter_map(|(_, judged)| since(judged)).collect();
                    found.sort_by(f64::total_cmp);
                    let wrong: usize = runs.iter().map(|(_, judged)| false_exclusions(judged, sick)).sum();
                    let slow: usize = runs.iter().map(|(_, judged)| false_slow(judged, sick)).sum();
                    let io: f64 =
                        runs.iter().filter_map(|(outcome, _)| outcome.value(Metric::JobIo)).sum::<f64>()
                            / 10.0;
                    let until = runs[0].1.until.as_secs_f64();
                    println!(
                        "| {name} | {background} | {canary} | {speed:?} | {}/10 | {:?}, {:?} | {wrong} | {slow} | {io:.1} ({until:.0} s) |",
                        found.len(),
                        found.get(found.len() / 2),
                        found.last(),
                    );
                }
            }
        }
    }
}

#[test]
#[ignore = "takes minutes; prints the tables of docs/health.md"]
fn measure_false_exclusions() {
    let fpp = "checkpoint:nodes=16,ranks_per_node=2,bytes=512M,period=90,count=400";
    let ssf = "checkpoint:nodes=16,ranks_per_node=2,bytes=512M,period=90,count=400,access=ssf";
    let both = "ior:nodes=16,ranks_per_node=2,block=1GiB,transfer=16MiB,iterations=300,gap=60,read=true";
    let nic = "nodes.nic_MiBps=300";
    let cases = [
        ("ost35", "", fpp, "none", ""),
        ("ost35", "", fpp, "markov", ""),
        ("ost35", "", fpp, "markov=0.2", ""),
        ("ost35", "", fpp, "markov=0.85", ""),
        ("ost35", "", ssf, "markov", ""),
        ("ost35", "", both, "none", ""),
        ("ost35", "", both, "markov", ""),
        ("ost35", nic, fpp, "none", ""),
        ("ost35", nic, both, "markov", ""),
        ("ost35", "", fpp, "markov", "failover:0>1@3000-20000"),
        ("edison", "", fpp, "markov", ""),
        ("edison", "", ssf, "none", ""),
        ("edison", "", ssf, "markov", ""),
    ];
    println!("| system | workload | background | canary | target-hours | exclusions | called slow |");
    let mut hours_of_all = 0.0;
    for (system_name, change, spec, background, fault) in cases {
        let system = match change {
            "" => System::preset(system_name).expect("a system"),
            _ => System::parse_with(tarazu_sim::BUNDLED, "ost35", &[change.to_string()]).expect("a system"),
        };
        let faults: Vec<_> = fault.split(' ').filter_map(|fault| fault.parse().ok()).collect();
        let workload = generated(spec);
        for canary in [false, true] {
            let scenario = Scenario { canary, faults: faults.clone(), ..scenario(background, None) };
            let runs = runs(&workload, &system, &scenario, 4);
            let hours: f64 = runs.iter().map(|(_, judged)| judged.rows as f64 * 5.0 / 3600.0).sum();
            let wrong: usize = runs.iter().map(|(_, judged)| false_exclusions(judged, None)).sum();
            let slow: usize = runs.iter().map(|(_, judged)| false_slow(judged, None)).sum();
            hours_of_all += hours;
            println!(
                "| {system_name} {change} {fault} | {spec} | {background} | {canary} | {hours:.0} | {wrong} | {slow} |"
            );
        }
    }
    println!("{hours_of_all:.0} target-hours, {:.1} target-months", hours_of_all / 730.5);
}

#[test]
#[ignore = "takes minutes; prints the tables of docs/health.md"]
fn measure_what_it_brings() {
    let system = System::bundled().expect("the bundled system");
    let workloads = measured_workloads();
    println!(
        "| workload | background | lustre-rr | off | samples | samples and canaries | told at the start |"
    );
    for (name, workload) in &workloads {
        for background in ["none", "markov"] {
            let sick = scenario(background, Some(0.05));
            let off = Scenario { detect: false, ..sick.clone() };
            let told = Scenario { sick_known_after: Some(0), ..off.clone() };
            let canary = Scenario { canary: true, ..sick.clone() };
            let tarazu = Policy::Tarazu;
            let cases = [
                (&off, Policy::LustreRr),
                (&off, tarazu),
                (&sick, tarazu),
                (&canary, tarazu),
                (&told, tarazu),
            ];
            let io = cases.map(|(scenario, policy)| {
                let one = |seed: u64| run_judged(workload, &system, scenario, policy, seed).expect("a run").0;
                let outcomes: Vec<Outcome> = (1..=10u64).into_par_iter().map(one).collect();
                outcomes.iter().filter_map(|outcome| outcome.value(Metric::JobIo)).sum::<f64>() / 10.0
            });
            println!("| {name} | {background} | {io:.1?} |");
        }
    }
}

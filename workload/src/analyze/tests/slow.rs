use super::*;
use crate::analyze::Subject;
use crate::analyze::facts::Run;
use tarazu_layout::hash::mix;

/// A number from 0 to 1 that depends on seed and place.
fn noise(seed: u64, place: u64) -> f64 {
    (mix(mix(seed) ^ place) >> 11) as f64 / (1u64 << 53) as f64
}

/// `files` files of 1 GiB on each of ten targets, 2 s to 4 s each; `slow` targets take `factor` times as
/// long.
fn system(seed: u64, files: u64, slow: &[u32], factor: f64) -> Facts {
    let all = (0..10 * files).map(|rank| {
        let ost = (rank % 10) as u32;
        let usual_s = 2.0 + 2.0 * noise(seed, rank);
        let io_s = if slow.contains(&ost) { usual_s * factor } else { usual_s };
        FileUse { id: mix(mix(seed) ^ rank), ..own(rank, GIB, io_s, &[ost]) }
    });
    let run = Run { start_sec: seed as i64, ..Run::default() };
    Facts { run, ..job(10 * files, all.collect()) }
}

fn named(facts: &Facts) -> Vec<u32> {
    let targets = findings(facts).into_iter().filter(|finding| finding.code == Code::SlowTarget);
    let ost = |finding: Finding| match finding.subject {
        Subject::Target { ost, .. } => ost,
        other => panic!("{other:?}"),
    };
    targets.map(ost).collect()
}

#[test]
fn a_slow_target_is_named_and_no_other() {
    for seed in 0..50 {
        assert_eq!(named(&system(seed, 12, &[7], 5.0)), [7], "seed {seed}");
    }
    let finding = only(&system(1, 12, &[7], 5.0), Code::SlowTarget);
    let evidence = finding.evidence.unwrap();
    assert_eq!((evidence.samples, evidence.others, evidence.logs), (12, 108, 1));
    assert!(evidence.p_value > 0.0 && evidence.p_value < 1e-5, "{evidence:?}");
    assert!(finding.words.contains("12 files") && finding.words.contains("108 files"), "{}", finding.words);
    assert!(finding.fix.contains("OST0007.degraded=1"), "{}", finding.fix);
}

#[test]
fn two_slow_targets_are_both_named() {
    for seed in 0..50 {
        let mut found = named(&system(seed, 12, &[2, 7], 6.0));
        found.sort_unstable();
        assert_eq!(found, [2, 7], "seed {seed}");
    }
}

#[test]
fn chance_names_nobody() {
    for seed in 0..500 {
        assert!(named(&system(seed, 12, &[], 1.0)).is_empty(), "seed {seed}");
    }
    // Times that differ by far more than targets: nine in ten files take 1 s, one 30 s.
    for seed in 0..500 {
        let mut facts = system(seed, 12, &[], 1.0);
        for (place, file) in facts.files.iter_mut().enumerate() {
            file.io_s = if noise(seed + 1000, place as u64) < 0.1 { 30.0 } else { 1.0 };
        }
        assert!(named(&facts).is_empty(), "seed {seed}");
    }
}

#[test]
fn each_threshold_counts() {
    assert!(named(&system(1, 12, &[7], 2.5)).is_empty(), "not slow enough");
    assert!(named(&system(1, 7, &[7], 9.0)).is_empty(), "few files");
    assert_eq!(named(&system(1, 8, &[7], 9.0)), [7]);
    let change = |change: &dyn Fn(&mut FileUse)| {
        let mut facts = system(1, 12, &[7], 5.0);
        facts.files.iter_mut().for_each(change);
        named(&facts)
    };
    assert!(change(&|file| (file.written_bytes, file.end) = (MIB - 1, MIB - 1)).is_empty(), "small files");
    assert!(change(&|file| file.io_s /= 100.0).is_empty(), "no time lost");
    assert!(
        change(&|file| file.layout[0].osts.push(50)).is_empty(),
        "wide files do not say which of their targets"
    );
    assert!(change(&|file| file.layout[0].osts[0] %= 3).is_empty(), "no peers");
}

#[test]
fn files_are_compared_with_their_like() {
    // Target 7 holds the small files, which take longer per byte everywhere.
    let mut facts = system(1, 12, &[], 1.0);
    for file in facts.files.iter_mut().filter(|file| file.layout[0].osts == [7]) {
        (file.written_bytes, file.end) = (2 * MIB, 2 * MIB);
    }
    assert!(named(&facts).is_empty());
    // Other mounts are other file systems.
    let mut facts = system(1, 12, &[7], 5.0);
    for file in facts.files.iter_mut().filter(|file| file.layout[0].osts == [7]) {
        file.mount = "/projects".into();
    }
    assert!(named(&facts).is_empty());
}

#[test]
fn many_logs_show_what_one_does_not() {
    let mut analyzer = Analyzer::default();
    for seed in 0..6 {
        let found = analyzer.add_facts(&system(seed, 2, &[7], 5.0));
        assert!(found.iter().all(|finding| finding.code != Code::SlowTarget), "{found:?}");
    }
    let found = analyzer.finish();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].subject, Subject::Target { mount: "/scratch".into(), ost: 7 });
    assert_eq!(found[0].source, "6 logs together");
    assert_eq!(found[0].evidence.map(|evidence| (evidence.samples, evidence.logs)), Some((12, 6)));
    // What one log has said is not said again.
    let mut analyzer = Analyzer::default();
    assert_eq!(analyzer.add_facts(&system(1, 12, &[7], 5.0)).len(), 1);
    let _ = analyzer.add_facts(&system(2, 2, &[7], 5.0));
    assert!(analyzer.finish().is_empty());
}

/// What only the logs together show.
fn together(logs: &[Facts]) -> Vec<Finding> {
    let mut analyzer = Analyzer::default();
    for facts in logs {
        let _ = analyzer.add_facts(facts);
    }
    analyzer.finish()
}

#[test]
fn copies_of_a_log_are_no_evidence() {
    // Two files on the target that happened to be slow.
    let log = system(1, 2, &[7], 5.0);
    let copies: Vec<Facts> =
        (0..20).map(|copy| Facts { log: format!("copy {copy}"), ..log.clone() }).collect();
    assert!(together(&copies).is_empty());
    // Nor are other runs that read the same files again.
    let again = |run: i64| Facts { run: Run { start_sec: run, ..Run::default() }, ..log.clone() };
    assert!(together(&(0..20).map(again).collect::<Vec<_>>()).is_empty());
    // Twenty runs with files of their own are.
    let runs: Vec<Facts> = (0..20).map(|seed| system(seed, 2, &[7], 5.0)).collect();
    assert_eq!(together(&runs).len(), 1);
}

#[test]
fn a_file_seen_by_many_logs_counts_with_its_middle_score() {
    // 16 files, judged slow by one run of three only.
    let run = |run: i64, factor| Facts {
        run: Run { start_sec: run, ..Run::default() },
        ..system(1, 7, &[7], factor)
    };
    assert!(together(&[run(1, 9.0), run(2, 1.0), run(3, 1.0)]).is_empty());
    let twelve = |start: i64, factor| Facts {
        run: Run { start_sec: start, ..Run::default() },
        ..system(1, 12, &[7], factor)
    };
    let thresholds = crate::analyze::TargetThresholds::default();
    let mut pool = crate::analyze::slow::Pool::default();
    for (start, factor) in [(1, 9.0), (2, 5.0), (3, 1.0)] {
        let facts = twelve(start, factor);
        pool.add(facts.run, crate::analyze::slow::samples(&facts, &thresholds));
    }
    assert_eq!((pool.logs(), pool.files().len()), (3, 120));
    let found = crate::analyze::slow::find(pool.files(), pool.logs(), &thresholds);
    assert_eq!(found.len(), 1);
    assert!(found[0].finding("3 logs").words.contains("12 files"));
}

#[test]
fn the_p_value_over_many_logs_is_multiplied_by_their_number() {
    let facts = system(1, 12, &[7], 5.0);
    let thresholds = crate::analyze::TargetThresholds::default();
    let samples = crate::analyze::slow::samples(&facts, &thresholds);
    let p_value = |logs| {
        let found = crate::analyze::slow::find(&samples, logs, &thresholds);
        found.first().map(|target| target.finding("x").evidence.unwrap().p_value)
    };
    let alone = p_value(1).unwrap();
    assert!((p_value(7).unwrap() / (7.0 * alone) - 1.0).abs() < 1e-12);
    assert_eq!(p_value((1e-4 / alone) as u64 + 1), None, "above the threshold");
    let words = only(&facts, Code::SlowTarget).words;
    assert!(
        words.contains("by chance with probability") && words.contains("if the target were healthy"),
        "{words}"
    );
}

//! Machine days: arrivals, nodes, files and layouts; reproducible, within limits, as promised by the preset.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use tarazu_layout::{NodeId, Time};
use tarazu_workload::compose::{Composed, Day, PRESETS, compose, load, preset};
use tarazu_workload::{Action, Workload, csv_format};

const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

fn composed(text: &str, seed: u64) -> Result<Composed, Box<dyn Error>> {
    let day = Day::parse(text, "a test")?;
    let loaded = load(&day, Path::new(FOLDER))?;
    Ok(compose(&day.machine, &loaded.parts, seed)?)
}

fn day(arrivals: &str, parts: &str) -> String {
    format!("format = \"tarazu.day/1\"\nnodes = 20\n{arrivals}\n{parts}")
}

/// An error with its causes, as the command prints it.
fn chain(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", chain(cause)),
        None => error.to_string(),
    }
}

/// No node has two jobs at a time, starts do not go back, and jobs and allocations agree.
fn check(composed: &Composed) {
    assert_eq!(composed.workload.check(), Ok(()));
    assert_eq!(composed.workload.jobs.len(), composed.allocations.len());
    let mut free_from = vec![Time::ZERO; composed.nodes as usize];
    let mut before = (Time::ZERO, Time::ZERO);
    for (number, (job, held)) in composed.workload.jobs.iter().zip(&composed.allocations).enumerate() {
        assert_eq!((job.id, job.start), (held.job, held.start));
        assert_eq!(job.id.0, number as u64 + 1);
        assert!(held.arrival <= held.start && held.start <= held.end);
        assert!(before.0 <= held.arrival && before.1 <= held.start, "{} overtakes", job.id);
        before = (held.arrival, held.start);
        let nodes: BTreeSet<NodeId> = job.ranks.iter().map(|rank| rank.node).collect();
        assert_eq!(nodes.into_iter().collect::<Vec<_>>(), held.nodes);
        for node in &held.nodes {
            let free = &mut free_from[node.0 as usize];
            assert!(*free <= held.start, "{} shares a node", job.id);
            *free = held.end;
        }
    }
    let names: BTreeSet<&str> = composed.workload.files.iter().map(|file| &*file.name).collect();
    assert_eq!(names.len(), composed.workload.files.len());
}

fn csv(workload: &Workload) -> Vec<u8> {
    let mut bytes = Vec::new();
    csv_format::write(workload, &mut bytes).expect("a valid workload");
    bytes
}

const MIX: &str = r#"
[[part]]
weight = 3
generate = "checkpoint:nodes=2,ranks_per_node=2,bytes=1M,count=2,period=600"
[[part]]
name = "wide"
weight = 1
stripe_count = 4
stripe_size_KiB = 64
generate = "ior:nodes=9,ranks_per_node=1,block=10G,transfer=1G"
[[part]]
name = "image"
count = 3
shared = ["/images/"]
generate = "startup:nodes=4,image=1M,dir=/images"
"#;

#[test]
fn jobs_arrive_get_nodes_and_have_files_of_their_own() {
    let text = day("hours = 10\narrivals = \"poisson\"\njobs_per_hour = 12", MIX);
    let one = composed(&text, 1).expect("valid");
    check(&one);
    assert!((80..170).contains(&one.allocations.len()), "{} jobs", one.allocations.len());
    assert_eq!(one.allocations.iter().filter(|job| job.part == 2).count(), 3);
    assert!(one.allocations.iter().all(|job| job.arrival < Time::ZERO + one.span));
    assert!(one.waits().any(|wait| wait > Duration::ZERO), "some wait");
    assert!((0.05..=1.0).contains(&one.utilisation()), "{}", one.utilisation());
    let images = one.workload.files.iter().filter(|file| file.name.starts_with("/images/"));
    assert_eq!(images.map(|file| &*file.name).collect::<Vec<_>>(), ["/images/image.sif"]);
    for (job, held) in one.workload.jobs.iter().zip(&one.allocations).filter(|(_, held)| held.part == 1) {
        let file = job.ranks[0].ops.iter().find_map(|op| op.action.file()).expect("a file");
        let file = &one.workload.files[file.0 as usize];
        assert_eq!(file.name, format!("/ior/data.0000.00000000.{}", held.job.0));
        let component = &file.logged.as_ref().expect("a layout").components[0];
        assert_eq!((component.stripe_count, component.stripe_size), (4, 65_536));
        // 9 nodes write 10 GiB each at 200 MiB/s: 51.2 s and the random start.
        let run = held.end.since(held.start).as_secs_f64();
        assert!((51.2..51.3).contains(&run), "{run}");
    }
    let of_first = one.workload.jobs.iter().zip(&one.allocations).filter(|(_, held)| held.part == 0);
    let thinks: BTreeSet<Duration> = of_first.map(|(job, _)| job.ranks[0].ops[0].think).collect();
    assert!(thinks.len() > 40, "each job is generated from a seed of its own");
}

#[test]
fn a_seed_reproduces_the_bytes_and_another_differs() {
    let text = day("hours = 5\narrivals = \"poisson\"\njobs_per_hour = 20", MIX);
    let bytes = csv(&composed(&text, 7).expect("valid").workload);
    assert_eq!(bytes, csv(&composed(&text, 7).expect("valid").workload));
    assert_ne!(bytes, csv(&composed(&text, 8).expect("valid").workload));
    let again = csv_format::read(&*bytes, "the day").expect("readable");
    assert_eq!(csv(&again), bytes);
}

#[test]
fn poisson_arrivals_have_their_rate_and_spread() {
    let text = day(
        "hours = 1000\narrivals = \"poisson\"\njobs_per_hour = 10",
        "[[part]]\ngenerate = \"mdtest:nodes=1,ranks_per_node=1,files=1\"",
    );
    let one = composed(&text, 3).expect("valid");
    let gaps: Vec<f64> = one
        .allocations
        .windows(2)
        .map(|pair| pair[1].arrival.as_secs_f64() - pair[0].arrival.as_secs_f64())
        .collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let deviation = (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64).sqrt();
    // 10,000 exponential gaps: mean and deviation are 360 s, each with an error of about 4 s.
    assert!((345.0..375.0).contains(&mean), "{mean}");
    assert!((340.0..380.0).contains(&deviation), "{deviation}");
}

/// Four sample logs, their starts and what they do.
const LOGS: &str = r#"
[[part]]
name = "runs"
log = ["../traces/darshan/ckpt-fpp-n16-lustre.darshan", "../traces/darshan/hacc-fpp-n8.darshan",
       "../traces/darshan/pair-contender-n4.darshan", "../traces/darshan/pair-target-alone-n4.darshan"]
mounts = "all"
ranks_per_node = 4
"#;

#[test]
fn recorded_jobs_start_when_they_did() {
    let one = composed(&day("arrivals = \"recorded\"", LOGS), 1).expect("valid");
    check(&one);
    assert_eq!(one.allocations.len(), 4);
    assert_eq!(one.allocations[0].start, Time::ZERO);
    // The same as converting the logs together.
    let day = Day::parse(&day("arrivals = \"recorded\"", LOGS), "a test").expect("valid");
    let tarazu_workload::compose::SourceSpec::Logs(paths) = &day.parts[0].source else { panic!("logs") };
    let logs: Vec<_> = paths
        .iter()
        .map(|path| tarazu_darshan::Log::open(&Path::new(FOLDER).join(path)).expect("a sample"))
        .collect();
    let options = tarazu_workload::darshan::ConvertOptions {
        ranks_per_node: 4,
        mounts: tarazu_workload::darshan::Mounts::All,
    };
    let together =
        tarazu_workload::darshan::to_workload(&logs.iter().collect::<Vec<_>>(), &options).expect("valid");
    let starts: Vec<Time> = together.workload.jobs.iter().map(|job| job.start).collect();
    assert_eq!(one.allocations.iter().map(|job| job.arrival).collect::<Vec<_>>(), starts);
    assert_eq!(one.workload.totals(), together.workload.totals());
    // A job holds its nodes for at least the run time in its log.
    let mut runs: Vec<f64> = logs.iter().filter_map(|log| log.job.run_time_s()).collect();
    let mut held: Vec<f64> =
        one.allocations.iter().map(|job| job.end.since(job.start).as_secs_f64()).collect();
    runs.sort_by(f64::total_cmp);
    held.sort_by(f64::total_cmp);
    assert!(runs.iter().zip(&held).all(|(run, held)| held >= run && *held < run + 1.0), "{runs:?} {held:?}");
}

#[test]
fn copies_and_the_end_of_the_day_hold_for_recorded_jobs() {
    let twice = day("arrivals = \"recorded\"", &LOGS.replace("mounts", "count = 2\nmounts"));
    let two = composed(&twice, 1).expect("valid");
    check(&two);
    assert_eq!(two.allocations.len(), 8);
    let one = composed(&day("arrivals = \"recorded\"", LOGS), 1).expect("valid");
    assert_eq!(two.workload.totals().ops, 2 * one.workload.totals().ops);
    let last = one.allocations[3].arrival.as_secs_f64() / 3600.0;
    let short = composed(&day(&format!("hours = {last}\narrivals = \"recorded\""), LOGS), 1).expect("valid");
    assert_eq!((short.allocations.len(), short.left_out), (3, 1));
}

#[test]
fn recorded_gaps_are_drawn_again() {
    let text = day("hours = 2000\narrivals = \"recorded-gaps\"", LOGS);
    let recorded = composed(&day("arrivals = \"recorded\"", LOGS), 1).expect("valid");
    let gap = |pair: &[tarazu_workload::compose::Allocation]| pair[1].arrival.0 - pair[0].arrival.0;
    let gaps: BTreeSet<u64> = recorded.allocations.windows(2).map(gap).collect();
    let one = composed(&text, 5);
    let one = match one {
        Ok(one) => one,
        Err(error) => panic!("{} (gaps {gaps:?})", chain(&*error)),
    };
    check(&one);
    assert!(one.allocations.len() > 3);
    // Arrivals are sums of gaps in seconds, rounded to nanoseconds once.
    let near = |found: u64| gaps.iter().any(|gap| found.abs_diff(*gap) < 5_000);
    assert!(one.allocations.windows(2).all(|pair| near(gap(pair))));
}

#[test]
fn jobs_of_a_workload_file_become_parts() {
    let text = day(
        "hours = 1\narrivals = \"poisson\"",
        "[[part]]\ncsv = \"../traces/csv/full.csv\"\ncount = 4\nscale_bytes = 3",
    );
    let one = composed(&text, 1).expect("valid");
    check(&one);
    let file = std::fs::File::open(Path::new(FOLDER).join("../traces/csv/full.csv")).expect("a sample");
    let sample = csv_format::read(file, "full.csv").expect("valid");
    // The jobs take turns.
    let turns = 4 / sample.jobs.len();
    assert_eq!(turns * sample.jobs.len(), 4, "the sample has {} jobs", sample.jobs.len());
    let (found, of_one) = (one.workload.totals(), sample.totals());
    assert_eq!(found.written_bytes, 3 * turns as u64 * of_one.written_bytes);
    assert_eq!(found.read_bytes, 3 * turns as u64 * of_one.read_bytes);
    assert!(one.workload.files.iter().any(|file| file.logged.is_some()), "layouts are kept");
}

#[test]
fn errors_name_the_key_the_place_and_the_remedy() {
    let poisson = "hours = 1\narrivals = \"poisson\"\njobs_per_hour = 5";
    let ior = "[[part]]\ngenerate = \"ior:nodes=1\"";
    let rows = [
        (day(poisson, "[[part]]\nlogs = \"x\""), "unknown field `logs`"),
        (day(poisson, "[[part]]\nlogs = \"x\""), "line 7"),
        (day("arrivals = \"sometimes\"", ior), "unknown variant `sometimes`"),
        (day(poisson, ""), "there is no [[part]]"),
        (day(poisson, "[[part]]\nname = \"a\""), "part \"a\": give one of log, csv and generate"),
        (day(poisson, "[[part]]\nlog = []"), "part \"part 1\": give one of log, csv and generate"),
        (day(poisson, "[[part]]\nlog = 5"), "a path or a list of paths"),
        (day(poisson, "[[part]]\nlog = \"x\"\nweight = 1\ncount = 1"), "weight and count do not go together"),
        (day(poisson, "[[part]]\nlog = \"x\"\nweight = 0"), "weight is 0, but must be a number above 0"),
        (day(poisson, "[[part]]\nlog = \"x\"\nweight = nan"), "weight is NaN, but must be"),
        (
            day(poisson, "[[part]]\nlog = \"x\"\ncount = 0"),
            "count is 0, but must be a whole number from 1 to",
        ),
        (day(poisson, "[[part]]\nlog = \"x\"\nscale_bytes = 0"), "scale_bytes is 0"),
        (day(poisson, "[[part]]\nlog = \"x\"\nstripe_count = 0"), "stripe_count is 0"),
        (day(poisson, "[[part]]\nlog = \"x\"\nstripe_count = \"all\""), "a stripe count or a list such as"),
        (
            day(poisson, "[[part]]\nlog = \"x\"\nstripe_count = [{ share = 0.5, count = 1 }]"),
            "the sum of the shares of stripe_count is 0.5, but must be 1",
        ),
        (
            day(poisson, "[[part]]\nlog = \"x\"\nstripe_count = 1\nstripe_size_KiB = 100"),
            "stripe_size_KiB is 100, but must be a multiple of 64",
        ),
        (day(poisson, "[[part]]\nlog = \"x\"\nstripe_size_KiB = 64"), "needs a stripe_count beside it"),
        (day(poisson, "[[part]]\ncsv = \"x\"\nmounts = \"all\""), "go with log only"),
        (day("arrivals = \"recorded\"", "[[part]]\nlog = \"x\"\nweight = 2"), "weight has no meaning"),
        (day("arrivals = \"recorded\"\njobs_per_hour = 2", ior), "jobs_per_hour goes with"),
        (
            day("hours = 0\narrivals = \"recorded\"", ior),
            "hours is 0, but must be a number above 0, up to 8784",
        ),
        (day("hours = 1\narrivals = \"poisson\"\njobs_per_hour = -1", ior), "jobs_per_hour is -1"),
        (day(poisson, ior).replace("nodes = 20", "nodes = 0"), "nodes is 0, but must be"),
        (day(poisson, ior).replace("day/1", "day/2"), "format is \"tarazu.day/2\", and this program reads"),
        // What only composing can see.
        (day("arrivals = \"poisson\"\njobs_per_hour = 5", ior), "give hours"),
        (day("hours = 1\narrivals = \"poisson\"", ior), "part \"part 1\" is drawn by its weight"),
        (day("hours = 1\narrivals = \"recorded-gaps\"", ior), "recorded-gaps needs logs or workload files"),
        (day("hours = 0.001\narrivals = \"poisson\"\njobs_per_hour = 0.001", ior), "no job arrives"),
        (day(poisson, "[[part]]\nlog = \"absent.darshan\""), "cannot use part \"part 1\": "),
        (day(poisson, "[[part]]\nlog = \"absent.darshan\""), "absent.darshan"),
        (day(poisson, "[[part]]\ncsv = \"absent.csv\""), "cannot open"),
        (day(poisson, "[[part]]\ncsv = \"Cargo.toml\""), "Cargo.toml"),
        (day(poisson, "[[part]]\ngenerate = \"iro\""), "no generator is called \"iro\""),
        (
            day(poisson, "[[part]]\nname = \"big\"\ngenerate = \"ior:nodes=21,job=7\""),
            "part \"big\": job7 needs 21 nodes and the machine has 20",
        ),
        (
            day("hours = 8000\narrivals = \"poisson\"\njobs_per_hour = 1e9", ior),
            "the day has more than 1048576 jobs",
        ),
        (
            day(
                "hours = 1\narrivals = \"poisson\"",
                "[[part]]\ncount = 9\ngenerate = \"ior:nodes=1,ranks_per_node=1,transfer=1E,block=1E\"",
            ),
            "the day has more than 9223372036854775808 bytes to move",
        ),
    ];
    for (text, wanted) in rows {
        let error = composed(&text, 1).expect_err(wanted);
        assert!(chain(&*error).contains(wanted), "wanted {wanted:?}, found {}", chain(&*error));
    }
    let error = Day::read(Path::new("/absent/day.toml")).expect_err("absent");
    assert!(chain(&error).contains("cannot read the day file /absent/day.toml: "), "{}", chain(&error));
}

#[test]
fn the_example_of_the_document_is_a_day() {
    let path = Path::new(FOLDER).join("../docs/machine-day.md");
    let document = std::fs::read_to_string(path).expect("the document");
    let block =
        document.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let day = Day::parse(block, "the example").expect("valid");
    let loaded = load(&day, &Path::new(FOLDER).join("..")).expect("the sample logs");
    let one = compose(&day.machine, &loaded.parts, day.seed).expect("valid");
    check(&one);
    let summary =
        format!("seed {}: {} jobs on {} of 64 nodes", day.seed, one.allocations.len(), one.workload.nodes());
    assert!(document.contains(&summary), "the document does not say: {summary}");
    let samples = one.workload.files.iter().filter(|file| file.name.starts_with("/scratch/d/f/sample_"));
    assert_eq!(samples.count(), 512, "all trainings read the same samples");
}

/// The part of all bytes that the busiest hundredth of the machine's nodes moves.
fn share_of_top_nodes(composed: &Composed) -> f64 {
    let mut bytes = vec![0u64; composed.nodes as usize];
    for rank in composed.workload.jobs.iter().flat_map(|job| &job.ranks) {
        for op in &rank.ops {
            if let Action::Read { bytes: moved, .. } | Action::Write { bytes: moved, .. } = op.action {
                bytes[rank.node.0 as usize] += moved;
            }
        }
    }
    bytes.sort_unstable();
    let top: u64 = bytes.iter().rev().take(composed.nodes as usize / 100).sum();
    top as f64 / bytes.iter().sum::<u64>() as f64
}

/// How many jobs only make and use files with one stripe.
fn jobs_of_one_stripe(composed: &Composed) -> usize {
    let one_stripe = |action: Action| {
        let file = action.file().map(|file| &composed.workload.files[file.0 as usize]);
        file.is_none_or(|file| {
            let layout = file.logged.as_ref().expect("every file of the preset has a layout");
            layout.components.iter().all(|component| component.stripe_count == 1)
        })
    };
    let jobs = composed.workload.jobs.iter();
    jobs.filter(|job| job.ranks.iter().flat_map(|rank| &rank.ops).all(|op| one_stripe(op.action))).count()
}

#[test]
fn the_top_heavy_preset_keeps_its_promise() {
    let text = preset("top-heavy").expect("a preset").text;
    let (mut jobs, mut unstriped) = (0, 0);
    for seed in 1..=3 {
        let one = composed(text, seed).expect("a preset");
        check(&one);
        let share = share_of_top_nodes(&one);
        assert!((0.90..0.97).contains(&share), "seed {seed}: 1 % of the nodes move {share:.3} of the bytes");
        let total = one.allocations.len();
        // 24 h × 30 jobs, and eight: five deviations of a Poisson process are 134.
        assert!((594..=862).contains(&total), "seed {seed}: {total} jobs");
        let of_one = jobs_of_one_stripe(&one);
        assert!(of_one as f64 >= 0.98 * total as f64, "seed {seed}: {of_one} of {total} have one stripe");
        (jobs, unstriped) = (jobs + total, unstriped + of_one);
        // As measured: 90 % of the jobs run less than 2 hours on less than 100 nodes.
        let short = one.allocations.iter().filter(|job| job.end.since(job.start).as_secs() < 7200);
        assert!(short.count() as f64 > 0.9 * total as f64);
        assert!(one.allocations.iter().all(|job| job.nodes.len() < 100));
    }
    let share = unstriped as f64 / jobs as f64;
    assert!(share >= 0.99, "{share:.4} of {jobs} jobs have one stripe");
}

#[test]
fn presets_are_days() {
    for known in PRESETS {
        assert_eq!(preset(known.name), Some(known));
        let day = Day::parse(known.text, known.name).expect(known.name);
        assert!(load(&day, Path::new("/absent")).is_ok(), "{} names no files", known.name);
    }
    assert_eq!(preset("bottom-heavy"), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_two_jobs_share_a_node_and_none_overtakes(
        seed in any::<u64>(),
        nodes in 4u32..40,
        jobs_per_hour in 1.0f64..60.0,
        kinds in prop::collection::vec((1u32..5, 1u32..4, 0u32..4000, 0.1f64..5.0, any::<bool>()), 1..4),
    ) {
        let parts: String = kinds
            .iter()
            .map(|(nodes, ranks, period, weight, counted)| {
                let often = if *counted { "count = 2".to_owned() } else { format!("weight = {weight}") };
                format!("[[part]]\n{often}\ngenerate = \"checkpoint:nodes={nodes},ranks_per_node={ranks},bytes=1K,count=1,period={period}\"\n")
            })
            .collect();
        let arrivals = format!("hours = 3\narrivals = \"poisson\"\njobs_per_hour = {jobs_per_hour}");
        let text = day(&arrivals, &parts).replace("nodes = 20\n", &format!("nodes = {nodes}\n"));
        match composed(&text, seed) {
            Ok(one) => {
                check(&one);
                prop_assert_eq!(&one, &composed(&text, seed).expect("as before"));
                prop_assert!((0.0..=1.0).contains(&one.utilisation()));
            }
            Err(error) => prop_assert!(error.to_string().contains("no job arrives"), "{}", error),
        }
    }

    #[test]
    fn no_text_panics(text in "(format|nodes|hours|arrivals|\\[\\[part\\]\\]|=|\"|[0-9]|\n|\\PC){0,40}") {
        prop_assert!(Day::parse(&text, "a test").is_err());
    }
}

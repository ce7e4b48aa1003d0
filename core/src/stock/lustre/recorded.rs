//! Against a real Lustre 2.17.57 (`core/tests/placements`): 200 files each of 1, 2 and 4 stripes, made by one process
//! one after the other, one case after the other, so that the allocator's state carries over.

use std::path::Path;

use super::*;
use crate::rng::stream;
use tarazu_layout::Bytes;

/// Targets of the recorded system.
const TARGETS: usize = 8;

/// Files of one case.
const FILES: usize = 200;

/// The 600 files took 26 seconds or a little less.
const CREATE_S: f64 = 0.04;

fn recorded(name: &str) -> Vec<Vec<u32>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/placements").join(name);
    let text = std::fs::read_to_string(path).expect("the recording is there");
    let files = text.lines().skip(1).map(|line| {
        let osts = line.rsplit(',').next().unwrap_or("");
        osts.split(';').map(|ost| ost.parse().expect("an OST index")).collect()
    });
    files.collect()
}

fn facts(servers: [u32; TARGETS], free_kib: [u64; TARGETS]) -> Vec<TargetFacts> {
    let one = |(server, free): (u32, u64)| TargetFacts {
        server: ServerId(server),
        free: Bytes(free << 10),
        ..TargetFacts::WELL
    };
    servers.into_iter().zip(free_kib).map(one).collect()
}

const ONE_SERVER: [u32; TARGETS] = [0; TARGETS];
const ALTERNATING: [u32; TARGETS] = [0, 1, 0, 1, 0, 1, 0, 1];
const GROUPED: [u32; TARGETS] = [0, 0, 0, 0, 1, 1, 1, 1];

/// Every cursor that could have been in force, walked beside the recording.
///
/// Returns how often none was left, so that a random restart must have happened.
fn restarts(files: &[Vec<u32>], servers: [u32; TARGETS]) -> usize {
    let facts = facts(servers, [1 << 30; TARGETS]);
    let servers: Vec<_> = servers.map(ServerId).to_vec();
    let all = Lustre::round_robin(&servers, &BTreeMap::new()).all.round_robin;
    let n = TARGETS as u64;
    let anywhere = || {
        let offsets = (0..n).flat_map(move |offset| (0..2 * n).map(move |start| (start, offset)));
        offsets.map(|(start_index, offset_index)| {
            let mut cursor = all.clone();
            cursor.set_cursor(start_index, offset_index);
            cursor
        })
    };
    let mut rng = stream(1, "never drawn from", 0);
    let mut cursors: Vec<RoundRobin> = anywhere().collect();
    let mut restarts = 0;
    for file in files {
        let mut agrees = |cursor: &mut RoundRobin| {
            let found = cursor.allocate(&Wish::plain(file.len(), &facts), &mut rng);
            found.iter().map(|target| target.0).eq(file.iter().copied())
        };
        cursors.retain_mut(&mut agrees);
        if cursors.is_empty() {
            restarts += 1;
            cursors = anywhere().collect();
            cursors.retain_mut(agrees);
            assert!(!cursors.is_empty(), "no cursor at all gives {file:?}");
        }
    }
    restarts
}

#[test]
fn round_robin_file_by_file() {
    let cases = [
        ("placements-rr-1oss.csv", ONE_SERVER),
        ("placements-rr-2oss-alternating.csv", ALTERNATING),
        ("placements-rr-2oss-grouped.csv", GROUPED),
    ];
    for (name, servers) in cases {
        let files = recorded(name);
        assert_eq!(files.len(), 3 * FILES, "{name}");
        // A restart comes every 2,240 files; each recording has 600.
        assert!(restarts(&files, servers) <= 1, "{name}");
    }
    // The test can fail: another order of servers is not that of the recording.
    let files = recorded("placements-rr-2oss-grouped.csv");
    assert!(
        std::panic::catch_unwind(|| restarts(&files, ALTERNATING)).map_or(true, |restarts| restarts > 100)
    );
}

/// How often each target got a stripe, by case.
type Counts = [[f64; TARGETS]; 3];

fn counts(files: &[Vec<u32>]) -> Counts {
    let mut counts = Counts::default();
    for (number, file) in files.iter().enumerate() {
        for target in file {
            counts[number / FILES][*target as usize] += 1.0;
        }
    }
    counts
}

fn simulated(facts: &[TargetFacts], seed: u64) -> Vec<Vec<u32>> {
    let servers: Vec<_> = facts.iter().map(|facts| facts.server).collect();
    let settings = Settings { maxage_s: 2, ..Settings::default() };
    let mut lustre = Lustre::new(Generation::V216, settings, &servers, &BTreeMap::new());
    let mut rng = stream(seed, "recorded", 0);
    let files = (0..3 * FILES).map(|number| {
        let layout = tarazu_layout::Layout::plain([1, 2, 4][number / FILES], 1 << 20);
        let now = Time::from_secs_f64(number as f64 * CREATE_S);
        super::tests::stripes_of(&mut lustre, &layout, facts, now, &mut rng)
    });
    files.collect()
}

/// Squared distance from the expected counts, each measured by what is expected.
fn distance(counts: &[f64; TARGETS], expected: &[f64; TARGETS]) -> f64 {
    counts.iter().zip(expected).map(|(count, expected)| (count - expected).powi(2) / expected.max(1.0)).sum()
}

#[test]
fn weighted_mode_statistically() {
    const RUNS: usize = 400;
    let one_full = [3_532_708, 3_520_412, 3_516_328, 3_483_556, 3_498_724, 742_300, 3_513_688, 3_531_676];
    let graded = [3_532_708, 2_496_408, 1_673_124, 3_483_556, 3_498_724, 742_300, 3_513_688, 254_872];
    let two_servers = [3_532_584, 3_486_500, 3_527_456, 3_512_092, 3_502_692, 769_236, 3_499_804, 3_512_100];
    let cases = [
        ("placements-qos-1oss-one-full.csv", ONE_SERVER, one_full),
        ("placements-qos-1oss-graded.csv", ONE_SERVER, graded),
        ("placements-qos-2oss-one-full.csv", GROUPED, two_servers),
    ];
    for (name, servers, free_kib) in cases {
        let facts = facts(servers, free_kib);
        let runs: Vec<Counts> = (0..RUNS as u64).map(|seed| counts(&simulated(&facts, seed))).collect();
        let real = counts(&recorded(name));
        for case in 0..3 {
            let mut expected = [0.0; TARGETS];
            for run in &runs {
                expected.iter_mut().zip(run[case]).for_each(|(sum, count)| *sum += count / RUNS as f64);
            }
            let mut distances: Vec<f64> = runs.iter().map(|run| distance(&run[case], &expected)).collect();
            distances.sort_by(f64::total_cmp);
            let found = distance(&real[case], &expected);
            // One run in a hundred lies farther out by chance; there are nine cases.
            let bound = distances[RUNS * 995 / 1000];
            assert!(
                found <= bound,
                "{name} case {case}: {found:.2} > {bound:.2}\n{:?}\n{expected:?}",
                real[case]
            );
        }
    }
}

/// What `lod.*.qos_ost_weights` showed on two servers: free space, penalty per object of target and server.
#[test]
fn penalties_per_object_are_those_of_the_server() {
    let avail =
        [14_130_352, 13_946_016, 14_109_840, 14_048_384, 14_010_784, 3_076_944, 13_999_232, 14_048_416u64];
    let per_object = [102_508, 101_170, 102_359, 101_913, 101_640, 22_321, 101_556, 101_913];
    let facts = facts(GROUPED, avail.map(|units| units / 4));
    let mut weights = Weights::new(Generation::V216, Settings::default());
    let set: Vec<_> = (0..TARGETS as u32).map(TargetId).collect();
    let mut rng = stream(1, "test", 0);
    weights.allocate(&Wish::plain(1, &facts), &set, None, Time::ZERO, &mut rng).expect("space differs");
    assert_eq!(weights.per_object(), (per_object.to_vec(), vec![713_915, 573_007]));
}

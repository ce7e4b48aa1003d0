//! How evenly the files of a job fall on the targets of a ring, and that processes part their ways.
//!
//! The bound that holds for certain is for rows of positions without gaps, which is what all ranks of
//! a job give: no target gets more than the perfect share, rounded up. Where only some
//! ranks create files the bound is that of all of them; how close to perfect it comes then is measured,
//! and held here so that it does not get worse.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod common;

use common::{Numbers, equal_ring, name, spec};
use proptest::prelude::*;
use tarazu_layout::TargetId;
use tarazu_table::{
    Cursor, FileClass, Identity, JobName, Place, Position, Rank, RingSpec, Slot, Table, TableSpec, encode,
    offset,
};

const PID: u32 = 4242;

fn slot() -> Slot {
    name(0).slot(name(0).any_file())
}

fn table_of(targets: usize, tickets: Vec<TargetId>) -> Vec<u8> {
    let sound = spec(targets, 1, 0);
    let ring = RingSpec { seed: 9, tickets };
    encode(&TableSpec { classes: Vec::new(), rings: vec![ring], ..sound }).unwrap()
}

fn equal_table(targets: usize) -> Vec<u8> {
    let passes = (4096 / targets).clamp(1, 16);
    table_of(targets, equal_ring(targets, passes))
}

fn rank_identity(rank: u32, world: u32) -> Identity {
    Identity { rank: Some(Rank { rank, world }), host_hash: 1, pid: PID, process_start: 2 }
}

/// Files per target when each of `ranks` creates `files`, with `stripes` stripes each.
fn load(table: &Table<'_>, job: u64, ranks: &[u32], world: u32, files: usize, stripes: usize) -> Vec<u32> {
    let ring = table.ring(0).unwrap();
    let begin = offset(name(job).any_file(), ring.seed());
    let stripes = stripes.min(ring.targets());
    let mut load = vec![0; table.targets()];
    let mut out = [TargetId(0); 2000];
    for rank in ranks {
        let cursor = Cursor::new(rank_identity(*rank, world));
        for _ in 0..files {
            let taken = ring.pick(cursor.next(slot(), None, begin, PID, stripes), stripes, stripes, &mut out);
            assert_eq!(taken, stripes);
            out[..taken].iter().for_each(|target| load[target.index()] += 1);
        }
    }
    load
}

/// The largest load, and the perfect one rounded up.
fn most_and_perfect(load: &[u32]) -> (u32, u32) {
    let sum: u32 = load.iter().sum();
    (load.iter().max().copied().unwrap_or(0), sum.div_ceil(load.len() as u32))
}

proptest! {
    // Files of failures are looked for beside lib.rs, which an integration test has not.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// All ranks of a job, any number of files each: the perfect share, rounded up, and no more.
    #[test]
    fn all_ranks_are_spread_perfectly(
        targets in 1usize..400, nodes in 1u32..40, per_node in 1u32..40, files in 1usize..4, stripes in 1usize..9,
        job in any::<u64>(),
    ) {
        let bytes = equal_table(targets);
        let table = Table::verify(&bytes).unwrap();
        let world = nodes * per_node;
        let ranks: Vec<u32> = (0..world).collect();
        let (most, perfect) = most_and_perfect(&load(&table, job, &ranks, world, files, stripes));
        prop_assert!(most <= perfect, "{most} where {perfect} is perfect");
    }

    /// Random nodes with all their ranks, or random ranks: never above what all ranks would give.
    #[test]
    fn any_part_of_a_job_stays_under_the_bound_of_the_whole(
        targets in 1usize..400, nodes in 1u32..60, per_node in 1u32..40, stripes in 1usize..9, job in any::<u64>(),
        whole_nodes in any::<bool>(), percent in 1u64..100,
    ) {
        let bytes = equal_table(targets);
        let table = Table::verify(&bytes).unwrap();
        let world = nodes * per_node;
        let mut numbers = Numbers(job);
        let chosen: Vec<bool> = (0..world).map(|_| numbers.below(100) < percent).collect();
        let picked = |rank: u32| chosen[if whole_nodes { rank / per_node } else { rank } as usize];
        let ranks: Vec<u32> = (0..world).filter(|rank| picked(*rank)).collect();
        let (most, _) = most_and_perfect(&load(&table, job, &ranks, world, 1, stripes));
        let stripes = stripes.min(targets) as u32;
        let perfect_of_all = (world * stripes).div_ceil(targets as u32);
        prop_assert!(most <= perfect_of_all + 1, "{most} where {perfect_of_all} is perfect for all ranks");
    }

    #[test]
    fn a_pick_is_distinct_and_as_wide_as_possible(
        ids in proptest::collection::vec(0u32..90, 1..300), begin in any::<u64>(), within in any::<u64>(),
        stripes in 0usize..200, room in 0usize..200,
    ) {
        let bytes = table_of(90, ids.iter().map(|id| TargetId(*id)).collect());
        let table = Table::verify(&bytes).unwrap();
        let ring = table.ring(0).unwrap();
        let mut out = vec![TargetId(u32::MAX); room];
        let taken = ring.pick(Position { begin, within }, stripes, stripes, &mut out);
        prop_assert_eq!(taken, stripes.min(room).min(ring.targets()));
        let mut seen = out[..taken].to_vec();
        seen.sort_unstable();
        seen.dedup();
        prop_assert_eq!(seen.len(), taken);
        prop_assert!(seen.iter().all(|target| ids.contains(&target.0)));
        prop_assert!(out[taken..].iter().all(|target| target.0 == u32::MAX));
    }
}

/// One file per node: strides of the ranks per node, among them multiples of the number of targets,
/// where a plain `position mod length` would put every file on one target.
#[test]
fn one_rank_per_node_spreads_over_the_targets() {
    let mut worst = (0.0f64, String::new());
    let (mut sum, mut cases) = (0.0, 0);
    for targets in [2usize, 7, 8, 16, 32, 35, 36, 64, 100, 128, 248, 360, 1008, 2016] {
        let bytes = equal_table(targets);
        let table = Table::verify(&bytes).unwrap();
        let n = targets as u32;
        for per_node in [1, 2, 8, 16, 24, 32, 36, 48, 56, 64, 96, 104, 112, 128, 192, 256, n, 2 * n] {
            for stripes in [1usize, 4] {
                // As many files as give each target two.
                let nodes = 2 * n.div_ceil(stripes as u32);
                let ranks: Vec<u32> = (0..nodes).map(|node| node * per_node).collect();
                for job in 0..3 {
                    let load = load(&table, job, &ranks, nodes * per_node, 1, stripes);
                    let (most, perfect) = most_and_perfect(&load);
                    let ratio = f64::from(most) / f64::from(perfect);
                    sum += ratio;
                    cases += 1;
                    if ratio > worst.0 {
                        worst = (ratio, format!("{targets} targets, {per_node} per node, {stripes} stripes"));
                    }
                }
            }
        }
    }
    let mean = sum / f64::from(cases);
    eprintln!(
        "one file per node: max / perfect is {mean:.2} on average, {:.1} at worst ({})",
        worst.0, worst.1
    );
    assert!(mean < 2.0, "max / perfect is {mean} on average");
    assert!(worst.0 <= 6.0, "{worst:?}");
}

/// The counter passes 2^32 in a running job.
#[test]
fn the_bound_holds_on_both_sides_of_a_wrapped_counter() {
    let bytes = equal_table(35);
    let table = Table::verify(&bytes).unwrap();
    let ring = table.ring(0).unwrap();
    let (world, before, after) = (10u32, 7u32, 9u32);
    let mut loads = [[0u32; 35]; 2];
    let mut out = [TargetId(0); 4];
    for rank in 0..world {
        let cursor = Cursor::starting_at(rank_identity(rank, world), u32::MAX - before + 1);
        for file in 0..before + after {
            ring.pick(cursor.next(slot(), None, 3, PID, 4), 4, 4, &mut out);
            let side = &mut loads[usize::from(file >= before)];
            out.iter().for_each(|target| side[target.index()] += 1);
        }
    }
    for side in loads {
        let (most, perfect) = most_and_perfect(&side);
        assert!(most <= perfect + 1, "{side:?}");
    }
}

/// A new table with another ring comes while the job runs: the cursor goes on, and the picks of each
/// table keep the bound.
#[test]
fn a_new_table_in_mid_run_keeps_the_bound_of_each() {
    let first = equal_table(35);
    let mut order = equal_ring(35, 1);
    order.retain(|target| target.0 != 17);
    order.rotate_left(11);
    let second = table_of(35, order.repeat(16));
    let tables = [Table::verify(&first).unwrap(), Table::verify(&second).unwrap()];
    for (world, change) in [(35u32, 3u32), (64, 1), (100, 2), (7, 20)] {
        let cursors: Vec<_> = (0..world).map(|rank| Cursor::new(rank_identity(rank, world))).collect();
        let mut loads = [vec![0u32; 35], vec![0u32; 35]];
        let mut out = [TargetId(0); 2];
        for file in 0..2 * change {
            let now = usize::from(file >= change);
            let ring = tables[now].ring(0).unwrap();
            for cursor in &cursors {
                ring.pick(cursor.next(slot(), None, 5, PID, 2), 2, 2, &mut out);
                out.iter().for_each(|target| loads[now][target.index()] += 1);
            }
        }
        assert_eq!(loads[1][17], 0);
        loads[1].remove(17);
        for load in &loads {
            let (most, perfect) = most_and_perfect(load);
            assert!(most <= perfect + 1, "world {world}: {load:?}");
        }
    }
}

/// Parent and children hold the same count after a fork and must not create on the same targets.
#[test]
fn forked_processes_part_their_ways() {
    let bytes = equal_table(2016);
    let table = Table::verify(&bytes).unwrap();
    let ring = table.ring(0).unwrap();
    for identity in [rank_identity(3, 8), Identity { rank: None, ..rank_identity(0, 1) }] {
        let files = |pid: u32| {
            // A fork copies the memory, counts included.
            let cursor = Cursor::starting_at(identity, 5);
            let mut out = [TargetId(0); 1];
            let mut pick = || {
                ring.pick(cursor.next(slot(), None, 11, pid, 1), 1, 1, &mut out);
                out[0]
            };
            (0..64).map(|_| pick()).collect::<Vec<_>>()
        };
        let family: Vec<_> = (PID..PID + 20).map(files).collect();
        for (place, one) in family.iter().enumerate() {
            for other in &family[..place] {
                let same = one.iter().zip(other).filter(|(a, b)| a == b).count();
                assert!(same <= 8, "{same} of 64 files on the same target");
            }
        }
        // The same process gives the same files: nothing but the facts given decides.
        assert_eq!(files(PID), family[0]);
    }
}

/// Without ranks, files are thrown at random: no worse than that, and no two processes alike.
#[test]
fn processes_without_a_rank_spread_by_chance() {
    let bytes = equal_table(35);
    let table = Table::verify(&bytes).unwrap();
    let ring = table.ring(0).unwrap();
    let mut load = [0u32; 35];
    let mut out = [TargetId(0); 1];
    for pid in 0..100 {
        let cursor = Cursor::new(Identity { rank: None, host_hash: 8, pid, process_start: 5 });
        for _ in 0..35 {
            ring.pick(cursor.next(slot(), None, 0, pid, 1), 1, 1, &mut out);
            load[out[0].index()] += 1;
        }
    }
    // 100 per target; a Poisson count stays within five deviations.
    assert!(load.iter().all(|files| (50..=150).contains(files)), "{load:?}");
}

/// A rank that cannot be is no rank, rather than a division by nothing or a clash with rank 0.
#[test]
fn an_impossible_rank_counts_as_none() {
    let odd = Cursor::new(rank_identity(5, 5));
    let none = Cursor::new(Identity { rank: None, ..rank_identity(0, 1) });
    let zero = Cursor::new(rank_identity(0, 0));
    let expected = none.next(slot(), None, 7, PID, 4);
    assert_eq!(odd.next(slot(), None, 7, PID, 4), expected);
    assert_eq!(zero.next(slot(), None, 7, PID, 4), expected);
}

/// Each kind of entry has its own count, so alternating between kinds does not leave gaps on either ring.
#[test]
fn kinds_of_files_are_counted_apart() {
    let cursor = Cursor::new(rank_identity(1, 10));
    let (job, text) = (name(3), JobName { file: FileClass::Text, ..name(3) });
    let slots = [job.slot(job.exact()), text.slot(text.exact()), job.slot(job.any_file())];
    let mut steps = slots.map(|slot| cursor.next(slot, None, 0, PID, 2)).to_vec();
    steps.extend(slots.map(|slot| cursor.next(slot, None, 0, PID, 2)));
    let (first, second) = (Position { begin: 0, within: 2 }, Position { begin: 20, within: 2 });
    assert_eq!(steps, [first, first, first, second, second, second]);
}

/// A place says where the next row begins: a new dealing starts over, the same one goes on.
#[test]
fn a_new_place_begins_a_new_row() {
    let cursor = Cursor::new(rank_identity(1, 10));
    let next = |begin, deal| cursor.next(slot(), Some(Place { begin, deal }), 999, PID, 2);
    let at = |begin| Position { begin, within: 2 };
    assert_eq!([next(100, 0), next(100, 0), next(100, 0)], [at(100), at(120), at(140)]);
    assert_eq!([next(7, 1), next(7, 1), next(300, 65_535)], [at(7), at(27), at(300)]);
    assert_eq!(cursor.next(slot(), None, 999, PID, 2), at(999), "without a place it is another walk");
}

/// Files that leave stripes empty: the tickets between are the next files', so all targets get data.
#[test]
fn empty_stripes_take_no_tickets() {
    let bytes = equal_table(36);
    let table = Table::verify(&bytes).unwrap();
    let ring = table.ring(0).unwrap();
    let mut load = vec![0; 36];
    let mut out = [TargetId(0); 4];
    for rank in 0..36 {
        let cursor = Cursor::new(rank_identity(rank, 36));
        let position = cursor.next(slot(), None, 5, PID, 1);
        assert_eq!(ring.pick(position, 1, 4, &mut out), 4);
        load[out[0].index()] += 1;
    }
    assert_eq!(load, [1; 36]);
}

use super::*;
use crate::analyze::Subject;

/// Ranks with files of 1 GiB over many targets, 10 s each, but for rank 3.
fn files(ranks: u64, bytes: u64, io_s: f64) -> Vec<FileUse> {
    let of = |rank| if rank == 3 { (bytes, io_s) } else { (GIB, 10.0) };
    (0..ranks).map(|rank| own(rank, of(rank).0, of(rank).1, &[rank as u32, 100 + rank as u32])).collect()
}

#[test]
fn a_rank_that_takes_far_longer() {
    let finding = only(&job(16, files(16, GIB, 40.0)), Code::RankImbalance);
    assert_eq!(finding.subject, Subject::Rank { rank: 3 });
    assert!(finding.words.contains("4.0 times"), "{}", finding.words);
    assert!(finding.fix.contains("its node"), "the same bytes: {}", finding.fix);
    let more = only(&job(16, files(16, 6 * GIB, 60.0)), Code::RankImbalance);
    assert!(more.fix.contains("equal parts"), "{}", more.fix);
    assert!(findings(&job(16, files(16, GIB, 39.0))).is_empty(), "below the factor");
    assert!(findings(&job(7, files(7, GIB, 40.0))).is_empty(), "few ranks");
    let quick: Vec<FileUse> = files(16, GIB, 40.0)
        .into_iter()
        .map(|mut file| {
            file.by_rank[0].io_s /= 10.0;
            file
        })
        .collect();
    assert!(findings(&job(16, quick)).is_empty(), "few seconds");
    let long = Facts { run_time_s: Some(6001.0), ..job(16, files(16, GIB, 40.0)) };
    assert!(findings(&long).is_empty(), "nothing against the run");
    assert_eq!(codes(&Facts { run_time_s: None, ..long }), ["TZ-RANK-01"]);
}

#[test]
fn one_rank_does_the_io_of_all() {
    let alone = |bytes: u64, io_s| {
        let rest = (1..10).map(|rank| own(rank, GIB, 0.1, &[rank as u32, 50]));
        rest.chain([own(0, bytes, io_s, &[1, 2, 3, 4])]).collect::<Vec<_>>()
    };
    let finding = only(&job(512, alone(81 * GIB, 100.0)), Code::RankImbalance);
    assert!(finding.words.contains("90 %") && finding.words.contains("511 others"), "{}", finding.words);
    assert!(findings(&job(512, alone(81 * GIB, 9.0))).is_empty(), "few seconds");
    assert!(!codes(&job(512, alone(81 * GIB, 9.0))).contains(&"TZ-RANK-01"));
    assert!(findings(&job(4, alone(81 * GIB, 100.0))).is_empty(), "few ranks");
}

#[test]
fn a_slow_rank_in_a_shared_file() {
    let with = |slowest_s, each_s| {
        let mut file = shared(4 * GIB, 64, each_s, &[1, 2]);
        file.by_all.as_mut().unwrap().slowest_s = slowest_s;
        job(64, vec![file])
    };
    let finding = only(&with(40.0, 10.0), Code::RankImbalance);
    assert_eq!(finding.subject, Subject::Rank { rank: 3 });
    assert!(findings(&with(39.0, 10.0)).is_empty(), "below the factor");
    assert!(findings(&with(9.0, 0.1)).is_empty(), "few seconds");
}

#[test]
fn one_rank_behind_collective_calls() {
    let with = |slowest_bytes, slowest_s| {
        let mut file = shared(4 * GIB, 64, 50.0, &[1, 2]);
        let bytes = 4 * GIB;
        file.behind = Some(SharedUse { bytes, io_s: slowest_s, slowest_rank: 0, slowest_s, slowest_bytes });
        job(64, vec![file])
    };
    let finding = only(&with(4 * GIB, 45.0), Code::RankImbalance);
    assert_eq!(finding.subject, Subject::Rank { rank: 0 });
    assert!(findings(&with(2 * GIB, 45.0)).is_empty(), "two ranks collect");
    assert!(findings(&with(4 * GIB, 9.0)).is_empty(), "few seconds");
}

#[test]
fn a_slow_target_is_not_a_slow_rank() {
    let all =
        (0..120).map(|rank| own(rank, GIB, if rank % 10 == 7 { 80.0 } else { 10.0 }, &[(rank % 10) as u32]));
    assert_eq!(codes(&job(120, all.collect())), ["TZ-TARGET-02"]);
}

#[test]
fn one_rank_with_few_bytes_does_not_do_all() {
    let alone = |bytes| job(64, vec![own(0, bytes, 60.0, &[1, 2])]);
    assert!(findings(&alone(GIB - 1)).is_empty());
    assert_eq!(codes(&alone(GIB)), ["TZ-RANK-01"]);
}

#[test]
fn without_a_number_of_ranks_none_is_blamed() {
    let facts = job(16, files(16, GIB, 40.0));
    assert_eq!(codes(&facts), ["TZ-RANK-01"]);
    assert!(findings(&Facts { ranks: None, ..facts }).is_empty());
}

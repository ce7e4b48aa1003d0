use super::*;
use crate::analyze::{StripeThresholds, Subject, stripes};

#[test]
fn one_stripe_on_a_big_shared_file() {
    let big = || shared(2 * GIB, 64, 8.0, &[5]);
    let finding = only(&job(64, vec![big()]), Code::OneStripeShared);
    assert_eq!(finding.subject, Subject::File { name: "/scratch/run/all.h5".into() });
    assert!(finding.fix.contains("lfs setstripe -c 8 -S 4M /scratch/run."), "{}", finding.fix);
    assert!(finding.fix.contains("lfs migrate -c 8 -S 4M /scratch/run/all.h5."), "{}", finding.fix);
    assert!(finding.words.contains("2.0 GiB of 64 ranks"), "{}", finding.words);

    let silent = [
        shared(GIB - 1, 64, 8.0, &[5]),
        shared(2 * GIB, 64, 4.9, &[5]),
        shared(2 * GIB, 64, 8.0, &[5, 6]),
        FileUse { layout: Vec::new(), ..big() },
        // Much is moved, but the file is small.
        FileUse { end: 100 * MIB, ..big() },
        own(0, 2 * GIB, 8.0, &[5]),
    ];
    for file in silent {
        assert!(findings(&job(64, vec![file.clone()])).is_empty(), "{file:?}");
    }
    // Two stripes on one target are one target.
    assert_eq!(codes(&job(64, vec![shared(2 * GIB, 64, 8.0, &[5, 5])])), ["TZ-STRIPE-01"]);
}

#[test]
fn ranks_with_records_of_their_own_share_a_file_too() {
    let by_rank = (0..2).map(|rank| RankUse { rank, bytes: GIB, io_s: 9.0 }).collect();
    let both = FileUse { by_rank, ..file("/scratch/run/two", 2 * GIB, &[5]) };
    let finding = only(&job(64, vec![both]), Code::OneStripeShared);
    assert!(finding.fix.contains("-c 2 "), "no more stripes than ranks: {}", finding.fix);
}

#[test]
fn only_the_part_of_a_layout_that_is_reached_counts() {
    let mut grown = shared(2 * GIB, 64, 8.0, &[5]);
    grown.layout[0].extent.end = Some(4 * GIB);
    let wide =
        Piece { extent: Extent { start: 4 * GIB, end: None }, stripe_size: MIB, osts: vec![6, 7, 8, 9] };
    grown.layout.push(wide);
    assert_eq!(codes(&job(64, vec![grown.clone()])), ["TZ-STRIPE-01"]);
    (grown.end, grown.written_bytes) = (6 * GIB, 6 * GIB);
    assert!(findings(&job(64, vec![grown])).is_empty());
}

#[test]
fn the_root_of_a_file_system_is_never_to_be_striped() {
    let root = FileUse { name: Some("/scratch/all.h5".into()), ..shared(2 * GIB, 64, 8.0, &[5]) };
    assert!(only(&job(64, vec![root]), Code::OneStripeShared).fix.contains("-S 4M DIR."));
}

#[test]
fn files_of_one_folder_are_one_finding() {
    let named = |name: &str, bytes| FileUse { name: Some(name.into()), ..shared(bytes, 64, 8.0, &[5]) };
    let files =
        vec![named("/scratch/a/1", 2 * GIB), named("/scratch/a/2", 3 * GIB), named("/scratch/b/1", 9 * GIB)];
    let found = findings(&job(64, files));
    assert_eq!(found.len(), 2);
    assert!(found[0].words.starts_with("/scratch/b/1") && found[1].words.starts_with("/scratch/a/2"));
    assert!(found[1].words.contains("1 more file"), "{}", found[1].words);
    let many: Vec<FileUse> = (0..40).map(|folder| named(&format!("/scratch/{folder}/x"), 2 * GIB)).collect();
    let found = findings(&job(64, many));
    assert_eq!(found.len(), 16);
    assert!(found[15].words.contains("24 folders more"), "{}", found[15].words);
}

#[test]
fn recommended_counts_grow_with_the_file_and_stop() {
    let thresholds = StripeThresholds::default();
    let rows = [(0, 8), (GIB, 8), (9 * GIB, 16), (41 * GIB, 64), (u64::MAX, 64)];
    for (size, stripes) in rows {
        assert_eq!(stripes::recommended(size, 1000, &thresholds), stripes, "{size}");
    }
    assert_eq!(stripes::recommended(9 * GIB, 12, &thresholds), 12);
}

/// 100 ranks with a file each, dealt over these targets, and one file that shows the highest index.
fn dealt(bytes_each: u64, osts: &[u32], highest: u32) -> Vec<FileUse> {
    let targets = osts.iter().cycle();
    let mut files: Vec<FileUse> =
        (0..100).zip(targets).map(|(rank, ost)| own(rank, bytes_each, 30.0, &[*ost])).collect();
    files.push(file("/scratch/run/input", 0, &[highest]));
    files
}

#[test]
fn few_targets_for_many_bytes() {
    let finding = only(&job(100, dealt(2 * GIB, &[1, 2, 3], 39)), Code::FewTargets);
    assert!(finding.words.contains("3 of at least 40 targets (7.5 %)"), "{}", finding.words);
    assert!(finding.fix.contains("lfs getstripe -d /scratch/run"), "{}", finding.fix);
    assert!(findings(&job(100, dealt(GIB - 1, &[1, 2, 3], 39))).is_empty(), "not many bytes");
    assert!(findings(&job(100, dealt(2 * GIB, &[1, 2, 3], 29))).is_empty(), "a tenth of the targets");
    // Five ranks cannot use more.
    let serial = (0..5).map(|rank| own(rank, 40 * GIB, 30.0, &[1 + rank as u32 % 3])).chain([file(
        "/scratch/i",
        0,
        &[39],
    )]);
    assert!(findings(&job(5, serial.collect())).is_empty());
    // One big file with one stripe is the same thing under its own code.
    let big = shared(200 * GIB, 100, 30.0, &[30]);
    assert_eq!(codes(&job(100, vec![big])), ["TZ-STRIPE-01"]);
    let wide = shared(200 * GIB, 100, 30.0, &[30, 31]);
    let finding = only(&job(100, vec![wide]), Code::FewTargets);
    assert!(finding.fix.contains("lfs setstripe -c 32 -S 4M /scratch/run"), "{}", finding.fix);
}

#[test]
fn small_files_with_many_stripes() {
    let small = |count: u64, bytes, osts: &[u32]| {
        (0..count).map(|rank| own(rank, bytes, 0.1, osts)).collect::<Vec<_>>()
    };
    let finding = only(&job(64, small(32, MIB, &[1, 2, 3, 4])), Code::SmallFilesWide);
    assert_eq!(finding.subject, Subject::Folder { path: "/scratch/run".into(), files: 32 });
    assert!(finding.fix.contains("lfs setstripe -c 1 /scratch/run."), "{}", finding.fix);
    assert!(findings(&job(64, small(31, MIB, &[1, 2, 3, 4]))).is_empty(), "few files");
    assert!(findings(&job(64, small(32, MIB, &[1, 2, 3]))).is_empty(), "not wide");
    assert!(findings(&job(64, small(32, 3 * MIB, &[1, 2, 3, 4]))).is_empty(), "most stripes are used");
    let large: Vec<u32> = (0..64).collect();
    assert!(findings(&job(64, small(32, 17 * MIB, &large))).is_empty(), "not small");
    let mut read = small(32, MIB, &[1, 2, 3, 4]);
    read.iter_mut().for_each(|file| (file.read_bytes, file.written_bytes) = (MIB, 0));
    assert!(findings(&job(64, read)).is_empty(), "who knows how large it is");
}

#[test]
fn one_target_carries_most() {
    let files = |main: u64| {
        let others = (1..8).map(|rank| own(rank, 2 * GIB, 3.0, &[rank as u32]));
        others.chain([own(0, main, 3.0, &[20])]).collect::<Vec<_>>()
    };
    let finding = only(&job(8, files(14 * GIB)), Code::OneTargetMost);
    assert_eq!(finding.subject, Subject::Target { mount: "/scratch".into(), ost: 20 });
    assert!(
        finding.words.contains("50 %") && finding.fix.contains("f.0"),
        "{} {}",
        finding.words,
        finding.fix
    );
    assert!(findings(&job(8, files(13 * GIB))).is_empty(), "less than half");
    assert!(
        findings(&job(8, files(14 * GIB).into_iter().filter(|file| file.end > 2 * GIB).collect())).is_empty()
    );
    let small: Vec<FileUse> =
        (0..8).map(|rank| own(rank, if rank == 0 { 9 * GIB } else { MIB }, 3.0, &[rank as u32])).collect();
    assert!(findings(&job(8, small)).is_empty(), "not many bytes");
    // Many files on it: somebody fixed the first target.
    let fixed = (0..40).map(|rank| own(rank, GIB, 3.0, &[if rank < 30 { 0 } else { rank as u32 }]));
    let finding = only(&job(8, fixed.collect()), Code::OneTargetMost);
    assert!(finding.fix.contains("lfs getstripe -d /scratch/run"), "{}", finding.fix);
}

#[test]
fn a_share_of_the_job_counts_all_its_bytes() {
    let on = |mount: &str, file: FileUse| FileUse { mount: mount.into(), ..file };
    let lustre = || {
        let others = (1..4).map(|rank| own(rank, GIB, 3.0, &[rank as u32]));
        others.chain([own(0, 12 * GIB, 3.0, &[20])]).collect::<Vec<_>>()
    };
    assert!(only(&job(8, lustre()), Code::OneTargetMost).words.contains("80 % of the job's bytes"));
    // Nine GiB more elsewhere, without a layout: 12 of 24 GiB.
    let elsewhere = |bytes| on("/home", FileUse { layout: Vec::new(), ..own(9, bytes, 3.0, &[0]) });
    let with = |bytes| job(8, lustre().into_iter().chain([elsewhere(bytes)]).collect());
    assert!(only(&with(9 * GIB), Code::OneTargetMost).words.contains("50 % of the job's bytes"));
    assert!(findings(&with(10 * GIB)).is_empty(), "less than half of the job");
    // Two file systems with layouts: none of the two carries half of the job on one target.
    let both = lustre().into_iter().chain(lustre().into_iter().map(|file| on("/projects", file)));
    assert!(findings(&job(8, both.collect())).is_empty(), "12 of 30 GiB each");
    // The even part is that of the mount: one target of two there, whatever the other file systems have.
    let few = [own(0, 30 * GIB, 3.0, &[1]), own(1, 20 * GIB, 3.0, &[2])];
    let other = (2..6).map(|rank| on("/projects", own(rank, MIB, 3.0, &[rank as u32])));
    assert!(findings(&job(8, few.into_iter().chain(other).collect())).is_empty());
}

#[test]
fn files_without_a_folder_are_no_folder() {
    let nameless = |id| FileUse { id, name: None, ..shared(2 * GIB, 64, 8.0, &[5]) };
    let found = findings(&job(64, vec![nameless(7), nameless(8)]));
    assert_eq!(found.len(), 2);
    for finding in &found {
        assert!(!finding.words.contains("of this folder"), "{}", finding.words);
    }
    let bare = |name: &str| FileUse { name: Some(name.into()), id: name.len() as u64, ..nameless(0) };
    assert_eq!(findings(&job(64, vec![bare("a"), bare("bc")])).len(), 2);
}

#[test]
fn what_is_beyond_the_list_is_not_said_under_another_name() {
    let file = |at: u64| FileUse {
        name: Some(format!("/scratch/{at}/x")),
        ..shared(4 * GIB, 64, 8.0, &[if at < 16 { 5 } else { 6 }])
    };
    // 24 of 40 files lie on target 6, all of them in folders that the list leaves out.
    let mut facts = job(64, (0..40).map(file).collect());
    facts.files[..16].iter_mut().for_each(|file| file.written_bytes += 1);
    let mut wide = own(0, 0, 0.0, &[0]);
    wide.layout[0].osts = (0..100).collect();
    facts.files.push(wide);
    let found = findings(&facts);
    assert_eq!(found.len(), 16, "{:?}", found.last());
    assert!(found.iter().all(|finding| finding.code == Code::OneStripeShared));
}

#[test]
fn without_a_number_of_ranks_nothing_depends_on_it() {
    let unknown = |facts: Facts| Facts { ranks: None, ..facts };
    assert!(!findings(&job(64, vec![shared(2 * GIB, 64, 8.0, &[5])])).is_empty());
    assert!(findings(&unknown(job(64, vec![shared(2 * GIB, 64, 8.0, &[5])]))).is_empty());
    assert!(findings(&unknown(job(100, dealt(2 * GIB, &[1, 2, 3], 39)))).is_empty());
}

#[test]
fn stripes_that_a_small_file_does_not_reach_do_not_make_it_wide() {
    let grown = |rank| {
        let mut file = own(rank, MIB, 0.1, &[1]);
        file.layout[0].extent.end = Some(64 * MIB);
        let extent = Extent { start: 64 * MIB, end: None };
        file.layout.push(Piece { extent, stripe_size: MIB, osts: vec![2, 3, 4, 5, 6, 7, 8, 9] });
        file
    };
    assert!(findings(&job(64, (0..40).map(grown).collect())).is_empty());
}

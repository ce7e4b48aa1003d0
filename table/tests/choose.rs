//! A client's whole decision: every way to a layout, and every reason for none.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod common;

use common::{BOOT_HASH, name, published, reader, spec};
use tarazu_layout::{JobId, TargetId};
use tarazu_table::{
    Ask, Choice, Cursor, FileClass, Flags, Identity, Inherited, JobEntry, JobName, Place, Published, Rank,
    Reader, Reason, Steer, TableSpec, Tier, choose,
};

fn cursor() -> Cursor {
    let rank = Some(Rank { rank: 0, world: 4 });
    Cursor::new(Identity { rank, host_hash: 1, pid: 9, process_start: 2 })
}

fn ask(name: JobName) -> Ask {
    Ask { name, pid: 9, keep: None }
}

fn decide(spec: &TableSpec, reader: &Reader, ask: &Ask, out: &mut [TargetId]) -> Choice {
    let bytes = published(spec);
    choose(Ok(&Published::verify(&bytes).unwrap()), reader, &cursor(), ask, out)
}

fn steer(choice: Choice) -> Steer {
    match choice {
        Choice::Steer(steer) => steer,
        Choice::Leave(reason) => panic!("left alone: {reason}"),
    }
}

#[test]
fn a_known_job_gets_its_class() {
    let spec = spec(35, 16, 8);
    let mut out = [TargetId(99); 10];
    let steer = steer(decide(&spec, &reader(1.0), &ask(name(3)), &mut out));
    let class = spec.classes[3];
    assert_eq!(steer.class, 3);
    assert_eq!(steer.tier, Tier::Now);
    assert_eq!(steer.order, spec.order);
    assert_eq!((steer.stripes, steer.stripe_size), (8, class.stripe_size));
    assert_eq!((steer.expected_bytes, steer.confidence_percent), (1 << 30, 90));
    assert!(out[..8].iter().all(|target| target.0 < 35));
    assert_eq!(out[8..], [TargetId(99); 2]);
}

#[test]
fn lookups_go_from_exact_to_general() {
    let mut spec = spec(35, 16, 0);
    let name = name(1);
    let entry = |key, stripe_count| JobEntry {
        key,
        expected_bytes: 1 << 20,
        stripe_size: 1 << 17,
        stripe_count,
        class: 0,
        confidence_percent: 50,
        worthwhile: true,
        place: None,
    };
    spec.jobs = vec![entry(name.exact(), 1), entry(name.any_file(), 2), entry(name.any_executable(), 3)];
    let stripes = |name: JobName| {
        let steer = steer(decide(&spec, &reader(1.0), &ask(name), &mut [TargetId(0); 10]));
        assert_eq!(steer.stripe_size, 1 << 17);
        steer.stripes
    };
    assert_eq!(stripes(name), 1);
    assert_eq!(stripes(JobName { file: FileClass::Text, ..name }), 2);
    assert_eq!(stripes(JobName { executable_hash: 6, ..name }), 3);
    let stranger = JobName { job: JobId(2), ..name };
    let choice = decide(&spec, &reader(1.0), &ask(stranger), &mut [TargetId(0); 10]);
    assert_eq!(choice, Choice::Leave(Reason::UnknownJob));
}

#[test]
fn age_and_flags_pick_the_ring() {
    let mut spec = spec(35, 16, 8);
    let tier = |spec: &TableSpec, age_s| {
        steer(decide(spec, &reader(age_s), &ask(name(0)), &mut [TargetId(0); 10])).tier
    };
    assert_eq!(tier(&spec, 15.0), Tier::Now);
    assert_eq!(tier(&spec, 15.1), Tier::Steady);
    assert_eq!(tier(&spec, 900.0), Tier::Steady);
    spec.flags = Flags { steady_only: true };
    assert_eq!(tier(&spec, 0.0), Tier::Steady);
}

#[test]
fn every_doubt_leaves_the_file_alone() {
    let sound = spec(35, 16, 8);
    let mut out = [TargetId(0); 8];
    let mut leave = |spec: &TableSpec, reader: &Reader, ask: &Ask| match decide(spec, reader, ask, &mut out) {
        Choice::Leave(reason) => reason,
        Choice::Steer(steer) => panic!("steered: {steer:?}"),
    };
    let known = ask(name(3));
    assert_eq!(leave(&sound, &reader(900.1), &known), Reason::Stale);
    assert_eq!(leave(&sound, &reader(-0.1), &known), Reason::ClockBackwards);
    let elsewhere = Reader { fs_name_hash: 1, ..reader(1.0) };
    assert_eq!(leave(&sound, &elsewhere, &known), Reason::OtherFileSystem);
    let rebooted = Reader { boot_hash: BOOT_HASH + 1, ..reader(1.0) };
    assert_eq!(leave(&sound, &rebooted, &known), Reason::OtherBoot);
    assert_eq!(leave(&sound, &reader(1.0), &ask(name(8))), Reason::UnknownJob);
    let mut unsure = sound.clone();
    unsure.jobs[3].confidence_percent = 49;
    assert_eq!(leave(&unsure, &reader(1.0), &known), Reason::LowConfidence);
    let mut dear = sound.clone();
    dear.jobs[3].worthwhile = false;
    assert_eq!(leave(&dear, &reader(1.0), &known), Reason::NotWorthwhile);
    let wide = Ask { keep: Some(Inherited { stripe_count: 9, stripe_size: 1 << 20 }), ..known };
    assert_eq!(leave(&sound, &reader(1.0), &wide), Reason::NoRoom);
    for reason in [Reason::NoTable, Reason::Refused] {
        assert_eq!(choose(Err(reason), &reader(1.0), &cursor(), &known, &mut out), Choice::Leave(reason));
    }
}

#[test]
fn an_inherited_striping_is_kept() {
    let spec = spec(35, 16, 8);
    let mut out = [TargetId(0); 64];
    let mut with = |stripe_count| {
        let keep = Some(Inherited { stripe_count, stripe_size: 3 << 16 });
        let steer = steer(decide(&spec, &reader(1.0), &Ask { keep, ..ask(name(3)) }, &mut out));
        assert_eq!(steer.stripe_size, 3 << 16);
        steer.stripes
    };
    assert_eq!(with(5), 5);
    // Lustre's -1: all targets, here as many as the ring has.
    assert_eq!(with(u16::MAX), 35);
}

/// Dropping a stripe would be striping, not placing: all or nothing.
#[test]
fn a_striping_that_too_few_targets_take_part_in_is_left_alone() {
    let mut spec = spec(35, 16, 8);
    for ring in &mut spec.rings {
        ring.tickets.retain(|target| target.0 != 17);
    }
    let mut out = [TargetId(0); 64];
    let mut with = |stripe_count| {
        let keep = Some(Inherited { stripe_count, stripe_size: 3 << 16 });
        decide(&spec, &reader(1.0), &Ask { keep, ..ask(name(3)) }, &mut out)
    };
    assert_eq!(steer(with(34)).stripes, 34);
    assert_eq!(with(35), Choice::Leave(Reason::TooFewTargets));
    assert_eq!(with(u16::MAX), Choice::Leave(Reason::TooFewTargets));
}

/// A file that is left alone must not leave a gap in the job's walk.
#[test]
fn only_steered_files_move_the_cursor() {
    let bytes = published(&spec(35, 16, 8));
    let published = Published::verify(&bytes).unwrap();
    let (walked, fresh) = (cursor(), cursor());
    let mut out = [[TargetId(0); 8]; 2];
    for _ in 0..5 {
        choose(Ok(&published), &reader(1e4), &walked, &ask(name(3)), &mut out[0]);
        choose(Ok(&published), &reader(1.0), &walked, &ask(name(99)), &mut out[0]);
    }
    choose(Ok(&published), &reader(1.0), &walked, &ask(name(3)), &mut out[0]);
    choose(Ok(&published), &reader(1.0), &fresh, &ask(name(3)), &mut out[1]);
    assert_eq!(out[0], out[1]);
}

/// A place is one on the ring *now*; jobs that all begin at 0 of their own rings must not meet on the steady one.
#[test]
fn a_place_holds_on_the_ring_now_only() {
    let mut spec = spec(35, 16, 8);
    let mut first = |job: u64, age_s, place| {
        spec.jobs[job as usize].place = place;
        let mut out = [TargetId(0); 10];
        steer(decide(&spec, &reader(age_s), &ask(name(job)), &mut out));
        out[0]
    };
    let place = |begin| Some(Place { begin, deal: 3 });
    assert_ne!(first(3, 1.0, place(0)), first(3, 1.0, place(1)));
    assert_eq!(first(3, 100.0, place(0)), first(3, 100.0, place(1)));
    assert_eq!(first(3, 100.0, place(0)), first(3, 100.0, None));
}

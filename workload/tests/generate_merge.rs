//! Several workloads as one: nodes, job ids and files stay apart, totals add up.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tarazu_layout::{JobId, Layout, Time};
use tarazu_workload::generate::{GenerateError, SameNames, combine, from_spec, replicate, scale_bytes};
use tarazu_workload::{Action, Workload};

fn part(spec: &str) -> Workload {
    from_spec(&format!("ior:ranks_per_node=2,block=2M,{spec}"), 3).expect(spec)
}

fn ids(workload: &Workload) -> Vec<u64> {
    workload.jobs.iter().map(|job| job.id.0).collect()
}

fn nodes_of(workload: &Workload) -> Vec<BTreeSet<u32>> {
    workload.jobs.iter().map(|job| job.ranks.iter().map(|rank| rank.node.0).collect()).collect()
}

fn names(workload: &Workload) -> Vec<&str> {
    workload.files.iter().map(|file| &*file.name).collect()
}

#[test]
fn parts_run_beside_each_other() {
    let parts = vec![part("nodes=2,job=1"), part("nodes=3,job=1,start=5"), part("nodes=1,job=2,start=1")];
    let merged = combine(parts.clone(), SameNames::Distinct).expect("small");
    assert_eq!(merged.check(), Ok(()));
    // In order of their start. The second job 1 gets the lowest id that no part uses.
    assert_eq!(ids(&merged), [1, 2, 3]);
    assert_eq!(nodes_of(&merged), [BTreeSet::from([0, 1]), BTreeSet::from([5]), BTreeSet::from([2, 3, 4])]);
    let sum: u64 = parts.iter().map(|part| part.totals().written_bytes).sum();
    assert_eq!(merged.totals().written_bytes, sum);
    assert_eq!(merged.files.len(), 4 + 6 + 2);
    assert_eq!(names(&merged).into_iter().collect::<BTreeSet<_>>().len(), 12);
    assert!(names(&merged).contains(&"/ior/data.0000.00000000.2"));
    // Job 3 came second: its first rank still writes its own file, under the new name.
    let file = merged.jobs[2].ranks[0].ops[1].action.file().expect("a create");
    assert_eq!(merged.files[file.0 as usize].name, "/ior/data.0000.00000000.1");
}

#[test]
fn shared_names_are_one_file() {
    let mut parts = vec![part("nodes=2"), part("nodes=3,write=false,read=true")];
    parts[1].files[0].logged = Some(Layout::plain(2, 1 << 20));
    let merged = combine(parts, SameNames::Shared).expect("small");
    assert_eq!(merged.check(), Ok(()));
    assert_eq!(merged.files.len(), 6);
    assert!(merged.files[0].exists && merged.files[0].logged.is_some());
    assert_eq!(merged.jobs.len(), 2);
}

#[test]
fn a_renamed_file_meets_no_other_name() {
    let mut one = part("nodes=1");
    one.files[1].name = format!("{}.1", one.files[0].name);
    let merged = combine(vec![one.clone(), one], SameNames::Distinct).expect("small");
    let base = "/ior/data.0000.00000000";
    let expected = ["", ".1", ".1.1", ".1.1.1"].map(|suffix| format!("{base}{suffix}"));
    assert_eq!(names(&merged), expected);
}

#[test]
fn copies_begin_within_their_stagger() {
    let one = part("nodes=2,job=5,start=10");
    let many = replicate(&one, 20, 30.0, 1).expect("small");
    assert_eq!(many.check(), Ok(()));
    assert_eq!(many, replicate(&one, 20, 30.0, 1).expect("small"));
    assert_ne!(many, replicate(&one, 20, 30.0, 2).expect("small"));
    assert!(many.jobs.iter().all(|job| (Time(10_000_000_000)..Time(40_000_000_000)).contains(&job.start)));
    assert_eq!(many.jobs.iter().map(|job| job.start).collect::<BTreeSet<_>>().len(), 20);
    assert_eq!(many.nodes(), 40);
    assert_eq!(ids(&many).into_iter().collect::<BTreeSet<_>>().len(), 20);
    assert_eq!(many.totals().ops, 20 * one.totals().ops);
    assert_eq!(names(&many).into_iter().collect::<BTreeSet<_>>().len(), 20 * 4);
    // A copy more leaves the others as they are.
    let more = replicate(&one, 21, 30.0, 1).expect("small");
    assert!(many.jobs.iter().all(|job| more.jobs.iter().any(|other| other.start == job.start)));
    let unmoved = replicate(&one, 2, 0.0, 1).expect("small");
    assert!(unmoved.jobs.iter().all(|job| job.start == Time(10_000_000_000)));
}

#[test]
fn scaled_bytes_keep_their_order_and_times() {
    let one = part("nodes=2,access=ssf,read=true,segments=2");
    let larger = scale_bytes(&one, 7).expect("small");
    assert_eq!(larger.check(), Ok(()));
    assert_eq!(larger.totals().written_bytes, 7 * one.totals().written_bytes);
    assert_eq!(larger.totals().read_bytes, 7 * one.totals().read_bytes);
    let pairs = one.jobs[0].ranks.iter().zip(&larger.jobs[0].ranks);
    for (before, after) in pairs.flat_map(|(before, after)| before.ops.iter().zip(&after.ops)) {
        assert_eq!((before.start, before.think), (after.start, after.think));
        if let (Action::Write { offset, bytes, .. }, Action::Write { offset: at, bytes: long, .. }) =
            (before.action, after.action)
        {
            assert_eq!((at, long), (offset * 7, bytes * 7));
        }
    }
    assert_eq!(scale_bytes(&one, 1).expect("small"), one);
}

#[test]
fn limits_hold_before_anything_is_copied() {
    let one = part("nodes=2");
    let rows = [
        replicate(&one, u32::MAX, 0.0, 1),
        replicate(&one, 0, 0.0, 1),
        replicate(&one, 1, -1.0, 1),
        replicate(&one, 1, f64::NAN, 1),
        scale_bytes(&one, 0),
        scale_bytes(&one, u64::MAX),
        scale_bytes(&one, 1 << 42),
    ];
    let words =
        ["the limit is", "copies", "stagger", "stagger", "factor", "bytes in a file", "bytes to move"];
    for (row, wanted) in rows.into_iter().zip(words) {
        let error = row.expect_err(wanted);
        assert!(error.to_string().contains(wanted), "wanted {wanted}, found {error}");
    }
    let mut far = one.clone();
    far.jobs[0].ranks[0].node.0 = u32::MAX;
    let error = combine(vec![far.clone(), far], SameNames::Distinct).expect_err("too many nodes");
    assert!(matches!(error, GenerateError::TooMany { what: "nodes", .. }), "{error}");
    assert_eq!(combine(Vec::new(), SameNames::Distinct), Ok(Workload::default()));
}

proptest! {
    #[test]
    fn combined_jobs_share_nothing(
        parts in prop::collection::vec((1u32..3, 0u64..4, 0u32..3), 0..6), shared in any::<bool>(),
    ) {
        let parts: Vec<_> =
            parts.iter().map(|(nodes, job, start)| part(&format!("nodes={nodes},job={job},start={start}"))).collect();
        let same = if shared { SameNames::Shared } else { SameNames::Distinct };
        let merged = combine(parts.clone(), same).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(merged.check(), Ok(()));
        let sets = nodes_of(&merged);
        prop_assert_eq!(sets.iter().map(BTreeSet::len).sum::<usize>(), sets.iter().flatten().collect::<BTreeSet<_>>().len());
        prop_assert_eq!(ids(&merged).into_iter().collect::<BTreeSet<_>>().len(), parts.len());
        prop_assert!(merged.jobs.is_sorted_by_key(|job| (job.start, job.id)));
        prop_assert_eq!(names(&merged).into_iter().collect::<BTreeSet<_>>().len(), merged.files.len());
        let kept = parts.first().is_none_or(|first| merged.jobs.iter().any(|job| job.id == JobId(first.jobs[0].id.0)));
        prop_assert!(kept);
    }
}

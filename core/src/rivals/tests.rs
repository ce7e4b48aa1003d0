//! Each rule does what was published, and no better.

use super::*;
use crate::policy::{Allocator, Request, TargetFacts};
use crate::rng::{Rng, stream};
use crate::topology::tests::uniform;
use crate::view::View;
use crate::view::tests::sample;
use tarazu_layout::{Bytes, FsId, JobId, Layout, MdtId, ServerId, Time};
use tarazu_table::{Cursor, FileClass, Identity, JobName, Reader, Reason};

fn place(policy: &mut dyn Allocator, view: &View, job: u64, count: u32, rng: &mut Rng) -> Vec<usize> {
    let facts: Vec<_> = (0..view.targets.len() as u32)
        .map(|target| TargetFacts { server: ServerId(target / 2), ..TargetFacts::WELL })
        .collect();
    let layout = Layout::plain(count, 1 << 20);
    let cursor = Cursor::new(Identity { rank: None, host_hash: 0, pid: 0, process_start: 0 });
    let request = Request {
        fs: FsId(0),
        mdt: MdtId(0),
        name: JobName { uid: 0, job: JobId(job), executable_hash: 0, file: FileClass::Other },
        pid: 0,
        expected: None,
        confidence: 0,
        read_share: 0.0,
        writers: 1,
        mirror_domain: None,
        inherited: &layout,
        component: 0,
        siblings: &[],
        start: None,
    };
    let knows = Knows {
        now: Time::ZERO,
        targets: &facts,
        published: Err(Reason::NoTable),
        reader: Reader { fs_name_hash: 0, boot_hash: 0, now: Time::ZERO },
        cursor: &cursor,
        view: Some(view),
        placed: None,
    };
    match policy.place(&request, &knows, rng) {
        Decision::Place { targets, .. } => targets.iter().map(|target| target.index()).collect(),
        other => panic!("{other:?}"),
    }
}

/// Four servers with two targets each; the first server has written a lot.
fn view() -> View {
    let mut view = View::new(uniform(4, 2));
    for server in 0..4 {
        let written = if server == 0 { 1 << 30 } else { 0 };
        view.take_sample(&sample(&view, server, 1, written), Time(1)).expect("a good sample");
    }
    view
}

#[test]
fn libpio_spreads_each_job_over_servers_and_targets_and_knows_no_other() {
    let (view, mut rng) = (view(), stream(1, "test", 0));
    let mut policy = Libpio::default();
    let mut used = [0; 8];
    for _ in 0..16 {
        used[place(&mut policy, &view, 7, 1, &mut rng)[0]] += 1;
    }
    assert_eq!(used, [2; 8]);
    // The busy server is used like any other, and a second job begins anew.
    let striped = place(&mut policy, &view, 8, 4, &mut rng);
    let mut servers: Vec<_> = striped.iter().map(|target| target / 2).collect();
    servers.sort_unstable();
    assert_eq!(servers, [0, 1, 2, 3]);
}

#[test]
fn linear_costs_herd() {
    let (mut view, mut rng) = (view(), stream(1, "test", 0));
    view.targets[5].free = Bytes(view.targets[5].free.0 + (1 << 30));
    for _ in 0..10 {
        assert_eq!(place(&mut LinearFlow, &view, 7, 1, &mut rng), [5]);
    }
    // The next cheapest are those of equal use and no load, by id.
    assert_eq!(place(&mut LinearFlow, &view, 7, 3, &mut rng), [5, 2, 3]);
}

#[test]
fn two_choices_avoid_the_busy_mostly() {
    let (view, mut rng) = (view(), stream(1, "test", 0));
    let busy = (0..4000).filter(|_| place(&mut TwoChoices, &view, 7, 1, &mut rng)[0] < 2).count();
    // Only where both draws are of the two busy targets: 1 in 16.
    assert!((150..=350).contains(&busy), "{busy}");
    let all = place(&mut TwoChoices, &view, 7, 99, &mut rng);
    assert_eq!(all.len(), 8);
}

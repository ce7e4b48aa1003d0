//! Sets, counts, lists, start indices, and the facts' age.

use super::*;
use crate::rng::stream;
use tarazu_layout::{Bytes, FsId, JobId, Layout, MdtId};
use tarazu_table::{Cursor, FileClass, Identity, JobName, Reader, Reason};

/// Two servers with four targets each.
fn servers() -> Vec<ServerId> {
    (0..8).map(|target| ServerId(target / 4)).collect()
}

fn facts() -> Vec<TargetFacts> {
    servers().into_iter().map(|server| TargetFacts { server, ..TargetFacts::WELL }).collect()
}

fn pool() -> (PoolName, BTreeMap<PoolName, Vec<TargetId>>) {
    let name = PoolName::new("flash").expect("short enough");
    (name, BTreeMap::from([(name, [6, 1, 2].map(TargetId).to_vec())]))
}

struct Asked<'a> {
    layout: &'a Layout<TargetId>,
    start: Option<TargetId>,
    now: Time,
}

fn ask(lustre: &mut Lustre, asked: &Asked<'_>, facts: &[TargetFacts], rng: &mut Rng) -> Decision {
    let cursor = Cursor::new(Identity { rank: None, host_hash: 0, pid: 0, process_start: 0 });
    let request = Request {
        fs: FsId(0),
        mdt: MdtId(0),
        name: JobName { uid: 0, job: JobId(0), executable_hash: 0, file: FileClass::Other },
        pid: 0,
        expected: None,
        confidence: 0,
        read_share: 0.0,
        writers: 1,
        mirror_domain: None,
        inherited: asked.layout,
        component: 0,
        siblings: &[],
        start: asked.start,
    };
    let knows = Knows {
        now: asked.now,
        targets: facts,
        published: Err(Reason::NoTable),
        reader: Reader { fs_name_hash: 0, boot_hash: 0, now: asked.now },
        cursor: &cursor,
        view: None,
        placed: None,
    };
    lustre.place(&request, &knows, rng)
}

fn placed(decision: Decision) -> Vec<u32> {
    match decision {
        Decision::Place { targets, .. } => targets.iter().map(|target| target.0).collect(),
        other => panic!("{other:?}"),
    }
}

/// The targets that a layout gets at a time.
pub(super) fn stripes_of(
    lustre: &mut Lustre,
    layout: &Layout<TargetId>,
    facts: &[TargetFacts],
    now: Time,
    rng: &mut Rng,
) -> Vec<u32> {
    placed(ask(lustre, &Asked { layout, start: None, now }, facts, rng))
}

fn at_start(layout: &Layout<TargetId>) -> Asked<'_> {
    Asked { layout, start: None, now: Time::ZERO }
}

#[test]
fn pools_are_never_left_and_clamp_the_count() {
    let (name, pools) = pool();
    let mut lustre = Lustre::new(Generation::V216, Settings::default(), &servers(), &pools);
    let mut rng = stream(1, "test", 0);
    for full in [false, true] {
        let mut facts = facts();
        if full {
            // Space differs: the weighted allocator of the pool runs.
            facts[2].free = Bytes(1 << 37);
        }
        let mut layout = Layout::plain(5, 1 << 20);
        layout.components[0].pool = Some(name);
        let mut found = placed(ask(&mut lustre, &at_start(&layout), &facts, &mut rng));
        found.sort_unstable();
        assert_eq!(found, [1, 2, 6]);
        layout.components[0].stripe_count = 1;
        for step in 0..100 {
            let asked = Asked { layout: &layout, start: None, now: Time::from_secs_f64(f64::from(step)) };
            let found = placed(ask(&mut lustre, &asked, &facts, &mut rng));
            assert!([1, 2, 6].contains(&found[0]), "{found:?}");
        }
    }
    // An unknown pool is no pool.
    let mut layout = Layout::plain(8, 1 << 20);
    layout.components[0].pool = PoolName::new("absent");
    assert_eq!(placed(ask(&mut lustre, &at_start(&layout), &facts(), &mut rng)).len(), 8);
}

#[test]
fn lists_are_strict() {
    let mut lustre = Lustre::round_robin(&servers(), &BTreeMap::new());
    let mut rng = stream(1, "test", 0);
    let mut layout = Layout::plain(3, 1 << 20);
    let mut facts = facts();
    let mut list = |stripes: &[u32], start: Option<u32>, facts: &[TargetFacts], now_s: f64| {
        layout.components[0].stripes = stripes.iter().copied().map(TargetId).collect();
        let now = Time::from_secs_f64(now_s);
        ask(&mut lustre, &Asked { layout: &layout, start: start.map(TargetId), now }, facts, &mut rng)
    };
    assert_eq!(placed(list(&[6, 1, 4], None, &facts, 0.0)), [6, 1, 4]);
    assert_eq!(placed(list(&[6, 1, 4], Some(1), &facts, 0.0)), [1, 4, 6]);
    let invalid = |id| Decision::Fail(NoTarget::Invalid(TargetId(id)));
    assert_eq!(list(&[6, 1, 4], Some(2), &facts, 0.0), invalid(2));
    assert_eq!(list(&[6, 8, 4], None, &facts, 0.0), invalid(8));
    assert_eq!(list(&[6, 1, 6], None, &facts, 0.0), invalid(6));
    // Degraded is accepted, unusable is not, from the moment on.
    facts[1].degraded = true;
    facts[4].usable = false;
    assert_eq!(placed(list(&[6, 1, 5], None, &facts, 1.0)), [6, 1, 5]);
    assert_eq!(list(&[6, 1, 4], None, &facts, 1.0), Decision::Fail(NoTarget::Listed(TargetId(4))));
}

#[test]
fn a_start_index_goes_on_in_plain_order_and_needs_all_stripes() {
    let mut lustre = Lustre::new(Generation::V216, Settings::default(), &servers(), &BTreeMap::new());
    let mut rng = stream(1, "test", 0);
    let mut facts = facts();
    let layout = Layout::plain(3, 1 << 20);
    let mut from = |start: u32, layout: &Layout<TargetId>, facts: &[TargetFacts], now_s: f64| {
        let now = Time::from_secs_f64(now_s);
        ask(&mut lustre, &Asked { layout, start: Some(TargetId(start)), now }, facts, &mut rng)
    };
    assert_eq!(placed(from(6, &layout, &facts, 0.0)), [6, 7, 0]);
    facts[7].degraded = true;
    facts[6].precreated = false;
    facts[0].precreated = false;
    // Degraded does not matter, the start itself is waited for, others without objects come last.
    assert_eq!(placed(from(6, &layout, &facts, 11.0)), [6, 7, 1]);
    facts[6].usable = false;
    assert_eq!(placed(from(6, &layout, &facts, 22.0)), [7, 1, 2]);
    assert_eq!(from(8, &layout, &facts, 22.0), Decision::Fail(NoTarget::Invalid(TargetId(8))));
    // A count above the set is clamped; one within it is needed whole.
    assert_eq!(placed(from(1, &Layout::plain(99, 1 << 20), &facts, 22.0)).len(), 7);
    facts.iter_mut().for_each(|facts| facts.usable = false);
    assert_eq!(from(1, &layout, &facts, 33.0), Decision::Fail(NoTarget::Nothing));
}

#[test]
fn space_is_read_every_ten_seconds() {
    let mut lustre = Lustre::new(Generation::V216, Settings::default(), &servers(), &BTreeMap::new());
    let mut rng = stream(1, "test", 0);
    let mut facts = facts();
    let layout = Layout::plain(1, 1 << 20);
    let share_of_7 = |lustre: &mut Lustre, facts: &[TargetFacts], now_s: f64, rng: &mut Rng| {
        let asked = Asked { layout: &layout, start: None, now: Time::from_secs_f64(now_s) };
        let mut draw = || placed(ask(lustre, &asked, facts, rng))[0];
        (0..400).filter(|_| draw() == 7).count()
    };
    assert_eq!(share_of_7(&mut lustre, &facts, 0.0, &mut rng), 50);
    facts[7].free = Bytes(1 << 34);
    assert_eq!(share_of_7(&mut lustre, &facts, 10.9, &mut rng), 50);
    assert!(share_of_7(&mut lustre, &facts, 11.0, &mut rng) < 10);
}

//! Barriers and think time: timed items of all ranks into the operations of a job.
//!
//! A barrier is an event with a time and members. Every rank gets its events in one global order, so
//! no two ranks can wait for each other crosswise.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use tarazu_layout::Time;

use super::phases::{self, PHASE_GAP_S};
use crate::limits::GROUP_RANK_PAIRS_MAX;
use crate::text::counted;
use crate::{Action, FileId, GroupId, Op, RankId};

/// Distinct groups of one job. A program has few communicators; each costs memory per rank.
const GROUPS_MAX: usize = 256;

/// Barrier operations of one job, 800 MB. More come only from damaged times.
const MEETINGS_MAX: usize = 1 << 24;

/// What an item is, in the order in which items of equal start follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Open,
    /// The barrier of a collective open.
    Opened,
    Write,
    Read,
    Fsync,
    /// The barrier that ends a collective access.
    Done,
    Close,
    /// The barrier between two phases.
    Phase,
}

/// An operation with its recorded time in seconds since the job's start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Item {
    pub(super) start_s: f64,
    pub(super) end_s: f64,
    pub(super) step: Step,
    pub(super) action: Action,
}

/// A span in which a rank does I/O. Bytes without traces make one span of their whole window, so that
/// the made-up chunks in it do not look like bursts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Busy {
    pub(super) start_s: f64,
    pub(super) end_s: f64,
    pub(super) rank: u32,
    /// `Open`, `Close`, `Write` or `Read`.
    pub(super) step: Step,
    /// An access as it was recorded, not a window.
    pub(super) traced: bool,
}

impl Busy {
    pub(super) fn moves_bytes(&self) -> bool {
        matches!(self.step, Step::Write | Step::Read)
    }
}

/// What a log's ranks did.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    /// Items of each rank, sorted by start and step.
    pub(super) ranks: Vec<Vec<Item>>,
    pub(super) busy: Vec<Busy>,
    /// Files used through collective MPI-IO, sorted.
    pub(super) collective: Vec<FileId>,
}

#[derive(Clone, Copy, Debug)]
struct Event {
    at_s: f64,
    step: Step,
    group: usize,
}

/// Groups by their members, numbered in order of their first use.
struct Groups {
    numbers: BTreeMap<Vec<RankId>, usize>,
    members: Vec<Vec<RankId>>,
    limit: usize,
}

impl Groups {
    fn new(world: usize) -> Self {
        // What the limit of pairs of group and rank leaves.
        let pairs = (GROUP_RANK_PAIRS_MAX / world.max(1) as u64) as usize;
        Self { numbers: BTreeMap::new(), members: Vec::new(), limit: GROUPS_MAX.min(pairs) }
    }

    /// The group's number, `None` where there are too many groups or too few members.
    fn of(&mut self, members: Vec<RankId>) -> Option<usize> {
        if members.len() < 2 {
            return None;
        }
        if let Some(number) = self.numbers.get(&members) {
            return Some(*number);
        }
        let number = self.members.len();
        if number >= self.limit {
            return None;
        }
        self.members.push(members.clone());
        self.numbers.insert(members, number);
        Some(number)
    }
}

/// Operations of each rank, and the groups that they synchronise in.
pub(super) fn into_ops(timeline: Timeline, notes: &mut Vec<String>) -> (Vec<Vec<Op>>, Vec<Vec<RankId>>) {
    let Timeline { ranks, busy, collective } = timeline;
    let active = ranks.iter().zip(0u32..).filter(|(items, _)| !items.is_empty());
    let active: Vec<RankId> = active.map(|(_, rank)| RankId(rank)).collect();
    let phases = phases::find(busy, ranks.len());
    let mut groups = Groups::new(ranks.len());
    let mut events = Vec::new();
    if let Some(group) = groups.of(active).filter(|_| !phases.ends_s.is_empty()) {
        events.extend(phases.ends_s.iter().map(|at_s| Event { at_s: *at_s, step: Step::Phase, group }));
        let turns = phases.ends_s.len() - phases.gaps;
        for (count, what) in [
            (phases.gaps, format!("where nobody does I/O for more than {PHASE_GAP_S} s")),
            (turns, "where the ranks turn from writing to reading or back".to_owned()),
        ] {
            if count > 0 {
                let barriers = counted(count as u64, "barrier", "barriers");
                notes.push(format!("{barriers} of all ranks that do I/O put {what}"));
            }
        }
    }
    collective_events(&ranks, &collective, &phases.ends_s, &mut groups, &mut events, notes);
    let meetings = events.iter().map(|event| groups.members.get(event.group).map_or(0, Vec::len));
    if meetings.sum::<usize>() > MEETINGS_MAX {
        notes.push(format!("more than {MEETINGS_MAX} barriers were inferred: all were left out"));
        events.clear();
    }
    events.sort_by(|a, b| key_order((a.at_s, a.step), (b.at_s, b.step)).then(a.group.cmp(&b.group)));
    let used: Vec<Vec<RankId>> = if events.is_empty() { Vec::new() } else { groups.members };
    (with_barriers(ranks, &events, &used), used)
}

/// What is known of a collectively used file.
#[derive(Default)]
struct Collective {
    members: Vec<RankId>,
    first_data_s: Option<f64>,
    /// Phase to the end of its last access.
    ends_s: BTreeMap<usize, f64>,
}

fn collective_events(
    ranks: &[Vec<Item>],
    files: &[FileId],
    phase_ends_s: &[f64],
    groups: &mut Groups,
    events: &mut Vec<Event>,
    notes: &mut Vec<String>,
) {
    if files.is_empty() {
        return;
    }
    let mut uses: BTreeMap<FileId, Collective> = BTreeMap::new();
    for (items, rank) in ranks.iter().zip(0u32..) {
        for item in items {
            let Some(file) = item.action.file().filter(|file| files.binary_search(file).is_ok()) else {
                continue;
            };
            let seen = uses.entry(file).or_default();
            if seen.members.last() != Some(&RankId(rank)) {
                seen.members.push(RankId(rank));
            }
            if matches!(item.step, Step::Write | Step::Read) {
                seen.first_data_s =
                    Some(seen.first_data_s.map_or(item.start_s, |first| first.min(item.start_s)));
                let phase = phase_ends_s.partition_point(|end_s| *end_s < item.start_s);
                let end_s = seen.ends_s.entry(phase).or_insert(item.end_s);
                *end_s = end_s.max(item.end_s);
            }
        }
    }
    let (mut with, mut without) = (0u64, 0u64);
    for seen in uses.into_values() {
        let Some(first_s) = seen.first_data_s else { continue };
        let Some(group) = groups.of(seen.members) else {
            without += 1;
            continue;
        };
        with += 1;
        events.push(Event { at_s: first_s, step: Step::Opened, group });
        events.extend(seen.ends_s.into_values().map(|at_s| Event { at_s, step: Step::Done, group }));
    }
    if with > 0 {
        notes.push(format!(
            "{} used collectively: the ranks that do so meet after the open and at the end of each phase",
            counted(with, "file was", "files were")
        ));
    }
    if without > 0 {
        notes.push(format!(
            "{} one rank only, or belong to too many different groups: no barriers were put around their use",
            counted(without, "collectively used file has", "collectively used files have")
        ));
    }
}

fn key_order(a: (f64, Step), b: (f64, Step)) -> Ordering {
    a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
}

/// An entry of a rank's sequence.
#[derive(Clone, Copy)]
enum Entry<'a> {
    Item(&'a Item),
    Event(usize),
}

/// Visits a rank's items and events in order of time and step.
fn walk<'a>(items: &'a [Item], mine: &[usize], events: &[Event], mut visit: impl FnMut(Entry<'a>)) {
    let mut mine =
        mine.iter().filter_map(|number| events.get(*number).map(|event| (*number, event))).peekable();
    for item in items {
        while let Some((number, _)) = mine.next_if(|(_, event)| {
            key_order((event.at_s, event.step), (item.start_s, item.step)) == Ordering::Less
        }) {
            visit(Entry::Event(number));
        }
        visit(Entry::Item(item));
    }
    for (number, _) in mine {
        visit(Entry::Event(number));
    }
}

/// Puts the events between the items and gives every operation its think time.
///
/// Behind a barrier time counts from the barrier. Before it, every member thinks for as long as the
/// last of them was idle until the barrier: on an infinitely fast system the phases then begin as far
/// apart as recorded, less the time that the I/O took.
fn with_barriers(ranks: Vec<Vec<Item>>, events: &[Event], groups: &[Vec<RankId>]) -> Vec<Vec<Op>> {
    let mut mine: Vec<Vec<usize>> = vec![Vec::new(); ranks.len()];
    for (number, event) in events.iter().enumerate() {
        for rank in groups.get(event.group).into_iter().flatten() {
            if let Some(list) = mine.get_mut(rank.0 as usize) {
                list.push(number);
            }
        }
    }
    // When the last member was done with what lies before each event.
    let mut ready = vec![Time::ZERO; events.len()];
    for (items, mine) in ranks.iter().zip(&mine) {
        let mut clock = Time::ZERO;
        walk(items, mine, events, |entry| match entry {
            Entry::Item(item) => clock = clock.max(Time::from_secs_f64(item.end_s)),
            Entry::Event(number) => {
                if let (Some(ready), Some(event)) = (ready.get_mut(number), events.get(number)) {
                    *ready = (*ready).max(clock);
                    clock = clock.max(Time::from_secs_f64(event.at_s));
                }
            }
        });
    }
    let mut all = Vec::with_capacity(ranks.len());
    for (items, mine) in ranks.into_iter().zip(&mine) {
        let mut ops = Vec::with_capacity(items.len() + mine.len());
        let mut clock = Time::ZERO;
        walk(&items, mine, events, |entry| match entry {
            Entry::Item(item) => {
                let start = Time::from_secs_f64(item.start_s);
                ops.push(Op { start, think: start.since(clock), action: item.action });
                clock = clock.max(Time::from_secs_f64(item.end_s));
            }
            Entry::Event(number) => {
                if let (Some(ready), Some(event)) = (ready.get(number), events.get(number)) {
                    let start = Time::from_secs_f64(event.at_s);
                    let action = Action::Sync { group: GroupId(event.group as u32) };
                    ops.push(Op { start, think: start.since(*ready), action });
                    clock = clock.max(start);
                }
            }
        });
        all.push(ops);
    }
    all
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn span(rank: u32, start_s: f64, end_s: f64) -> Busy {
        Busy { start_s, end_s, rank, step: Step::Write, traced: true }
    }

    fn write(start_s: f64, end_s: f64, file: u32) -> Item {
        let action = Action::Write { file: FileId(file), offset: 0, bytes: 1 };
        Item { start_s, end_s, step: Step::Write, action }
    }

    fn read(write: Item) -> Item {
        let file = FileId(write.action.file().map_or(0, |file| file.0));
        Item { step: Step::Read, action: Action::Read { file, offset: 0, bytes: 1 }, ..write }
    }

    #[test]
    fn think_time_counts_from_the_barrier() {
        // Two bursts 4 s apart; rank 1 is late in the second.
        let ranks =
            vec![vec![write(1.0, 2.0, 0), write(7.0, 8.0, 0)], vec![write(1.0, 3.0, 1), write(7.5, 8.0, 1)]];
        let busy = vec![span(0, 1.0, 2.0), span(1, 1.0, 3.0), span(0, 7.0, 8.0), span(1, 7.5, 8.0)];
        let timeline = Timeline { ranks, busy, collective: Vec::new() };
        let (ops, groups) = into_ops(timeline, &mut Vec::new());
        assert_eq!(groups, [[RankId(0), RankId(1)]]);
        let thinks: Vec<Vec<u64>> =
            ops.iter().map(|ops| ops.iter().map(|op| op.think.as_millis() as u64).collect()).collect();
        // Rank 0 idles from 2 s to 3 s: that is waiting, not thinking.
        assert_eq!(thinks, [[1000, 0, 4000], [1000, 0, 4500]]);
        assert_eq!(ops[0][1].start, Time::from_secs_f64(3.0));
    }

    #[test]
    fn a_collective_open_is_waited_for() {
        let open = |at_s, file| {
            let action = Action::Open { file: FileId(file) };
            Item { start_s: at_s, end_s: at_s, step: Step::Open, action }
        };
        let ranks =
            vec![vec![open(0.01, 0), write(0.05, 0.06, 0)], vec![open(0.02, 0), write(0.06, 0.09, 0)]];
        let timeline = Timeline { ranks, busy: Vec::new(), collective: vec![FileId(0)] };
        let (ops, _) = into_ops(timeline, &mut Vec::new());
        let is_sync: Vec<bool> = ops[1].iter().map(|op| matches!(op.action, Action::Sync { .. })).collect();
        assert_eq!(is_sync, [false, true, false, true]);
        // The last open ended at 20 ms, the first access began at 50 ms.
        assert_eq!(ops[0][1].think, Duration::from_millis(30));
        assert_eq!(ops[1][2].think, Duration::from_millis(10));
    }

    /// Where each rank is when all operations take no time; `None` where somebody waits for ever.
    fn replay(ops: &[Vec<Op>], groups: &[Vec<RankId>]) -> Option<Vec<Vec<Duration>>> {
        let mut done: Vec<Vec<Duration>> = vec![Vec::new(); ops.len()];
        loop {
            for (ops, done) in ops.iter().zip(&mut done) {
                while let Some(op) =
                    ops.get(done.len()).filter(|op| !matches!(op.action, Action::Sync { .. }))
                {
                    done.push(done.last().copied().unwrap_or_default() + op.think);
                }
            }
            let next = |rank: &RankId| ops[rank.0 as usize].get(done[rank.0 as usize].len());
            let waits = |rank: &RankId, number: u32| {
                next(rank).is_some_and(|op| op.action == Action::Sync { group: GroupId(number) })
            };
            let meeting =
                groups.iter().zip(0u32..).find(|(members, number)| members.iter().all(|r| waits(r, *number)));
            let Some((members, _)) = meeting else { break };
            let arrival = |rank: &RankId| {
                done[rank.0 as usize].last().copied().unwrap_or_default()
                    + next(rank).map_or(Duration::ZERO, |op| op.think)
            };
            let met = members.iter().map(arrival).max().unwrap_or_default();
            members.iter().for_each(|rank| done[rank.0 as usize].push(met));
        }
        ops.iter().zip(&done).all(|(ops, done)| ops.len() == done.len()).then_some(done)
    }

    fn any_rank() -> impl Strategy<Value = Vec<Item>> {
        // A coarse grid, so that equal times are common.
        let item = (0u32..60, 0u32..8, 0u32..3, any::<bool>()).prop_map(|(start, length, file, reads)| {
            let item = write(f64::from(start) * 0.05, f64::from(start + length) * 0.05, file);
            if reads { read(item) } else { item }
        });
        proptest::collection::vec(item, 0..12).prop_map(|mut items| {
            items.sort_by(|a, b| a.start_s.total_cmp(&b.start_s));
            items
        })
    }

    proptest! {
        #[test]
        fn nobody_waits_for_ever(
            ranks in proptest::collection::vec(any_rank(), 1..6),
            collective in proptest::collection::btree_set(0u32..3, 0..3),
        ) {
            let busy = ranks.iter().zip(0u32..).flat_map(|(items, rank)| {
                items.iter().map(move |item| Busy { step: item.step, ..span(rank, item.start_s, item.end_s) })
            });
            let busy = busy.collect();
            let collective = collective.into_iter().map(FileId).collect();
            let timeline = Timeline { ranks: ranks.clone(), busy, collective };
            let (ops, groups) = into_ops(timeline, &mut Vec::new());
            for (items, ops) in ranks.iter().zip(&ops) {
                let kept: Vec<Action> =
                    ops.iter().map(|op| op.action).filter(|action| action.file().is_some()).collect();
                prop_assert_eq!(kept, items.iter().map(|item| item.action).collect::<Vec<_>>());
            }
            let times = replay(&ops, &groups);
            prop_assert!(times.is_some());
            // Time on an infinitely fast system never passes the recorded time.
            for (ops, times) in ops.iter().zip(times.iter().flatten()) {
                for (op, time) in ops.iter().zip(times) {
                    prop_assert!(*time <= op.start.since(Time::ZERO) + Duration::from_nanos(50));
                }
            }
        }
    }
}

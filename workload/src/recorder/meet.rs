//! Where ranks meet: collective calls of all ranks into groups and meetings that nobody waits in for ever.

use std::collections::{BTreeMap, VecDeque};

use crate::RankId;
use crate::limits::GROUP_RANK_PAIRS_MAX;
use crate::text::counted;

/// A collective call of a rank.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival<'a> {
    pub(super) comm: &'a str,
    pub(super) start_ns: u64,
}

/// A meeting that took place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meeting {
    pub(super) group: u32,
    /// When the last member came.
    pub(super) at_ns: u64,
}

/// For each rank and arrival the meeting, `None` where it was dropped; and the groups.
pub(super) struct Meetings {
    pub(super) of_ranks: Vec<Vec<Option<Meeting>>>,
    pub(super) groups: Vec<Vec<RankId>>,
}

/// Matches the n-th arrival of each member of a communicator with the n-th of the others.
///
/// Communicators with the same members become one group. What cannot be matched is dropped with a note: calls on
/// communicators whose members call unequally often, and, where the order of calls lets ranks wait for
/// each other in a circle, everything behind that place.
pub(super) fn meetings(ranks: &[Vec<Arrival>], world: &str, notes: &mut Vec<String>) -> Meetings {
    let mut comms: BTreeMap<&str, Vec<(RankId, u64)>> = BTreeMap::new();
    for (arrivals, number) in ranks.iter().zip(0u32..) {
        for arrival in arrivals {
            let members = comms.entry(arrival.comm).or_default();
            match members.last_mut() {
                Some((rank, count)) if *rank == RankId(number) => *count += 1,
                _ => members.push((RankId(number), 1)),
            }
        }
    }
    let mut unequal = 0u64;
    let mut groups = Groups::new(ranks.len());
    let mut group_of: BTreeMap<&str, u32> = BTreeMap::new();
    for (comm, members) in comms {
        let complete = comm != world || members.len() == ranks.len();
        if !complete || members.windows(2).any(|pair| pair[0].1 != pair[1].1) {
            unequal += 1;
        } else if let Some(group) = groups.of(members.into_iter().map(|(rank, _)| rank).collect()) {
            group_of.insert(comm, group);
        }
    }
    if unequal > 0 {
        notes.push(format!(
            "the ranks of {} call collectively unequally often, as in a trace that was cut off: those calls keep nobody \
             waiting",
            counted(unequal, "communicator", "communicators")
        ));
    }
    if groups.refused > 0 {
        let more = counted(groups.refused, "communicator", "communicators");
        notes.push(format!("{more} beyond the limit on groups: their calls keep nobody waiting"));
    }
    let of_ranks = replay(ranks, &group_of, &groups.members, notes);
    Meetings { of_ranks, groups: groups.members }
}

/// Groups by their members.
struct Groups {
    numbers: BTreeMap<Vec<RankId>, u32>,
    members: Vec<Vec<RankId>>,
    limit: usize,
    refused: u64,
}

impl Groups {
    fn new(world: usize) -> Self {
        let limit = (GROUP_RANK_PAIRS_MAX / world.max(1) as u64) as usize;
        Self { numbers: BTreeMap::new(), members: Vec::new(), limit, refused: 0 }
    }

    /// `None` for a rank alone, and beyond the limit.
    fn of(&mut self, members: Vec<RankId>) -> Option<u32> {
        if members.len() < 2 {
            return None;
        }
        if let Some(number) = self.numbers.get(&members) {
            return Some(*number);
        }
        if self.members.len() >= self.limit {
            self.refused += 1;
            return None;
        }
        let number = self.members.len() as u32;
        self.members.push(members.clone());
        self.numbers.insert(members, number);
        Some(number)
    }
}

/// Lets all ranks go on until each has done its calls or waits.
fn replay(
    ranks: &[Vec<Arrival>],
    group_of: &BTreeMap<&str, u32>,
    groups: &[Vec<RankId>],
    notes: &mut Vec<String>,
) -> Vec<Vec<Option<Meeting>>> {
    let mut done: Vec<Vec<Option<Meeting>>> =
        ranks.iter().map(|arrivals| Vec::with_capacity(arrivals.len())).collect();
    // Who is there, and when the latest of them came.
    let mut present: Vec<(usize, u64)> = vec![(0, 0); groups.len()];
    let mut ready: VecDeque<usize> = (0..ranks.len()).collect();
    while let Some(rank) = ready.pop_front() {
        let (Some(arrivals), Some(mine)) = (ranks.get(rank), done.get_mut(rank)) else { continue };
        let next = loop {
            let Some(arrival) = arrivals.get(mine.len()) else { break None };
            match group_of.get(arrival.comm) {
                Some(group) => break Some((*group, arrival.start_ns)),
                None => mine.push(None),
            }
        };
        let Some((group, start_ns)) = next else { continue };
        let place = group as usize;
        let (Some(members), Some(here)) = (groups.get(place), present.get_mut(place)) else { continue };
        *here = (here.0 + 1, here.1.max(start_ns));
        if here.0 < members.len() {
            continue;
        }
        let meeting = Meeting { group, at_ns: here.1 };
        *here = (0, 0);
        for member in members {
            if let Some(list) = done.get_mut(member.0 as usize) {
                list.push(Some(meeting));
            }
            ready.push_back(member.0 as usize);
        }
    }
    let mut dropped = 0;
    for (arrivals, done) in ranks.iter().zip(&mut done) {
        dropped += arrivals.len() - done.len();
        done.resize(arrivals.len(), None);
    }
    if dropped > 0 {
        let calls = counted(dropped as u64, "collective call", "collective calls");
        notes
            .push(format!("{calls} would let ranks wait for each other in a circle and keep nobody waiting"));
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn arrivals(comms: &[&'static str]) -> Vec<Arrival<'static>> {
        comms.iter().zip(0u64..).map(|(comm, start_ns)| Arrival { comm, start_ns }).collect()
    }

    fn groups_of(met: &Meetings, rank: usize) -> Vec<Option<u32>> {
        met.of_ranks[rank].iter().map(|meeting| meeting.map(|meeting| meeting.group)).collect()
    }

    #[test]
    fn communicators_of_the_same_members_are_one_group() {
        let mut notes = Vec::new();
        let ranks = [arrivals(&["W", "0-1"]), arrivals(&["W", "1-1", "0-1"])];
        let met = meetings(&ranks, "W", &mut notes);
        assert_eq!(met.groups, [[RankId(0), RankId(1)]]);
        assert_eq!(groups_of(&met, 0), [Some(0), Some(0)]);
        // Rank 1 is alone in 1-1.
        assert_eq!(groups_of(&met, 1), [Some(0), None, Some(0)]);
        assert_eq!(met.of_ranks[0][1].map(|meeting| meeting.at_ns), Some(2));
        assert!(notes.is_empty());
    }

    #[test]
    fn unequal_calls_and_circles_are_dropped() {
        let mut notes = Vec::new();
        let met = meetings(&[arrivals(&["W", "W"]), arrivals(&["W"])], "W", &mut notes);
        assert_eq!(groups_of(&met, 0), [None, None]);
        assert_eq!(notes.len(), 1);
        // Rank 0 and 1 call in opposite order on groups of different members.
        let ranks = [arrivals(&["W", "0-1", "W"]), arrivals(&["W", "W", "0-1"]), arrivals(&["W", "W"])];
        let met = meetings(&ranks, "W", &mut notes);
        assert_eq!(groups_of(&met, 0), [Some(1), None, None]);
        assert_eq!(groups_of(&met, 2), [Some(1), None]);
        assert_eq!(notes.len(), 2);
    }

    proptest! {
        /// Whatever the calls: members of a group meet equally often, and in orders that let all come through.
        #[test]
        fn nobody_waits_for_ever(picks in proptest::collection::vec(proptest::collection::vec(0usize..4, 0..10), 1..5)) {
            let names = ["W", "0-0", "0-1", "1-0"];
            let ranks: Vec<Vec<Arrival>> = picks
                .iter()
                .map(|picks| arrivals(&picks.iter().map(|pick| names[*pick]).collect::<Vec<_>>()))
                .collect();
            let met = meetings(&ranks, "W", &mut Vec::new());
            let mut left: Vec<VecDeque<u32>> = met
                .of_ranks
                .iter()
                .map(|list| list.iter().flatten().map(|meeting| meeting.group).collect())
                .collect();
            // The obvious twin: look for any group that all its members stand before.
            while let Some((_, members)) = (0u32..).zip(&met.groups).find(|(group, members)| {
                members.iter().all(|rank| left[rank.0 as usize].front() == Some(group))
            }) {
                for rank in members {
                    left[rank.0 as usize].pop_front();
                }
            }
            prop_assert!(left.iter().all(VecDeque::is_empty));
            for (list, arrivals) in met.of_ranks.iter().zip(&ranks) {
                prop_assert_eq!(list.len(), arrivals.len());
            }
        }
    }
}

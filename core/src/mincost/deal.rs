//! Units by target into a list of targets for each request.
//!
//! With one stripe count units are dealt out cyclically, target after target: no target has more units than there are
//! requests, so no request gets one twice. With several, each target's units go to the requests that still want most
//! (Gale 1957, Ryser 1957), which succeeds exactly when for every t the t fullest targets hold no more units than all
//! requests can take on t targets.

use super::problem::{Merged, Problem};

/// Target lists of all requests, in the order of the groups as given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    /// Where the list of each request begins, and the end.
    starts: Vec<u32>,
    targets: Vec<u32>,
}

impl Lists {
    /// Number of requests.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Whether there are no requests.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Target numbers of a request; empty for a request that does not exist.
    #[must_use]
    pub fn get(&self, request: usize) -> &[u32] {
        match (self.starts.get(request), self.starts.get(request + 1)) {
            (Some(from), Some(to)) => &self.targets[*from as usize..*to as usize],
            _ => &[],
        }
    }

    /// Lists of all requests.
    pub fn iter(&self) -> impl Iterator<Item = &[u32]> {
        (0..self.len()).map(|request| self.get(request))
    }

    /// Lists of so many targets each, to be written.
    fn of_lengths(lengths: &[u32]) -> Self {
        let mut starts = Vec::with_capacity(lengths.len() + 1);
        let mut sum = 0;
        starts.push(0);
        starts.extend(lengths.iter().map(|length| {
            sum += length;
            sum
        }));
        Self { starts, targets: vec![0; sum as usize] }
    }

    /// Shortens the lists to where each has been written.
    fn cut_off(&mut self, ends: &[u32]) {
        let mut to = 0;
        for (request, end) in ends.iter().take(self.len()).enumerate() {
            let from = self.starts[request];
            self.starts[request] = to;
            self.targets.copy_within(from as usize..*end as usize, to as usize);
            to += end - from;
        }
        if let Some(last) = self.starts.last_mut() {
            *last = to;
        }
        self.targets.truncate(to as usize);
    }
}

/// Whether units by target position, of which no target has more than there are requests, can be dealt so that no
/// request gets a target twice: the condition of Gale and Ryser.
pub(super) fn can_deal(problem: &Problem, units: &[u32]) -> bool {
    if !problem.distinct || problem.groups.len() < 2 {
        return true;
    }
    let wanted: Vec<(u32, u32)> =
        problem.groups.iter().map(|group| (group.units / group.requests, group.requests)).collect();
    let most = wanted.iter().map(|(stripes, _)| *stripes).max().unwrap_or(0) as usize;
    let mut fullest = units.to_vec();
    // Beyond the largest stripe count all requests can take all they want.
    if most < fullest.len() {
        fullest.select_nth_unstable_by(most, |a, b| b.cmp(a));
        fullest.truncate(most);
    }
    fullest.sort_unstable_by(|a, b| b.cmp(a));
    let mut held = 0u64;
    (1u32..).zip(&fullest).all(|(count, units)| {
        held += u64::from(*units);
        let room =
            wanted.iter().map(|(stripes, requests)| u64::from(*requests) * u64::from(*stripes.min(&count)));
        held <= room.sum()
    })
}

/// Deals units by target position that [`can_deal`], of a problem without pools.
pub(super) fn deal_filled(problem: &Problem, units: &[u32]) -> Lists {
    if problem.groups.len() > 1 && problem.distinct {
        return deal_to_most_wanting(problem, units);
    }
    // Without distinctness and pools all requests are one group; without any wish there is none.
    let hands: Vec<Hand> =
        problem.groups.iter().map(|group| Hand::new(problem, group, by_target(units))).collect();
    deal_hands(problem, &hands)
}

fn by_target(units: &[u32]) -> impl Iterator<Item = (u32, u32)> {
    (0u32..).zip(units.iter().copied())
}

/// Units of one group in the order in which they are dealt: one for each of its requests, and again for those that
/// want more.
pub(super) struct Hand<'a> {
    group: &'a Merged,
    targets: Vec<u32>,
}

impl<'a> Hand<'a> {
    /// Units by target position.
    pub(super) fn new(problem: &Problem, group: &'a Merged, units: impl Iterator<Item = (u32, u32)>) -> Self {
        let mut targets = Vec::with_capacity(group.units as usize);
        for (target, units) in units {
            let number = problem.target_at[target as usize];
            targets.resize(targets.len() + units as usize, number);
        }
        Self { group, targets }
    }

    /// Its members: first request, requests and stripes of each.
    fn members(&self, problem: &Problem, firsts: &[u32]) -> Vec<(u32, u32, u32)> {
        let member = |number: &u32| {
            let (requests, stripes) = problem.given[*number as usize];
            (firsts[*number as usize], requests, stripes)
        };
        self.group.members.iter().map(member).collect()
    }

    /// How many targets each of its requests gets.
    fn lengths(&self, problem: &Problem, firsts: &[u32], lengths: &mut [u32]) {
        let mut left = self.targets.len() as u64;
        let mut whole_rounds = 0;
        // Who has all is looked at no more, so that a round takes no longer than there are units in it.
        let mut taking = self.members(problem, firsts);
        while !taking.is_empty() {
            let round: u64 = taking.iter().map(|(_, requests, _)| u64::from(*requests)).sum();
            if round > left {
                break;
            }
            left -= round;
            whole_rounds += 1;
            taking.retain(|(.., stripes)| *stripes > whole_rounds);
        }
        for (first, requests, stripes) in self.members(problem, firsts) {
            let more = if stripes > whole_rounds { left.min(u64::from(requests)) as u32 } else { 0 };
            left -= u64::from(more);
            let of_member = &mut lengths[first as usize..(first + requests) as usize];
            of_member.fill(stripes.min(whole_rounds));
            of_member[..more as usize].iter_mut().for_each(|length| *length += 1);
        }
    }

    fn deal(&self, problem: &Problem, firsts: &[u32], lists: &mut Lists) {
        let mut left = self.targets.as_slice();
        let mut taking = self.members(problem, firsts);
        let mut round = 0;
        while !left.is_empty() && !taking.is_empty() {
            for (first, requests, _) in &taking {
                let (now, later) = left.split_at(left.len().min(*requests as usize));
                for (start, target) in lists.starts[*first as usize..].iter().zip(now) {
                    lists.targets[(start + round) as usize] = *target;
                }
                left = later;
            }
            round += 1;
            taking.retain(|(.., stripes)| *stripes > round);
        }
    }
}

/// Deals the units of each group cyclically to its requests.
pub(super) fn deal_hands(problem: &Problem, hands: &[Hand]) -> Lists {
    let mut firsts = Vec::with_capacity(problem.given.len());
    let mut next = 0;
    for (requests, _) in &problem.given {
        firsts.push(next);
        next += requests;
    }
    let mut lengths = vec![0; problem.requests as usize];
    for hand in hands {
        hand.lengths(problem, &firsts, &mut lengths);
    }
    let mut lists = Lists::of_lengths(&lengths);
    for hand in hands {
        hand.deal(problem, &firsts, &mut lists);
    }
    lists
}

/// Deals each target's units to the requests that still want most. Requests stand in order of what they want;
/// those that are served come from the end of their wish's stretch, so that the order stays without moving any.
fn deal_to_most_wanting(problem: &Problem, units: &[u32]) -> Lists {
    let targets = problem.target_at.len() as u32;
    let wishes: Vec<u32> = problem
        .given
        .iter()
        .flat_map(|(requests, stripes)| std::iter::repeat_n((*stripes).min(targets), *requests as usize))
        .collect();
    let most = wishes.iter().copied().max().unwrap_or(0) as usize;
    // Requests that still want at least so many; the last entry stands for more than anybody wants.
    let mut wanting = vec![0u32; most + 2];
    for wish in &wishes {
        wanting[*wish as usize] += 1;
    }
    for wish in (0..most).rev() {
        wanting[wish] += wanting[wish + 1];
    }
    // Who wants more stands before.
    let mut places = wanting[1..].to_vec();
    let mut order = vec![0; wishes.len()];
    for (request, wish) in (0u32..).zip(&wishes) {
        let place = &mut places[*wish as usize];
        order[*place as usize] = request;
        *place += 1;
    }
    let mut lists = Lists::of_lengths(&wishes);
    let mut ends = lists.starts.clone();
    for (target, units) in problem.target_at.iter().zip(units).filter(|(_, units)| **units > 0) {
        let mut serve = |requests: &[u32]| {
            for request in requests {
                let end = &mut ends[*request as usize];
                lists.targets[*end as usize] = *target;
                *end += 1;
            }
        };
        let last = (1..=most).rev().find(|wish| wanting[*wish] >= *units).unwrap_or(1);
        let all = wanting[last + 1].min(*units);
        let some = (units - all).min(wanting[last] - all);
        serve(&order[..all as usize]);
        serve(&order[(wanting[last] - some) as usize..wanting[last] as usize]);
        wanting[last] -= some;
        // Who was served wants one less: wishes above move down by one place.
        let above = wanting[last + 1..].to_vec();
        if let Some((first, rest)) = above.split_first() {
            wanting[last] = wanting[last].max(*first);
            wanting[last + 1..last + 1 + rest.len()].copy_from_slice(rest);
        }
    }
    lists.cut_off(&ends);
    lists
}

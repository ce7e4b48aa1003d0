//! Where the phases of a job end: moments at which most ranks stop one thing before any begins the next.
//!
//! Two rules find them; both look at accesses that move bytes, since ranks open files whenever they like.
//! Each cuts the accesses, in order of their start, into pieces, and a piece counts if enough ranks take
//! part in it. A phase ends between two pieces that count.
//!
//! * **Gap**: pieces are separated by more than [`PHASE_GAP_S`] without any I/O.
//! * **Turn**: pieces are runs of writes and runs of reads, where the last access of the one has ended
//!   before the first of the other begins, however short the time between. Nothing is allowed for clock
//!   skew: an overlap of microseconds is as likely to be two ranks that do not wait for each other.

use super::sync::{Busy, Step};

/// Seconds in which no rank does I/O that end a burst. Well above the clock skew between nodes and
/// the pauses inside a burst, well below the time between checkpoints.
pub(super) const PHASE_GAP_S: f64 = 0.1;

/// A piece counts if at least one in this many of the ranks that move bytes take part: a log line of
/// rank 0 between two checkpoints makes nobody wait.
const RANKS_ONE_IN: usize = 2;

/// ... and never fewer ranks than this: nobody waits for himself.
const RANKS_MIN: usize = 2;

/// The ends of phases that another one follows, in seconds, rising.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Phases {
    pub(super) ends_s: Vec<f64>,
    /// How many of them were found by the gap; the others are turns.
    pub(super) gaps: usize,
}

/// A stretch of accesses between two cuts.
struct Piece {
    /// Number of accesses before it.
    first: usize,
    writes: bool,
    /// When the phase before it ends, if it does.
    end_s: Option<f64>,
    ranks: usize,
}

/// Finds the phases of a job of `world` ranks.
pub(super) fn find(mut busy: Vec<Busy>, world: usize) -> Phases {
    let mut ranks = RankSet::new(world);
    let moving = busy.iter().filter(|span| span.moves_bytes() && ranks.insert(span.rank)).count();
    let needed = moving.div_ceil(RANKS_ONE_IN).max(RANKS_MIN);
    if moving < needed {
        return Phases::default();
    }
    // A window over which bytes were only spread hides every pause in it, such as the log file that rank 0
    // keeps open from start to end. Where traces tell of enough ranks, they are listened to alone.
    ranks.clear();
    let is_traced = |span: &&Busy| span.traced && span.moves_bytes();
    if busy.iter().filter(is_traced).filter(|span| ranks.insert(span.rank)).count() >= needed {
        busy.retain(|span| span.traced || !span.moves_bytes());
    }
    busy.sort_by(|a, b| a.start_s.total_cmp(&b.start_s));
    let gaps = gap_pieces(&busy, &mut ranks);
    let turns = turn_pieces(&busy, needed, &mut ranks);
    // Both may find the same pause. The gap's moment then counts: nobody does anything behind it.
    let mut found: Vec<(usize, bool, f64)> = Vec::new();
    for (pieces, is_turn) in [(gaps, false), (turns, true)] {
        let mut large = pieces.into_iter().filter(|piece| piece.ranks >= needed);
        let Some(mut before) = large.next() else { continue };
        for piece in large {
            if !is_turn || piece.writes != before.writes {
                found.extend(piece.end_s.map(|end_s| (piece.first, is_turn, end_s)));
            }
            before = piece;
        }
    }
    found.sort_by_key(|(first, is_turn, _)| (*first, *is_turn));
    found.dedup_by_key(|(first, _, _)| *first);
    let gaps = found.iter().filter(|(_, is_turn, _)| !is_turn).count();
    Phases { ends_s: found.into_iter().map(|(_, _, end_s)| end_s).collect(), gaps }
}

/// Bursts, each with the ranks that move bytes in it. A burst that only opens files is none.
fn gap_pieces(busy: &[Busy], ranks: &mut RankSet) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let (mut end_s, mut moved) = (f64::NEG_INFINITY, 0);
    for span in busy {
        if span.start_s > end_s + PHASE_GAP_S || pieces.is_empty() {
            ranks.clear();
            pieces.push(Piece { first: moved, writes: false, end_s: Some(end_s), ranks: 0 });
        }
        end_s = end_s.max(span.end_s);
        if span.moves_bytes() {
            moved += 1;
            if let Some(piece) = pieces.last_mut() {
                piece.ranks += usize::from(ranks.insert(span.rank));
            }
        }
    }
    pieces
}

/// Runs of writes and of reads. A run of too few ranks belongs to the run before it.
fn turn_pieces(busy: &[Busy], needed: usize, ranks: &mut RankSet) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let (mut end_s, mut moved) = (f64::NEG_INFINITY, 0);
    for (place, span) in busy.iter().enumerate().filter(|(_, span)| span.moves_bytes()) {
        let writes = span.step == Step::Write;
        if pieces.last().is_none_or(|piece| piece.writes != writes) {
            // Only the runs that count are kept, and the one that grows.
            if pieces.last().is_some_and(|piece| piece.ranks < needed) {
                pieces.pop();
            }
            ranks.clear();
            let quiet = span.start_s > end_s;
            let end_s = quiet.then(|| between_close_and_open(busy, place, end_s, span.start_s));
            pieces.push(Piece { first: moved, writes, end_s, ranks: 0 });
        }
        if let Some(piece) = pieces.last_mut() {
            piece.ranks += usize::from(ranks.insert(span.rank));
        }
        end_s = end_s.max(span.end_s);
        moved += 1;
    }
    pieces
}

/// The moment between two accesses at which files of the phase before are closed and those of the next
/// not yet opened; the end of the access before where there is none. `place` is that of the second.
fn between_close_and_open(busy: &[Busy], place: usize, end_s: f64, start_s: f64) -> f64 {
    let first = busy.partition_point(|span| span.start_s <= end_s);
    let between = busy.get(first..place).unwrap_or_default();
    let opens_s = between.iter().find(|span| span.step == Step::Open).map_or(start_s, |open| open.start_s);
    let before = between.iter().take_while(|span| span.start_s < opens_s);
    let closed_s = before.map(|span| span.end_s).fold(end_s, f64::max);
    if closed_s < opens_s { closed_s } else { end_s }
}

/// A set of ranks that is emptied at once.
struct RankSet {
    /// Rank to the last generation that it was put in.
    last: Vec<u32>,
    generation: u32,
}

impl RankSet {
    fn new(world: usize) -> Self {
        Self { last: vec![0; world], generation: 1 }
    }

    fn clear(&mut self) {
        // Pieces are fewer than operations, which 32 bits count.
        self.generation += 1;
    }

    /// Whether the rank is new in the set.
    fn insert(&mut self, rank: u32) -> bool {
        let last = self.last.get_mut(rank as usize).filter(|last| **last != self.generation);
        last.map(|last| *last = self.generation).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(step: Step, rank: u32, start_s: f64, end_s: f64) -> Busy {
        Busy { start_s, end_s, rank, step, traced: true }
    }

    fn all(step: Step, ranks: u32, start_s: f64, end_s: f64) -> Vec<Busy> {
        (0..ranks).map(|rank| span(step, rank, start_s + f64::from(rank) * 1e-3, end_s)).collect()
    }

    fn ends(busy: &[Vec<Busy>]) -> Vec<f64> {
        find(busy.concat(), 16).ends_s
    }

    #[test]
    fn a_burst_of_few_ranks_is_no_phase() {
        // Rank 0 alone writes a line at 5 s; all write at 0 s and 10 s.
        let mut busy = vec![
            all(Step::Write, 4, 0.0, 1.1),
            vec![span(Step::Write, 0, 5.0, 5.1)],
            all(Step::Write, 4, 10.0, 11.0),
        ];
        assert_eq!(ends(&busy), [5.1]);
        // Half of the ranks are enough.
        busy[1].push(span(Step::Write, 1, 5.0, 5.1));
        assert_eq!(ends(&busy), [1.1, 5.1]);
        // A rank alone waits for nobody.
        assert!(ends(&[all(Step::Write, 1, 0.0, 1.0), all(Step::Write, 1, 5.0, 6.0)]).is_empty());
    }

    #[test]
    fn opens_and_closes_are_no_phase() {
        let opens = all(Step::Open, 4, 0.0, 0.1);
        assert!(ends(&[opens, all(Step::Write, 4, 1.0, 2.0), all(Step::Close, 4, 3.0, 3.0)]).is_empty());
    }

    #[test]
    fn all_turn_from_writing_to_reading() {
        let writes = all(Step::Write, 4, 0.0, 1.0);
        assert_eq!(ends(&[writes.clone(), all(Step::Read, 4, 1.001, 2.0)]), [1.0]);
        // A gap that is a turn as well counts once.
        let found = find([writes.clone(), all(Step::Read, 4, 1.5, 2.0)].concat(), 4);
        assert_eq!(found, Phases { ends_s: vec![1.0], gaps: 1 });
        // One rank reads before the last has written.
        assert!(ends(&[writes.clone(), all(Step::Read, 4, 0.999, 2.0)]).is_empty());
        assert!(ends(&[writes.clone(), all(Step::Read, 4, 1.0, 2.0)]).is_empty());
        // Too few read.
        assert!(ends(&[writes, all(Step::Read, 1, 1.001, 2.0)]).is_empty());
    }

    #[test]
    fn a_lone_access_of_the_other_kind_does_not_hide_a_turn() {
        let busy = [
            all(Step::Write, 8, 0.0, 0.1),
            vec![span(Step::Read, 3, 0.11, 0.12)],
            all(Step::Write, 8, 0.13, 0.2),
            all(Step::Read, 8, 0.21, 0.3),
        ];
        assert_eq!(ends(&busy), [0.2]);
    }

    #[test]
    fn a_turn_lies_between_the_closes_and_the_opens() {
        let mut busy = vec![
            all(Step::Write, 4, 0.0, 1.0),
            all(Step::Close, 4, 1.01, 1.02),
            all(Step::Open, 4, 1.03, 1.04),
            all(Step::Read, 4, 1.05, 2.0),
        ];
        assert_eq!(ends(&busy), [1.02]);
        // Ranks that open before others have closed did not wait there.
        busy[1].push(span(Step::Close, 2, 1.025, 1.035));
        assert_eq!(ends(&busy), [1.0]);
    }

    #[test]
    fn a_window_does_not_hide_what_traces_tell() {
        let window = Busy { traced: false, ..span(Step::Write, 0, 0.0, 3.0) };
        let busy = [all(Step::Write, 4, 0.0, 1.0), all(Step::Read, 4, 1.01, 2.0), vec![window]];
        assert_eq!(ends(&busy), [1.0]);
        let spread: Vec<Busy> = busy.concat().iter().map(|span| Busy { traced: false, ..*span }).collect();
        assert!(find(spread, 4).ends_s.is_empty());
    }
}

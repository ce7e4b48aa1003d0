//! Where on its ring each job's next files begin.
//!
//! The ranks of a job take tickets one after the other, so a job is a window of its ring: whole rounds,
//! which give every target its share wherever they begin, and a rest, for which the beginning decides.
//! Jobs are dealt one by one, those with the heaviest stripes first; each begins where its rest falls
//! on the targets that have fewest of its stripes waiting before them and, among such windows, on those
//! to which least was written lately. So the files of concurrent jobs do not meet by chance, and what
//! is indifferent for the writer is decided for those who read later.

use tarazu_layout::TargetId;
use tarazu_table::walked;

/// One job's files of one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Tickets from the first rank's first file to the end of the last one's last.
    pub span: u64,
    /// Stripes among them that will get data: fewer than the span where only some ranks make files.
    pub stripes: u64,
    /// Tickets of one file.
    pub step: u32,
    /// Bytes of one stripe.
    pub stripe_bytes: u64,
}

impl Row {
    /// Bytes that come with one ticket of its span, on average.
    #[must_use]
    pub fn ticket_bytes(&self) -> f64 {
        self.stripe_bytes as f64 * self.stripes as f64 / self.span as f64
    }
}

/// What targets have before them.
#[derive(Clone, Debug, PartialEq)]
pub struct Burden {
    /// Work that waits, seconds, by target.
    pub work_s: Vec<f64>,
    /// Work that is announced and was dealt before, seconds, by target.
    pub dealt_s: Vec<f64>,
    /// What was written lately or waits to be, in seconds of reading, by target.
    pub written_s: Vec<f64>,
}

/// How good a window is: the earliest finish, then least announced, then least written, then the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Score {
    /// When a stripe would be written on each target of the rest, squared and in sum: late ones count most,
    /// since the last one ends the burst. In steps of a quarter of what the fastest target needs; less
    /// is within the error of what is known.
    pub finish: i64,
    /// Microseconds of announced work on the targets of the rest, in sum.
    pub dealt_us: i64,
    /// Microseconds of reading that lie on the targets of the rest, in sum.
    pub written_us: i64,
    /// The ticket at which the window begins.
    pub begin: u32,
}

/// Speeds by target, bytes/s.
#[derive(Clone, Copy, Debug)]
pub struct Speeds<'a> {
    /// Left for a file that is written now.
    pub write_bps: &'a [f64],
    /// Of reading.
    pub read_bps: &'a [f64],
}

/// More than any real score, so that sums over a ring stay far from the end of 64 bits.
const SCORE_MAX: f64 = 1e12;

/// Steps of a finish time in what the fastest target needs for one stripe.
const STEPS: f64 = 4.0;

/// Later finishes than so many steps are all alike; squares of these and their sums stay far from the end of 64 bits.
const STEPS_MAX: f64 = 1e6;

/// The best place for a row on a ring. `kept`, where the same row began on the same ring before, stays
/// unless another place means an earlier finish.
#[must_use]
pub fn best(ring: &[TargetId], row: &Row, burden: &Burden, speeds: Speeds<'_>, kept: Option<u32>) -> Score {
    let stripe_s = |target: &TargetId| row.stripe_bytes.max(1) as f64 / speeds.write_bps[target.index()];
    let fastest_s = ring.iter().map(stripe_s).fold(f64::INFINITY, f64::min);
    let finish = |target: &TargetId| {
        let stripes = (burden.work_s[target.index()] + stripe_s(target)) / fastest_s;
        let steps = (stripes * STEPS).min(STEPS_MAX) as i64;
        steps * steps
    };
    let micros = |seconds: f64| (seconds * 1e6).min(SCORE_MAX) as i64;
    let cost = |place: usize| {
        let target = TargetId(place as u32);
        [finish(&target), micros(burden.dealt_s[place]), micros(burden.written_s[place])]
    };
    // A target stands on the ring many times.
    let by_target: Vec<[i64; 3]> = (0..burden.work_s.len()).map(cost).collect();
    let costs: Vec<[i64; 3]> = ring.iter().map(|target| by_target[target.index()]).collect();
    let length = costs.len();
    let rest = (row.span % length.max(1) as u64) as usize;
    let mut sums = [0i64; 3];
    for cost in costs.iter().take(rest) {
        sums.iter_mut().zip(cost).for_each(|(sum, cost)| *sum += cost);
    }
    let score = |sums: [i64; 3], begin: usize| {
        let [finish, dealt_us, written_us] = sums;
        Score { finish, dealt_us, written_us, begin: begin as u32 }
    };
    let kept = kept.map(|begin| begin as usize);
    let mut best = score(sums, 0);
    let mut before = (kept == Some(0)).then_some(best);
    for begin in 1..length {
        let end = begin - 1 + rest;
        let (out, new) = (costs[begin - 1], costs[if end < length { end } else { end - length }]);
        for (sum, (new, out)) in sums.iter_mut().zip(new.iter().zip(out)) {
            *sum += new - out;
        }
        best = best.min(score(sums, begin));
        if kept == Some(begin) {
            before = Some(score(sums, begin));
        }
    }
    // A job may have made its files already without anybody having heard of it: then its stripes are not
    // where a new place would say.
    before.filter(|before| before.finish <= best.finish).unwrap_or(best)
}

/// Puts a row's stripes on the targets of its window.
pub fn put(ring: &[TargetId], row: &Row, begin: u32, burden: &mut Burden, speeds: Speeds<'_>) {
    let length = ring.len() as u64;
    if length == 0 || row.span == 0 {
        return;
    }
    let bytes = row.ticket_bytes();
    let rounds = (row.span / length) as f64;
    let mut add = |target: &TargetId, times: f64| {
        let place = target.index();
        burden.dealt_s[place] += times * bytes / speeds.write_bps[place];
        burden.written_s[place] += times * bytes / speeds.read_bps[place];
    };
    if rounds > 0.0 {
        ring.iter().for_each(|target| add(target, rounds));
    }
    rest(ring, row, begin).for_each(|target| add(target, 1.0));
}

/// The tickets of a row's rest when it begins there.
pub fn rest<'a>(ring: &'a [TargetId], row: &Row, begin: u32) -> impl Iterator<Item = &'a TargetId> + Clone {
    let length = ring.len().max(1) as u64;
    let skipped = (u64::from(begin) % length) as usize;
    ring.iter().cycle().skip(skipped).take((row.span % length) as usize)
}

/// What the table says so that a row's window begins at `begin`: the walk of a row longer than one
/// round ends with a part that is moved within its round.
#[must_use]
pub fn place(ring: &[TargetId], targets: usize, row: &Row, begin: u32) -> u32 {
    let length = ring.len() as u64;
    let round = if targets == 0 { 1 } else { targets as u64 };
    let last_round = row.span.saturating_sub(1) / round * round;
    let moved = walked(ring.len(), targets, row.step as usize, last_round).saturating_sub(last_round);
    let begin = u64::from(begin) + length - moved % length.max(1);
    // A ring has at most 2^16 tickets.
    (begin % length.max(1)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tarazu_table::Place;

    fn ring(targets: u32, passes: usize) -> Vec<TargetId> {
        (0..targets).map(TargetId).collect::<Vec<_>>().repeat(passes)
    }

    fn row(span: u64) -> Row {
        Row { span, stripes: span, step: 1, stripe_bytes: 100 }
    }

    fn idle(targets: usize) -> Burden {
        Burden { work_s: vec![0.0; targets], dealt_s: vec![0.0; targets], written_s: vec![0.0; targets] }
    }

    const SPEED: [f64; 64] = [100.0; 64];
    const SPEEDS: Speeds<'static> = Speeds { write_bps: &SPEED, read_bps: &SPEED };

    #[test]
    fn jobs_follow_each_other_like_one_cursor() {
        let ring = ring(10, 4);
        let mut burden = idle(10);
        for span in [4, 13, 8, 25] {
            let best = best(&ring, &row(span), &burden, SPEEDS, None);
            put(&ring, &row(span), best.begin, &mut burden, SPEEDS);
        }
        assert_eq!(burden.dealt_s, vec![5.0; 10], "50 stripes on ten targets");
    }

    #[test]
    fn waiting_work_counts_before_what_was_written() {
        let ring = ring(4, 1);
        let mut burden = idle(4);
        burden.written_s = vec![9.0, 8.0, 7.0, 6.0];
        assert_eq!(best(&ring, &row(1), &burden, SPEEDS, None).begin, 3);
        burden.work_s[3] = 1.0;
        assert_eq!(best(&ring, &row(1), &burden, SPEEDS, None).begin, 2);
        // Less than a quarter of one stripe of the job's own size is no difference for the job.
        burden.work_s[3] = 0.2;
        assert_eq!(best(&ring, &row(1), &burden, SPEEDS, None).begin, 3);
    }

    #[test]
    fn a_place_stays_until_another_is_clearly_better() {
        let ring = ring(4, 1);
        let mut burden = idle(4);
        burden.written_s = vec![1.0, 2.0, 1.0, 1.0];
        burden.dealt_s[1] = 1.0;
        assert_eq!(best(&ring, &row(1), &burden, SPEEDS, Some(1)).begin, 1);
        assert_eq!(best(&ring, &row(1), &burden, SPEEDS, None).begin, 0);
        burden.work_s[1] = 1.0;
        assert_eq!(best(&ring, &row(1), &burden, SPEEDS, Some(1)).begin, 0);
    }

    proptest! {
        /// The obvious twin: try every beginning.
        #[test]
        fn no_beginning_is_better(
            tickets in prop::collection::vec(0u32..12, 1..40), span in 0u64..100,
            work in prop::collection::vec(0u32..3, 12), dealt in prop::collection::vec(0u32..3, 12),
            written in prop::collection::vec(0u32..9, 12),
        ) {
            let ring: Vec<TargetId> = tickets.into_iter().map(TargetId).collect();
            let as_s = |units: &[u32]| units.iter().map(|units| f64::from(*units)).collect::<Vec<_>>();
            let burden = Burden { work_s: as_s(&work), dealt_s: as_s(&dealt), written_s: as_s(&written) };
            let score = |begin: u32| {
                let (mut finish, mut dealt_us, mut written_us) = (0, 0, 0);
                for target in rest(&ring, &row(span), begin) {
                    finish += (4 * (i64::from(work[target.index()]) + 1)).pow(2);
                    dealt_us += i64::from(dealt[target.index()]) * 1_000_000;
                    written_us += i64::from(written[target.index()]) * 1_000_000;
                }
                Score { finish, dealt_us, written_us, begin }
            };
            let best = best(&ring, &row(span), &burden, SPEEDS, None);
            prop_assert_eq!(Some(best), (0..ring.len() as u32).map(score).min());
        }

        /// What the ranks really take is what was dealt.
        #[test]
        fn ranks_take_what_was_dealt(
            targets in 1u32..40, passes in 1usize..5, world in 1u32..200, files in 1u32..3, begin in 0u32..200,
        ) {
            let ring = ring(targets, passes);
            let begin = begin % ring.len() as u32;
            let row = row(u64::from(world * files));
            let mut dealt = idle(targets as usize);
            put(&ring, &row, begin, &mut dealt, SPEEDS);
            let place = Place { begin: place(&ring, targets as usize, &row, begin), deal: 0 };
            let mut taken = vec![0.0; targets as usize];
            for file in 0..u64::from(world * files) {
                // Row after row; only in the last does the end of the walk matter.
                let (count, rank) = (file / u64::from(world), file % u64::from(world));
                let row_begin = u64::from(place.begin) + count * u64::from(world);
                let at = row_begin + walked(ring.len(), targets as usize, 1, rank);
                taken[ring[(at % ring.len() as u64) as usize].index()] += 1.0;
            }
            if files == 1 {
                prop_assert_eq!(taken, dealt.dealt_s);
            } else {
                let most = |counts: &[f64]| counts.iter().copied().fold(0.0, f64::max);
                prop_assert!(most(&taken) <= most(&dealt.dealt_s) + 1.0);
            }
        }
    }
}

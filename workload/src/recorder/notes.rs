//! What had to be assumed or left out, in sentences.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use tarazu_layout::Bytes;

use super::build::Noticed;
use super::rank::{RankTrace, Tally};
use crate::text::counted;

/// Names and places shown in one note: enough to see what they are.
const SHOWN: usize = 8;

/// Says what the ranks counted and what building noticed.
pub(super) fn add(ranks: &[RankTrace], noticed: &Noticed, notes: &mut Vec<String>) {
    let sum = total(ranks);
    if !sum.left_out_places.is_empty() {
        let files = sum.left_out_places.values().sum::<u64>();
        let names = counted(files, "file name", "file names");
        let bytes = Bytes(sum.left_out_bytes);
        let places = most(&sum.left_out_places);
        notes.push(format!(
            "{names} (each rank's counted) outside parallel file systems left out, and with them {bytes}: {places}"
        ));
    }
    if noticed.by_mpi_bytes > 0 {
        let bytes = Bytes(noticed.by_mpi_bytes);
        notes.push(format!(
            "{bytes} were taken from MPI-IO calls, because no POSIX call below them is in the trace: aggregation by \
             the MPI library does not show"
        ));
    }
    if noticed.missing_below_mpi_bytes > 0 {
        let bytes = Bytes(noticed.missing_below_mpi_bytes);
        notes.push(format!(
            "{bytes} of MPI-IO calls do not show in the POSIX calls below them, which were taken"
        ));
    }
    if noticed.past_the_end_bytes > 0 {
        let bytes = Bytes(noticed.past_the_end_bytes);
        notes.push(format!("{bytes} were asked for beyond the end of files that the ranks wrote: not read"));
    }
    if noticed.opened_before_bytes > 0 {
        let bytes = Bytes(noticed.opened_before_bytes);
        notes.push(format!(
            "{bytes} were asked for of files that were there before: the trace does not say how many of them came"
        ));
    }
    for (count, one, many, what) in sentences(&sum) {
        if count > 0 {
            notes.push(format!("{} {what}", counted(count, one, many)));
        }
    }
    if !sum.unknown.is_empty() {
        let calls = counted(sum.unknown.values().sum(), "call", "calls");
        notes.push(format!("{calls} of functions that are not known left out: {}", most(&sum.unknown)));
    }
}

type Sentence = (u64, &'static str, &'static str, &'static str);

fn sentences(sum: &Tally) -> [Sentence; 9] {
    [
        (sum.names, "call", "calls", "that made, renamed or removed names: not replayed"),
        (
            sum.maps,
            "mapping",
            "mappings",
            "of files into memory: what was read or written through it does not show",
        ),
        (sum.impossible, "access", "accesses", "with an impossible offset or length left out"),
        (
            sum.twice_open,
            "open",
            "opens",
            "of a file that the rank had open already: the text does not tell its descriptors apart, and positions \
             are those of the last",
        ),
        (
            sum.guessed_ends,
            "seek",
            "seeks",
            "to the end of a file whose size does not show: taken from what the rank itself wrote",
        ),
        (
            sum.guessed_offsets,
            "MPI-IO access",
            "MPI-IO accesses",
            "through a shared pointer or a view with gaps: offsets count from the view's beginning without gaps",
        ),
        (
            sum.untyped,
            "MPI-IO access",
            "MPI-IO accesses",
            "of a type whose size does not show: their bytes count only where POSIX calls below them are in the trace",
        ),
        (
            sum.unknown_comms,
            "collective call",
            "collective calls",
            "on a communicator without an id: they keep nobody waiting",
        ),
        (sum.unnamed, "MPI-IO call", "MPI-IO calls", "on a file whose open is not in the trace left out"),
    ]
}

fn total(ranks: &[RankTrace]) -> Tally {
    let mut sum = Tally::default();
    for tally in ranks.iter().map(|rank| &rank.tally) {
        for (into, from) in
            [(&mut sum.unknown, &tally.unknown), (&mut sum.left_out_places, &tally.left_out_places)]
        {
            for (name, count) in from {
                *into.entry(name.clone()).or_default() += count;
            }
        }
        sum.left_out_bytes = sum.left_out_bytes.saturating_add(tally.left_out_bytes);
        sum.left_out_calls += tally.left_out_calls;
        sum.names += tally.names;
        sum.maps += tally.maps;
        sum.impossible += tally.impossible;
        sum.twice_open += tally.twice_open;
        sum.guessed_ends += tally.guessed_ends;
        sum.guessed_offsets += tally.guessed_offsets;
        sum.untyped += tally.untyped;
        sum.unknown_comms += tally.unknown_comms;
        sum.unnamed += tally.unnamed;
    }
    sum
}

/// The names with the highest counts.
fn most(counts: &BTreeMap<String, u64>) -> String {
    let mut order: Vec<(&str, u64)> = counts.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    order.sort_by_key(|(_, count)| Reverse(*count));
    let shown: Vec<String> =
        order.iter().take(SHOWN).map(|(name, count)| format!("{name} {count}")).collect();
    let rest = if order.len() > SHOWN { " and others" } else { "" };
    format!("{}{rest}", shown.join(", "))
}

//! Replays what the fuzz target `spool` keeps, through the same checks.

// A test stops at the first surprise.
#![allow(clippy::unwrap_used)]

#[path = "../../fuzz/bodies/folder.rs"]
mod folder;
#[path = "../../fuzz/bodies/spool.rs"]
mod spool;

#[test]
fn inputs_are_read_or_stepped_over() {
    let read: Vec<_> = folder::inputs("spool").iter().map(|input| spool::check(input)).collect();
    let records: usize = read.iter().sum();
    assert!(records >= read.len() / 4 && read.contains(&0), "{records} records in {} inputs", read.len());
}

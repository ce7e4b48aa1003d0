//! Replays what the fuzz target `lov` keeps, through the same checks.

// A test stops at the first surprise.
#![allow(clippy::unwrap_used)]

#[path = "../../fuzz/bodies/folder.rs"]
mod folder;
#[path = "../../fuzz/bodies/lov.rs"]
mod lov;

#[test]
fn inputs_are_read_or_refused() {
    let read: Vec<_> = folder::inputs("lov").iter().map(|input| lov::check(input)).collect();
    let defaults = read.iter().filter(|(default, _)| *default).count();
    let files = read.iter().filter(|(_, file)| *file).count();
    assert!(defaults >= 5 && files >= 5, "{defaults} defaults and {files} files of {} were read", read.len());
    assert!(read.iter().any(|(default, file)| !default && !file), "some are refused");
}

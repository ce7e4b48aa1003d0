//! Replays what the fuzz targets `darshan` and `darshan_plain` keep, through the same checks.

// A test stops at the first surprise.
#![allow(clippy::unwrap_used)]

#[path = "../../fuzz/bodies/folder.rs"]
mod folder;
#[path = "../../fuzz/bodies/log.rs"]
mod log;
#[path = "../../fuzz/bodies/plain.rs"]
mod plain;

use folder::inputs;

#[test]
fn inputs_of_the_reader_are_read_or_refused() {
    let inputs = inputs("darshan");
    let read = inputs.iter().filter(|input| log::read(input, None).is_some()).count();
    assert!(read >= inputs.len() / 4 && read < inputs.len(), "{read} of {} were read", inputs.len());
}

#[test]
fn inputs_of_the_decoders_are_read_or_refused() {
    let logs: Vec<_> = inputs("darshan_plain").iter().filter_map(|input| plain::build(input)).collect();
    let read: Vec<_> = logs.iter().filter_map(|bytes| log::read(bytes, Some(bytes.len()))).collect();
    assert!(read.len() >= logs.len() / 2, "{} of {} were read", read.len(), logs.len());
    // The builder builds what it says: else every record would end at the header.
    let sound = read.iter().filter(|log| log.faults.is_empty()).count();
    assert!(sound >= 10, "only {sound} are without fault");
    for (name, found) in [
        ("POSIX", read.iter().filter(|log| log.posix.as_ref().is_some_and(|it| !it.is_empty())).count()),
        ("STDIO", read.iter().filter(|log| log.stdio.as_ref().is_some_and(|it| !it.is_empty())).count()),
        (
            "LUSTRE",
            read.iter().filter(|log| log.lustre.as_ref().is_some_and(|it| !it.stripes.is_empty())).count(),
        ),
        (
            "DXT",
            read.iter()
                .filter(|log| log.dxt_posix.as_ref().is_some_and(|it| !it.segments.is_empty()))
                .count(),
        ),
    ] {
        assert!(found > 0, "no input has records of {name}");
    }
}

//! Replays what the fuzz targets `darshan_convert`, `workload_csv` and `recorder` keep, through the same checks.

// A test stops at the first surprise.
#![allow(clippy::unwrap_used)]

#[path = "../../fuzz/bodies/bench_output.rs"]
mod bench_output;
#[path = "../../fuzz/bodies/convert.rs"]
mod convert;
#[path = "../../fuzz/bodies/folder.rs"]
mod folder;
#[path = "../../fuzz/bodies/plain.rs"]
mod plain;
#[path = "../../fuzz/bodies/recorder.rs"]
mod recorder;
#[path = "../../fuzz/bodies/workload_csv.rs"]
mod workload_csv;

use folder::inputs;
use tarazu_darshan::Log;

#[test]
fn logs_convert_to_sound_workloads_or_not_at_all() {
    let mut moved = 0;
    for input in inputs("darshan_convert") {
        let Some(bytes) = plain::build(&input) else { continue };
        let Ok(log) = Log::from_bytes("input", &bytes) else { continue };
        moved += convert::convert(&log);
    }
    assert!(moved > 10, "only {moved} conversions moved bytes");
}

#[test]
fn tables_are_refused_or_survive_writing() {
    let inputs = inputs("workload_csv");
    let read = inputs.iter().filter(|input| workload_csv::check(input)).count();
    assert!(read > 10 && read < inputs.len(), "{read} of {} were read", inputs.len());
}

#[test]
fn recorder_texts_are_refused_or_give_sound_workloads() {
    let inputs = inputs("recorder");
    let read = inputs.iter().filter(|input| recorder::check(input)).count();
    assert!(read > 10 && read < inputs.len(), "{read} of {} were read", inputs.len());
}

#[test]
fn outputs_of_benchmarks_are_refused_or_read() {
    let inputs = inputs("bench_output");
    let read = inputs.iter().filter(|input| bench_output::check(input)).count();
    assert!(read > 10 && read < inputs.len(), "{read} of {} were read", inputs.len());
}

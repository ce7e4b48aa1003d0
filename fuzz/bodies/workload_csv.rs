//! What reading any bytes as a workload table must hold.
//!
//! Compiled into the fuzz target and, by path, into the test that replays its corpus.

use tarazu_workload::csv_format;

/// A table that is read can be written, and comes back the same. Whether it was read.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let workload = match csv_format::read(bytes, "input") {
        Ok(workload) => workload,
        Err(error) => {
            assert!(error.to_string().starts_with("input"), "an error names its file: {error}");
            return false;
        }
    };
    let mut written = Vec::new();
    csv_format::write(&workload, &mut written).expect("what was read can be written");
    let again = csv_format::read(&*written, "written").expect("what was written can be read");
    assert_eq!(again, workload);
    true
}

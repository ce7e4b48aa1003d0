//! Every bundled log through every kind of replay: nothing is lost, nothing waits for ever.

use std::path::{Path, PathBuf};

use tarazu_darshan::Log;
use tarazu_sim::{Outcome, Policy, Scenario, System, Timing, run};
use tarazu_workload::Workload;
use tarazu_workload::darshan::{ConvertOptions, to_workload};

fn logs() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../traces/darshan");
    let entries = std::fs::read_dir(folder).expect("the bundled logs");
    let mut logs: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a readable entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "darshan"))
        .collect();
    logs.sort();
    assert!(logs.len() > 30, "the bundled logs are found");
    logs
}

fn workload(path: &Path) -> Option<Workload> {
    // A bzip2 log is refused by name; the reader's own tests say so.
    let log = Log::open(path).ok()?;
    let converted = to_workload(&[&log], &ConvertOptions::default()).expect("a workload");
    (converted.workload.totals().ops > 0).then_some(converted.workload)
}

#[test]
fn no_byte_is_lost_in_any_replay() {
    let system = System::bundled().expect("the bundled system");
    let mut replayed = 0;
    for path in logs() {
        let Some(workload) = workload(&path) else { continue };
        let totals = workload.totals();
        for timing in [Timing::Closed, Timing::Open] {
            for policy in [Policy::LustreRr, Policy::Tarazu] {
                let scenario = Scenario { timing, ..Scenario::default() };
                let outcome: Outcome = run(&workload, &system, &scenario, policy, 1)
                    .unwrap_or_else(|error| panic!("{}, {timing:?}, {policy}: {error}", path.display()));
                let moved = outcome.read_bytes + outcome.written_bytes + outcome.off_target_bytes;
                let expected = totals.read_bytes + totals.written_bytes;
                assert_eq!(moved, expected, "{}, {timing:?}, {policy}", path.display());
                assert!(outcome.written_bytes <= totals.written_bytes);
                replayed += 1;
            }
        }
    }
    assert!(replayed > 100, "{replayed} runs");
}

//! The log of a controller's events, fed to the same code again, gives the same tables.

use super::*;

/// Tables that must be in the log for the comparison to say something.
const TABLES_MIN: usize = 5;

#[test]
fn a_recorded_controller_decides_the_same_again() {
    let place = Place::new(6);
    let record = place.path("record");
    let mut controller = Controller::start(&place, &["--record", record.to_str().unwrap()]);
    let grpc = controller.grpc;
    let _agents = [
        place.agent(grpc, "oss0", "agent-0", &[0, 1, 2], 1 << 49),
        place.agent(grpc, "oss1", "agent-1", &[3, 4, 5], 1 << 49),
    ];
    let run = place.run();
    let _node = place.node(grpc, "node", &run);
    controller.settled(2);
    until("a first table", || published(&run));
    let session = session(&run, 1);
    advise(&session, &place).unwrap();
    controller.drain(1, "makes steering worthwhile");
    steered(&session, &place, "file");
    until("the word of a file", || (controller.file_system()?.files_placed > 0).then_some(()));
    for round in 0..TABLES_MIN {
        let plans = controller.file_system().unwrap().plans;
        controller.drain(4, &format!("round {round}"));
        until("a plan with what is new", || (controller.file_system()?.plans > plans).then_some(()));
    }
    session.close();
    until("the end of the job", || (controller.file_system()?.jobs == 0).then_some(()));
    controller.process.end();

    let logs: Vec<PathBuf> = fs::read_dir(&record).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(logs.len(), 1, "{logs:?}");
    let output = Command::new(env!("CARGO_BIN_EXE_tarazu")).arg("replay").arg(&logs[0]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let same = said.lines().filter(|line| line.ends_with("as recorded")).count();
    let count = format!("{same} tables made, {same} recorded");
    assert!(same > TABLES_MIN && said.contains(&count), "{said}");

    // The comparison can fail: a log with one event less gives other tables, or none.
    let mut bytes = fs::read(&logs[0]).unwrap();
    let cut = place.path("cut.tarazu");
    bytes.truncate(bytes.len() / 2);
    fs::write(&cut, bytes).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tarazu")).arg("replay").arg(&cut).output().unwrap();
    let fewer = String::from_utf8(output.stdout).unwrap();
    let fewer = fewer.lines().filter(|line| line.ends_with("as recorded")).count();
    assert!(output.status.success() && fewer < same, "a log that was cut replays as far as it goes");
}

//! The log of a live controller's events, fed to the controller's code and to the simulator's, gives the same tables.

use super::*;

/// Tables that must be in the log for the comparison to say something.
const TABLES_MIN: usize = 5;

/// What the command says of a table that all agree on.
const SAME: &str = "as recorded, and as simulated";

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
    controller.settled(2);
    let _node = place.node(grpc, "node", &run);
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
    let same = said.lines().filter(|line| line.ends_with(SAME)).count();
    let count = format!("{same} recorded, {same} made by the controller's code, {same} by the simulator's");
    assert!(same > TABLES_MIN && said.contains(&count), "{said}");

    // As a killed controller would leave it.
    let mut bytes = fs::read(&logs[0]).unwrap();
    let cut = place.path("cut.tarazu");
    bytes.truncate(bytes.len() / 2);
    fs::write(&cut, bytes).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tarazu")).arg("replay").arg(&cut).output().unwrap();
    let fewer = String::from_utf8(output.stdout).unwrap();
    let fewer = fewer.lines().filter(|line| line.ends_with(SAME)).count();
    assert!(output.status.success() && fewer < same, "a log that was cut replays as far as it goes");
}

//! The state directory is gone between two lives: nodes still know the term, and everybody is told what was lost.

use super::*;

#[test]
fn a_lost_state_directory_is_said_loudly_and_the_term_still_rises() {
    lose_after(3);
}

/// The next life takes the very term that the nodes know, and may publish nothing under it.
#[test]
fn the_state_of_a_first_life_is_lost_and_the_term_still_rises() {
    lose_after(0);
}

fn lose_after(restarts: u64) {
    let place = Place::new(4);
    let mut controller = Controller::start(&place, &[]);
    let _agent = place.agent(controller.grpc, "oss0", "agent", &[0, 1, 2, 3], 1 << 49);
    let run = place.run();
    controller.settled(1);
    let _node = place.node(controller.grpc, "node", &run);
    until("a first table", || published(&run));
    // A node exchanges while a job runs.
    let session = session(&run, 1);
    advise(&session, &place).unwrap();
    controller.drain(2, "a disk was pulled");
    // Enough plans that the next life is still below them when a node says so.
    let plans = controller.file_system().unwrap().plans;
    until("some plans", || {
        controller.drain(1, "to and fro");
        controller.resume(1);
        (controller.file_system()?.plans > plans + 8).then_some(())
    });
    for _ in 0..restarts {
        controller.process.kill();
        controller.again(&place);
    }
    let term = until("a plan of the last life", || controller.file_system()?.order).term;
    assert!(term > restarts, "{term}");
    until("its table on the node", || (published(&run)?.term == term).then_some(()));
    assert_eq!(controller.targets()[&2].state, "drained");
    assert!(controller.status().unwrap().warnings.is_empty());

    controller.process.kill();
    fs::remove_dir_all(place.path("state")).unwrap();
    let said_before = controller.process.log().len();
    controller.again(&place);
    let order = until("a plan above what the nodes have seen", || {
        assert!(published(&run)?.term >= term, "the node took an older table");
        let order = controller.file_system()?.order?;
        (order.term > term).then_some(order)
    });
    until("its table on the node", || (published(&run)?.term == order.term).then_some(()));
    let warnings = controller.status().unwrap().warnings;
    assert!(
        warnings.iter().any(|said| said.contains("lost") && said.contains(&term.to_string())),
        "{warnings:?}"
    );
    let log = controller.process.log().split_off(said_before);
    assert!(log.contains("is EMPTY") && log.contains("it was LOST"), "{log}");
    // The drain is gone, as the warning says; said again it holds.
    assert_eq!(controller.targets()[&2].drain, None);
    controller.drain(2, "said again");
    assert_eq!(controller.targets()[&2].drain.as_ref().unwrap().reason, "said again");
    create(&session, &place.fs().join("file"));
}

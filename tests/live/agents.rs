//! Agents that die, freeze and come in twos: one source at a time speaks for a server, and the newest one wins.

use super::*;

/// What the first agent's samples say of free space, and the second one's.
const FREE: [u64; 2] = [3 << 48, 1 << 48];

/// So long nothing else than the new source is seen after the old one came back: four of its intervals.
const WATCHED: Duration = Duration::from_secs(2);

/// Free space of both targets as the controller believes it.
fn free(controller: &Controller) -> Vec<u64> {
    controller.targets().values().map(|target| target.free_bytes).collect()
}

fn wait_for_free(controller: &Controller, bytes: u64) {
    until("samples of that agent", || (free(controller) == [bytes; 2]).then_some(()));
}

/// The old source never mixes with the new one.
fn only_the_new_one_is_heard(controller: &Controller) {
    let end = Instant::now() + WATCHED;
    while Instant::now() < end {
        assert_eq!(free(controller), [FREE[1]; 2]);
        sleep(LOOK);
    }
}

#[test]
fn a_killed_agent_falls_silent_and_comes_back() {
    let place = Place::new(3);
    let controller = Controller::start(&place, &[]);
    let mut agent = place.agent(controller.grpc, "oss0", "agent", &[0, 1], FREE[0]);
    let _other = place.agent(controller.grpc, "oss1", "other", &[2], FREE[0]);
    controller.settled(2);
    agent.kill();
    until("targets that fall silent", || {
        let targets = controller.targets();
        let silent = [0, 1].iter().all(|ost| targets[ost].state == "silent");
        (silent && targets[&2].state == "ok").then_some(())
    });
    assert_eq!(controller.file_system().unwrap().servers_connected, 1);
    let _agent = place.agent(controller.grpc, "oss0", "agent-again", &[0, 1], FREE[1]);
    let status = controller.settled(2);
    assert_eq!((status.servers, status.targets), (2, 3), "nothing was counted twice");
    let targets = controller.targets();
    assert!([0, 1].iter().all(|ost| targets[ost].state == "ok" && targets[ost].free_bytes == FREE[1]));
}

#[test]
fn a_frozen_agent_that_was_replaced_is_not_heard_when_it_goes_on() {
    let place = Place::new(2);
    let controller = Controller::start(&place, &[]);
    let frozen = place.agent(controller.grpc, "oss0", "frozen", &[0, 1], FREE[0]);
    controller.settled(1);
    wait_for_free(&controller, FREE[0]);
    frozen.signal(Signal::STOP);
    let _new = place.agent(controller.grpc, "oss0", "new", &[0, 1], FREE[1]);
    wait_for_free(&controller, FREE[1]);
    frozen.signal(Signal::CONT);
    only_the_new_one_is_heard(&controller);
    until("the word to the old one", || {
        frozen.log().contains("another agent of the name oss0").then_some(())
    });
    let status = controller.settled(1);
    assert_eq!((status.servers, status.targets), (1, 2));
    assert_eq!(status.refused.get("superseded_agent"), Some(&1), "{:?}", status.refused);
}

#[test]
fn of_two_agents_of_one_name_the_later_one_speaks() {
    let place = Place::new(2);
    let controller = Controller::start(&place, &[]);
    let first = place.agent(controller.grpc, "oss0", "first", &[0, 1], FREE[0]);
    controller.settled(1);
    wait_for_free(&controller, FREE[0]);
    let mut second = place.agent(controller.grpc, "oss0", "second", &[0, 1], FREE[1]);
    wait_for_free(&controller, FREE[1]);
    until("the word to the first one", || first.log().contains("ERROR").then_some(()));
    only_the_new_one_is_heard(&controller);
    let log = first.log();
    assert!(log.contains("another agent of the name oss0") && log.contains("is silent"), "{log}");
    assert!(second.is_running() && !second.log().contains("ERROR"), "{}", second.log());
    assert_eq!(controller.refused("superseded_agent"), 1);
}

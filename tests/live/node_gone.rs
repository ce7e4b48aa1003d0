//! The node daemon dies, and its table grows old: creates go on, first by the rings of now, then by the steady ones,
//! then as without tarazu.

use super::*;
use tarazu_layout::Time;
use tarazu_table::{Reason, STAMP_BYTES, STEADY_MAX_S, Stamp, Tier, publish};

/// Creates files until the library says that of one.
fn made(
    session: &Session,
    place: &Place,
    name: &str,
    wanted: impl Fn(&tarazu::MadeHere) -> bool,
) -> tarazu::MadeHere {
    let mut number = 0;
    until("a file that is made so", || {
        number += 1;
        let path = place.fs().join(format!("{name}-{number}"));
        create(session, &path);
        let made = session.explain(&path).unwrap().made.unwrap();
        remove(&path);
        wanted(&made).then_some(made)
    })
}

fn is_by(tier: Tier) -> impl Fn(&tarazu::MadeHere) -> bool {
    move |made| made.why.is_none() && made.decided.as_ref().is_some_and(|decided| decided.tier == tier)
}

fn is_left(reason: Reason) -> impl Fn(&tarazu::MadeHere) -> bool {
    move |made| made.why == Some(Why::Table(reason))
}

#[test]
fn without_a_node_daemon_creates_go_on_and_the_table_grows_old() {
    let place = Place::new(4);
    let controller = Controller::start(&place, &[]);
    let _agent = place.agent(controller.grpc, "oss0", "agent", &[0, 1, 2, 3], 1 << 49);
    let run = place.run();
    // Without a daemon ever: as without tarazu.
    let early = session(&run, 1);
    create(&early, &place.fs().join("early"));
    assert!(advise(&early, &place).is_err());
    assert_eq!(early.counts(), (0, vec![(Why::Table(Reason::NoTable), 1)]));

    controller.settled(1);
    let mut node = place.node(controller.grpc, "node", &run);
    controller.drain(3, "makes steering worthwhile");
    until("a first table", || published(&run));
    let session = session(&run, 1);
    advise(&session, &place).unwrap();
    made(&session, &place, "now", is_by(Tier::Now));
    node.kill();
    made(&session, &place, "steady", is_by(Tier::Steady));

    // A quarter of an hour later: what the daemon published, received so long ago.
    let bytes = fs::read(table_file(&run)).unwrap();
    let held = Published::verify(&bytes).unwrap();
    let age_ns = (STEADY_MAX_S + 1) * 1_000_000_000;
    let received = Time(held.stamp.received.0.saturating_sub(age_ns));
    let old = publish(&Stamp { received, ..held.stamp }, &bytes[STAMP_BYTES..]).unwrap();
    put(&run, &old);
    if received.0 > 0 {
        made(&session, &place, "stale", is_left(Reason::Stale));
    } else {
        eprintln!(
            "NOT CHECKED: a table beyond a quarter of an hour; this machine was booted later than that ago"
        );
    }
    fs::remove_dir_all(&run).unwrap();
    made(&session, &place, "absent", is_left(Reason::NoTable));

    // A new daemon brings everything back, to the sessions that are there as well.
    let _node = place.node(controller.grpc, "node", &run);
    until("a table again", || published(&run));
    until("an advice that is told", || advise(&session, &place).ok());
    let allowed = |why: &Why| matches!(why, Why::Table(_) | Why::Paused | Why::Busy);
    let (steered, left) = session.counts();
    assert!(steered >= 2 && left.iter().all(|(why, _)| allowed(why)), "{steered} {left:?}");
}

/// Publishes as the daemon does.
fn put(run: &Path, bytes: &[u8]) {
    let new = run.join(FS).join("made");
    fs::write(&new, bytes).unwrap();
    fs::rename(new, table_file(run)).unwrap();
}

//! Everything that leaves comes back equal, and everything outside its limits is refused by name.

use proptest::prelude::*;
use tarazu_core::control::{Drain, Event, Policy};
use tarazu_core::policy::Chosen;
use tarazu_core::sample::{
    FileProfile, JobStart, LoadSample, Placed, PlacedOutcome, TargetFlags, TargetSample,
};
use tarazu_core::topology::{ServerSpec, TargetSpec, Topology};
use tarazu_layout::{Bytes, JobId, OstIndex, ServerId, TargetId, Time};
use tarazu_table::{JobKey, Tier};

use crate::v1;
use crate::{Invalid, event_from, event_to, file_system_name, host_name, job_start, placed, register};

/// Three servers with two targets each; indices have gaps.
fn topology() -> Topology {
    let target = |number: u32| TargetSpec {
        ost: OstIndex(number * 3),
        server: ServerId(number / 2),
        read_bps: 2e9,
        write_bps: 1e9,
        capacity: Bytes(1 << 40),
    };
    let server = ServerSpec { link_bps: 4e9, enclosure: Some(1) };
    Topology::new((0..6).map(target).collect(), vec![server; 3]).expect("a valid topology")
}

fn drain() -> Drain {
    Drain { reason: "replaced".into(), until: Some(Time(9)), by: "operator".into(), since: Time(4) }
}

fn profile() -> FileProfile {
    FileProfile {
        key: JobKey(77),
        files_per_burst: 8,
        files_per_process: 2,
        stripes_per_burst: 13,
        expected: Bytes(1 << 30),
        placed: Bytes(1 << 29),
        stripe_count: 2,
        stripe_size: 1 << 20,
        confidence: 90,
    }
}

fn load(values: (u64, Option<u64>, Option<f64>)) -> LoadSample {
    let row = TargetSample {
        target: TargetId(3),
        read: Bytes(values.0),
        written: Bytes(values.0 / 2),
        ops: values.1,
        latency_s: values.2,
        busy_s: values.2,
        depth: None,
        free: Bytes(values.0),
        state: TargetFlags { degraded: true, full: values.1.is_some(), ..TargetFlags::default() },
    };
    LoadSample {
        server: ServerId(1),
        agent_start: Time(5),
        sequence: 6,
        interval_s: 5.0,
        queued_requests: values.1.map(|ops| ops as u32),
        cpu_share: Some(0.5),
        targets: vec![row],
    }
}

/// Through the wire's bytes and back.
fn again(event: &Event) -> Event {
    use prost::Message;
    let topology = topology();
    let bytes = v1::Recorded { now_ns: 1, what: Some(event_to(event, &topology)) }.encode_to_vec();
    let read = v1::Recorded::decode(&bytes[..]).expect("its own bytes");
    let event = event_from(&read.what.expect("an event"), Some(&topology));
    event.expect("a valid event").expect("an event that can be replayed")
}

proptest! {
    #[test]
    fn events_come_back_as_they_were(
        values in (any::<u64>(), proptest::option::of(0u64..1 << 32), proptest::option::of(0.0f64..1e9)),
        outcome in any::<Option<u64>>(),
        steady in any::<bool>(),
    ) {
        let tier = if steady { Tier::Steady } else { Tier::Now };
        let outcome = outcome.map_or(
            PlacedOutcome::Created { reason: Chosen::Ticket(tier) },
            |written| PlacedOutcome::Closed { written: Bytes(written) },
        );
        let placed = Placed {
            job: JobId(values.0),
            key: JobKey(3),
            targets: vec![TargetId(5), TargetId(0)],
            expected: Bytes(values.0),
            outcome,
        };
        let start = JobStart { job: JobId(1), world: 64, files: vec![profile()] };
        let policy = Policy { apply: steady, canary: !steady, detect: true };
        for event in [
            Event::Sample(load(values)),
            Event::Placed(vec![placed]),
            Event::JobStarted(start),
            Event::JobEnded(JobId(values.0)),
            Event::Drain { targets: vec![TargetId(2), TargetId(5)], drain: steady.then(drain) },
            Event::SetPolicy(policy),
            Event::Persisted { write: values.0 },
            Event::SawTerm(values.0),
            Event::SawOther(values.0),
            Event::CanaryDone { target: TargetId(4), seconds: values.2 },
            Event::Started { stored_term: 3, drained: vec![(TargetId(1), drain())], policy: Some(policy) },
            Event::JudgementLifted { target: TargetId(4) },
            Event::Tick,
        ] {
            prop_assert_eq!(format!("{:?}", again(&event)), format!("{event:?}"));
        }
    }
}

#[test]
fn a_topology_comes_back_as_it_was() {
    let grown = Event::Grown { topology: topology(), drained: vec![(TargetId(5), drain())] };
    let Event::Grown { topology: read, drained } = again(&grown) else { panic!("another event") };
    assert_eq!(read.targets(), topology().targets());
    assert_eq!(read.servers(), topology().servers());
    assert_eq!(drained, [(TargetId(5), drain())]);
}

fn registration() -> v1::Register {
    let facts = v1::TargetFacts { ost_index: 4, capacity_bytes: 1 << 40, read_bps: 1e9, write_bps: 1e9 };
    v1::Register {
        protocol: 1,
        file_system: "scratch".into(),
        server: "oss-1.site".into(),
        instance: 1,
        started_unix_ns: 2,
        agent_version: "0.1.0".into(),
        file_system_version: "2.17.0".into(),
        link_bps: 1e10,
        enclosure: None,
        targets: vec![facts],
        can_canary: true,
    }
}

#[test]
fn registrations_outside_the_limits_are_refused() {
    assert!(register(&registration()).is_ok());
    let refuse = |change: fn(&mut v1::Register)| {
        let mut message = registration();
        change(&mut message);
        register(&message).expect_err("must be refused").kind()
    };
    assert_eq!(refuse(|m| m.protocol = 2), "protocol");
    assert_eq!(refuse(|m| m.file_system = "../etc".into()), "text");
    assert_eq!(refuse(|m| m.file_system = ".".into()), "text");
    assert_eq!(refuse(|m| m.server = "a\nb".into()), "text");
    assert_eq!(refuse(|m| m.server = "x".repeat(254)), "text");
    assert_eq!(refuse(|m| m.targets.clear()), "count");
    assert_eq!(refuse(|m| m.targets = vec![m.targets[0]; 257]), "count");
    assert_eq!(refuse(|m| m.targets = vec![m.targets[0]; 2]), "repeated_ost");
    assert_eq!(refuse(|m| m.targets[0].ost_index = 65_535), "number");
    assert_eq!(refuse(|m| m.targets[0].capacity_bytes = 0), "number");
    for bad in [f64::NAN, -1.0, 0.0, f64::INFINITY, 1e30] {
        let mut message = registration();
        message.targets[0].write_bps = bad;
        assert_eq!(register(&message).expect_err("no bandwidth").kind(), "number");
        let mut message = registration();
        message.link_bps = bad;
        assert_eq!(register(&message).expect_err("no bandwidth").kind(), "number");
    }
}

#[test]
fn what_nodes_say_outside_the_limits_is_refused() {
    let find = |ost: OstIndex| (ost.0 < 4).then_some(TargetId(ost.0));
    let good = v1::Placed {
        job: 1,
        key: 2,
        ost_indices: vec![0, 3],
        expected_bytes: 5,
        outcome: Some(v1::placed::Outcome::Created(v1::placed::Created { steady: false })),
    };
    assert!(placed(&good, &find).is_ok());
    let refuse = |change: fn(&mut v1::Placed)| {
        let mut message = good.clone();
        change(&mut message);
        placed(&message, &find).expect_err("must be refused").kind()
    };
    assert_eq!(refuse(|m| m.ost_indices.clear()), "count");
    assert_eq!(refuse(|m| m.ost_indices = vec![0; 2001]), "count");
    assert_eq!(refuse(|m| m.ost_indices[0] = 9), "unknown_ost");
    assert_eq!(refuse(|m| m.outcome = None), "missing");
    let good = crate::job_start_from(&JobStart { job: JobId(1), world: 4, files: vec![profile()] });
    assert!(job_start(&good).is_ok());
    let refuse = |change: fn(&mut v1::JobStart)| {
        let mut message = good.clone();
        change(&mut message);
        job_start(&message).expect_err("must be refused").kind()
    };
    assert_eq!(refuse(|m| m.world = 0), "number");
    assert_eq!(refuse(|m| m.world = u32::MAX), "number");
    assert_eq!(refuse(|m| m.files.clear()), "count");
    assert_eq!(refuse(|m| m.files[0].stripe_count = 0), "number");
    assert_eq!(refuse(|m| m.files[0].stripe_size_bytes = 1000), "number");
    assert_eq!(refuse(|m| m.files[0].confidence_percent = 300), "number");
    assert_eq!(refuse(|m| m.files[0].placed_bytes = u64::MAX), "number");
}

#[test]
fn names_are_plain() {
    assert!(file_system_name("scratch").is_ok() && host_name("node-01.site.org").is_ok());
    for bad in ["", "a/b", "a b", "..", "ä", "a\0"] {
        assert!(matches!(file_system_name(bad), Err(Invalid::Text { .. })), "{bad:?}");
    }
}

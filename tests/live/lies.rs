//! An agent that lies: what cannot be is refused and counted, and nobody else is harmed.

use super::*;
use tarazu_proto::v1::agent_message::Message;
use tarazu_proto::v1::agent_order::Order as AgentOrder;
use tarazu_proto::v1::agents_client::AgentsClient;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

/// Free space in the samples of the honest agents.
const FREE: u64 = 1 << 49;

/// The liar's own targets, and one of somebody else.
const OWN: [u32; 2] = [6, 7];
const FOREIGN: u32 = 0;

/// One stream to the controller.
struct Liar {
    send: mpsc::Sender<v1::AgentMessage>,
    orders: Streaming<v1::AgentOrder>,
    sequence: u64,
}

/// One thread drives the connection while the test does something else.
fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn register(server: &str, osts: &[u32]) -> v1::Register {
    let facts = |ost: &u32| v1::TargetFacts {
        ost_index: *ost,
        capacity_bytes: 1 << 50,
        read_bps: 1e9,
        write_bps: 1e9,
    };
    v1::Register {
        protocol: 1,
        file_system: FS.to_owned(),
        server: server.to_owned(),
        instance: 7,
        started_unix_ns: 1,
        agent_version: "0".to_owned(),
        file_system_version: String::new(),
        link_bps: 1e10,
        enclosure: None,
        targets: osts.iter().map(facts).collect(),
        can_canary: false,
    }
}

fn row(ost: u32) -> v1::TargetSample {
    v1::TargetSample { ost_index: ost, free_bytes: FREE, ..v1::TargetSample::default() }
}

fn honest() -> v1::Sample {
    v1::Sample {
        sequence: 0,
        interval_s: 0.5,
        queued_requests: Some(0),
        cpu_share: Some(0.5),
        targets: OWN.map(row).to_vec(),
    }
}

impl Liar {
    async fn connect(grpc: SocketAddr, first: Message) -> Result<Self, Status> {
        let (send, messages) = mpsc::channel(64);
        send.send(v1::AgentMessage { message: Some(first) }).await.unwrap();
        let mut agents = AgentsClient::new(channel(grpc));
        let orders = agents.report(ReceiverStream::new(messages)).await?.into_inner();
        Ok(Self { send, orders, sequence: 0 })
    }

    /// Connects, and waits for the answer to the registration.
    async fn registered(grpc: SocketAddr, register: v1::Register) -> Result<(Self, v1::Registered), Status> {
        let mut liar = Self::connect(grpc, Message::Register(register)).await?;
        match liar.orders.message().await?.and_then(|order| order.order) {
            Some(AgentOrder::Registered(registered)) => Ok((liar, registered)),
            other => panic!("{other:?}"),
        }
    }

    /// A sample with the next number, changed.
    async fn sample(&mut self, change: impl FnOnce(&mut v1::Sample)) {
        self.sequence += 1;
        let mut sample = v1::Sample { sequence: self.sequence, ..honest() };
        change(&mut sample);
        self.say(Message::Sample(sample)).await;
    }

    async fn say(&self, message: Message) {
        self.send.send(v1::AgentMessage { message: Some(message) }).await.unwrap();
    }
}

type Lie = (&'static str, &'static str, Box<dyn Fn(&mut v1::Sample)>);

/// A lie about one value of the first row.
fn of_row(what: &'static str, reason: &'static str, change: impl Fn(&mut v1::TargetSample) + 'static) -> Lie {
    (what, reason, Box::new(move |sample| change(&mut sample.targets[0])))
}

fn of_sample(what: &'static str, reason: &'static str, change: impl Fn(&mut v1::Sample) + 'static) -> Lie {
    (what, reason, Box::new(change))
}

fn lies() -> Vec<Lie> {
    let mut lies = Vec::new();
    for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 1e30] {
        lies.push(of_row("latency", "sample.impossible", move |row| row.latency_s = Some(wrong)));
        lies.push(of_row("busy time", "sample.impossible", move |row| row.busy_s = Some(wrong)));
        lies.push(of_row("depth", "sample.impossible", move |row| row.depth = Some(wrong)));
        lies.push(of_sample("processors", "number", move |sample| sample.cpu_share = Some(wrong)));
    }
    for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.5, 0.0, 1e-30] {
        lies.push(of_sample("interval", "sample.interval", move |sample| sample.interval_s = wrong));
    }
    for wrong in [u64::MAX, 1 << 62, 1 << 50] {
        lies.push(of_row("bytes written", "sample.impossible", move |row| row.written_bytes = wrong));
        lies.push(of_row("bytes read", "sample.impossible", move |row| row.read_bytes = wrong));
    }
    lies.push(of_sample("sequence 0", "sample.repeated", |sample| sample.sequence = 0));
    // The first one was believed.
    lies.push(of_sample("sequence back", "sample.repeated", |sample| sample.sequence = 1));
    lies.push(of_sample("twice", "sample.repeated_target", |sample| sample.targets.push(row(OWN[0]))));
    lies.push(of_row("somebody else's target", "row_of_foreign_target", |row| row.ost_index = FOREIGN));
    lies.push(of_row("a target that is none", "row_of_foreign_target", |row| row.ost_index = 9999));
    lies.push(of_row("no index", "row_of_foreign_target", |row| row.ost_index = u32::MAX));
    lies.push(of_sample("300 rows", "count", |sample| sample.targets = vec![row(OWN[0]); 300]));
    lies.push(of_sample("300 rows of others", "row_of_foreign_target", |sample| {
        sample.targets = (0..300).map(|ost| v1::TargetSample { free_bytes: 1, ..row(ost % 6) }).collect();
    }));
    lies
}

type Damage = Box<dyn Fn(&mut v1::Register)>;

/// Registrations that are none.
fn garbage() -> Vec<Damage> {
    let mut garbage: Vec<Damage> = vec![
        Box::new(|claim| claim.protocol = 99),
        Box::new(|claim| claim.server = String::new()),
        Box::new(|claim| claim.server = "x".repeat(300)),
        Box::new(|claim| claim.server = "a\nb\0".to_owned()),
        Box::new(|claim| claim.file_system = String::new()),
        Box::new(|claim| claim.file_system = "../../etc".to_owned()),
        Box::new(|claim| claim.file_system = "x".repeat(65)),
        Box::new(|claim| claim.agent_version = "x".repeat(1000)),
        Box::new(|claim| claim.targets.clear()),
        Box::new(|claim| {
            claim.targets = register("x", &Vec::from_iter(1000..1300)).targets;
        }),
        Box::new(|claim| claim.targets[1].ost_index = OWN[0]),
        Box::new(|claim| claim.targets[0].ost_index = 65_535),
        Box::new(|claim| claim.targets[0].ost_index = u32::MAX),
        Box::new(|claim| claim.targets[0].capacity_bytes = 0),
    ];
    for wrong in [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e30] {
        garbage.push(Box::new(move |claim| claim.link_bps = wrong));
        garbage.push(Box::new(move |claim| claim.targets[0].read_bps = wrong));
        garbage.push(Box::new(move |claim| claim.targets[0].write_bps = wrong));
    }
    garbage
}

#[test]
fn a_lying_agent_harms_nobody_else() {
    let place = Place::new(9);
    let mut controller = Controller::start(&place, &[]);
    let grpc = controller.grpc;
    let _agents = [
        place.agent(grpc, "oss0", "agent-0", &[0, 1, 2], FREE),
        place.agent(grpc, "oss1", "agent-1", &[3, 4, 5, 8], FREE),
    ];
    let run = place.run();
    controller.settled(2);
    let _node = place.node(grpc, "node", &run);
    controller.drain(8, "makes steering worthwhile");
    until("a first table", || published(&run));
    let session = session(&run, 1);
    advise(&session, &place).unwrap();
    steered(&session, &place, "before");

    let runtime = runtime();
    let (mut liar, registered) =
        runtime.block_on(Liar::registered(grpc, register("liar", &OWN))).expect("an agent like others");
    assert_eq!(registered.contested_ost_indices, Vec::<u32>::new());
    runtime.block_on(liar.sample(|_| ()));
    until("its first sample", || (controller.targets().get(&OWN[0])?.free_bytes == FREE).then_some(()));
    tell_all_lies(&controller, &runtime, &mut liar);
    unharmed(&controller, "after lies");

    for (number, damage) in garbage().iter().enumerate() {
        let mut wrong = register("liar", &OWN);
        damage(&mut wrong);
        let before = controller.refused("registration");
        let is_of_this = wrong.file_system == FS;
        let refused = runtime.block_on(Liar::registered(grpc, wrong)).err();
        let refused = refused.unwrap_or_else(|| panic!("garbage {number} was taken"));
        assert_eq!(refused.code(), Code::InvalidArgument, "garbage {number}: {refused}");
        assert_eq!(controller.refused("registration"), before + u64::from(is_of_this), "garbage {number}");
    }
    let no_register = runtime.block_on(Liar::connect(grpc, Message::Sample(honest()))).err();
    assert_eq!(no_register.map(|status| status.code()), Some(Code::InvalidArgument));
    claim_what_is_not_its_own(&controller, &runtime);
    too_large(&controller, &runtime);
    unharmed(&controller, "after garbage");

    // Tables still come, and clients follow them.
    assert!(controller.process.is_running());
    let before = published(&run);
    controller.drain(1, "something new");
    until("a newer table on the node", || (published(&run) > before).then_some(()));
    steered(&session, &place, "after");
    let log = controller.process.log();
    assert!(!log.contains("panicked"), "{log}");
}

fn tell_all_lies(controller: &Controller, runtime: &Runtime, liar: &mut Liar) {
    let lies = lies();
    for (what, reason, lie) in &lies {
        let before = controller.refused(reason);
        runtime.block_on(liar.sample(lie));
        until(&format!("a lie about {what}, counted as {reason}"), || {
            (controller.refused(reason) > before).then_some(())
        });
    }
    // A sequence that goes back by far, as one of another agent would.
    let before = controller.refused("sample.repeated");
    runtime.block_on(async {
        liar.sample(|sample| sample.sequence = 1 << 40).await;
        liar.sample(|_| ()).await;
    });
    until("a sequence that goes back", || (controller.refused("sample.repeated") > before).then_some(()));
    liar.sequence = 1 << 41;
    for (ost_index, reason) in [(9999, "unknown_ost"), (OWN[0], "unknown_canary")] {
        let before = controller.refused(reason);
        let done = v1::CanaryDone { ost_index, seconds: Some(f64::NAN) };
        runtime.block_on(liar.say(Message::CanaryDone(done)));
        until("a canary that nobody asked for", || (controller.refused(reason) > before).then_some(()));
    }
    // It is still heard where it says what can be.
    runtime.block_on(liar.sample(|sample| sample.targets[0].free_bytes = FREE + 1));
    until("an honest word", || (controller.targets()[&OWN[0]].free_bytes == FREE + 1).then_some(()));
    eprintln!("{} lies, each refused and counted", lies.len());
}

/// Registers targets of a live server, and takes its name with an earlier start: they stay that server's.
fn claim_what_is_not_its_own(controller: &Controller, runtime: &Runtime) {
    let before = controller.refused("registration");
    let earlier = runtime.block_on(Liar::registered(controller.grpc, register("oss0", &[FOREIGN]))).err();
    assert_eq!(earlier.map(|status| status.code()), Some(Code::AlreadyExists));
    assert_eq!(controller.refused("registration"), before + 1);
    let claim = register("thief", &[FOREIGN, 1, 2]);
    let (mut thief, registered) = runtime.block_on(Liar::registered(controller.grpc, claim)).unwrap();
    assert_eq!(registered.contested_ost_indices, [FOREIGN, 1, 2]);
    let before = controller.refused("row_of_foreign_target");
    let stolen = |sample: &mut v1::Sample| {
        sample.targets = vec![v1::TargetSample { full: true, free_bytes: 1, ..row(FOREIGN) }];
    };
    runtime.block_on(thief.sample(stolen));
    until("rows that are dropped", || (controller.refused("row_of_foreign_target") > before).then_some(()));
    assert_eq!(controller.targets()[&FOREIGN].server, "oss0");
}

/// A message beyond the limit ends its stream, and no other.
fn too_large(controller: &Controller, runtime: &Runtime) {
    // Its first stream may have been closed meanwhile: it was silent.
    let (mut liar, _) = runtime.block_on(Liar::registered(controller.grpc, register("liar", &OWN))).unwrap();
    runtime.block_on(liar.sample(|sample| sample.targets = vec![row(OWN[0]); 100_000]));
    let end = runtime.block_on(async {
        loop {
            match liar.orders.message().await {
                Ok(Some(_)) => {}
                end => return end,
            }
        }
    });
    assert!(!matches!(end, Ok(Some(_))), "the stream has ended");
    until("a session less", || (controller.file_system()?.servers_connected < 4).then_some(()));
}

/// Everything that the controller says of the honest servers is as it was.
fn unharmed(controller: &Controller, when: &str) {
    let targets = controller.targets();
    for ost in 0..6 {
        let target = &targets[&ost];
        assert_eq!((target.state.as_str(), target.free_bytes), ("ok", FREE), "{when}: {target:?}");
        let shares = target.ticket_share > 0.0 && target.ticket_share < 0.5;
        let rates = [target.read_bps, target.write_bps].iter().all(|rate| (0.0..1e6).contains(rate));
        assert!(shares && rates && target.health > 0.99, "{when}: {target:?}");
        let server = if ost < 3 { "oss0" } else { "oss1" };
        assert_eq!(target.server, server, "{when}");
    }
    let sum: f64 = targets.values().map(|target| target.ticket_share).sum();
    assert!((sum - 1.0).abs() < 1e-6, "{when}: {sum}");
}

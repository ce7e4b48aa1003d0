//! The controller is killed at random moments under load: what it acknowledged holds, its term only rises, and no
//! create fails.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, SystemTime};

use super::*;

const TARGETS: u32 = 6;

/// Who drains and gives back, each targets of its own, so that what it said last of one is known.
const OPERATORS: u32 = 2;

/// Drains acknowledged and files created in each life, at least.
const ACKNOWLEDGED_MIN: u64 = 5;
const CREATES_MIN: u64 = 50;

const NODES: [&str; 2] = ["node-0", "node-1"];

/// What an operator said of one target, to be found again: reason and end of a drain, or nothing.
type Word = Option<(String, Option<u64>)>;

/// What was said of one target.
#[derive(Clone, Debug, Default)]
struct Said {
    /// The last word that was acknowledged.
    sure: Word,
    /// One that was said later, and not acknowledged: it may have become durable or not.
    perhaps: Option<Word>,
}

/// What all threads share.
#[derive(Default)]
struct Load {
    said: Mutex<BTreeMap<u32, Said>>,
    /// A kill is under way: from now on calls may fail.
    kills: AtomicBool,
    over: AtomicBool,
    acknowledged: AtomicU64,
    creates: AtomicU64,
    steered: AtomicU64,
    /// The highest term of any table on a node.
    term: AtomicU64,
}

#[test]
fn acknowledged_drains_survive_kills_and_terms_only_rise() {
    let kills = if is_full_tier() { 100 } else { 10 };
    let mut random = Random::new("controller_killed");
    let place = Place::new(TARGETS);
    let mut controller = Controller::start(&place, &[]);
    let grpc = controller.grpc;
    let _agents = [
        place.agent(grpc, "oss0", "agent-0", &[0, 1, 2], 1 << 49),
        place.agent(grpc, "oss1", "agent-1", &[3, 4, 5], 1 << 49),
    ];
    controller.settled(2);
    let nodes = NODES.map(|name| (place.node(grpc, name, &place.path(name)), place.path(name)));
    for (_, run) in &nodes {
        until("a first table", || published(run));
    }
    let load = Load::default();
    for ost in 0..TARGETS {
        load.said.lock().unwrap().insert(ost, Said::default());
    }
    thread::scope(|scope| {
        // Ends the other threads also where an assertion fails.
        let _over = Over(&load);
        for (name, (_, run)) in NODES.iter().zip(&nodes) {
            scope.spawn(|| watch(run, &load));
            scope.spawn(|| write_files(&place, run, name, &load));
        }
        let mut term_seen = term_of_status(&controller);
        for life in 0..kills {
            live_and_die(&mut controller, &load, &mut random);
            if random.below(4) == 0 {
                // Also while it starts.
                controller.begin_again(&place);
                thread::sleep(Duration::from_millis(random.below(300)));
                controller.process.kill();
            }
            term_seen = term_seen.max(load.term.load(Relaxed));
            controller.again(&place);
            check_words(&controller, &load, life);
            let term = term_of_status(&controller);
            assert!(term > term_seen, "life {life}: term {term}, where {term_seen} was seen before");
            term_seen = term;
        }
        for (_, run) in &nodes {
            until("a table of the last term", || (published(run)?.term >= term_seen).then_some(()));
        }
        check_words(&controller, &load, kills);
        // With a target less, steering is worthwhile: the last life knows the job.
        controller.drain(0, "makes steering worthwhile");
        let before = load.steered.load(Relaxed);
        until("files that are steered", || (load.steered.load(Relaxed) > before).then_some(()));
    });
    // All agents come back by themselves.
    controller.settled(2);
    let [acknowledged, creates, steered] =
        [&load.acknowledged, &load.creates, &load.steered].map(|count| count.load(Relaxed));
    eprintln!(
        "{kills} kills: {acknowledged} drains acknowledged, {creates} creates, {steered} of them steered"
    );
    assert!(acknowledged >= ACKNOWLEDGED_MIN * kills, "{acknowledged} acknowledged");
    assert!(creates >= CREATES_MIN * kills, "{creates} creates");
}

struct Over<'a>(&'a Load);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Relaxed);
    }
}

/// Operators at work until the controller is killed, at a random moment after enough of everything has happened.
fn live_and_die(controller: &mut Controller, load: &Load, random: &mut Random) {
    load.kills.store(false, Relaxed);
    let (acknowledged, creates) = (load.acknowledged.load(Relaxed), load.creates.load(Relaxed));
    let grpc = controller.grpc;
    let seeds: Vec<u64> = (0..OPERATORS).map(|_| random.next()).collect();
    thread::scope(|scope| {
        for (number, seed) in (0..OPERATORS).zip(seeds) {
            scope.spawn(move || operate(grpc, number, Random(seed), load));
        }
        until("drains that are acknowledged, and files", || {
            let enough = load.acknowledged.load(Relaxed) >= acknowledged + ACKNOWLEDGED_MIN
                && load.creates.load(Relaxed) >= creates + CREATES_MIN;
            enough.then_some(())
        });
        thread::sleep(Duration::from_millis(random.below(1500)));
        load.kills.store(true, Relaxed);
        controller.process.kill();
    });
}

/// Drains and gives back for as long as the controller answers.
fn operate(grpc: SocketAddr, number: u32, mut random: Random, load: &Load) {
    blocking(async {
        let mut admin = AdminClient::new(channel(grpc));
        loop {
            let ost = number + OPERATORS * random.below(u64::from(TARGETS / OPERATORS)) as u32;
            let word: Word = (random.below(2) == 0).then(|| {
                let until = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64 + (1 << 50);
                (format!("reason {}", random.next()), (random.below(2) == 0).then_some(until))
            });
            load.said.lock().unwrap().get_mut(&ost).unwrap().perhaps = Some(word.clone());
            let outcome = say(&mut admin, ost, word.clone()).await;
            if let Err(status) = outcome {
                assert!(load.kills.load(Relaxed), "a live controller refused: {status}");
                return;
            }
            load.said.lock().unwrap().insert(ost, Said { sure: word, perhaps: None });
            load.acknowledged.fetch_add(1, Relaxed);
        }
    });
}

async fn say(admin: &mut AdminClient<Channel>, ost: u32, word: Word) -> Result<(), tonic::Status> {
    let (file_system, ost_indices, by) = (FS.to_owned(), vec![ost], "a test".to_owned());
    match word {
        Some((reason, until_unix_ns)) => {
            let request = v1::DrainRequest { file_system, ost_indices, reason, until_unix_ns, by };
            admin.drain(request).await.map(drop)
        }
        None => admin.resume(v1::ResumeRequest { file_system, ost_indices, by }).await.map(drop),
    }
}

/// Every target is as it was acknowledged, or as it was said after that.
fn check_words(controller: &Controller, load: &Load, life: u64) {
    let targets = controller.targets();
    assert_eq!(targets.len(), TARGETS as usize, "life {life}");
    let mut said = load.said.lock().unwrap();
    for (ost, said) in said.iter_mut() {
        let drain = targets[ost].drain.clone();
        let found: Word = drain.map(|drain| (drain.reason, drain.until_unix_ns));
        let holds = found == said.sure || said.perhaps.as_ref() == Some(&found);
        assert!(holds, "life {life}, OST{ost:04x}: {found:?} is neither of {said:?}");
        *said = Said { sure: found, perhaps: None };
    }
}

/// The term of the first plan of this life.
fn term_of_status(controller: &Controller) -> u64 {
    until("a first plan", || controller.file_system()?.order).term
}

/// Looks at a node's table all the time: it is whole, and never older than the one before.
fn watch(run: &Path, load: &Load) {
    let mut newest = None;
    while !load.over.load(Relaxed) {
        let order = published(run);
        assert!(order >= newest, "{} went from {newest:?} back to {order:?}", run.display());
        load.term.fetch_max(order.map_or(0, |order| order.term), Relaxed);
        newest = order;
        thread::sleep(Duration::from_millis(5));
    }
}

/// Creates files all the time.
fn write_files(place: &Place, run: &Path, name: &str, load: &Load) {
    let session = session(run, 4711);
    // Until the daemon has made its folders there is nobody to tell.
    until("an advice that is told", || advise(&session, place).ok());
    let (mut number, mut steered) = (0, 0);
    while !load.over.load(Relaxed) {
        let path = place.fs().join(format!("{name}-{number}"));
        create(&session, &path);
        remove(&path);
        number += 1;
        load.creates.fetch_add(1, Relaxed);
        let steered_before = std::mem::replace(&mut steered, session.counts().0);
        load.steered.fetch_add(steered - steered_before, Relaxed);
        thread::sleep(Duration::from_millis(3));
    }
}

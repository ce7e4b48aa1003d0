//! The daemon's exchanges with a controller behind a real socket, one wake after the other.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tarazu::spool::{Advice, Body, Record, encode};
use tarazu_layout::{JobId, OstIndex, hash};
use tarazu_proto::v1::{self, table_update::Update};
use tarazu_table::{JobKey, Order, Published, delta};

use super::controller::{Fake, response, table, update, whole};
use crate::node::daemon::{Config, Daemon};
use crate::node::{decisions, host};

const FS: &str = "scratch";

fn config(fake: &Fake, run_dir: &Path) -> Config {
    Config {
        controller: fake.address.to_string(),
        file_systems: vec![FS.into(), "home".into()],
        run_dir: run_dir.to_owned(),
        node: Some("node-1".into()),
    }
}

fn order(term: u64, seq: u64) -> Order {
    Order { term, seq }
}

fn published(run_dir: &Path, file_system: &str) -> Option<(Order, u64)> {
    let bytes = fs::read(run_dir.join(file_system).join("table")).ok()?;
    let published = Published::verify(&bytes).expect("whatever is published verifies");
    Some((published.table.order(), published.stamp.received.0))
}

fn status(run_dir: &Path, name: &str) -> u64 {
    let text = fs::read_to_string(run_dir.join("status")).expect("a status");
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map_or(0, |value| value.parse().expect("a number"))
}

fn append(run_dir: &Path, session: &str, uid: u32, fs_name: &str, body: Body) {
    use std::io::Write;
    let record = Record {
        uid,
        pid: std::process::id(),
        at: host::boot_now(),
        fs_name_hash: hash::bytes(fs_name.as_bytes()),
        job: JobId(7),
        lost: 0,
        body,
    };
    let mut file = fs::File::options()
        .append(true)
        .create(true)
        .open(run_dir.join("placed").join(session))
        .expect("opened");
    file.write_all(&encode(&record).expect("a record")).expect("written");
}

fn advice() -> Body {
    Body::Advise(Advice {
        key: JobKey(9),
        rank: 0,
        world: 4,
        files_per_process: 1,
        files_per_burst: 4,
        expected_bytes: 1 << 30,
        stripe_size: 1 << 20,
        stripe_count: 2,
        confidence_percent: 100,
    })
}

fn closed() -> Body {
    Body::Closed { key: JobKey(9), osts: vec![OstIndex(3)], expected_bytes: 9, written_bytes: 8 }
}

#[tokio::test]
async fn tables_come_whole_by_delta_and_by_word() {
    let run = tempfile::tempdir().expect("a folder");
    let fake = Fake::start("127.0.0.1:0", Box::new(|_| response(vec![whole(FS, order(1, 1), 1)]))).await;
    let mut daemon = Daemon::new(&config(&fake, run.path())).expect("a daemon");
    daemon.wake().await;
    let (first_order, first_stamp) = published(run.path(), FS).expect("published");
    assert_eq!((first_order, published(run.path(), "home")), (order(1, 1), None));
    let mode = |path: &str| fs::metadata(run.path().join(path)).expect("there").mode() & 0o7777;
    assert_eq!((mode(FS), mode("scratch/table")), (0o755, 0o644));

    let base = table(FS, order(1, 1), 1);
    let next = table(FS, order(1, 2), 2);
    let change = update(FS, order(1, 2), &next, Update::Delta(delta::encode(&base, &next)));
    // One file system's garbage does not disturb the other.
    let mut garbage = whole("home", order(1, 1), 1);
    garbage.update = Some(Update::Table(vec![0; 500]));
    fake.answer(Box::new(move |_| {
        response(vec![garbage.clone(), change.clone(), whole("what", order(1, 1), 1)])
    }));
    daemon.wake().await;
    assert_eq!(published(run.path(), FS).expect("published").0, order(1, 2));
    assert_eq!(published(run.path(), "home"), None);

    let word = update(FS, order(1, 2), &next, Update::Confirmed(true));
    fake.answer(Box::new(move |_| response(vec![word.clone()])));
    daemon.wake().await;
    assert!(published(run.path(), FS).expect("published").1 > first_stamp);

    let last = published(run.path(), FS);
    fake.answer(Box::new(|_| response(vec![whole(FS, order(1, 1), 1)])));
    daemon.wake().await;
    assert_eq!(published(run.path(), FS), last, "an older order changes nothing");
    daemon.write_status();
    let counted = [
        "tables",
        "confirmations",
        "errors{older_order}",
        "errors{table_refused}",
        "errors{unknown_file_system}",
    ];
    assert_eq!(counted.map(|name| status(run.path(), name)), [2, 1, 1, 1, 1]);

    let requests = fake.requests();
    let held: Vec<_> = requests.iter().map(|request| request.file_systems[0].held).collect();
    let named = |seq| Some(v1::Order { term: 1, seq });
    assert_eq!(held, [None, named(1), named(2), named(2)]);
    let sequences: Vec<_> = requests.iter().map(|request| (request.protocol, request.sequence)).collect();
    assert_eq!(sequences, [(1, 1), (1, 2), (1, 3), (1, 4)]);
    fake.stop().await;
}

#[tokio::test]
async fn a_controller_that_goes_leaves_the_file_alone_and_is_told_everything_when_it_is_back() {
    let run = tempfile::tempdir().expect("a folder");
    let uid = rustix::process::getuid().as_raw();
    let fake = Fake::start("127.0.0.1:0", Box::new(|_| response(vec![whole(FS, order(3, 8), 1)]))).await;
    let address = fake.address.to_string();
    let mut daemon = Daemon::new(&config(&fake, run.path())).expect("a daemon");
    let session = format!("{}-1-0", std::process::id());
    append(run.path(), &session, uid, FS, advice());
    append(run.path(), &session, uid + 1, FS, closed());
    daemon.wake().await;
    let start = fake.requests()[0].file_systems[0].starts.clone();
    assert_eq!((start.len(), start[0].job, start[0].world, start[0].files[0].files_per_burst), (1, 7, 4, 4));
    let before = fs::read(run.path().join(FS).join("table")).expect("published");
    fake.stop().await;

    append(run.path(), &session, uid, FS, closed());
    daemon.wake().await;
    daemon.wake().await;
    assert_eq!(fs::read(run.path().join(FS).join("table")).expect("published"), before, "not touched");
    daemon.write_status();
    let counted = ["records_of_another_user", "controller_unavailable"]
        .map(|kind| status(run.path(), &format!("errors{{{kind}}}")));
    assert_eq!(counted, [1, 2]);

    let fake = Fake::start(&address, Box::new(|_| response(vec![whole(FS, order(4, 1), 2)]))).await;
    append(run.path(), &session, uid, FS, closed());
    for _ in 0..20 {
        daemon.wake().await;
        // A connection may need a moment to be made again.
        if fake.requests().len() >= 2 {
            break;
        }
    }
    assert_eq!(published(run.path(), FS).expect("published").0, order(4, 1));
    daemon.wake().await;
    let requests = fake.requests();
    assert_eq!(requests[0].file_systems[0].highest_term, 3);
    assert_eq!(requests[0].sequence, 2, "the exchange without an answer is repeated with its number");
    assert_eq!(requests[0].file_systems[0].placed.len(), 1, "and with its reports");
    let starts: usize = requests.iter().map(|request| request.file_systems[0].starts.len()).sum();
    assert_eq!(starts, 1, "a new term is told which jobs run");
    let placed: usize = requests.iter().map(|request| request.file_systems[0].placed.len()).sum();
    assert_eq!(placed, 2);
    fake.stop().await;
}

#[tokio::test]
async fn a_daemon_that_starts_again_goes_on_where_the_other_was() {
    let run = tempfile::tempdir().expect("a folder");
    let fake = Fake::start("127.0.0.1:0", Box::new(|_| response(vec![whole(FS, order(5, 5), 1)]))).await;
    let mut daemon = Daemon::new(&config(&fake, run.path())).expect("a daemon");
    daemon.wake().await;
    let before = fs::read(run.path().join(FS).join("table")).expect("published");
    drop(daemon);
    let mut daemon = Daemon::new(&config(&fake, run.path())).expect("another daemon");
    fake.answer(Box::new(|_| response(vec![whole(FS, order(4, 99), 3)])));
    daemon.wake().await;
    assert_eq!(fs::read(run.path().join(FS).join("table")).expect("published"), before);
    let requests = fake.requests();
    let report = &requests[1].file_systems[0];
    assert_eq!((report.held, report.highest_term), (Some(v1::Order { term: 5, seq: 5 }), 5));
    assert_ne!(requests[0].instance, requests[1].instance);
    fake.stop().await;
}

#[tokio::test]
async fn a_job_ends_when_its_processes_are_gone_and_its_decisions_can_be_asked_for() {
    let run = tempfile::tempdir().expect("a folder");
    let uid = rustix::process::getuid().as_raw();
    let fake = Fake::start(
        "127.0.0.1:0",
        Box::new(|_| response(vec![whole(FS, order(1, 1), 1), whole("home", order(1, 1), 1)])),
    )
    .await;
    let mut daemon = Daemon::new(&config(&fake, run.path())).expect("a daemon");
    let mut child = std::process::Command::new("sleep").arg("600").spawn().expect("a process");
    let session = format!("{}-1-0", child.id());
    // A moment after the process began, which the kernel tells in hundredths of a second only.
    tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    append(run.path(), &session, uid, FS, advice());
    let left = Body::Left { key: JobKey(9), path_hash: hash::bytes(b"/fs/x"), why: tarazu::Why::UserStriped };
    append(run.path(), &session, uid, FS, left);
    for _ in 0..3 {
        daemon.wake().await;
    }
    assert!(fake.requests().iter().all(|request| request.file_systems[0].ends.is_empty()));
    let decision = decisions::latest(run.path(), uid, b"/fs/x").expect("read").expect("it was decided");
    assert_eq!((decision.file_system.as_str(), decision.words.as_str()), (FS, "left user_striped"));
    let age_ns = host::wall_now().0 - decision.at.0;
    assert!(age_ns < 60_000_000_000, "{age_ns}");

    append(run.path(), &session, uid, FS, closed());
    child.kill().expect("killed");
    child.wait().expect("waited for");
    for _ in 0..3 {
        daemon.wake().await;
    }
    let requests = fake.requests();
    let said: Vec<_> = requests
        .iter()
        .flat_map(|request| {
            let report = &request.file_systems[0];
            let placed = report.placed.iter().map(|_| "placed");
            placed.chain(report.ends.iter().map(|_| "end")).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(said, ["placed", "end"]);
    let wants: Vec<_> = requests.iter().map(|request| request.file_systems[0].wants_table).collect();
    assert_eq!(wants, [true, true, true, true, false, false], "no table without a job");
    fake.stop().await;
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let run = tempfile::tempdir().expect("a folder");
    let good = Config {
        controller: "127.0.0.1:1".into(),
        file_systems: vec![FS.into()],
        run_dir: run.path().into(),
        node: None,
    };
    let refused = |config: Config| Daemon::new(&config).err().expect("refused").to_string();
    assert!(refused(Config { file_systems: vec![], ..good.clone() }).contains("--file-system"));
    assert!(refused(Config { file_systems: vec![FS.into(); 2], ..good.clone() }).contains("twice"));
    assert!(refused(Config { file_systems: vec!["a/b".into()], ..good.clone() }).contains("a/b"));
    assert!(refused(Config { node: Some("x".repeat(254)), ..good.clone() }).contains("--node"));
    assert!(refused(Config { controller: "no address".into(), ..good.clone() }).contains("no address"));
    let _daemon = Daemon::new(&good).expect("a daemon");
    assert!(refused(good).contains("another node daemon"));
}

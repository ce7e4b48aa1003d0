//! The node daemon as a real process: what it publishes, how it survives being killed, how it sleeps.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

#[path = "../src/node/tests/controller.rs"]
#[allow(dead_code, reason = "the daemon's own tests need more of it")]
mod controller;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use controller::{Fake, response, table, update, whole};
use tarazu::spool::{Body, Record, encode};
use tarazu_layout::{JobId, Time, hash};
use tarazu_proto::v1::{self, table_update::Update};
use tarazu_table::{Order, Published, Rung, Tier};

const FS: &str = "scratch";

/// Looks so often, and gives up after a minute: machines that run tests are slow.
const LOOK: Duration = Duration::from_millis(50);
const LOOKS: u32 = 1200;

struct Daemon(Child);

impl Daemon {
    fn start(fake: &Fake, run_dir: &Path) -> Self {
        let address = fake.address.to_string();
        let child = Command::new(env!("CARGO_BIN_EXE_tarazu"))
            .args(["node", "--controller", &address, "--file-system", FS, "--node", "node-1"])
            .env("TARAZU_RUN_DIR", run_dir)
            .stderr(Stdio::null())
            .spawn();
        Self(child.expect("tarazu starts"))
    }

    /// A number of `/proc/PID/status`.
    fn status(&self, name: &str) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..LOOKS {
        if holds() {
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
    panic!("{what} did not happen");
}

/// Waits for three seconds in which the daemon neither wakes nor asks: with an exchange every 100 ms there would
/// never be any.
async fn quiet(fake: &Fake, daemon: &Daemon) {
    for _ in 0..20 {
        let before = (fake.requests().len(), daemon.status("voluntary_ctxt_switches"));
        tokio::time::sleep(Duration::from_secs(3)).await;
        if (fake.requests().len(), daemon.status("voluntary_ctxt_switches")) == before {
            return;
        }
    }
    panic!("the daemon never sleeps");
}

fn published(run_dir: &Path) -> Option<Order> {
    let bytes = fs::read(run_dir.join(FS).join("table")).ok()?;
    Some(Published::verify(&bytes).expect("whatever a reader finds verifies").table.order())
}

fn order(term: u64, seq: u64) -> Order {
    Order { term, seq }
}

/// Whole at first, then confirmed.
fn standing(order: Order) -> controller::Answer {
    Box::new(move |request| {
        let report = &request.file_systems[0];
        if report.held == Some(v1::Order { term: order.term, seq: order.seq }) {
            return response(vec![update(FS, order, &table(FS, order, 1), Update::Confirmed(true))]);
        }
        response(vec![whole(FS, order, 1)])
    })
}

fn leave_record(run_dir: &Path, pid: u32, body: Body) {
    let uid = rustix::process::getuid().as_raw();
    let fs_name_hash = hash::bytes(FS.as_bytes());
    let record = Record { uid, pid, at: Time(u64::MAX), fs_name_hash, job: JobId(7), lost: 0, body };
    let name = format!("{pid}-1-0");
    fs::write(run_dir.join("placed").join(name), encode(&record).unwrap()).unwrap();
}

fn left() -> Body {
    Body::Left { key: tarazu_table::JobKey(1), path_hash: 2, why: tarazu::Why::Off }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_daemon_comes_back_with_its_table_and_never_with_an_older_one() {
    let place = tempfile::tempdir().unwrap();
    let run_dir = place.path().join("run");
    let fake = Fake::start("127.0.0.1:0", standing(order(7, 3))).await;
    let mut daemon = Daemon::start(&fake, &run_dir);
    until("a first table", || published(&run_dir).is_some()).await;
    daemon.0.kill().unwrap();
    daemon.0.wait().unwrap();
    // What a kill in the middle of writing would leave.
    fs::write(run_dir.join(FS).join("table.new"), b"half").unwrap();
    let before = fs::read(run_dir.join(FS).join("table")).unwrap();
    let asked = fake.requests().len();
    fake.answer(Box::new(|_| response(vec![whole(FS, order(6, 99), 2)])));

    let daemon = Daemon::start(&fake, &run_dir);
    until("an exchange of the second daemon", || fake.requests().len() > asked).await;
    let report = fake.requests()[asked].file_systems[0].clone();
    assert_eq!((report.held, report.highest_term), (Some(v1::Order { term: 7, seq: 3 }), 7));
    assert_eq!(fs::read(run_dir.join(FS).join("table")).unwrap(), before, "an older order is not published");
    assert_eq!(fs::metadata(run_dir.join(FS).join("table")).unwrap().mode() & 0o7777, 0o644);

    fake.answer(standing(order(8, 1)));
    leave_record(&run_dir, std::process::id(), left());
    until("a table of the new term", || published(&run_dir) == Some(order(8, 1))).await;
    let bytes = fs::read(run_dir.join(FS).join("table")).unwrap();
    let view = Published::verify(&bytes).unwrap().view();
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let reader = tarazu_table::Reader {
        fs_name_hash: hash::bytes(FS.as_bytes()),
        boot_hash: hash::bytes(boot_id.trim().as_bytes()),
        now: Time(now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64),
    };
    assert!(
        matches!(tarazu_table::rung(&view, &reader), Rung::Use(Tier::Now | Tier::Steady)),
        "{view:?} {reader:?}"
    );

    // Told to stop, it ends well and leaves the table for the next one.
    rustix::process::kill_process(rustix::process::Pid::from_child(&daemon.0), rustix::process::Signal::TERM)
        .unwrap();
    let mut daemon = daemon;
    assert!(daemon.0.wait().unwrap().success());
    assert_eq!(published(&run_dir), Some(order(8, 1)));
    drop(daemon);
    fake.stop().await;
}

/// The exchanges stop with the last job, and a new file of records ends the sleep.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_job_it_sleeps_and_a_file_wakes_it() {
    let place = tempfile::tempdir().unwrap();
    let run_dir = place.path().join("run");
    let fake = Fake::start("127.0.0.1:0", standing(order(1, 1))).await;
    let daemon = Daemon::start(&fake, &run_dir);
    until("a first table", || published(&run_dir).is_some()).await;
    quiet(&fake, &daemon).await;
    let asked = fake.requests().len();
    leave_record(&run_dir, std::process::id(), left());
    until("exchanges while a job runs", || fake.requests().len() > asked + 5).await;
    let switches = daemon.status("voluntary_ctxt_switches");
    tokio::time::sleep(Duration::from_secs(3)).await;
    let busy = daemon.status("voluntary_ctxt_switches") - switches;
    let size_kib = daemon.status("VmRSS");
    eprintln!("3 s without a job: no wake; 3 s with one, 100 ms between exchanges: {busy}; {size_kib} KiB");
    assert!(busy > 0);

    leave_record(&run_dir, std::process::id(), Body::End);
    let ends = || fake.requests().iter().filter(|request| !request.file_systems[0].ends.is_empty()).count();
    until("the end of the job", || ends() == 1).await;
    quiet(&fake, &daemon).await;
    fake.stop().await;
}

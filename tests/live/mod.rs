//! A whole system on this machine: folders, processes, ways to ask them, and clients through the library.

mod agents;
mod controller_killed;
mod faults;
mod lies;
mod mpi;
mod node_gone;
mod pages;
mod recorded;
mod state_lost;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::process::{Pid, Signal};
use tarazu::{Expect, Files, Mode, Options, Session, Why};
use tarazu_layout::JobId;
use tarazu_proto::v1::admin_client::AdminClient;
use tarazu_proto::v1::{self, StatusRequest};
use tarazu_table::{Order, Published, Rank};
use tonic::transport::{Channel, Endpoint};

/// The file system of all these tests.
const FS: &str = "demo";

/// Between two plans: short, so that ages pass quickly.
const INTERVAL: &str = "500ms";

/// What is waited for has come by then, even on a machine that does other things as well.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// Lines of a process's log that are shown where a test fails.
const LOG_LINES: usize = 30;

/// Looks until there is something to see.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: not within {PATIENCE:?}");
        sleep(LOOK);
    }
}

fn is_full_tier() -> bool {
    std::env::var_os("TARAZU_FULL").is_some_and(|value| value == "1")
}

/// A random stream whose seed is printed; `TARAZU_SEED` makes it again.
struct Random(u64);

impl Random {
    fn new(test: &str) -> Self {
        let given = std::env::var("TARAZU_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| RandomState::new().hash_one(test));
        eprintln!("{test}: TARAZU_SEED={seed}");
        Self(seed)
    }

    /// SplitMix64: the next number.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// A process of the built command, killed with its owner.
struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    fn start(place: &Place, name: &str, arguments: &[String]) -> Self {
        let log = place.path(&format!("{name}.log"));
        // What the machine that runs the tests says of itself is not what is tested.
        let child = Command::new(env!("CARGO_BIN_EXE_tarazu"))
            .args(arguments)
            .env_clear()
            .stdout(Stdio::null())
            .stderr(File::options().create(true).append(true).open(&log).unwrap())
            .spawn()
            .unwrap();
        Self { name: name.to_owned(), child, log }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Asks it to end, and waits.
    fn end(&mut self) {
        self.signal(Signal::TERM);
        let status = until("the end of a process that was told to", || self.child.try_wait().unwrap());
        assert!(status.success(), "{} ended with {status}", self.name);
    }

    fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines.len().saturating_sub(LOG_LINES);
            eprintln!("--- the end of the log of {}\n{}", self.name, lines[last..].join("\n"));
        }
    }
}

/// The folders of one system, removed at the end: a file system of directory targets, counters, run directory, state.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new(targets: u32) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        let mut mark = format!("tarazu-targets 1\nname {FS}\n");
        for target in 0..targets {
            fs::create_dir_all(place.target(target)).unwrap();
            writeln!(mark, "{target} {}", place.target(target).display()).unwrap();
        }
        fs::create_dir_all(place.fs()).unwrap();
        fs::create_dir_all(place.path("counters")).unwrap();
        fs::write(place.fs().join(".tarazu-targets"), mark).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where the files are.
    fn fs(&self) -> PathBuf {
        self.path("fs")
    }

    /// The run directory of the first node.
    fn run(&self) -> PathBuf {
        self.path("run")
    }

    fn target(&self, index: u32) -> PathBuf {
        self.path(&format!("targets/{index}"))
    }

    /// An agent of emulated targets. `free_bytes` tells its samples from those of another one.
    fn agent(&self, grpc: SocketAddr, server: &str, name: &str, osts: &[u32], free_bytes: u64) -> Process {
        let mut arguments = words(&["agent", "--file-system", FS, "--server", server]);
        arguments.extend(words(&["--collector", "synthetic", "--interval", INTERVAL]));
        arguments.extend(["--controller".to_owned(), grpc.to_string()]);
        for ost in osts {
            let path = self.path(&format!("counters/{name}-{ost}"));
            let text = format!(
                "tarazu-counters 1\nstart_unix_ns 1\nfree_bytes {free_bytes}\ncapacity_bytes {}\n",
                1u64 << 50
            );
            fs::write(&path, text).unwrap();
            arguments.extend(["--target".to_owned(), format!("{ost}={}", path.display())]);
        }
        Process::start(self, name, &arguments)
    }

    fn node(&self, grpc: SocketAddr, name: &str, run: &Path) -> Process {
        let mut arguments = words(&["node", "--file-system", FS, "--node", name, "--controller"]);
        arguments.extend([grpc.to_string(), "--run-dir".to_owned(), run.display().to_string()]);
        Process::start(self, name, &arguments)
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// A controller, which keeps its addresses over its lives.
struct Controller {
    process: Process,
    grpc: SocketAddr,
    http: SocketAddr,
    more: Vec<String>,
}

impl Controller {
    fn start(place: &Place, more: &[&str]) -> Self {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let more = words(more);
        let mut process = Self::begin(place, any, any, &more);
        let (grpc, http) = until("a controller that serves", || {
            assert!(process.is_running(), "the controller has ended");
            addresses(place)
        });
        Self { process, grpc, http, more }
    }

    fn begin(place: &Place, grpc: SocketAddr, http: SocketAddr, more: &[String]) -> Process {
        let _ = fs::remove_file(place.path("addresses"));
        let mut arguments = words(&["controller", "--interval", INTERVAL, "--listen"]);
        arguments.extend([grpc.to_string(), "--http-listen".to_owned(), http.to_string()]);
        for (flag, name) in [("--address-file", "addresses"), ("--state-dir", "state")] {
            arguments.extend([flag.to_owned(), place.path(name).display().to_string()]);
        }
        arguments.extend_from_slice(more);
        Process::start(place, "controller", &arguments)
    }

    /// Starts the next life and does not wait until it serves.
    fn begin_again(&mut self, place: &Place) {
        self.process = Self::begin(place, self.grpc, self.http, &self.more);
    }

    /// Starts the next life at the same addresses.
    fn again(&mut self, place: &Place) {
        self.begin_again(place);
        until("a controller that serves again", || {
            if addresses(place).is_some() {
                return Some(());
            }
            // For a moment another program of this machine may have its port.
            if !self.process.is_running() {
                assert!(self.process.log().contains("cannot listen"), "the controller has ended");
                self.begin_again(place);
            }
            None
        });
    }

    fn admin<T>(
        &self,
        question: impl AsyncFnOnce(&mut AdminClient<Channel>) -> Result<T, tonic::Status>,
    ) -> Result<T, tonic::Status> {
        blocking(async {
            let mut admin = AdminClient::new(channel(self.grpc));
            question(&mut admin).await
        })
    }

    /// How everything stands; `None` while it is not reachable.
    fn status(&self) -> Option<v1::StatusResponse> {
        self.admin(async |admin| admin.status(StatusRequest {}).await).ok().map(tonic::Response::into_inner)
    }

    /// How the file system stands; `None` while nothing is known of it.
    fn file_system(&self) -> Option<v1::FileSystemStatus> {
        self.status()?.file_systems.into_iter().find(|fs| fs.name == FS)
    }

    /// Waits until so many agents are connected, all their targets have fresh samples, and a plan rests on them.
    fn settled(&self, agents: u32) -> v1::FileSystemStatus {
        until("a plan from the samples of all agents", || {
            let fs = self.file_system()?;
            let rests = !fs.starting && !fs.steady_only && fs.order.is_some();
            (fs.servers_connected == agents && fs.targets_fresh == fs.targets && rests).then_some(fs)
        })
    }

    fn targets(&self) -> BTreeMap<u32, v1::Target> {
        let request = v1::ListTargetsRequest { file_system: FS.to_owned() };
        let listed = self.admin(async |admin| admin.list_targets(request).await).unwrap().into_inner();
        listed.targets.into_iter().map(|target| (target.ost_index, target)).collect()
    }

    fn resume(&self, ost: u32) {
        let (file_system, by) = (FS.to_owned(), "a test".to_owned());
        let request = v1::ResumeRequest { file_system, ost_indices: vec![ost], by };
        self.admin(async |admin| admin.resume(request).await).unwrap();
    }

    fn drain(&self, ost: u32, reason: &str) {
        let request = v1::DrainRequest {
            file_system: FS.to_owned(),
            ost_indices: vec![ost],
            reason: reason.to_owned(),
            until_unix_ns: None,
            by: "a test".to_owned(),
        };
        self.admin(async |admin| admin.drain(request).await).unwrap();
    }

    /// How often something was refused, by reason.
    fn refused(&self, reason: &str) -> u64 {
        self.file_system().and_then(|fs| fs.refused.get(reason).copied()).unwrap_or(0)
    }
}

fn addresses(place: &Place) -> Option<(SocketAddr, SocketAddr)> {
    let text = fs::read_to_string(place.path("addresses")).ok()?;
    let mut lines = text.lines().map(|line| line.parse().unwrap());
    Some((lines.next()?, lines.next()?))
}

fn channel(grpc: SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{grpc}")).unwrap();
    endpoint.connect_timeout(PATIENCE).timeout(PATIENCE).connect_lazy()
}

fn blocking<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn table_file(run: &Path) -> PathBuf {
    run.join(FS).join("table")
}

/// The order of the published table; whatever is there must verify.
fn published(run: &Path) -> Option<Order> {
    let bytes = fs::read(table_file(run)).ok()?;
    Some(Published::verify(&bytes).expect("whatever a reader finds verifies").table.order())
}

/// A client process's session. It takes its time: this machine may be slow.
fn session(run: &Path, job: u64) -> Session {
    Session::open(Options {
        mode: Mode::Apply,
        run_dir: run.to_owned(),
        job: Some(JobId(job)),
        rank: Some(Rank { rank: 0, world: 64 }),
        executable: Some(b"gate".to_vec()),
        budget: Duration::from_secs(3600),
        ..Options::default()
    })
}

/// Says that 64 processes write 64 GiB each. Where a target is drained that makes steering worthwhile; where all are alike
/// the file system's own round robin is as good.
fn advise(session: &Session, place: &Place) -> Result<(), Why> {
    let expect = Expect {
        files: Files::OfProgram,
        expected_bytes: 64 << 30,
        files_per_process: 1,
        files_per_burst: 0,
        stripe_count: 0,
        stripe_size: 0,
        confidence_percent: 95,
    };
    session.advise(&place.fs(), &expect)
}

/// Creates a file, which must succeed whatever else is going on, and closes it.
fn create(session: &Session, path: &Path) {
    let flags = (OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC).bits();
    let made: std::io::Result<OwnedFd> = session.create(path, flags as i32, 0o644);
    let fd = made.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    session.closed(fd.as_fd(), 0);
    assert!(fs::metadata(path).unwrap().is_file());
}

/// Removes a file with what lies on its target.
fn remove(path: &Path) {
    fs::remove_file(fs::canonicalize(path).unwrap()).unwrap();
    let _ = fs::remove_file(path);
}

/// Creates files of one session until the library steers them: the job has reached the table.
fn steered(session: &Session, place: &Place, name: &str) {
    let mut number = 0;
    until("files that are steered", || {
        number += 1;
        let path = place.fs().join(format!("{name}-{number}"));
        create(session, &path);
        let explained = session.explain(&path).unwrap();
        remove(&path);
        explained.made.is_some_and(|made| made.why.is_none()).then_some(())
    });
}

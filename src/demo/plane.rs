//! The control plane of one run as real processes of this very program: a controller, agents, node daemons.
//!
//! It owns their lives: whatever happens here, none outlives the demonstration. It must not look at what they say, but
//! for the controller's addresses.

use std::fmt::Write as _;
use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use super::clock::{self, Clock, LOOK_EVERY, Stop};
use super::error::DemoError;
use super::folder::{make, write};
use super::{FILE_SYSTEM, NODES, SERVERS, TARGETS, TARGETS_PER_SERVER};

/// Tells a child whose it is: it ends with that process, however that ends.
const PARENT_VARIABLE: &str = "TARAZU_DEMO_PARENT";

/// A controller says its addresses within this; starting takes a fraction of a second on an idle machine.
const START_S: f64 = 60.0;

/// Lines of a child's log that an error shows.
const LINES_SHOWN: usize = 12;

/// Bytes of a log that are looked at for them.
const LOG_BYTES_MAX: usize = 1 << 20;

/// In a child of a demonstration: ends when its parent does. To be called first of all.
pub(crate) fn end_with_parent() {
    let Some(parent) = std::env::var(PARENT_VARIABLE).ok().and_then(|parent| parent.parse::<i32>().ok())
    else {
        return;
    };
    // Where the kernel refuses, the parent's own care is all there is.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    // It may have ended before we asked.
    if getppid().map(Pid::as_raw_pid) != Some(parent) {
        std::process::exit(1);
    }
}

/// Folders of one run.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) root: PathBuf,
    /// The logical folder that the job's files are in.
    pub(super) files: PathBuf,
    /// Counters of the targets.
    pub(super) counters: Vec<PathBuf>,
}

impl Places {
    /// Makes them.
    pub(super) fn new(root: PathBuf) -> Result<Self, DemoError> {
        make(&root)?;
        for name in ["files", "targets", "counters", "run", "logs", "state"] {
            make(&root.join(name))?;
        }
        let mut mark = format!("tarazu-targets 1\nname {FILE_SYSTEM}\n");
        let mut counters = Vec::new();
        for target in 0..TARGETS {
            let name = format!("ost{target:02}");
            let folder = root.join("targets").join(&name);
            make(&folder)?;
            // Writing to a string cannot fail.
            let _ = writeln!(mark, "{target} {}", folder.display());
            counters.push(root.join("counters").join(&name));
        }
        let files = root.join("files");
        write(&files.join(".tarazu-targets"), &mark)?;
        (0..NODES).try_for_each(|node| make(&run_dir(&root, node)))?;
        Ok(Self { root, files, counters })
    }

    /// The folder of a node's daemon.
    pub(super) fn run_dir(&self, node: u32) -> PathBuf {
        run_dir(&self.root, node)
    }
}

impl Places {
    /// Which node's daemon does not take records yet. It is not asked of the controller: a daemon without work sleeps.
    pub(super) fn missing(&self) -> Option<String> {
        let sleeps = |node: &u32| !self.run_dir(*node).join("placed").is_dir();
        (0..NODES).find(sleeps).map(|node| format!("the daemon of node{} takes no records yet", node + 1))
    }
}

fn run_dir(root: &Path, node: u32) -> PathBuf {
    root.join("run").join(format!("node{}", node + 1))
}

/// One process; killed and reaped when it is dropped.
#[derive(Debug)]
struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The running processes.
#[derive(Debug)]
pub(super) struct Plane {
    processes: Vec<Process>,
    /// The controller's gRPC.
    pub(super) grpc: SocketAddr,
    /// Its JSON.
    pub(super) http: SocketAddr,
}

impl Plane {
    /// Starts all of them. Their parent is this thread, so it must stay as long as they do.
    pub(super) fn start(
        places: &Places,
        interval: Duration,
        bps: f64,
        seed: u64,
        stop: &Stop,
    ) -> Result<Self, DemoError> {
        let interval = format!("{}ms", interval.as_millis());
        let address_file = places.root.join("addresses");
        let text = |path: &Path| path.display().to_string();
        let controller = [
            "controller".into(),
            "--listen=127.0.0.1:0".into(),
            "--http-listen=127.0.0.1:0".into(),
            format!("--address-file={}", text(&address_file)),
            format!("--state-dir={}", text(&places.root.join("state"))),
            format!("--interval={interval}"),
            format!("--seed={seed}"),
        ];
        let mut processes = vec![spawn(places, "controller", &controller)?];
        let (grpc, http) = addresses(&address_file, &mut processes, stop)?;
        let common = [format!("--controller={grpc}"), format!("--file-system={FILE_SYSTEM}")];
        for server in 0..SERVERS {
            let name = format!("oss{}", server + 1);
            let mut arguments =
                vec!["agent".into(), format!("--server={name}"), "--collector=synthetic".into()];
            arguments.extend(common.clone());
            arguments.push(format!("--interval={interval}"));
            arguments.extend([format!("--read-bps={bps}"), format!("--write-bps={bps}")]);
            let first = server * TARGETS_PER_SERVER;
            for target in first..first + TARGETS_PER_SERVER {
                let counters =
                    places.counters.get(target as usize).map(|path| text(path)).unwrap_or_default();
                arguments.push(format!("--target={target}={counters}"));
            }
            processes.push(spawn(places, &name, &arguments)?);
        }
        for node in 0..NODES {
            let name = format!("node{}", node + 1);
            let mut arguments = vec!["node".into(), format!("--node={name}")];
            arguments.extend(common.clone());
            arguments.push(format!("--run-dir={}", text(&places.run_dir(node))));
            processes.push(spawn(places, &name, &arguments)?);
        }
        Ok(Self { processes, grpc, http })
    }

    /// An error where one of them has ended.
    pub(super) fn check(&mut self) -> Result<(), DemoError> {
        check(&mut self.processes)
    }

    /// The newest lines of the controller's log.
    pub(super) fn controllers_log(&self) -> String {
        self.processes.first().map(|process| last_lines(&process.log)).unwrap_or_default()
    }
}

fn spawn(places: &Places, name: &str, arguments: &[String]) -> Result<Process, DemoError> {
    let cannot = |source| DemoError::Spawn { name: name.to_owned(), source };
    let log = places.root.join("logs").join(format!("{name}.log"));
    let errors = File::create(&log).map_err(cannot)?;
    let program = std::env::current_exe().map_err(cannot)?;
    let child = Command::new(program)
        .args(arguments)
        // What this user has set for a controller or clients of theirs must not reach these.
        .env_clear()
        .env(PARENT_VARIABLE, std::process::id().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors)
        // A key at the terminal is for the demonstration, which then ends them.
        .process_group(0)
        .spawn()
        .map_err(cannot)?;
    Ok(Process { name: name.to_owned(), child, log })
}

fn check(processes: &mut [Process]) -> Result<(), DemoError> {
    for process in processes {
        if let Ok(Some(status)) = process.child.try_wait() {
            let (name, status, log) = (process.name.clone(), status.to_string(), last_lines(&process.log));
            return Err(DemoError::Died { name, status, log });
        }
    }
    Ok(())
}

/// Waits for the file with the controller's addresses, gRPC then HTTP.
fn addresses(
    file: &Path,
    processes: &mut [Process],
    stop: &Stop,
) -> Result<(SocketAddr, SocketAddr), DemoError> {
    let clock = Clock::start();
    while clock.seconds() < START_S {
        if stop.is_set() {
            return Err(DemoError::Stopped);
        }
        if let Ok(text) = std::fs::read_to_string(file) {
            let mut lines = text.lines().map(str::parse);
            if let (Some(Ok(grpc)), Some(Ok(http))) = (lines.next(), lines.next()) {
                return Ok((grpc, http));
            }
        }
        check(processes)?;
        clock::sleep(LOOK_EVERY);
    }
    let log = processes.first().map(|process| last_lines(&process.log)).unwrap_or_default();
    Err(DemoError::Late { seconds: START_S, missing: "the controller serves no address".into(), log })
}

fn last_lines(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let bytes = bytes.get(bytes.len().saturating_sub(LOG_BYTES_MAX)..).unwrap_or_default();
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().collect();
    let shown = lines.get(lines.len().saturating_sub(LINES_SHOWN)..).unwrap_or_default();
    if shown.is_empty() {
        "  (it said nothing)".into()
    } else {
        shown.iter().map(|line| format!("  {line}\n")).collect()
    }
}

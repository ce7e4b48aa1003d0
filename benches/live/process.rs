//! The controller as a real process.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use tonic::transport::{Channel, Endpoint};

/// A controller that ends with its handle.
pub(crate) struct Controller {
    child: Child,
    grpc: SocketAddr,
}

impl Controller {
    /// Starts one with its state in a folder; port 0 leaves the port to the system.
    pub(crate) fn start(folder: &Path, interval: &str, port: u16) -> anyhow::Result<Self> {
        let addresses = folder.join("addresses");
        // The one of an earlier life.
        let _ = std::fs::remove_file(&addresses);
        let child = Command::new(env!("CARGO_BIN_EXE_tarazu"))
            .args(["controller", "--listen", &format!("127.0.0.1:{port}"), "--http-listen", "127.0.0.1:0"])
            .args(["--interval", interval, "--log", "warn", "--state-dir"])
            .arg(folder.join("state"))
            .arg("--address-file")
            .arg(&addresses)
            .stderr(Stdio::inherit())
            .spawn()
            .context("cannot start the controller")?;
        let text = wait_for(&addresses)?;
        let grpc = text.lines().next().and_then(|line| line.parse().ok()).context("no address")?;
        Ok(Self { child, grpc })
    }

    pub(crate) fn port(&self) -> u16 {
        self.grpc.port()
    }

    /// A connection of its own.
    pub(crate) async fn connect(&self) -> anyhow::Result<Channel> {
        connect(self.grpc).await
    }

    /// The most memory that it ever had, MiB.
    pub(crate) fn peak_mib(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib / 1024.0)
    }

    /// Processor seconds so far.
    pub(crate) fn cpu_s(&self) -> anyhow::Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields: Vec<&str> = stat.rsplit_once(')').context("no name")?.1.split_whitespace().collect();
        // utime and stime, fields 14 and 15 of proc(5), in hundredths of a second.
        Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / 100.0)
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) async fn connect(address: SocketAddr) -> anyhow::Result<Channel> {
    Ok(Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true).connect().await?)
}

/// The text of a file that another process is about to write.
pub(crate) fn wait_for(path: &Path) -> anyhow::Result<String> {
    let begun = now();
    loop {
        match std::fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return Ok(text),
            _ => anyhow::ensure!(begun.elapsed() < Duration::from_secs(30), "no {} came", path.display()),
        }
        #[allow(clippy::disallowed_methods, reason = "a measurement waits for a process")]
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

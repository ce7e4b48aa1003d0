//! What the live control plane costs, measured on real processes over loopback. `benches/live/README.md` says what each
//! number means; `cargo bench --bench live` runs all of it.

#[path = "echo.rs"]
mod echo;
#[path = "load.rs"]
mod load;
#[path = "process.rs"]
mod process;
#[path = "storm.rs"]
mod storm;

use anyhow::Context;
use process::Controller;

/// Targets of the largest published systems.
const TARGETS: u32 = 2016;
/// Servers, of eight targets each.
const SERVERS: u32 = 252;
/// Jobs that are announced.
const JOBS: u64 = 200;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("--echo") {
        return echo::serve(&arguments.next().context("--echo needs a file for its address")?);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let folder = tempfile::tempdir()?;
        let controller = Controller::start(folder.path(), "5s", 0)?;
        println!("== one file at a time: Place beside a bare echo, 64 bytes, one in flight ==");
        let agents = load::agents(&controller, SERVERS, TARGETS / SERVERS).await?;
        load::announce(&controller, JOBS).await?;
        load::wait_for_table(&controller).await?;
        echo::compare(&controller, folder.path()).await?;
        println!("== Place beside 20,000 samples a second ==");
        load::beside_samples(&controller, &agents).await?;
        println!("== {TARGETS} targets, {JOBS} jobs: memory ==");
        println!("controller: {:.0} MiB at most", controller.peak_mib()?);
        println!("== 5,000 nodes at once ==");
        storm::run(&controller, "nodes that hold nothing", false).await?;
        let port = controller.port();
        drop(agents);
        drop(controller);
        let controller = Controller::start(folder.path(), "5s", port)?;
        let agents = load::agents(&controller, SERVERS, TARGETS / SERVERS).await?;
        load::announce(&controller, JOBS).await?;
        load::wait_for_table(&controller).await?;
        storm::run(&controller, "nodes that hold the table of before a restart", true).await?;
        drop(agents);
        anyhow::Ok(())
    })
}

/// The value below which a share of the sorted values lies.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted
        .get(((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or(0.0)
}

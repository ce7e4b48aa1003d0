//! `tarazu agent`: reports the load of one I/O server to the controller.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::json;
use tarazu_proto::v1;

use super::output;
use crate::agent::{self, Config, Kind, Place, Priors, Sources};

/// Threads for what blocks in the runtime itself: names of hosts are looked up there.
const BLOCKING_THREADS: usize = 1;

#[derive(Debug, clap::Args)]
pub(crate) struct AgentArgs {
    /// The controller's address
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7480")]
    controller: String,
    /// Name of the file system; targets of Lustre are found by it
    #[arg(long, value_name = "NAME", value_parser = name_of_at_most::<64>)]
    file_system: String,
    /// Name of this server, which is its identity: two agents of one name are never mixed
    #[arg(long, value_name = "NAME", value_parser = name_of_at_most::<253>)]
    server: String,
    /// What is read
    #[arg(long, value_enum, default_value_t = Kind::Lustre)]
    collector: Kind,
    /// Where the server's files begin: a recorded tree, or a folder of `lctl get_param` outputs
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// A target: its index, and its directory (directory) or the file with its counters (synthetic)
    #[arg(long = "target", value_name = "INDEX=PATH", value_parser = place)]
    targets: Vec<Place>,
    /// A directory on a Lustre target's server where canaries of that target may be written
    #[arg(long = "canary-dir", value_name = "INDEX=DIR", value_parser = place)]
    canary_dirs: Vec<Place>,
    /// What a target of this hardware reads in a second
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = rate)]
    read_bps: f64,
    /// What a target of this hardware writes in a second
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = rate)]
    write_bps: f64,
    /// What the server's network link carries in a second
    #[arg(long, value_name = "SIZE", default_value = "10GiB", value_parser = rate)]
    link_bps: f64,
    /// Number of the enclosure that the server stands in
    #[arg(long, value_name = "NUMBER")]
    enclosure: Option<u32>,
    /// Time between two samples until the controller names another, and between the two readings of --once
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = interval)]
    interval: Duration,
    /// Read twice, print one sample as JSON (schema tarazu.sample/1), and end; no controller is needed
    #[arg(long)]
    once: bool,
    /// With --once: what was recorded earlier, instead of waiting for a second reading
    #[arg(long, value_name = "DIR", requires = "once")]
    earlier: Option<PathBuf>,
}

pub(crate) fn run(args: &AgentArgs) -> anyhow::Result<ExitCode> {
    let level = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(level).with_writer(std::io::stderr);
    // A second installation would be another tool's; messages go there then.
    let _ = log.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init();
    let sources = Sources {
        kind: args.collector,
        file_system: args.file_system.clone(),
        root: args.root.clone(),
        targets: args.targets.clone(),
    };
    ensure!(
        args.collector != Kind::Lustre || args.targets.is_empty(),
        "--target: targets of Lustre are found by themselves; leave it out, or choose --collector directory"
    );
    let priors = Priors { read_bps: args.read_bps, write_bps: args.write_bps };
    if let Some(earlier) = &args.earlier {
        return print(&agent::between(&sources, earlier, priors)?);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()
        .context("no runtime could be started")?;
    let outcome = if args.once {
        runtime.block_on(agent::once(&sources, args.interval, priors)).map(Some)
    } else {
        let config = config(args, sources, priors);
        runtime.block_on(agent::run(config)).map(|()| None)
    };
    // Readers that hang end with the process.
    runtime.shutdown_background();
    outcome?.map_or(Ok(ExitCode::SUCCESS), |sample| print(&sample))
}

fn config(args: &AgentArgs, sources: Sources, priors: Priors) -> Config {
    // A target that is a directory is its own place for canaries.
    let own = sources.targets.iter().filter(|_| args.collector == Kind::Directory);
    let folders = own.chain(&args.canary_dirs).map(|place| (place.ost_index, place.path.clone()));
    let canary_folders: BTreeMap<u32, PathBuf> = folders.collect();
    Config {
        controller: args.controller.clone(),
        server: args.server.clone(),
        sources,
        priors,
        link_bps: args.link_bps,
        enclosure: args.enclosure,
        interval: args.interval,
        canary_folders,
    }
}

fn print(sample: &v1::Sample) -> anyhow::Result<ExitCode> {
    let rows = sample.targets.iter().map(|row| {
        json!({
            "ost_index": row.ost_index,
            "read_bytes": row.read_bytes,
            "written_bytes": row.written_bytes,
            "ops": row.ops,
            "latency_s": row.latency_s,
            "busy_s": row.busy_s,
            "depth": row.depth,
            "free_bytes": row.free_bytes,
            "inactive": row.inactive,
            "degraded": row.degraded,
            "no_create": row.no_create,
            "read_only": row.read_only,
            "full": row.full,
        })
    });
    let value = json!({
        "schema": "tarazu.sample/1",
        "sequence": sample.sequence,
        "interval_s": sample.interval_s,
        "queued_requests": sample.queued_requests,
        "cpu_share": sample.cpu_share,
        "targets": rows.collect::<Vec<_>>(),
    });
    output::Output::print(&format!("{value:#}\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// `3=/data/ost3`.
fn place(text: &str) -> anyhow::Result<Place> {
    let (index, path) = text.split_once('=').context("write INDEX=PATH, such as 3=/data/ost3")?;
    let ost_index: u32 = index.parse().context("the index is no whole number")?;
    ensure!(ost_index < 0xffff, "the index is at most 65534");
    ensure!(!path.is_empty(), "the path is missing");
    Ok(Place { ost_index, path: PathBuf::from(path) })
}

/// Bytes a second, as a size: `1.5GiB`, `200MB`, `1000000`.
fn rate(text: &str) -> anyhow::Result<f64> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "" | "B" => 1.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "TB" => 1e12,
        "KiB" => 1024.0,
        "MiB" => 1024.0_f64.powi(2),
        "GiB" => 1024.0_f64.powi(3),
        "TiB" => 1024.0_f64.powi(4),
        unit => bail!("the unit {unit} is not known; write 200MiB, 1.5GB, or bytes"),
    };
    let bytes: f64 = digits.parse().context("no number; write a size such as 1GiB")?;
    // What the controller's costs can hold (`tarazu_core::topology`): from a byte to a petabyte a second.
    ensure!((1.0..=1e15).contains(&(bytes * factor)), "a size from 1 byte to 1000 TB is needed");
    Ok(bytes * factor)
}

fn interval(text: &str) -> anyhow::Result<Duration> {
    let interval = humantime::parse_duration(text).context("write a time such as 5s")?;
    let allowed = Duration::from_millis(100)..=Duration::from_secs(300);
    ensure!(allowed.contains(&interval), "a time from 100ms to 300s is needed");
    Ok(interval)
}

fn name_of_at_most<const LENGTH: usize>(text: &str) -> anyhow::Result<String> {
    ensure!((1..=LENGTH).contains(&text.len()), "a name of 1 to {LENGTH} bytes is needed");
    ensure!(!text.contains(char::is_control), "a name has no control characters");
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rates() {
        assert!((rate("1.5GiB").unwrap() - 1.5 * 1024.0_f64.powi(3)).abs() < 1.0);
        assert!((rate("200MB").unwrap() - 2e8).abs() < 1.0);
        for wrong in ["", "GiB", "-1", "nan", "inf", "0", "1e30", "3 apples", "5Gib"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn places_have_an_index_and_a_path() {
        assert_eq!(place("3=a=b").unwrap(), Place { ost_index: 3, path: PathBuf::from("a=b") });
        for wrong in ["3", "=a", "x=a", "65535=a", "3="] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }
}

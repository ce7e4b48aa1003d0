//! Agents, jobs and samples for a controller to work on.

use std::time::Duration;

use anyhow::Context;
use tarazu_proto::v1::agents_client::AgentsClient;
use tarazu_proto::v1::nodes_client::NodesClient;
use tarazu_proto::v1::placement_client::PlacementClient;
use tarazu_proto::v1::{
    AgentMessage, FileProfile, FileSystemReport, JobName, JobStart, PlaceRequest, Register, Sample,
    SyncRequest, TargetFacts, TargetSample, agent_message::Message,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::process::{Controller, now};
use crate::quantile;

/// The only file system.
pub(crate) const FS: &str = "bench";

/// Samples a second of the measurement.
const SAMPLES_PER_S: u32 = 20_000;

/// How long it lasts.
const SECONDS: u32 = 10;

/// Connected agents.
pub(crate) struct Agents {
    streams: Vec<mpsc::Sender<AgentMessage>>,
    targets_each: u32,
    sequence: std::sync::atomic::AtomicU64,
}

impl Agents {
    /// One sample of one server.
    fn sample(&self, server: u32) -> AgentMessage {
        let sequence = self.sequence.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        let row = |number: u32| TargetSample {
            ost_index: server * self.targets_each + number,
            read_bytes: 1 << 20,
            written_bytes: (sequence % 97) << 20,
            ops: Some(10),
            latency_s: Some(0.005),
            busy_s: Some(0.05),
            depth: Some(0.1),
            free_bytes: 1 << 43,
            ..TargetSample::default()
        };
        let sample = Sample {
            sequence,
            interval_s: 5.0,
            targets: (0..self.targets_each).map(row).collect(),
            ..Sample::default()
        };
        AgentMessage { message: Some(Message::Sample(sample)) }
    }
}

/// Registers servers with so many targets each, and sends a first sample of each.
pub(crate) async fn agents(
    controller: &Controller,
    servers: u32,
    targets_each: u32,
) -> anyhow::Result<Agents> {
    let mut agents = Agents { streams: Vec::new(), targets_each, sequence: 0.into() };
    let channel = controller.connect().await?;
    // A connection carries 64 streams.
    let mut client = AgentsClient::new(channel);
    for server in 0..servers {
        if server % 32 == 31 {
            client = AgentsClient::new(controller.connect().await?);
        }
        let facts = |number: u32| TargetFacts {
            ost_index: server * targets_each + number,
            capacity_bytes: 1 << 44,
            read_bps: 1e9,
            write_bps: 1e9,
        };
        let register = Register {
            protocol: 1,
            file_system: FS.into(),
            server: format!("oss{server}"),
            instance: u64::from(server),
            started_unix_ns: 1,
            link_bps: 1e10,
            targets: (0..targets_each).map(facts).collect(),
            ..Register::default()
        };
        let (stream, messages) = mpsc::channel(64);
        stream.send(AgentMessage { message: Some(Message::Register(register)) }).await?;
        let mut orders = client.report(ReceiverStream::new(messages)).await?.into_inner();
        orders.message().await?.context("not registered")?;
        tokio::spawn(async move { while let Ok(Some(_)) = orders.message().await {} });
        agents.streams.push(stream);
    }
    for (server, stream) in agents.streams.iter().enumerate() {
        stream.send(agents.sample(server as u32)).await?;
    }
    Ok(agents)
}

/// A node tells of jobs.
pub(crate) async fn announce(controller: &Controller, jobs: u64) -> anyhow::Result<()> {
    let mut client = NodesClient::new(controller.connect().await?);
    let start = |job: u64| JobStart {
        job,
        world: 64,
        files: vec![FileProfile {
            key: job,
            files_per_burst: 64,
            files_per_process: 1,
            stripe_count: 4,
            stripe_size_bytes: 1 << 20,
            expected_bytes: 1 << 30,
            placed_bytes: 1 << 30,
            confidence_percent: 90,
            stripes_per_burst: None,
        }],
    };
    let report = FileSystemReport {
        file_system: FS.into(),
        starts: (1..=jobs).map(start).collect(),
        ..FileSystemReport::default()
    };
    client.sync(request("announcer", vec![report])).await?;
    Ok(())
}

pub(crate) fn request(node: &str, file_systems: Vec<FileSystemReport>) -> SyncRequest {
    SyncRequest { protocol: 1, node: node.into(), instance: 1, sequence: 1, file_systems }
}

/// Waits until a table says what the jobs get.
pub(crate) async fn wait_for_table(controller: &Controller) -> anyhow::Result<()> {
    let mut client = PlacementClient::new(controller.connect().await?);
    for _ in 0..600 {
        let response = client.place(place(1)).await?.into_inner();
        if response.order.is_some_and(|order| order.seq >= 2) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("no table within a minute")
}

pub(crate) fn place(job: u64) -> PlaceRequest {
    let name = JobName { uid: 1000, job, executable_hash: 3, ending: "x.h5".into() };
    PlaceRequest { file_system: FS.into(), name: Some(name), world: 64, ..PlaceRequest::default() }
}

/// `Place` while samples come.
pub(crate) async fn beside_samples(controller: &Controller, agents: &Agents) -> anyhow::Result<()> {
    let cpu_before = controller.cpu_s()?;
    let mut client = PlacementClient::new(controller.connect().await?);
    let begun = now();
    let send = async {
        let mut sent = 0u32;
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        while sent < SAMPLES_PER_S * SECONDS {
            ticks.tick().await;
            let due = (begun.elapsed().as_secs_f64() * f64::from(SAMPLES_PER_S)) as u32;
            while sent < due.min(SAMPLES_PER_S * SECONDS) {
                let server = sent % agents.streams.len() as u32;
                agents.streams[server as usize].send(agents.sample(server)).await?;
                sent += 1;
            }
        }
        anyhow::Ok(begun.elapsed().as_secs_f64())
    };
    let ask = async {
        let mut taken = Vec::new();
        while begun.elapsed() < Duration::from_secs(u64::from(SECONDS)) {
            let at = now();
            client.place(place(1)).await?;
            taken.push(at.elapsed().as_secs_f64() * 1e3);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        anyhow::Ok(taken)
    };
    let (seconds, mut taken) = tokio::try_join!(send, ask)?;
    taken.sort_by(f64::total_cmp);
    let samples = f64::from(SAMPLES_PER_S * SECONDS);
    let cpu = controller.cpu_s()? - cpu_before;
    println!(
        "{:.0} samples/s of {} targets each for {seconds:.1} s; controller {:.0} us of processor time a sample ({:.2} cores)",
        samples / seconds,
        agents.targets_each,
        cpu / samples * 1e6,
        cpu / seconds
    );
    println!(
        "Place beside them: p50 {:.2} ms, p99 {:.2} ms, most {:.2} ms of {} calls (goal: p99 at most 5 ms)",
        quantile(&taken, 0.5),
        quantile(&taken, 0.99),
        taken.last().copied().unwrap_or(0.0),
        taken.len()
    );
    Ok(())
}

//! A bare tonic server of the same method, in a process of its own: the floor of a unary call.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context;
use tarazu_proto::v1::placement_client::PlacementClient;
use tarazu_proto::v1::placement_server::{Placement, PlacementServer};
use tarazu_proto::v1::{ExplainRequest, ExplainResponse, PlaceRequest, PlaceResponse};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status};

use crate::load::place;
use crate::process::{Controller, connect, now, wait_for};
use crate::quantile;

/// Calls of each round, and rounds: in turn, so that what else the machine does hits both.
const CALLS: usize = 2000;
const ROUNDS: usize = 10;

struct Echo;

#[tonic::async_trait]
impl Placement for Echo {
    async fn place(&self, _: Request<PlaceRequest>) -> Result<Response<PlaceResponse>, Status> {
        Ok(Response::new(PlaceResponse { ost_indices: vec![1, 2, 3, 4], ..PlaceResponse::default() }))
    }

    async fn explain(&self, _: Request<ExplainRequest>) -> Result<Response<ExplainResponse>, Status> {
        Ok(Response::new(ExplainResponse::default()))
    }
}

/// Serves until it is killed.
pub(crate) fn serve(file: &str) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        std::fs::write(file, format!("{}\n", listener.local_addr()?))?;
        let server = Server::builder().tcp_nodelay(true).add_service(PlacementServer::new(Echo));
        Ok(server.serve_with_incoming(TcpListenerStream::new(listener)).await?)
    })
}

async fn round(client: &mut PlacementClient<Channel>, taken: &mut Vec<f64>) -> anyhow::Result<()> {
    for _ in 0..CALLS {
        let at = now();
        client.place(place(1)).await?;
        taken.push(at.elapsed().as_secs_f64() * 1e6);
    }
    Ok(())
}

/// Both in turn.
pub(crate) async fn compare(controller: &Controller, folder: &Path) -> anyhow::Result<()> {
    let file = folder.join("echo");
    let mut child = Command::new(std::env::current_exe()?)
        .arg("--echo")
        .arg(&file)
        .stderr(Stdio::inherit())
        .spawn()
        .context("cannot start the echo")?;
    let address = wait_for(&file)?.trim().parse()?;
    let mut echo = PlacementClient::new(connect(address).await?);
    let mut ours = PlacementClient::new(controller.connect().await?);
    let (mut bare, mut taken) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        round(&mut echo, &mut bare).await?;
        round(&mut ours, &mut taken).await?;
    }
    let _ = child.kill();
    let _ = child.wait();
    bare.sort_by(f64::total_cmp);
    taken.sort_by(f64::total_cmp);
    for (name, values) in [("echo", &bare), ("Place", &taken)] {
        println!("{name:<6} p50 {:.0} us, p99 {:.0} us", quantile(values, 0.5), quantile(values, 0.99));
    }
    println!(
        "ratio of medians {:.2} (goal: at most 2)",
        quantile(&taken, 0.5) / quantile(&bare, 0.5).max(1e-9)
    );
    Ok(())
}

//! The way to a controller.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use tarazu_proto::limits::ADMIN_RESPONSE_BYTES_MAX;
use tarazu_proto::v1::admin_client::AdminClient;
use tarazu_proto::v1::placement_client::PlacementClient;
use tonic::transport::{Channel, Endpoint};

/// The controller did not answer.
pub(crate) const EXIT_UNREACHABLE: u8 = 3;

/// Time in which a connection must be made.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Time in which an answer must come: the slowest is a drain that waits for a disk.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Where the controller is.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ControllerAddress {
    /// Address of the controller
    #[arg(long, value_name = "HOST:PORT", env = "TARAZU_CONTROLLER", default_value = "127.0.0.1:7480")]
    controller: String,
}

/// A question to a controller failed.
#[derive(Debug)]
pub(super) enum Failed {
    /// It is not there.
    Unreachable(anyhow::Error),
    /// It refused.
    Refused(tonic::Status),
}

impl From<tonic::Status> for Failed {
    fn from(status: tonic::Status) -> Self {
        let is_away = matches!(status.code(), tonic::Code::Unavailable | tonic::Code::DeadlineExceeded);
        // What the controller itself says has no source; a broken connection has one.
        if is_away && std::error::Error::source(&status).is_some() {
            return Self::Unreachable(anyhow::anyhow!("{}", status.message()));
        }
        Self::Refused(status)
    }
}

impl ControllerAddress {
    async fn channel(&self) -> Result<Channel, Failed> {
        let address = &self.controller;
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .with_context(|| format!("{address:?} is no address; write HOST:PORT"))
            .map_err(Failed::Unreachable)?;
        let endpoint = endpoint.connect_timeout(CONNECT_WITHIN).timeout(ANSWER_WITHIN).tcp_nodelay(true);
        let connected = endpoint.connect().await;
        connected
            .with_context(|| {
                format!(
                    "no controller answers at {address}: start `tarazu controller`, or name another with \
                     --controller or TARAZU_CONTROLLER"
                )
            })
            .map_err(Failed::Unreachable)
    }

    /// What administrators ask.
    pub(super) async fn admin(&self) -> Result<AdminClient<Channel>, Failed> {
        let client = AdminClient::new(self.channel().await?);
        Ok(client.max_decoding_message_size(ADMIN_RESPONSE_BYTES_MAX))
    }

    /// Why plans are as they are.
    pub(super) async fn placement(&self) -> Result<PlacementClient<Channel>, Failed> {
        let client = PlacementClient::new(self.channel().await?);
        Ok(client.max_decoding_message_size(ADMIN_RESPONSE_BYTES_MAX))
    }
}

/// Asks, and turns a failure into its exit code.
pub(super) fn ask<T>(
    question: impl Future<Output = Result<T, Failed>>,
) -> anyhow::Result<Result<T, ExitCode>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.context("cannot start the runtime")?.block_on(question) {
        Ok(answer) => Ok(Ok(answer)),
        Err(Failed::Unreachable(error)) => {
            crate::cli::output::message(format_args!("{error:#}"));
            Ok(Err(ExitCode::from(EXIT_UNREACHABLE)))
        }
        Err(Failed::Refused(status)) => anyhow::bail!("the controller says: {}", status.message()),
    }
}

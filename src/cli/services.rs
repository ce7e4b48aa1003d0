//! What the services' commands share: the log and the end by a signal.

use std::io::IsTerminal;

use anyhow::Context;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal as listen};
use tracing_subscriber::EnvFilter;

/// Starts the log on standard error; times are left to whoever collects it where that is no terminal.
pub(crate) fn start_log(filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter)
        .with_context(|| format!("{filter:?} is no log filter; write info or tarazu=debug"))?;
    log_what(filter);
    Ok(())
}

/// The same with a filter that is sound.
pub(crate) fn log_what(filter: EnvFilter) {
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second log of the same process is no reason to stop.
    let _ = log.with_ansi(std::io::stderr().is_terminal()).try_init();
}

/// Resolves when the process is asked to stop.
pub(crate) fn signal(runtime: &Runtime) -> anyhow::Result<impl Future<Output = ()> + Send + use<>> {
    let _inside = runtime.enter();
    let mut terminate = listen(SignalKind::terminate()).context("cannot listen for signals")?;
    let mut interrupt = listen(SignalKind::interrupt()).context("cannot listen for signals")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

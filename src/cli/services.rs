//! What the services' commands share: the log, the end by a signal, whole files, and the way to a controller.

use std::io::{IsTerminal, Write};
use std::path::Path;

use anyhow::Context;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal as listen};
use tracing_subscriber::EnvFilter;

/// Starts the log on standard error; times are left to whoever collects it where that is no terminal.
pub(crate) fn start_log(filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter)
        .with_context(|| format!("{filter:?} is no log filter; write info or tarazu=debug"))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second log of the same process is no reason to stop.
    let _ = log.with_ansi(std::io::stderr().is_terminal()).try_init();
    Ok(())
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

/// Writes a file so that nobody ever reads half of it.
pub(crate) fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = Path::new(&name);
    std::fs::File::create(new)?.write_all(text.as_bytes())?;
    std::fs::rename(new, path)
}

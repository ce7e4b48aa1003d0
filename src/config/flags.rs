//! Settings as flags, for every tool that takes them.

use std::path::PathBuf;

use super::Origin;
use super::keys::find;
use super::layers::{Layer, Typed};

/// A flag for each setting, and the file.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct SettingArgs {
    /// Settings in TOML (deploy/tarazu.toml shows all); environment and flags are stronger
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where gRPC is served [default: 127.0.0.1:7480]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Where metrics, health and JSON are served [default: 127.0.0.1:7481]
    #[arg(long, value_name = "ADDRESS:PORT")]
    http_listen: Option<String>,
    /// Allow addresses that others can reach, although nobody is asked who they are [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    allow_unauthenticated: Option<String>,
    /// Where intent and term are kept
    #[arg(long, value_name = "FOLDER")]
    state_dir: Option<String>,
    /// Between two samples and between two plans [default: 5s]
    #[arg(long, value_name = "DURATION")]
    interval: Option<String>,
    /// What an explicit layout costs a process [default: 1ms]
    #[arg(long, value_name = "DURATION")]
    layout_cost: Option<String>,
    /// What an explicit layout costs the metadata server [default: 200us]
    #[arg(long, value_name = "DURATION")]
    layout_service: Option<String>,
    /// observe or apply, where nobody has set a policy [default: apply]
    #[arg(long, value_name = "MODE")]
    mode: Option<String>,
    /// Agents write canaries, where nobody has set a policy [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    canary: Option<String>,
    /// Slow targets are looked for, where nobody has set a policy [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    detect: Option<String>,
    /// Seed of the random streams [default: drawn at the start and logged]
    #[arg(long, value_name = "NUMBER")]
    seed: Option<String>,
    /// Folder for event logs [default: none]
    #[arg(long, value_name = "FOLDER")]
    record: Option<String>,
    /// What is logged, such as info or tarazu=debug [default: info]
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

impl SettingArgs {
    /// No flags but the file.
    pub(crate) fn of_file(path: PathBuf) -> Self {
        Self { config: Some(path), ..Self::default() }
    }

    /// The flags that were given.
    pub(super) fn layer(&self) -> Layer {
        let flags = [
            ("listen", &self.listen),
            ("http_listen", &self.http_listen),
            ("allow_unauthenticated", &self.allow_unauthenticated),
            ("state_dir", &self.state_dir),
            ("interval", &self.interval),
            ("layout_cost", &self.layout_cost),
            ("layout_service", &self.layout_service),
            ("mode", &self.mode),
            ("canary", &self.canary),
            ("detect", &self.detect),
            ("seed", &self.seed),
            ("record", &self.record),
            ("log", &self.log),
        ];
        let mut layer = Layer::default();
        for (name, text) in flags {
            let (Some(key), Some(text)) = (find(name), text) else { continue };
            layer.values.insert(name, Typed { text: text.clone(), origin: Origin::Flag(key.flag()) });
        }
        layer
    }
}

//! The controller's settings: built-in < file < environment < flags, each value with where it comes from.
//!
//! Owns the list of settings ([`keys`]), how a layer is read ([`file`], [`flags`]), and the checks that make values as typed
//! a [`Config`]. It must not read a clock or open a socket; files and the environment come in as text, so that all of it can
//! be tried.

mod check;
mod file;
mod flags;
mod keys;
mod layers;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use flags::SettingArgs;
pub(crate) use layers::{Surroundings, resolve};

/// Everything that the controller is told, checked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Config {
    /// Where gRPC is served; port 0 = any free one.
    pub(crate) listen: SocketAddr,
    /// Where metrics, health and the JSON interface are served; port 0 = any free one.
    pub(crate) http_listen: SocketAddr,
    /// Where intent and term are kept.
    pub(crate) state_dir: PathBuf,
    /// Between two samples of an agent and at least between two plans; 100 ms to 300 s.
    pub(crate) interval: Duration,
    /// Addresses that others can reach are allowed, although nobody is asked who they are.
    pub(crate) allow_unauthenticated: bool,
    /// What an explicit layout costs a process that creates a file.
    pub(crate) layout_cost: Duration,
    /// What an explicit layout costs the metadata server.
    pub(crate) layout_service: Duration,
    /// Folder for event logs; `None` = events are not recorded.
    pub(crate) record: Option<PathBuf>,
    /// Seed of the random streams; `None` = the controller draws one when it starts, and logs it.
    pub(crate) seed: Option<u64>,
    /// What happens on file systems for which nobody has set a policy.
    pub(crate) mode: Mode,
    /// Whether agents write canaries there.
    pub(crate) canary: bool,
    /// Whether slow targets are looked for there.
    pub(crate) detect: bool,
    /// What is logged, as `tracing` filters.
    pub(crate) log: String,
    /// Agents that a file system is known to have, by its name: starting ends early when 80 % of them reported.
    pub(crate) servers_expected: BTreeMap<String, u32>,
    settings: Vec<Setting>,
}

impl Config {
    /// All settings as text, in the order of the documentation, with where each comes from.
    pub(crate) fn settings(&self) -> &[Setting] {
        &self.settings
    }
}

/// What happens on a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Plans are made and explained, and every file is left to the file system.
    Observe,
    /// Files are steered where that is worth its cost.
    Apply,
}

/// One setting as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Its name as in the file.
    pub(crate) key: String,
    /// Its value; empty where there is none.
    pub(crate) value: String,
    /// Where it comes from.
    pub(crate) origin: Origin,
}

impl Setting {
    /// The setting as a line of a settings file; a comment where it has no value.
    pub(crate) fn line(&self) -> String {
        let Self { key, value, .. } = self;
        if value.is_empty() {
            return format!("# {key} is not set");
        }
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let of_file_system = key
            .strip_prefix(keys::FILE_SYSTEM)
            .and_then(|rest| rest.strip_prefix('.')?.strip_suffix(keys::SERVERS_EXPECTED)?.strip_suffix('.'));
        if let Some(name) = of_file_system {
            return format!("{}.{}.{} = {value}", keys::FILE_SYSTEM, quoted(name), keys::SERVERS_EXPECTED);
        }
        let is_text = keys::find(key).is_some_and(|key| key.kind == keys::Kind::Text);
        format!("{key} = {}", if is_text { quoted(value) } else { value.clone() })
    }
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nobody said anything else.
    BuiltIn,
    /// A file, with the line.
    File { path: PathBuf, line: usize },
    /// An environment variable.
    Environment(String),
    /// A flag of the command line.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => out.write_str("built-in"),
            Self::File { path, line } => write!(out, "{}:{line}", path.display()),
            Self::Environment(name) => write!(out, "environment variable {name}"),
            Self::Flag(name) => write!(out, "flag --{name}"),
        }
    }
}

/// What is wrong with settings. All of it, so that a file is put right in one go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfigErrors(pub(crate) Vec<ConfigError>);

impl std::error::Error for ConfigErrors {}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, error) in self.0.iter().enumerate() {
            if number > 0 {
                out.write_str("\n")?;
            }
            write!(out, "{error}")?;
        }
        Ok(())
    }
}

/// Why a setting cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Read { path: PathBuf, reason: String },
    /// The file is no TOML.
    #[error("{origin}: {reason}")]
    Syntax { origin: Origin, reason: String },
    /// Nobody knows this key.
    #[error("{origin}: there is no setting {key}{hint}")]
    Unknown { origin: Origin, key: String, hint: String },
    /// A value of another kind, or out of range.
    #[error("{origin}: {key} = {value}: {reason}")]
    Value { origin: Origin, key: String, value: String, reason: String },
}

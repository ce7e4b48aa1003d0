//! Layers of values as typed, one above the other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::file::{read_file, read_text};
use super::keys::KEYS;
use super::{Config, ConfigErrors, Origin, SettingArgs, check};

/// A value as somebody typed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Typed {
    pub(super) text: String,
    pub(super) origin: Origin,
}

/// What one source says, or all together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Layer {
    /// By the setting's name.
    pub(super) values: BTreeMap<&'static str, Typed>,
    /// Servers that are expected, by the file system's name.
    pub(super) servers_expected: BTreeMap<String, Typed>,
}

impl Layer {
    /// Lays a stronger one above.
    fn under(mut self, stronger: Self) -> Self {
        self.values.extend(stronger.values);
        self.servers_expected.extend(stronger.servers_expected);
        self
    }
}

/// What the process was started with, apart from flags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Surroundings {
    /// Environment variables.
    pub(crate) variables: BTreeMap<String, String>,
    /// Whether this is the superuser.
    pub(crate) is_root: bool,
}

impl Surroundings {
    /// Those of this process. Variables that are no text are none of ours.
    pub(crate) fn here() -> Self {
        let texts = std::env::vars_os();
        let variables =
            texts.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self { variables: variables.collect(), is_root: rustix::process::geteuid().is_root() }
    }

    fn variable(&self, name: &str) -> Option<&str> {
        // An empty variable is how scripts say "not set".
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn layer(&self) -> Layer {
        let mut layer = Layer::default();
        for key in &KEYS {
            let name = key.variable();
            if let Some(text) = self.variable(&name) {
                let origin = Origin::Environment(name);
                layer.values.insert(key.name, Typed { text: text.to_owned(), origin });
            }
        }
        layer
    }

    /// Where state is kept if nobody says so.
    fn state_dir(&self) -> Typed {
        let built_in = |path: PathBuf| Typed { text: path.display().to_string(), origin: Origin::BuiltIn };
        let from = |name: &str, tail: &str| {
            let folder = Path::new(self.variable(name)?);
            let text = if tail.is_empty() { folder.to_owned() } else { folder.join(tail) };
            Some(Typed { text: text.display().to_string(), origin: Origin::Environment(name.to_owned()) })
        };
        // systemd may give several, with colons between; the first is the service's own.
        if let Some(mut typed) = from("STATE_DIRECTORY", "") {
            typed.text.truncate(typed.text.find(':').unwrap_or(typed.text.len()));
            return typed;
        }
        if self.is_root {
            return built_in(PathBuf::from("/var/lib/tarazu"));
        }
        from("XDG_STATE_HOME", "tarazu")
            .or_else(|| from("HOME", ".local/state/tarazu"))
            .unwrap_or_else(|| built_in(PathBuf::from("/var/lib/tarazu")))
    }
}

fn built_in(surroundings: &Surroundings) -> Layer {
    let mut layer = Layer::default();
    for key in &KEYS {
        let typed = Typed { text: key.default.to_owned(), origin: Origin::BuiltIn };
        layer.values.insert(key.name, typed);
    }
    layer.values.insert("state_dir", surroundings.state_dir());
    layer
}

/// The settings of this process: built-in, the file that a flag names, the environment, flags.
pub(crate) fn resolve(args: &SettingArgs, surroundings: &Surroundings) -> Result<Config, ConfigErrors> {
    let text = match &args.config {
        None => None,
        Some(path) => {
            let text = read_text(path).map_err(|error| ConfigErrors(vec![error]))?;
            Some((path.as_path(), text))
        }
    };
    resolve_text(text.as_ref().map(|(path, text)| (*path, text.as_str())), args, surroundings)
}

/// The same with the file's text.
pub(super) fn resolve_text(
    file: Option<(&Path, &str)>,
    args: &SettingArgs,
    surroundings: &Surroundings,
) -> Result<Config, ConfigErrors> {
    let mut errors = Vec::new();
    let mut low = built_in(surroundings);
    if let Some((path, text)) = file {
        low = low.under(read_file(path, text, &mut errors));
    }
    low = low.under(surroundings.layer()).under(args.layer());
    let checked = check::check(&low, &mut errors);
    match checked {
        Some(config) if errors.is_empty() => Ok(config),
        _ => Err(ConfigErrors(errors)),
    }
}

//! Systems that come with the program, each with the sources of its numbers in its file.

use std::path::Path;

use super::{System, SystemError};

/// A system that comes with the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// What `--system` calls it; the same as in its file.
    pub name: &'static str,
    /// Its TOML text.
    pub text: &'static str,
}

macro_rules! preset {
    ($name:literal) => {
        Preset { name: $name, text: include_str!(concat!("../../systems/", $name, ".toml")) }
    };
}

/// All of them, by rising number of targets.
pub const PRESETS: [Preset; 6] = [
    preset!("edison"),
    preset!("ost35"),
    preset!("cori"),
    preset!("orion-like"),
    preset!("spider2"),
    preset!("exa3600"),
];

impl System {
    /// A system that comes with the program, by name.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn preset(name: &str) -> Result<Self, SystemError> {
        let found = find(name).ok_or_else(|| unknown(name))?;
        Self::parse(found.text, &origin(found))
    }

    /// A preset by its name or else a TOML file by its path, with single keys changed as in
    /// [`System::parse_with`]. A file that is called like a preset is meant by `./NAME`.
    ///
    /// # Errors
    /// As [`System::read`], and a word that is neither.
    pub fn named_or_read(word: &Path, changes: &[String]) -> Result<Self, SystemError> {
        let name = word.to_str().unwrap_or_default();
        if let Some(preset) = find(name) {
            return Self::parse_with(preset.text, &origin(preset), changes);
        }
        // A lone word that is no file was meant as a name.
        let lone = word.components().count() == 1 && word.extension().is_none();
        if lone && !word.exists() {
            return Err(unknown(name));
        }
        Self::read(word, changes)
    }
}

fn find(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

fn origin(preset: &Preset) -> String {
    format!("the bundled system {}", preset.name)
}

fn unknown(name: &str) -> SystemError {
    let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
    SystemError::Unknown { name: name.to_string(), names: names.join(", ") }
}

//! The settings file. Whatever it says that nobody knows is an error with its line.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{FILE_SYSTEM, Kind, SERVERS_EXPECTED, find, hint};
use super::layers::{Layer, Typed};
use super::{ConfigError, Origin};

/// Bytes of a settings file: the one with all keys and comments has about 3 KiB.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Reads a file that may be anything.
pub(super) fn read_text(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |reason: String| ConfigError::Read { path: path.to_owned(), reason };
    // A pipe would block the start for ever; `metadata` does not open it.
    let metadata = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?;
    if !metadata.is_file() {
        return Err(unreadable(String::from("it is no regular file")));
    }
    let file = File::open(path).map_err(|error| unreadable(error.to_string()))?;
    let mut text = String::new();
    let read = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text);
    read.map_err(|error| unreadable(error.to_string()))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(unreadable(format!("it has more than {FILE_BYTES_MAX} bytes")));
    }
    Ok(text)
}

/// What a file says; what is wrong with it goes to `errors`.
pub(super) fn read_file(path: &Path, text: &str, errors: &mut Vec<ConfigError>) -> Layer {
    let file = Place { path, text };
    let mut layer = Layer::default();
    let root = match DeTable::parse(text) {
        Ok(root) => root,
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            errors.push(ConfigError::Syntax { origin: file.at(at), reason: error.message().to_owned() });
            return layer;
        }
    };
    for (name, value) in root.get_ref() {
        let origin = file.at(name.span().start);
        let name: &str = name.get_ref();
        if name == FILE_SYSTEM {
            file_systems(&file, value, &mut layer, errors);
        } else if let Some(key) = find(name) {
            match typed(&file, name, value, key.kind) {
                Ok(typed) => {
                    layer.values.insert(key.name, typed);
                }
                Err(error) => errors.push(error),
            }
        } else {
            errors.push(ConfigError::Unknown { origin, key: name.to_owned(), hint: hint(name) });
        }
    }
    layer
}

/// `[file_system.NAME]` with what is said of each.
fn file_systems(
    file: &Place<'_>,
    value: &Spanned<DeValue<'_>>,
    layer: &mut Layer,
    errors: &mut Vec<ConfigError>,
) {
    let mut table_of = |key: String, value: &Spanned<DeValue<'_>>| {
        if value.get_ref().as_table().is_none() {
            let reason = format!("write [{FILE_SYSTEM}.NAME] and keys below it");
            errors.push(file.wrong(&key, value, reason));
        }
    };
    table_of(FILE_SYSTEM.to_owned(), value);
    let Some(by_name) = value.get_ref().as_table() else { return };
    for (name, value) in by_name {
        let key = format!("{FILE_SYSTEM}.{}", name.get_ref());
        table_of(key, value);
    }
    for (name, value) in by_name {
        for (inner, value) in value.get_ref().as_table().into_iter().flatten() {
            let key = format!("{FILE_SYSTEM}.{}.{}", name.get_ref(), inner.get_ref());
            if inner.get_ref() != SERVERS_EXPECTED {
                let hint = format!("; a file system has only {SERVERS_EXPECTED}");
                errors.push(ConfigError::Unknown { origin: file.at(inner.span().start), key, hint });
                continue;
            }
            match typed(file, &key, value, Kind::Number) {
                Ok(typed) => {
                    layer.servers_expected.insert(name.get_ref().clone().into_owned(), typed);
                }
                Err(error) => errors.push(error),
            }
        }
    }
}

/// A value of the kind that its setting has, as text.
fn typed(
    file: &Place<'_>,
    key: &str,
    value: &Spanned<DeValue<'_>>,
    kind: Kind,
) -> Result<Typed, ConfigError> {
    let text = match (kind, value.get_ref()) {
        (Kind::Text, DeValue::String(text)) => text.clone().into_owned(),
        (Kind::Switch, DeValue::Boolean(value)) => value.to_string(),
        // Its digits as TOML has taken them apart; other bases than ten are not worth their code.
        (Kind::Number, DeValue::Integer(number)) if number.radix() == 10 => number.as_str().to_owned(),
        _ => return Err(file.wrong(key, value, format!("must be {}", kind.words()))),
    };
    Ok(Typed { text, origin: file.at(value.span().start) })
}

/// A file, to say where in it something is.
struct Place<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Place<'_> {
    fn at(&self, byte: usize) -> Origin {
        let before = &self.text.as_bytes()[..byte.min(self.text.len())];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Origin::File { path: self.path.to_owned(), line }
    }

    fn wrong(&self, key: &str, value: &Spanned<DeValue<'_>>, reason: String) -> ConfigError {
        // As much of it as a message bears.
        const SHOWN_MAX: usize = 40;
        let shown = self.text.get(value.span()).unwrap_or_default();
        let shown = shown.lines().next().unwrap_or_default().chars().take(SHOWN_MAX).collect();
        ConfigError::Value { origin: self.at(value.span().start), key: key.to_owned(), value: shown, reason }
    }
}

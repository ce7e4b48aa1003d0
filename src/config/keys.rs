//! The settings by name.

/// What a value must look like in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A string.
    Text,
    /// `true` or `false`.
    Switch,
    /// A whole number.
    Number,
}

impl Kind {
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Text => "a string in quotes",
            Self::Switch => "true or false",
            Self::Number => "a whole number",
        }
    }
}

/// One setting.
#[derive(Debug)]
pub(super) struct Key {
    /// As in the file. The flag has dashes for underscores, the variable is in capitals behind [`PREFIX`].
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// What holds where nobody says anything; empty = nothing, or found out when the controller starts.
    pub(super) default: &'static str,
}

/// Before the names of environment variables. Longer than `TARAZU_`, because that is how clients are told things, and a
/// job's `TARAZU_MODE` must not reach a controller.
pub(super) const PREFIX: &str = "TARAZU_CONTROLLER_";

impl Key {
    pub(super) fn variable(&self) -> String {
        format!("{PREFIX}{}", self.name.to_ascii_uppercase())
    }

    pub(super) fn flag(&self) -> String {
        self.name.replace('_', "-")
    }
}

const fn key(name: &'static str, kind: Kind, default: &'static str) -> Key {
    Key { name, kind, default }
}

/// All settings, in the order in which they are shown.
pub(super) const KEYS: [Key; 13] = [
    key("listen", Kind::Text, "127.0.0.1:7480"),
    key("http_listen", Kind::Text, "127.0.0.1:7481"),
    key("allow_unauthenticated", Kind::Switch, "false"),
    key("state_dir", Kind::Text, ""),
    key("interval", Kind::Text, "5s"),
    key("layout_cost", Kind::Text, "1ms"),
    key("layout_service", Kind::Text, "200us"),
    key("mode", Kind::Text, "apply"),
    key("canary", Kind::Switch, "false"),
    key("detect", Kind::Switch, "true"),
    key("seed", Kind::Number, ""),
    key("record", Kind::Text, ""),
    key("log", Kind::Text, "info"),
];

/// The table of file systems, and its one key.
pub(super) const FILE_SYSTEM: &str = "file_system";
pub(super) const SERVERS_EXPECTED: &str = "servers_expected";

/// The setting of this name.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// What may have been meant instead of an unknown name.
pub(super) fn hint(name: &str) -> String {
    let plain = name.replace('-', "_").to_ascii_lowercase();
    let names = KEYS.iter().map(|key| key.name).chain([FILE_SYSTEM]);
    let near = names.map(|known| (distance(known, &plain), known)).min();
    match near {
        // A third of its letters may be wrong.
        Some((wrong, known)) if wrong * 3 <= known.len() => format!("; did you mean {known}?"),
        _ => String::from("; `tarazu config show` lists all"),
    }
}

/// Letters to change, add or leave out.
fn distance(a: &str, b: &str) -> usize {
    // Keys of a foreign file may be of any length, and a long one is near to none of ours.
    const LETTERS_MAX: usize = 64;
    let b: Vec<char> = b.chars().take(LETTERS_MAX).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (number, letter) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = number + 1;
        for (place, other) in b.iter().enumerate() {
            let change = diagonal + usize::from(letter != *other);
            diagonal = row[place + 1];
            row[place + 1] = change.min(diagonal + 1).min(row[place] + 1);
        }
    }
    row[b.len()]
}

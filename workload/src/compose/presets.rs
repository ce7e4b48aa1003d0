//! Days that come with the program.

/// A day that comes with the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, in one line.
    pub about: &'static str,
    /// The day in the format `tarazu.day/1`; it names no files.
    pub text: &'static str,
}

/// All presets.
pub const PRESETS: &[Preset] = &[Preset {
    name: "top-heavy",
    about: "1,000 nodes: 1 % of the nodes move 90 % of the bytes, 99 % of the jobs have stripe count 1",
    text: include_str!("../../days/top-heavy.toml"),
}];

/// The preset of that name.
#[must_use]
pub fn preset(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

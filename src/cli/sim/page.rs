//! `tarazu sim --html FILE`: the report as a file, whole or not at all.

use std::path::Path;

use anyhow::{Context, Result};
use tarazu_sim::experiment::Results;
use tarazu_sim::report::Subject;

use super::text;
use crate::cli::whole_file::replace;
use crate::html::Page;

/// Writes the report; a file that is there is replaced in one step.
pub(super) fn write(path: &Path, subject: &Subject<'_>, results: &Results) -> Result<()> {
    let arguments = std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned());
    let words = text::calibration(subject.system);
    let page = Page {
        subject: *subject,
        results,
        facts: &text::facts(subject, results),
        notes: &text::notes(subject, results),
        calibration: &words,
        command: &command(arguments),
    };
    replace(path, page.html().as_bytes())
        .with_context(|| format!("cannot write the report {}", path.display()))
}

/// Options that do not change results, each with a value: left out, so that the same results give the same report.
const WITHOUT: [&str; 3] = ["--explain", "--html", "--threads"];

/// The command line as one would type it.
fn command(arguments: impl Iterator<Item = String>) -> String {
    let mut words = vec!["tarazu".to_string()];
    let mut is_value = false;
    for argument in arguments {
        if std::mem::take(&mut is_value) {
            continue;
        }
        let option = argument.split_once('=').map_or(argument.as_str(), |(option, _)| option);
        if WITHOUT.contains(&option) {
            is_value = option == argument;
            continue;
        }
        words.push(quoted(&argument));
    }
    words.join(" ")
}

/// An argument as a shell takes it.
fn quoted(argument: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "-_=./,:+@%".contains(letter);
    if !argument.is_empty() && argument.chars().all(is_plain) {
        return argument.to_string();
    }
    format!("'{}'", argument.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_as_typed_but_for_what_changes_nothing() {
        let typed = [
            "sim",
            "--html",
            "a b.html",
            "--threads=4",
            "it's",
            "--set",
            "servers.count=8",
            "--threads",
            "2",
        ];
        let shown = command(typed.into_iter().map(str::to_string));
        assert_eq!(shown, r"tarazu sim 'it'\''s' --set servers.count=8");
    }
}

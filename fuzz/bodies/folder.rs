//! Where the inputs of a target lie. Compiled into the tests that replay them.

use std::fs;
use std::path::Path;

/// The committed corpus of a target and the inputs that once failed, in order of their names.
pub(crate) fn inputs(target: &str) -> Vec<Vec<u8>> {
    // The command is at the root, the other crates one folder below.
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let at_root = here.join("fuzz/corpus").is_dir();
    let fuzz = here.join(if at_root { "fuzz" } else { "../fuzz" });
    let folders = ["corpus", "regressions"].map(|kind| fuzz.join(kind).join(target));
    let mut files = Vec::new();
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        files.extend(entries.map(|entry| entry.expect("an entry of a folder").path()));
    }
    files.sort();
    assert!(files.len() >= 20, "{}: only {} inputs of {target}", fuzz.display(), files.len());
    files
        .iter()
        .map(|file| fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display())))
        .collect()
}

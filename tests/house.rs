//! The house rules: which crate may use which, what pure code must not contain, and what no file may say.
//!
//! The table below is that of the design. A crate or an edge that it does not have fails here, so that a
//! new one is a decision and not an accident.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A crate, where it lives, and what it may use. Development dependencies are free.
struct Room {
    name: &'static str,
    folder: &'static str,
    /// Own crates.
    may_use: &'static [&'static str],
    /// Crates of others; `None` where the choice is free.
    outside: Option<&'static [&'static str]>,
}

/// Rooms that are not built yet stand here with their rule and are absent from the workspace.
const HOUSE: &[Room] = &[
    // Carried into other people's processes: nothing from outside.
    Room { name: "tarazu-layout", folder: "layout", may_use: &[], outside: Some(&[]) },
    // Read by clients: a checksum and error types, both without the standard library.
    Room {
        name: "tarazu-table",
        folder: "table",
        may_use: &["tarazu-layout"],
        outside: Some(&["crc32fast", "thiserror"]),
    },
    // Pure decisions: nothing that could reach a clock, a socket or a thread.
    Room {
        name: "tarazu-core",
        folder: "core",
        may_use: &["tarazu-layout", "tarazu-table"],
        outside: Some(&["petgraph", "rand", "rand_chacha", "thiserror"]),
    },
    // A library on its own: whoever wants to read logs needs no other room.
    Room { name: "tarazu-darshan", folder: "darshan", may_use: &[], outside: None },
    Room {
        name: "tarazu-workload",
        folder: "workload",
        may_use: &["tarazu-layout", "tarazu-darshan"],
        outside: None,
    },
    Room {
        name: "tarazu-sim",
        folder: "sim",
        may_use: &["tarazu-layout", "tarazu-table", "tarazu-core", "tarazu-workload"],
        outside: None,
    },
    Room {
        name: "tarazu-proto",
        folder: "proto",
        may_use: &["tarazu-layout", "tarazu-table", "tarazu-core"],
        outside: None,
    },
    Room {
        name: "tarazu-client",
        folder: "client",
        may_use: &["tarazu-layout", "tarazu-table"],
        outside: Some(&["libc", "thiserror"]),
    },
    Room {
        name: "tarazu-preload",
        folder: "preload",
        may_use: &["tarazu-layout", "tarazu-table"],
        outside: Some(&["libc"]),
    },
    Room {
        name: "tarazu",
        folder: "",
        may_use: &[
            "tarazu-layout",
            "tarazu-table",
            "tarazu-core",
            "tarazu-darshan",
            "tarazu-workload",
            "tarazu-sim",
            "tarazu-proto",
            "tarazu-client",
        ],
        outside: None,
    },
];

/// Words that code in a folder must not contain, with the reason.
const BANNED: &[(&str, &[&str], &str)] = &[
    ("core/src", &["HashMap", "HashSet"], "their random order breaks determinism"),
    ("sim/src", &["HashMap", "HashSet"], "their random order breaks determinism"),
    ("core/src", &["Instant", "SystemTime"], "time enters as an argument"),
    ("core/src", &["print!", "println!", "eprint!", "eprintln!", "dbg!"], "core does not speak"),
    ("core/src", &["async", "await"], "core does not wait"),
    ("core/src", &["std::net", "TcpStream", "TcpListener", "UdpSocket"], "core has no sockets"),
    ("core/src", &["std::thread", "thread::spawn", "thread::sleep"], "core has no threads"),
];

/// Folders whose code may lift the ban on `unsafe`, block by block.
const UNSAFE_ALLOWED: &[&str] = &["table/", "client/", "preload/"];

/// Recordings, and inputs that a fuzzer made of them: their paths are those of the recorded programs.
const RECORDED: &[&str] = &["traces/darshan/", "traces/recorder/", "fuzz/corpus/"];

/// Lines of a source file, tests aside: longer ones hide a second subject.
const FILE_LINES_MAX: usize = 600;

/// Files above [`FILE_LINES_MAX`] with their length, which may only shrink. Empty, and meant to stay so.
const LONG_FILES: &[(&str, usize)] = &[];

#[test]
fn crates_use_what_the_house_table_allows() {
    let members = workspace_members();
    assert!(members.iter().any(|member| member.name == "tarazu"), "cargo metadata lists the root package");
    let broken = broken_edges(&members);
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn the_house_table_is_sound() {
    let names: BTreeSet<_> = HOUSE.iter().map(|room| room.name).collect();
    assert_eq!(names.len(), HOUSE.len(), "one row for each crate");
    // A room uses only rooms above it, so there is no cycle.
    for (number, room) in HOUSE.iter().enumerate() {
        for used in room.may_use {
            let above = HOUSE[..number].iter().any(|earlier| earlier.name == *used);
            assert!(above, "{} may use {used}, which stands below it or nowhere", room.name);
        }
    }
}

#[test]
fn broken_edges_are_found() {
    let member = |name: &str, folder: &str, uses: &[&str]| Member {
        name: name.into(),
        folder: folder.into(),
        uses: uses.iter().map(|used| (*used).to_owned()).collect(),
    };
    assert!(broken_edges(&[member("tarazu-table", "table", &["tarazu-layout", "crc32fast"])]).is_empty());
    for (bad, wanted) in [
        (member("tarazu-layout", "layout", &["libc"]), "tarazu-layout must not use libc"),
        (member("tarazu-layout", "layout", &["tarazu-core"]), "tarazu-layout must not use tarazu-core"),
        (member("tarazu-sim", "sim", &["tarazu"]), "tarazu-sim must not use tarazu"),
        (member("tarazu-new", "new", &[]), "tarazu-new is not in the house table"),
        (member("tarazu-core", "kernel", &[]), "tarazu-core lives in core, not in kernel"),
    ] {
        let found = broken_edges(&[bad]);
        assert!(found.len() == 1 && found[0].starts_with(wanted), "wanted {wanted}, found {found:?}");
    }
}

#[test]
fn pure_code_stays_pure() {
    let mut broken = Vec::new();
    for (path, text) in rust_sources() {
        let code = code_of(&text);
        for (folder, words, reason) in BANNED.iter().filter(|(folder, ..)| path.starts_with(folder)) {
            for (line, word) in lines_with(&code, words) {
                broken.push(format!("{path}:{line}: {word} in {folder}: {reason}"));
            }
        }
        if !UNSAFE_ALLOWED.iter().any(|folder| path.starts_with(folder)) {
            for (line, _) in lines_with(&code, &["unsafe"]) {
                broken.push(format!("{path}:{line}: unsafe belongs to {}", UNSAFE_ALLOWED.join(" ")));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn files_have_one_subject() {
    let mut broken = Vec::new();
    for (path, text) in rust_sources() {
        let is_test = path.split('/').any(|part| part == "tests" || part == "benches");
        let known = LONG_FILES.iter().find(|(long, _)| *long == path).map(|(_, lines)| *lines);
        let (lines, limit) = (text.lines().count(), known.unwrap_or(FILE_LINES_MAX));
        if !is_test && lines > limit {
            broken.push(format!("{path}: {lines} lines, the limit is {limit}: split it by subject"));
        }
        if known.is_some_and(|known| lines < known) {
            broken.push(format!("{path}: has shrunk to {lines} lines: lower its entry in LONG_FILES"));
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn no_file_knows_the_machine_it_was_written_on() {
    // In pieces, so that this file does not find itself.
    let folders = ["work", "root", "tmp"].map(|folder| format!("/{folder}/"));
    let mut broken = Vec::new();
    let is_recorded = |path: &String| RECORDED.iter().any(|folder| path.starts_with(folder));
    for path in project_files().into_iter().filter(|path| !is_recorded(path)) {
        let Ok(text) = std::fs::read_to_string(root().join(&path)) else { continue };
        for (number, line) in text.lines().enumerate() {
            if let Some(folder) = folders.iter().find(|folder| names_folder(line, folder)) {
                broken.push(format!("{path}:{}: names {folder}", number + 1));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn the_scanner_sees_code_only() {
    let text = "let a = \"unsafe // \\\" unsafe\"; // unsafe\n/* unsafe /* unsafe */ unsafe */ fn f<'a>(c: char) { c == '\"' }\n\
        r#\"unsafe \" unsafe\"#; b\"unsafe\"; '\\''; #![forbid(unsafe_code)]\nunsafe {}";
    let code = code_of(text);
    assert_eq!(lines_with(&code, &["unsafe"]), [(4, "unsafe")], "{code}");
    assert_eq!(lines_with(&code, &["fn"]), [(2, "fn")]);
    assert_eq!(lines_with("eprintln!(); std::network; std::net::x", &["println!", "std::net"]).len(), 1);
    assert!(names_folder("see /x/y and /x/", "/x/") && names_folder("(/x/y)", "/x/"));
    assert!(!names_folder("home/x/y ../x/ $DIR/x/", "/x/"));
}

/// A crate of the workspace as cargo sees it.
struct Member {
    name: String,
    folder: String,
    uses: Vec<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn workspace_members() -> Vec<Member> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    let members = metadata["packages"].as_array().expect("packages").iter().map(|package| {
        let manifest = PathBuf::from(text(&package["manifest_path"]));
        let folder = manifest.parent().and_then(|folder| folder.strip_prefix(root()).ok());
        let uses = package["dependencies"].as_array().expect("dependencies").iter();
        let uses = uses.filter(|used| used["kind"] != "dev").map(|used| text(&used["name"]));
        Member {
            name: text(&package["name"]),
            folder: folder.expect("members live below the root").to_string_lossy().into_owned(),
            uses: uses.collect(),
        }
    });
    members.collect()
}

/// What the house table does not allow, one line each.
fn broken_edges(members: &[Member]) -> Vec<String> {
    let mut broken = Vec::new();
    for member in members {
        let name = &member.name;
        let Some(room) = HOUSE.iter().find(|room| room.name == name) else {
            broken.push(format!("{name} is not in the house table: add its row, and to the design"));
            continue;
        };
        if room.folder != member.folder {
            broken.push(format!("{name} lives in {}, not in {}", room.folder, member.folder));
        }
        for used in &member.uses {
            let is_own = HOUSE.iter().any(|room| room.name == used);
            let list = if is_own { Some(room.may_use) } else { room.outside };
            if list.is_some_and(|list| !list.contains(&used.as_str())) {
                broken
                    .push(format!("{name} must not use {used}: its list is {:?}", list.unwrap_or_default()));
            }
        }
    }
    broken
}

/// Paths of the project's files from its root: what git knows or would add, or all files without git.
fn project_files() -> Vec<String> {
    let git = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output();
    let mut files = match git {
        Ok(output) if output.status.success() => {
            let names = String::from_utf8_lossy(&output.stdout).into_owned();
            names.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect()
        }
        _ => walk(),
    };
    // Deleted files are listed until the deletion is committed.
    files.retain(|file| root().join(file).is_file());
    assert!(files.iter().any(|file| file == "Cargo.toml"), "the project's files are found");
    files
}

fn walk() -> Vec<String> {
    let mut files = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_symlink() || name == "target" || name == ".git" {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(inside) = path.strip_prefix(root()) {
                files.push(inside.to_string_lossy().into_owned());
            }
        }
    }
    files.sort();
    files
}

/// Path and text of every Rust file.
fn rust_sources() -> Vec<(String, String)> {
    let files = project_files().into_iter().filter(|path| path.ends_with(".rs"));
    files
        .map(|path| {
            let text = std::fs::read_to_string(root().join(&path)).expect("a readable source");
            (path, text)
        })
        .collect()
}

/// Whether a line names an absolute folder: the slash before it begins a path.
fn names_folder(line: &str, folder: &str) -> bool {
    let inside_a_path = |byte: u8| byte.is_ascii_alphanumeric() || b"._-~}/*".contains(&byte);
    line.match_indices(folder).any(|(at, _)| at == 0 || !inside_a_path(line.as_bytes()[at - 1]))
}

/// Line numbers from 1 of words that stand alone.
fn lines_with<'a>(code: &str, words: &[&'a str]) -> Vec<(usize, &'a str)> {
    let is_name = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let mut found = Vec::new();
    for (number, line) in code.lines().enumerate() {
        for word in words {
            let alone = line.match_indices(word).any(|(at, _)| {
                let before = at.checked_sub(1).and_then(|place| line.as_bytes().get(place));
                !is_name(before) && !is_name(line.as_bytes().get(at + word.len()))
            });
            if alone {
                found.push((number + 1, *word));
            }
        }
    }
    found
}

/// The text with comments, strings and characters blanked out, line for line.
fn code_of(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => line_end(bytes, at),
            b'/' if bytes[at..].starts_with(b"/*") => comment_end(bytes, at),
            b'"' => string_end(bytes, at, b'"'),
            b'r' if raw_hashes(bytes, at).is_some() => raw_end(bytes, at),
            b'\'' if is_character(text, at) => string_end(bytes, at, b'\''),
            _ => {
                at += 1;
                continue;
            }
        };
        code[at..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
        at = end;
    }
    String::from_utf8_lossy(&code).into_owned()
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |length| at + length)
}

/// Block comments nest.
fn comment_end(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        if rest.starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    at
}

fn string_end(bytes: &[u8], start: usize, quote: u8) -> usize {
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// The number of `#` of a raw string that begins here.
fn raw_hashes(bytes: &[u8], at: usize) -> Option<usize> {
    let hashes = bytes[at + 1..].iter().take_while(|byte| **byte == b'#').count();
    let before = at.checked_sub(1).map(|place| bytes[place]);
    // `b` and `c` may stand before the `r`; any other letter makes it the end of a name.
    let in_name =
        before.is_some_and(|byte| byte == b'_' || byte.is_ascii_alphanumeric() && !b"bc".contains(&byte));
    (!in_name && bytes.get(at + 1 + hashes) == Some(&b'"')).then_some(hashes)
}

fn raw_end(bytes: &[u8], at: usize) -> usize {
    let hashes = raw_hashes(bytes, at).unwrap_or(0);
    let close: Vec<u8> = [b"\"".to_vec(), vec![b'#'; hashes]].concat();
    let inside = at + hashes + 2;
    let length = bytes[inside..].windows(close.len()).position(|window| window == close);
    length.map_or(bytes.len(), |length| inside + length + close.len())
}

/// A quote begins a character where it closes behind one character or an escape; otherwise a lifetime.
fn is_character(text: &str, at: usize) -> bool {
    let mut rest = text[at + 1..].chars();
    match rest.next() {
        Some('\\') => true,
        Some(_) => rest.next() == Some('\''),
        None => false,
    }
}

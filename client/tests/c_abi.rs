//! A program in C uses the library, linked either way, as a process of its own.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod common;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{JOB, TARGETS, make};
use tarazu::spool::{Body, decode};

/// Where cargo puts the libraries of the crate under test: beside the test itself.
fn libraries() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().to_owned()
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    output
}

fn compile(program: &Path, link: &[&str]) {
    let client = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O1"]);
    cc.arg("-I").arg(client.join("include")).arg(client.join("tests/c/session.c")).arg("-o").arg(program);
    run(cc.args(link));
}

/// Compiles, runs and checks what the program did.
fn check(name: &str, link: &[&str]) {
    let place = tempfile::tempdir().unwrap();
    let root = place.path();
    make(root, name, std::fs::metadata(root).unwrap().uid());
    let program = root.join(name);
    compile(&program, link);
    let mut command = Command::new(&program);
    // What the machine that runs the tests says of itself is not what is tested.
    command.env_clear().env("TARAZU_RUN_DIR", root.join("run")).env("TARAZU_BUDGET_US", "3600000000");
    let output = run(command.arg(root.join("fs")));
    let said = String::from_utf8(output.stdout).unwrap();
    let mut targets: Vec<u32> = said.lines().map(|line| line["target ".len()..].parse().unwrap()).collect();
    // One rank makes one file on each target, by the table.
    targets.sort_unstable();
    assert_eq!(targets, (0..TARGETS).collect::<Vec<_>>());

    let spools = std::fs::read_dir(root.join("run/placed")).unwrap();
    let told: Vec<u8> = spools.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
    let told = decode(&told);
    assert_eq!(told.damaged, 0);
    let count = |wanted: fn(&Body) -> bool| told.records.iter().filter(|record| wanted(&record.body)).count();
    assert_eq!(count(|body| matches!(body, Body::Advise(_))), 1);
    assert_eq!(count(|body| matches!(body, Body::Created(_))), 5);
    assert_eq!(count(|body| matches!(body, Body::Closed { written_bytes: 4, .. })), 5);
    assert_eq!(told.records.last().map(|record| &record.body), Some(&Body::End));
    assert!(told.records.iter().all(|record| record.job.0 == JOB));
}

#[test]
fn a_program_in_c_with_the_shared_library() {
    let folder = libraries();
    let folder = folder.to_str().unwrap();
    // The library's own name is that of an installed one, so it is linked by its file and found by that name.
    let place = tempfile::tempdir().unwrap();
    let installed = place.path().join("libtarazu.so.0");
    std::os::unix::fs::symlink(Path::new(folder).join("libtarazu.so"), &installed).unwrap();
    let rpath = format!("-Wl,-rpath,{}", place.path().display());
    check("with_so", &[installed.to_str().unwrap(), &rpath]);
}

#[test]
fn a_program_in_c_with_the_static_library() {
    let library = libraries().join("libtarazu.a");
    check("with_a", &[library.to_str().unwrap(), "-lpthread", "-ldl", "-lm", "-lgcc_s"]);
}

#[test]
fn the_shared_library_shows_its_own_names_only() {
    let output = run(Command::new("nm").args(["-D", "--defined-only"]).arg(libraries().join("libtarazu.so")));
    let text = String::from_utf8(output.stdout).unwrap();
    let names: Vec<_> = text.lines().filter_map(|line| line.split(' ').next_back()).collect();
    let foreign: Vec<_> = names.iter().filter(|name| !name.starts_with("tarazu_")).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
    let header =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("include/tarazu.h")).unwrap();
    assert!(names.len() >= 15 && names.iter().all(|name| header.contains(&format!("{name}("))), "{names:?}");
}

//! Bad platforms and transfers: each gives an error that names the file, the place and what to do.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use tarazu_sim::flows::{finish_times_s, read_platform, read_transfers};

const PLATFORM: &str = r#"{"schema":"tarazu-fluid/1","client_nic_Bps":[1000,500],"oss_link_Bps":[800,1000],
"ost_oss":[0,0,1],"ost_disk_Bps":[600,600,400]}"#;
const HEADER: &str = "id,start_s,client,bytes,osts\n";

/// A file of this test's own with the given content.
fn file(name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    // A folder for each file: tests run side by side and use the same names.
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed).to_string();
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("flows_bad_input").join(number);
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

/// The error with its sources, as the command prints it.
fn chain(error: &dyn std::error::Error) -> String {
    error.source().map_or(error.to_string(), |source| format!("{error}: {}", chain(source)))
}

fn platform_error(name: &str, content: &str) -> String {
    chain(&read_platform(&file(name, content)).unwrap_err())
}

fn transfers_error(name: &str, content: impl AsRef<[u8]>) -> String {
    let network = read_platform(&file(&format!("{name}.json"), PLATFORM)).unwrap();
    chain(&read_transfers(&file(name, content), &network).unwrap_err())
}

#[track_caller]
fn assert_says(error: &str, words: &[&str]) {
    for word in words {
        assert!(error.contains(word), "{error:?} does not say {word:?}");
    }
}

#[test]
fn bad_platforms_are_refused() {
    assert_says(&platform_error("p-text.json", "client,nic\n"), &["p-text.json", "line 1 column 1"]);
    assert_says(&platform_error("p-cut.json", &PLATFORM[..60]), &["p-cut.json", "line 1", "EOF"]);
    assert_says(
        &platform_error("p-field.json", r#"{"schema":"tarazu-fluid/1"}"#),
        &["missing field", "client_nic_Bps"],
    );
    let other = PLATFORM.replace("fluid/1", "fluid/2");
    assert_says(&platform_error("p-schema.json", &other), &["p-schema.json", "tarazu-fluid/2", "only"]);
    let zero = PLATFORM.replace("[800,1000]", "[800,0]");
    assert_says(
        &platform_error("p-zero.json", &zero),
        &["p-zero.json", "oss_link_Bps", "link 1", "give a number"],
    );
    let negative = PLATFORM.replace("[1000,500]", "[-1000,500]");
    assert_says(&platform_error("p-negative.json", &negative), &["client_nic_Bps", "nic 0", "-1000"]);
    let nan = PLATFORM.replace("[600,600,400]", "[600,NaN,400]");
    assert_says(&platform_error("p-nan.json", &nan), &["p-nan.json", "line 2"]);
    let huge = PLATFORM.replace("[600,600,400]", "[600,1e999,400]");
    assert_says(&platform_error("p-huge.json", &huge), &["p-huge.json", "line 2"]);
    let short = PLATFORM.replace("[600,600,400]", "[600,600]");
    assert_says(&platform_error("p-short.json", &short), &["ost_oss", "2 disks but 3"]);
    let unknown = PLATFORM.replace("[0,0,1]", "[0,0,2]");
    assert_says(&platform_error("p-unknown.json", &unknown), &["ost_oss", "disk 2 is behind link 2"]);
    let negative_server = PLATFORM.replace("[0,0,1]", "[0,0,-1]");
    assert_says(&platform_error("p-server.json", &negative_server), &["p-server.json", "line 2"]);
    let absent = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("absent.json");
    assert_says(&chain(&read_platform(&absent).unwrap_err()), &["absent.json", "cannot read"]);
}

#[test]
fn bad_fields_are_refused_with_their_line() {
    let good = "0,0.0,0,4000,0;1\n";
    for (name, row, words) in [
        ("client", "1,0,2,4000,0", ["client is \"2\"", "the platform has 2"]),
        ("client-text", "1,0,-1,4000,0", ["client is \"-1\"", "numbered from 0"]),
        ("ost", "1,0,0,4000,0;3", ["osts is \"3\"", "the platform has 3"]),
        ("ost-empty", "1,0,0,4000,", ["osts is \"\"", "name one of them"]),
        ("ost-twice", "1,0,0,4000,1;2;1", ["osts is \"1\"", "name each target once"]),
        ("nan", "1,NaN,0,4000,0", ["start_s is \"NaN\"", "give a number from 0"]),
        ("negative", "1,-1,0,4000,0", ["start_s is \"-1\"", "give a number from 0"]),
        ("infinite", "1,0,0,inf,0", ["bytes is \"inf\"", "give a number from 0"]),
        ("bytes", "1,0,0,-4000,0", ["bytes is \"-4000\"", "give a number from 0"]),
        ("id", "one,0,0,4000,0", ["id is \"one\"", "give a whole number"]),
    ] {
        let file = format!("t-{name}.csv");
        let error = transfers_error(&file, format!("{HEADER}{good}{row}\n"));
        assert_says(&error, &words);
        assert_says(&error, &[&format!("{file}:3:")]);
    }
}

#[test]
fn bad_tables_are_refused() {
    let error = transfers_error("t-column.csv", "id,start_s,client,osts\n0,0,0,0\n");
    assert_says(&error, &["t-column.csv:1:", "no column \"bytes\""]);
    let error = transfers_error("t-empty.csv", "");
    assert_says(&error, &["t-empty.csv:1:", "no column \"id\""]);
    let error = transfers_error("t-ragged.csv", format!("{HEADER}0,0.0,0,4000\n"));
    assert_says(&error, &["t-ragged.csv:2:", "equally many"]);
    let error = transfers_error("t-bytes.csv", [HEADER.as_bytes(), b"0,0,0,\xff\xfe,0\n"].concat());
    assert_says(&error, &["t-bytes.csv:2:", "UTF-8"]);
    let network = read_platform(&file("t-absent.json", PLATFORM)).unwrap();
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    assert_says(&chain(&read_transfers(&directory, &network).unwrap_err()), &["cannot read: "]);
    let long = format!("{HEADER}0,0,0,{},0\n", "x".repeat(1 << 20));
    assert!(transfers_error("t-long.csv", long).len() < 1000);
}

#[test]
fn columns_may_come_in_any_order_and_starts_too() {
    let network = read_platform(&file("g.json", PLATFORM)).unwrap();
    let table =
        "osts , bytes,note,client,start_s,id\n2,400,late,0,5,7\n0; 1,0,empty,1,3.5,8\n0,600,early,0,1,9\n";
    let transfers = read_transfers(&file("g.csv", table), &network).unwrap();
    assert_eq!(transfers.flows(), 4);
    assert_eq!(transfers.osts(1), [0, 1]);
    let ids: Vec<u64> = transfers.list().iter().map(|transfer| transfer.id).collect();
    assert_eq!(ids, [7, 8, 9]);
    assert_eq!(finish_times_s(network, &transfers).unwrap(), [6.0, 3.5, 2.0]);
}

#[test]
fn no_transfers_have_no_ends() {
    let network = read_platform(&file("n.json", PLATFORM)).unwrap();
    let transfers = read_transfers(&file("n.csv", HEADER), &network).unwrap();
    assert_eq!(finish_times_s(network, &transfers).unwrap(), Vec::<f64>::new());
}

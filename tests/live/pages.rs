//! What people and programs read of a controller: pages, and the command's lines.

use std::io::{Read, Write as _};
use std::net::TcpStream;

use super::*;

fn page(controller: &Controller, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(controller.http).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

fn json(controller: &Controller, path: &str) -> serde_json::Value {
    let (status, body) = page(controller, path);
    assert!(status.contains("200"), "{path}: {status}");
    // One chunk of a body without a length is framed by its size.
    let begin = body.find('{').unwrap();
    let end = body.rfind('}').unwrap();
    serde_json::from_str(&body[begin..=end]).unwrap()
}

fn tarazu(controller: &Controller, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tarazu"))
        .args(arguments)
        .env("TARAZU_CONTROLLER", controller.grpc.to_string())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_controller_can_be_looked_at_and_told() {
    let place = Place::new(4);
    let mut controller = Controller::start(&place, &[]);
    let _agent = place.agent(controller.grpc, "oss0", "agent", &[0, 1, 2, 10], 1 << 49);
    controller.settled(1);

    let (code, text, _) = tarazu(&controller, &["status"]);
    assert!(code == 0 && text.contains("targets     4 (4 report, 0 drained, 0 get nothing)"), "{text}");
    let (code, _, said) = tarazu(&controller, &["ost", "drain", "1,OST000a", "--reason", "disks\u{7}"]);
    assert!(code == 1 && said.contains("printable"), "{said}");
    let (code, _, said) = tarazu(&controller, &["ost", "drain", "3", "--reason", "no such target"]);
    assert!(code == 1 && said.contains("OST0003 is not a target"), "{said}");
    let (code, _, said) =
        tarazu(&controller, &["ost", "drain", "1,OST000a", "--reason", "disks", "--until", "2h"]);
    assert!(code == 0 && said.contains("durable: 2 targets OST0001 OST000a, until"), "{said}");
    let (_, text, _) = tarazu(&controller, &["ost", "list", "--reasons", "--no-header"]);
    assert_eq!(text.lines().count(), 2, "{text}");
    let (code, _, said) = tarazu(&controller, &["ost", "resume", "demo-OST0001", "--dry-run"]);
    assert!(code == 0 && said.contains("nothing was done"), "{said}");
    let (code, ..) = tarazu(&controller, &["policy", "set", "--mode", "observe", "--detect", "false"]);
    assert_eq!(code, 0);
    let (_, text, _) = tarazu(&controller, &["policy", "show"]);
    assert_eq!(text, "mode observe\ncanary false\ndetect false\n");
    until("a plan with the drains", || {
        let (_, text, _) = tarazu(&controller, &["explain"]);
        (text.matches("excluded.drained").count() == 2).then_some(())
    });

    let status = json(&controller, "/api/v1/status");
    assert_eq!(status["schema"], "tarazu.status/1");
    assert_eq!(status["file_systems"][0]["targets_drained"], 2);
    assert_eq!(status["file_systems"][0]["mode"], "observe");
    let targets = json(&controller, "/api/v1/targets?fs=demo");
    assert_eq!(targets["targets"].as_array().unwrap().len(), 4);
    assert_eq!(targets["targets"][3]["drain"]["reason"], "disks");
    let plan = json(&controller, "/api/v1/explain");
    assert_eq!(plan["targets"][1]["reason"], "excluded.drained");
    assert!(page(&controller, "/api/v1/targets?fs=other").0.contains("404"));
    assert!(page(&controller, "/healthz").0.contains("200"));
    metrics(&page(&controller, "/metrics").1);

    controller.process.end();
    let (code, text, said) = tarazu(&controller, &["status"]);
    assert!(code == 3 && text.is_empty() && said.contains("no controller answers"), "{said}");
}

/// Every line is a comment or a sample, every sample has a help text, and no label names a job, a user or a file.
fn metrics(page: &str) {
    let begin = page.find("# HELP").unwrap();
    let lines: Vec<&str> = page[begin..].lines().map(str::trim_end).collect();
    assert!(lines.contains(&"# EOF"), "{page}");
    let help: Vec<&str> =
        lines.iter().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next()).collect();
    let samples: Vec<&&str> = lines.iter().filter(|line| line.starts_with("tarazu_")).collect();
    assert!(samples.len() > 40, "{} samples", samples.len());
    for sample in samples {
        let name = sample.split(['{', ' ']).next().unwrap();
        assert!(help.contains(&name), "{sample}");
        assert!(sample.rsplit(' ').next().unwrap().parse::<f64>().is_ok(), "{sample}");
        for label in ["job", "user", "uid", "file=", "path"] {
            assert!(!sample.contains(&format!("{label}=")), "{sample}");
        }
    }
    assert!(lines.contains(&"tarazu_targets_drained{fs=\"demo\"} 2.0"), "{page}");
}

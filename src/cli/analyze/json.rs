//! Findings on the schema `tarazu.analyze/1` (`docs/tarazu.analyze-1.schema.json`).

use serde::Serialize;
use tarazu_workload::analyze::{self, Finding, Subject, Value};

use super::Report;

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    version: &'static str,
    logs: u64,
    unreadable: Vec<Unreadable<'a>>,
    findings: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Unreadable<'a> {
    file: &'a str,
    why: &'a str,
}

#[derive(Serialize)]
struct Entry<'a> {
    code: &'static str,
    severity: &'static str,
    source: &'a str,
    subject: About<'a>,
    words: &'a str,
    fix: &'a str,
    measures: Vec<Measure>,
    evidence: Option<Evidence>,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum About<'a> {
    Job,
    File { name: &'a str },
    Folder { path: &'a str, files: u64 },
    Target { mount: &'a str, ost: u32 },
    Rank { rank: u64 },
    Module { name: &'a str },
}

#[derive(Serialize)]
struct Measure {
    name: &'static str,
    value: Number,
    unit: &'static str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Number {
    Whole(u64),
    Real(f64),
}

#[derive(Serialize)]
struct Evidence {
    samples: u64,
    others: u64,
    logs: u64,
    p_value: f64,
}

pub(super) fn report(report: &Report) -> anyhow::Result<String> {
    let document = Document {
        schema: "tarazu.analyze/1",
        version: env!("CARGO_PKG_VERSION"),
        logs: report.logs,
        unreadable: report.unreadable.iter().map(|(file, why)| Unreadable { file, why }).collect(),
        findings: report.findings.iter().map(entry).collect(),
    };
    let mut text = serde_json::to_string_pretty(&document)?;
    text.push('\n');
    Ok(text)
}

fn entry(finding: &Finding) -> Entry<'_> {
    let evidence = finding.evidence.map(|analyze::Evidence { samples, others, logs, p_value }| Evidence {
        samples,
        others,
        logs,
        p_value,
    });
    Entry {
        code: finding.code.as_str(),
        severity: finding.severity.as_str(),
        source: &finding.source,
        subject: about(&finding.subject),
        words: &finding.words,
        fix: &finding.fix,
        measures: finding.measures.iter().map(measure).collect(),
        evidence,
    }
}

fn about(subject: &Subject) -> About<'_> {
    match subject {
        Subject::Job => About::Job,
        Subject::File { name } => About::File { name },
        Subject::Folder { path, files } => About::Folder { path, files: *files },
        Subject::Target { mount, ost } => About::Target { mount, ost: *ost },
        Subject::Rank { rank } => About::Rank { rank: *rank },
        Subject::Module { name } => About::Module { name },
    }
}

fn measure(measure: &analyze::Measure) -> Measure {
    let value = match measure.value {
        Value::Count(number) | Value::Bytes(number) => Number::Whole(number),
        Value::Seconds(number) | Value::Rate(number) | Value::Share(number) | Value::Factor(number) => {
            Number::Real(number)
        }
    };
    Measure { name: measure.name, value, unit: measure.value.unit() }
}

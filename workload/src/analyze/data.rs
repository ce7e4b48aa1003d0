//! What is missing from a log. Always said: every other finding, and every silence, rests on what is left.

use tarazu_darshan::Module;

use super::facts::{Damage, Facts};
use super::finding::{Code, Finding, Subject};

pub(super) fn find(facts: &Facts) -> Vec<Finding> {
    let mut findings: Vec<Finding> = facts.partial.iter().map(|module| partial(facts, *module)).collect();
    findings.extend(facts.faults.iter().map(|Damage { kind, words }| {
        let words = format!("a part of the log is damaged: {words}");
        Finding::new(Code::DamagedData, &facts.log, Subject::Job, words, remedy(kind).to_owned())
    }));
    if !facts.has_end {
        let words =
            "the log has no end of the job, so the job was killed or still ran: the log may end early";
        let fix = "Raise the job's time limit if it ran out, or analyze the log of a run that ended.";
        findings.push(Finding::new(Code::NoEnd, &facts.log, Subject::Job, words.to_owned(), fix.to_owned()));
    }
    findings
}

/// What helps against a fault of this kind ([`tarazu_darshan::Fault::kind`]).
fn remedy(kind: &str) -> &'static str {
    match kind {
        "outside-file" | "cut-short-stream" => {
            "The file ends too early: copy it again from where it was written. If that one ends there, too, \
             Darshan was stopped while it wrote. What could be read was used, the rest is missing here."
        }
        "processes" => {
            "If a development version of Darshan wrote the log, no copy helps: run the job with a released \
             one. Else copy the log again. What depends on the number of ranks was not judged."
        }
        "record-version" => {
            "A newer Darshan wrote this module and no copy helps: take a newer tarazu. All other modules were \
             judged."
        }
        "too-large" => {
            "If the log was moved, copy it again. If it is whole, it is larger than tarazu takes: leave out \
             files that do not matter (NAME_EXCLUDE in Darshan's configuration)."
        }
        "record" | "ranks" => {
            "Copy the log again if it was moved. If it stays so, the library that wrote it has an error or is \
             a development version: run the job with a released one. What could be read was used."
        }
        _ => "Copy the log again if it was moved; what could be read was used, the rest is missing here.",
    }
}

fn partial(facts: &Facts, module: Module) -> Finding {
    let (subject, words, fix) = match module {
        // darshan-merge leaves this flag behind where nothing is missing.
        Module::Null => (
            Subject::Job,
            "a module without a name is marked incomplete, as in logs made by darshan-merge: records may be \
             missing"
                .to_owned(),
            "Compare with the logs that were merged, if you have them.",
        ),
        module => (
            Subject::Module { name: module.to_string() },
            format!(
                "{module} is incomplete: Darshan ran out of memory or records for it, the rest is missing \
                 here"
            ),
            match module {
                Module::DxtPosix | Module::DxtMpiio => TRACE_LESS,
                _ => MORE_RECORDS,
            },
        ),
    };
    Finding::new(Code::PartialData, &facts.log, subject, words, fix.to_owned())
}

const TRACE_LESS: &str =
    "Trace fewer files, or give Darshan more memory: export DARSHAN_MODMEM=64 (MiB per process).";
const MORE_RECORDS: &str = "Give Darshan more memory (export DARSHAN_MODMEM=64, MiB per process) and more \
    records (MAX_RECORDS in its configuration), or leave out files that do not matter (NAME_EXCLUDE).";

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(facts: &Facts) -> Vec<Code> {
        find(facts).iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn what_is_missing_is_always_said() {
        let whole = Facts { has_end: true, ..Facts::default() };
        assert!(find(&whole).is_empty());
        let partial = Facts { partial: vec![Module::Posix, Module::Null], ..whole.clone() };
        assert_eq!(codes(&partial), [Code::PartialData; 2]);
        assert_eq!(find(&partial)[0].subject, Subject::Module { name: "POSIX".into() });
        let damaged = Facts { faults: vec![Damage::default()], ..whole.clone() };
        assert_eq!(codes(&damaged), [Code::DamagedData]);
        assert_eq!(codes(&Facts { has_end: false, ..whole }), [Code::NoEnd]);
    }

    #[test]
    fn the_remedy_fits_the_fault() {
        let fix = |kind| {
            let faults = vec![Damage { kind, words: "it is".into() }];
            find(&Facts { faults, has_end: true, ..Facts::default() }).remove(0).fix
        };
        assert!(fix("record-version").contains("newer tarazu"));
        assert!(fix("processes").contains("development version"));
        assert!(fix("outside-file").starts_with("The file ends too early"));
        assert!(fix("damaged-stream").starts_with("Copy the log again"));
        assert!(fix("too-large").contains("NAME_EXCLUDE"));
        assert!(fix("ranks").contains("released"));
    }
}

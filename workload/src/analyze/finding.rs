//! What a finding is: a stable code, what it is about, measured values, words, and a fix.

use std::fmt;

/// What was found. The text of a code never changes its meaning; a new judgement gets a new code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// One stripe on a big file that many ranks share.
    OneStripeShared,
    /// Few targets for many bytes.
    FewTargets,
    /// Small files with many stripes.
    SmallFilesWide,
    /// One target carries most of the bytes.
    OneTargetMost,
    /// A target whose files take far longer than those of its peers.
    SlowTarget,
    /// One or few ranks do the I/O that all wait for.
    RankImbalance,
    /// Bursts of I/O at regular times.
    PeriodicBursts,
    /// Darshan left records out.
    PartialData,
    /// A part of the log is damaged.
    DamagedData,
    /// The log has no end of the job.
    NoEnd,
}

impl Code {
    /// All codes.
    pub const ALL: [Self; 10] = [
        Self::OneStripeShared,
        Self::FewTargets,
        Self::SmallFilesWide,
        Self::OneTargetMost,
        Self::SlowTarget,
        Self::RankImbalance,
        Self::PeriodicBursts,
        Self::PartialData,
        Self::DamagedData,
        Self::NoEnd,
    ];

    /// The stable text, `TZ-STRIPE-01`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OneStripeShared => "TZ-STRIPE-01",
            Self::FewTargets => "TZ-STRIPE-02",
            Self::SmallFilesWide => "TZ-STRIPE-03",
            Self::OneTargetMost => "TZ-TARGET-01",
            Self::SlowTarget => "TZ-TARGET-02",
            Self::RankImbalance => "TZ-RANK-01",
            Self::PeriodicBursts => "TZ-BURST-01",
            Self::PartialData => "TZ-DATA-01",
            Self::DamagedData => "TZ-DATA-02",
            Self::NoEnd => "TZ-DATA-03",
        }
    }

    /// How much it matters, the same for every finding of the code.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::PeriodicBursts => Severity::Info,
            Self::FewTargets
            | Self::SmallFilesWide
            | Self::RankImbalance
            | Self::PartialData
            | Self::NoEnd => Severity::Advice,
            Self::OneStripeShared | Self::OneTargetMost | Self::SlowTarget | Self::DamagedData => {
                Severity::Warning
            }
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Good to know; nothing is wrong.
    Info,
    /// Something could be better, or the numbers tell less than the whole.
    Advice,
    /// Much time is lost, or a number cannot be trusted.
    Warning,
}

impl Severity {
    /// `info`, `advice` or `warning`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Advice => "advice",
            Self::Warning => "warning",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a finding is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The job as a whole.
    Job,
    /// One file; names are as foreign as the log.
    File {
        /// Its name, or its record number where the log has no name.
        name: String,
    },
    /// Files below one folder.
    Folder {
        /// The folder.
        path: String,
        /// How many files.
        files: u64,
    },
    /// A target of a file system.
    Target {
        /// Where the file system is mounted; empty where the log does not say.
        mount: String,
        /// Index of the OST.
        ost: u32,
    },
    /// A rank.
    Rank {
        /// Its number.
        rank: u64,
    },
    /// A part of the log, by Darshan's name.
    Module {
        /// `POSIX`, `DXT_POSIX`, ...
        name: String,
    },
}

/// A number with its unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// How many.
    Count(u64),
    /// Bytes.
    Bytes(u64),
    /// Seconds.
    Seconds(f64),
    /// Bytes per second.
    Rate(f64),
    /// A part of a whole, 0 to 1.
    Share(f64),
    /// How many times as much.
    Factor(f64),
}

impl Value {
    /// The unit: `count`, `bytes`, `s`, `bytes/s`, `share` or `factor`.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Count(_) => "count",
            Self::Bytes(_) => "bytes",
            Self::Seconds(_) => "s",
            Self::Rate(_) => "bytes/s",
            Self::Share(_) => "share",
            Self::Factor(_) => "factor",
        }
    }
}

/// A measured or recommended value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measure {
    /// What was measured, a stable name: `file_size`, `period`.
    pub name: &'static str,
    /// How much.
    pub value: Value,
}

/// How sure a statistical finding is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// Samples of the subject.
    pub samples: u64,
    /// Samples it is compared with.
    pub others: u64,
    /// Logs the samples come from.
    pub logs: u64,
    /// The p-value: how probable a difference this large would be by chance if the subject were like the
    /// others, already multiplied by the number of comparisons (targets, and logs where several are pooled),
    /// 0 to 1. It is not the probability that the finding is wrong.
    pub p_value: f64,
}

/// One finding.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What was found.
    pub code: Code,
    /// How much it matters.
    pub severity: Severity,
    /// The log's name, or how many logs together.
    pub source: String,
    /// What it is about.
    pub subject: Subject,
    /// The numbers behind it.
    pub measures: Vec<Measure>,
    /// What was found, in plain words.
    pub words: String,
    /// What to do about it: a command or advice, with the reason.
    pub fix: String,
    /// How sure it is, for statistical findings.
    pub evidence: Option<Evidence>,
}

impl Finding {
    /// A finding without numbers; its severity is that of the code.
    pub(super) fn new(code: Code, source: &str, subject: Subject, words: String, fix: String) -> Self {
        let (severity, source) = (code.severity(), source.to_owned());
        Self { code, severity, source, subject, measures: Vec::new(), words, fix, evidence: None }
    }

    pub(super) fn measured(mut self, measures: &[(&'static str, Value)]) -> Self {
        self.measures.extend(measures.iter().map(|(name, value)| Measure { name, value: *value }));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_distinct_and_end_in_a_number() {
        let texts: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), Code::ALL.len());
        for text in texts {
            let (family, number) = text.rsplit_once('-').unwrap();
            assert!(family.starts_with("TZ-") && number.len() == 2 && number.parse::<u8>().is_ok(), "{text}");
        }
    }
}

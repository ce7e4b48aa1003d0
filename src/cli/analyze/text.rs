//! Findings as sentences, under the name of their log. Lines are not wrapped, so that commands can be copied.

use std::fmt::Write as _;

use super::Report;

pub(super) fn report(report: &Report) -> String {
    let mut text = String::new();
    for findings in report.findings.chunk_by(|a, b| a.source == b.source) {
        let Some(first) = findings.first() else { continue };
        if !text.is_empty() {
            text.push('\n');
        }
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", first.source);
        for finding in findings {
            let _ = writeln!(text, "  {} {}: {}", finding.code, finding.severity, finding.words);
            let _ = writeln!(text, "      {}", finding.fix);
        }
    }
    text
}

//! The demonstration as a page: tables first, then what they rest on. Every number comes from the report.

use std::fmt::Write;

use super::markup::{Text, number};
use crate::cli::demo_verdict;
use crate::demo::{self, Report, Run, Situation};

/// Columns: title, and how a run's value is shown.
type Column = (&'static str, fn(&Run) -> String);

const COLUMNS: [Column; 6] = [
    ("job I/O time [s]", |run| number(run.job_io_s)),
    ("slowest rank [s]", |run| number(run.slowest_rank_s)),
    ("file time p99 [s]", |run| number(run.file_p99_s)),
    ("files steered", |run| format!("{} of {}", run.files_steered, run.files)),
    ("files on the odd target", |run| run.files_on_odd_target.to_string()),
    ("bytes, max/mean of targets", |run| number(run.bytes_max_over_mean)),
];

/// The page.
pub(crate) fn page(report: &Report) -> String {
    let mut out = String::new();
    let title = "tarazu demo: emulated targets, real control plane";
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>{title}</title>\n\
         <style>\n{}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>\n\
         <p class=\"badge no\"><b>Rates are emulated.</b> Every target moves {} MiB/s, shared by all that use it. No \
         disk was measured.</p>\n</header>\n<main>\n",
        include_str!("style.css"),
        number(report.target_bps / 1_048_576.0)
    );
    out.push_str("<section>\n<h2>Results</h2>\n");
    table(&mut out, report);
    out.push_str("<ul>\n");
    for situation in Situation::ALL {
        let verdict = demo_verdict(report, situation).replacen("  ", ": ", 1);
        let _ = writeln!(out, "<li>{}</li>", Text(&verdict));
    }
    out.push_str("</ul>\n</section>\n<section>\n<h2>What was run</h2>\n<dl class=\"facts\">\n");
    for (label, words) in facts(report) {
        let _ = writeln!(out, "<dt>{label}</dt><dd>{}</dd>", Text(&words));
    }
    out.push_str("</dl>\n</section>\n</main>\n");
    let _ = writeln!(out, "<footer>tarazu {}</footer>\n</body>\n</html>", env!("CARGO_PKG_VERSION"));
    out
}

fn table(out: &mut String, report: &Report) {
    out.push_str(
        "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"All runs\">\n<table>\n<thead><tr>\
         <th scope=\"col\">odd target</th><th scope=\"col\" class=\"words\">targets by</th>",
    );
    for (name, _) in COLUMNS {
        let _ = write!(out, "<th scope=\"col\">{name}</th>");
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for run in &report.runs {
        let _ = write!(
            out,
            "<tr><th scope=\"row\">{}</th><td class=\"words\">{}</td>",
            run.situation.as_str(),
            run.policy.as_str()
        );
        for (_, show) in COLUMNS {
            let _ = write!(out, "<td>{}</td>", Text(&show(run)));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n</div>\n");
}

fn facts(report: &Report) -> Vec<(&'static str, String)> {
    vec![
        (
            "processes",
            format!(
                "1 controller, {} agents, {} node daemons, new for every run",
                demo::SERVERS,
                demo::NODES
            ),
        ),
        ("targets", format!("{} folders, {} of each server", demo::TARGETS, demo::TARGETS_PER_SERVER)),
        (
            "job",
            format!(
                "the start of the bundled log {}: {} ranks, {} files; sizes are the log's × {}, and a {}th of the log's lies on disk",
                report.log,
                report.ranks,
                report.files,
                report.scale,
                demo::DISK_DIVISOR
            ),
        ),
        (
            "odd target",
            format!(
                "{}: busy = {} endless writes of others share its rate, sick = {} of its rate; told to nobody",
                report.odd_target,
                demo::BUSY_STREAMS,
                demo::SICK_SPEED
            ),
        ),
        ("again", format!("tarazu demo --seed {}", report.seed)),
        ("chance", "each line is one run; differences of a tenth are noise".into()),
    ]
}

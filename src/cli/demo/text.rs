//! The results of the demonstration as text for people.

use std::fmt::Write;

use comfy_table::{CellAlignment, LineStyle, Table, presets};
use tarazu_layout::Bytes;

use crate::cli::words::counted;
use crate::demo::{self, Chooser, DISK_DIVISOR, LOG_NAME, Report, Run, SICK_SPEED, Situation};

/// Head, table, and what the controller said.
pub(super) fn show(report: &Report, quick: bool) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = head(report, quick, &mut out);
    out.push_str(&table(report));
    for situation in Situation::ALL {
        let _ = writeln!(out, "{}", verdict(report, situation));
    }
    out.push_str(
        "\nlook further: tarazu demo --hold keeps the last control plane; tarazu demo --html FILE writes a report\n",
    );
    out
}

fn head(report: &Report, quick: bool, out: &mut String) -> std::fmt::Result {
    writeln!(
        out,
        "system    {} targets on {} servers, {} nodes; controller, agents and node daemons are real processes",
        demo::TARGETS,
        demo::SERVERS,
        demo::NODES
    )?;
    writeln!(
        out,
        "rates     EMULATED: {:.0} MiB/s a target, shared by all that use it; no disk was measured",
        report.target_bps / 1_048_576.0
    )?;
    writeln!(
        out,
        "workload  the start of the bundled log {LOG_NAME}: {}, {}, {} each as emulated (log × {}), a {DISK_DIVISOR}th of the log on disk",
        counted(report.ranks as u64, "rank"),
        counted(report.files, "file"),
        Bytes(report.file_bytes),
        report.scale
    )?;
    writeln!(
        out,
        "odd one   {}: busy = {} endless writes of others, sick = {SICK_SPEED} of its rate; told to nobody",
        report.odd_target,
        demo::BUSY_STREAMS
    )?;
    if quick {
        writeln!(
            out,
            "          --quick: too short for the controller to learn much; the numbers show that it runs, no more"
        )?;
    }
    writeln!(out)
}

fn table(report: &Report) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none()));
    table.set_header([
        "odd target",
        "targets by",
        "job I/O\ntime [s]",
        "slowest\nrank [s]",
        "file p99\n[s]",
        "files\nsteered",
        "files on\nodd target",
        "bytes\nmax/mean",
    ]);
    for run in &report.runs {
        table.add_row([
            run.situation.as_str().to_owned(),
            run.policy.as_str().to_owned(),
            format!("{:.2}", run.job_io_s),
            format!("{:.2}", run.slowest_rank_s),
            format!("{:.2}", run.file_p99_s),
            format!("{} of {}", run.files_steered, run.files),
            run.files_on_odd_target.to_string(),
            format!("{:.2}", run.bytes_max_over_mean),
        ]);
    }
    for (number, column) in table.column_iter_mut().enumerate() {
        column.set_padding((if number == 0 { 0 } else { 2 }, 0));
        if number > 1 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// One situation in words.
pub(crate) fn verdict(report: &Report, situation: Situation) -> String {
    let pair = |chooser| report.run(situation, chooser);
    let (Some(stock), Some(ours)) = (pair(Chooser::Stock), pair(Chooser::Tarazu)) else {
        return format!("{}: not run", situation.as_str());
    };
    let compared = report.compared(stock.job_io_s, ours.job_io_s);
    let said = match situation {
        Situation::Well => String::new(),
        Situation::Busy => format!("; {}", believed(report, ours)),
        Situation::Sick => format!("; {}", found(report, ours)),
    };
    let others = match ours.controller.others.len() as u64 {
        0 => String::new(),
        count => format!("; it also judged {} that nothing was wrong with", counted(count, "target")),
    };
    format!("{:<5} job I/O time {compared}{said}{others}", situation.as_str())
}

fn believed(report: &Report, run: &Run) -> String {
    let mib = 1_048_576.0;
    format!(
        "the controller believed that a file would have {:.0} of {:.0} MiB/s on {}",
        run.controller.believed_bps / mib,
        report.target_bps / mib,
        report.odd_target
    )
}

fn found(report: &Report, run: &Run) -> String {
    let said = &run.controller;
    match said.found_s {
        None => format!("the controller did not find {}", report.odd_target),
        Some(found_s) => format!(
            "the controller judged {} {:.1} s {} the first file ({}): {}",
            report.odd_target,
            found_s.abs(),
            if found_s < 0.0 { "before" } else { "after" },
            said.reason,
            said.judged
        ),
    }
}

//! A log as a summary for a person.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};
use tarazu_darshan::{Apmpi, Counters, Dxt, Heatmap, Log, Lustre, Module};
use tarazu_layout::Bytes;

use super::json::{compression, endian};

/// Files listed by bytes moved.
const TOP_FILES: usize = 10;

/// Characters of a command line or a name; the rest is cut.
const TEXT_MAX: usize = 160;

pub(super) fn summary(log: &Log) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_summary(log, &mut out);
    out
}

fn write_summary(log: &Log, out: &mut String) -> std::fmt::Result {
    let job = &log.job;
    writeln!(out, "{}", log.file)?;
    let time = match job.run_time_s() {
        Some(seconds) => format!("{} ran {seconds:.1} s", rfc3339(job.start_sec)),
        None => format!("{} run time unknown", rfc3339(job.start_sec)),
    };
    writeln!(out, "  job       {} of user {}, {} processes, {time}", job.jobid, job.uid, job.nprocs)?;
    writeln!(out, "  command   {}", shorten(&job.exe))?;
    let library = job.library().unwrap_or("unknown");
    let (version, order) = (log.header.version(), endian(log.header.order));
    let packing = compression(log.header.compression);
    writeln!(out, "  log       format {version}, library {library}, {order}-endian, compression {packing}")?;
    writeln!(out)?;
    write_table(&modules(log), out)?;
    if let Some(lustre) = &log.lustre {
        writeln!(out, "\n{}", striping(lustre))?;
    }
    let top = top_files(log);
    if !top.is_empty() {
        writeln!(out)?;
        write_table(&files(log, &top), out)?;
    }
    for fault in &log.faults {
        writeln!(out, "  damaged   {}", fault.fault)?;
    }
    for note in &log.notes {
        writeln!(out, "  note      {note}")?;
    }
    for skipped in &log.skipped {
        writeln!(out, "  note      {skipped}")?;
    }
    writeln!(out)
}

/// A table, indented and without trailing blanks.
fn write_table(table: &Table, out: &mut String) -> std::fmt::Result {
    for line in table.to_string().lines() {
        writeln!(out, "  {}", line.trim_end())?;
    }
    Ok(())
}

fn plain_table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.to_vec());
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for number in 1..header.len() {
        if let Some(column) = table.column_mut(number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn modules(log: &Log) -> Table {
    let mut table = plain_table(&["module", "version", "records", "files", "accesses", "read", "written"]);
    for region in &log.header.regions {
        let name = region.module.to_string();
        let module = region.module;
        let cells = match module {
            Module::Lustre => lustre_row(log.lustre.as_ref()),
            Module::Heatmap => heatmap_row(log.heatmap.as_ref()),
            Module::Apmpi => apmpi_row(log.apmpi.as_ref()),
            Module::DxtPosix | Module::DxtMpiio => dxt_row(log.dxt(module)),
            _ => counters_row(log.counters(module), calls(module)),
        };
        table.add_row([name, region.version.to_string()].into_iter().chain(cells));
    }
    table
}

/// The counters of calls that move data.
const fn calls(module: Module) -> &'static [&'static str] {
    match module {
        Module::Posix | Module::Stdio | Module::H5d => &["READS", "WRITES"],
        Module::MpiIo => &MPIIO_CALLS,
        Module::PnetcdfVar => {
            &["INDEP_READS", "INDEP_WRITES", "COLL_READS", "COLL_WRITES", "NB_READS", "NB_WRITES"]
        }
        // Calls that do not block are counted again as non-blocking ones.
        Module::Dfs => &["READS", "READXS", "WRITES", "WRITEXS"],
        Module::Daos => &["OBJ_FETCHES", "OBJ_UPDATES", "ARRAY_READS", "ARRAY_WRITES", "KV_GETS", "KV_PUTS"],
        _ => &[],
    }
}

const MPIIO_CALLS: [&str; 8] = [
    "INDEP_READS",
    "INDEP_WRITES",
    "COLL_READS",
    "COLL_WRITES",
    "SPLIT_READS",
    "SPLIT_WRITES",
    "NB_READS",
    "NB_WRITES",
];

/// Records, files, accesses, bytes read, bytes written.
type Row = [String; 5];

fn empty_row() -> Row {
    std::array::from_fn(|_| dash())
}

fn counters_row(counters: Option<&Counters>, calls: &[&str]) -> Row {
    let Some(counters) = counters else { return empty_row() };
    let files: BTreeSet<u64> = counters.ids().iter().copied().collect();
    let accesses = match calls {
        [] => dash(),
        calls => calls.iter().filter_map(|name| counters.sum(name)).sum::<i128>().to_string(),
    };
    // Absent where the module does not count bytes, as for files of HDF5.
    let moved = |name: &str| counters.sum(name).map_or_else(dash, bytes);
    let (read, written) = (moved("BYTES_READ"), moved("BYTES_WRITTEN"));
    [counters.len().to_string(), files.len().to_string(), accesses, read, written]
}

/// Its ids are interfaces, not files.
fn heatmap_row(heatmap: Option<&Heatmap>) -> Row {
    let Some(heatmap) = heatmap else { return empty_row() };
    let sum = |bins: &[i64]| bins.iter().map(|bytes| i128::from(*bytes)).sum::<i128>();
    let read: i128 = heatmap.records.iter().map(|record| sum(heatmap.read_bytes(record))).sum();
    let written: i128 = heatmap.records.iter().map(|record| sum(heatmap.write_bytes(record))).sum();
    [heatmap.records.len().to_string(), dash(), dash(), bytes(read), bytes(written)]
}

fn apmpi_row(apmpi: Option<&Apmpi>) -> Row {
    let Some(apmpi) = apmpi else { return empty_row() };
    [apmpi.ranks.len().to_string(), dash(), dash(), dash(), dash()]
}

fn dash() -> String {
    "-".to_owned()
}

fn dxt_row(dxt: Option<&Dxt>) -> Row {
    let Some(dxt) = dxt else { return empty_row() };
    let totals = dxt.totals();
    let files: BTreeSet<u64> = dxt.records.iter().map(|record| record.id).collect();
    let accesses = totals.write_segments + totals.read_segments;
    let (read, written) = (bytes(totals.read_bytes), bytes(totals.write_bytes));
    [dxt.records.len().to_string(), files.len().to_string(), accesses.to_string(), read, written]
}

fn lustre_row(lustre: Option<&Lustre>) -> Row {
    let Some(lustre) = lustre else { return empty_row() };
    let files: BTreeSet<u64> = lustre.records.iter().map(|record| record.id).collect();
    [lustre.records.len().to_string(), files.len().to_string(), dash(), dash(), dash()]
}

fn striping(lustre: &Lustre) -> String {
    let list = |counts: BTreeMap<i64, u64>, unit: &dyn Fn(i64) -> String| {
        let parts = counts.iter().map(|(value, count)| format!("{} ({count})", unit(*value)));
        parts.collect::<Vec<_>>().join(", ")
    };
    let number = |value: i64| value.to_string();
    let size = |value: i64| bytes(i128::from(value));
    format!(
        "  striping  {} OSTs; stripes per component: {}; stripe size: {}; components per file: {}",
        lustre.osts_used().len(),
        list(lustre.stripe_counts(), &number),
        list(lustre.stripe_sizes(), &size),
        list(lustre.component_counts(), &number),
    )
}

/// Bytes read and written per file over POSIX and STDIO, the largest first.
fn top_files(log: &Log) -> Vec<(u64, i128, i128)> {
    let mut moved: BTreeMap<u64, (i128, i128)> = BTreeMap::new();
    for counters in log.posix.iter().chain(&log.stdio) {
        let places = counters.shape.int("BYTES_READ").zip(counters.shape.int("BYTES_WRITTEN"));
        let Some((read, written)) = places else { continue };
        for (record, id) in counters.ids().iter().enumerate() {
            let ints = counters.ints(record);
            let value = |place: usize| i128::from(ints.get(place).copied().unwrap_or(0));
            let sums = moved.entry(*id).or_default();
            sums.0 += value(read);
            sums.1 += value(written);
        }
    }
    let mut top: Vec<_> = moved.into_iter().map(|(id, (read, written))| (id, read, written)).collect();
    top.retain(|(_, read, written)| read + written > 0);
    // Equal files in order of their names, so that the output says the same every time.
    top.sort_by_key(|(id, read, written)| (std::cmp::Reverse(read + written), log.names.get(*id), *id));
    top.truncate(TOP_FILES);
    top
}

fn files(log: &Log, top: &[(u64, i128, i128)]) -> Table {
    let mut table = plain_table(&["largest files", "read", "written"]);
    for (id, read, written) in top {
        let name = log.names.get(*id).map_or_else(|| format!("(no name, id {id})"), |name| shorten(&name));
        table.add_row([name, bytes(*read), bytes(*written)]);
    }
    table
}

fn bytes(count: i128) -> String {
    u64::try_from(count).map_or_else(|_| count.to_string(), |count| Bytes(count).to_string())
}

/// Characters that are not seen but change what is: a name must not show as another one.
///
/// Zero-width and directional marks, separators of lines and paragraphs, directional embeddings and overrides,
/// directional isolates, and the mark of byte order ("Trojan Source", Boucher and Anderson, 2021).
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// On one line and not endless; control characters of foreign names must not reach the terminal.
fn shorten(text: &str) -> String {
    let shown = |c: char| if c.is_control() || is_invisible(c) { '?' } else { c };
    let mut short: String = text.chars().take(TEXT_MAX).map(shown).collect();
    if text.chars().nth(TEXT_MAX).is_some() {
        short.push_str("...");
    }
    short
}

/// Seconds since 1970 as `2026-11-22T06:30:00Z`; the plain number where it is beyond the year 9999.
///
/// Days to dates after Howard Hinnant, "chrono-compatible low-level date algorithms" (`civil_from_days`).
fn rfc3339(seconds: i64) -> String {
    const YEAR_10000: i64 = 253_402_300_800;
    if !(0..YEAR_10000).contains(&seconds) {
        return format!("{seconds} s since 1970,");
    }
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(1_515_476_361), "2018-01-09T05:39:21Z");
        assert_eq!(rfc3339(253_402_300_799), "9999-12-31T23:59:59Z");
        assert_eq!(rfc3339(-1), "-1 s since 1970,");
    }

    #[test]
    fn foreign_text_is_harmless() {
        assert_eq!(shorten("a\u{1b}[31mb\n"), "a?[31mb?");
        for hidden in
            ['\u{200b}', '\u{200f}', '\u{202a}', '\u{202e}', '\u{2066}', '\u{2069}', '\u{2028}', '\u{feff}']
        {
            assert_eq!(shorten(&format!("a{hidden}b")), "a?b", "{hidden:?}");
        }
        assert_eq!(shorten("дані/数据-é"), "дані/数据-é");
        assert_eq!(shorten(&"x".repeat(500)).len(), TEXT_MAX + 3);
    }
}

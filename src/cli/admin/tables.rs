//! Tables as administrators know them: one line a row, a fixed header, nothing around it.

use comfy_table::{CellAlignment, Table, presets};

/// A column: its header, and whether it holds numbers.
pub(super) type Column = (&'static str, bool);

/// Lines of a table.
pub(super) fn lines(columns: &[Column], rows: Vec<Vec<String>>, with_header: bool) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if with_header {
        table.set_header(columns.iter().map(|(header, _)| *header));
    }
    for row in rows {
        table.add_row(row);
    }
    for (number, (_, is_number)) in columns.iter().enumerate() {
        if let Some(column) = table.column_mut(number) {
            column.set_padding((0, 2));
            if *is_number {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    let mut text = table.trim_fmt();
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// A time span as people say it: `3 s`, `4 min`, `2 h`, `5 d`.
pub(super) fn ago(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3600.0),
        s => format!("{:.0} d", s / 86_400.0),
    }
}

/// Bytes a second as MiB/s.
pub(super) fn mib(bps: f64) -> String {
    format!("{:.1}", bps / f64::from(1 << 20))
}

/// A share as percent.
pub(super) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

//! What the daemon counts, and the text that it writes of it into the run directory.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use tarazu_layout::Time;

use super::plan::FsTable;

/// Counters since the daemon's start. Names are fixed words of this program, so there are few of them.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) exchanges: u64,
    pub(crate) wakes: u64,
    pub(crate) records: u64,
    pub(crate) tables: u64,
    pub(crate) confirmations: u64,
    by_kind: BTreeMap<&'static str, u64>,
}

impl Counters {
    pub(crate) fn count(&mut self, kind: &'static str, times: u64) {
        if times > 0 {
            *self.by_kind.entry(kind).or_default() += times;
        }
    }
}

/// The text: a line a number, its name first. For people and for scripts.
pub(crate) fn text(counters: &Counters, lost: u64, jobs: usize, tables: &[FsTable], now: Time) -> String {
    let mut text = String::from("tarazu-node-status 1\n");
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name} {value}");
    };
    line("wakes", &counters.wakes);
    line("exchanges", &counters.exchanges);
    line("jobs", &jobs);
    line("records", &counters.records);
    line("records_lost", &lost);
    line("tables", &counters.tables);
    line("confirmations", &counters.confirmations);
    for (kind, times) in &counters.by_kind {
        line(&format!("errors{{{kind}}}"), times);
    }
    for table in tables {
        let name = table.name();
        let (_, _, term) = table.report();
        line(&format!("highest_term{{{name}}}"), &term);
        if let (Some(order), Some(age_ms)) = (table.order(), table.age_ms(now)) {
            line(&format!("order{{{name}}}"), &format_args!("{},{}", order.term, order.seq));
            line(&format!("table_age_ms{{{name}}}"), &age_ms);
        }
    }
    text
}

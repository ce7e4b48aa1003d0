//! Target × time: how fast each target served at each time, with sums along both edges.

use std::fmt::Write;

use tarazu_sim::series::Series;

use super::chart::{self, Frame, Scale, WIDTH, time_unit};
use super::markup::{Text, place, short};

/// Rows of a map; with more targets, neighbours share one.
const ROWS_MAX: usize = 120;

/// Columns of all maps together, and of one: what keeps a page of many policies small.
const COLUMNS_MAX: usize = 200;
const COLUMNS_ALL: usize = 1000;

/// From little to much, after cividis (Nuñez and others 2018) from its bright end to its dark one: alike for all
/// kinds of colour vision, and in grey.
const SHADES: [&str; 8] =
    ["#fbe45c", "#e0cb62", "#c0b06f", "#a19877", "#838079", "#626a73", "#3b5170", "#0f2f63"];

const MIB: f64 = 1024.0 * 1024.0;

const HEIGHT: f64 = 400.0;
const PLOT: Frame = Frame { left: 66.0, right: 430.0, top: 62.0, bottom: 352.0 };

/// A map's numbers: of neighbouring targets the busiest counts.
struct Map {
    /// Bytes/s by row and column.
    rates: Vec<Vec<f64>>,
    /// Bytes of each row's targets: mean and maximum.
    row_bytes: Vec<(f64, f64)>,
    /// Bytes/s of all targets by column.
    column_bps: Vec<f64>,
    bin_s: f64,
}

/// Columns of each of so many maps.
pub(super) fn columns(maps: usize) -> usize {
    (COLUMNS_ALL / maps.max(1)).clamp(40, COLUMNS_MAX)
}

/// Targets in a row of the map.
fn targets_a_row(targets: usize) -> usize {
    targets.div_ceil(ROWS_MAX).max(1)
}

impl Map {
    fn of(series: &Series) -> Self {
        let totals = series.by_target();
        let a_row = targets_a_row(totals.len());
        let max = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
        let rates_of = |row: usize| {
            let bins = series.served_bytes.iter();
            bins.map(|bin| max(&bin[row * a_row..((row + 1) * a_row).min(bin.len())]) / series.bin_s)
                .collect()
        };
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
        Self {
            rates: (0..totals.len().div_ceil(a_row)).map(rates_of).collect(),
            row_bytes: totals.chunks(a_row).map(|row| (mean(row), max(row))).collect(),
            column_bps: series.by_bin().iter().map(|bytes| bytes / series.bin_s).collect(),
            bin_s: series.bin_s,
        }
    }

    fn hottest(&self) -> f64 {
        self.rates.iter().flatten().copied().fold(0.0, f64::max)
    }
}

/// Most that any of the maps shows.
#[derive(Clone, Copy, Debug)]
struct Most {
    cell_bps: f64,
    row_bytes: f64,
    column_bps: f64,
    time_s: f64,
}

/// One map for each policy, all on the same scales. The series have the same bins.
pub(super) fn maps(out: &mut String, all: &[(&str, &Series)]) {
    let maps: Vec<Map> = all.iter().map(|(_, series)| Map::of(series)).collect();
    let most = |of: &dyn Fn(&Map) -> f64| maps.iter().map(of).fold(0.0, f64::max);
    let most = Most {
        cell_bps: most(&Map::hottest),
        row_bytes: most(&|map| map.row_bytes.iter().map(|row| row.1).fold(0.0, f64::max)),
        column_bps: most(&|map| map.column_bps.iter().copied().fold(0.0, f64::max)),
        time_s: most(&|map| map.column_bps.len() as f64 * map.bin_s),
    };
    let targets = all.first().map_or(0, |(_, series)| series.work_s.len());
    explain(out, targets, most);
    out.push_str("<div class=\"grid\">\n");
    for ((name, _), map) in all.iter().zip(&maps) {
        let _ = writeln!(out, "<figure><figcaption><b>{}</b></figcaption>", Text(name));
        let label = format!("Heat map of {name}: rate of each target over time");
        chart::open(out, HEIGHT, &label);
        cells(out, map, most);
        above(out, map, most);
        beside(out, map, most);
        let (unit, unit_s) = time_unit(most.time_s);
        let x = Scale::linear((0.0, most.time_s / unit_s), (PLOT.left, PLOT.right));
        chart::axis_x(out, &PLOT, &x, &format!("time since the first operation [{unit}]"));
        target_axis(out, targets);
        out.push_str("</svg></figure>\n");
    }
    out.push_str("</div>\n");
}

/// What the maps show, and their shades.
fn explain(out: &mut String, targets: usize, most: Most) {
    let a_row = targets_a_row(targets);
    let rows = match a_row {
        1 => "One row is one target".to_string(),
        _ => format!("One row is {a_row} neighbouring targets; its shade is that of the busiest of them"),
    };
    let right = match a_row {
        1 => "what each target served in the whole run",
        _ => "what a target of the row served in the whole run: bar, the mean; line, the most",
    };
    let _ = writeln!(
        out,
        "<p>{rows}; darker is faster, white is idle. Above each map: the rate of all targets together. On its right: \
         {right}. All maps have the same scales.</p>"
    );
    out.push_str("<div class=\"shades\">\n");
    chart::open(out, 40.0, "Shades of the maps, from slow to fast");
    let step = (PLOT.right - PLOT.left) / SHADES.len() as f64;
    for (number, shade) in SHADES.iter().enumerate() {
        let x = PLOT.left + step * number as f64;
        let (x, width) = (place(x), place(step));
        let _ = writeln!(
            out,
            "<rect x=\"{x}\" y=\"2\" width=\"{width}\" height=\"14\" fill=\"{shade}\" stroke=\"#fff\"/>"
        );
    }
    for number in (0..=SHADES.len()).step_by(2) {
        let value = most.cell_bps / MIB * number as f64 / SHADES.len() as f64;
        chart::text(out, (PLOT.left + step * number as f64, 32.0), "middle", &rounded(value));
    }
    chart::text(out, (PLOT.right + 26.0, 32.0), "start", "MiB/s");
    out.push_str("</svg></div>\n");
}

fn rounded(value: f64) -> String {
    if value >= 10.0 { short(value.round()) } else { short(value) }
}

/// Cells of one shade are one path of strokes; neighbours in a row are one stroke.
fn cells(out: &mut String, map: &Map, most: Most) {
    let mut paths = vec![String::new(); SHADES.len()];
    let mut pens = vec![(0i64, 0i64); SHADES.len()];
    for (row, rates) in map.rates.iter().enumerate() {
        let mut column = 0;
        while column < rates.len() {
            let shade = shade(rates[column], most.cell_bps);
            let run = rates[column..].iter().take_while(|rate| self::shade(**rate, most.cell_bps) == shade);
            let length = run.count();
            if let Some(shade) = shade {
                // Rows are two units high, so that their middles are whole numbers.
                let (x, y) = (column as i64, 2 * row as i64 + 1);
                let (pen_x, pen_y) = pens[shade];
                let _ = write!(paths[shade], "m{} {}h{length}", x - pen_x, y - pen_y);
                pens[shade] = (x + length as i64, y);
            }
            column += length;
        }
    }
    let wide = (PLOT.right - PLOT.left) * map.bin_s / most.time_s.max(f64::MIN_POSITIVE);
    let high = (PLOT.bottom - PLOT.top) / (2 * map.rates.len().max(1)) as f64;
    let _ = writeln!(
        out,
        "<g transform=\"translate({} {}) scale({wide:.5} {high:.5})\" fill=\"none\" stroke-width=\"2\" \
         shape-rendering=\"crispEdges\">",
        PLOT.left, PLOT.top
    );
    for (path, colour) in paths.iter().zip(SHADES).filter(|(path, _)| !path.is_empty()) {
        let _ = writeln!(out, "<path stroke=\"{colour}\" d=\"M0 0{path}\"/>");
    }
    out.push_str("</g>\n");
    chart::border(out, &PLOT);
}

/// The shade of a rate; `None` for idle.
fn shade(bps: f64, most_bps: f64) -> Option<usize> {
    if bps <= 0.0 || most_bps <= 0.0 {
        return None;
    }
    Some(((bps / most_bps * SHADES.len() as f64) as usize).min(SHADES.len() - 1))
}

/// The rate of all targets over time, above the map.
fn above(out: &mut String, map: &Map, most: Most) {
    let frame = Frame { top: 14.0, bottom: 54.0, ..PLOT };
    let x = Scale::linear((0.0, most.time_s), (frame.left, frame.right));
    let y = Scale::linear((0.0, most.column_bps), (frame.bottom, frame.top));
    let mut path = format!("M{} {}", place(frame.left), place(frame.bottom));
    for (number, bps) in map.column_bps.iter().enumerate() {
        let _ = write!(path, "V{}H{}", place(y.at(*bps)), place(x.at((number + 1) as f64 * map.bin_s)));
    }
    let _ = writeln!(out, "<path fill=\"#838079\" d=\"{path}V{}z\"/>", place(frame.bottom));
    let _ = writeln!(out, "<path class=\"axis\" d=\"M{} {}H{}\"/>", frame.left, frame.bottom, frame.right);
    chart::text(out, (frame.left - 6.0, frame.top + 8.0), "end", &short((most.column_bps / MIB).round()));
    chart::text(out, (frame.right + 8.0, frame.top + 8.0), "start", "MiB/s, all");
}

/// What each row's targets served in all, right of the map.
fn beside(out: &mut String, map: &Map, most: Most) {
    let x = Scale::linear((0.0, most.row_bytes), (PLOT.right + 8.0, WIDTH - 8.0));
    let high = (PLOT.bottom - PLOT.top) / map.row_bytes.len().max(1) as f64;
    let (mut bars, mut lines) = (String::new(), String::new());
    for (row, (mean, max)) in map.row_bytes.iter().enumerate() {
        let top = PLOT.top + high * row as f64;
        // A gap between bars where there is room for one.
        let gap = if high > 4.0 { 1.0 } else { 0.0 };
        let (from, width) = (place(PLOT.right + 8.0), x.at(*mean) - PLOT.right - 8.0);
        let _ = write!(bars, "M{from} {:.2}h{:.1}v{:.2}H{from}z", top, width, high - gap);
        if max > mean {
            let _ = write!(lines, "M{} {:.2}v{:.2}", place(x.at(*max)), top, high);
        }
    }
    let _ = writeln!(out, "<path fill=\"#838079\" d=\"{bars}\"/>");
    if !lines.is_empty() {
        let _ = writeln!(out, "<path class=\"axis\" d=\"{lines}\"/>");
    }
    let _ = writeln!(out, "<path class=\"axis\" d=\"M{} {}V{}\"/>", PLOT.right + 8.0, PLOT.top, PLOT.bottom);
    let (words, unit) = bytes(most.row_bytes);
    chart::text(out, (WIDTH - 8.0, PLOT.bottom + 17.0), "end", &format!("{words} {unit}"));
    chart::text(out, (WIDTH - 8.0, PLOT.bottom + 34.0), "end", "each target");
}

/// An amount in the unit that suits it.
pub(super) fn bytes(amount: f64) -> (String, &'static str) {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = amount;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    (rounded(value), units[unit])
}

fn target_axis(out: &mut String, targets: usize) {
    let y = Scale::linear((0.0, targets as f64), (PLOT.top, PLOT.bottom));
    for tick in y.ticks(6).into_iter().filter(|tick| *tick < targets as f64 && tick.fract() == 0.0) {
        // A row's number stands at its middle.
        let middle = y.at(tick + 0.5);
        let _ = writeln!(out, "<path class=\"axis\" d=\"M{} {}h4\"/>", PLOT.left - 4.0, place(middle));
        chart::text(out, (PLOT.left - 7.0, middle + 4.0), "end", &short(tick));
    }
    chart::upright(out, (13.0, f64::midpoint(PLOT.top, PLOT.bottom)), "target");
}

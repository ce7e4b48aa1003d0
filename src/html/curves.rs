//! Curves with one line for each policy: how even work is, how long files take, how much is in flight.

use std::fmt::Write;

use tarazu_sim::series::Series;

use super::chart::{self, Frame, Scale, time_unit};
use super::heat;
use super::markup::{Text, place};

const HEIGHT: f64 = 330.0;
const PLOT: Frame = Frame { left: 60.0, right: 506.0, top: 12.0, bottom: 284.0 };

/// Values that span more than this are shown by powers of ten.
const LOG_FROM: f64 = 50.0;

/// One line: a policy's name and its values.
type Line<'a> = (&'a str, Vec<f64>);

/// How the work of the run is spread over the targets.
pub(super) fn balance(out: &mut String, all: &[(&str, &Series)]) {
    let relative = |series: &Series| {
        let mean = series.work_s.iter().sum::<f64>() / series.work_s.len().max(1) as f64;
        let mut shares: Vec<f64> =
            series.work_s.iter().map(|work| work / mean.max(f64::MIN_POSITIVE)).collect();
        shares.sort_unstable_by(f64::total_cmp);
        shares
    };
    let lines: Vec<Line<'_>> = all.iter().map(|(name, series)| (*name, relative(series))).collect();
    let most = largest(&lines).max(1.0);
    let x = Scale::linear((0.0, most * 1.04), (PLOT.left, PLOT.right));
    let caption = "Share of targets whose work is at most x times the mean. With even work the line \
                   is upright at 1; the further right it ends, the more the busiest target has to do.";
    begin(out, "Balance of work over targets", caption);
    shares(out, &x, "work of a target, in means of all", &lines);
    let at = place(x.at(1.0));
    let _ = writeln!(out, "<path class=\"even\" d=\"M{at} {}V{}\"/>", PLOT.top, PLOT.bottom);
    out.push_str("</svg></figure>\n");
}

/// How long files were busy.
pub(super) fn file_times(out: &mut String, all: &[(&str, &Series)]) {
    let lines: Vec<Line<'_>> = all.iter().map(|(name, series)| (*name, series.file_io_s.clone())).collect();
    let caption = "Share of files with at most so much time in I/O. Further left is faster; the right end is the \
                   slowest file.";
    begin(out, "I/O time of files", caption);
    distribution(out, "I/O time of a file [s]", &lines);
}

/// How much longer operations took than alone.
pub(super) fn stretches(out: &mut String, all: &[(&str, &Series)]) {
    let lines: Vec<Line<'_>> = all.iter().map(|(name, series)| (*name, series.stretch.clone())).collect();
    let caption =
        "Time of a file's operations over their time on the empty, healthy system: 1 is undisturbed.";
    begin(out, "Stretch of files", caption);
    distribution(out, "stretch of a file", &lines);
}

/// How much was begun and not yet served.
pub(super) fn in_flight(out: &mut String, all: &[(&str, &Series)]) {
    let caption = "Bytes that operations have begun and targets have not served yet, all targets together.";
    begin(out, "Bytes in flight", caption);
    let most = all.iter().flat_map(|(_, series)| &series.in_flight_bytes).copied().fold(0.0, f64::max);
    let span = |series: &Series| series.in_flight_bytes.len() as f64 * series.bin_s;
    let span_s = all.iter().map(|(_, series)| span(series)).fold(0.0, f64::max);
    let (unit, unit_s) = time_unit(span_s);
    let (_, bytes_unit) = heat::bytes(most);
    let unit_bytes = power_of(most);
    let x = Scale::linear((0.0, span_s / unit_s), (PLOT.left, PLOT.right));
    let y = Scale::linear((0.0, most / unit_bytes * 1.03), (PLOT.bottom, PLOT.top));
    chart::axis_y(out, &PLOT, &y, &format!("in flight [{bytes_unit}]"));
    chart::axis_x(out, &PLOT, &x, &format!("time since the first operation [{unit}]"));
    for (number, (name, series)) in all.iter().enumerate() {
        let mut points = vec![(x.at(0.0), y.at(0.0))];
        for (bin, bytes) in series.in_flight_bytes.iter().enumerate() {
            let middle_s = (bin as f64 + 0.5) * series.bin_s;
            points.push((x.at(middle_s / unit_s), y.at(bytes / unit_bytes)));
        }
        points.push((x.at(span(series) / unit_s), y.at(0.0)));
        chart::line(out, number, name, &points);
    }
    chart::border(out, &PLOT);
    out.push_str("</svg></figure>\n");
}

/// The unit of [`heat::bytes`], in bytes.
pub(super) fn power_of(amount: f64) -> f64 {
    let mut unit = 1.0;
    while amount / unit >= 1024.0 && unit < 1024f64.powi(5) {
        unit *= 1024.0;
    }
    unit
}

fn begin(out: &mut String, title: &str, caption: &str) {
    let _ = writeln!(out, "<figure><figcaption><b>{}</b><br/>{}</figcaption>", Text(title), Text(caption));
    chart::open(out, HEIGHT, &format!("{title}, one line for each policy"));
}

fn largest(lines: &[Line<'_>]) -> f64 {
    lines.iter().flat_map(|(_, values)| values).copied().fold(0.0, f64::max)
}

/// A distribution on an axis that suits it, and the picture's end.
fn distribution(out: &mut String, label: &str, lines: &[Line<'_>]) {
    let most = largest(lines);
    let positive = lines.iter().flat_map(|(_, values)| values).copied().filter(|value| *value > 0.0);
    let least = positive.fold(f64::INFINITY, f64::min);
    let ends = (PLOT.left, PLOT.right);
    let x = if least.is_finite() && most / least > LOG_FROM {
        Scale::log((least / 1.1, most * 1.1), ends)
    } else {
        Scale::linear((0.0, most * 1.04), ends)
    };
    shares(out, &x, label, lines);
    out.push_str("</svg></figure>\n");
}

/// Rising values as steps: the share of them that is at most so large.
fn shares(out: &mut String, x: &Scale, label: &str, lines: &[Line<'_>]) {
    let y = Scale::linear((0.0, 100.0), (PLOT.bottom, PLOT.top));
    chart::axis_y(out, &PLOT, &y, "share [%]");
    chart::axis_x(out, &PLOT, x, label);
    for (number, (name, values)) in lines.iter().enumerate() {
        if values.is_empty() {
            continue;
        }
        let mut points = vec![(PLOT.left, PLOT.bottom)];
        for (rank, value) in values.iter().enumerate() {
            let at = x.at(*value);
            points.push((at, y.at(100.0 * rank as f64 / values.len() as f64)));
            points.push((at, y.at(100.0 * (rank + 1) as f64 / values.len() as f64)));
        }
        points.push((PLOT.right, PLOT.top));
        chart::line(out, number, name, &points);
    }
    chart::border(out, &PLOT);
}

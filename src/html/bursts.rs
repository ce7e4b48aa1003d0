//! When jobs read and write: stacked, the largest jobs apart.

use std::fmt::Write;

use tarazu_sim::series::{JobSeries, Series};

use super::chart::{self, Frame, Scale, time_unit};
use super::markup::{Text, place, short};

/// Columns of a timeline.
pub(super) const COLUMNS_MAX: usize = 120;

const HEIGHT: f64 = 300.0;
const PLOT: Frame = Frame { left: 62.0, right: 506.0, top: 12.0, bottom: 254.0 };

const MIB: f64 = 1024.0 * 1024.0;

/// Fill of each job, largest first, the others last: neighbours differ in brightness and every second one is hatched.
const FILLS: [(&str, bool); 8] = [
    ("#0f2f63", false),
    ("#e69f00", true),
    ("#56b4e9", false),
    ("#a33b00", true),
    ("#f0d848", false),
    ("#00664a", true),
    ("#d9a3c2", false),
    ("#9a9a9a", false),
];

/// One timeline for each policy, all on the same scales. The series have the same bins and the same jobs.
pub(super) fn timelines(out: &mut String, all: &[(&str, &Series)]) {
    let Some((_, first)) = all.first() else { return };
    out.push_str(
        "<p>Bytes that jobs write (above the line) and read (below it), each operation's spread evenly over its \
         time. Stacked, the largest job next to the line.</p>\n",
    );
    legend(out, &first.jobs);
    let stack = |of: fn(&JobSeries) -> &Vec<f64>| {
        let highest = |series: &Series| {
            let bins = 0..series.served_bytes.len();
            let sum = |bin: usize| series.jobs.iter().map(|job| of(job)[bin]).sum::<f64>() / series.bin_s;
            bins.map(sum).fold(0.0, f64::max)
        };
        all.iter().map(|(_, series)| highest(series)).fold(0.0, f64::max) / MIB
    };
    let (writes, reads) = (stack(|job| &job.written_bytes), stack(|job| &job.read_bytes));
    let span_s =
        all.iter().map(|(_, series)| series.served_bytes.len() as f64 * series.bin_s).fold(0.0, f64::max);
    let (unit, unit_s) = time_unit(span_s);
    let x = Scale::linear((0.0, span_s / unit_s), (PLOT.left, PLOT.right));
    let y = Scale::linear((-reads, writes), (PLOT.bottom, PLOT.top));
    out.push_str("<div class=\"grid\">\n");
    for (name, series) in all {
        let _ = writeln!(out, "<figure><figcaption><b>{}</b></figcaption>", Text(name));
        chart::open(out, HEIGHT, &format!("Bursts of jobs under {name} over time"));
        rate_axis(out, &y);
        chart::axis_x(out, &PLOT, &x, &format!("time since the first operation [{unit}]"));
        let bin = series.bin_s / unit_s;
        layers(out, series, (&x, bin), &y, |job| (&job.written_bytes, 1.0));
        layers(out, series, (&x, bin), &y, |job| (&job.read_bytes, -1.0));
        let _ =
            writeln!(out, "<path class=\"axis\" d=\"M{} {}H{}\"/>", PLOT.left, place(y.at(0.0)), PLOT.right);
        chart::border(out, &PLOT);
        out.push_str("</svg></figure>\n");
    }
    out.push_str("</div>\n");
}

/// Rates upwards and downwards from 0.
fn rate_axis(out: &mut String, y: &Scale) {
    for tick in y.ticks(5) {
        let at = y.at(tick);
        let width = PLOT.right - PLOT.left;
        let _ = writeln!(out, "<path class=\"grid\" d=\"M{} {}h{width}\"/>", PLOT.left, place(at));
        chart::text(out, (PLOT.left - 6.0, at + 4.0), "end", &short(tick.abs()));
    }
    chart::upright(out, (13.0, f64::midpoint(PLOT.top, PLOT.bottom)), "read ← MiB/s → written");
}

/// Stacks one direction of all jobs.
fn layers(
    out: &mut String,
    series: &Series,
    (x, bin): (&Scale, f64),
    y: &Scale,
    of: impl Fn(&JobSeries) -> (&Vec<f64>, f64),
) {
    let mut base = vec![0.0; series.served_bytes.len()];
    for (number, job) in series.jobs.iter().enumerate() {
        let (bytes, sign) = of(job);
        let below = base.clone();
        for (sum, bytes) in base.iter_mut().zip(bytes) {
            *sum += sign * bytes / series.bin_s / MIB;
        }
        let mut path = String::new();
        let mut bins = (0..bytes.len()).peekable();
        while let Some(first) = bins.next() {
            if bytes[first] <= 0.0 {
                continue;
            }
            let mut last = first;
            while let Some(next) = bins.next_if(|next| bytes[*next] > 0.0) {
                last = next;
            }
            let _ = write!(path, "M{} {}", place(x.at(first as f64 * bin)), place(y.at(below[first])));
            for (place_of, level) in base.iter().enumerate().take(last + 1).skip(first) {
                let _ = write!(path, "V{}H{}", place(y.at(*level)), place(x.at((place_of + 1) as f64 * bin)));
            }
            for place_of in (first..=last).rev() {
                let left = place(x.at(place_of as f64 * bin));
                let _ = write!(path, "V{}H{left}", place(y.at(below[place_of])));
            }
            path.push('z');
        }
        if path.is_empty() {
            continue;
        }
        let (title, fill) = (words(job), fill(number));
        let _ = writeln!(out, "<path {fill} d=\"{path}\"><title>{}</title></path>", Text(&title));
    }
}

fn fill(number: usize) -> String {
    let number = number.min(FILLS.len() - 1);
    let (colour, is_hatched) = FILLS[number];
    if is_hatched {
        format!("fill=\"url(#hatch{number})\" stroke=\"#fff\" stroke-width=\"0.3\"")
    } else {
        format!("fill=\"{colour}\" stroke=\"#fff\" stroke-width=\"0.3\"")
    }
}

/// A job for people.
fn words(job: &JobSeries) -> String {
    let name = if job.name.is_empty() { String::new() } else { format!(" {}", cut(&job.name)) };
    match job.job {
        Some(id) => format!("job {}{name}", id.0),
        None if job.jobs == 1 => "1 other job".into(),
        None => format!("{} other jobs", job.jobs),
    }
}

/// Letters of a job's name that are shown.
const NAME_MAX: usize = 40;

fn cut(name: &str) -> String {
    if name.chars().count() <= NAME_MAX {
        return name.into();
    }
    name.chars().take(NAME_MAX - 1).chain(['…']).collect()
}

/// Which fill is which job; holds the hatches that all timelines use.
fn legend(out: &mut String, jobs: &[JobSeries]) {
    out.push_str("<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"hatches\" width=\"0\" height=\"0\" aria-hidden=\"true\"><defs>\n");
    for (number, (colour, _)) in FILLS.iter().enumerate().filter(|(_, (_, is_hatched))| *is_hatched) {
        let _ = writeln!(
            out,
            "<pattern id=\"hatch{number}\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\" \
             patternTransform=\"rotate(45)\"><rect width=\"5\" height=\"5\" fill=\"#fff\"/>\
             <rect width=\"3.4\" height=\"5\" fill=\"{colour}\"/></pattern>"
        );
    }
    out.push_str("</defs></svg>\n<ul class=\"legend\">\n");
    for (number, job) in jobs.iter().enumerate() {
        let _ = writeln!(
            out,
            "<li><svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 24 14\" width=\"24\" height=\"14\" aria-hidden=\"true\">\
             <rect width=\"24\" height=\"14\" {}/></svg> {}</li>",
            fill(number),
            Text(&words(job))
        );
    }
    out.push_str("</ul>\n");
}

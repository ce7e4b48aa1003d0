//! What all pictures share: scales, ticks, axes, and how policies look.

use std::fmt::Write;

use super::markup::{Text, place, short};

/// Width of every picture in its own units; texts are sized so that they can be read when a telephone shows it.
pub(super) const WIDTH: f64 = 520.0;

/// From data to places in a picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    is_log: bool,
}

impl Scale {
    /// `low` to `high` of the data become `from` to `to`; a range without width is widened.
    pub(super) fn linear((low, high): (f64, f64), (from, to): (f64, f64)) -> Self {
        let high = if high > low { high } else { low + 1.0 };
        Self { low, high, from, to, is_log: false }
    }

    /// The same by powers of ten; `low` must be above 0.
    pub(super) fn log((low, high): (f64, f64), (from, to): (f64, f64)) -> Self {
        let (low, high) = (low.log10(), high.log10());
        let high = if high > low { high } else { low + 1.0 };
        Self { low, high, from, to, is_log: true }
    }

    /// Where a value is; values outside are at the end.
    pub(super) fn at(&self, value: f64) -> f64 {
        let value = if self.is_log { value.max(f64::MIN_POSITIVE).log10() } else { value };
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        self.from + share * (self.to - self.from)
    }

    /// Values for ticks, about `count` of them.
    pub(super) fn ticks(&self, count: usize) -> Vec<f64> {
        if !self.is_log {
            return ticks(self.low, self.high, count);
        }
        let decades = self.low.ceil() as i32..=self.high.floor() as i32;
        let step = (decades.clone().count() / count.max(1)).max(1);
        let tens: Vec<f64> = decades.step_by(step).map(|power| 10f64.powi(power)).collect();
        if tens.len() >= 3 {
            return tens;
        }
        let finer = (self.low.floor() as i32..=self.high.ceil() as i32)
            .flat_map(|power| [1.0, 2.0, 5.0].map(|step| step * 10f64.powi(power)));
        let inside = |value: &f64| (self.low - 1e-9..=self.high + 1e-9).contains(&value.log10());
        finer.filter(inside).collect()
    }
}

/// Round values (1, 2 or 5 times a power of ten) from `low` to `high`, about `count` of them.
pub(super) fn ticks(low: f64, high: f64, count: usize) -> Vec<f64> {
    let rough = (high - low) / count.max(1) as f64;
    if !rough.is_finite() || rough <= 0.0 {
        return vec![low];
    }
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|step| step * power).into_iter().find(|step| *step >= rough * 0.999);
    let step = step.unwrap_or(10.0 * power);
    let (first, last) = ((low / step - 1e-9).ceil() as i64, (high / step + 1e-9).floor() as i64);
    (first..=last).map(|number| number as f64 * step).collect()
}

/// A unit of time that suits a span, with its length in seconds.
pub(super) fn time_unit(span_s: f64) -> (&'static str, f64) {
    match span_s {
        day if day > 3.0 * 86_400.0 => ("d", 86_400.0),
        hour if hour > 3.0 * 3600.0 => ("h", 3600.0),
        minute if minute > 600.0 => ("min", 60.0),
        _ => ("s", 1.0),
    }
}

/// How one policy is drawn: told apart by colour, by dashes and by markers, each enough alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) colour: &'static str,
    dashes: &'static str,
    marker: &'static str,
    pub(super) width: f64,
}

/// Colours of Okabe and Ito (2008), which the colour-blind can tell apart, darkened where white paper asks for it.
const STYLES: [(&str, &str, &str); 10] = [
    ("#000000", "", "M-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0z"),
    ("#0072b2", "8 3", "M-3 -3h6v6h-6z"),
    ("#d55e00", "3 2", "M0 -4l4 7h-8z"),
    ("#00805c", "9 3 2 3", "M0 -4.5l4.5 4.5l-4.5 4.5l-4.5 -4.5z"),
    ("#a6458a", "14 4", "M0 4l4 -7h-8z"),
    ("#2a8fc7", "2 4", "M-1.2 -4h2.4v2.8h2.8v2.4h-2.8v2.8h-2.4v-2.8h-2.8v-2.4h2.8z"),
    ("#b87d00", "12 3 3 3 3 3", "M-4.5 -1.5h9v3h-9z"),
    ("#666666", "5 5", "M-1.5 -4.5h3v9h-3z"),
    ("#7a3e00", "1 2", "M-4 -4l8 8v-8l-8 8z"),
    ("#3b3b98", "6 2 1 2 1 2", "M0 -4.5l2 4.5l-2 4.5l-2 -4.5z"),
];

impl Style {
    /// The style of the policy at a place; the first, the baseline, is drawn through and wider.
    pub(super) fn of(place: usize) -> Self {
        let (colour, dashes, marker) = STYLES[place % STYLES.len()];
        Self { colour, dashes, marker, width: if place == 0 { 2.6 } else { 1.9 } }
    }

    fn stroke(&self) -> String {
        let dashes = if self.dashes.is_empty() {
            String::new()
        } else {
            format!(" stroke-dasharray=\"{}\"", self.dashes)
        };
        format!("fill=\"none\" stroke=\"{}\" stroke-width=\"{}\"{dashes}", self.colour, self.width)
    }
}

/// The frame of a picture: what surrounds the plot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

/// Opens a picture with a text for those who do not see it.
pub(super) fn open(out: &mut String, height: f64, label: &str) {
    let label = Text(label);
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{label}\">"
    );
}

/// A text at a place.
pub(super) fn text(out: &mut String, (x, y): (f64, f64), anchor: &str, words: &str) {
    let (x, y) = (place(x), place(y));
    let _ = writeln!(out, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{}</text>", Text(words));
}

/// A text along the left edge, from below upwards.
pub(super) fn upright(out: &mut String, (x, y): (f64, f64), words: &str) {
    let (x, y) = (place(x), place(y));
    let _ = writeln!(
        out,
        "<text transform=\"translate({x} {y}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
        Text(words)
    );
}

/// The horizontal axis below a plot: ticks, their numbers, and what it shows.
pub(super) fn axis_x(out: &mut String, frame: &Frame, scale: &Scale, label: &str) {
    let y = frame.bottom;
    let mut end = f64::NEG_INFINITY;
    for tick in scale.ticks(6) {
        let x = scale.at(tick);
        let words = short(tick);
        // A number that would run into the one before is left out.
        let half = 4.0 * words.len() as f64;
        let _ = writeln!(out, "<path class=\"axis\" d=\"M{} {}v4\"/>", place(x), place(y));
        if x - half > end + 4.0 {
            text(out, (x, y + 17.0), "middle", &words);
            end = x + half;
        }
    }
    text(out, (f64::midpoint(frame.left, frame.right), y + 34.0), "middle", label);
}

/// The vertical axis left of a plot, with lines through it.
pub(super) fn axis_y(out: &mut String, frame: &Frame, scale: &Scale, label: &str) {
    for tick in scale.ticks(5) {
        let y = scale.at(tick);
        let (left, width) = (place(frame.left), place(frame.right - frame.left));
        let _ = writeln!(out, "<path class=\"grid\" d=\"M{left} {}h{width}\"/>", place(y));
        text(out, (frame.left - 6.0, y + 4.0), "end", &short(tick));
    }
    upright(out, (13.0, f64::midpoint(frame.top, frame.bottom)), label);
}

/// A line around a plot.
pub(super) fn border(out: &mut String, frame: &Frame) {
    let (x, y) = (place(frame.left), place(frame.top));
    let (width, height) = (place(frame.right - frame.left), place(frame.bottom - frame.top));
    let _ =
        writeln!(out, "<rect class=\"frame\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>");
}

/// A policy's line through points of the picture, with markers that lie elsewhere than those of the others.
pub(super) fn line(out: &mut String, number: usize, name: &str, points: &[(f64, f64)]) {
    let Some((first, rest)) = points.split_first() else { return };
    let style = Style::of(number);
    let mut path = format!("M{} {}", place(first.0), place(first.1));
    let mut at = (place(first.0), place(first.1));
    for point in rest {
        let next = (place(point.0), place(point.1));
        if next == at {
            continue;
        }
        let _ = match (next.0 == at.0, next.1 == at.1) {
            (true, _) => write!(path, "V{}", next.1),
            (_, true) => write!(path, "H{}", next.0),
            _ => write!(path, "L{} {}", next.0, next.1),
        };
        at = next;
    }
    let _ = writeln!(out, "<g><title>{}</title><path {} d=\"{path}\"/>", Text(name), style.stroke());
    for mark in 0..MARKERS {
        let share = (mark as f64 + (number as f64 * 0.37 + 0.2).fract()) / MARKERS as f64;
        if let Some((x, y)) = along(points, share) {
            let _ = write!(out, "<path fill=\"{}\" stroke=\"#fff\" stroke-width=\"0.7\"", style.colour);
            let _ =
                writeln!(out, " transform=\"translate({} {})\" d=\"{}\"/>", place(x), place(y), style.marker);
        }
    }
    out.push_str("</g>\n");
}

/// Markers of a line.
const MARKERS: usize = 4;

/// The point at a share of a line's length.
fn along(points: &[(f64, f64)], share: f64) -> Option<(f64, f64)> {
    let length = |pair: &[(f64, f64)]| (pair[1].0 - pair[0].0).hypot(pair[1].1 - pair[0].1);
    let mut left = points.windows(2).map(length).sum::<f64>() * share;
    for pair in points.windows(2) {
        let here = length(pair);
        if left <= here && here > 0.0 {
            let part = left / here;
            return Some((
                pair[0].0 + part * (pair[1].0 - pair[0].0),
                pair[0].1 + part * (pair[1].1 - pair[0].1),
            ));
        }
        left -= here;
    }
    points.last().copied()
}

/// Which line is which policy.
pub(super) fn legend(out: &mut String, names: &[&str]) {
    out.push_str("<ul class=\"legend\">\n");
    for (number, name) in names.iter().enumerate() {
        let style = Style::of(number);
        let baseline = if number == 0 && names.len() > 1 { " (baseline)" } else { "" };
        let _ = writeln!(
            out,
            "<li><svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 44 12\" width=\"44\" height=\"12\" aria-hidden=\"true\">\
             <path {} d=\"M1 6h42\"/><path fill=\"{}\" transform=\"translate(22 6)\" d=\"{}\"/></svg> {}{baseline}</li>",
            style.stroke(),
            style.colour,
            style.marker,
            Text(name)
        );
    }
    out.push_str("</ul>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        assert_eq!(ticks(0.0, 35.0, 4), [0.0, 10.0, 20.0, 30.0]);
        assert_eq!(ticks(0.0, 1.0, 5), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert_eq!(ticks(3.0, 3.0, 4), [3.0]);
        let log = Scale::log((0.02, 3000.0), (0.0, 1.0)).ticks(6);
        assert!(log.len() >= 4 && log.iter().any(|tick| (tick - 1.0).abs() < 1e-9), "{log:?}");
        assert_eq!(Scale::log((1.0, 9.0), (0.0, 1.0)).ticks(6), [1.0, 2.0, 5.0]);
    }

    #[test]
    fn scales_stay_in_the_picture() {
        let scale = Scale::linear((0.0, 10.0), (100.0, 0.0));
        assert_eq!([-5.0, 0.0, 5.0, 99.0].map(|value| scale.at(value)), [100.0, 100.0, 50.0, 0.0]);
        assert!(Scale::linear((3.0, 3.0), (0.0, 1.0)).at(3.0).is_finite());
        assert!(Scale::log((1.0, 1.0), (0.0, 1.0)).at(0.0).is_finite());
    }

    #[test]
    fn points_along_a_line() {
        let line = [(0.0, 0.0), (10.0, 0.0), (10.0, 10.0)];
        assert_eq!(along(&line, 0.25), Some((5.0, 0.0)));
        assert_eq!(along(&line, 0.75), Some((10.0, 5.0)));
        assert_eq!(along(&[], 0.5), None);
    }
}

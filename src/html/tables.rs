//! Tables: metrics with paired changes, what was steered and why the rest was not, and the system's values.

use std::fmt::Write;

use tarazu_sim::experiment::{PolicyResult, Results};
use tarazu_sim::{Metric, System};

use super::markup::{Text, number, percent};
use super::verdict::Meaning;
use crate::cli::words::{average, reason};

const MIB: f64 = 1024.0 * 1024.0;

/// All metrics of all policies: mean, paired change with its interval, and what that means in a word.
pub(super) fn metrics(out: &mut String, results: &Results) {
    let seeds = results.seeds.len();
    out.push_str("<p>Means over ");
    let _ = write!(out, "{seeds} {}", if seeds == 1 { "seed" } else { "seeds" });
    if let Some((baseline, [_, ..])) = results.policies.split_first() {
        let base = Text(baseline.policy.as_str());
        let _ = if seeds == 1 {
            write!(out, "; below each, its change against {base}. One seed says nothing about chance")
        } else {
            write!(
                out,
                "; below each, its change against {base} seed by seed, with the 95 % interval. <b>better</b> or \
                 <b>worse</b>: the interval leaves out 0. not clear: it does not. same: below 0.05 %. Not corrected for \
                 many comparisons: one in twenty is clear by chance alone"
            )
        };
    }
    out.push_str(
        ".</p>\n<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Metrics of all policies\">\n\
         <table class=\"metrics\">\n<thead><tr><th scope=\"col\">metric</th>",
    );
    for result in &results.policies {
        let _ = write!(out, "<th scope=\"col\">{}</th>", Text(result.policy.as_str()));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for metric in Metric::ALL {
        let better = if metric.higher_is_better() { " (more is better)" } else { "" };
        let _ = write!(out, "<tr><th scope=\"row\">{}{better}</th>", Text(metric.title()));
        results.policies.iter().for_each(|result| cell(out, result, metric));
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n</div>\n");
}

/// Full numbers stand in attributes, for whoever wants to compute with them.
fn cell(out: &mut String, result: &PolicyResult, metric: Metric) {
    let _ = write!(out, "<td data-policy=\"{}\" data-metric=\"{}\"", result.policy.as_str(), metric.name());
    let Some(interval) = result.intervals[metric as usize] else {
        out.push_str(">–</td>");
        return;
    };
    let _ = write!(out, " data-mean=\"{}\"", interval.mean);
    let Some(change) = result.changes[metric as usize] else {
        let _ = write!(out, ">{}</td>", number(interval.mean));
        return;
    };
    let meaning = Meaning::of(&change, metric.higher_is_better());
    let _ = write!(out, " data-change=\"{}\"", change.percent.mean);
    if let Some((low, high)) = change.percent.ends {
        let _ = write!(out, " data-low=\"{low}\" data-high=\"{high}\"");
    }
    let _ = write!(out, ">{}", number(interval.mean));
    if meaning != Meaning::Same {
        let _ = write!(out, "<small>{} %", percent(change.percent.mean));
        if let Some((low, high)) = change.percent.ends {
            let _ = write!(out, " [{}, {}]", percent(low), percent(high));
        }
        out.push_str("</small>");
    }
    let class = if matches!(meaning, Meaning::Better | Meaning::Worse) { " class=\"clear\"" } else { "" };
    let _ = write!(out, "<small{class}>{}</small></td>", meaning.words());
}

/// Shares of files and bytes that each policy placed itself, and why it left the others.
pub(super) fn steered(out: &mut String, results: &Results) {
    out.push_str(
        "<p>Files and bytes whose targets the policy chose; all others were placed by the file system.</p>\n\
         <div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Files and bytes steered\">\n<table>\n<thead><tr>\
         <th scope=\"col\">policy</th><th scope=\"col\">files steered</th><th scope=\"col\">bytes steered</th>\
         <th scope=\"col\" class=\"words\">files left alone, a seed</th></tr></thead>\n<tbody>\n",
    );
    for result in &results.policies {
        let policy = Text(result.policy.as_str());
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{policy}</th><td>{}</td><td>{}</td><td class=\"words\">",
            share(result.files_steered_share()),
            share(result.bytes_steered_share())
        );
        let seeds = result.outcomes.len() as u64;
        let refusals = result.refusals();
        for (place, (name, count)) in refusals.iter().enumerate() {
            let gap = if place > 0 { "<br/>" } else { "" };
            let _ = writeln!(out, "{gap}{}: {}", average(*count, seeds), Text(reason(name)));
        }
        out.push_str(if refusals.is_empty() { "–</td></tr>\n" } else { "</td></tr>\n" });
    }
    out.push_str("</tbody>\n</table>\n</div>\n");
}

fn share(share: Option<f64>) -> String {
    share.map_or_else(|| "–".into(), |share| format!("{:.1} %", share * 100.0))
}

/// What the system was, under the names of its file.
pub(super) fn system(out: &mut String, system: &System) {
    let targets = system.topology.targets();
    let servers = system.topology.servers();
    let mib = |bps: &mut dyn Iterator<Item = f64>| range(&mut bps.map(|bps| bps / MIB));
    let or_none = |value: Option<f64>| value.map_or_else(|| "0".to_string(), plain);
    let (metadata, client, disk, control) = (&system.metadata, &system.client, &system.disk, &system.control);
    let rows = [
        ("name", system.name.clone()),
        ("description", system.description.clone()),
        ("servers.count", servers.len().to_string()),
        ("servers.link_MiBps", mib(&mut servers.iter().map(|server| server.link_bps))),
        ("targets, all servers", targets.len().to_string()),
        ("targets.write_MiBps", mib(&mut targets.iter().map(|target| target.write_bps))),
        ("targets.read_MiBps", mib(&mut targets.iter().map(|target| target.read_bps))),
        (
            "targets.capacity_GiB",
            range(&mut targets.iter().map(|target| target.capacity.0 as f64 / MIB / 1024.0)),
        ),
        ("targets.filled", range(&mut system.filled.iter().map(|filled| filled.share))),
        ("targets.filled_spread", range(&mut system.filled.iter().map(|filled| filled.spread))),
        ("nodes.nic_MiBps", plain(system.nic_bps / MIB)),
        ("metadata.servers", metadata.servers.to_string()),
        ("metadata.open_ms", plain(metadata.open_s * 1e3)),
        ("metadata.layout_ms", plain(metadata.layout_s * 1e3)),
        ("metadata.creates_per_s", plain(1.0 / metadata.create_s)),
        ("metadata.precreates_per_s", plain(1.0 / metadata.precreate_s)),
        ("client.window_MiB", or_none(client.window_bytes.map(|bytes| bytes as f64 / MIB))),
        ("client.dirty_MiB", or_none(client.dirty_bytes.map(|bytes| bytes as f64 / MIB))),
        ("client.memory_MiBps", or_none(client.memory_bps.map(|bps| bps / MIB))),
        ("disk.shared_write_exponent", plain(disk.shared_write_exponent)),
        ("disk.shared_read_exponent", plain(disk.shared_read_exponent)),
        ("disk.streams_loss", plain(disk.streams_loss)),
        ("disk.streams_free", plain(disk.streams_free)),
        ("striping.default_count", system.default_stripe_count.to_string()),
        ("striping.default_size_KiB", plain(system.default_stripe_size as f64 / 1024.0)),
        ("control.interval_s", plain(control.interval_s)),
        ("control.report_delay_ms", plain(control.report_delay_s * 1e3)),
        ("control.publish_delay_ms", plain(control.publish_delay_s * 1e3)),
        ("control.publish_jitter_ms", plain(control.publish_jitter_s * 1e3)),
        ("control.launch_s", plain(control.launch_s)),
    ];
    out.push_str(
        "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Values of the system\">\n<table>\n<tbody>\n",
    );
    for (key, value) in rows {
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\"><code>{key}</code></th><td class=\"words\">{}</td></tr>",
            Text(&value)
        );
    }
    out.push_str("</tbody>\n</table>\n</div>\n");
}

/// A value as it would be typed, without what conversions left in its last digits.
fn plain(value: f64) -> String {
    if value.is_infinite() {
        return "unlimited".into();
    }
    let rounded = format!("{value:.6}");
    rounded.trim_end_matches('0').trim_end_matches('.').into()
}

/// One value, or from the least to the largest.
fn range(values: &mut dyn Iterator<Item = f64>) -> String {
    let ends = values.fold(None, |ends: Option<(f64, f64)>, value| {
        Some(ends.map_or((value, value), |(low, high)| (low.min(value), high.max(value))))
    });
    match ends {
        None => "–".into(),
        Some((low, high)) if low == high => plain(low),
        Some((low, high)) => format!("{} to {}", plain(low), plain(high)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_look_as_typed() {
        assert_eq!(plain(0.000_5 * 1e3), "0.5");
        assert_eq!(plain(1.0 / (1.0 / 50_000.0)), "50000");
        assert_eq!(plain(100.0), "100");
        assert_eq!(range(&mut [2.0, 1.0].into_iter()), "1 to 2");
        assert_eq!(range(&mut [2.0, 2.0].into_iter()), "2");
    }
}

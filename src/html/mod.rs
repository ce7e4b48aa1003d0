//! The report: one HTML page of an experiment that needs no network, no script and no second file.
//!
//! This module owns how results look as a page; it must not compute results: every number comes from
//! [`Results`] and [`Series`]. The markup is well-formed as XML, so that any parser can check it.

mod bursts;
mod chart;
mod curves;
pub(crate) mod demo;
mod heat;
mod markup;
mod tables;
mod verdict;

use std::fmt::Write;

use tarazu_sim::experiment::Results;
use tarazu_sim::report::Subject;
use tarazu_sim::series::Series;

use markup::Text;

/// What a page shows.
pub(crate) struct Page<'a> {
    /// What was simulated.
    pub(crate) subject: Subject<'a>,
    /// What came out; the first seed's outcomes have their series.
    pub(crate) results: &'a Results,
    /// System, workload, scenario and so on, as label and words.
    pub(crate) facts: &'a [(String, String)],
    /// What a reader must know to read the results rightly.
    pub(crate) notes: &'a [String],
    /// How far the seconds of the system may be believed.
    pub(crate) calibration: &'a str,
    /// The command that makes the same results.
    pub(crate) command: &'a str,
}

impl Page<'_> {
    /// The page. The same results give the same bytes.
    pub(crate) fn html(&self) -> String {
        let mut out = String::new();
        self.head(&mut out);
        out.push_str("<main>\n<section>\n<h2>In short</h2>\n");
        verdict::write(&mut out, self.results);
        self.calibration(&mut out);
        out.push_str("</section>\n<section>\n<h2>Results</h2>\n");
        tables::metrics(&mut out, self.results);
        out.push_str("</section>\n<section>\n<h2>What was steered</h2>\n");
        tables::steered(&mut out, self.results);
        out.push_str("</section>\n");
        self.pictures(&mut out);
        self.reproduce(&mut out);
        out.push_str("</main>\n");
        let _ = writeln!(out, "<footer>tarazu {}</footer>\n</body>\n</html>", env!("CARGO_PKG_VERSION"));
        out
    }

    fn head(&self, out: &mut String) {
        let system = Text(&self.subject.system.name);
        let _ = write!(
            out,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
             <title>Placement policies on {system}</title>\n<style>\n{}</style>\n</head>\n<body>\n\
             <header>\n<h1>Placement policies on {system}</h1>\n<dl class=\"facts\">\n",
            include_str!("style.css")
        );
        for (label, words) in self.facts {
            let _ = writeln!(out, "<dt>{}</dt><dd>{}</dd>", Text(label), Text(words));
        }
        out.push_str("</dl>\n</header>\n");
    }

    fn calibration(&self, out: &mut String) {
        let found = self.subject.system.calibration.as_ref();
        let (class, verdict) = match found.map(|found| found.changed_since) {
            Some(false) => ("badge", "Calibrated."),
            Some(true) => ("badge no", "Changed."),
            None => ("badge no", "Not calibrated."),
        };
        let words = Text(self.calibration);
        let _ = writeln!(out, "<p class=\"{class}\"><b>{verdict}</b> This system is {words}.</p>");
    }

    /// All pictures of the first seed.
    fn pictures(&self, out: &mut String) {
        let recorded: Vec<(&str, &Series)> = self
            .results
            .policies
            .iter()
            .filter_map(|result| {
                let series = result.outcomes.first()?.series.as_deref()?;
                Some((result.policy.as_str(), series))
            })
            .collect();
        if recorded.is_empty() {
            return;
        }
        let names: Vec<&str> = recorded.iter().map(|(name, _)| *name).collect();
        let seed = self.results.seeds.first().copied().unwrap_or_default();
        let _ = writeln!(out, "<section>\n<h2>Balance</h2>\n<p>All pictures show seed {seed}.</p>");
        let fine = aligned(&recorded, heat::columns(recorded.len()));
        let fine: Vec<(&str, &Series)> = names.iter().copied().zip(&fine).collect();
        chart::legend(out, &names);
        out.push_str("<div class=\"grid\">\n");
        curves::balance(out, &fine);
        curves::in_flight(out, &fine);
        curves::file_times(out, &fine);
        curves::stretches(out, &fine);
        out.push_str("</div>\n</section>\n<section>\n<h2>Targets over time</h2>\n");
        heat::maps(out, &fine);
        out.push_str("</section>\n<section>\n<h2>Bursts</h2>\n");
        let coarse = aligned(&recorded, bursts::COLUMNS_MAX);
        let coarse: Vec<(&str, &Series)> = names.iter().copied().zip(&coarse).collect();
        bursts::timelines(out, &coarse);
        out.push_str("</section>\n");
    }

    fn reproduce(&self, out: &mut String) {
        out.push_str("<section>\n<h2>How to reproduce</h2>\n");
        let version = env!("CARGO_PKG_VERSION");
        let seeds = seeds(&self.results.seeds);
        let _ = writeln!(
            out,
            "<p>With tarazu {version}, {seeds}; the same command gives the same numbers, on any number of threads:</p>\n\
             <pre>{}</pre>",
            Text(self.command)
        );
        let notes = self.subject.notes.iter().chain(self.notes).filter(|note| !note.is_empty());
        let notes: Vec<&String> = notes.collect();
        if !notes.is_empty() {
            out.push_str("<h3>Assumptions and notes</h3>\n<ul>\n");
            for note in notes {
                let _ = writeln!(out, "<li>{}</li>", Text(note));
            }
            out.push_str("</ul>\n");
        }
        out.push_str("<h3>The system</h3>\n");
        tables::system(out, self.subject.system);
        out.push_str("</section>\n");
    }
}

/// Which seeds were run, in words; those of a share are as far apart as there are shares.
fn seeds(seeds: &[u64]) -> String {
    match seeds {
        [] => "no seed".into(),
        [only] => format!("seed {only}"),
        [first, second, .., last] if second - first > 1 => {
            format!("seeds {first}, {second} and so on to {last}, {} apart", second - first)
        }
        [first, second] if second - first > 1 => format!("seeds {first} and {second}"),
        [first, .., last] => format!("seeds {first} to {last}"),
    }
}

/// All series with the same bins, at most so many.
fn aligned(all: &[(&str, &Series)], bins: usize) -> Vec<Series> {
    let coarse: Vec<Series> = all.iter().map(|(_, series)| (*series).clone().coarsened(bins)).collect();
    let bin_s = coarse.iter().map(|series| series.bin_s).fold(0.0, f64::max);
    let to_bin = |mut series: Series| {
        // Bins are powers of two apart, so this ends at the same length for all.
        while series.bin_s < bin_s {
            series = series.doubled();
        }
        series
    };
    coarse.into_iter().map(to_bin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_named_as_they_ran() {
        let cases: [(&[u64], &str); 6] = [
            (&[], "no seed"),
            (&[3], "seed 3"),
            (&[1, 2, 3, 4], "seeds 1 to 4"),
            (&[1, 2], "seeds 1 to 2"),
            (&[2, 6], "seeds 2 and 6"),
            (&[1, 3, 5, 7], "seeds 1, 3 and so on to 7, 2 apart"),
        ];
        for (ran, words) in cases {
            assert_eq!(seeds(ran), words);
        }
    }
}

//! The schema `tarazu-flow/1` as text. What the numbers must hold is checked by `tarazu_core::mincost`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use tarazu_core::mincost::placement::{Group, Problem, Segments, Spec};

/// The schema read here.
const SCHEMA: &str = "tarazu-flow/1";

/// Longest problem: the largest one allowed has a few million numbers of ten digits.
const PROBLEM_BYTES_MAX: u64 = 64 << 20;

/// Fields that name no part of the problem (name, seed, known optima) are let be.
#[derive(Debug, Deserialize)]
struct Text {
    schema: String,
    #[serde(default = "yes")]
    distinct: bool,
    osts: usize,
    oss_of: Vec<u32>,
    router_of: Vec<u32>,
    oss_cap: Vec<i64>,
    router_cap: Vec<i64>,
    segments: Vec<Segments>,
    #[serde(default)]
    oss_segments: Vec<Option<Segments>>,
    classes: Vec<Class>,
    demand: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Class {
    count: u64,
    k: u64,
    #[serde(default)]
    pool: Option<Vec<u32>>,
}

fn yes() -> bool {
    true
}

/// Reads and checks a problem; its name as errors say it comes with it.
pub(super) fn read(path: &Path) -> Result<(String, Problem)> {
    if path == Path::new("-") {
        let name = "standard input".to_owned();
        let problem = parse(std::io::stdin().lock(), &name)?;
        return Ok((name, problem));
    }
    let name = path.display().to_string();
    let file = File::open(path).with_context(|| format!("cannot open {name}"))?;
    let problem = parse(file, &name)?;
    Ok((name, problem))
}

fn parse(input: impl Read, name: &str) -> Result<Problem> {
    let mut bytes = Vec::new();
    let mut bounded = input.take(PROBLEM_BYTES_MAX + 1);
    bounded.read_to_end(&mut bytes).with_context(|| format!("cannot read {name}"))?;
    if bytes.len() as u64 > PROBLEM_BYTES_MAX {
        bail!("{name}: more than {PROBLEM_BYTES_MAX} bytes; split the problem");
    }
    let text: Text = serde_json::from_slice(&bytes)
        .with_context(|| format!("{name} is no problem of schema {SCHEMA} (docs/place.md)"))?;
    check(text).with_context(|| name.to_owned())
}

fn check(text: Text) -> Result<Problem> {
    ensure!(text.schema == SCHEMA, "schema is {:?}; only {SCHEMA:?} is read", text.schema);
    ensure!(
        text.osts == text.segments.len(),
        "segments has {} entries, but osts is {}: give one for each",
        text.segments.len(),
        text.osts
    );
    let group = |class: Class| Group { requests: class.count, stripes: class.k, pool: class.pool };
    let problem = Problem::new(&Spec {
        distinct: text.distinct,
        server_of: text.oss_of,
        router_of: text.router_of,
        server_capacities: text.oss_cap,
        router_capacities: text.router_cap,
        target_costs: text.segments,
        server_costs: text.oss_segments,
        groups: text.classes.into_iter().map(group).collect(),
    })?;
    let demand = u64::from(problem.demand());
    if let Some(given) = text.demand.filter(|given| *given != demand) {
        bail!("demand is {given}, but the classes want {demand} stripes together: correct one of them");
    }
    Ok(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TINY: &str = r#"{"schema":"tarazu-flow/1","osts":2,"oss_of":[0,0],"router_of":[0],"oss_cap":[9],
        "router_cap":[9],"segments":[[[1,2],[1,3]],[[2,1]]],"classes":[{"count":2,"k":1}],"demand":2}"#;

    fn said(from: &str, to: &str) -> String {
        assert!(TINY.contains(from), "{from}");
        format!("{:#}", parse(TINY.replace(from, to).as_bytes(), "tiny.json").unwrap_err())
    }

    #[test]
    fn a_problem_is_read_and_what_is_left_out_is_assumed() {
        let problem = parse(TINY.as_bytes(), "tiny.json").unwrap();
        assert_eq!((problem.targets(), problem.demand()), (2, 2));
        let bare = TINY.replace(",\"demand\":2", ",\"name\":\"x\"");
        assert_eq!(parse(bare.as_bytes(), "tiny.json").unwrap(), problem);
    }

    #[test]
    fn errors_name_file_place_and_remedy() {
        let rows = [
            (said("tarazu-flow/1", "tarazu-flow/2"), "tiny.json: schema is \"tarazu-flow/2\"; only"),
            (said("\"osts\":2", "\"osts\":3"), "segments has 2 entries, but osts is 3"),
            (
                said("\"oss_of\":[0,0]", "\"oss_of\":[0,1]"),
                "tiny.json: oss_of[1] is 1, but there are 1 servers",
            ),
            (said("\"oss_of\":[0,0]", "\"oss_of\":[0,-1]"), "line 1 column"),
            (said("[1,2],[1,3]", "[1,2],[1,1]"), "segments[0][1] has unit cost 1 after 2"),
            (said("[1,2],[1,3]", "[1,2],[1]"), "line 2 column"),
            (said("\"k\":1", "\"k\":2"), "demand is 2, but the classes want 4"),
            (said("\"k\":1", "\"k\":1,\"pool\":[5]"), "classes[0].pool[0] is 5, but there are 2 targets"),
            (said("\"osts\":2,", ""), "missing field `osts`"),
            (said("}", ""), "docs/place.md"),
        ];
        for (error, wanted) in rows {
            assert!(error.contains("tiny.json") && error.contains(wanted), "wanted {wanted}, got {error}");
        }
    }

    #[test]
    fn what_is_too_long_is_refused_without_holding_it() {
        let error = parse(std::io::repeat(b' '), "zeros").unwrap_err().to_string();
        assert!(error.contains("zeros: more than"), "{error}");
    }
}

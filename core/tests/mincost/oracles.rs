//! Proven optima of the schema `tarazu-flow/1`, each agreed on by several solvers of others.

use std::path::Path;

use serde_json::Value;
use tarazu_core::mincost::fill::fill;
use tarazu_core::mincost::placement::{Choice, Group, PlaceError, Problem, Segments, Solver, Spec, place};

use crate::check::check;

/// Problems, by file name.
fn problems() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/flow");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 14, "{}: {} files", folder.display(), files.len());
    let read = |path: &Path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    files.iter().map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), read(path))).collect()
}

fn numbers(json: &Value) -> Vec<i64> {
    json.as_array().unwrap().iter().map(|number| number.as_i64().unwrap()).collect()
}

fn ids(json: &Value) -> Vec<u32> {
    numbers(json).iter().map(|number| u32::try_from(*number).unwrap()).collect()
}

fn spec(json: &Value) -> Spec {
    let pair = |segment: &Value| (segment[0].as_i64().unwrap(), segment[1].as_i64().unwrap());
    let segments = |list: &Value| -> Segments { list.as_array().unwrap().iter().map(pair).collect() };
    let group = |class: &Value| Group {
        requests: class["count"].as_u64().unwrap(),
        stripes: class["k"].as_u64().unwrap(),
        pool: Some(&class["pool"]).filter(|pool| !pool.is_null()).map(ids),
    };
    Spec {
        distinct: json["distinct"].as_bool().unwrap(),
        server_of: ids(&json["oss_of"]),
        router_of: ids(&json["router_of"]),
        server_capacities: numbers(&json["oss_cap"]),
        router_capacities: numbers(&json["router_cap"]),
        target_costs: json["segments"].as_array().unwrap().iter().map(segments).collect(),
        server_costs: Vec::new(),
        groups: json["classes"].as_array().unwrap().iter().map(group).collect(),
    }
}

fn flow_and_cost(json: &Value) -> (i64, i64) {
    (json["flow"].as_i64().unwrap(), json["cost"].as_i64().unwrap())
}

#[test]
fn both_solvers_find_the_proven_optimum_with_valid_lists() {
    for (name, json) in problems() {
        let spec = spec(&json);
        let problem = Problem::new(&spec).unwrap();
        let optimum = flow_and_cost(&json["optimum"]);
        for choice in [Choice::Auto, Choice::Exact] {
            let placement = place(&problem, choice).unwrap();
            assert_eq!((i64::from(placement.flow), placement.cost), optimum, "{name} {choice:?}");
            check(&spec, &placement);
        }
    }
}

/// Where the greedy of others reaches the optimum our filling is chosen, and nowhere else.
#[test]
fn filling_is_the_greedy_of_others_and_chosen_where_it_is_optimal() {
    for (name, json) in problems() {
        let problem = Problem::new(&spec(&json)).unwrap();
        let greedy = flow_and_cost(&json["greedy_without_class_constraints"]);
        let optimum = flow_and_cost(&json["optimum"]);
        let pools = json["classes"].as_array().unwrap().iter().any(|class| !class["pool"].is_null());
        let filled = fill(&problem);
        let found = (i64::from(filled.flow), filled.cost);
        if pools {
            // Our bound on a target counts only requests that may use it.
            assert!(found.1 >= greedy.1 && found.1 <= optimum.1, "{name}: {found:?} {greedy:?} {optimum:?}");
        } else {
            assert_eq!(found, greedy, "{name}");
        }
        let solver = place(&problem, Choice::Auto).unwrap().solver;
        let expected = if !pools && greedy == optimum { Solver::Fill } else { Solver::Exact };
        assert_eq!(solver, expected, "{name}");
        match place(&problem, Choice::Fill) {
            Ok(placement) => assert_eq!(placement.solver, Solver::Fill, "{name}"),
            Err(error) => {
                assert_eq!(solver, Solver::Exact, "{name}");
                assert!(matches!(error, PlaceError::NotFillable { .. }), "{name}: {error}");
            }
        }
    }
}

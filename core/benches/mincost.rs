//! CPU time of solving placement problems: `mincost PROBLEM.json...` prints one line of JSON for each file.
//!
//! `benches/flow/run.sh` runs this beside the solvers of others. Without a file it does nothing.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a bench reads a clock, prints and stops at the first surprise"
)]

use std::hint::black_box;
use std::time::Instant;

use serde_json::Value;
use tarazu_core::mincost::placement::{Choice, Group, Problem, Segments, Spec, place};

/// Measurements of which the median is taken.
const ROUNDS: usize = 15;

/// One measurement repeats the work for this long: the kernel counts CPU time of a running thread in ticks.
const ROUND_S: f64 = 0.05;

fn main() {
    for path in std::env::args().skip(1).filter(|argument| !argument.starts_with("--")) {
        let json = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let spec = spec(&json);
        let problem = Problem::new(&spec).unwrap();
        let check_s = cpu_s(|| Problem::new(black_box(&spec)).unwrap().demand());
        let auto = place(&problem, Choice::Auto).unwrap();
        let exact = place(&problem, Choice::Exact).unwrap();
        assert_eq!((auto.flow, auto.cost), (exact.flow, exact.cost));
        let auto_s = cpu_s(|| place(black_box(&problem), Choice::Auto).unwrap().lists.len());
        let exact_s = cpu_s(|| place(black_box(&problem), Choice::Exact).unwrap().lists.len());
        let (flow, cost, solver) = (auto.flow, auto.cost, format!("{:?}", auto.solver).to_lowercase());
        println!(
            "{{\"flow\":{flow},\"cost\":{cost},\"solver\":\"{solver}\",\
             \"check_s\":{check_s:.9},\"auto_s\":{auto_s:.9},\"exact_s\":{exact_s:.9}}}"
        );
    }
}

/// Median CPU seconds of doing something once.
fn cpu_s<T>(mut work: impl FnMut() -> T) -> f64 {
    let started = Instant::now();
    black_box(work());
    let times = (ROUND_S / started.elapsed().as_secs_f64().max(1e-7)).ceil().max(1.0) as u32;
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let before = thread_cpu_s();
            for _ in 0..times {
                black_box(work());
            }
            (thread_cpu_s() - before) / f64::from(times)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

/// Seconds that this thread has run, from the Linux scheduler.
fn thread_cpu_s() -> f64 {
    // Giving the processor up brings the count up to date.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1e9
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

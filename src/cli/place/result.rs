//! A placement as text and as JSON of schema `tarazu.place/1`.

use std::io::{Result, Write};

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use tarazu_core::mincost::deal::Lists;
use tarazu_core::mincost::placement::{Binding, Placement, Problem, Solver};

/// The schema written here.
const SCHEMA: &str = "tarazu.place/1";

/// Binding capacities that the text names one by one.
const NAMED_MAX: usize = 12;

#[derive(Serialize)]
struct Json<'a> {
    schema: &'static str,
    flow: u32,
    cost: i64,
    solver: &'static str,
    time_s: f64,
    units_by_target: &'a [u32],
    osts_by_request: Requests<'a>,
    binding: Vec<Bound>,
}

struct Requests<'a>(&'a Lists);

impl Serialize for Requests<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut lists = serializer.serialize_seq(Some(self.0.len()))?;
        for list in self.0.iter() {
            lists.serialize_element(list)?;
        }
        lists.end()
    }
}

struct Bound(Binding);

impl Serialize for Bound {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let (kind, id, capacity) = parts(&self.0);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", kind)?;
        map.serialize_entry("id", &id)?;
        if let Binding::Distinct { class: Some(class), .. } = self.0 {
            map.serialize_entry("class", &class)?;
        }
        map.serialize_entry("capacity", &capacity)?;
        map.end()
    }
}

/// Kind, number and capacity.
fn parts(binding: &Binding) -> (&'static str, u32, i64) {
    match *binding {
        Binding::Target { target, capacity } => ("target", target, capacity),
        Binding::Server { server, capacity } => ("server", server, capacity),
        Binding::Router { router, capacity } => ("router", router, capacity),
        Binding::Distinct { target, capacity, .. } => ("distinct", target, capacity),
    }
}

fn solver(placement: &Placement) -> &'static str {
    match placement.solver {
        Solver::Fill => "fill",
        Solver::Exact => "exact",
    }
}

pub(super) fn write_json(out: &mut impl Write, placement: &Placement, time_s: f64) -> Result<()> {
    let json = Json {
        schema: SCHEMA,
        flow: placement.flow,
        cost: placement.cost,
        solver: solver(placement),
        time_s,
        units_by_target: &placement.units_by_target,
        osts_by_request: Requests(&placement.lists),
        binding: placement.binding.iter().copied().map(Bound).collect(),
    };
    serde_json::to_writer(&mut *out, &json)?;
    writeln!(out)
}

pub(super) fn write_text(
    out: &mut impl Write,
    problem: &Problem,
    placement: &Placement,
    time_s: f64,
) -> Result<()> {
    let (requests, targets) = (problem.requests(), problem.targets());
    writeln!(out, "problem   {requests} requests for {} stripes on {targets} targets", problem.demand())?;
    let short = problem.demand() - placement.flow;
    match short {
        0 => writeln!(out, "placed    all")?,
        _ => writeln!(out, "placed    {} stripes, {short} found no room", placement.flow)?,
    }
    writeln!(out, "cost      {}", placement.cost)?;
    let how = match placement.solver {
        Solver::Fill => "cheapest-first filling, proven optimal here",
        Solver::Exact => "network simplex",
    };
    writeln!(out, "solver    {} ({how}), {:.3} ms", solver(placement), time_s * 1e3)?;
    let used = placement.units_by_target.iter().filter(|units| **units > 0).count();
    let (least, most) = (placement.units_by_target.iter().min(), placement.units_by_target.iter().max());
    if let (Some(least), Some(most)) = (least, most) {
        writeln!(out, "targets   {used} used, {least} to {most} stripes each")?;
    }
    for binding in placement.binding.iter().take(NAMED_MAX) {
        let (kind, id, capacity) = parts(binding);
        writeln!(out, "binding   {}", words(kind, id, capacity))?;
    }
    if let Some(more) = placement.binding.len().checked_sub(NAMED_MAX).filter(|more| *more > 0) {
        writeln!(out, "binding   and {more} more (--output json has all)")?;
    }
    Ok(())
}

fn words(kind: &str, id: u32, capacity: i64) -> String {
    match kind {
        "distinct" => format!("target {id}: only {capacity} different requests may use it, each once"),
        _ => format!("{kind} {id}: takes {capacity} stripes"),
    }
}

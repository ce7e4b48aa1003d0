//! Arrivals into jobs on nodes, with files of their own.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use tarazu_layout::{JobId, Layout, NodeId, Time, hash};

use super::allocate::Allocator;
use super::arrivals::{self, Arrival, chosen};
use super::load::split;
use super::{Allocation, ComposeError, Composed, Machine, Part, Source, Template};
use crate::generate::{Draws, GenerateError, from_spec, scale_bytes, with_file};
use crate::limits::{FILES_MAX, MOVED_BYTES_MAX, OPS_MAX, RANKS_MAX};
use crate::{Action, File, FileId, Job, Workload};

pub(super) fn compose(machine: &Machine, parts: &[Part], seed: u64) -> Result<Composed, ComposeError> {
    let starts = check_parts(machine, parts, seed)?;
    let arriving = arrivals::draw(machine, parts, &starts, seed)?;
    if arriving.jobs.is_empty() {
        return Err(ComposeError::Empty);
    }
    let mut building = Building::new(machine);
    for (arrival, number) in arriving.jobs.iter().zip(1..) {
        building.add(&parts[arrival.part], *arrival, number, seed)?;
    }
    let last_end = building.allocations.iter().map(|job| job.end).max().unwrap_or_default();
    Ok(Composed {
        workload: building.workload,
        allocations: building.allocations,
        nodes: machine.nodes,
        span: machine.span.unwrap_or(Duration::from_nanos(last_end.0)),
        left_out: arriving.left_out,
    })
}

/// Refuses what could not be placed before anything is built; gives the start of each generated part's job.
fn check_parts(machine: &Machine, parts: &[Part], seed: u64) -> Result<Vec<Time>, ComposeError> {
    let mut starts = Vec::with_capacity(parts.len());
    for part in parts {
        if part.source.len() == 0 {
            return Err(ComposeError::NoJob { part: part.name.clone() });
        }
        let mut start = Time::ZERO;
        for number in 0..part.source.len() {
            let template = template(part, number, machine, seed)?;
            start = template.job.start;
            let needed = nodes_of(&template.job).len() as u32;
            if needed > machine.nodes {
                let (part, job, nodes) = (part.name.clone(), template.job.id, machine.nodes);
                return Err(ComposeError::TooWide { part, job, needed, nodes });
            }
        }
        starts.push(start);
    }
    Ok(starts)
}

/// A recorded job, or one that is generated from a seed of its own.
fn template<'a>(
    part: &'a Part,
    number: usize,
    machine: &Machine,
    seed: u64,
) -> Result<Cow<'a, Template>, ComposeError> {
    let (spec, factor) = match &part.source {
        Source::Jobs(templates) => {
            let template = templates.get(number);
            return template
                .map(Cow::Borrowed)
                .ok_or_else(|| ComposeError::NoJob { part: part.name.clone() });
        }
        Source::Generator { spec, scale_bytes } => (spec, *scale_bytes),
    };
    let refused =
        |error: GenerateError| ComposeError::Generate { part: part.name.clone(), source: error.into() };
    let mut workload = from_spec(spec, seed).map_err(refused)?;
    if factor != 1 {
        workload = scale_bytes(&workload, factor).map_err(refused)?;
    }
    let totals = workload.totals();
    let Some(mut template) = split(workload, 0).into_iter().next() else {
        return Err(ComposeError::NoJob { part: part.name.clone() });
    };
    // Operations take no time in a generator's plan, so their bytes do here.
    let bytes = totals.read_bytes as f64 + totals.written_bytes as f64;
    let rate = machine.node_bps * nodes_of(&template.job).len() as f64;
    template.run += Duration::from_nanos(Time::from_secs_f64(bytes / rate).0);
    Ok(Cow::Owned(template))
}

/// The nodes of a job as its source numbers them, each with its place among them.
fn nodes_of(job: &Job) -> BTreeMap<NodeId, usize> {
    let mut places: BTreeMap<NodeId, usize> = job.ranks.iter().map(|rank| (rank.node, 0)).collect();
    places.values_mut().zip(0..).for_each(|(place, number)| *place = number);
    places
}

/// A day while it is built.
struct Building<'a> {
    machine: &'a Machine,
    allocator: Allocator,
    workload: Workload,
    allocations: Vec<Allocation>,
    names: Names,
    size: Size,
}

impl<'a> Building<'a> {
    fn new(machine: &'a Machine) -> Self {
        Self {
            machine,
            allocator: Allocator::new(machine.nodes),
            workload: Workload::default(),
            allocations: Vec::new(),
            names: Names::default(),
            size: Size::default(),
        }
    }

    /// Adds one job; `number` is its id.
    fn add(&mut self, part: &Part, arrival: Arrival, number: u64, seed: u64) -> Result<(), ComposeError> {
        let own_seed = hash::stream_seed(seed, "compose generate", number);
        let template = template(part, arrival.template, self.machine, own_seed)?;
        self.size.add(&template)?;
        let nodes = nodes_of(&template.job);
        let needed = nodes.len() as u32;
        let Some(grant) = self.allocator.place(arrival.at, needed, template.run) else {
            let (part, job, nodes) = (part.name.clone(), template.job.id, self.machine.nodes);
            return Err(ComposeError::TooWide { part, job, needed, nodes });
        };
        let layout = layout(part, number, seed);
        let files = self.place_files(part, &template, number, layout.as_ref());
        let end = grant.start + template.run;
        let mut job = match template {
            Cow::Borrowed(template) => template.job.clone(),
            Cow::Owned(template) => template.job,
        };
        for rank in &mut job.ranks {
            let place = nodes.get(&rank.node).and_then(|place| grant.nodes.get(*place));
            rank.node = place.copied().unwrap_or(rank.node);
            for op in &mut rank.ops {
                op.action = with_file(op.action, |file| files.get(file.0 as usize).copied().unwrap_or(file));
            }
        }
        job.id = JobId(number);
        job.start = grant.start;
        self.allocations.push(Allocation {
            job: job.id,
            part: arrival.part,
            arrival: arrival.at,
            start: grant.start,
            end,
            nodes: grant.nodes,
        });
        self.workload.jobs.push(job);
        Ok(())
    }

    /// Adds a job's files under names of its own, or finds those that it shares.
    fn place_files(
        &mut self,
        part: &Part,
        template: &Template,
        number: u64,
        layout: Option<&Layout>,
    ) -> Vec<FileId> {
        let mut written = vec![false; template.files.len()];
        let ops = template.job.ranks.iter().flat_map(|rank| &rank.ops);
        for op in ops {
            if let Action::Create { file } | Action::Write { file, .. } = op.action
                && let Some(mark) = written.get_mut(file.0 as usize)
            {
                *mark = true;
            }
        }
        let places = template.files.iter().zip(written).map(|(file, written)| {
            let is_input = file.exists && !written;
            let is_shared = is_input && part.shared.iter().any(|prefix| file.name.starts_with(prefix));
            let mut file = file.clone();
            if let Some(layout) = layout {
                file.logged = Some(layout.clone());
            }
            self.names.place(file, (!is_shared).then_some(number), &mut self.workload.files)
        });
        places.collect()
    }
}

/// The layout of a job's files, where its part says.
fn layout(part: &Part, number: u64, seed: u64) -> Option<Layout> {
    let shares: Vec<f64> = part.stripes.iter().map(|stripes| stripes.share).collect();
    let draw = Draws::new(seed, "compose stripes", number).unit();
    let stripes = part.stripes.get(chosen(&shares, draw))?;
    Some(Layout::plain(stripes.count, part.stripe_size))
}

/// Sums over the jobs so far, so that limits hold before a job is added.
#[derive(Default)]
struct Size {
    ranks: u128,
    ops: u128,
    files: u128,
    moved_bytes: u128,
}

impl Size {
    fn add(&mut self, template: &Template) -> Result<(), ComposeError> {
        self.ranks += template.job.ranks.len() as u128;
        self.files += template.files.len() as u128;
        for op in template.job.ranks.iter().flat_map(|rank| &rank.ops) {
            self.ops += 1;
            if let Action::Read { bytes, .. } | Action::Write { bytes, .. } = op.action {
                self.moved_bytes += u128::from(bytes);
            }
        }
        let limits = [
            ("ranks", self.ranks, RANKS_MAX),
            ("operations", self.ops, OPS_MAX),
            ("files", self.files, FILES_MAX),
            ("bytes to move", self.moved_bytes, MOVED_BYTES_MAX),
        ];
        match limits.into_iter().find(|(_, found, limit)| *found > u128::from(*limit)) {
            Some((what, _, limit)) => Err(ComposeError::TooMany { what, limit }),
            None => Ok(()),
        }
    }
}

/// Keeps file names unique. The maps are only looked up, so their random order does not show.
#[derive(Default)]
struct Names {
    taken: HashSet<String>,
    shared: HashMap<String, FileId>,
}

impl Names {
    /// Adds a file: the job's own as `name.JOB`, or a shared one under its name the first time it is used.
    fn place(&mut self, mut file: File, own: Option<u64>, files: &mut Vec<File>) -> FileId {
        let id = FileId(files.len() as u32);
        if own.is_none() {
            if let Some(known) = self.shared.get(&file.name) {
                return *known;
            }
            self.shared.insert(file.name.clone(), id);
        }
        // Jobs count from 1, so 0 is for a shared name that some job's own file has by chance.
        let suffix = own.unwrap_or(0);
        if own.is_some() {
            file.name = format!("{}.{suffix}", file.name);
        }
        while !self.taken.insert(file.name.clone()) {
            file.name = format!("{}.{suffix}", file.name);
        }
        files.push(file);
        id
    }
}

//! The JSON that `/api/v1` and the command's `--output json` share.

use serde::Serialize;
use tarazu_proto::v1::{self, policy::Mode};

/// Schema of a status.
const STATUS_SCHEMA: &str = "tarazu.status/1";
/// Schema of a list of targets.
const TARGETS_SCHEMA: &str = "tarazu.targets/1";
/// Schema of a plan's reasons.
const EXPLAIN_SCHEMA: &str = "tarazu.plan/1";

/// A plan's number.
#[derive(Debug, Serialize)]
pub(crate) struct Order {
    term: u64,
    seq: u64,
}

impl Order {
    fn of(order: Option<v1::Order>) -> Option<Self> {
        order.map(|order| Self { term: order.term, seq: order.seq })
    }
}

/// How all file systems stand.
#[derive(Debug, Serialize)]
pub(crate) struct Status {
    schema: &'static str,
    version: String,
    uptime_s: f64,
    warnings: Vec<String>,
    file_systems: Vec<FileSystem>,
}

#[derive(Debug, Serialize)]
struct FileSystem {
    name: String,
    plan: Option<Order>,
    plan_age_s: f64,
    steady_only: bool,
    starting: bool,
    targets: u32,
    targets_fresh: u32,
    targets_drained: u32,
    targets_excluded: u32,
    servers: u32,
    servers_connected: u32,
    nodes: u32,
    jobs: u32,
    jobs_steered: u32,
    mode: &'static str,
    canary: bool,
    detect: bool,
    interval_s: f64,
    plans: u64,
    files_placed: u64,
    table_bytes: u32,
    refused: std::collections::BTreeMap<String, u64>,
}

/// The word for a policy's mode.
pub(crate) fn mode(policy: Option<&v1::Policy>) -> &'static str {
    match policy.map(v1::Policy::mode) {
        Some(Mode::Apply) => "apply",
        Some(Mode::Observe) => "observe",
        _ => "unknown",
    }
}

/// A status as JSON.
pub(crate) fn status(status: &v1::StatusResponse) -> Status {
    let file_system = |fs: &v1::FileSystemStatus| FileSystem {
        name: fs.name.clone(),
        plan: Order::of(fs.order),
        plan_age_s: fs.order_age_s,
        steady_only: fs.steady_only,
        starting: fs.starting,
        targets: fs.targets,
        targets_fresh: fs.targets_fresh,
        targets_drained: fs.targets_drained,
        targets_excluded: fs.targets_excluded,
        servers: fs.servers,
        servers_connected: fs.servers_connected,
        nodes: fs.nodes,
        jobs: fs.jobs,
        jobs_steered: fs.jobs_steered,
        mode: mode(fs.policy.as_ref()),
        canary: fs.policy.is_some_and(|policy| policy.canary),
        detect: fs.policy.is_some_and(|policy| policy.detect),
        interval_s: f64::from(fs.interval_ms) / 1e3,
        plans: fs.plans,
        files_placed: fs.files_placed,
        table_bytes: fs.table_bytes,
        refused: fs.refused.iter().map(|(reason, count)| (reason.clone(), *count)).collect(),
    };
    Status {
        schema: STATUS_SCHEMA,
        version: status.version.clone(),
        uptime_s: status.uptime_s,
        warnings: status.warnings.clone(),
        file_systems: status.file_systems.iter().map(file_system).collect(),
    }
}

/// All targets.
#[derive(Debug, Serialize)]
pub(crate) struct Targets {
    schema: &'static str,
    targets: Vec<Target>,
}

#[derive(Debug, Serialize)]
struct Target {
    file_system: String,
    ost: String,
    ost_index: u32,
    server: String,
    state: String,
    reason: String,
    health: f64,
    read_bps: f64,
    write_bps: f64,
    free_bytes: u64,
    capacity_bytes: u64,
    outstanding_bytes: u64,
    open_files: u32,
    sample_age_s: Option<f64>,
    ticket_share: f64,
    drain: Option<Drain>,
}

#[derive(Debug, Serialize)]
struct Drain {
    reason: String,
    by: String,
    since: String,
    until: Option<String>,
}

/// A moment as RFC 3339, to the second.
pub(crate) fn rfc3339(unix_ns: u64) -> String {
    let moment = jiff::Timestamp::from_second((unix_ns / 1_000_000_000) as i64);
    moment.map_or_else(|_| "beyond all dates".into(), |moment| moment.to_string())
}

/// A list of targets as JSON.
pub(crate) fn targets(targets: &[v1::Target]) -> Targets {
    let drain = |drain: &v1::DrainInfo| Drain {
        reason: drain.reason.clone(),
        by: drain.by.clone(),
        since: rfc3339(drain.since_unix_ns),
        until: drain.until_unix_ns.map(rfc3339),
    };
    let target = |target: &v1::Target| Target {
        file_system: target.file_system.clone(),
        ost: format!("OST{:04x}", target.ost_index),
        ost_index: target.ost_index,
        server: target.server.clone(),
        state: target.state.clone(),
        reason: target.reason.clone(),
        health: target.health,
        read_bps: target.read_bps,
        write_bps: target.write_bps,
        free_bytes: target.free_bytes,
        capacity_bytes: target.capacity_bytes,
        outstanding_bytes: target.outstanding_bytes,
        open_files: target.open_files,
        sample_age_s: target.sample_age_s,
        ticket_share: target.ticket_share,
        drain: target.drain.as_ref().map(drain),
    };
    Targets { schema: TARGETS_SCHEMA, targets: targets.iter().map(target).collect() }
}

/// Why a plan does what it does.
#[derive(Debug, Serialize)]
pub(crate) struct Explained {
    schema: &'static str,
    file_system: String,
    plan: Option<Order>,
    age_s: f64,
    steady_only: bool,
    targets: Vec<TargetWhy>,
    job: Option<JobWhy>,
}

#[derive(Debug, Serialize)]
struct TargetWhy {
    ost: String,
    ost_index: u32,
    reason: String,
    health: f64,
    ramp: f64,
    write_bps: f64,
    waiting_s: f64,
    ticket_shares: Vec<f64>,
    judged: String,
}

#[derive(Debug, Serialize)]
struct JobWhy {
    why: String,
    steered: bool,
    stock_s: f64,
    planned_s: f64,
    cost_s: f64,
    expected_bytes: u64,
}

/// A plan's reasons as JSON.
pub(crate) fn explain(file_system: &str, explained: &v1::ExplainResponse) -> Explained {
    let target = |why: &v1::TargetWhy| TargetWhy {
        ost: format!("OST{:04x}", why.ost_index),
        ost_index: why.ost_index,
        reason: why.reason.clone(),
        health: why.health,
        ramp: why.ramp,
        write_bps: why.write_bps,
        waiting_s: why.waiting_s,
        ticket_shares: why.ticket_shares.clone(),
        judged: why.judged.clone(),
    };
    let job = |why: &v1::JobWhy| JobWhy {
        why: why.why.clone(),
        steered: why.steered,
        stock_s: why.stock_s,
        planned_s: why.planned_s,
        cost_s: why.cost_s,
        expected_bytes: why.expected_bytes,
    };
    Explained {
        schema: EXPLAIN_SCHEMA,
        file_system: file_system.to_owned(),
        plan: Order::of(explained.order),
        age_s: explained.age_s,
        steady_only: explained.steady_only,
        targets: explained.targets.iter().map(target).collect(),
        job: explained.job.as_ref().map(job),
    }
}

//! What is shown of a file system: pure, from the state machine to messages.

use tarazu_core::control::{Control, Refused};
use tarazu_core::health::Judge;
use tarazu_core::plan::{Belief, ClassPlan, Plan, TargetReason};
use tarazu_core::view::Exclusion;
use tarazu_layout::{ServerId, TargetId, Time};
use tarazu_proto::v1;
use tarazu_table::{FRESH_INTERVALS, JobName, Table};

use super::tables::Newest;

/// Everything that the state machine knows of how things stand.
pub(crate) fn fill_status(status: &mut v1::FileSystemStatus, control: &Control, now: Time) {
    let view = control.view();
    let fresh_within = std::time::Duration::from_millis(u64::from(status.interval_ms)) * FRESH_INTERVALS;
    status.starting = control.is_starting();
    status.targets = view.targets.len() as u32;
    status.targets_fresh = view.fresh_targets(now, fresh_within) as u32;
    status.targets_drained = view.targets.iter().filter(|target| target.drained.is_some()).count() as u32;
    status.jobs = view.jobs.len() as u32;
    status.policy = Some(tarazu_proto::policy_to(control.policy()));
    let Some(plan) = control.plan() else { return };
    let is_excluded = |reason: &&TargetReason| matches!(reason, TargetReason::Excluded(_));
    status.targets_excluded = plan.reasons.iter().filter(is_excluded).count() as u32;
    status.order = Some(v1::Order { term: plan.order.term, seq: plan.order.seq });
    status.order_age_s = control.last_word_at().map_or(0.0, |at| now.since(at).as_secs_f64());
    status.steady_only = plan.steady_only;
    let is_steered = |job: &&tarazu_table::JobEntry| job.worthwhile && !plan.observe_only;
    status.jobs_steered = plan.jobs.iter().filter(is_steered).count() as u32;
}

/// All targets, in order of their number.
pub(crate) fn targets<'a>(
    file_system: &str,
    control: &Control,
    server_name: &dyn Fn(ServerId) -> &'a str,
    now: Time,
) -> Vec<v1::Target> {
    let view = control.view();
    let one = |target: TargetId| {
        let (spec, seen) = (&view.topology.targets()[target.index()], &view.targets[target.index()]);
        let reason = control.plan().and_then(|plan| plan.reasons.get(target.index()).copied());
        let (state, reason) = state(view.standing(target), reason);
        v1::Target {
            file_system: file_system.to_owned(),
            ost_index: spec.ost.0,
            server: server_name(spec.server).to_owned(),
            state: state.to_owned(),
            reason,
            health: seen.health.write.min(seen.health.read),
            read_bps: seen.load.map_or(0.0, |load| load.read_bps),
            write_bps: seen.load.map_or(0.0, |load| load.write_bps),
            free_bytes: seen.free.0,
            capacity_bytes: spec.capacity.0,
            outstanding_bytes: view.ledger.outstanding(target).0,
            open_files: view.ledger.streams(target),
            sample_age_s: seen.load.map(|load| now.since(load.at).as_secs_f64()),
            drain: seen.drained.as_ref().map(tarazu_proto::drain_to),
            ticket_share: control.plan().map_or(0.0, |plan| all_classes_share(plan, target)),
        }
    };
    view.topology.ids().map(one).collect()
}

/// One word for the list, and the reason behind it: what holds now, before what the plan still says.
fn state(standing: Option<Exclusion>, planned: Option<TargetReason>) -> (&'static str, String) {
    match (standing, planned) {
        (Some(Exclusion::Drained), _) => ("drained", "drained".into()),
        (Some(Exclusion::Silent), _) => ("silent", "silent".into()),
        (Some(why), Some(TargetReason::SparedByCap(_))) => ("spared", why.as_str().into()),
        (Some(why), _) => ("excluded", why.as_str().into()),
        (None, _) => ("ok", String::new()),
    }
}

fn all_classes_share(plan: &Plan, target: TargetId) -> f64 {
    let shares: Vec<f64> = plan.classes.iter().map(|class| share(class, target)).collect();
    shares.iter().sum::<f64>() / shares.len().max(1) as f64
}

fn share(class: &ClassPlan, target: TargetId) -> f64 {
    let all: u64 = class.tickets.iter().map(|tickets| u64::from(*tickets)).sum();
    let own = class.tickets.get(target.index()).copied().unwrap_or(0);
    f64::from(own) / all.max(1) as f64
}

/// Why the newest plan does what it does.
pub(crate) fn explain(
    newest: &Newest,
    osts: &[u32],
    name: Option<&JobName>,
    now: Time,
) -> v1::ExplainResponse {
    let plan = &newest.publication.plan;
    let order = plan.order;
    v1::ExplainResponse {
        order: Some(v1::Order { term: order.term, seq: order.seq }),
        age_s: now.since(plan.made_at).as_secs_f64(),
        steady_only: plan.steady_only,
        targets: targets_why(newest, plan, osts),
        job: name.and_then(|name| job_why(plan, name)),
    }
}

fn targets_why(newest: &Newest, plan: &Plan, osts: &[u32]) -> Vec<v1::TargetWhy> {
    let Ok(table) = Table::reopen(&newest.publication.table, newest.checksum) else { return Vec::new() };
    let wanted = |target: &TargetId| {
        let ost = table.ost_index(*target).map(|ost| ost.0);
        ost.filter(|ost| osts.is_empty() || osts.contains(ost)).map(|ost| (*target, ost))
    };
    let all = (0..plan.reasons.len() as u32).map(TargetId);
    let why = |(target, ost): (TargetId, u32)| {
        let belief = &plan.beliefs[target.index()];
        v1::TargetWhy {
            ost_index: ost,
            reason: reason_text(plan.reasons[target.index()]),
            health: belief.health.write.min(belief.health.read),
            ramp: belief.ramp,
            write_bps: belief.write_bps,
            waiting_s: belief.waiting_s,
            ticket_shares: plan.classes.iter().map(|class| share(class, target)).collect(),
            judged: judged_text(belief),
        }
    };
    all.filter_map(|target| wanted(&target)).map(why).collect()
}

fn reason_text(reason: TargetReason) -> String {
    match reason {
        TargetReason::TakesPart => "takes_part".into(),
        TargetReason::Excluded(why) => format!("excluded.{}", why.as_str()),
        TargetReason::SparedByCap(why) => format!("spared_by_cap.{}", why.as_str()),
    }
}

fn judged_text(belief: &Belief) -> String {
    let Some(judgement) = belief.judged else { return String::new() };
    let mib = f64::from(1 << 20);
    match judgement.by {
        Judge::Operator => "an operator says so".into(),
        Judge::Detector(evidence) => format!(
            "it served {:.1} MiB/s where {:.1} MiB/s were usual, {} observations, compared with {}",
            evidence.served_bps / mib,
            evidence.peers_bps / mib,
            evidence.intervals,
            evidence.source.as_str()
        ),
    }
}

fn job_why(plan: &Plan, name: &JobName) -> Option<v1::JobWhy> {
    let key = name.keys().into_iter().find(|key| plan.verdicts.contains_key(key))?;
    let verdict = &plan.verdicts[&key];
    let entry = plan.jobs.iter().find(|entry| entry.key == key);
    Some(v1::JobWhy {
        why: verdict.why.as_str().to_owned(),
        steered: verdict.why.steers() && !plan.observe_only,
        stock_s: verdict.gain.stock_s,
        planned_s: verdict.gain.planned_s,
        cost_s: verdict.cost_s,
        expected_bytes: entry.map_or(0, |entry| entry.expected_bytes),
    })
}

/// A short stable name of a refusal.
pub(crate) fn refusal_kind(refused: &Refused) -> &'static str {
    use tarazu_core::view::SampleError;
    match refused {
        Refused::Sample(error) => match error {
            SampleError::UnknownServer(_) => "sample.unknown_server",
            SampleError::ForeignTarget { .. } => "sample.foreign_target",
            SampleError::RepeatedTarget { .. } => "sample.repeated_target",
            SampleError::Repeated { .. } => "sample.repeated",
            SampleError::Interval(_) => "sample.interval",
            SampleError::Impossible { .. } => "sample.impossible",
        },
        Refused::StaleSolution { .. } => "stale_solution",
        Refused::JobsFull(_) => "jobs_full",
        Refused::UnknownTarget(_) => "unknown_target",
        Refused::ImpossibleTerm { .. } => "impossible_term",
        Refused::Grown(_) => "topology",
        Refused::UnknownCanary(_) => "unknown_canary",
        Refused::UnknownWrite { .. } => "unknown_write",
        Refused::Publish(_) => "publish",
    }
}

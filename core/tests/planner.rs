//! The planner through its public face: who gets how many tickets, and why.

mod common;

use std::time::Duration;

use common::{INTERVAL, drain, job, quiet_view, sample};
use proptest::prelude::*;
use tarazu_core::demand::{Demand, class_of};
use tarazu_core::plan::{Plan, TargetReason};
use tarazu_core::planner::{AUTOMATIC_EXCLUSIONS_MAX, Parts, TarazuPlanner};
use tarazu_core::policy::Planner;
use tarazu_core::rng::stream;
use tarazu_core::sample::TargetFlags;
use tarazu_core::view::{Exclusion, Health, View};
use tarazu_layout::{Bytes, JobId, TargetId, Time};

const NOW: Time = Time(100_000_000_000);

fn planner() -> TarazuPlanner {
    TarazuPlanner {
        fresh_within: INTERVAL * 3,
        now: NOW,
        lead: Duration::ZERO,
        layout_cost: Duration::from_micros(300),
        layout_service: Duration::from_micros(20),
        always: false,
        parts: Parts::ALL,
    }
}

fn plan(view: &View, previous: Option<&Plan>) -> Plan {
    let mut rng = stream(1, "planner test", 0);
    planner().plan(view, &Demand::of_running_jobs(view), previous, &mut rng)
}

fn spread(tickets: &[u32]) -> (u32, u32) {
    let least = tickets.iter().copied().min().unwrap_or(0);
    (least, tickets.iter().copied().max().unwrap_or(0))
}

#[test]
fn a_quiet_system_gives_equal_tickets_and_steers_nobody() {
    let mut view = quiet_view(7, 5, NOW);
    view.take_job_start(job(1, 64, Bytes::gib(2)));
    let plan = plan(&view, None);
    for class in &plan.classes {
        let (least, most) = spread(&class.tickets);
        assert_eq!(least, most, "all targets are equal");
    }
    assert!(!plan.steady_only);
    assert_eq!(plan.jobs.len(), 1);
    assert!(!plan.jobs[0].worthwhile, "nothing can be gained on a balanced system");
}

#[test]
fn a_slow_target_is_excluded_and_its_jobs_are_steered() {
    let mut view = quiet_view(7, 5, NOW);
    view.take_job_start(job(1, 64, Bytes::gib(2)));
    view.targets[3].health = Health { read: 0.05, write: 0.05 };
    let plan = plan(&view, None);
    assert_eq!(plan.reasons[3], TargetReason::Excluded(Exclusion::Sick));
    assert!(plan.classes.iter().all(|class| class.tickets[3] == 0));
    assert_eq!(plan.steady.tickets[3], 0);
    assert!(plan.jobs[0].worthwhile);
}

#[test]
fn a_somewhat_slow_target_gets_fewer_tickets() {
    let mut view = quiet_view(7, 5, NOW);
    view.targets[3].health.write = 0.5;
    let plan = plan(&view, None);
    let tickets = &plan.classes[2].tickets;
    let share = f64::from(tickets[3]) / f64::from(tickets[4]);
    assert!((0.4..0.6).contains(&share), "half the speed got {share} of the tickets");
}

#[test]
fn placed_work_is_avoided() {
    let mut view = quiet_view(7, 5, NOW);
    view.take_job_start(job(1, 35, Bytes::gib(2)));
    view.ledger.place(JobId(9), TargetId(8), Bytes::gib(4), NOW);
    let plan = plan(&view, None);
    let class = usize::from(class_of(Bytes::gib(2)));
    let tickets = &plan.classes[class].tickets;
    assert!(tickets[8] < tickets[9], "{tickets:?}");
    assert!(plan.jobs[0].worthwhile);
}

#[test]
fn foreign_load_counts_by_its_persistence() {
    let mut view = quiet_view(7, 5, NOW);
    let topology = view.topology.clone();
    // Server 2 writes 0.8 GB/s to each of its targets, none of it announced.
    view.take_sample(&sample(&topology, 2, 2, 4_000_000_000), NOW).expect("a good sample");
    let plan = plan(&view, None);
    let tickets = &plan.classes[2].tickets;
    let share = f64::from(tickets[10]) / f64::from(tickets[0]);
    // 1 - 0.31 × 0.8 = 0.75 of the bandwidth is expected.
    assert!((0.65..0.85).contains(&share), "{share}");
}

#[test]
fn our_own_judgement_excludes_at_most_a_third_and_spares_the_best() {
    let mut view = quiet_view(5, 2, NOW);
    for (number, target) in view.targets.iter_mut().enumerate().take(6) {
        target.health.write = 0.01 * (number + 1) as f64;
    }
    let plan = plan(&view, None);
    let excluded = (10.0 * AUTOMATIC_EXCLUSIONS_MAX) as usize;
    for number in 0..6 {
        let expected = if number < excluded {
            TargetReason::Excluded(Exclusion::Sick)
        } else {
            TargetReason::SparedByCap(Exclusion::Sick)
        };
        assert_eq!(plan.reasons[number], expected, "target {number}");
    }
}

#[test]
fn hard_limits_are_not_subject_to_the_cap() {
    let mut view = quiet_view(2, 2, NOW);
    for target in &mut view.targets {
        target.flags = TargetFlags { no_create: true, ..TargetFlags::default() };
    }
    let plan = plan(&view, None);
    assert!(plan.reasons.iter().all(|reason| *reason == TargetReason::Excluded(Exclusion::Unusable)));
    assert!(plan.steady.ring.is_none() && plan.classes.iter().all(|class| class.ring.is_none()));
}

#[test]
fn a_drain_is_worth_any_round_trip() {
    let mut view = quiet_view(7, 5, NOW);
    view.take_job_start(job(1, 1, Bytes(1)));
    view.targets[0].drained = Some(drain());
    let plan = plan(&view, None);
    assert!(plan.jobs[0].worthwhile);
    assert!(plan.classes.iter().all(|class| class.tickets[0] == 0));
}

#[test]
fn tiny_files_are_not_worth_a_layout() {
    let mut view = quiet_view(7, 5, NOW);
    view.take_job_start(job(1, 4, Bytes(4096)));
    view.targets[3].health = Health { read: 0.05, write: 0.05 };
    assert!(!plan(&view, None).jobs[0].worthwhile);
}

#[test]
fn every_file_of_a_process_costs_its_layout() {
    let mut view = quiet_view(7, 5, NOW);
    view.targets[3].health = Health { read: 0.05, write: 0.05 };
    let mut start = job(1, 1000, Bytes::mib(4));
    view.take_job_start(start.clone());
    assert!(plan(&view, None).jobs[0].worthwhile, "a thousand processes with one file each");
    start.files[0].files_per_process = 1000;
    view.take_job_start(start);
    assert!(!plan(&view, None).jobs[0].worthwhile, "one process with a thousand files");
}

#[test]
fn placed_files_are_no_demand_any_more() {
    let mut view = quiet_view(7, 5, NOW);
    view.take_job_start(job(1, 10, Bytes::gib(2)));
    let class = usize::from(class_of(Bytes::gib(2)));
    assert_eq!(Demand::of_running_jobs(&view).classes[class].stripes, 10);
    view.ledger.place(JobId(1), TargetId(0), Bytes::gib(8), NOW);
    assert_eq!(Demand::of_running_jobs(&view).classes[class].stripes, 6);
    view.ledger.place(JobId(1), TargetId(1), Bytes::gib(100), NOW);
    assert_eq!(Demand::of_running_jobs(&view).classes[class].stripes, 0);
}

#[test]
fn without_fresh_samples_only_the_steady_ring_counts() {
    let view = quiet_view(2, 2, NOW);
    let late = TarazuPlanner { now: NOW + Duration::from_secs(60), ..planner() };
    let mut rng = stream(1, "planner test", 0);
    let plan = { late }.plan(&view, &Demand::default(), None, &mut rng);
    assert!(plan.steady_only);
}

proptest! {
    /// Solving again with the previous plan at hand changes nothing.
    #[test]
    fn solving_twice_changes_nothing(
        health in prop::collection::vec(0.02f64..1.0, 12),
        placed in prop::collection::vec((0u32..12, 0u64..1 << 36), 0..20),
        files in 0u32..200,
    ) {
        let mut view = quiet_view(4, 3, NOW);
        for (target, health) in view.targets.iter_mut().zip(health) {
            target.health = Health { read: health, write: health };
        }
        for (target, bytes) in placed {
            view.ledger.place(JobId(5), TargetId(target), Bytes(bytes), NOW);
        }
        view.take_job_start(job(1, files, Bytes::mib(700)));
        let first = plan(&view, None);
        let second = plan(&view, Some(&first));
        for (before, after) in first.classes.iter().zip(&second.classes) {
            prop_assert_eq!(&before.tickets, &after.tickets);
            prop_assert_eq!(&before.ring, &after.ring);
        }
        prop_assert_eq!(first.steady.ring, second.steady.ring);
        prop_assert_eq!(first.jobs, second.jobs);
    }
}

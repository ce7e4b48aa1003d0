//! The controller as a state machine: terms, durability, stale solutions, refusals.

mod common;

use std::sync::Arc;

use common::{INTERVAL, drain, job, sample, topology};
use tarazu_core::control::{
    Control, ControlConfig, Drain, Durable, Effect, Event, Policy, Problem, Publication, Refused,
    SOLVE_INTERVALS_MAX, STARTING_MAX,
};
use tarazu_core::plan::Plan;
use tarazu_core::planner::{Parts, TarazuPlanner};
use tarazu_core::rng::{Rng, stream};
use tarazu_core::view::Health;
use tarazu_layout::{Bytes, FsId, TargetId, Time};
use tarazu_table::{FsIdentity, Order, Table};

/// A controller with its shell reduced to a list of effects.
struct Shell {
    control: Control,
    rng: Rng,
    now: Time,
}

impl Shell {
    fn new() -> Self {
        let config = ControlConfig { fs: FsIdentity::new(FsId(0), "scratch"), interval: INTERVAL };
        Self {
            control: Control::new(config, topology(2, 2)),
            rng: stream(1, "control test", 0),
            now: Time::ZERO,
        }
    }

    fn step(&mut self, event: Event) -> Vec<Effect> {
        let mut out = Vec::new();
        self.control.step(self.now, event, &mut self.rng, &mut out);
        out
    }

    fn wait(&mut self) {
        self.now += INTERVAL;
    }

    /// Starts and makes the first term durable.
    fn started() -> (Self, Vec<Effect>) {
        let mut shell = Self::new();
        let write = write_of(&shell.step(Event::Started { stored_term: 4, drained: vec![], policy: None }));
        let effects = shell.step(Event::Persisted { write });
        (shell, effects)
    }

    fn solve(&mut self, problem: &Problem) -> Plan {
        let mut planner = TarazuPlanner {
            fresh_within: INTERVAL * 3,
            now: self.now,
            lead: std::time::Duration::ZERO,
            layout_cost: std::time::Duration::ZERO,
            layout_service: std::time::Duration::ZERO,
            always: false,
            parts: Parts::ALL,
        };
        problem.solve(&mut planner, &mut self.rng)
    }

    fn solved(&mut self, problem: &Problem) -> Vec<Effect> {
        let plan = Box::new(self.solve(problem));
        self.step(Event::Solved { seq: problem.seq, plan })
    }
}

fn write_of(effects: &[Effect]) -> u64 {
    let write = effects.iter().find_map(|effect| match effect {
        Effect::Persist { write, .. } => Some(*write),
        _ => None,
    });
    write.expect("something to make durable")
}

fn problem_of(effects: Vec<Effect>) -> Option<Problem> {
    effects.into_iter().find_map(|effect| match effect {
        Effect::Solve(problem) => Some(problem),
        _ => None,
    })
}

fn published(effects: Vec<Effect>) -> Option<Arc<Publication>> {
    effects.into_iter().find_map(|effect| match effect {
        Effect::Publish(publication) => Some(publication),
        _ => None,
    })
}

fn refusal(effects: Vec<Effect>) -> Option<Refused> {
    effects.into_iter().find_map(|effect| match effect {
        Effect::Refused(refused) => Some(refused),
        _ => None,
    })
}

#[test]
fn nothing_is_planned_before_the_term_is_durable() {
    let mut shell = Shell::new();
    let effects = shell.step(Event::Started { stored_term: 4, drained: vec![], policy: None });
    assert!(matches!(effects[..], [Effect::Persist { record: Durable::Term(5), .. }]));
    let write = write_of(&effects);
    assert!(problem_of(shell.step(Event::JobStarted(job(1, 4, Bytes::gib(1))))).is_none());
    let problem = problem_of(shell.step(Event::Persisted { write })).expect("now it plans");
    let table = published(shell.solved(&problem)).expect("a table").table.clone();
    assert_eq!(Table::verify(&table).expect("a good table").order(), Order { term: 5, seq: 1 });
}

#[test]
fn plans_come_at_most_once_an_interval_and_only_for_a_change() {
    let (mut shell, effects) = Shell::started();
    let first = problem_of(effects).expect("the first plan");
    shell.solved(&first);
    let news = Event::Sample(sample(&topology(2, 2), 0, 1, 0));
    assert!(problem_of(shell.step(news)).is_none(), "the interval is not over");
    shell.wait();
    let second = problem_of(shell.step(Event::Tick)).expect("the change is still to be planned for");
    assert_eq!(second.previous.as_ref().map(|plan| plan.order.seq), Some(1));
    shell.solved(&second);
    shell.wait();
    assert!(problem_of(shell.step(Event::Tick)).is_none(), "nothing changed");
}

#[test]
fn a_higher_term_seen_stops_publishing_until_ours_is_above_it() {
    let (mut shell, effects) = Shell::started();
    let problem = problem_of(effects).expect("a plan");
    let write = write_of(&shell.step(Event::SawTerm(9)));
    assert!(published(shell.solved(&problem)).is_none(), "a plan of an old term must not go out");
    shell.wait();
    assert!(problem_of(shell.step(Event::Tick)).is_none());
    let problem = problem_of(shell.step(Event::Persisted { write })).expect("it plans again");
    let order = published(shell.solved(&problem)).expect("a table").plan.order;
    assert_eq!(order, Order { term: 10, seq: 1 });
    assert!(shell.step(Event::SawTerm(10)).is_empty(), "our own term is no news");
}

#[test]
fn a_drain_takes_effect_when_it_is_durable() {
    let (mut shell, _) = Shell::started();
    let target = TargetId(1);
    let write = write_of(&shell.step(Event::Drain { target, drain: Some(drain()) }));
    assert!(shell.control.view().targets[1].drained.is_none());
    shell.step(Event::Persisted { write });
    assert!(shell.control.view().targets[1].drained.is_some());
    let refused = refusal(shell.step(Event::Persisted { write }));
    assert_eq!(refused, Some(Refused::UnknownWrite { write }));
    let refused = refusal(shell.step(Event::Drain { target: TargetId(4), drain: Some(drain()) }));
    assert_eq!(refused, Some(Refused::UnknownTarget(TargetId(4))));
}

#[test]
fn a_lost_solver_is_given_up_and_its_late_answer_dropped() {
    let (mut shell, effects) = Shell::started();
    let lost = problem_of(effects).expect("a plan");
    for _ in 1..SOLVE_INTERVALS_MAX {
        shell.wait();
        assert!(problem_of(shell.step(Event::Tick)).is_none(), "one problem at a time");
    }
    shell.wait();
    let again = problem_of(shell.step(Event::Tick)).expect("stated anew");
    assert!(published(shell.solved(&lost)).is_some(), "a late plan is better than none");
    assert!(published(shell.solved(&again)).is_some());
    let late = refusal(shell.solved(&lost));
    assert_eq!(late, Some(Refused::StaleSolution { seq: lost.seq }));
    let twice = refusal(shell.solved(&again));
    assert_eq!(twice, Some(Refused::StaleSolution { seq: again.seq }));
}

#[test]
fn a_solver_that_is_always_late_still_publishes() {
    let (mut shell, effects) = Shell::started();
    let mut waiting: Vec<(Time, Problem)> = effects_to_problems(effects, shell.now);
    let mut tables = 0;
    for step in 1..200u64 {
        shell.now += INTERVAL;
        let load = sample(&topology(2, 2), 0, step, (step % 7) << 30);
        waiting.extend(effects_to_problems(shell.step(Event::Sample(load)), shell.now));
        // Each solution takes longer than the controller is willing to wait.
        let due =
            waiting.iter().position(|(at, _)| shell.now.since(*at) > INTERVAL * (SOLVE_INTERVALS_MAX + 1));
        if let Some((_, problem)) = due.map(|place| waiting.remove(place)) {
            tables += usize::from(published(shell.solved(&problem)).is_some());
        }
    }
    assert!(tables > 10, "{tables} tables in 200 intervals");
}

fn effects_to_problems(effects: Vec<Effect>, now: Time) -> Vec<(Time, Problem)> {
    problem_of(effects).into_iter().map(|problem| (now, problem)).collect()
}

#[test]
fn a_plan_without_news_is_confirmed_every_interval_and_made_anew_when_agents_fall_silent() {
    let (mut shell, effects) = Shell::started();
    let problem = problem_of(effects).expect("a plan");
    shell.solved(&problem);
    let quiet = |sequence: u64, server: u32| Event::Sample(sample(&topology(2, 2), server, sequence, 0));
    let mut confirmed = 0;
    let mut plans = 0;
    for step in 1..10 {
        shell.wait();
        for event in [quiet(step, 0), quiet(step, 1), Event::Tick] {
            let effects = shell.step(event);
            confirmed += effects.iter().filter(|effect| matches!(effect, Effect::Confirm(_))).count();
            if let Some(problem) = problem_of(effects) {
                shell.solved(&problem);
                plans += 1;
            }
        }
    }
    assert!(plans <= 2, "{plans} plans although nothing happened");
    assert!(confirmed >= 7, "{confirmed} confirmations in 9 intervals");
    // Now nobody reports any more.
    for _ in 0..4 {
        shell.wait();
        if let Some(problem) = problem_of(shell.step(Event::Tick)) {
            let plan = published(shell.solved(&problem)).expect("a table").plan.clone();
            assert!(plan.steady_only);
            return;
        }
    }
    panic!("silence must lead to a plan that says so");
}

#[test]
fn an_impossible_term_is_refused_and_one_before_the_start_waits() {
    let mut shell = Shell::new();
    assert!(shell.step(Event::SawTerm(50)).is_empty(), "nothing is known before the start");
    shell.step(Event::Started { stored_term: 100, drained: vec![(TargetId(2), drain())], policy: None });
    assert!(shell.control.view().targets[2].drained.is_some(), "a drain survives a restart");
    let refused = refusal(shell.step(Event::SawTerm(u64::MAX)));
    assert_eq!(refused, Some(Refused::ImpossibleTerm { seen: u64::MAX, known: 101 }));
    let effects = shell.step(Event::SawTerm(103));
    assert!(matches!(effects[..], [Effect::Persist { record: Durable::Term(104), .. }]));
}

#[test]
fn drains_may_become_durable_in_any_order() {
    let (mut shell, _) = Shell::started();
    let target = TargetId(1);
    let out = write_of(&shell.step(Event::Drain { target, drain: Some(drain()) }));
    let back = write_of(&shell.step(Event::Drain { target, drain: None }));
    shell.step(Event::Persisted { write: back });
    shell.step(Event::Persisted { write: out });
    assert!(shell.control.view().targets[1].drained.is_none(), "the newest word counts");
}

#[test]
fn a_repeated_sample_is_refused_and_changes_nothing() {
    let (mut shell, effects) = Shell::started();
    let problem = problem_of(effects).expect("a plan");
    shell.solved(&problem);
    let news = sample(&topology(2, 2), 0, 1, 7);
    shell.step(Event::Sample(news.clone()));
    let before = shell.control.view().targets.clone();
    assert!(matches!(refusal(shell.step(Event::Sample(news))), Some(Refused::Sample(_))));
    assert_eq!(shell.control.view().targets, before);
}

#[test]
fn senseless_judgements_are_bounded() {
    let (mut shell, _) = Shell::started();
    let target = TargetId(0);
    shell.step(Event::Judged { target, health: Health { read: -4.0, write: f64::NAN } });
    assert_eq!(shell.control.view().targets[0].health, Health { read: 1e-3, write: 1.0 });
    let health = Health::WELL;
    let refused = refusal(shell.step(Event::Judged { target: TargetId(77), health }));
    assert_eq!(refused, Some(Refused::UnknownTarget(TargetId(77))));
}

#[test]
fn the_same_events_give_the_same_tables() {
    let run = || {
        let (mut shell, effects) = Shell::started();
        let mut tables = Vec::new();
        let mut problem = problem_of(effects);
        for step in 1..20u64 {
            if let Some(problem) = &problem {
                tables.extend(published(shell.solved(problem)).map(|publication| publication.table.clone()));
            }
            shell.wait();
            let mut effects = shell.step(Event::JobStarted(job(step, step as u32, Bytes::mib(step * 100))));
            effects.extend(shell.step(Event::Sample(sample(&topology(2, 2), 0, step, step << 20))));
            problem = problem_of(effects);
        }
        tables
    };
    let tables = run();
    assert!(tables.len() > 10);
    assert_eq!(tables, run());
}

/// A profile is somebody's word; one that no table can say must not stop the plans of everybody.
#[test]
fn an_odd_profile_does_not_stop_plans() {
    let (mut shell, effects) = Shell::started();
    let problem = problem_of(effects).expect("a problem");
    published(shell.solved(&problem)).expect("a table");
    shell.wait();
    let mut odd = job(1, 4, Bytes::gib(1));
    odd.files[0].stripe_count = u32::MAX;
    odd.files[0].stripe_size = 1_000_000;
    odd.files[0].confidence = 255;
    odd.files[0].placed = Bytes(u64::MAX);
    odd.files[0].files_per_burst = u32::MAX;
    odd.files[0].stripes_per_burst = u64::MAX;
    let problem = problem_of(shell.step(Event::JobStarted(odd))).expect("a problem");
    let table = published(shell.solved(&problem)).expect("a table").table.clone();
    let table = Table::verify(&table).expect("a good table");
    let row = table.job(0).expect("its row");
    assert_eq!((row.stripe_count, row.stripe_size, row.confidence_percent), (2000, 983_040, 100));
}

/// What could not be published may be what makes the old plan wrong.
#[test]
fn a_plan_is_not_confirmed_after_one_that_could_not_be_published() {
    let (mut shell, effects) = Shell::started();
    let problem = problem_of(effects).expect("a problem");
    published(shell.solved(&problem)).expect("a table");
    shell.wait();
    let problem = problem_of(shell.step(Event::JobStarted(job(1, 4, Bytes::gib(1))))).expect("a problem");
    let mut plan = shell.solve(&problem);
    plan.jobs[0].confidence_percent = 101;
    let effects = shell.step(Event::Solved { seq: problem.seq, plan: Box::new(plan) });
    assert!(matches!(refusal(effects), Some(Refused::Publish(_))));
    shell.wait();
    let confirms = |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::Confirm(_)));
    assert!(!confirms(&shell.step(Event::Tick)), "the old one must grow old");
}

/// A process begins anew only if the number of the dealing changes, whoever controlled before.
#[test]
fn a_restarted_controller_deals_under_other_numbers() {
    let deal = |at_s: u64| {
        let mut shell = Shell::new();
        shell.now = Time(at_s * 1_000_000_000);
        shell.step(Event::JobStarted(job(1, 4, Bytes::gib(1))));
        let write = write_of(&shell.step(Event::Started { stored_term: 4, drained: vec![], policy: None }));
        let problem = problem_of(shell.step(Event::Persisted { write })).expect("a problem");
        shell.solve(&problem).jobs[0].place.expect("a place").deal
    };
    assert_ne!(deal(100), deal(160));
}

#[test]
fn a_drain_ends_by_itself_when_its_end_is_durable() {
    let (mut shell, _) = Shell::started();
    let target = TargetId(1);
    let until = Some(shell.now + INTERVAL);
    let write = write_of(&shell.step(Event::Drain { target, drain: Some(Drain { until, ..drain() }) }));
    shell.step(Event::Persisted { write });
    assert!(shell.control.view().targets[1].drained.is_some());
    shell.wait();
    let effects = shell.step(Event::Tick);
    let ends = |effect: &Effect| {
        matches!(effect, Effect::Persist { record: Durable::Drain { drain: None, .. }, .. })
    };
    assert_eq!(effects.iter().filter(|effect| ends(effect)).count(), 1);
    assert!(shell.control.view().targets[1].drained.is_some(), "not before its end is durable");
    let write = write_of(&effects);
    shell.wait();
    assert!(!shell.step(Event::Tick).iter().any(ends), "it is asked for once");
    shell.step(Event::Persisted { write });
    assert_eq!(shell.control.view().targets[1].drained, None);
}

#[test]
fn a_controller_that_has_just_started_publishes_steady_rings_only() {
    let (mut shell, effects) = Shell::started();
    let problem = problem_of(effects).expect("a first plan");
    assert!(published(shell.solved(&problem)).expect("a table").plan.steady_only);
    shell.step(Event::Sample(sample(&topology(2, 2), 0, 1, 0)));
    shell.wait();
    let problem = problem_of(shell.step(Event::Tick)).expect("a plan with half of the agents");
    let half = published(shell.solved(&problem)).expect("a table").plan.clone();
    assert!(half.steady_only && shell.control.is_starting(), "half of the targets report: not 80 %");
    shell.step(Event::Sample(sample(&topology(2, 2), 1, 1, 0)));
    shell.wait();
    let problem = problem_of(shell.step(Event::Tick)).expect("a plan with all agents");
    assert!(!published(shell.solved(&problem)).expect("a table").plan.steady_only);
    assert!(!shell.control.is_starting());
}

#[test]
fn an_agent_that_never_comes_does_not_keep_the_controller_starting() {
    let (mut shell, _) = Shell::started();
    shell.now += STARTING_MAX - INTERVAL;
    shell.step(Event::Tick);
    assert!(shell.control.is_starting());
    shell.wait();
    shell.step(Event::Tick);
    assert!(!shell.control.is_starting());
}

#[test]
fn new_targets_get_tickets_and_old_ones_keep_their_numbers() {
    let (mut shell, effects) = Shell::started();
    let stale = problem_of(effects).expect("a first plan");
    let grown = Event::Grown { topology: topology(3, 2), drained: vec![(TargetId(5), drain())] };
    shell.step(grown);
    assert!(shell.control.view().targets[5].drained.is_some());
    let refused = refusal(shell.solved(&stale));
    assert!(matches!(refused, Some(Refused::StaleSolution { .. })), "{refused:?}");
    shell.wait();
    let problem = problem_of(shell.step(Event::Tick)).expect("a plan of all targets");
    assert!(problem.previous.is_none());
    let plan = published(shell.solved(&problem)).expect("a table").plan.clone();
    assert_eq!(plan.reasons.len(), 6);
    assert!(plan.classes[0].tickets[4] > 0 && plan.classes[0].tickets[5] == 0);
    let refused = refusal(shell.step(Event::Grown { topology: topology(2, 2), drained: vec![] }));
    assert!(matches!(refused, Some(Refused::Grown(_))), "{refused:?}");
    assert_eq!(shell.control.view().targets.len(), 6);
}

#[test]
fn an_observing_controller_leaves_every_file() {
    let steers = |apply: bool| {
        let (mut shell, effects) = Shell::started();
        let first = problem_of(effects).expect("a plan");
        shell.solved(&first);
        for server in 0..2 {
            shell.step(Event::Sample(sample(&topology(2, 2), server, 1, 0)));
        }
        let target = TargetId(1);
        let write = write_of(&shell.step(Event::Drain { target, drain: Some(drain()) }));
        shell.step(Event::Persisted { write });
        let policy = Policy { apply, ..Policy::default() };
        let effects = shell.step(Event::SetPolicy(policy));
        assert_eq!(shell.control.policy(), Policy::default(), "nothing takes effect before it is durable");
        shell.step(Event::Persisted { write: write_of(&effects) });
        shell.step(Event::JobStarted(job(1, 4, Bytes::gib(1))));
        shell.wait();
        let problem = problem_of(shell.step(Event::Tick)).expect("a plan");
        let publication = published(shell.solved(&problem)).expect("a table");
        assert!(
            publication.plan.verdicts.values().all(|verdict| verdict.why.steers()),
            "a drain is reason enough"
        );
        let table = Table::verify(&publication.table).expect("a good table");
        let steered = table.job(0).expect("an entry").worthwhile;
        // A ring that no client can come to use is not sent to thousands of nodes.
        assert_eq!(table.rings(), if steered && !publication.plan.steady_only { 2 } else { 1 });
        steered
    };
    assert!(steers(true));
    assert!(!steers(false));
}

#[test]
fn what_could_not_be_made_durable_never_takes_effect() {
    let mut shell = Shell::new();
    let write = write_of(&shell.step(Event::Started { stored_term: 4, drained: vec![], policy: None }));
    shell.step(Event::PersistFailed { write });
    assert!(matches!(refusal(shell.step(Event::Persisted { write })), Some(Refused::UnknownWrite { .. })));
    shell.wait();
    let effects = shell.step(Event::Tick);
    assert!(
        matches!(effects[..], [Effect::Persist { record: Durable::Term(5), .. }]),
        "the term is tried again"
    );
    assert!(problem_of(shell.step(Event::Persisted { write: write_of(&effects) })).is_some());
    let write = write_of(&shell.step(Event::Drain { target: TargetId(0), drain: Some(drain()) }));
    shell.step(Event::PersistFailed { write });
    shell.wait();
    assert!(!shell.step(Event::Tick).iter().any(|effect| matches!(effect, Effect::Persist { .. })));
    assert_eq!(shell.control.view().targets[0].drained, None);
}

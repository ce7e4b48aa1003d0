//! One run after the other: folder, control plane, warm-up, job, and what is looked at meanwhile.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{Scope, ScopedJoinHandle};

use tarazu::{Mode, Options, Session};
use tarazu_layout::{JobId, ServerId};
use tarazu_table::Rank;

use super::clock::{Clock, LOOK_EVERY, Stop, sleep};
use super::emulate::{Emulation, Spec};
use super::error::DemoError;
use super::folder::Folder;
use super::job::{Job, Progress, RankOutcome};
use super::meeting::Meeting;
use super::pattern::Pattern;
use super::plane::{Places, Plane};
use super::report::{Report, Run, Said};
use super::stock::{Stock, default_target};
use super::watch::{self, FileSystem};
use super::{
    BUSY_STREAMS, Chooser, NODES, SERVERS, SICK_SPEED, Settings, Situation, TARGET_BPS, TARGETS,
    TARGETS_PER_SERVER,
};

/// All agents and nodes have spoken within this; a few seconds on an idle machine.
const READY_S: f64 = 60.0;

/// The controller is asked so often.
const ASK_EVERY_S: f64 = 0.5;

/// Others' writes of the warm-up keep a target busy for this share of an interval, enough to see its speed.
const WARM_UP_SHARE: f64 = 0.35;

/// The job's number with its scheduler; runs count on from it.
const FIRST_JOB: u64 = 1000;

/// Where a control plane is reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    /// gRPC, for the command.
    pub(crate) grpc: SocketAddr,
    /// JSON and metrics.
    pub(crate) http: SocketAddr,
}

/// How a run stands, to look at.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) situation: Situation,
    pub(crate) chooser: Chooser,
    /// Number of the run from 1, of so many.
    pub(crate) number: usize,
    pub(crate) runs: usize,
    pub(crate) phase: &'static str,
    /// Seconds since the run began.
    pub(crate) seconds: f64,
    pub(crate) moved_bytes: u64,
    pub(crate) files: u64,
    pub(crate) files_all: u64,
    /// The controller's plan.
    pub(crate) plan: Option<(u64, u64)>,
    pub(crate) targets_excluded: u32,
}

/// Who is told how things stand.
pub(crate) trait Show {
    /// How a run stands.
    fn live(&self, live: &Live);
    /// All runs are done and the last control plane is held.
    fn held(&self, report: &Report, addresses: Addresses) -> Result<(), DemoError>;
}

/// Runs every situation with every chooser.
pub(crate) fn all(settings: &Settings, stop: &Stop, show: &dyn Show) -> Result<Report, DemoError> {
    let pattern = Pattern::bundled(settings.pace.think_factor, settings.pace.files_max)?;
    let folder = Folder::new(settings.keeps)?;
    let scale =
        (settings.pace.file_s * TARGET_BPS / pattern.file_bytes.max(1) as f64).round().max(1.0) as u64;
    let mut report = Report::new(settings, &pattern, scale, folder.path());
    let runs: Vec<(Situation, Chooser)> = Situation::ALL
        .iter()
        .flat_map(|situation| Chooser::ALL.map(|chooser| (*situation, chooser)))
        .collect();
    for (at, (situation, chooser)) in runs.iter().copied().enumerate() {
        let one = One {
            settings,
            pattern: &pattern,
            scale,
            situation,
            chooser,
            number: at + 1,
            runs: runs.len(),
            stop,
            show,
        };
        let part = folder.path().join(format!("{}-{}-{}", at + 1, situation.as_str(), chooser.as_str()));
        let held = (settings.holds && at + 1 == runs.len()).then_some(&report);
        let run = one.run(&part, held)?;
        folder.clear(&part);
        report.runs.push(run);
    }
    Ok(report)
}

/// One run.
struct One<'a> {
    settings: &'a Settings,
    pattern: &'a Pattern,
    scale: u64,
    situation: Situation,
    chooser: Chooser,
    number: usize,
    runs: usize,
    stop: &'a Stop,
    show: &'a dyn Show,
}

/// What is known of a run while it lasts.
struct Seen {
    clock: Clock,
    asked_s: f64,
    file_system: FileSystem,
    began_s: Option<f64>,
    said: Said,
    /// When the controller first said something of the odd target.
    first_said_s: Option<f64>,
}

/// Ends all threads of a run if the one that leads them fails.
struct EndsAll<'a>(&'a Stop);

impl Drop for EndsAll<'_> {
    fn drop(&mut self) {
        self.0.set();
    }
}

impl One<'_> {
    /// From the making of its folder to the end of its control plane. With `held` the control plane stays until the
    /// end is asked for.
    fn run(&self, part: &Path, held: Option<&Report>) -> Result<Run, DemoError> {
        let places = Places::new(part.to_owned())?;
        let pace = self.settings.pace;
        let emulation = Emulation::new(&self.specs(), places.counters.clone())?;
        let seed = self.settings.seed;
        let mut plane = Plane::start(&places, pace.interval, TARGET_BPS, seed, self.stop)?;
        let is_over = Stop::default();
        std::thread::scope(|scope| {
            let ends = EndsAll(&is_over);
            let emulating = scope.spawn(|| emulation.run(self.stop, &is_over));
            let mut outcome = self.lead(&places, &emulation, &mut plane, &is_over);
            if let (Ok(run), Some(report)) = (&outcome, held)
                && let Err(error) = self.hold(report, run, &mut plane)
            {
                outcome = Err(error);
            }
            drop(ends);
            let emulated = emulating.join().map_err(|_| DemoError::Thread("the emulation"))?;
            let run = outcome?;
            emulated.map(|()| run)
        })
    }

    fn hold(&self, report: &Report, run: &Run, plane: &mut Plane) -> Result<(), DemoError> {
        let mut whole = report.clone();
        whole.runs.push(run.clone());
        self.show.held(&whole, Addresses { grpc: plane.grpc, http: plane.http })?;
        while !self.stop.is_set() {
            plane.check()?;
            sleep(LOOK_EVERY);
        }
        Ok(())
    }

    fn specs(&self) -> Vec<Spec> {
        let odd = self.settings.odd_target();
        let spec = |target: u32| match self.situation {
            Situation::Busy if target == odd => Spec { bps: TARGET_BPS, foreign_streams: BUSY_STREAMS },
            Situation::Sick if target == odd => Spec { bps: TARGET_BPS * SICK_SPEED, foreign_streams: 0 },
            _ => Spec { bps: TARGET_BPS, foreign_streams: 0 },
        };
        (0..TARGETS).map(spec).collect()
    }

    /// Warm-up and job; looks at all of it meanwhile.
    fn lead(
        &self,
        places: &Places,
        emulation: &Emulation,
        plane: &mut Plane,
        is_over: &Stop,
    ) -> Result<Run, DemoError> {
        let pace = self.settings.pace;
        let interval_s = pace.interval.as_secs_f64();
        emulation.warm_up(interval_s, WARM_UP_SHARE * interval_s * TARGET_BPS);
        let progress = Progress::default();
        let mut seen = Seen {
            clock: Clock::start(),
            asked_s: f64::NEG_INFINITY,
            file_system: FileSystem::default(),
            began_s: None,
            said: Said::default(),
            first_said_s: None,
        };
        loop {
            self.look(&mut seen, plane, &progress, "control plane starts, others write")?;
            let missing = seen.file_system.missing().or_else(|| places.missing());
            let seconds = seen.clock.seconds();
            match missing {
                None if seconds >= pace.warm_up_s => break,
                Some(missing) if seconds >= READY_S => {
                    return Err(DemoError::Late { seconds: READY_S, missing, log: plane.controllers_log() });
                }
                _ => sleep(LOOK_EVERY),
            }
        }
        let job = Job {
            pattern: self.pattern,
            emulation,
            stop: is_over,
            clock: seen.clock,
            folder: &places.files,
            scale: self.scale,
            lead_s: pace.lead_s,
            start: Meeting::new(self.pattern.ranks.len()),
            groups: self.pattern.groups.iter().map(|members| Meeting::new(*members)).collect(),
            progress: &progress,
        };
        let outcomes = self.ranks(&job, places, plane, &mut seen)?;
        Ok(self.report(&seen, &outcomes))
    }

    /// All ranks to their end.
    fn ranks(
        &self,
        job: &Job<'_>,
        places: &Places,
        plane: &mut Plane,
        seen: &mut Seen,
    ) -> Result<Vec<RankOutcome>, DemoError> {
        let servers: Vec<ServerId> = (0..SERVERS)
            .flat_map(|server| std::iter::repeat_n(ServerId(server), TARGETS_PER_SERVER as usize))
            .collect();
        let stock = Arc::new(Stock::new(&servers, self.settings.seed));
        std::thread::scope(|scope| {
            let world = self.pattern.ranks.len() as u32;
            let start = |rank: u32| self.start_rank(scope, job, places, Rank { rank, world }, &stock);
            let threads: Vec<_> = (0..world).map(start).collect();
            let mut looked = Ok(());
            while looked.is_ok() && threads.iter().any(|thread| !thread.is_finished()) {
                let phase =
                    if job.progress.began.is_set() { "job writes" } else { "job has announced itself" };
                looked = self.look(seen, plane, job.progress, phase);
                sleep(LOOK_EVERY);
            }
            if looked.is_err() {
                job.stop.set();
            }
            let ended =
                threads.into_iter().map(|thread| thread.join().unwrap_or(Err(DemoError::Thread("a rank"))));
            let ended: Vec<Result<RankOutcome, DemoError>> = ended.collect();
            looked?;
            ended.into_iter().collect()
        })
    }

    fn start_rank<'scope>(
        &self,
        scope: &'scope Scope<'scope, '_>,
        job: &'scope Job<'_>,
        places: &Places,
        rank: Rank,
        stock: &Arc<Stock>,
    ) -> ScopedJoinHandle<'scope, Result<RankOutcome, DemoError>> {
        let options = Options {
            // Without steering the library still makes the file on a target: that of `default_target`.
            mode: if self.chooser == Chooser::Tarazu { Mode::Apply } else { Mode::Observe },
            run_dir: places.run_dir(rank.rank % NODES),
            rank: Some(rank),
            job: Some(JobId(FIRST_JOB + self.number as u64)),
            executable: Some(b"demo-writer".to_vec()),
            default_target: Some(default_target(stock)),
            ..Options::default()
        };
        scope.spawn(move || {
            let outcome = job.rank(rank.rank, &Session::open(options));
            if outcome.is_err() {
                // The others would wait for it.
                job.stop.set();
            }
            outcome
        })
    }

    /// Looks at children, at the controller when it is time, and shows how things stand.
    fn look(
        &self,
        seen: &mut Seen,
        plane: &mut Plane,
        progress: &Progress,
        phase: &'static str,
    ) -> Result<(), DemoError> {
        if self.stop.is_set() {
            return Err(DemoError::Stopped);
        }
        plane.check()?;
        let now_s = seen.clock.seconds();
        if progress.began.is_set() {
            seen.began_s.get_or_insert(now_s);
        }
        if now_s - seen.asked_s >= ASK_EVERY_S {
            seen.asked_s = now_s;
            if let Err(error) = self.ask(seen, plane.http) {
                // A controller that died answers nothing, a moment before its end can be seen: that is the reason then.
                sleep(LOOK_EVERY);
                plane.check()?;
                return Err(error);
            }
        }
        let order = seen.file_system.plan;
        self.show.live(&Live {
            situation: self.situation,
            chooser: self.chooser,
            number: self.number,
            runs: self.runs,
            phase,
            seconds: now_s,
            moved_bytes: progress.moved_bytes.load(Ordering::Relaxed),
            files: progress.files.load(Ordering::Relaxed),
            files_all: self.pattern.files,
            plan: order.map(|order| (order.term, order.seq)),
            targets_excluded: seen.file_system.targets_excluded,
        });
        Ok(())
    }

    /// How things stand, as the controller says.
    fn ask(&self, seen: &mut Seen, http: SocketAddr) -> Result<(), DemoError> {
        seen.file_system = watch::status(http)?;
        // Before its first plan the controller has nothing to say of targets.
        if seen.file_system.plan.is_some() { self.hear(seen, http) } else { Ok(()) }
    }

    /// What the plan says of the odd target, and of others that it judged.
    fn hear(&self, seen: &mut Seen, http: SocketAddr) -> Result<(), DemoError> {
        let odd = self.settings.odd_target();
        let targets = watch::targets(http)?;
        let is_said = |target: &&watch::TargetWhy| !target.judged.is_empty() || target.reason != "takes_part";
        for target in targets.iter().filter(is_said) {
            if target.ost_index == odd && self.situation != Situation::Well {
                seen.first_said_s.get_or_insert(seen.clock.seconds());
            } else {
                seen.said.others.insert(target.ost_index);
            }
        }
        if let Some(target) = targets.into_iter().find(|target| target.ost_index == odd) {
            seen.said.take(&target);
        }
        seen.said.jobs_steered = seen.said.jobs_steered.max(seen.file_system.jobs_steered);
        Ok(())
    }

    fn report(&self, seen: &Seen, outcomes: &[RankOutcome]) -> Run {
        let mut said = seen.said.clone();
        said.found_s = seen.first_said_s.map(|at_s| at_s - seen.began_s.unwrap_or(at_s));
        Run::of(self.situation, self.chooser, outcomes, self.settings.odd_target(), said)
    }
}

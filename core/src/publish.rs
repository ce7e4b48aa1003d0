//! From a plan to the bytes of its table: the plan's only form outside the controller.

use tarazu_table::{Class, EncodeError, Flags, JobEntry, RingSpec, TableSpec, encode};

use crate::control::ControlConfig;
use crate::demand::CLASS_BOUNDS;
use crate::plan::Plan;
use crate::topology::Topology;

/// Stripe count and size of a class where neither the file's inherited layout nor the job's entry says
/// otherwise: Lustre's own default since 2.16.
const DEFAULT_STRIPES: (u16, u32) = (1, 4 << 20);

/// Why a plan could not be published.
pub type PublishError = EncodeError;

/// The table that says a plan.
///
/// Where no target takes part, the table has no classes, and clients leave every file alone.
///
/// # Errors
/// A limit of the table that the plan breaks.
pub fn encode_plan(
    plan: &Plan,
    topology: &Topology,
    config: &ControlConfig,
) -> Result<Vec<u8>, PublishError> {
    let jobs = jobs(plan);
    let told = Told::of(plan, &jobs);
    let rings: Option<Vec<RingSpec>> = told.rings(plan).collect();
    let (classes, rings) = rings.map_or_else(Default::default, |rings| (told.classes(plan), rings));
    encode(&TableSpec {
        fs: config.fs,
        order: plan.order,
        interval: config.interval,
        flags: Flags { steady_only: plan.steady_only },
        targets: topology.targets().iter().map(|spec| spec.ost).collect(),
        jobs: if classes.is_empty() { Vec::new() } else { jobs },
        classes,
        rings,
    })
}

/// What clients are told of jobs: nothing is worthwhile while an operator only looks on.
fn jobs(plan: &Plan) -> Vec<JobEntry> {
    let told = |job: &JobEntry| JobEntry { worthwhile: job.worthwhile && !plan.observe_only, ..*job };
    plan.jobs.iter().map(told).collect()
}

/// Which classes' rings *now* a table has: those that a client may come to use. The others are most of a table's
/// bytes, and thousands of nodes fetch it.
struct Told {
    classes: Vec<usize>,
}

impl Told {
    fn of(plan: &Plan, jobs: &[JobEntry]) -> Self {
        // Clients take the steady ring only, and leave what is not worthwhile before they look at any ring.
        let is_used = |class: &usize| {
            !plan.steady_only && jobs.iter().any(|job| job.worthwhile && usize::from(job.class) == *class)
        };
        Self { classes: (0..plan.classes.len()).filter(is_used).collect() }
    }

    /// The one steady ring comes last, and stands in for rings that are left out.
    fn classes(&self, plan: &Plan) -> Vec<Class> {
        let steady = self.classes.len();
        let class = |number: usize| Class {
            smallest_bytes: number.checked_sub(1).map_or(0, |below| CLASS_BOUNDS[below].0),
            largest_bytes: CLASS_BOUNDS.get(number).map_or(u64::MAX, |bound| bound.0 - 1),
            stripe_count: DEFAULT_STRIPES.0,
            stripe_size: DEFAULT_STRIPES.1,
            ring_now: self.classes.iter().position(|told| *told == number).unwrap_or(steady) as u16,
            ring_steady: steady as u16,
        };
        (0..plan.classes.len()).map(class).collect()
    }

    /// The rings in the order in which [`Self::classes`] names them; `None` for one that has no target.
    fn rings<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = Option<RingSpec>> + 'a {
        let now = self.classes.iter().map(|class| (*class, &plan.classes[*class]));
        // A class's number is its ring's seed: it stays from plan to plan, so that jobs go on where they were.
        now.chain([(plan.classes.len(), &plan.steady)]).map(|(seed, class)| {
            let ring = class.ring.as_ref()?;
            Some(RingSpec { seed: seed as u64, tickets: ring.tickets.clone() })
        })
    }
}

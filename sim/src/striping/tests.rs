use std::time::Duration;

use proptest::prelude::*;
use tarazu_layout::{JobId, NodeId, Pattern, Time};
use tarazu_workload::{File, FileId, Job, Op, Rank};

use super::*;

fn op(action: Action) -> Op {
    Op { start: Time::ZERO, think: Duration::ZERO, action }
}

fn write(file: u32, offset: u64, bytes: u64) -> Op {
    op(Action::Write { file: FileId(file), offset, bytes })
}

fn read(file: u32, offset: u64, bytes: u64) -> Op {
    op(Action::Read { file: FileId(file), offset, bytes })
}

fn job(id: u64, ranks: Vec<Vec<Op>>) -> Job {
    let ranks = ranks.into_iter().map(|ops| Rank { node: NodeId(0), ops }).collect();
    Job { id: JobId(id), name: "app".into(), uid: 1, start: Time::ZERO, ranks, groups: Vec::new() }
}

fn workload(jobs: Vec<Job>, files: u32) -> Workload {
    let file = |number| File { name: format!("f{number}"), exists: false, logged: None };
    Workload { jobs, files: (0..files).map(file).collect() }
}

fn system() -> System {
    System::bundled().expect("the bundled system")
}

/// Stripe counts of all files under the size rule, 0 for the default.
fn counts(workload: &Workload) -> Vec<u32> {
    let laid_out = Striping::SizeRule.lay_out(workload, &system());
    let count = |file: &File| file.logged.as_ref().map_or(0, |layout| layout.components[0].stripe_count);
    laid_out.files.iter().map(count).collect()
}

#[test]
fn words_round_trip_and_mistakes_say_what_is_valid() {
    let sites = Site::ALL.map(|site| format!("pfl={site}"));
    let words = ["as-logged", "count=1", "count=2000", "size-rule"].map(String::from);
    for word in words.iter().chain(&sites) {
        assert_eq!(word.parse::<Striping>().map(|striping| striping.to_string()), Ok(word.clone()));
    }
    for wrong in ["", "count", "count=0", "count=2001", "count=x", "pfl", "pfl=", "pfl=Orion", "size-rule=1"]
    {
        let error = wrong.parse::<Striping>().expect_err(wrong).to_string();
        assert!(Site::ALL.iter().all(|site| error.contains(site.as_str())), "{error}");
    }
}

#[test]
fn shared_files_are_striped_by_their_size() {
    let by_two =
        |last: u64| workload(vec![job(1, vec![vec![write(0, 0, 5)], vec![write(0, last - 5, 5)]])], 1);
    for (size, count) in [
        (GB, 0),
        (GB + 1, 8),
        (10 * GB, 8),
        (10 * GB + 1, 24),
        (100 * GB, 24),
        (100 * GB + 1, 72),
        (2000 * GB, 72),
    ] {
        assert_eq!(counts(&by_two(size)), [count], "{size}");
    }
}

#[test]
fn a_file_of_each_process_keeps_the_default_unless_it_is_huge() {
    let ranks = vec![vec![write(0, 0, 200 * GB)], vec![write(1, 0, 1001 * GB)]];
    assert_eq!(counts(&workload(vec![job(1, ranks)], 2)), [0, 72]);
}

#[test]
fn the_only_writer_of_a_job_counts_as_shared_io() {
    let ranks =
        vec![vec![write(0, 0, 20 * GB), write(1, 0, 5)], vec![read(2, 0, 20 * GB)], vec![read(2, 0, 5)]];
    // File 2 is only read, by two.
    assert_eq!(counts(&workload(vec![job(1, ranks)], 3)), [24, 0, 24]);
    // Two jobs on one file share it, each being the only one of its own.
    let jobs = vec![job(1, vec![vec![write(0, 0, 2 * GB)]]), job(2, vec![vec![write(0, 0, 3)]])];
    assert_eq!(counts(&workload(jobs, 1)), [8]);
}

#[test]
fn other_rules_leave_the_workload_alone() {
    let workload = workload(vec![job(1, vec![vec![write(0, 0, 200 * GB)]])], 1);
    for striping in [Striping::AsLogged, Striping::Count(4)] {
        assert!(matches!(striping.lay_out(&workload, &system()), Cow::Borrowed(_)));
    }
}

#[test]
fn site_layouts_are_possible_everywhere_and_keep_to_64_kib() {
    for name in crate::system::PRESETS.iter().map(|preset| preset.name) {
        let system = System::preset(name).expect("a preset");
        for site in Site::ALL {
            let layout = site.layout(&system);
            assert_eq!(layout.check(), Ok(()), "{site} on {name}");
            for component in &layout.components {
                assert!(component.stripe_size.is_multiple_of(64 << 10));
                // Lustre refuses an end within a stripe.
                let end = component.extent.end.unwrap_or(0);
                assert!(end.is_multiple_of(component.stripe_size) || component.pattern == Pattern::Mdt);
            }
        }
    }
}

#[test]
fn orion_s_layout_uses_its_pools_where_they_are() {
    let at_home = Site::Orion.layout(&System::preset("orion-like").expect("a preset"));
    let pools: Vec<_> = at_home.components.iter().map(|component| component.pool).collect();
    let (flash, disk) = (PoolName::new("performance"), PoolName::new("capacity"));
    assert_eq!(pools, [None, flash, disk, disk]);
    assert_eq!(at_home.components[0].pattern, Pattern::Mdt);
    assert_eq!(at_home.components[2].extent.end, Some(128 << 30));
    let elsewhere = Site::Orion.layout(&system());
    assert!(elsewhere.components.iter().all(|component| component.pool.is_none()));
    let empty = workload(Vec::new(), 0);
    let notes = Striping::Pfl(Site::Orion).notes(&empty, &system());
    assert!(notes.len() == 1 && notes[0].contains("capacity, performance"), "{notes:?}");
    let notes = Striping::Pfl(Site::Fsx).notes(&empty, &system());
    assert!(notes.is_empty(), "{notes:?}");
}

#[test]
fn an_unknown_pool_of_a_log_is_said_once() {
    let mut logged = Layout::plain(1, 1 << 20);
    logged.components[0].pool = PoolName::new("nvme");
    let mut workload = workload(Vec::new(), 2);
    workload.files.iter_mut().for_each(|file| file.logged = Some(logged.clone()));
    let notes = Striping::AsLogged.notes(&workload, &system());
    assert!(notes.len() == 1 && notes[0].contains("no pool nvme"), "{notes:?}");
    assert!(Striping::Count(2).notes(&workload, &system()).is_empty());
}

proptest! {
    /// Laying out twice is laying out once, and the size rule never looks at what was logged.
    #[test]
    fn laying_out_is_idempotent(
        ops in prop::collection::vec((0u32..4, 0usize..3, any::<u64>(), 1u64..1 << 41, any::<bool>()), 0..30),
    ) {
        let mut ranks = vec![Vec::new(); 3];
        for (file, rank, offset, bytes, writes) in ops {
            let offset = offset % (1 << 41);
            ranks[rank].push(if writes { write(file, offset, bytes) } else { read(file, offset, bytes) });
        }
        let workload = workload(vec![job(1, ranks)], 4);
        let system = system();
        for striping in [Striping::SizeRule, Striping::Pfl(Site::Orion)] {
            let once = striping.lay_out(&workload, &system).into_owned();
            let twice = striping.lay_out(&once, &system).into_owned();
            prop_assert_eq!(&once, &twice);
            let sound = |file: &File| file.logged.as_ref().is_none_or(|layout| layout.check().is_ok());
            prop_assert!(once.files.iter().all(sound));
        }
    }
}

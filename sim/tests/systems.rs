//! The systems that come with the program, their pools, and the striping rules on them.

mod common;

use std::collections::BTreeSet;

use common::{MIB, close, create, files, job, outcome, read, scenario, system, write};
use tarazu_layout::{Layout, PoolName, TargetId};
use tarazu_sim::{Metric, PRESETS, Policy, Scenario, Site, Striping, System, run};
use tarazu_workload::Workload;

const KIB: u64 = 1 << 10;

#[test]
fn every_preset_is_what_its_name_says() {
    let sizes = [
        ("edison", 24, 24, 1),
        ("ost35", 35, 7, 1),
        ("cori", 248, 248, 1),
        ("orion-like", 450, 150, 13),
        ("spider2", 2016, 288, 2),
        ("exa3600", 3600, 450, 4),
    ];
    assert_eq!(PRESETS.map(|preset| preset.name), sizes.map(|(name, ..)| name));
    for (name, targets, servers, mdts) in sizes {
        let system = System::preset(name).expect("a preset");
        assert_eq!(system.name, name);
        assert!(!system.description.is_empty());
        assert_eq!(system.topology.targets().len(), targets, "{name}");
        assert_eq!(system.topology.servers().len(), servers, "{name}");
        assert_eq!(system.metadata.servers, mdts, "{name}");
    }
}

#[test]
fn bandwidths_of_presets_stand_in_sane_ratios() {
    for preset in PRESETS {
        let system = System::preset(preset.name).expect("a preset");
        let name = preset.name;
        let servers = system.topology.servers();
        let mut behind = vec![0.0; servers.len()];
        for target in system.topology.targets() {
            // Disks read and write within a factor of two of each other.
            let ratio = target.read_bps / target.write_bps;
            assert!((0.5..=2.0).contains(&ratio), "{name}: reads at {ratio} of writes");
            // A server's link lets at least one of its targets run at full speed, up to 5 %.
            let link_bps = servers[target.server.index()].link_bps;
            assert!(target.write_bps.max(target.read_bps) <= link_bps * 1.05, "{name}");
            behind[target.server.index()] += target.write_bps;
        }
        // Nor is a link far above what stands behind it: it would be a slip of units.
        for (sum_bps, server) in behind.iter().zip(servers) {
            assert!((0.3..10.0).contains(&(server.link_bps / sum_bps)), "{name}");
        }
        // No node outruns the file system.
        assert!(system.nic_bps < behind.iter().sum(), "{name}");
    }
}

#[test]
fn an_unknown_name_lists_the_presets() {
    let error = System::named_or_read("spider".as_ref(), &[]).expect_err("no such system").to_string();
    assert!(PRESETS.iter().all(|preset| error.contains(preset.name)), "{error}");
    for path in ["./spider", "spider.toml", "/"] {
        let error = System::named_or_read(path.as_ref(), &[]).expect_err("no such file").to_string();
        assert!(error.contains("cannot read the system file"), "{error}");
    }
    let changed = System::named_or_read("edison".as_ref(), &["servers.count=3".into()]).expect("a change");
    assert_eq!(changed.topology.targets().len(), 3);
}

/// `count` processes on nodes of their own, each writing a file of its own.
fn file_per_process(count: u32, bytes: u64) -> Workload {
    let rank = |number| vec![create(number), write(number, 0, bytes)];
    Workload { jobs: vec![job((0..count).map(rank).collect())], files: files(count) }
}

#[test]
fn the_largest_preset_runs_with_every_target_in_use() {
    let workload = file_per_process(3600, 500 * MIB);
    let system = System::preset("exa3600").expect("a preset");
    for policy in [Policy::LustreRr, Policy::Tarazu] {
        let outcome = run(&workload, &system, &scenario(), policy, 1).expect("a run");
        assert_eq!(outcome.value(Metric::StoredCov), Some(0.0), "{policy}: one file on each target");
    }
}

/// Round numbers: two servers, each with one flash target of 400 MiB/s and two disks of 100 MiB/s.
fn two_pools() -> System {
    const KINDS: &str = "
        [[targets]]
        each = 1
        pool = 'flash'
        write_MiBps = 400.0
        read_MiBps = 400.0
        capacity_GiB = 100
        filled = 0.5

        [[targets]]
        each = 2
        pool = 'disk'
        write_MiBps = 100.0
        read_MiBps = 200.0
        capacity_GiB = 1000
        filled = 0.5
        ";
    let text = tarazu_sim::BUNDLED.replacen("targets_each = 5", "", 1).replacen("count = 7", "count = 2", 1);
    let from = text.find("[targets]").expect("the targets");
    let to = text.find("[nodes]").expect("the nodes");
    let text = format!("{}{KINDS}{}", &text[..from], &text[to..]);
    let quiet = ["metadata.open_ms=0", "metadata.creates_per_s=1e9", "metadata.precreates_per_s=1e9"];
    System::parse_with(&text, "two pools", &quiet.map(String::from)).expect("a valid system")
}

fn pooled(pool: &str, count: u32) -> Option<Layout> {
    let mut layout = Layout::plain(count, MIB);
    layout.components[0].pool = PoolName::new(pool);
    Some(layout)
}

#[test]
fn pools_are_numbered_kind_by_kind_on_all_servers() {
    let system = two_pools();
    let pool = |name| &system.pools[&PoolName::new(name).expect("a name")];
    assert_eq!(pool("flash"), &[0, 1].map(TargetId));
    assert_eq!(pool("disk"), &[2, 3, 4, 5].map(TargetId));
    let servers: Vec<u32> = system.topology.targets().iter().map(|target| target.server.0).collect();
    assert_eq!(servers, [0, 1, 0, 0, 1, 1]);
}

#[test]
fn a_pool_s_bandwidth_is_what_its_files_get() {
    for policy in [Policy::LustreRr, Policy::LustreQos, Policy::LustreQos215, Policy::LustreQos212] {
        for (pool, stripes, seconds) in
            [("flash", 1, 1.0), ("flash", 2, 0.5), ("disk", 1, 4.0), ("disk", 4, 1.0)]
        {
            let mut workload = file_per_process(1, 400 * MIB);
            workload.files[0].logged = pooled(pool, stripes);
            let outcome = run(&workload, &two_pools(), &scenario(), policy, 1).expect("a run");
            close(&outcome, Metric::Makespan, seconds);
        }
    }
}

#[test]
fn a_pool_that_the_system_lacks_is_no_pool() {
    let mut workload = file_per_process(6, 10 * MIB);
    let without = outcome(&workload, &two_pools(), &scenario());
    workload.files.iter_mut().for_each(|file| file.logged = pooled("absent", 1));
    let defaults = Scenario { striping: Striping::Count(1), ..scenario() };
    assert_eq!(outcome(&workload, &two_pools(), &scenario()), without);
    assert_eq!(outcome(&workload, &two_pools(), &defaults), without);
}

#[test]
fn a_site_s_layout_puts_each_part_where_it_says() {
    // 64 KiB stay on the metadata target: no time. 8 MiB: all but the first 256 KiB on flash.
    let system = System::preset("orion-like").expect("a preset");
    let orion = Scenario { striping: Striping::Pfl(Site::Orion), ..scenario() };
    let took_s = |bytes: u64| {
        let outcome = outcome(&file_per_process(1, bytes), &system, &orion);
        outcome.value(Metric::Makespan).expect("a value")
    };
    let opened_s = took_s(64 * KIB);
    let part = |pool: &str| {
        let first = system.pools[&PoolName::new(pool).expect("a name")][0];
        system.topology.targets()[first.index()].write_bps
    };
    let (flash_bps, disk_bps) = (part("performance"), part("capacity"));
    let flash_s = (8 * MIB - 256 * KIB) as f64 / flash_bps;
    // Components behind the first are placed when they are written: one more call of the metadata server.
    let opened_s = opened_s + system.metadata.open_s + system.metadata.create_s;
    assert!((took_s(8 * MIB) - opened_s - flash_s).abs() < 1e-6);
    // Whether the client is on flash and disk side by side or one after the other is its own affair.
    let disk_s = (1016 * MIB) as f64 / disk_bps;
    let took_s = took_s(1024 * MIB) - opened_s;
    assert!(took_s > disk_s - 1e-6 && took_s < disk_s + flash_s + 1e-6, "{took_s}");
}

#[test]
fn the_size_rule_stripes_what_is_large_and_shared() {
    // 2 GiB by two nodes into one file: 8 stripes over the 4 targets, so all of them.
    let half = 1024 * MIB;
    let ranks = vec![vec![create(0), write(0, 0, half)], vec![create(0), write(0, half, half)]];
    let workload = Workload { jobs: vec![job(ranks)], files: files(1) };
    let by_size = Scenario { striping: Striping::SizeRule, ..scenario() };
    close(&outcome(&workload, &system(&[]), &scenario()), Metric::Makespan, 20.48);
    close(&outcome(&workload, &system(&[]), &by_size), Metric::Makespan, 5.12);
}

#[test]
fn rules_are_alike_for_every_policy_and_twice_the_same() {
    let workload = file_per_process(8, 300 * MIB);
    let system = System::preset("edison").expect("a preset");
    for striping in [Striping::SizeRule, Striping::Pfl(Site::Fsx), Striping::Pfl(Site::Delta)] {
        let scenario = Scenario { striping, ..scenario() };
        let once = |policy| run(&workload, &system, &scenario, policy, 3).expect("a run");
        for policy in Policy::ALL {
            assert_eq!(once(policy), once(policy), "{striping}, {policy}");
        }
        let laid_out = striping.lay_out(&workload, &system);
        let as_logged = Scenario { striping: Striping::AsLogged, ..scenario.clone() };
        let by_hand = run(&laid_out, &system, &as_logged, Policy::Tarazu, 3).expect("a run");
        assert_eq!(by_hand, once(Policy::Tarazu));
    }
}

#[test]
fn folders_are_spread_over_all_metadata_targets() {
    // Each server makes one file in 0.1 s: files of many folders wait less than those of one.
    let slow = ["metadata.creates_per_s=10", "metadata.servers=4"];
    let took_s = |folders: u32| {
        let mut workload = file_per_process(32, MIB);
        for (number, file) in (0u32..).zip(&mut workload.files) {
            file.name = format!("d{}/f{number}", number % folders);
        }
        outcome(&workload, &system(&slow), &scenario()).value(Metric::Makespan).expect("a value")
    };
    assert!(took_s(1) > 3.1, "one server makes 32 files");
    assert!(took_s(32) < 0.6 * took_s(1), "four servers share them");
}

#[test]
fn a_file_that_exists_is_laid_out_by_the_rule_too() {
    let mut workload = Workload { jobs: vec![job(vec![vec![read(0, 2048 * MIB)]])], files: files(1) };
    workload.files[0].exists = true;
    let by_size = Scenario { striping: Striping::SizeRule, ..scenario() };
    let stored = |scenario: &Scenario| {
        let laid_out = scenario.striping.lay_out(&workload, &system(&[])).into_owned();
        laid_out.files[0].logged.as_ref().map(|layout| layout.components[0].stripe_count)
    };
    assert_eq!(stored(&by_size), Some(8), "its only reader reads in serial");
    assert_eq!(stored(&scenario()), None);
    let names: BTreeSet<String> = Site::ALL.iter().map(|site| site.as_str().to_string()).collect();
    assert_eq!(names.len(), Site::ALL.len());
}

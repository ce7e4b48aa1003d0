//! What several tests of this crate need: a small file system and what is reported of it.

use std::time::Duration;

use tarazu_core::control::Drain;
use tarazu_core::sample::{FileProfile, JobStart, LoadSample, TargetFlags, TargetSample};
use tarazu_core::topology::{ServerSpec, TargetSpec, Topology};
use tarazu_core::view::View;
use tarazu_layout::{Bytes, JobId, OstIndex, ServerId, TargetId, Time};
use tarazu_table::JobKey;

/// Reporting interval of these tests.
pub(crate) const INTERVAL: Duration = Duration::from_secs(5);

/// Equal servers with equal targets of 1 GB/s; links as fast as the targets behind them.
pub(crate) fn topology(servers: u32, per_server: u32) -> Topology {
    let target = |number: u32| TargetSpec {
        ost: OstIndex(number),
        server: ServerId(number / per_server),
        read_bps: 1e9,
        write_bps: 1e9,
        capacity: Bytes(1 << 44),
    };
    let server = ServerSpec { link_bps: 1e9 * f64::from(per_server), enclosure: None };
    let targets = (0..servers * per_server).map(target).collect();
    Topology::new(targets, vec![server; servers as usize]).expect("a valid topology")
}

/// A sample in which every target of the server wrote the same.
#[allow(dead_code, reason = "not every test that shares this module needs it")]
pub(crate) fn sample(topology: &Topology, server: u32, sequence: u64, written: u64) -> LoadSample {
    let row = |target: &TargetId| TargetSample {
        target: *target,
        read: Bytes::ZERO,
        written: Bytes(written),
        ops: Some(1),
        latency_s: None,
        busy_s: None,
        depth: None,
        free: Bytes(1 << 43),
        state: TargetFlags::default(),
    };
    let targets = topology.by_server()[server as usize].iter().map(row).collect();
    LoadSample {
        server: ServerId(server),
        agent_start: Time::ZERO,
        sequence,
        interval_s: 5.0,
        queued_requests: None,
        cpu_share: None,
        targets,
    }
}

/// A view in which all servers reported an idle interval at `now`.
#[allow(dead_code, reason = "not every test that shares this module needs it")]
pub(crate) fn quiet_view(servers: u32, per_server: u32, now: Time) -> View {
    let topology = topology(servers, per_server);
    let mut view = View::new(topology.clone());
    for server in 0..servers {
        view.take_sample(&sample(&topology, server, 1, 0), now).expect("a good sample");
    }
    view
}

/// A job that is about to write `files` files of that size with one stripe each.
#[allow(dead_code, reason = "not every test that shares this module needs it")]
pub(crate) fn job(number: u64, files: u32, expected: Bytes) -> JobStart {
    let profile = FileProfile {
        key: JobKey(number),
        files_per_burst: files,
        files_per_process: 1,
        stripes_per_burst: u64::from(files),
        expected,
        placed: expected,
        stripe_count: 1,
        stripe_size: 1 << 20,
        confidence: 100,
    };
    JobStart { job: JobId(number), world: files, files: vec![profile] }
}

/// A drain without an end.
#[allow(dead_code, reason = "not every test that shares this module needs it")]
pub(crate) fn drain() -> Drain {
    Drain { reason: "disk replacement".into(), until: None, by: "operator".into(), since: Time::ZERO }
}

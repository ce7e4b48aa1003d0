//! Metrics for Prometheus, made anew for each scrape from what `status` and `ost list` show. No label names a job, a
//! user or a file: their number would grow without limit.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tarazu_proto::v1::{FileSystemStatus, StatusResponse, Target};

use super::counters::Counters;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Fs {
    fs: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfTarget {
    fs: String,
    ost: String,
    server: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfReason {
    fs: String,
    reason: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfVersion {
    version: String,
}

type Gauges<L> = Family<L, Gauge<f64, std::sync::atomic::AtomicU64>>;

/// One scrape under construction.
struct Page {
    registry: Registry,
}

impl Page {
    fn family<L>(&mut self, name: &str, help: &str) -> Gauges<L>
    where
        L: Clone + std::hash::Hash + Eq + EncodeLabelSet + std::fmt::Debug + Send + Sync + 'static,
    {
        let family = Gauges::<L>::default();
        self.registry.register(name, help, family.clone());
        family
    }
}

/// A number of a file system, by name and help.
type FsNumber = (&'static str, &'static str, fn(&FileSystemStatus) -> f64);

const FS_NUMBERS: &[FsNumber] = &[
    ("targets", "targets that were ever heard of", |fs| f64::from(fs.targets)),
    ("targets_fresh", "targets with a sample of the last three intervals", |fs| f64::from(fs.targets_fresh)),
    ("targets_drained", "targets that an operator took out", |fs| f64::from(fs.targets_drained)),
    ("targets_excluded", "targets that get nothing", |fs| f64::from(fs.targets_excluded)),
    ("servers", "servers that were ever heard of", |fs| f64::from(fs.servers)),
    ("servers_connected", "servers whose agent is connected", |fs| f64::from(fs.servers_connected)),
    ("nodes", "nodes heard of in the last three intervals", |fs| f64::from(fs.nodes)),
    ("jobs", "running jobs that were announced", |fs| f64::from(fs.jobs)),
    ("jobs_steered", "job entries of the newest table that are steered", |fs| f64::from(fs.jobs_steered)),
    ("plan_term", "term of the newest plan", |fs| fs.order.map_or(0.0, |order| order.term as f64)),
    ("plan_seq", "number of the newest plan in its term", |fs| {
        fs.order.map_or(0.0, |order| order.seq as f64)
    }),
    ("plan_age_seconds", "since the controller last stood by its plan", |fs| fs.order_age_s),
    ("steady_only", "1 while clients are to use slow facts only", |fs| f64::from(u8::from(fs.steady_only))),
    ("plans_published", "plans published since the start", |fs| fs.plans as f64),
    ("files_placed", "files that clients told of since the start", |fs| fs.files_placed as f64),
    ("table_bytes", "bytes of the newest table", |fs| f64::from(fs.table_bytes)),
];

/// A number of a target, by name and help.
type TargetNumber = (&'static str, &'static str, fn(&Target) -> Option<f64>);

const TARGET_NUMBERS: &[TargetNumber] = &[
    ("target_health_ratio", "speed against the target's hardware class", |t| Some(t.health)),
    ("target_read_bytes_per_second", "in the newest sample", |t| Some(t.read_bps)),
    ("target_write_bytes_per_second", "in the newest sample", |t| Some(t.write_bps)),
    ("target_free_bytes", "free space", |t| Some(t.free_bytes as f64)),
    ("target_outstanding_bytes", "placed work that waits on it", |t| Some(t.outstanding_bytes as f64)),
    ("target_open_files", "placed files that are open on it", |t| Some(f64::from(t.open_files))),
    ("target_ticket_ratio", "share of the tickets of all classes", |t| Some(t.ticket_share)),
    ("target_sample_age_seconds", "since its newest sample", |t| t.sample_age_s),
    ("target_takes_part", "1 if it gets new files", |t| {
        Some(f64::from(u8::from(matches!(t.state.as_str(), "ok" | "spared"))))
    }),
];

/// The text of one scrape.
pub(crate) fn page(status: &StatusResponse, targets: &[Target], counters: &[(&str, &Counters)]) -> String {
    let mut page = Page { registry: Registry::with_prefix("tarazu") };
    let info = page.family::<OfVersion>("build", "the controller's version");
    info.get_or_create(&OfVersion { version: status.version.clone() }).set(1.0);
    let uptime = page.family::<[(String, String); 0]>("uptime_seconds", "since the controller started");
    uptime.get_or_create(&[]).set(status.uptime_s);
    for (name, help, number) in FS_NUMBERS {
        let family = page.family::<Fs>(name, help);
        for fs in &status.file_systems {
            family.get_or_create(&Fs { fs: fs.name.clone() }).set(number(fs));
        }
    }
    let refused = page.family::<OfReason>("refused", "what was refused since the start, by reason");
    for fs in &status.file_systems {
        for (reason, count) in &fs.refused {
            let labels = OfReason { fs: fs.name.clone(), reason: reason.clone() };
            refused.get_or_create(&labels).set(*count as f64);
        }
    }
    let lost =
        page.family::<Fs>("records_lost", "records of clients that were lost on nodes since the start");
    let shed = page.family::<Fs>("samples_shed", "samples that found no room since the start");
    let judged = page.family::<Fs>("judgements", "judgements of targets' health since the start");
    for (name, counters) in counters {
        let labels = Fs { fs: (*name).to_owned() };
        lost.get_or_create(&labels).set(counters.records_lost() as f64);
        shed.get_or_create(&labels).set(counters.samples_shed() as f64);
        judged.get_or_create(&labels).set(counters.judged() as f64);
    }
    for (name, help, number) in TARGET_NUMBERS {
        let family = page.family::<OfTarget>(name, help);
        for target in targets {
            let Some(value) = number(target) else { continue };
            let labels = OfTarget {
                fs: target.file_system.clone(),
                ost: format!("OST{:04x}", target.ost_index),
                server: target.server.clone(),
            };
            family.get_or_create(&labels).set(value);
        }
    }
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = encode(&mut text, &page.registry);
    text
}

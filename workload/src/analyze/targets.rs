//! One target that carries most of a job's bytes.

use std::collections::BTreeMap;

use tarazu_layout::Bytes;

use super::facts::{Facts, FileUse};
use super::finding::{Code, Finding, Subject, Value};
use super::stripes::{OneStripe, folder_word};
use super::thresholds::TargetThresholds;
use super::words::percent;

/// Files on the target from which it is a folder's fault and not that of one file.
const MANY_FILES: u64 = 8;

/// What one target carries.
#[derive(Default)]
struct Carried<'a> {
    bytes: f64,
    files: u64,
    /// The file with most bytes on it.
    main: Option<(&'a FileUse, f64)>,
}

/// The most loaded target of each file system, where it carries far more than its part.
pub(super) fn one_carries_most(
    facts: &Facts,
    one_stripe: &OneStripe,
    thresholds: &TargetThresholds,
) -> Vec<Finding> {
    let mut mounts: BTreeMap<&str, BTreeMap<u32, Carried<'_>>> = BTreeMap::new();
    for file in &facts.files {
        let mut own: BTreeMap<u32, f64> = BTreeMap::new();
        for (ost, bytes) in file.moved_on_targets() {
            *own.entry(ost).or_default() += bytes;
        }
        if own.is_empty() {
            continue;
        }
        let targets = mounts.entry(&file.mount).or_default();
        for (ost, bytes) in own {
            let carried = targets.entry(ost).or_default();
            carried.bytes += bytes;
            carried.files += 1;
            if carried.main.is_none_or(|(_, before)| bytes > before) {
                carried.main = Some((file, bytes));
            }
        }
    }
    // Files without a layout are bytes of the job, too.
    let of_job: f64 = facts.files.iter().map(|file| file.bytes() as f64).sum();
    let mut findings = Vec::new();
    for (path, targets) in &mounts {
        let of_mount: f64 = targets.values().map(|carried| carried.bytes).sum();
        let Some((ost, most)) = targets.iter().max_by(|a, b| a.1.bytes.total_cmp(&b.1.bytes)) else {
            continue;
        };
        let share = most.bytes / of_job;
        let even_bytes = of_mount / targets.len() as f64;
        let is_much = most.bytes >= thresholds.one_target_bytes as f64
            && most.bytes >= thresholds.one_target_over_even * even_bytes;
        if !is_much || share < thresholds.one_target_share {
            continue;
        }
        let held = one_stripe.held.iter().filter(|held| held.mount == *path && held.ost == *ost);
        let told = held.map(|held| held.bytes).fold(0, u64::saturating_add);
        if told as f64 >= most.bytes / 2.0 {
            continue;
        }
        findings.push(finding(facts, path, *ost, most, share, targets.len() as u64));
    }
    findings
}

fn finding(facts: &Facts, path: &str, ost: u32, most: &Carried<'_>, share: f64, used: u64) -> Finding {
    let bytes = most.bytes as u64;
    let words = format!(
        "OST {ost} carries {} of the job's bytes ({} in {}), where {used} targets of its file system are used",
        percent(share),
        Bytes(bytes),
        crate::text::counted(most.files, "file", "files"),
    );
    let main = most.main.map(|(file, _)| file);
    let place = main.map_or_else(|| "DIR".to_owned(), folder_word);
    let fix = if most.files >= MANY_FILES {
        format!(
            "Look for a fixed first target with lfs getstripe -d {place}, and let the file system choose: \
             lfs setstripe -c 1 -i -1 {place}."
        )
    } else {
        let name = main.map_or_else(String::new, FileUse::label);
        format!(
            "Stripe its largest file, {name}: lfs setstripe -c 4 -S 4M {place} before it is made, or lfs \
             migrate -c 4 -S 4M on it."
        )
    };
    let subject = Subject::Target { mount: path.to_owned(), ost };
    Finding::new(Code::OneTargetMost, &facts.log, subject, words, fix).measured(&[
        ("moved_on_target", Value::Bytes(bytes)),
        ("share", Value::Share(share)),
        ("targets_used", Value::Count(used)),
        ("files_on_target", Value::Count(most.files)),
    ])
}

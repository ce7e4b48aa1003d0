//! Stripe counts that do not fit: one stripe on a big shared file, few targets for many bytes, many stripes
//! on small files.

use std::collections::{BTreeMap, BTreeSet};

use tarazu_layout::Bytes;

use super::facts::{Facts, FileUse};
use super::finding::{Code, Finding, Subject, Value};
use super::thresholds::StripeThresholds;
use super::words::{folder, percent, printable, shell};

/// Findings of one code for one log: beyond, the list is longer than anybody reads, and the last one says
/// how many more there are.
const FOLDERS_MAX: usize = 16;

/// Stripe size in recommendations: large enough for full-sized requests of 4 MiB to meet one target.
const STRIPE_SIZE: &str = "4M";

/// Big shared files on one target.
#[derive(Clone, Debug, Default)]
pub(super) struct OneStripe {
    pub(super) findings: Vec<Finding>,
    /// All such files, also those of folders beyond the list, so that their bytes are not reported under
    /// another name again.
    pub(super) held: Vec<Held>,
}

/// What one file holds on its target.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) mount: String,
    pub(super) ost: u32,
    pub(super) bytes: u64,
}

/// Files that get one finding together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Group<'a> {
    Folder(&'a str),
    /// Nobody knows in which folder it is.
    File(u64),
}

/// A stripe count for a file of so many bytes that so many ranks use.
pub(super) fn recommended(size: u64, ranks: u64, thresholds: &StripeThresholds) -> u64 {
    let wanted = size.div_ceil(thresholds.bytes_per_stripe).checked_next_power_of_two().unwrap_or(u64::MAX);
    wanted.clamp(thresholds.stripes_min.into(), thresholds.stripes_max.into()).min(ranks.max(1))
}

/// The folder of a file as a word of a command; `DIR` for the root of a file system, whose layout nobody
/// should change for one file.
pub(super) fn folder_word(file: &FileUse) -> String {
    let own = file.name.as_deref().and_then(folder).filter(|path| *path != file.mount && *path != "/");
    own.and_then(shell).unwrap_or_else(|| "DIR".to_owned())
}

/// Big files that several ranks share and that lie on one target, by folder, the largest first. How many
/// stripes they should have depends on the number of ranks, so nothing is said where the log hides it.
pub(super) fn one_on_shared(facts: &Facts, thresholds: &StripeThresholds) -> OneStripe {
    let Some(of_job) = facts.ranks else { return OneStripe::default() };
    let mut groups: BTreeMap<Group<'_>, Vec<&FileUse>> = BTreeMap::new();
    let mut held = Vec::new();
    for file in &facts.files {
        // A small file that many ranks read moves many bytes, too, but more stripes would not help it.
        let is_big = file.bytes().min(file.end) >= thresholds.big_shared_file.max(1);
        if !is_big || file.ranks(of_job) < 2 || file.slowest_s() < thresholds.shared_seconds_min {
            continue;
        }
        let Some(ost) = file.only_target() else { continue };
        let group = file.name.as_deref().and_then(folder).map_or(Group::File(file.id), Group::Folder);
        groups.entry(group).or_default().push(file);
        held.push(Held { mount: file.mount.clone(), ost, bytes: file.bytes() });
    }
    let mut found: Vec<(&FileUse, u64)> = groups
        .into_values()
        .filter_map(|files| {
            let largest = *files.iter().max_by_key(|file| file.bytes())?;
            Some((largest, files.len() as u64 - 1))
        })
        .collect();
    found.sort_by_key(|(largest, _)| std::cmp::Reverse(largest.bytes()));
    let more = found.len().saturating_sub(FOLDERS_MAX);
    let mut findings: Vec<Finding> = found
        .into_iter()
        .take(FOLDERS_MAX)
        .map(|(largest, others)| {
            one_stripe_finding(facts, largest, largest.ranks(of_job), others, thresholds)
        })
        .collect();
    if let Some(last) = findings.last_mut().filter(|_| more > 0) {
        last.words.push_str(&and_more(more));
    }
    OneStripe { findings, held }
}

fn and_more(folders: usize) -> String {
    format!(" ({} more with such files)", crate::text::counted(folders as u64, "folder", "folders"))
}

fn one_stripe_finding(
    facts: &Facts,
    file: &FileUse,
    ranks: u64,
    others: u64,
    thresholds: &StripeThresholds,
) -> Finding {
    let stripes = recommended(file.end, ranks, thresholds);
    let others_too = match others {
        0 => String::new(),
        1 => ", and so does 1 more file of this folder".to_owned(),
        count => format!(", and so do {count} more files of this folder"),
    };
    let words = format!(
        "{} has one stripe: {} of {ranks} ranks go through a single target{others_too}",
        file.label(),
        Bytes(file.bytes()),
    );
    let fix = format!(
        "Make the file anew in a folder striped over {stripes} targets: lfs setstripe -c {stripes} -S \
         {STRIPE_SIZE} {}. An existing file: lfs migrate -c {stripes} -S {STRIPE_SIZE} {}.",
        folder_word(file),
        file.name.as_deref().and_then(shell).unwrap_or_else(|| "FILE".to_owned()),
    );
    let subject = Subject::File { name: file.label() };
    Finding::new(Code::OneStripeShared, &facts.log, subject, words, fix).measured(&[
        ("moved", Value::Bytes(file.bytes())),
        ("file_size", Value::Bytes(file.end)),
        ("ranks", Value::Count(ranks)),
        ("stripes", Value::Count(1)),
        ("recommended_stripes", Value::Count(stripes)),
        ("files", Value::Count(others + 1)),
    ])
}

/// What a job did on one file system.
#[derive(Default)]
struct Mount<'a> {
    bytes: u64,
    used: BTreeSet<u32>,
    /// Highest index in any layout.
    highest: u32,
    files: u64,
    largest: Option<&'a FileUse>,
}

/// Jobs that move many bytes over few of the targets that the file system is known to have.
pub(super) fn few_targets(
    facts: &Facts,
    one_stripe: &OneStripe,
    thresholds: &StripeThresholds,
) -> Vec<Finding> {
    let Some(ranks) = facts.ranks else { return Vec::new() };
    let mut mounts: BTreeMap<&str, Mount<'_>> = BTreeMap::new();
    for file in facts.files.iter().filter(|file| !file.layout.is_empty()) {
        let mount = mounts.entry(&file.mount).or_default();
        mount.highest =
            file.layout.iter().flat_map(|piece| &piece.osts).fold(mount.highest, |a, b| a.max(*b));
        if file.bytes() == 0 {
            continue;
        }
        mount.bytes = mount.bytes.saturating_add(file.bytes());
        mount.used.extend(file.extent_on_targets().map(|(ost, _)| ost));
        mount.files += 1;
        mount.largest = Some(
            mount.largest.map_or(file, |before| if file.bytes() > before.bytes() { file } else { before }),
        );
    }
    let mut findings = Vec::new();
    for (path, mount) in mounts {
        let (used, known) = (mount.used.len() as u64, u64::from(mount.highest) + 1);
        let held = one_stripe.held.iter().filter(|held| held.mount == path);
        let told = held.map(|held| held.bytes).fold(0, u64::saturating_add);
        // One rank alone cannot keep many targets busy.
        let is_few = (used as f64) < thresholds.few_targets_share * known as f64 && ranks >= 2 * used;
        if used == 0 || mount.bytes < thresholds.many_bytes || !is_few || told >= mount.bytes / 2 {
            continue;
        }
        let finding = |largest| few_finding(facts, ranks, &mount, largest, known, thresholds);
        findings.extend(mount.largest.map(finding));
    }
    findings
}

fn few_finding(
    facts: &Facts,
    ranks: u64,
    mount: &Mount<'_>,
    largest: &FileUse,
    known: u64,
    thresholds: &StripeThresholds,
) -> Finding {
    let used = mount.used.len() as u64;
    let words = format!(
        "{} of {} go through {used} of at least {known} targets ({})",
        Bytes(mount.bytes),
        crate::text::counted(ranks, "rank", "ranks"),
        percent(used as f64 / known as f64),
    );
    let place = folder_word(largest);
    let stripes = recommended(largest.end, ranks, thresholds).min(known);
    // Many files on few targets were steered there: the file system alone would have spread them.
    let fix = if mount.files >= 4 * used {
        format!(
            "{} files lie on {used} targets: look for a pool or a fixed first target with lfs getstripe -d \
             {place}, and let the file system choose again: lfs setstripe -c 1 -i -1 {place}.",
            mount.files
        )
    } else {
        format!(
            "Spread the largest files over more targets: lfs setstripe -c {stripes} -S {STRIPE_SIZE} \
             {place}, before they are made."
        )
    };
    Finding::new(Code::FewTargets, &facts.log, Subject::Job, words, fix).measured(&[
        ("moved", Value::Bytes(mount.bytes)),
        ("targets_used", Value::Count(used)),
        ("targets_known", Value::Count(known)),
        ("files", Value::Count(mount.files)),
        ("ranks", Value::Count(ranks)),
    ])
}

/// Folders with many small files whose layouts have far more stripes than their bytes reach.
pub(super) fn small_and_wide(facts: &Facts, thresholds: &StripeThresholds) -> Vec<Finding> {
    let mut folders: BTreeMap<&str, Vec<&FileUse>> = BTreeMap::new();
    for file in &facts.files {
        let (stripes, reached) = (file.stripes(), file.extent_on_targets().count());
        // Read-only files may be larger than what was read of them.
        let is_small = file.written_bytes > 0 && file.end <= thresholds.small_file;
        if is_small && stripes as u64 >= thresholds.wide_stripes.into() && 2 * reached <= stripes {
            folders.entry(file.name.as_deref().and_then(folder).unwrap_or("")).or_default().push(file);
        }
    }
    let mut folders: Vec<(&str, Vec<&FileUse>)> = folders
        .into_iter()
        .filter(|(_, files)| files.len() as u64 >= thresholds.small_files_min.max(1))
        .collect();
    folders.sort_by_key(|(_, files)| std::cmp::Reverse(files.len()));
    let more = folders.len().saturating_sub(FOLDERS_MAX);
    let mut findings: Vec<Finding> = folders
        .into_iter()
        .take(FOLDERS_MAX)
        .map(|(path, files)| wide_finding(facts, path, &files))
        .collect();
    if let Some(last) = findings.last_mut().filter(|_| more > 0) {
        last.words.push_str(&and_more(more));
    }
    findings
}

fn wide_finding(facts: &Facts, path: &str, files: &[&FileUse]) -> Finding {
    let count = files.len() as u64;
    let bytes = files.iter().map(|file| file.end).fold(0, u64::saturating_add);
    let stripes = files.iter().map(|file| file.stripes() as u64).max().unwrap_or(0);
    let place = shell(path).unwrap_or_else(|| "DIR".to_owned());
    let words = format!(
        "{count} small files in {} ({} on average) have up to {stripes} stripes, most of them empty: each \
         file costs objects on all its targets when it is made, looked at and removed",
        printable(if path.is_empty() { "folders without a name" } else { path }),
        Bytes(bytes / count.max(1)),
    );
    let fix = format!(
        "Give the folder one stripe before the files are made: lfs setstripe -c 1 {place}. If large files \
         live there, too, let the layout grow with the file: lfs setstripe -E 64M -c 1 -E -1 -c {} {place}.",
        stripes.min(8),
    );
    let subject = Subject::Folder { path: printable(path), files: count };
    Finding::new(Code::SmallFilesWide, &facts.log, subject, words, fix).measured(&[
        ("files", Value::Count(count)),
        ("mean_file_size", Value::Bytes(bytes / count.max(1))),
        ("stripes", Value::Count(stripes)),
        ("recommended_stripes", Value::Count(1)),
    ])
}

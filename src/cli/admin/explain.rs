//! `tarazu explain FILE`: asked, decided, got, and why. Without a file: why the plan in force is as it is.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use serde::Serialize;
use tarazu::{Mode, Options, Session};
use tarazu_layout::{Bytes, OstIndex};
use tarazu_proto::v1::{ExplainRequest, ExplainResponse, JobName, TargetWhy};

use super::connect::{ControllerAddress, ask};
use super::tables::{Column, ago, lines, mib, percent};
use super::{Form, print_json};
use crate::cli::node::run_dir;
use crate::cli::output::{Output, note};
use crate::controller::json;
use crate::node::decisions::{self, Decision};

/// The answer is only a part: the controller did not answer.
const EXIT_PARTIAL: u8 = 4;

/// Relative paths that a file's path is tried with: from its folder up, as many as folders are usually deep.
const RELATIVE_MAX: usize = 64;

#[derive(Debug, clap::Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    controller: ControllerAddress,
    /// A file that was made on this node; without one, the plan in force is explained
    file: Option<PathBuf>,
    /// The file system, where the controller has several
    #[arg(long = "file-system", value_name = "NAME", default_value = "")]
    file_system: String,
    /// A job, by its number: say whether its files are steered, and why
    #[arg(long, value_name = "ID")]
    job: Option<u64>,
    /// The job's user [default: who asks]
    #[arg(long, value_name = "UID", requires = "job")]
    uid: Option<u32>,
    /// The job's program, without its path
    #[arg(long, value_name = "NAME", requires = "job", default_value = "")]
    executable: String,
    /// A file name with the ending that is meant, such as x.h5
    #[arg(long, value_name = "NAME", requires = "job", default_value = "")]
    ending: String,
    /// Run directory of this node's daemon [default: $TARAZU_RUN_DIR, else /run/tarazu]
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// Lines to read, or the schema tarazu.plan/1 with what was decided and got of the file
    #[arg(long, value_enum, default_value_t = Form::Text)]
    output: Form,
}

pub(crate) fn run(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let made = args.file.as_deref().map(|file| OfFile::find(args, file)).transpose()?;
    if let Some(made) = made.as_ref().filter(|_| args.output == Form::Text) {
        Output::print(&made.text(args))?;
    }
    let print = |explained: &ExplainResponse| {
        let plan = json::explain(&args.file_system, explained);
        match &made {
            Some(made) => print_json(&WithFile { made, plan }),
            None => print_json(&plan),
        }
    };
    let ost_indices = made.as_ref().map(|made| made.got.clone()).unwrap_or_default();
    if made.is_some() && ost_indices.is_empty() {
        note("the file has no objects on targets yet, so no target is explained");
        if args.output == Form::Json {
            print(&ExplainResponse::default())?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let request = ExplainRequest { file_system: args.file_system.clone(), ost_indices, name: args.name() };
    let question = async {
        let mut placement = args.controller.placement().await?;
        Ok(placement.explain(request).await?.into_inner())
    };
    let explained = match ask(question)? {
        Ok(explained) => explained,
        Err(code) if made.is_none() => return Ok(code),
        // The file's own part is known without the controller; as text it was printed.
        Err(_) => {
            if args.output == Form::Json {
                print(&ExplainResponse::default())?;
            }
            return Ok(ExitCode::from(EXIT_PARTIAL));
        }
    };
    match args.output {
        Form::Json => print(&explained)?,
        Form::Text => {
            let job = args.job.map_or_else(String::new, |job| format!("\n{}", of_job(&explained, job)));
            Output::print(&format!("{}{job}", of_plan(&explained)))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl ExplainArgs {
    fn name(&self) -> Option<JobName> {
        let uid = self.uid.unwrap_or_else(|| rustix::process::getuid().as_raw());
        let executable_hash = tarazu_layout::hash::bytes(self.executable.as_bytes());
        let ending = self.ending.clone();
        self.job.map(|job| JobName { uid, job, executable_hash, ending })
    }
}

/// What the plan says of a job.
fn of_job(explained: &ExplainResponse, job: u64) -> String {
    let Some(why) = &explained.job else {
        return format!(
            "job {job}: the plan does not know it; it is left to the file system (unknown_job)\n"
        );
    };
    let done = if why.steered { "steered" } else { "left to the file system" };
    format!(
        "job {job}: {done} ({}); its last stripe is expected after {:.2} s as planned, {:.2} s without; worth it from {:.2} s \
         on; files of {}\n",
        why.why,
        why.planned_s,
        why.stock_s,
        why.cost_s,
        Bytes(why.expected_bytes)
    )
}

/// Targets of the file's first component that has any.
fn layout(file: &Path) -> anyhow::Result<Vec<OstIndex>> {
    let session = Session::open(Options { mode: Mode::Observe, ..Options::from_environment() });
    let stored =
        session.layout_of(file).with_context(|| format!("cannot read the layout of {}", file.display()))?;
    Ok(stored.first_list().to_vec())
}

/// The plan's part, and the file's beside it.
#[derive(Serialize)]
struct WithFile<'a, P: Serialize> {
    #[serde(flatten)]
    made: &'a OfFile,
    #[serde(flatten)]
    plan: P,
}

/// What is known of a file on this node.
#[derive(Debug, Serialize)]
struct OfFile {
    /// The file as it was typed.
    file: String,
    /// The newest decision; none where the node's daemon knows of none.
    decided: Option<Decided>,
    /// Indices of its targets, in the order of its stripes.
    got: Vec<u32>,
}

/// A decision as it is shown.
#[derive(Debug, Serialize)]
struct Decided {
    /// When.
    at: String,
    file_system: String,
    /// `placed order=2,40 tier=now asked=3,7 got=3,7` or `left unknown_job`.
    words: String,
    /// The path under which it was written down: the application's.
    path: String,
}

impl OfFile {
    fn find(args: &ExplainArgs, file: &Path) -> anyhow::Result<Self> {
        let got = layout(file)?;
        let run_dir = run_dir(args.run_dir.as_deref());
        let mut decided = None;
        for uid in users(file, rustix::process::getuid().as_raw()) {
            decided = decision(&run_dir, uid, file, &got)
                .with_context(|| format!("cannot read decisions in {}", run_dir.display()))?;
            if decided.is_some() {
                break;
            }
        }
        let decided = decided.map(|(path, decision)| Decided {
            at: json::rfc3339(decision.at.0),
            file_system: decision.file_system,
            words: decision.words,
            path: path.display().to_string(),
        });
        Ok(Self { file: file.display().to_string(), decided, got: got.iter().map(|ost| ost.0).collect() })
    }

    fn text(&self, args: &ExplainArgs) -> String {
        // Writing to a string cannot fail.
        let mut text = format!("{}\n", self.file);
        match &self.decided {
            Some(decided) => {
                let alias =
                    if decided.path == self.file { String::new() } else { format!(", as {}", decided.path) };
                let (words, at) = (&decided.words, &decided.at);
                let _ = writeln!(text, "decided  {words} (file system {}, {at}{alias})", decided.file_system);
            }
            None => {
                let run_dir = run_dir(args.run_dir.as_deref());
                let place = run_dir.display();
                let _ = writeln!(
                    text,
                    "decided  nothing that this node's daemon still knows of (run directory {place})"
                );
            }
        }
        let names: Vec<_> = self.got.iter().map(|ost| OstIndex(*ost).to_string()).collect();
        let got = if names.is_empty() { "no targets".into() } else { names.join(" ") };
        let _ = writeln!(text, "got      {got}\n");
        text
    }
}

/// Whose decisions are looked through: the asker's, and the file's owner's where the asker may read them.
fn users(file: &Path, asker: u32) -> Vec<u32> {
    let owner = std::fs::symlink_metadata(file).ok().map(|found| found.uid());
    let owner = owner.filter(|owner| asker == 0 && *owner != asker);
    std::iter::once(asker).chain(owner).collect()
}

/// The newest decision of a user about a file. The daemon knows paths as applications gave them, which is not always as
/// they are typed here: the file may have been made by a relative path, from any of the folders above it.
fn decision(
    run_dir: &Path,
    uid: u32,
    file: &Path,
    got: &[OstIndex],
) -> anyhow::Result<Option<(PathBuf, Decision)>> {
    let found = |path: PathBuf| {
        let latest = decisions::latest(run_dir, uid, path.as_os_str().as_bytes());
        latest.map(|decision| decision.map(|decision| (path, decision)))
    };
    let (whole, relative) = paths(file)?;
    let mut newest: Option<(PathBuf, Decision)> = None;
    for decided in whole.into_iter().map(found) {
        let decided = decided?;
        let is_newer =
            |(_, one): &(PathBuf, Decision)| newest.as_ref().is_none_or(|(_, other)| one.at > other.at);
        newest = decided.filter(is_newer).or(newest);
    }
    if newest.is_some() {
        return Ok(newest);
    }
    for decided in relative.into_iter().map(found) {
        // Files in other folders have the same relative path; of a placed one the targets tell them apart.
        let decided = decided?.filter(|(_, decision)| agrees(&decision.words, got));
        if decided.is_some() {
            return Ok(decided);
        }
    }
    Ok(None)
}

/// Paths that an application may have given: those that are of this file only, then relative ones, the longest first
/// behind the one that was typed.
fn paths(file: &Path) -> anyhow::Result<(BTreeSet<PathBuf>, Vec<PathBuf>)> {
    let absolute = std::path::absolute(file)?;
    let folder = absolute.parent().and_then(|folder| std::fs::canonicalize(folder).ok());
    let canonical = folder.zip(absolute.file_name()).map(|(folder, name)| folder.join(name));
    let mut relative = vec![file.to_owned()];
    for path in [Some(&absolute), canonical.as_ref()].into_iter().flatten() {
        let parts: Vec<_> = path.iter().skip(1).collect();
        let first = parts.len().saturating_sub(RELATIVE_MAX);
        for start in first..parts.len() {
            let tail: PathBuf = parts[start..].iter().collect();
            relative.extend([Path::new(".").join(&tail), tail]);
        }
    }
    let whole = std::iter::once(absolute).chain(canonical).collect::<BTreeSet<_>>();
    let mut seen = whole.clone();
    relative.retain(|path| seen.insert(path.clone()));
    Ok((whole, relative))
}

/// Whether a decision can be that of a file with these targets.
fn agrees(words: &str, got: &[OstIndex]) -> bool {
    match words.rsplit_once(" got=") {
        Some((_, targets)) => targets == decisions::targets(got),
        None => true,
    }
}

const COLUMNS: [Column; 7] = [
    ("TARGET", false),
    ("WHY", false),
    ("HEALTH", true),
    ("RAMP", true),
    ("LEFT MiB/s", true),
    ("WAITING s", true),
    ("TICKETS", true),
];

fn of_plan(explained: &ExplainResponse) -> String {
    let Some(order) = explained.order else { return "no plan yet\n".into() };
    let rings = if explained.steady_only { ", steady rings only" } else { "" };
    let mut text =
        format!("plan ({}, {}), made {} ago{rings}\n\n", order.term, order.seq, ago(explained.age_s));
    let row = |why: &TargetWhy| {
        let tickets = why.ticket_shares.iter().sum::<f64>() / why.ticket_shares.len().max(1) as f64;
        vec![
            format!("OST{:04x}", why.ost_index),
            why.reason.clone(),
            percent(why.health),
            percent(why.ramp),
            mib(why.write_bps),
            format!("{:.2}", why.waiting_s),
            format!("{:.1} %", tickets * 100.0),
        ]
    };
    text.push_str(&lines(&COLUMNS, explained.targets.iter().map(row).collect(), true));
    for why in explained.targets.iter().filter(|why| !why.judged.is_empty()) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "OST{:04x}: {}", why.ost_index, why.judged);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decisions_of(run: &Path, uid: u32, lines: &[(u64, &str, &str)]) {
        let folder = run.join(decisions::DECISIONS_FOLDER);
        std::fs::create_dir_all(&folder).expect("made");
        let lines: String = lines
            .iter()
            .map(|(at, path, words)| {
                format!("{at} scratch {:016x} {words}\n", tarazu_layout::hash::bytes(path.as_bytes()))
            })
            .collect();
        std::fs::write(folder.join(uid.to_string()), format!("tarazu-decisions 1\n{lines}"))
            .expect("written");
    }

    #[test]
    fn a_file_is_found_however_the_application_named_it() {
        let place = tempfile::tempdir().expect("a folder");
        let root = place.path().canonicalize().expect("a folder");
        let (run, real) = (root.join("run"), root.join("real/job"));
        std::fs::create_dir_all(&real).expect("made");
        std::os::unix::fs::symlink(root.join("real"), root.join("link")).expect("a link");
        let typed = root.join("link/job/x.h5");
        let text = |path: &Path| path.to_str().expect("plain").to_owned();
        let found = |got: &[u32]| {
            let got: Vec<_> = got.iter().map(|ost| OstIndex(*ost)).collect();
            let found = decision(&run, 5, &typed, &got).expect("read");
            found.map(|(path, decision)| (text(&path), decision.at.0))
        };
        assert_eq!(found(&[1]), None);
        let words = "placed order=1,2 tier=now asked=1,2 got=1,2";
        for relative in ["x.h5", "./x.h5", "job/x.h5", "real/job/x.h5", "link/job/x.h5"] {
            decisions_of(&run, 5, &[(7, relative, words)]);
            assert_eq!(found(&[1, 2]), Some((relative.to_owned(), 7)));
            assert_eq!(found(&[1, 3]), None, "another folder's file of that name");
        }
        let canonical = text(&real.join("x.h5"));
        decisions_of(&run, 5, &[(7, "x.h5", words), (8, &text(&typed), words), (9, &canonical, "left off")]);
        assert_eq!(found(&[1, 2]), Some((canonical, 9)), "the newest under its whole path");
    }

    #[test]
    fn only_root_is_shown_what_the_owner_decided() {
        let place = tempfile::tempdir().expect("a folder");
        let owner = std::fs::symlink_metadata(place.path()).expect("there").uid();
        assert_eq!(users(place.path(), owner), [owner]);
        assert_eq!(users(place.path(), 77_777), [77_777]);
        assert_eq!(users(&place.path().join("none"), 0), [0]);
        let others = users(place.path(), 0);
        assert_eq!(others.last(), Some(&owner));
    }

    #[test]
    fn the_files_part_stands_beside_the_plans() {
        let decided = Decided {
            at: "then".into(),
            file_system: "scratch".into(),
            words: "left off".into(),
            path: "x".into(),
        };
        let made = OfFile { file: "x".into(), decided: Some(decided), got: vec![3, 7] };
        let plan = json::explain("scratch", &ExplainResponse::default());
        let value = serde_json::to_value(WithFile { made: &made, plan }).expect("plain values");
        assert_eq!(value["got"], serde_json::json!([3, 7]));
        assert_eq!(value["decided"]["words"], "left off");
        assert_eq!((&value["schema"], &value["targets"]), (&"tarazu.plan/1".into(), &serde_json::json!([])));
    }
}

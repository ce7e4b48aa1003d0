//! How a session behaves: built-in defaults, over them the environment, over them what the program sets.
//!
//! Settings that cannot be read are ignored: a slip in a job script must not cost the job. They are said once where the
//! user asks for it (`TARAZU_DUMP_CONFIG`, `TARAZU_REPORT`).

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tarazu_layout::{JobId, OstIndex};
use tarazu_table::Rank;

use crate::process::Lookup;
use crate::sys;

/// How far a session goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Every create is a plain `open()`, also on directory targets.
    Off,
    /// Decides and explains, but steers nothing and tells nobody. On directory targets new files go to the default
    /// target, as they do wherever nothing is steered.
    #[default]
    Observe,
    /// As [`Mode::Observe`], and tells the node daemon of jobs that start and of files that were left, but not of those
    /// that were left for want of a table.
    Advise,
    /// Steers.
    Apply,
}

/// Whose striping a steered file gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Striping {
    /// That of the folder or of the file system's root where one of them says so, else the table's.
    #[default]
    Auto,
    /// Always what the file would have without tarazu; only its targets are chosen.
    Inherit,
    /// Nothing is steered.
    Off,
}

/// What is printed about the session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Report {
    /// Nothing.
    #[default]
    Nothing,
    /// One line at the end.
    Summary,
    /// Also every setting that was ignored.
    All,
}

/// Chooses a target for a file that nobody steers, on a file system of directory targets.
pub type DefaultTarget = Box<dyn Fn(&[OstIndex]) -> OstIndex + Send + Sync>;

/// Microseconds of one look at a table after which the session pauses: twenty times what it takes.
const BUDGET_US: u64 = 1000;

/// Entries of a list in the environment that are looked at.
const LIST_MAX: usize = 64;

/// Options of a session.
pub struct Options {
    /// How far it goes.
    pub mode: Mode,
    /// Whose striping steered files get.
    pub striping: Striping,
    /// The node daemon's folder.
    pub run_dir: PathBuf,
    /// The name of the file system, where it is not to be found out.
    pub fs_name: Option<String>,
    /// Rank and world, where they are not to be taken from the environment.
    pub rank: Option<Rank>,
    /// The job, where it is not to be taken from the environment.
    pub job: Option<JobId>,
    /// Name of the variable that holds the job, tried before the schedulers' own.
    pub job_variable: Option<String>,
    /// The program's name without its path, where it is not to be found out.
    pub executable: Option<Vec<u8>>,
    /// Time for one look at a table. A look that takes longer ends all looking for half a minute.
    pub budget: Duration,
    /// Paths that are left alone where they begin with one of these, unless [`Options::include`] names them.
    pub exclude: Vec<PathBuf>,
    /// Paths that are looked at although excluded.
    pub include: Vec<PathBuf>,
    /// What is printed to standard error when the session ends.
    pub report: Report,
    /// On a file system of directory targets: where files go that nobody steers. Without it round robin.
    pub default_target: Option<DefaultTarget>,
    /// Root of the kernel's process files; tests have their own.
    pub proc_root: PathBuf,
    /// Root of the kernel's parameters; tests have their own.
    pub sys_root: PathBuf,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            striping: Striping::default(),
            run_dir: PathBuf::from("/run/tarazu"),
            fs_name: None,
            rank: None,
            job: None,
            job_variable: None,
            executable: None,
            budget: Duration::from_micros(BUDGET_US),
            exclude: Vec::new(),
            include: Vec::new(),
            report: Report::default(),
            default_target: None,
            proc_root: PathBuf::from("/proc"),
            sys_root: PathBuf::from("/sys"),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("mode", &self.mode)
            .field("striping", &self.striping)
            .field("run_dir", &self.run_dir)
            .field("fs_name", &self.fs_name)
            .field("rank", &self.rank)
            .field("job", &self.job)
            .field("budget", &self.budget)
            .field("exclude", &self.exclude)
            .field("include", &self.include)
            .field("report", &self.report)
            .field("default_target", &self.default_target.as_ref().map(|_| "given"))
            .finish_non_exhaustive()
    }
}

impl Options {
    /// The defaults with the environment's settings over them. A process with more rights than its user does not
    /// believe the environment.
    #[must_use]
    pub fn from_environment() -> Self {
        if sys::is_privileged() {
            return Self::default();
        }
        let (options, ignored) = Self::default().with(&|name| std::env::var_os(name));
        let dump = std::env::var_os("TARAZU_DUMP_CONFIG").is_some_and(|value| value == "1");
        if dump {
            say(&format!("{options:?}"));
        }
        if dump || options.report >= Report::All {
            ignored.iter().for_each(|setting| say(&format!("ignored {setting}")));
        }
        options
    }

    /// These options with settings over them, and the settings that were ignored.
    pub(crate) fn with(mut self, environment: Lookup<'_>) -> (Self, Vec<String>) {
        let mut settings = Settings { environment, ignored: Vec::new() };
        if let Some(mode) = settings.one("TARAZU_MODE", |text| match text {
            "off" => Some(Mode::Off),
            "observe" => Some(Mode::Observe),
            "advise" => Some(Mode::Advise),
            "apply" => Some(Mode::Apply),
            _ => None,
        }) {
            self.mode = mode;
        }
        if let Some(striping) = settings.one("TARAZU_STRIPING", |text| match text {
            "auto" => Some(Striping::Auto),
            "inherit" => Some(Striping::Inherit),
            "off" => Some(Striping::Off),
            _ => None,
        }) {
            self.striping = striping;
        }
        if let Some(report) = settings.one("TARAZU_REPORT", |text| match text {
            "0" => Some(Report::Nothing),
            "1" => Some(Report::Summary),
            "2" => Some(Report::All),
            _ => None,
        }) {
            self.report = report;
        }
        if let Some(budget_us) = settings.one("TARAZU_BUDGET_US", |text| text.parse().ok()) {
            self.budget = Duration::from_micros(budget_us);
        }
        let folder = |text: &str| Some(PathBuf::from(text)).filter(|path| path.is_absolute());
        if let Some(run_dir) = settings.one("TARAZU_RUN_DIR", folder) {
            self.run_dir = run_dir;
        }
        let name = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        self.job_variable = settings.one("TARAZU_JOBID", name).or(self.job_variable);
        self.fs_name = settings.one("TARAZU_FS", name).or(self.fs_name);
        self.include.extend(settings.list("TARAZU_PATH_INCLUDE").into_iter().map(PathBuf::from));
        self.exclude.extend(settings.list("TARAZU_PATH_EXCLUDE").into_iter().map(PathBuf::from));
        let program = std::env::current_exe().ok().and_then(|path| path.file_name().map(OsStr::to_owned));
        let named = |list: Vec<OsString>| program.as_ref().is_some_and(|program| list.contains(program));
        let excluded =
            named(settings.list("TARAZU_APP_EXCLUDE")) && !named(settings.list("TARAZU_APP_INCLUDE"));
        let disabled = settings.one("TARAZU_DISABLE", |text| match text {
            "1" => Some(true),
            "0" => Some(false),
            _ => None,
        });
        if excluded || disabled == Some(true) {
            self.mode = Mode::Off;
        }
        (self, settings.ignored)
    }

    /// Whether files at this path are left alone.
    pub(crate) fn leaves(&self, path: &Path) -> bool {
        let begins = |list: &[PathBuf]| list.iter().any(|front| path.starts_with(front));
        begins(&self.exclude) && !begins(&self.include)
    }
}

/// One line on standard error. Unlike `eprintln`, it does not panic where there is none.
pub(crate) fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "tarazu: {line}");
}

/// Whether the user wants nothing done at all, whatever the program says.
pub(crate) fn is_disabled() -> bool {
    !sys::is_privileged() && std::env::var_os("TARAZU_DISABLE").is_some_and(|value| value == "1")
}

struct Settings<'a> {
    environment: Lookup<'a>,
    ignored: Vec<String>,
}

impl Settings<'_> {
    /// The value of a variable, where it is set and has a meaning.
    fn one<T>(&mut self, name: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let value = (self.environment)(name)?;
        let read = value.to_str().and_then(|text| read(text.trim()));
        if read.is_none() {
            self.ignored.push(format!("{name}={}", value.to_string_lossy()));
        }
        read
    }

    /// The parts of a variable between colons or commas.
    fn list(&self, name: &str) -> Vec<OsString> {
        let value = (self.environment)(name).unwrap_or_default();
        let parts = value.as_bytes().split(|byte| b":,".contains(byte)).filter(|part| !part.is_empty());
        parts.take(LIST_MAX).map(|part| OsStr::from_bytes(part).to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> (Options, Vec<String>) {
        Options::default().with(&|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn settings_that_mean_nothing_are_ignored_and_named() {
        let (options, ignored) = with(&[
            ("TARAZU_MODE", "aply"),
            ("TARAZU_STRIPING", ""),
            ("TARAZU_BUDGET_US", "-5"),
            ("TARAZU_RUN_DIR", "relative"),
            ("TARAZU_DISABLE", "yes"),
            ("TARAZU_REPORT", "9"),
        ]);
        assert_eq!((options.mode, options.striping), (Mode::Observe, Striping::Auto));
        assert_eq!(options.run_dir, Path::new("/run/tarazu"));
        assert_eq!(options.budget, Duration::from_micros(BUDGET_US));
        assert_eq!(ignored.len(), 6);
        assert!(ignored.contains(&"TARAZU_MODE=aply".to_owned()));
    }

    #[test]
    fn settings_are_taken() {
        let (options, ignored) = with(&[
            ("TARAZU_MODE", "apply"),
            ("TARAZU_STRIPING", "inherit"),
            ("TARAZU_BUDGET_US", "250"),
            ("TARAZU_JOBID", "MY_JOB"),
            ("TARAZU_PATH_EXCLUDE", "/a:/b"),
            ("TARAZU_PATH_INCLUDE", "/a/in"),
            ("TARAZU_REPORT", "1"),
        ]);
        assert_eq!((options.mode, options.striping), (Mode::Apply, Striping::Inherit));
        assert_eq!((options.budget, options.report), (Duration::from_micros(250), Report::Summary));
        assert_eq!(options.job_variable.as_deref(), Some("MY_JOB"));
        assert!(options.leaves(Path::new("/a/x")) && options.leaves(Path::new("/b")));
        assert!(!options.leaves(Path::new("/a/in/x")) && !options.leaves(Path::new("/c")));
        assert_eq!(ignored, Vec::<String>::new());
        assert_eq!(with(&[("TARAZU_MODE", "apply"), ("TARAZU_DISABLE", "1")]).0.mode, Mode::Off);
    }
}

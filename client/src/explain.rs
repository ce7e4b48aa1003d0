//! What became of one file, in words: asked, decided, got, and the reason.

use std::fmt;
use std::path::PathBuf;

use tarazu_layout::lov::Stored;
use tarazu_layout::{Bytes, JobId, OstIndex};
use tarazu_table::{FileClass, JobKey, Tier};

use crate::Why;
use crate::memory::{Decided, File};
use crate::options::Mode;

/// Targets of a list that are printed; a file over all targets would fill screens.
const SHOWN_MAX: usize = 32;

/// The way of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The path as it was given.
    pub path: PathBuf,
    /// How far the session goes.
    pub mode: Mode,
    /// The job of this process.
    pub job: JobId,
    /// What this session did; `None` where it did not make the file, or has forgotten it.
    pub made: Option<MadeHere>,
    /// The layout that the file has now, as far as it can be read.
    pub got: Option<Stored>,
}

/// What a session did for a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeHere {
    /// The file system's name.
    pub fs_name: String,
    /// The kind of file that the table was asked for.
    pub class: FileClass,
    /// The entry that answered, or would have.
    pub key: JobKey,
    /// What the table said, where it said something.
    pub decided: Option<Decided>,
    /// Why the file was left; `None` where it was steered.
    pub why: Option<Why>,
}

impl From<File> for MadeHere {
    fn from(file: File) -> Self {
        Self { fs_name: file.fs_name, class: file.class, key: file.key, decided: file.decided, why: file.why }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.path.display())?;
        if let Some(made) = &self.made {
            let MadeHere { fs_name, class, key, decided, why } = made;
            writeln!(
                f,
                "asked    file system {fs_name}, {}, {class:?}, key {:016x}, mode {:?}",
                self.job, key.0, self.mode
            )?;
            match decided {
                Some(decided) => write_decided(f, decided)?,
                None => writeln!(f, "decided  nothing")?,
            }
            match why {
                Some(why) => writeln!(f, "reason   left to the file system: {why}")?,
                None => writeln!(f, "reason   steered")?,
            }
        } else {
            writeln!(f, "asked    not by this session")?;
        }
        match &self.got {
            Some(stored) => writeln!(f, "got      {}", Targets(stored.first_list())),
            None => writeln!(f, "got      a layout that cannot be read"),
        }
    }
}

fn write_decided(f: &mut fmt::Formatter<'_>, decided: &Decided) -> fmt::Result {
    let ring = match decided.tier {
        Tier::Now => "now",
        Tier::Steady => "steady",
    };
    let bytes = Bytes(decided.expected_bytes);
    let Decided { targets, order, confidence_percent, .. } = decided;
    let targets = Targets(targets);
    writeln!(
        f,
        "decided  {targets} (plan {order}, ring {ring}, {bytes} expected, {confidence_percent} % sure)"
    )
}

struct Targets<'a>(&'a [OstIndex]);

impl fmt::Display for Targets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no targets");
        }
        for (number, ost) in self.0.iter().take(SHOWN_MAX).enumerate() {
            write!(f, "{}{ost}", if number > 0 { " " } else { "" })?;
        }
        match self.0.len().saturating_sub(SHOWN_MAX) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

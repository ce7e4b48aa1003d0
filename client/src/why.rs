//! Why a file was left to the file system, as the client sees it: the table's reasons and its own.
//!
//! It owns the names and the numbers of reasons in records. It decides nothing.

use core::fmt;

use tarazu_table::Reason;

/// Why tarazu applied no layout to a file. None of them is an error of the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// What the table or its absence says.
    Table(Reason),
    /// The mode is off, or `TARAZU_DISABLE` is set.
    Off,
    /// The mode only looks on.
    ObserveOnly,
    /// Striping was switched off for this process.
    StripingOff,
    /// The open does not create, or it opens a directory or a nameless temporary file.
    NotCreating,
    /// The file was there, or somebody else made it at the same moment.
    Exists,
    /// No back end knows the file system of the folder.
    OtherKind,
    /// The user or the site said by the folder's default layout which targets to use.
    UserStriped,
    /// The layout that the file would inherit is of a kind that is left alone: mirrored, self-extending, foreign.
    InheritedKind,
    /// The site does not let this user set layouts.
    SitePolicy,
    /// The path is longer than the system takes, or its folder cannot be looked at.
    Path,
    /// The layout was refused, and the file has the file system's own.
    Refused {
        /// `errno` of the refusal.
        errno: u16,
    },
    /// The layout was accepted and is not there.
    NotApplied,
    /// Something surprised the client a moment ago; it does nothing for a while.
    Paused,
    /// Another thread held what this one needed; nobody waits.
    Busy,
    /// A number that this version does not know, in a record of another one.
    Unknown(u8),
}

/// The first number of the client's own reasons: those of the table lie below.
const OWN: u8 = 64;

impl Why {
    /// Its name in counters and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Table(reason) => reason.as_str(),
            Self::Off => "off",
            Self::ObserveOnly => "observe_only",
            Self::StripingOff => "striping_off",
            Self::NotCreating => "not_creating",
            Self::Exists => "exists",
            Self::OtherKind => "other_kind",
            Self::UserStriped => "user_striped",
            Self::InheritedKind => "inherited_kind",
            Self::SitePolicy => "site_policy",
            Self::Path => "path",
            Self::Refused { .. } => "layout_refused",
            Self::NotApplied => "not_applied",
            Self::Paused => "paused",
            Self::Busy => "busy",
            Self::Unknown(_) => "unknown",
        }
    }

    /// The number in records and the `errno` beside it.
    pub(crate) const fn code(self) -> (u8, u16) {
        match self {
            Self::Table(reason) => (reason.index() as u8, 0),
            Self::Off => (OWN, 0),
            Self::ObserveOnly => (OWN + 1, 0),
            Self::StripingOff => (OWN + 2, 0),
            Self::NotCreating => (OWN + 3, 0),
            Self::Exists => (OWN + 4, 0),
            Self::OtherKind => (OWN + 5, 0),
            Self::UserStriped => (OWN + 6, 0),
            Self::InheritedKind => (OWN + 7, 0),
            Self::SitePolicy => (OWN + 8, 0),
            Self::Path => (OWN + 9, 0),
            Self::Refused { errno } => (OWN + 10, errno),
            Self::NotApplied => (OWN + 11, 0),
            Self::Paused => (OWN + 12, 0),
            Self::Busy => (OWN + 13, 0),
            Self::Unknown(code) => (code, 0),
        }
    }

    /// The reason of a number; unknown ones are kept as they are.
    pub(crate) fn from_code(code: u8, errno: u16) -> Self {
        if let Some(reason) = Reason::ALL.get(usize::from(code)) {
            return Self::Table(*reason);
        }
        match code.wrapping_sub(OWN) {
            0 => Self::Off,
            1 => Self::ObserveOnly,
            2 => Self::StripingOff,
            3 => Self::NotCreating,
            4 => Self::Exists,
            5 => Self::OtherKind,
            6 => Self::UserStriped,
            7 => Self::InheritedKind,
            8 => Self::SitePolicy,
            9 => Self::Path,
            10 => Self::Refused { errno },
            11 => Self::NotApplied,
            12 => Self::Paused,
            13 => Self::Busy,
            _ => Self::Unknown(code),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { errno } => write!(f, "layout_refused (errno {errno})"),
            Self::Unknown(code) => write!(f, "unknown ({code})"),
            other => f.write_str(other.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_back() {
        for code in 0..=u8::MAX {
            let why = Why::from_code(code, 28);
            let (again, errno) = why.code();
            assert_eq!(again, code);
            assert_eq!(Why::from_code(again, errno), why);
        }
    }
}

//! What is wrong with a message.

/// Why a message is not believed. Each is counted by [`Invalid::kind`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Invalid {
    /// A part that must be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A text is empty, too long, or holds characters that no name has.
    #[error("{what} must be 1 to {max} printable bytes, it has {found}")]
    Text {
        /// What it is.
        what: &'static str,
        /// Bytes that it may have.
        max: usize,
        /// Bytes that it has.
        found: usize,
    },
    /// A list is empty, or longer than it may be.
    #[error("{what} must be {min} to {max} entries, not {found}")]
    Count {
        /// What it is.
        what: &'static str,
        /// Fewest entries.
        min: usize,
        /// Most entries.
        max: usize,
        /// Entries found.
        found: usize,
    },
    /// A number lies outside its range, or is none.
    #[error("{what} is {found}, which is not {range}")]
    Number {
        /// What it is.
        what: &'static str,
        /// What was found.
        found: String,
        /// What it must be.
        range: &'static str,
    },
    /// An index that no target of the file system has.
    #[error("OST{0:04x} is not a target of this file system")]
    UnknownOst(u32),
    /// Two entries name one target.
    #[error("OST{0:04x} is named twice")]
    RepeatedOst(u32),
    /// Another version of the protocol.
    #[error("protocol {found} is spoken here as {wanted}: upgrade the older of the two")]
    Protocol {
        /// The version that came.
        found: u32,
        /// The version that is spoken.
        wanted: u32,
    },
}

impl Invalid {
    /// A short stable name for counters.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Missing(_) => "missing",
            Self::Text { .. } => "text",
            Self::Count { .. } => "count",
            Self::Number { .. } => "number",
            Self::UnknownOst(_) => "unknown_ost",
            Self::RepeatedOst(_) => "repeated_ost",
            Self::Protocol { .. } => "protocol",
        }
    }
}

pub(super) fn number(what: &'static str, found: &dyn ToString, range: &'static str) -> Invalid {
    Invalid::Number { what, found: found.to_string(), range }
}

/// A list with so many entries.
pub(super) fn count(what: &'static str, found: usize, min: usize, max: usize) -> Result<(), Invalid> {
    if (min..=max).contains(&found) { Ok(()) } else { Err(Invalid::Count { what, min, max, found }) }
}

/// A bandwidth in bytes a second.
pub(super) fn bandwidth(what: &'static str, value: f64) -> Result<f64, Invalid> {
    // The fastest target of any machine is below a terabyte a second; beyond that somebody counts in other units.
    const BANDWIDTH_MAX_BPS: f64 = 1e15;
    if value.is_finite() && (1.0..=BANDWIDTH_MAX_BPS).contains(&value) {
        Ok(value)
    } else {
        Err(number(what, &value, "1 to 1e15 bytes per second"))
    }
}

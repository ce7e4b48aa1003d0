//! Drains and policies.

use tarazu_core::control::{Drain, Policy};
use tarazu_layout::Time;

use super::error::Invalid;
use super::words::text;
use crate::limits::{REASON_MAX, WORD_MAX};
use crate::v1;

/// A drain, checked.
///
/// # Errors
/// A text that is too long or empty.
pub fn drain_from(info: &v1::DrainInfo) -> Result<Drain, Invalid> {
    let reason = text("the reason", &info.reason, REASON_MAX)?;
    if reason.trim().is_empty() {
        return Err(Invalid::Missing("the reason"));
    }
    Ok(Drain {
        reason: reason.to_owned(),
        until: info.until_unix_ns.map(Time),
        by: text("the name of who says so", &info.by, WORD_MAX)?.to_owned(),
        since: Time(info.since_unix_ns),
    })
}

/// A drain as it travels.
#[must_use]
pub fn drain_to(drain: &Drain) -> v1::DrainInfo {
    v1::DrainInfo {
        reason: drain.reason.clone(),
        until_unix_ns: drain.until.map(|until| until.0),
        by: drain.by.clone(),
        since_unix_ns: drain.since.0,
    }
}

/// A policy, checked.
///
/// # Errors
/// A mode that this version does not know.
pub fn policy_from(policy: &v1::Policy) -> Result<Policy, Invalid> {
    let apply = match policy.mode() {
        v1::policy::Mode::Apply => true,
        v1::policy::Mode::Observe => false,
        v1::policy::Mode::Unspecified => return Err(Invalid::Missing("the mode")),
    };
    Ok(Policy { apply, canary: policy.canary, detect: policy.detect })
}

/// A policy as it travels.
#[must_use]
pub fn policy_to(policy: Policy) -> v1::Policy {
    let mode = if policy.apply { v1::policy::Mode::Apply } else { v1::policy::Mode::Observe };
    v1::Policy { mode: mode.into(), canary: policy.canary, detect: policy.detect }
}

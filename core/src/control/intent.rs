//! What operators want: the only things beside the term that must survive a controller.

use tarazu_layout::Time;

/// A target that gets no new layouts, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drain {
    /// In an operator's words.
    pub reason: String,
    /// When it ends by itself, on the controller's clock; `None` = never.
    pub until: Option<Time>,
    /// Who said so, as he named himself.
    pub by: String,
    /// When it was said, on the controller's clock.
    pub since: Time,
}

/// What is wanted of the controller as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Files are steered where that is worth it; otherwise plans are made and can be explained, and every file is
    /// left to the file system.
    pub apply: bool,
    /// Agents are asked for canaries.
    pub canary: bool,
    /// Slow targets are found from samples and left out.
    pub detect: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self { apply: true, canary: false, detect: true }
    }
}

//! From messages to the values of `core` and back. Whatever comes in is checked here, once.

pub(crate) mod agents;
pub(crate) mod error;
pub(crate) mod events;
pub(crate) mod intent;
pub(crate) mod nodes;
#[cfg(test)]
mod tests;
pub(crate) mod words;

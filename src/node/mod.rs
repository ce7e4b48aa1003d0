//! The node daemon: brings the tables of a node's file systems to its clients, and what the clients say to the
//! controller.
//!
//! It owns the run directory: the published tables, the folder in which client processes leave their records, the
//! recent decisions of each user, and a status text. What is published, sent again, dropped or waited for is decided in
//! [`plan`], [`outbox`], [`jobs`] and [`schedule`], which are values in and values out; the rest moves bytes.
//!
//! It must never make a client wait: clients read a file and append to their own, and need no daemon for either. It must
//! not make an old table look young: only the controller's word moves a stamp.
//!
//! One wake an interval while something runs. While no process of a job lives, nothing waits to be sent and the folder
//! of records is empty, it sleeps until a file appears there (inotify), without any timer.

mod aside;
mod collect;
mod daemon;
pub(crate) mod decisions;
mod host;
mod jobs;
mod outbox;
mod plan;
mod rundir;
mod schedule;
mod status;
#[cfg(test)]
mod tests;
mod translate;

pub(crate) use daemon::{Config, run};

//! The one command: services and offline tools.

// Printing goes through `cli::output`, which cannot panic where nobody reads.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod agent;
mod cli;
mod config;
mod controller;
mod demo;
mod html;
mod node;
mod record;
mod store;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}

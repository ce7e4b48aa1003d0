//! The one command: offline tools today, services when they are built.

// Printing goes through `cli::output`, which cannot panic where nobody reads.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod cli;
#[allow(dead_code, unused_imports, reason = "the controller will use the rest of it")]
mod config;
mod html;
#[allow(dead_code, unused_imports, reason = "the controller will record its events")]
mod record;
#[allow(dead_code, unused_imports, reason = "the controller will keep its intent in it")]
mod store;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}

//! The one command: offline tools today, services when they are built.

// Printing goes through `cli::output`, which cannot panic where nobody reads.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod cli;
mod html;
mod node;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}

//! The one command: offline tools today, services when they are built.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}

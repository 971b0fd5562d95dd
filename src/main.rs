//! The `sonoteca` command.

mod cli;
mod server;

use std::process::ExitCode;

fn main() -> ExitCode {
    sonoteca::ingest::silence_panics();
    ExitCode::from(cli::run().code())
}

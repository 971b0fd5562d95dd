//! The command line: what was typed becomes settings, settings become calls of the library, and
//! their results are printed.
//!
//! In: arguments and the environment. Out: text on standard output and standard error, and an
//! exit status. Sees only the library's public interface.

mod args;
mod commands;
mod printer;
mod progress;
mod settings;

use std::ffi::OsString;
use std::io;

use clap::Parser;
use sonoteca::Error;

use args::{Args, Command, LabelCommand};
use printer::Printer;
use settings::Settings;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// It did what was asked.
    Done,
    /// It worked, and there was nothing.
    NothingFound,
    /// Something failed.
    Failed,
}

impl Status {
    /// The exit status.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::NothingFound => 1,
            Self::Failed => 2,
        }
    }
}

/// Runs what the command line says.
pub(crate) fn run() -> Status {
    let args = match Args::try_parse_from(std::env::args_os().map(standard_input)) {
        Ok(args) => args,
        Err(error) => {
            // Help and version come this way too, and are no failure. Where even this cannot be
            // printed there is nobody left to tell.
            let _ = error.print();
            return if error.use_stderr() { Status::Failed } else { Status::Done };
        }
    };
    let settings = Settings::new(args.global);
    if settings.writes_labels() && !may_write_labels(&args.command) {
        let hint = "choose --format table, json or csv";
        let problem = "labels are written by `sonoteca search`, `describe`, `predict` and `label \
                       export` only";
        Printer::new(&settings).error(&Error::Usage { problem, hint });
        return Status::Failed;
    }
    let mut printer = Printer::new(&settings);
    let result = match args.command {
        Command::Index(args) => commands::index::run(&args, &settings, &mut printer),
        Command::Search(args) => commands::search::run(&args, &settings, &mut printer),
        Command::Export(args) => commands::export::run(&args, &settings, &printer),
        Command::Import(args) => commands::import::run(&args, &settings, &mut printer),
        Command::Extract(args) => commands::extract::run(&args, &settings, &mut printer),
        Command::Describe(args) => commands::describe::run(&args, &settings, &mut printer),
        Command::Duplicates(args) => commands::duplicates::run(&args, &settings, &mut printer),
        Command::Sync(args) => commands::sync::run(&args, &settings, &mut printer),
        Command::Remove(args) => commands::remove::run(&args, &settings, &mut printer),
        Command::Failures(args) => commands::failures::run(&args, &settings, &mut printer),
        Command::Compact => commands::compact::run(&settings, &mut printer),
        Command::Train(args) => commands::train::run(&args, &settings, &mut printer),
        Command::Evaluate(args) => commands::evaluate::run(&args, &settings, &mut printer),
        Command::Predict(args) => commands::predict::run(&args, &settings, &mut printer),
        Command::Suggest(args) => commands::suggest::run(&args, &settings, &mut printer),
        Command::Head(args) => commands::head::run(&args.command, &settings, &mut printer),
        Command::Metadata(args) => commands::metadata::run(&args.command, &settings, &mut printer),
        Command::Label(args) => commands::label::run(&args.command, &settings, &mut printer),
        Command::Reindex(args) => commands::reindex::run(&args, &settings, &mut printer),
        Command::Serve(args) => commands::serve::run(&args, &settings, &mut printer),
        Command::Info => commands::info::run(&settings, &mut printer),
        Command::Models(args) => commands::models::run(&args.command, &settings, &mut printer),
    };
    let (result, status) = match result {
        Ok(status) => (printer.flush(), status),
        Err(error) => (Err(error), Status::Done),
    };
    match result {
        Ok(()) => status,
        // `sonoteca search … | head`: whoever read has had enough, which changes nothing.
        Err(Error::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => status,
        Err(error) => {
            printer.error(&error);
            Status::Failed
        }
    }
}

/// A stretch of standard input, `-@START-END`, by the name that standard input has as a file: what begins
/// with a dash would be taken for an option.
fn standard_input(argument: OsString) -> OsString {
    match argument.to_str().and_then(|text| text.strip_prefix("-@")) {
        Some(stretch) => OsString::from(format!("{STANDARD_INPUT}@{stretch}")),
        None => argument,
    }
}

/// Standard input as a file.
const STANDARD_INPUT: &str = "/dev/stdin";

/// Whether results of `command` may be labels for sound editors.
fn may_write_labels(command: &Command) -> bool {
    match command {
        Command::Search(_) | Command::Describe(_) | Command::Predict(_) => true,
        Command::Label(args) => matches!(args.command, LabelCommand::Export(_)),
        _ => false,
    }
}

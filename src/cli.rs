//! The command line: what was typed becomes settings, settings become calls of the library, and
//! their results are printed.
//!
//! In: arguments and the environment. Out: text on standard output and standard error, and an
//! exit status. Sees only the library's public interface.

mod args;
mod commands;
mod company;
mod interrupt;
mod printer;
mod progress;
mod settings;

use std::ffi::OsString;
use std::io;

use clap::{CommandFactory as _, FromArgMatches as _};
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
    let args = match parse(std::env::args_os().map(standard_input)) {
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

/// What was typed, read as arguments.
fn parse(typed: impl IntoIterator<Item = OsString>) -> Result<Args, clap::Error> {
    let matches = with_negative_numbers(Args::command()).try_get_matches_from(typed)?;
    Args::from_arg_matches(&matches)
}

/// `command`, whose options take negative numbers for values, if only to say that they are wrong:
/// otherwise `-k -3` would be told to have an option `-3` that there is not.
fn with_negative_numbers(command: clap::Command) -> clap::Command {
    command
        .mut_args(|option| {
            let takes_values = option.get_action().takes_values() && !option.is_positional();
            if takes_values { option.allow_negative_numbers(true) } else { option }
        })
        .mut_subcommands(with_negative_numbers)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_whole() {
        with_negative_numbers(Args::command()).debug_assert();
    }

    #[test]
    fn negative_numbers_are_told_to_be_wrong_values() {
        for (typed, wrong, reason) in [
            ("search a.wav -k -3", "-3", "-3 is not in 1.."),
            ("search a.wav --per-recording -1", "-1", "-1 is not in 1.."),
            ("search a.wav --start x", "x", "a time such as"),
            ("search a.wav --min-score -2", "-2", "from -1 to 1"),
            ("suggest birds -n -5", "-5", "-5 is not in 1..="),
            ("train birds --folds -2", "-2", "-2 is not in 2..="),
            ("train birds --hold-out -0.2", "-0.2", "between 0 and 1"),
            ("index . --jobs -1", "-1", "-1 is not in 1..="),
            ("duplicates --threshold -1", "-1", ""),
        ] {
            let words = ["sonoteca"].into_iter().chain(typed.split(' ')).map(OsString::from);
            let error = parse(words).unwrap_err().to_string();
            let expected = format!("invalid value '{wrong}'");
            assert!(error.contains(&expected) && error.contains(reason), "{typed}: {error}");
        }
        for typed in ["search a.wav --start -1 --end 1:02:03.5", "search a.wav --start 9m"] {
            let words = ["sonoteca"].into_iter().chain(typed.split(' ')).map(OsString::from);
            assert!(parse(words).is_ok(), "{typed}");
        }
    }
}

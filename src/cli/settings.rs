//! What the options mean.
//!
//! In: [`GlobalArgs`]. Out: [`Settings`], which the commands use; nothing below sees arguments.

use std::io::IsTerminal;
use std::path::PathBuf;

use sonoteca::shell::quoted;

use super::args::{DEFAULT_LIBRARY, Format, GlobalArgs, LIBRARY_VARIABLE};

/// How much is said besides results and errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verbosity {
    Quiet,
    Normal,
    Verbose,
}

/// What holds for every command.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) library: PathBuf,
    pub(crate) format: Format,
    pub(crate) verbosity: Verbosity,
    /// Whether somebody watches standard error.
    pub(crate) watched: bool,
}

impl Settings {
    pub(crate) fn new(args: GlobalArgs) -> Self {
        let verbosity = match (args.quiet, args.verbose > 0) {
            (true, _) => Verbosity::Quiet,
            (false, false) => Verbosity::Normal,
            (false, true) => Verbosity::Verbose,
        };
        // An empty variable is as good as none.
        let library = if args.library.as_os_str().is_empty() {
            PathBuf::from(DEFAULT_LIBRARY)
        } else {
            args.library
        };
        Self { library, format: args.format, verbosity, watched: std::io::stderr().is_terminal() }
    }

    /// `command` as it is typed for this library: with `--library`, unless the environment or the usual
    /// name say which one is meant.
    pub(crate) fn pasted(&self, command: &str) -> String {
        match self.library_option() {
            Some(option) => format!("{command} {option}"),
            None => command.to_owned(),
        }
    }

    /// The option that names this library; none where it is meant without.
    pub(crate) fn library_option(&self) -> Option<String> {
        let usual = std::env::var_os(LIBRARY_VARIABLE).filter(|name| !name.is_empty());
        let usual = usual.map_or_else(|| PathBuf::from(DEFAULT_LIBRARY), PathBuf::from);
        (self.library != usual)
            .then(|| format!("--library {}", quoted(&self.library.to_string_lossy())))
    }

    /// Whether only results and errors are printed.
    pub(crate) fn is_quiet(&self) -> bool {
        self.verbosity == Verbosity::Quiet
    }

    /// Whether somebody can be asked.
    pub(crate) fn can_ask(&self) -> bool {
        self.watched && !self.is_quiet() && std::io::stdin().is_terminal()
    }

    /// Whether results are labels for sound editors.
    pub(crate) fn writes_labels(&self) -> bool {
        matches!(self.format, Format::Audacity | Format::Raven)
    }

    /// Whether results are for programs, which read summaries too.
    pub(crate) fn is_for_programs(&self) -> bool {
        self.format != Format::Table
    }
}

//! Waits of networks that are elsewhere, told on standard error.
//!
//! In: what a network waits for. Out: a line each, unless only results were asked for. Ctrl-C ends the
//! process, and with it the wait.

use std::sync::Arc;

use sonoteca::model::network::{Company, Wait};

use super::printer::{Printer, say};

/// Tells what `printer` would.
pub(crate) fn of(printer: &Printer) -> Arc<dyn Company> {
    Arc::new(Teller { is_quiet: printer.is_quiet() })
}

struct Teller {
    is_quiet: bool,
}

impl Company for Teller {
    fn is_cancelled(&self) -> bool {
        false
    }

    fn waits(&self, wait: &Wait) {
        if !self.is_quiet {
            say(format_args!("{wait}"));
        }
    }
}

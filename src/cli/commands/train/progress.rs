//! How far training is, and Ctrl-C.
//!
//! In: shares of the work. Out: a bar on a terminal, a line now and then elsewhere.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use sonoteca::ingest::Cancel;

use super::super::embedding::cancel_on_interrupt;
use crate::cli::printer::say;
use crate::cli::settings::Settings;

/// What is over sooner needs no bar.
const SHOW_AFTER: Duration = Duration::from_secs(2);

/// Where nobody watches, a line is written this often.
const PLAIN_EVERY: Duration = Duration::from_secs(30);

/// Shows how far training is.
pub(in crate::cli) struct TrainingProgress {
    cancel: Cancel,
    is_quiet: bool,
    watched: bool,
    started: Instant,
    bar: RefCell<Option<ProgressBar>>,
    last_line: Cell<Instant>,
}

impl TrainingProgress {
    pub(in crate::cli) fn new(settings: &Settings) -> Self {
        Self {
            cancel: cancel_on_interrupt(),
            is_quiet: settings.is_quiet(),
            watched: settings.watched,
            started: Instant::now(),
            bar: RefCell::default(),
            last_line: Cell::new(Instant::now()),
        }
    }

    /// Shows that this share is done; whether to go on.
    pub(in crate::cli) fn at(&self, done: f64) -> bool {
        if self.is_quiet || self.started.elapsed() < SHOW_AFTER {
            return !self.cancel.is_cancelled();
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a hundred"
        )]
        let percent = (100.0 * done.clamp(0.0, 1.0)) as u64;
        if self.watched {
            let mut bar = self.bar.borrow_mut();
            let bar = bar.get_or_insert_with(|| {
                let bar = ProgressBar::new(100);
                // The template is a constant; without it the bar is plainer.
                if let Ok(style) =
                    ProgressStyle::with_template("training {bar:24.cyan} {percent:>3} %")
                {
                    bar.set_style(style);
                }
                bar
            });
            bar.set_position(percent);
        } else if self.last_line.get().elapsed() >= PLAIN_EVERY {
            self.last_line.set(Instant::now());
            say(format_args!("training: {percent} %"));
        }
        !self.cancel.is_cancelled()
    }
}

impl Drop for TrainingProgress {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.borrow_mut().take() {
            bar.finish_and_clear();
        }
    }
}

//! How much of a recording was listened to, when it takes a while.
//!
//! In: seconds of sound. Out: a line on a terminal that changes, plain lines now and then elsewhere.
//! How long a recording is shows at its end: there is no share to tell.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use crate::cli::printer::{readable_duration, say};
use crate::cli::settings::Settings;

/// Time before which nobody wonders what is going on.
const SHOW_AFTER: Duration = Duration::from_secs(2);
/// Time between plain lines.
const PLAIN_EVERY: Duration = Duration::from_secs(30);
/// Time between changes of the line on a terminal.
const TICK: Duration = Duration::from_millis(100);

pub(super) struct ListeningProgress {
    is_quiet: bool,
    watched: bool,
    started: Instant,
    shown: Mutex<Shown>,
}

struct Shown {
    spinner: Option<ProgressBar>,
    last: Instant,
}

impl ListeningProgress {
    pub(super) fn new(settings: &Settings) -> Self {
        let now = Instant::now();
        let shown = Mutex::new(Shown { spinner: None, last: now });
        Self { is_quiet: settings.is_quiet(), watched: settings.watched, started: now, shown }
    }

    /// Shows that so much was heard.
    pub(super) fn at(&self, heard_s: f64) {
        let elapsed = self.started.elapsed();
        if self.is_quiet || elapsed < SHOW_AFTER {
            return;
        }
        let Ok(mut shown) = self.shown.lock() else { return };
        if shown.last.elapsed() < if self.watched { TICK } else { PLAIN_EVERY } {
            return;
        }
        shown.last = Instant::now();
        let speed = heard_s / elapsed.as_secs_f64();
        let line = format!("heard {}, {speed:.0} × real time", readable_duration(heard_s));
        if self.watched {
            let spinner = shown.spinner.get_or_insert_with(ProgressBar::new_spinner);
            spinner.set_message(line);
            spinner.tick();
        } else {
            say(format_args!("{line}"));
        }
    }

    /// Removes the line.
    pub(super) fn clear(&self) {
        if let Ok(mut shown) = self.shown.lock()
            && let Some(spinner) = shown.spinner.take()
        {
            spinner.finish_and_clear();
        }
    }
}

//! How a download from the model hub goes on, for whoever watches.
//!
//! In: what the hub's client tells. Out: a bar of bytes on a terminal; elsewhere a plain line every few
//! seconds, and one for each file that is whole; always, why it is tried again.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use sonoteca::model::published::Fetching;

use crate::cli::printer::{readable_bytes, say};
use crate::cli::settings::{Settings, Verbosity};

/// Time between plain lines.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// Shows on standard error what was fetched.
pub(super) struct Fetched {
    is_quiet: bool,
    watched: bool,
    bar: Option<(String, ProgressBar)>,
    last_line: Instant,
}

impl Fetched {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            is_quiet: settings.verbosity == Verbosity::Quiet,
            watched: settings.watched,
            bar: None,
            last_line: Instant::now(),
        }
    }

    /// Shows what has happened.
    pub(super) fn tell(&mut self, fetching: Fetching<'_>) {
        if self.is_quiet {
            return;
        }
        match fetching {
            Fetching::Received { file, received, whole } if whole == Some(received) => {
                self.say_above(&format!("{file}: {}", readable_bytes(received)));
                self.clear();
            }
            Fetching::Received { file, received, whole } if self.watched => {
                self.bar(file, whole).set_position(received);
            }
            Fetching::Received { file, received, whole }
                if self.last_line.elapsed() >= PLAIN_EVERY =>
            {
                self.last_line = Instant::now();
                let of =
                    whole.map_or(String::new(), |whole| format!(" of {}", readable_bytes(whole)));
                say(format_args!("{file}: {}{of}", readable_bytes(received)));
            }
            Fetching::Again { file, why, wait_s } => {
                self.say_above(&format!("{file}: {why}; it is tried again in {wait_s:.0} s"));
            }
            _ => {}
        }
    }

    /// Removes the bar.
    pub(super) fn clear(&mut self) {
        if let Some((_, bar)) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// The bar of `file`.
    fn bar(&mut self, file: &str, whole: Option<u64>) -> &ProgressBar {
        if self.bar.as_ref().is_some_and(|(name, _)| name != file) {
            self.clear();
        }
        let (_, bar) = self.bar.get_or_insert_with(|| {
            let bar = whole.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
            let template = "{bar:24.cyan} {bytes} of {total_bytes}, {bytes_per_sec}, {eta}  {msg}";
            // The template is a constant; without it the bar is plainer.
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.set_message(file.to_owned());
            (file.to_owned(), bar)
        });
        bar
    }

    /// Prints a line without tearing the bar.
    fn say_above(&self, line: &str) {
        match &self.bar {
            Some((_, bar)) => bar.suspend(|| say(format_args!("{line}"))),
            None => say(format_args!("{line}")),
        }
    }
}

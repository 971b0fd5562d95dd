//! How indexing goes on, for whoever watches.
//!
//! In: outcomes, as they become final. Out: a bar on a terminal; elsewhere a plain line every few
//! seconds; with `--verbose` a line a file.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use sonoteca::ingest::{Observer, Outcome};

use super::printer::{counted, readable_duration, readable_path, reason, say};
use super::settings::{Settings, Verbosity};

/// Time before which the time left is anybody's guess.
const GUESS_AFTER: Duration = Duration::from_secs(3);
/// Time between plain lines.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// Shows progress on standard error.
#[derive(Debug)]
pub(crate) struct Progress {
    verbosity: Verbosity,
    watched: bool,
    started: Instant,
    last_line: Cell<Instant>,
    bar: RefCell<Option<ProgressBar>>,
    files: Cell<u64>,
    bytes: Cell<u64>,
    files_done: Cell<u64>,
    bytes_done: Cell<u64>,
    failed: Cell<usize>,
    audio_s: Cell<f64>,
}

impl Progress {
    pub(crate) fn new(settings: &Settings) -> Self {
        let now = Instant::now();
        Self {
            verbosity: settings.verbosity,
            watched: settings.watched,
            started: now,
            last_line: Cell::new(now),
            bar: RefCell::new(None),
            files: Cell::new(0),
            bytes: Cell::new(0),
            files_done: Cell::new(0),
            bytes_done: Cell::new(0),
            failed: Cell::new(0),
            audio_s: Cell::new(0.0),
        }
    }

    /// Removes the bar.
    pub(crate) fn clear(&self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Files, seconds of audio, speed and failures so far.
    fn line(&self) -> String {
        let audio_s = self.audio_s.get();
        let speed = audio_s / self.started.elapsed().as_secs_f64().max(1e-3);
        let failed = match self.failed.get() {
            0 => String::new(),
            failed => format!(", {failed} failed"),
        };
        format!(
            "{} of {}, {} of audio, {speed:.0} × real time{failed}",
            self.files_done.get(),
            counted(self.files.get(), "file"),
            readable_duration(audio_s),
        )
    }

    /// The time left, once there is something to go by.
    fn time_left(&self) -> String {
        let (done, all) = (self.bytes_done.get(), self.bytes.get());
        let elapsed = self.started.elapsed();
        if done == 0 || elapsed < GUESS_AFTER {
            return String::new();
        }
        let left = elapsed.as_secs_f64() * all.saturating_sub(done) as f64 / done as f64;
        if left < 1.0 {
            return ", almost done".to_owned();
        }
        format!(", about {} left", readable_duration(left.ceil()))
    }

    fn show(&self) {
        if let Some(bar) = &*self.bar.borrow() {
            bar.set_position(self.bytes_done.get());
            bar.set_message(format!("{}{}", self.line(), self.time_left()));
        } else if self.last_line.get().elapsed() >= PLAIN_EVERY {
            self.last_line.set(Instant::now());
            say(format_args!("{}{}", self.line(), self.time_left()));
        }
    }

    /// Prints a line without tearing the bar.
    fn say_above(&self, line: &str) {
        match &*self.bar.borrow() {
            Some(bar) => bar.suspend(|| say(format_args!("{line}"))),
            None => say(format_args!("{line}")),
        }
    }
}

impl Observer for Progress {
    fn planned(&self, files: u64, bytes: u64) {
        self.files.set(files);
        self.bytes.set(bytes);
        if self.watched && self.verbosity > Verbosity::Quiet && files > 0 {
            let bar = ProgressBar::new(bytes);
            // The template is a constant; without it the bar is plainer.
            if let Ok(style) = ProgressStyle::with_template("{bar:24.cyan} {percent:>3} %  {msg}") {
                bar.set_style(style);
            }
            bar.set_message(self.line());
            self.bar.replace(Some(bar));
        }
    }

    fn heard(&self, audio_s: f64) {
        self.audio_s.set(audio_s);
        if self.verbosity > Verbosity::Quiet {
            self.show();
        }
    }

    fn finished(&self, path: &Path, bytes: u64, outcome: &Outcome) {
        self.files_done.set(self.files_done.get() + 1);
        self.bytes_done.set(self.bytes_done.get() + bytes);
        let detail = match outcome {
            Outcome::Indexed { duration_s, flaw, .. } => {
                let flaw = flaw.as_ref().map(|flaw| format!(", {flaw}")).unwrap_or_default();
                format!("indexed, {}{flaw}", readable_duration(*duration_s))
            }
            Outcome::Unchanged => "unchanged".to_owned(),
            Outcome::Failed(error) => {
                self.failed.set(self.failed.get() + 1);
                format!("failed: {}", reason(error))
            }
        };
        if self.verbosity == Verbosity::Verbose {
            self.say_above(&format!("{}: {detail}", readable_path(path)));
        }
        if self.verbosity > Verbosity::Quiet {
            self.show();
        }
    }
}

//! How indexing goes on, for whoever watches.
//!
//! In: outcomes, as they become final. Out: a bar on a terminal; elsewhere a plain line every few
//! seconds; with `--verbose` a line a file.

pub(crate) mod rows;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use sonoteca::ingest::{Observer, Outcome};
use sonoteca::model::network::Wait;
use sonoteca::store::worklist::{Sum, extension_of};

use super::printer::{counted, readable_duration, readable_path, reason, rough_duration, say};
use super::settings::{Settings, Verbosity};

/// Time before which the time left is anybody's guess.
const GUESS_AFTER: Duration = Duration::from_secs(3);
/// Time between plain lines.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// How far the files of one extension are. A second of WAV takes ten times the bytes of a second
/// of Ogg Vorbis: without this, the time left would mislead where both are.
#[derive(Clone, Copy, Debug, Default)]
struct Kind {
    bytes_left: u64,
    bytes_done: u64,
    seconds_done: f64,
}

/// Shows progress on standard error.
#[derive(Debug)]
pub(crate) struct Progress {
    verbosity: Verbosity,
    watched: bool,
    started: Instant,
    last_line: Cell<Instant>,
    bar: RefCell<Option<ProgressBar>>,
    files: Cell<u64>,
    files_done: Cell<u64>,
    failed: Cell<usize>,
    kinds: RefCell<HashMap<String, Kind>>,
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
            files_done: Cell::new(0),
            failed: Cell::new(0),
            kinds: RefCell::default(),
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
        let elapsed = self.started.elapsed();
        let (audio_s, left_s) = (self.audio_s.get(), self.audio_left_s());
        let Some(left_s) = left_s.filter(|_| audio_s > 0.0 && elapsed >= GUESS_AFTER) else {
            return String::new();
        };
        let left = elapsed.as_secs_f64() * left_s / audio_s;
        if left < 1.0 {
            return ", almost done".to_owned();
        }
        format!(", about {} left", rough_duration(left))
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 1,000"
    )]
    fn per_mille_done(&self) -> u64 {
        match (self.audio_s.get(), self.audio_left_s()) {
            (done_s, Some(left_s)) if done_s > 0.0 => (1e3 * done_s / (done_s + left_s)) as u64,
            // Nothing to go by but the count of files.
            _ => 1_000 * self.files_done.get() / self.files.get().max(1),
        }
    }

    /// Seconds of audio that are still to be heard, by the lengths of what was.
    fn audio_left_s(&self) -> Option<f64> {
        let kinds = self.kinds.borrow();
        let done_s: f64 = kinds.values().map(|kind| kind.seconds_done).sum();
        let done_bytes: u64 = kinds.values().map(|kind| kind.bytes_done).sum();
        if done_bytes == 0 {
            return None;
        }
        let usual = done_s / done_bytes as f64;
        let left_s: f64 = kinds
            .values()
            .map(|kind| {
                let seconds_a_byte = match kind.bytes_done {
                    0 => usual,
                    bytes => kind.seconds_done / bytes as f64,
                };
                kind.bytes_left as f64 * seconds_a_byte
            })
            .sum();
        // Of files that are not done, some was heard already.
        Some((left_s - (self.audio_s.get() - done_s).max(0.0)).max(0.0))
    }

    fn take(&self, path: &Path, bytes: u64, outcome: &Outcome) {
        let mut kinds = self.kinds.borrow_mut();
        let kind = kinds.entry(extension_of(path)).or_default();
        kind.bytes_left = kind.bytes_left.saturating_sub(bytes);
        if let Outcome::Indexed { duration_s, .. } = outcome {
            kind.bytes_done += bytes;
            kind.seconds_done += duration_s;
        }
    }

    fn show(&self) {
        if let Some(bar) = &*self.bar.borrow() {
            bar.set_position(self.per_mille_done());
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
    fn planned(&self, workload: &[(String, Sum)]) {
        let files = workload.iter().map(|(_, sum)| sum.files).sum();
        self.files.set(files);
        let kind = |sum: &Sum| Kind { bytes_left: sum.bytes, ..Kind::default() };
        let kinds = workload.iter().map(|(extension, sum)| (extension.clone(), kind(sum)));
        self.kinds.replace(kinds.collect());
        if self.watched && self.verbosity > Verbosity::Quiet && files > 0 {
            let bar = ProgressBar::new(1_000);
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

    fn waits(&self, wait: &Wait) {
        if self.verbosity > Verbosity::Quiet {
            self.say_above(&wait.to_string());
        }
    }

    fn finished(&self, path: &Path, bytes: u64, outcome: &Outcome) {
        self.files_done.set(self.files_done.get() + 1);
        self.take(path, bytes, outcome);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn progress() -> Progress {
        Progress::new(&Settings {
            library: "a.db".into(),
            format: crate::cli::args::Format::Table,
            verbosity: Verbosity::Quiet,
            watched: false,
        })
    }

    fn indexed(duration_s: f64) -> Outcome {
        Outcome::Indexed { duration_s, segments: 1, flaw: None }
    }

    #[test]
    fn what_is_left_goes_by_what_a_byte_of_its_kind_holds() {
        let progress = progress();
        let sum = |files, bytes| Sum { files, bytes };
        progress.planned(&[("ogg".to_owned(), sum(3, 300)), ("wav".to_owned(), sum(2, 2_000))]);
        assert_eq!(progress.audio_left_s(), None, "nothing to go by");
        // A tenth of a second a byte; the WAV files may be like that, for all that is known.
        progress.finished(Path::new("a.OGG"), 100, &indexed(10.0));
        progress.heard(10.0);
        assert!((progress.audio_left_s().unwrap() - 220.0).abs() < 1e-9);
        // They are not: a hundredth.
        progress.finished(Path::new("a.wav"), 1_000, &indexed(10.0));
        progress.heard(20.0);
        assert!((progress.audio_left_s().unwrap() - 30.0).abs() < 1e-9);
        // Five seconds of the next one were heard; another failed.
        progress.heard(25.0);
        let error = sonoteca::Error::UnknownRecording { id: 1 };
        progress.finished(Path::new("b.ogg"), 100, &Outcome::Failed(error));
        assert!((progress.audio_left_s().unwrap() - 15.0).abs() < 1e-9);
    }
}

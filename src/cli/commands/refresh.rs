//! New generations of the index at the end of what changes a library, when they are due.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use sonoteca::Result;
use sonoteca::ingest::Cancel;
use sonoteca::search::Level;
use sonoteca::search::generation::{
    BuildStage, Builder, BuilderLock, CacheState, DEFAULT_RECALL, GRAPH_FROM, Watcher, is_due,
};
use sonoteca::store::Library;

use crate::cli::printer::{Printer, grouped, in_one_line, say};
use crate::cli::settings::Settings;

/// Both levels that are searched.
pub(super) const LEVELS: [(Level, &str); 2] =
    [(Level::Recording, "recording"), (Level::Segment, "segment")];

/// Time before which nobody wonders what is going on.
const SHOW_AFTER: Duration = Duration::from_secs(1);
/// Time between plain lines.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// Builds the generations that are due. Whatever goes wrong costs speed only: it is told, and the
/// command has done what it was asked nevertheless.
pub(super) fn refresh(
    library: &Library,
    command: &str,
    cancel: &Cancel,
    settings: &Settings,
    printer: &Printer,
) {
    if let Err(error) = try_refresh(library, command, cancel, settings, printer) {
        printer.warning(&format!(
            "the index was not renewed: {}; searches are right without it, and slower: sonoteca \
             reindex",
            in_one_line(&error)
        ));
    }
}

fn try_refresh(
    library: &Library,
    command: &str,
    cancel: &Cancel,
    settings: &Settings,
    printer: &Printer,
) -> Result<()> {
    for model in library.models()? {
        for (level, name) in LEVELS {
            let state = CacheState::of(library, &model, level)?;
            if cancel.is_cancelled() || !is_due(&state) {
                continue;
            }
            // Whoever is building it now will see most of what is new; the rest is searched too.
            let Ok(lock) = BuilderLock::try_take(library, command)? else { return Ok(()) };
            let progress = BuildProgress::new(settings, cancel);
            let builder = Builder {
                lock: &lock,
                // What `reindex` was told holds until it is told otherwise.
                recall: state.wanted.unwrap_or(DEFAULT_RECALL),
                graph_from: GRAPH_FROM,
                watcher: &progress,
            };
            let built = builder.build(library, &model, level);
            progress.clear();
            if let Some(built) = built? {
                printer.detail(&format!(
                    "index of {} by {name}: {} vectors in {:.2} s",
                    model.identity.name,
                    grouped(built.rows),
                    built.elapsed_s
                ));
            }
        }
    }
    Ok(())
}

/// Shows on standard error how building goes on, when it takes a while.
pub(super) struct BuildProgress {
    cancel: Cancel,
    is_quiet: bool,
    watched: bool,
    started: Instant,
    shown: Mutex<Shown>,
}

#[derive(Default)]
struct Shown {
    bar: Option<ProgressBar>,
    last_line: Option<Instant>,
}

impl BuildProgress {
    pub(super) fn new(settings: &Settings, cancel: &Cancel) -> Self {
        Self {
            cancel: cancel.clone(),
            is_quiet: settings.is_quiet(),
            watched: settings.watched,
            started: Instant::now(),
            shown: Mutex::default(),
        }
    }

    /// Removes the bar.
    pub(super) fn clear(&self) {
        if let Ok(mut shown) = self.shown.lock()
            && let Some(bar) = shown.bar.take()
        {
            bar.finish_and_clear();
        }
    }
}

impl Watcher for BuildProgress {
    fn at(&self, stage: BuildStage, done: usize, of: usize) {
        // Several threads may tell at once: one of them is enough.
        let Ok(mut shown) = self.shown.try_lock() else { return };
        if self.is_quiet || self.started.elapsed() < SHOW_AFTER {
            return;
        }
        let verb = match stage {
            BuildStage::Reading => "reading vectors",
            BuildStage::Connecting => "connecting neighbours",
            BuildStage::Measuring => "measuring recall",
            BuildStage::Writing => "writing",
        };
        if self.watched {
            let bar = shown.bar.get_or_insert_with(|| {
                let bar = ProgressBar::new(0);
                // The template is a constant; without it the bar is plainer.
                if let Ok(style) =
                    ProgressStyle::with_template("index: {msg} {bar:24.cyan} {percent:>3} %")
                {
                    bar.set_style(style);
                }
                bar
            });
            bar.set_length(of as u64);
            bar.set_position(done as u64);
            bar.set_message(verb);
        } else if shown.last_line.is_none_or(|last| last.elapsed() >= PLAIN_EVERY) {
            shown.last_line = Some(Instant::now());
            say(format_args!("index: {verb}, {} of {}", grouped(done as u64), grouped(of as u64)));
        }
    }

    fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }
}

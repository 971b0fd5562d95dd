//! How far rows are that come from a dataset, or go into one.
//!
//! In: counts. Out: a bar on a terminal; elsewhere a plain line every few seconds.

use std::cell::{Cell, RefCell};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use sonoteca::dataset::Observer;
use sonoteca::ingest::Cancel;

use super::PLAIN_EVERY;
use crate::cli::printer::{grouped, say};
use crate::cli::settings::Settings;

/// How far it is: a bar for who watches, and a line now and then for who does not.
#[derive(Debug)]
pub(crate) struct RowProgress<'a> {
    cancel: Option<&'a Cancel>,
    is_quiet: bool,
    watched: bool,
    bar: RefCell<Option<ProgressBar>>,
    last_line: Cell<Instant>,
}

impl<'a> RowProgress<'a> {
    pub(crate) fn new(settings: &Settings, cancel: Option<&'a Cancel>) -> Self {
        Self {
            cancel,
            is_quiet: settings.is_quiet(),
            watched: settings.watched,
            bar: RefCell::default(),
            last_line: Cell::new(Instant::now()),
        }
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Observer for RowProgress<'_> {
    fn advanced(&self, rows: u64, of: u64) {
        if self.is_quiet {
            return;
        }
        if self.watched {
            let mut bar = self.bar.borrow_mut();
            let bar = bar.get_or_insert_with(|| {
                let bar = ProgressBar::new(of);
                let template = "{bar:24.cyan} {percent:>3} %  {human_pos} of {human_len} rows";
                // The template is a constant; without it the bar is plainer.
                if let Ok(style) = ProgressStyle::with_template(template) {
                    bar.set_style(style);
                }
                bar
            });
            bar.set_position(rows);
        } else if self.last_line.get().elapsed() >= PLAIN_EVERY {
            self.last_line.set(Instant::now());
            say(format_args!("{} of {} rows", grouped(rows), grouped(of)));
        }
    }

    fn is_cancelled(&self) -> bool {
        self.cancel.is_some_and(Cancel::is_cancelled)
    }
}

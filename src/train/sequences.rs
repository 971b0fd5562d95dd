//! Recordings, or stretches of them, as sequences: of embeddings, or of log-mel frames.
//!
//! In: a library or files, and which stretches are wanted. Out: [`Sequences`]. Files that are gone
//! or have changed give empty sequences, and are counted.
//!
//! Steps of a recording are kept once, however many stretches of it are wanted, and in a temporary
//! file where there are many: see [`Rows`].

mod frames;
mod reading;

use std::ops::Range;

use super::rows::Rows;

pub use reading::{Reader, Unread};

/// Sequences of steps.
#[derive(Debug)]
pub struct Sequences {
    steps: Rows,
    spans: Vec<Range<usize>>,
}

impl Sequences {
    /// Sequences that are these stretches of `steps`, `[steps, width]`.
    ///
    /// # Panics
    /// When a stretch ends behind the last step.
    pub fn new(steps: Rows, spans: Vec<Range<usize>>) -> Self {
        assert!(spans.iter().all(|span| span.end <= steps.len()), "stretches of the steps");
        Self { steps, spans }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Values of a step.
    pub fn width(&self) -> usize {
        self.steps.dimension()
    }

    /// The steps of all sequences.
    pub fn steps(&self) -> &Rows {
        &self.steps
    }

    /// The steps of sequence number `row`.
    pub fn span(&self, row: usize) -> Range<usize> {
        self.spans[row].clone()
    }

    /// The steps of each sequence.
    pub fn spans(&self) -> &[Range<usize>] {
        &self.spans
    }

    /// Keeps the sequences that `keep` says of, by number.
    pub fn retain(&mut self, keep: &[bool]) {
        let mut kept = keep.iter();
        self.spans.retain(|_| kept.next().is_some_and(|keep| *keep));
    }
}

//! What heads say of rows that they have not learnt from: all that evaluation looks at.
//!
//! Each row was held out once: the head that speaks of it was trained without any row of the same
//! group. Nothing else may become a score, so a score of training data has no type to be.

use super::task::Targets;

/// Held-out rows, what is known of them, and what was said of them.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldOut {
    /// The classes in the order of the columns; of a number, its name alone.
    pub classes: Vec<String>,
    /// `[rows, classes]`, row-major. Of [`Task::Single`](super::task::Task) logits before the
    /// softmax, of `Multi` before the sigmoid, of `Regression` the number itself.
    pub outputs: Vec<f32>,
    /// What is known of the rows.
    pub targets: Targets,
    /// The group of each row, `[rows]`: a recording, or what else was kept together. Rows of a
    /// group are not independent; intervals draw groups.
    pub groups: Vec<u32>,
    /// The fold in which each row was held out, `[rows]`, counted from 0; all 0 where one part
    /// was held out once.
    pub folds: Vec<u32>,
    /// What a row is, so that mistakes can be listed and listened to, `[rows]`.
    pub rows: Vec<RowPlace>,
}

/// Which stretch of which recording a row is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RowPlace {
    /// The recording's row id.
    pub recording: i64,
    /// The stretch; all of the recording, where there is none.
    pub range: Option<crate::audio::segment::TimeRange>,
}

impl HeldOut {
    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether nothing was held out.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

//! How each kind of head learns.
//!
//! In: a kind. Out: its [`Recipe`].

use crate::train::learner::{Augmentation, HeadKind};

/// Rows that a head sees in all at most: a million rows are seen once.
const ROWS_SEEN: usize = 1_000_000;

/// Rows at most where epochs are chosen.
const ROWS_CHOSEN_BY: usize = 20_000;

/// α of mixup: of weights between two rows drawn by it, most are near 0 or 1. Of the 0.1 to 0.4 that its
/// authors recommend for images.
const MIXUP: f64 = 0.2;

/// How a head learns.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Recipe {
    /// Times that everything is seen, at most where it is chosen.
    pub(super) epochs: usize,
    /// Folds inside of what is learnt from, by which the epochs are chosen; 0: they are not.
    pub(super) judges: usize,
    /// Rows of a batch.
    pub(super) batch: usize,
    /// The learning rate of AdamW, and whether it falls to nothing by half a cosine.
    pub(super) rate: f64,
    pub(super) falls: bool,
    /// The weight decay of AdamW.
    pub(super) decay: f64,
    /// Shares of the input and of the last hidden layer that are left out at random.
    pub(super) input_dropout: f64,
    pub(super) dropout: f64,
    pub(super) augmentation: Augmentation,
}

impl Recipe {
    pub(super) fn of(kind: HeadKind, rows: usize, augmentation: Augmentation) -> Self {
        let usual = Self {
            epochs: 60,
            judges: 3,
            batch: 32,
            rate: 1e-3,
            falls: false,
            decay: 1e-2,
            input_dropout: 0.0,
            dropout: 0.5,
            augmentation,
        };
        let mut recipe = match kind {
            HeadKind::Lstm => Self { epochs: 40, judges: 3, ..usual },
            HeadKind::Crnn => Self {
                epochs: 30,
                judges: 0,
                falls: true,
                rate: 2e-3,
                batch: 16,
                dropout: 0.3,
                ..usual
            },
            HeadKind::TfLstm => Self {
                epochs: 20,
                judges: 0,
                falls: true,
                rate: 3e-3,
                batch: 16,
                dropout: 0.3,
                ..usual
            },
            _ => usual,
        };
        // So many rows are seen few times, too few to learn them by heart.
        if rows > ROWS_CHOSEN_BY {
            recipe.judges = 0;
            recipe.falls = true;
        }
        recipe.epochs = recipe.epochs.min((ROWS_SEEN / rows.max(1)).max(1));
        recipe
    }

    /// α of mixup, where rows are mixed.
    pub(super) fn mixup(&self) -> Option<f64> {
        matches!(self.augmentation, Augmentation::Mixup | Augmentation::Both).then_some(MIXUP)
    }

    /// Whether stretches of bands and of time are hidden.
    pub(super) fn masks(&self) -> bool {
        matches!(self.augmentation, Augmentation::Masks | Augmentation::Both)
    }
}

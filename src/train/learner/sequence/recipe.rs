//! How each kind of head learns.
//!
//! In: a kind. Out: its [`Recipe`].

use crate::train::learner::HeadKind;

/// Rows that heads see in all at most: of a million rows, a few epochs are enough.
const ROWS_SEEN: usize = 4_000_000;

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
    /// α of mixup; 0: nothing is mixed.
    pub(super) mixup: f64,
    /// Whether stretches of bands and of time are hidden.
    pub(super) masks: bool,
}

impl Recipe {
    pub(super) fn of(kind: HeadKind, rows: usize) -> Self {
        let usual = Self {
            epochs: 60,
            judges: 3,
            batch: 32,
            rate: 1e-3,
            falls: false,
            decay: 1e-2,
            input_dropout: 0.0,
            dropout: 0.5,
            mixup: 0.0,
            masks: false,
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
        if let Ok(text) = std::env::var("SEQ") {
            for pair in text.split(',') {
                let (name, value) = pair.split_once('=').unwrap_or((pair, "1"));
                let value: f64 = value.parse().unwrap_or(0.0);
                match name {
                    "epochs" => recipe.epochs = value as usize,
                    "judges" => recipe.judges = value as usize,
                    "batch" => recipe.batch = value as usize,
                    "rate" => recipe.rate = value,
                    "falls" => recipe.falls = value > 0.0,
                    "decay" => recipe.decay = value,
                    "input" => recipe.input_dropout = value,
                    "dropout" => recipe.dropout = value,
                    "mixup" => recipe.mixup = value,
                    "masks" => recipe.masks = value > 0.0,
                    _ => {}
                }
            }
        }
        recipe.epochs = recipe.epochs.min((ROWS_SEEN / rows.max(1)).max(3));
        recipe
    }
}

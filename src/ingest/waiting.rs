//! What the networks of a run wait for themselves.
//!
//! In: waits, as those threads tell them that embed. Out: the latest one, to the thread that speaks
//! with the observer; and to those who wait, whether the run goes on.

use std::sync::{Mutex, PoisonError};

use super::Cancel;
use crate::model::network::{Company, Wait};

/// Keeps the networks of a run company.
#[derive(Debug)]
pub(super) struct Waiting {
    cancel: Cancel,
    /// What was not told yet. Of several that came together, one is enough.
    latest: Mutex<Option<Wait>>,
}

impl Waiting {
    /// Of a run that ends with `cancel`.
    pub(super) fn new(cancel: Cancel) -> Self {
        Self { cancel, latest: Mutex::default() }
    }

    /// The latest wait that was not taken yet.
    pub(super) fn take(&self) -> Option<Wait> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Company for Waiting {
    fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    fn waits(&self, wait: &Wait) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(wait.clone());
    }
}

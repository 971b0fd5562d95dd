//! One recording on its way through several networks.
//!
//! In: what each network says of it, in whatever order. Out: [`Finished`] of all of them at once,
//! so that a recording is stored as a whole or not at all.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::assembly::{Assembly, Finished, Sound};
use crate::error::Result;
use crate::extract::RecordingEnd;
use crate::store::worklist::FoundFile;

/// A recording, and its assembly for each network that embeds it.
#[derive(Debug)]
pub(super) struct Gathering {
    pub(super) file: FoundFile,
    /// Each with the network's place.
    parts: Vec<(usize, Assembly)>,
    done: Mutex<Vec<(usize, Finished)>>,
    has_failed: AtomicBool,
}

impl Gathering {
    pub(super) fn new(file: FoundFile, parts: Vec<(usize, Assembly)>) -> Self {
        Self { file, parts, done: Mutex::default(), has_failed: AtomicBool::new(false) }
    }

    /// The network that part number `part` is for.
    pub(super) fn model(&self, part: usize) -> Option<usize> {
        self.parts.get(part).map(|(model, _)| *model)
    }

    /// Takes the embedding of step number `index` for part number `part`; what all networks say of
    /// the recording, when it was the last one missing.
    ///
    /// # Errors
    /// As [`Assembly::take`].
    pub(super) fn take(
        &self,
        (part, index): (usize, usize),
        embedding: &[f32],
        scores: &[f32],
        sound: Sound,
    ) -> Result<Option<Vec<(usize, Finished)>>> {
        let Some((model, assembly)) = self.parts.get(part) else { return Ok(None) };
        Ok(self.gather(*model, assembly.take(index, embedding, scores, sound)?))
    }

    /// Waits until step number `first` of part number `part` may be embedded, as
    /// [`Assembly::wait_for_turn`].
    pub(super) fn wait_for_turn(&self, part: usize, first: usize, give_up: impl Fn() -> bool) {
        if let Some((_, assembly)) = self.parts.get(part) {
            assembly.wait_for_turn(first, give_up);
        }
    }

    /// Takes the number of steps of each part, and the end; what all networks say of the recording,
    /// when they have said it already.
    ///
    /// # Errors
    /// As [`Assembly::end`].
    pub(super) fn end(
        &self,
        steps: &[usize],
        end: RecordingEnd,
    ) -> Result<Option<Vec<(usize, Finished)>>> {
        for ((model, assembly), &steps) in self.parts.iter().zip(steps) {
            if let Some(all) = self.gather(*model, assembly.end(steps, end)?) {
                return Ok(Some(all));
            }
        }
        Ok(None)
    }

    /// Settles the recording as failed; whether it was not settled yet.
    pub(super) fn fail(&self) -> bool {
        let is_news = !self.has_failed.swap(true, Ordering::Relaxed);
        let unsettled = self.parts.iter().filter(|(_, assembly)| assembly.fail()).count();
        is_news && unsettled > 0
    }

    /// Whether it was settled as failed: whatever else is made of it is in vain.
    pub(super) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    fn gather(&self, model: usize, finished: Option<Finished>) -> Option<Vec<(usize, Finished)>> {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.push((model, finished?));
        (done.len() == self.parts.len()).then(|| std::mem::take(&mut *done))
    }
}

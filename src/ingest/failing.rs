//! What becomes of recordings that a network fails on.
//!
//! In: a batch that could not be embedded, and why. Out: the recordings whose own sound it is, as
//! failed; or the end of the run. Our own networks are the same for every file: where one fails, the
//! next file would fare no better. What the user brought is a program or a server, which may throw at
//! one window, and a night's work is not to end there. One that is gone, is another one now or does
//! not let us in ends the run at once, and so does one that fails at whatever it is given.

use std::sync::mpsc::SyncSender;
use std::sync::{Mutex, PoisonError};

use super::queue::Piece;
use super::working::Work;
use super::writing::Message;
use crate::error::Error;
use crate::model::EmbeddingModel;

/// Recordings in a row that a network may fail on in the same way. So few that a server which is out
/// of order for hours costs a minute; so many that a recorder's broken minute does not end a night.
const MOST_IN_A_ROW: usize = 5;

/// Recordings in a row that a network failed on in the same way.
#[derive(Debug, Default)]
pub(super) struct Streak(Mutex<Failures>);

#[derive(Debug, Default)]
struct Failures {
    count: usize,
    /// What was said of them, without its numbers, which may be of the window.
    words: String,
}

impl Streak {
    /// A batch was embedded.
    pub(super) fn went_well(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).count = 0;
    }

    /// A recording failed, with these words; how many in a row did so.
    fn failed(&self, words: &str) -> usize {
        let words: String = words.chars().filter(|letter| !letter.is_numeric()).collect();
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_alike = failures.words == words;
        failures.count = if is_alike { failures.count + 1 } else { 1 };
        failures.words = words;
        failures.count
    }
}

impl Work<'_> {
    /// Settles what becomes of `pieces`, which `model` failed on with `error`; `false` when nobody
    /// wants more.
    pub(super) fn failed_to_embed(
        &self,
        (place, model): (usize, &EmbeddingModel),
        pieces: &[Piece],
        error: Error,
        sender: &SyncSender<Message>,
    ) -> bool {
        if self.cancel.is_cancelled() {
            // Whatever it is, nobody waits for it any more.
            self.queue.abandon();
            return false;
        }
        if !(model.card().is_added() && error.may_be_of_the_sound()) {
            return self.send(sender, Message::Broken(error));
        }
        let [piece] = pieces else {
            // One by one, to see whose it is.
            let mut one_by_one = pieces.iter();
            return one_by_one
                .all(|piece| self.embed((place, model), std::slice::from_ref(piece), sender));
        };
        if !piece.recording.fail() {
            return true;
        }
        let (file, model) = (piece.recording.file.clone(), model.card().name.clone());
        let path = file.path.clone();
        let source = Box::new(error);
        let error = Error::Embed { path: path.clone(), model: model.clone(), source };
        let words = error.reason();
        let count = self.streaks[place].failed(&words);
        let is_wanted = self.send(sender, Message::Failed(file, error));
        if is_wanted && count >= MOST_IN_A_ROW {
            let broken = Error::EmbedInARow { model, count, path, words };
            return self.send(sender, Message::Broken(broken));
        }
        is_wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_well_or_is_of_another_kind_ends_a_row() {
        let streak = Streak::default();
        assert_eq!(streak.failed("index 17 is out of range"), 1);
        assert_eq!(streak.failed("index 20 is out of range"), 2);
        assert_eq!(streak.failed("status 500"), 1);
        assert_eq!(streak.failed("status 500"), 2);
        streak.went_well();
        assert_eq!(streak.failed("status 500"), 1);
    }
}

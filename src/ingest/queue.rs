//! Patches of many recordings on their way to the network.
//!
//! In: a few patches of one recording at a time, from those who decode. Out: full batches, of
//! however many recordings, so that a collection of half-second clips fills them as well as a
//! day-long file does. Holds a bounded number: who decodes waits for who embeds.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::assembly::Assembly;
use crate::extract::Patches;
use crate::frontend::spec::FrontEnd;

/// How long a batch that is not full waits for more. Decoding is several times as fast as
/// embedding; where it is not, the disk is slow, and there is no hurry.
const PATIENCE: Duration = Duration::from_millis(200);

/// Consecutive patches of one recording.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) recording: Arc<Assembly>,
    /// Number of the first patch's first step in its recording.
    pub(super) first: usize,
    pub(super) patches: Patches,
}

/// A bounded queue of patches.
#[derive(Debug)]
pub(super) struct PatchQueue {
    state: Mutex<State>,
    /// Signals both ends: something came, went, or ended.
    changed: Condvar,
    capacity: usize,
    front_end: FrontEnd,
}

#[derive(Debug, Default)]
struct State {
    pieces: VecDeque<Piece>,
    patches: usize,
    is_over: bool,
}

impl PatchQueue {
    /// A queue of at most `capacity` patches of `front_end`, give or take a piece.
    pub(super) fn new(capacity: usize, front_end: FrontEnd) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), capacity, front_end }
    }

    /// Adds a piece as soon as there is room; `false` when the queue is over.
    pub(super) fn push(&self, piece: Piece) -> bool {
        let mut state = self.lock();
        while state.patches >= self.capacity && !state.is_over {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.is_over {
            return false;
        }
        state.patches += piece.patches.count();
        state.pieces.push_back(piece);
        self.changed.notify_all();
        true
    }

    /// Takes `count` patches; fewer when no more come for a while. `None` when the queue is over
    /// and empty.
    pub(super) fn take(&self, count: usize) -> Option<Vec<Piece>> {
        let mut state = self.lock();
        loop {
            if state.patches >= count || state.is_over {
                break;
            }
            let (guard, waited) =
                self.changed.wait_timeout(state, PATIENCE).unwrap_or_else(PoisonError::into_inner);
            state = guard;
            if waited.timed_out() && state.patches > 0 {
                break;
            }
        }
        if state.patches == 0 {
            return None;
        }
        let mut taken = Vec::new();
        let mut missing = count;
        while missing > 0
            && let Some(mut piece) = state.pieces.pop_front()
        {
            let length = piece.patches.count();
            if length > missing {
                let rest = piece.split_off(&self.front_end, missing);
                state.pieces.push_front(rest);
            }
            missing -= piece.patches.count();
            taken.push(piece);
        }
        state.patches -= count - missing;
        self.changed.notify_all();
        Some(taken)
    }

    /// Nothing more is coming; what is there can still be taken.
    pub(super) fn finish(&self) {
        self.lock().is_over = true;
        self.changed.notify_all();
    }

    /// Nothing more is wanted.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        *state = State { is_over: true, ..State::default() };
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Piece {
    /// Splits off what follows the first `count` patches.
    fn split_off(&mut self, front_end: &FrontEnd, count: usize) -> Self {
        let rest = self.patches.split_off(front_end, count);
        let first = self.first + self.patches.health.len();
        Self { recording: Arc::clone(&self.recording), first, patches: rest }
    }
}

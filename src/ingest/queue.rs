//! Patches of many recordings on their way to the networks.
//!
//! In: a few patches of one recording at a time, from those who decode. Out: full batches for one
//! network, of however many recordings, so that a collection of half-second clips fills them as
//! well as a day-long file does. Holds a bounded number: who decodes waits for who embeds.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::gathering::Gathering;
use crate::extract::Patches;
use crate::frontend::spec::FrontEnd;

/// How long a batch that is not full waits for more. Decoding is several times as fast as
/// embedding; where it is not, the disk is slow, and there is no hurry.
const PATIENCE: Duration = Duration::from_millis(200);

/// Consecutive patches of one recording, for one network.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) recording: Arc<Gathering>,
    /// Which of the recording's assemblies they belong to.
    pub(super) part: usize,
    /// Number of the first patch's first step in its recording.
    pub(super) first: usize,
    pub(super) patches: Patches,
}

/// What a network takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct LaneSpec {
    pub(super) front_end: FrontEnd,
    /// Patches of a batch.
    pub(super) batch: usize,
    /// Patches that wait at most, give or take a piece.
    pub(super) capacity: usize,
}

/// A bounded queue of patches, with a lane for each network.
#[derive(Debug)]
pub(super) struct PatchQueue {
    specs: Vec<LaneSpec>,
    state: Mutex<State>,
    /// Signals both ends: something came, went, or ended.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lanes: Vec<Lane>,
    is_over: bool,
}

#[derive(Debug, Default)]
struct Lane {
    pieces: VecDeque<Piece>,
    patches: usize,
}

impl PatchQueue {
    /// An empty queue with a lane for each of `specs`.
    pub(super) fn new(specs: Vec<LaneSpec>) -> Self {
        let lanes = specs.iter().map(|_| Lane::default()).collect();
        let state = Mutex::new(State { lanes, is_over: false });
        Self { specs, state, changed: Condvar::new() }
    }

    /// Adds a piece to the lane of network `model` as soon as there is room; `false` when the queue
    /// is over.
    pub(super) fn push(&self, model: usize, piece: Piece) -> bool {
        let (mut state, capacity) = (self.lock(), self.specs[model].capacity);
        while !state.is_over && state.lanes[model].patches >= capacity {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.is_over {
            return false;
        }
        let lane = &mut state.lanes[model];
        lane.patches += piece.patches.count();
        lane.pieces.push_back(piece);
        self.changed.notify_all();
        true
    }

    /// Takes a batch of the fullest lane, and says which that is; a batch that is not full, when no
    /// more come for a while. `None` when the queue is over and empty.
    pub(super) fn take(&self) -> Option<(usize, Vec<Piece>)> {
        let mut state = self.lock();
        let model = loop {
            let fullest = self.fullest(&state);
            match fullest {
                Some((model, batches)) if batches >= 1.0 || state.is_over => break model,
                None if state.is_over => return None,
                _ => {}
            }
            let (guard, waited) =
                self.changed.wait_timeout(state, PATIENCE).unwrap_or_else(PoisonError::into_inner);
            state = guard;
            if waited.timed_out()
                && let Some((model, _)) = self.fullest(&state)
            {
                break model;
            }
        };
        let LaneSpec { front_end, batch, .. } = self.specs[model];
        let lane = state.lanes.get_mut(model)?;
        let mut taken = Vec::new();
        let mut missing = batch;
        while missing > 0
            && let Some(mut piece) = lane.pieces.pop_front()
        {
            if piece.patches.count() > missing {
                let rest = piece.split_off(&front_end, missing);
                lane.pieces.push_front(rest);
            }
            missing -= piece.patches.count();
            taken.push(piece);
        }
        lane.patches -= batch - missing;
        self.changed.notify_all();
        Some((model, taken))
    }

    /// The lane in which most batches wait, and how many; none, where nothing does.
    fn fullest(&self, state: &State) -> Option<(usize, f64)> {
        let batches = state
            .lanes
            .iter()
            .zip(&self.specs)
            .map(|(lane, spec)| lane.patches as f64 / spec.batch as f64);
        batches
            .enumerate()
            .filter(|(_, batches)| *batches > 0.0)
            .max_by(|(_, a), (_, b)| a.total_cmp(b))
    }

    /// Nothing more is coming; what is there can still be taken.
    pub(super) fn finish(&self) {
        self.lock().is_over = true;
        self.changed.notify_all();
    }

    /// Whether nothing more is coming, or wanted.
    pub(super) fn is_over(&self) -> bool {
        self.lock().is_over
    }

    /// Nothing more is wanted.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        state.is_over = true;
        for lane in &mut state.lanes {
            *lane = Lane::default();
        }
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
        Self { recording: Arc::clone(&self.recording), part: self.part, first, patches: rest }
    }
}

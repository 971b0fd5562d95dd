//! What goes into a network and what comes out.
//!
//! In: [`Batch`]. Out: [`NetworkOutput`]. Every architecture implements `Network`.

use super::compute::Precision;
use crate::error::Result;

/// Some patches, of one recording or of many.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// `[patches, frames, values]`, row-major.
    pub values: &'a [f32],
    /// `[patches]`: how many of the samples that each stands for are the recording's own; the
    /// others are padding. At least one.
    pub sound_samples: &'a [usize],
}

impl<'a> Batch<'a> {
    /// The patches, each with its sound samples.
    pub fn patches(&self) -> impl Iterator<Item = (&'a [f32], usize)> + use<'a> {
        let values = self.values.len() / self.sound_samples.len().max(1);
        self.values.chunks_exact(values.max(1)).zip(self.sound_samples.iter().copied())
    }
}

/// What a network says of a batch: a row for every step of every patch, in order. A patch has as
/// many steps as [`FrontEnd::steps_of`](crate::frontend::spec::FrontEnd::steps_of) says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NetworkOutput {
    /// `[steps, dimension]`, row-major.
    pub embeddings: Vec<f32>,
    /// `[steps, classes]`, row-major, each in [0, 1]; empty, where there are no classes.
    pub scores: Vec<f32>,
}

/// The pitch of a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pitch {
    /// Its frequency in Hz; of a frame without a pitch, any.
    pub frequency_hz: f64,
    /// How sure the network is that there is a pitch, and this one: in [0, 1].
    pub confidence: f32,
}

/// The pitch along time of a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PitchOutput {
    /// Of each frame that lies in sound, `[frames]`.
    pub frames: Vec<Pitch>,
    /// How many of them each patch has, `[patches]`.
    pub frames_of: Vec<usize>,
    /// From one frame to the next, in seconds.
    pub frame_hop_s: f64,
}

/// What a hosted model was sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sent {
    /// The address of the server.
    pub to: String,
    /// Requests, those that failed included.
    pub requests: u64,
    /// How many of them were sent because one before had failed.
    pub retries: u64,
    /// Bytes of sound that were sent, each time that they were.
    pub sent_bytes: u64,
    /// Bytes of answers.
    pub received_bytes: u64,
    /// Seconds of sound that were sent, where windows overlap more than once.
    pub audio_s: f64,
}

/// An architecture with its weights.
pub(super) trait Network: Send {
    /// Runs a batch of at least one patch.
    fn run(&self, batch: &Batch<'_>) -> Result<NetworkOutput>;

    /// The same network for another thread; the weights are shared.
    fn share(&self) -> Box<dyn Network>;

    /// The pitch along time; `None`, where the network knows of none.
    fn pitch(&self, _batch: &Batch<'_>) -> Option<Result<PitchOutput>> {
        None
    }

    /// What it computes in, where `asked` was asked for.
    fn precision(&self, asked: Precision) -> Precision {
        asked
    }

    /// What left this machine, by this network and those that share its weights.
    fn sent(&self) -> Option<Sent> {
        None
    }
}

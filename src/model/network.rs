//! What goes into a network and what comes out.
//!
//! In: [`Batch`]. Out: [`NetworkOutput`]. Every architecture implements `Network`. What a network has
//! to wait for itself, it tells its [`Company`].

use std::fmt;
use std::sync::Arc;

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

/// Somebody for whom a network works that may have to wait itself, for a server.
pub trait Company: Send + Sync {
    /// Whether nobody wants any more what it works on.
    fn is_cancelled(&self) -> bool;
    /// It waits; asked nothing, and told once a wait.
    fn waits(&self, wait: &Wait);
}

/// What a network waits for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Wait {
    /// The time that a server asked for.
    Asked {
        /// The server.
        server: String,
        /// What it said, and why.
        why: String,
        /// How long, in seconds.
        wait_s: f64,
    },
    /// The next attempt.
    Again {
        /// The server.
        server: String,
        /// Why the last one failed.
        why: String,
        /// How long, in seconds.
        wait_s: f64,
    },
    /// An answer.
    Answer {
        /// The server.
        server: String,
        /// Since when, in seconds.
        since_s: f64,
    },
}

impl fmt::Display for Wait {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked { server, why, wait_s } => {
                write!(formatter, "{server} asks to wait {wait_s:.0} s: {why}")
            }
            Self::Again { server, why, wait_s } => {
                write!(formatter, "{server} is asked again in {wait_s:.0} s: {why}")
            }
            Self::Answer { server, since_s } => {
                write!(formatter, "{server} has not answered for {since_s:.0} s")
            }
        }
    }
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

    /// From now on whatever it waits for is told to `company`, who may end the wait.
    fn keep_company(&mut self, _company: &Arc<dyn Company>) {}

    /// What left this machine, by this network and those that share its weights.
    fn sent(&self) -> Option<Sent> {
        None
    }
}

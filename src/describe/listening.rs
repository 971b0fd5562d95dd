//! Several models that listen to one recording, which is decoded once for all of them.
//!
//! In: the path of a recording, a part of it, and models. Out: [`Listening`]: the classes that they
//! hear, and the pitch. Refuses models that say neither.

use std::path::Path;

use super::events::EventSpec;
use super::hearing::{ClassEar, Hearing};
use super::pitch::{PitchEar, PitchTrack};
use crate::audio::excerpt::Part;
use crate::audio::health::Health;
use crate::audio::resample::FilterCache;
use crate::error::Result;
use crate::extract::{PatchReader, Patches, RecordingEnd};
use crate::model::network::Batch;
use crate::model::{EmbeddingModel, nothing_heard};

/// What is asked about a recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HearingSpec {
    /// The part that is listened to.
    pub part: Part,
    /// When a class is heard.
    pub events: EventSpec,
    /// The least confidence with which a pitch is heard.
    pub pitch_confidence: f32,
    /// Whether the highest classes of every segment, and the pitch of every frame, are kept; they
    /// grow with the recording.
    pub keeps_segments: bool,
}

/// What models hear in a recording, or in a part of it.
#[derive(Debug)]
pub struct Listening {
    /// By each model that scores classes, in the order in which the models were given.
    pub hearings: Vec<Hearing>,
    /// By each that tells the pitch.
    pub pitches: Vec<PitchTrack>,
    /// How long the part is, and how whole the recording.
    pub end: RecordingEnd,
}

impl Listening {
    /// Listens to the recording at `path` with `models`; tells `watch` the seconds heard so far.
    ///
    /// # Errors
    /// [`Error::NothingHeard`](crate::Error::NothingHeard) when a model scores no classes and tells
    /// no pitch, [`Error::Io`](crate::Error::Io) and [`Error::Decode`](crate::Error::Decode) when
    /// the file cannot be used, [`Error::NoChannel`](crate::Error::NoChannel) and
    /// [`Error::NoStretch`](crate::Error::NoStretch) when it has no such part,
    /// [`Error::Network`](crate::Error::Network) when libtorch fails.
    pub fn of(
        path: &Path,
        models: &[EmbeddingModel],
        spec: &HearingSpec,
        filters: &FilterCache,
        mut watch: impl FnMut(f64),
    ) -> Result<Self> {
        let ears = models.iter().map(|model| Ear::new(model, spec));
        let mut ears = ears.collect::<Result<Vec<_>>>()?;
        let front_ends: Vec<_> = models.iter().map(EmbeddingModel::front_end).collect();
        let mut reader = PatchReader::open_all(path, spec.part, &front_ends, filters)?;
        let mut patches = vec![Patches::default(); models.len()];
        let mut is_over = false;
        while !is_over {
            is_over = !reader.read_all(&mut patches)?;
            for ((ear, model), patches) in ears.iter_mut().zip(models).zip(&mut patches) {
                let batch_patches = model.card().batch_patches;
                let least = if is_over { 1 } else { batch_patches };
                ear.take(model, patches, (least, batch_patches))?;
            }
            watch(reader.end().duration_s);
        }
        let end = reader.end();
        let mut listening = Self { hearings: Vec::new(), pitches: Vec::new(), end };
        for ear in ears {
            match ear {
                Ear::Classes(ear) => listening.hearings.push(ear.finish(end)),
                Ear::Pitch(ear) => listening.pitches.push(ear.finish(end)),
            }
        }
        Ok(listening)
    }
}

/// What a model hears.
enum Ear<'a> {
    Classes(Box<ClassEar<'a>>),
    Pitch(Box<PitchEar<'a>>),
}

impl<'a> Ear<'a> {
    fn new(model: &'a EmbeddingModel, spec: &'a HearingSpec) -> Result<Self> {
        let card = model.card();
        if card.tells_pitch() {
            return Ok(Self::Pitch(Box::new(PitchEar::new(model, spec))));
        }
        if card.class_count() == 0 {
            return Err(nothing_heard(&card.name));
        }
        Ok(Self::Classes(Box::new(ClassEar::new(model, spec)?)))
    }

    /// Hears and removes batches of `most` from `patches` while there are at least `least`.
    fn take(
        &mut self,
        model: &EmbeddingModel,
        patches: &mut Patches,
        (least, most): (usize, usize),
    ) -> Result<()> {
        let front_end = model.front_end();
        let (mut done, mut steps_done) = (0, 0);
        while patches.count() - done >= least {
            let batch = patches.batch(&front_end, done, most);
            let steps = batch.sound_samples.iter().map(|&samples| front_end.steps_of(samples));
            let steps: usize = steps.sum();
            self.listen(&batch, &patches.health[steps_done..steps_done + steps])?;
            done += batch.sound_samples.len();
            steps_done += steps;
        }
        if done > 0 {
            *patches = patches.split_off(&front_end, done);
        }
        Ok(())
    }

    fn listen(&mut self, batch: &Batch<'_>, health: &[Health]) -> Result<()> {
        match self {
            Self::Classes(ear) => ear.listen(batch, health),
            Self::Pitch(ear) => ear.listen(batch, health),
        }
    }
}

//! Heads of any kind on recordings: what they read is fetched, whatever it is.
//!
//! In: stretches of stored recordings, or files. Out: what a head says of each. Refuses what the
//! head does not read; of what cannot be read any more, NaN is said.

use std::path::Path;

use super::Head;
use crate::audio::excerpt::Part;
use crate::audio::resample::FilterCache;
use crate::audio::segment::TimeRange;
use crate::error::{Result, TrainingProblem};
use crate::extract::Extractor;
use crate::store::Library;
use crate::store::models::StoredModel;
use crate::train::held_out::RowPlace;
use crate::train::network::{Input, Network};
use crate::train::sequences::{Reader, Sequences, Unread};

impl Head {
    /// What it says of sequences of what it [reads](Self::input): as [`say`](Self::say) does,
    /// `[sequences, classes]`. A head that reads single embeddings reads the mean of each.
    ///
    /// Of a sequence that is longer than the windows that the head learnt from, it is the mean
    /// over windows, before probabilities are made of it; NaN of an empty one.
    ///
    /// # Errors
    /// [`TrainingProblem::OtherInput`] when steps have another width than the head reads,
    /// [`Error::Network`](crate::Error::Network), [`Error::Io`](crate::Error::Io).
    pub fn say_sequences(&self, sequences: &Sequences) -> Result<Vec<f32>> {
        Ok(self.probabilities(self.outputs_of_sequences(sequences)?))
    }

    /// What its network says of sequences, `[sequences, classes]`: logits, or numbers.
    ///
    /// # Errors
    /// As [`say_sequences`](Self::say_sequences).
    pub fn outputs_of_sequences(&self, sequences: &Sequences) -> Result<Vec<f32>> {
        self.require_width(sequences)?;
        match &self.network {
            Network::Linear(_) | Network::Perceptron(_) => Ok(self.outputs(&means(sequences)?)),
            Network::Sequence(network) => network.apply(sequences),
        }
    }

    /// What its last hidden layer says of sequences, `[sequences, units]`: an embedding of what
    /// the head tells apart.
    ///
    /// # Errors
    /// As [`say_sequences`](Self::say_sequences); [`TrainingProblem::NoHidden`].
    pub fn hidden_of_sequences(&self, sequences: &Sequences) -> Result<Vec<f32>> {
        self.require_width(sequences)?;
        match &self.network {
            Network::Linear(_) | Network::Perceptron(_) => self.hidden(&means(sequences)?),
            Network::Sequence(network) => network.hidden(sequences),
        }
    }

    /// What its hidden layer says of `rows`, `[rows, dimension]`: `[rows, units]`.
    ///
    /// # Errors
    /// [`TrainingProblem::NoHidden`], and [`TrainingProblem::OtherInput`] when it reads sequences.
    ///
    /// # Panics
    /// When `rows` are no whole number of rows.
    pub fn hidden(&self, rows: &[f32]) -> Result<Vec<f32>> {
        let head = || self.card.name.clone();
        match &self.network {
            Network::Linear(_) => Err(TrainingProblem::NoHidden { head: head() }.into()),
            Network::Perceptron(network) => Ok(network.hidden(rows)),
            Network::Sequence(_) => Err(self.other_input()),
        }
    }

    /// Units of the last hidden layer; nothing, where there is none.
    pub fn hidden_units(&self) -> Option<usize> {
        match &self.network {
            Network::Linear(_) => None,
            Network::Perceptron(network) => Some(network.hidden_units()),
            Network::Sequence(network) => Some(network.hidden_units()),
        }
    }

    /// A reader of what the head reads. Heads that read single embeddings get the segments of
    /// which these are the mean.
    pub fn reader<'a>(&self, filters: &'a FilterCache) -> Reader<'a> {
        let (input, frames) = match &self.network {
            Network::Linear(_) | Network::Perceptron(_) => (Input::Vectors, 0),
            Network::Sequence(network) => (self.input(), network.frames_a_step()),
        };
        Reader::new(input, self.card.model.identity(), frames, filters)
    }

    /// What it says of stretches of stored recordings, or of all of them: `[places, classes]`, and
    /// which recordings could not be read. Frames are decoded again from the files. `watch` is told
    /// which share has been read, and says whether to go on.
    ///
    /// # Errors
    /// [`TrainingProblem::OtherModel`], and those of [`Reader::stored`] and
    /// [`say_sequences`](Self::say_sequences).
    pub fn say_places(
        &self,
        library: &Library,
        model: &StoredModel,
        places: &[RowPlace],
        filters: &FilterCache,
        watch: &dyn Fn(f64) -> bool,
    ) -> Result<(Vec<f32>, Unread)> {
        self.require_model(&model.identity)?;
        let (sequences, unread) = self.reader(filters).stored(library, model, places, watch)?;
        Ok((self.say_sequences(&sequences)?, unread))
    }

    /// What it says of stretches of `part` of a file, or of all of it (`None`): `[stretches,
    /// classes]`. Where the head reads embeddings, `extractor` makes them, patch by patch.
    ///
    /// # Errors
    /// [`TrainingProblem::OtherModel`], and those of [`Reader::file`] and
    /// [`say_sequences`](Self::say_sequences).
    pub fn say_file(
        &self,
        path: &Path,
        part: Part,
        stretches: &[Option<TimeRange>],
        extractor: Option<&Extractor>,
        filters: &FilterCache,
    ) -> Result<Vec<f32>> {
        if let Some(extractor) = extractor {
            self.require_model(extractor.model().identity())?;
        }
        self.say_sequences(&self.reader(filters).file(path, part, stretches, extractor)?)
    }

    fn require_width(&self, sequences: &Sequences) -> Result<()> {
        let width = match &self.network {
            Network::Linear(_) | Network::Perceptron(_) => self.card.model.dimension,
            Network::Sequence(network) => network.width(),
        };
        if sequences.width() == width { Ok(()) } else { Err(self.other_input()) }
    }

    fn other_input(&self) -> crate::Error {
        let input = self.input().as_str();
        TrainingProblem::OtherInput { head: self.card.name.clone(), input }.into()
    }
}

/// The mean of each sequence, `[sequences, width]`; NaN of an empty one.
fn means(sequences: &Sequences) -> Result<Vec<f32>> {
    let width = sequences.width();
    let mut means = Vec::with_capacity(sequences.len() * width);
    let mut steps = vec![0.0; width];
    for span in sequences.spans() {
        let mut mean = crate::model::pool::Mean::new(width);
        for step in span.clone() {
            sequences.steps().read_range(step, &mut steps)?;
            mean.add(&steps);
        }
        if span.is_empty() {
            means.extend(std::iter::repeat_n(f32::NAN, width));
        } else {
            means.extend(mean.mean());
        }
    }
    Ok(means)
}

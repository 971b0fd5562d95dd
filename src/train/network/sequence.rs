//! Heads that read sequences.
//!
//! In: tensors by name, and sequences of steps. Out: [`SequenceHead`]. Refuses tensors that are
//! missing, left over, or of another shape.
//!
//! A sequence longer than [`most_steps`](SequenceHead::most_steps) is read in windows of equal
//! length, none longer than that, and what is said of it is the mean of what is said of each.

use std::cmp::Reverse;
use std::ops::Range;

use tch::Tensor;

use super::form::Form;
use super::forward::{self, Batch, Parameters, failed};
use super::{Taken, Tensors, damaged};
use crate::error::Result;
use crate::model::torch::{Torch, to_vec};
use crate::train::learner::HeadKind;
use crate::train::rows::Rows;
use crate::train::sequences::Sequences;
use crate::units::signed;

/// Values that are read at once at most: batches of this many, whatever the sequences' lengths.
const VALUES_AT_ONCE: usize = 1 << 17;

/// A head that reads sequences.
#[derive(Clone, Debug, PartialEq)]
pub struct SequenceHead {
    form: Form,
    outputs: usize,
    tensors: Tensors,
}

impl SequenceHead {
    /// A head of `kind` with `outputs` outputs from its tensors; where steps are embeddings, these
    /// have `dimension` values.
    ///
    /// # Errors
    /// [`TrainingProblem::Damaged`](crate::error::TrainingProblem::Damaged).
    pub fn new(
        head: &str,
        kind: HeadKind,
        tensors: Tensors,
        (dimension, outputs): (usize, usize),
    ) -> Result<Self> {
        let Some(form) = Form::of(kind, &tensors) else {
            let kind = kind.as_str();
            return Err(damaged(head, format!("its tensors have not the sizes of a {kind}")));
        };
        if form.frames() == 0 && form.width != dimension {
            let width = form.width;
            return Err(damaged(head, format!("it reads {width} values, expected {dimension}")));
        }
        let mut taken = Taken::of(head, tensors.clone());
        for entry in form.entries(outputs) {
            let values = taken.take(&entry.name, &entry.shape)?;
            let is_divisor = entry.name == "scale" || entry.name.ends_with("norm.variance");
            if is_divisor
                && values
                    .iter()
                    .any(|value| *value < 0.0 || (entry.name == "scale" && *value == 0.0))
            {
                return Err(damaged(head, format!("tensor {} is not above zero", entry.name)));
            }
        }
        taken.end()?;
        Ok(Self { form, outputs, tensors })
    }

    /// How many outputs there are.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Values of a step.
    pub fn width(&self) -> usize {
        self.form.width
    }

    /// Frames that are averaged to a step; 0 where steps are embeddings.
    pub fn frames_a_step(&self) -> usize {
        self.form.frames()
    }

    /// Units of the last hidden layer.
    pub fn hidden_units(&self) -> usize {
        self.form.hidden()
    }

    /// Steps of a window at most.
    pub fn most_steps(&self) -> usize {
        most_steps(&self.form)
    }

    /// What is said of sequences: `[sequences, outputs]`; NaN of those that are empty.
    ///
    /// # Errors
    /// [`Error::Network`](crate::Error::Network), [`Error::Io`](crate::Error::Io).
    pub fn apply(&self, sequences: &Sequences) -> Result<Vec<f32>> {
        self.read(sequences, self.outputs, |parameters, hidden| {
            forward::outputs(parameters, hidden)
        })
    }

    /// What the last hidden layer says of sequences: `[sequences, hidden]`; NaN of those that are
    /// empty.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub fn hidden(&self, sequences: &Sequences) -> Result<Vec<f32>> {
        self.read(sequences, self.form.hidden(), |_, hidden| Ok(hidden.shallow_clone()))
    }

    fn read(
        &self,
        sequences: &Sequences,
        values: usize,
        last: impl Fn(&Parameters, &Tensor) -> Torch<Tensor>,
    ) -> Result<Vec<f32>> {
        let _guard = tch::no_grad_guard();
        let parameters = forward::parameters(&self.tensors).map_err(failed)?;
        let standard = (&self.tensors["mean"].1[..], &self.tensors["scale"].1[..]);
        let what = (sequences.steps(), sequences.spans());
        say(&self.form, &parameters, standard, what, values, last)
    }
}

/// What `last` makes of the last hidden layer, `[stretches, values]`: the mean over the windows of
/// each stretch of `steps`, which are standardised by mean and scale.
pub(in crate::train) fn say(
    form: &Form,
    parameters: &Parameters,
    (mean, scale): (&[f32], &[f32]),
    (steps, spans): (&Rows, &[Range<usize>]),
    values: usize,
    last: impl Fn(&Parameters, &Tensor) -> Torch<Tensor>,
) -> Result<Vec<f32>> {
    let _guard = tch::no_grad_guard();
    let most = most_steps(form);
    let mut cut: Vec<(usize, Range<usize>)> = Vec::with_capacity(spans.len());
    for (row, span) in spans.iter().enumerate() {
        cut.extend(windows(span.clone(), most).into_iter().map(|window| (row, window)));
    }
    // Those of one length share a batch without padding.
    cut.sort_by_key(|(row, window)| (Reverse(window.len()), *row, window.start));
    let mut said = vec![0.0_f32; spans.len() * values];
    let mut counts = vec![0.0_f32; spans.len()];
    let mut rest = &cut[..];
    while let Some((_, longest)) = rest.first() {
        let size = longest.len() * form.width;
        let (now, later) = rest.split_at((VALUES_AT_ONCE / size).clamp(1, rest.len()));
        rest = later;
        let mut padded = vec![0.0; now.len() * size];
        for ((_, window), to) in now.iter().zip(padded.chunks_exact_mut(size)) {
            let to = &mut to[..window.len() * form.width];
            steps.read_range(window.start, to)?;
            standardise(to, mean, scale);
        }
        let found = || -> Torch<Vec<f32>> {
            let shape = [signed(now.len()), signed(longest.len()), signed(form.width)];
            let batch = Batch {
                steps: Tensor::f_from_slice(&padded)?.f_view(shape)?,
                lengths: now.iter().map(|(_, window)| signed(window.len())).collect(),
            };
            to_vec(&last(parameters, &forward::hidden(form, parameters, &batch, false)?)?)
        };
        let found = found().map_err(failed)?;
        for ((row, _), found) in now.iter().zip(found.chunks_exact(values)) {
            counts[*row] += 1.0;
            let said = &mut said[row * values..][..values];
            said.iter_mut().zip(found).for_each(|(sum, value)| *sum += value);
        }
    }
    for (said, count) in said.chunks_exact_mut(values).zip(counts) {
        // 0 / 0 is NaN.
        for value in said.iter_mut() {
            *value /= count;
        }
    }
    Ok(said)
}

/// Steps of a window at most: a minute of YAMNet's segments, or twenty seconds of frames, so that
/// a day of sound takes no more memory than that.
pub(in crate::train) fn most_steps(form: &Form) -> usize {
    match form.frames() {
        0 => 125,
        // 100 frames a second.
        frames => 2_000_usize.div_ceil(frames),
    }
}

/// A stretch of steps in as few windows as possible, of lengths as equal as possible.
pub(in crate::train) fn windows(span: Range<usize>, most: usize) -> Vec<Range<usize>> {
    let count = span.len().div_ceil(most.max(1));
    let at = |window: usize| span.start + span.len() * window / count.max(1);
    (0..count).map(|window| at(window)..at(window + 1)).collect()
}

/// (x − mean) / scale, of steps.
pub(in crate::train) fn standardise(steps: &mut [f32], mean: &[f32], scale: &[f32]) {
    for step in steps.chunks_exact_mut(mean.len()) {
        for ((value, mean), scale) in step.iter_mut().zip(mean).zip(scale) {
            *value = (*value - mean) / scale;
        }
    }
}

//! The sizes of networks: which tensors each kind has, of which shape, and how they begin.
//!
//! In: a kind of head with the width of what it reads, or the tensors of one. Out: [`Form`]. Refuses
//! tensors that no network of the kind has.

use super::Tensors;
use crate::train::learner::HeadKind;

/// The sizes of a network that learns by gradients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::train) struct Form {
    /// Values of a step: of an embedding, or bands.
    pub(in crate::train) width: usize,
    pub(in crate::train) body: Body,
}

/// What lies between the steps and the last layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::train) enum Body {
    /// A hidden layer over a single step.
    Perceptron { hidden: usize },
    /// A projection, then a recurrence.
    Lstm { projected: usize, cells: usize },
    /// Convolutions, then a recurrence both ways.
    Crnn { channels: Vec<usize>, cells: usize, frames: usize },
    /// A recurrence over groups of bands and time, then one over time.
    TimeFrequency { group: usize, stride: usize, units: usize, cells: usize, frames: usize },
}

/// Where a tensor begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::train) enum Start {
    /// At one value, and it stays there unless something else changes it.
    Fixed(f32),
    /// At one value, from which it learns.
    At(f32),
    /// Drawn evenly between plus and minus this, and learns.
    Within(f64),
}

/// One tensor of a network.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::train) struct Entry {
    pub(in crate::train) name: String,
    pub(in crate::train) shape: Vec<usize>,
    pub(in crate::train) start: Start,
}

/// Bands that a block of convolutions makes one, block by block.
pub(in crate::train) const BANDS_POOLED: [usize; 3] = [4, 4, 2];

/// Steps that a block of convolutions makes one, block by block.
pub(in crate::train) const STEPS_POOLED: [usize; 3] = [2, 2, 1];

impl Form {
    /// The form of a new head of `kind` that reads steps of `width` values; nothing, where the kind
    /// does not learn by gradients.
    pub(in crate::train) fn usual(kind: HeadKind, width: usize) -> Option<Self> {
        let body = match kind {
            HeadKind::Prototype | HeadKind::Logistic | HeadKind::Ridge => return None,
            HeadKind::Mlp => Body::Perceptron { hidden: 256 },
            HeadKind::Lstm => Body::Lstm { projected: 128, cells: 128 },
            // 20 ms a step.
            HeadKind::Crnn => Body::Crnn { channels: vec![16, 32, 64], cells: 64, frames: 2 },
            // 40 ms a step. Of 64 bands, 15 groups of 8 that overlap by half.
            HeadKind::TfLstm => {
                Body::TimeFrequency { group: 8, stride: 4, units: 24, cells: 64, frames: 4 }
            }
        };
        Some(Self { width, body })
    }

    /// The form of a head of `kind` whose tensors are these. What it says has still to be compared
    /// with their shapes.
    pub(in crate::train) fn of(kind: HeadKind, tensors: &Tensors) -> Option<Self> {
        let shape = |name: &str| tensors.get(name).map(|(shape, _)| shape.as_slice());
        let first = |name: &str| shape(name)?.first().copied();
        let last = |name: &str| shape(name)?.last().copied();
        let number = |name: &str| {
            let (_, values) = tensors.get(name)?;
            // Written from small whole numbers.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
            values.first().filter(|value| (1.0..=1e4).contains(*value)).map(|value| *value as usize)
        };
        let width = first("mean")?;
        let body = match kind {
            HeadKind::Prototype | HeadKind::Logistic | HeadKind::Ridge => return None,
            HeadKind::Mlp => Body::Perceptron { hidden: first("hidden.bias")? },
            HeadKind::Lstm => {
                Body::Lstm { projected: first("project.bias")?, cells: last("lstm.state")? }
            }
            HeadKind::Crnn => Body::Crnn {
                channels: (1..=BANDS_POOLED.len())
                    .map(|block| first(&format!("conv{block}.weight")))
                    .collect::<Option<Vec<usize>>>()?,
                cells: last("forward.state")?,
                frames: number("frames")?,
            },
            HeadKind::TfLstm => Body::TimeFrequency {
                group: last("cell.input")?,
                stride: number("stride")?,
                units: last("cell.time")?,
                cells: last("lstm.state")?,
                frames: number("frames")?,
            },
        };
        let form = Self { width, body };
        form.is_possible().then_some(form)
    }

    /// Whether every size is one that a network can have.
    fn is_possible(&self) -> bool {
        let most = 1 << 14;
        let all_fit = |sizes: &[usize]| sizes.iter().all(|size| (1..=most).contains(size));
        match &self.body {
            Body::Perceptron { hidden } => all_fit(&[self.width, *hidden]),
            Body::Lstm { projected, cells } => all_fit(&[self.width, *projected, *cells]),
            Body::Crnn { channels, cells, .. } => {
                all_fit(&[self.width, *cells]) && all_fit(channels) && self.pooled_bands() > 0
            }
            Body::TimeFrequency { group, stride, units, cells, .. } => {
                all_fit(&[self.width, *group, *stride, *units, *cells]) && *group <= self.width
            }
        }
    }

    /// Frames that are averaged to a step; 0 where steps are embeddings.
    pub(in crate::train) fn frames(&self) -> usize {
        match self.body {
            Body::Perceptron { .. } | Body::Lstm { .. } => 0,
            Body::Crnn { frames, .. } | Body::TimeFrequency { frames, .. } => frames,
        }
    }

    /// Bands that are left behind the convolutions.
    pub(in crate::train) fn pooled_bands(&self) -> usize {
        BANDS_POOLED.iter().fold(self.width, |bands, pooled| bands / pooled)
    }

    /// Groups of bands that the recurrence over frequency passes.
    pub(in crate::train) fn groups(&self) -> usize {
        match self.body {
            Body::TimeFrequency { group, stride, .. } => (self.width - group) / stride + 1,
            _ => 0,
        }
    }

    /// Values of the last hidden layer.
    pub(in crate::train) fn hidden(&self) -> usize {
        match self.body {
            Body::Perceptron { hidden } => hidden,
            Body::Lstm { cells, .. }
            | Body::TimeFrequency { cells, .. }
            | Body::Crnn { cells, .. } => 2 * cells,
        }
    }

    /// Every tensor of a network with `outputs` outputs.
    pub(in crate::train) fn entries(&self, outputs: usize) -> Vec<Entry> {
        let mut all = vec![
            entry("mean", &[self.width], Start::Fixed(0.0)),
            entry("scale", &[self.width], Start::Fixed(1.0)),
        ];
        match &self.body {
            Body::Perceptron { hidden } => {
                dense(&mut all, "hidden", *hidden, self.width);
            }
            Body::Lstm { projected, cells } => {
                dense(&mut all, "project", *projected, self.width);
                lstm(&mut all, "lstm", *projected, *cells);
            }
            Body::Crnn { channels, cells, frames } => {
                all.push(entry("frames", &[1], Start::Fixed(*frames as f32)));
                let mut before = 1;
                for (block, &channels) in channels.iter().enumerate() {
                    let name = |what: &str| format!("conv{}.{what}", block + 1);
                    let bound = (6.0 / (9 * before) as f64).sqrt();
                    all.extend([
                        entry(&name("weight"), &[channels, before, 3, 3], Start::Within(bound)),
                        entry(&name("norm.weight"), &[channels], Start::At(1.0)),
                        entry(&name("norm.bias"), &[channels], Start::At(0.0)),
                        entry(&name("norm.mean"), &[channels], Start::Fixed(0.0)),
                        entry(&name("norm.variance"), &[channels], Start::Fixed(1.0)),
                    ]);
                    before = channels;
                }
                let features = before * self.pooled_bands();
                lstm(&mut all, "forward", features, *cells);
                lstm(&mut all, "backward", features, *cells);
                dense(&mut all, "attention", 1, 2 * cells);
            }
            Body::TimeFrequency { group, stride, units, cells, frames } => {
                all.push(entry("frames", &[1], Start::Fixed(*frames as f32)));
                all.push(entry("stride", &[1], Start::Fixed(*stride as f32)));
                let bound = Start::Within(1.0 / (*units as f64).sqrt());
                all.extend([
                    entry("cell.input", &[4 * units, *group], bound),
                    entry("cell.time", &[4 * units, *units], bound),
                    entry("cell.frequency", &[4 * units, *units], bound),
                    entry("cell.bias", &[4 * units], Start::At(0.0)),
                    entry("cell.peephole", &[3, *units], Start::At(0.0)),
                ]);
                lstm(&mut all, "lstm", self.groups() * units, *cells);
            }
        }
        dense(&mut all, "out", outputs, self.hidden());
        all
    }
}

fn entry(name: &str, shape: &[usize], start: Start) -> Entry {
    Entry { name: name.to_owned(), shape: shape.to_vec(), start }
}

/// A layer of weighted sums, which begins as PyTorch's `Linear` does.
fn dense(all: &mut Vec<Entry>, name: &str, outputs: usize, inputs: usize) {
    let bound = Start::Within(1.0 / (inputs as f64).sqrt());
    all.push(entry(&format!("{name}.weight"), &[outputs, inputs], bound));
    all.push(entry(&format!("{name}.bias"), &[outputs], Start::At(0.0)));
}

/// A recurrent layer, gates in PyTorch's order: input, forget, cell, output.
fn lstm(all: &mut Vec<Entry>, name: &str, inputs: usize, cells: usize) {
    let bound = Start::Within(1.0 / (cells as f64).sqrt());
    all.push(entry(&format!("{name}.input"), &[4 * cells, inputs], bound));
    all.push(entry(&format!("{name}.state"), &[4 * cells, cells], bound));
    all.push(entry(&format!("{name}.bias"), &[4 * cells], bound));
}

//! A trained head's last hidden layer as a TorchScript module, with which a library can be indexed.
//!
//! In: a head that has one. Out: [`HiddenLayer`], traced: the same calls that the head makes,
//! standardisation included, with its weights inside. Refuses heads without a hidden layer, and
//! those whose model's frames are not plain log-mel frames.
//!
//! A trace remembers sizes: recurrent layers are traced for one window, of the length that was
//! asked for, and take one at a time.

use tch::{CModule, Kind, Tensor};

use super::head::Head;
use super::learner::HeadKind;
use super::network::Tensors;
use super::network::form::{Body, Form};
use super::network::forward::{self, Batch, Parameters, failed, named, parameters};
use crate::error::{AddedProblem, Error, Result};
use crate::frontend::spec::{Border, FrontEnd, MelSpec};
use crate::model::adding::{HiddenLayer, Reads, frames_of};
use crate::model::card::Base;
use crate::model::torch::Torch;
use crate::model::{front_end_of, identity_of, registry};
use crate::units::signed;

/// Embeddings that an LSTM reads at once where no window is said: with YAMNet's, 2.9 s.
const USUAL_EMBEDDINGS: usize = 5;
/// The window of a head that reads frames where none is said, in seconds.
const USUAL_WINDOW_S: f64 = 1.0;

/// A hidden layer, and the window that it is made for.
#[derive(Clone, Debug, PartialEq)]
pub struct Windowed {
    /// The layer.
    pub layer: HiddenLayer,
    /// The rate of what it hears, in Hz.
    pub sample_rate: u32,
    /// The window, in seconds.
    pub window_s: f64,
}

/// The hidden layer of `head` for windows of `window_s` seconds every `hop_s`.
///
/// # Errors
/// [`Error::Added`] when it has none, or reads what its model does not have; [`Error::UnknownModel`],
/// [`Error::Network`].
pub fn hidden_layer(head: &Head, window_s: Option<f64>, hop_s: Option<f64>) -> Result<Windowed> {
    let card = head.card();
    let tensors = &head.saved().tensors;
    let Some(form) = Form::of(card.kind, tensors) else {
        let (head, kind) = (card.name.clone(), card.kind.as_str());
        return Err(AddedProblem::NoHiddenLayer { head, kind }.into());
    };
    let base = registry::find(&card.model.name)?;
    head.require_model(&identity_of(base))?;
    let own = front_end_of(base);
    let one_at_a_time = card.kind != HeadKind::Mlp;
    let (shape, reads, window_s) = if form.frames() == 0 {
        let (embeddings, hop_embeddings) = if matches!(form.body, Body::Perceptron { .. }) {
            let own_s = own.step_s();
            if let Some(asked_s) = window_s.filter(|asked_s| (asked_s - own_s).abs() > 1e-6) {
                let (what, found) = ("the window", format!("{asked_s} s"));
                let expected = format!(
                    "{own_s} s, which an {} head has from the vectors that it reads: leave it out",
                    card.kind.as_str()
                );
                return Err(AddedProblem::Setting { what, found, expected }.into());
            }
            (1, 1)
        } else {
            embeddings(&own, window_s, hop_s)
        };
        let reads = Reads::Embeddings(Base {
            name: card.model.name.clone(),
            weights_sha256: card.model.weights_sha256,
            front_end_version: card.model.front_end_version,
            embeddings,
            hop_embeddings,
        });
        let shape = match form.body {
            // Any number of them.
            Body::Perceptron { .. } => vec![2, form.width],
            _ => vec![1, embeddings, form.width],
        };
        (shape, reads, own.step_s())
    } else {
        let mel = frames_of_head(&card.name, &own, &form)?;
        let window_s = window_s.unwrap_or(USUAL_WINDOW_S);
        let frames = frames_of(window_s, own.sample_rate, mel.hop_samples);
        (vec![1, frames, form.width], Reads::Frames(mel), window_s)
    };
    let archive = trace(&form, tensors, &shape)?;
    let layer = HiddenLayer { head: card.name.clone(), archive, one_at_a_time, reads };
    Ok(Windowed { layer, sample_rate: own.sample_rate, window_s })
}

/// How many embeddings of `own` a window holds, and how many lie between two.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positive, and checked"
)]
fn embeddings(own: &FrontEnd, window_s: Option<f64>, hop_s: Option<f64>) -> (usize, usize) {
    let whole = |seconds: f64| (seconds / own.step_hop_s()).round().max(0.0) as usize;
    let count = window_s.map_or(USUAL_EMBEDDINGS, |window_s| 1 + whole(window_s - own.step_s()));
    let hop = hop_s.map_or(count / 2, whole);
    (count, hop.max(1))
}

/// The mel bands that a head reads the frames of; its model must cut them without a border.
fn frames_of_head(head: &str, own: &FrontEnd, form: &Form) -> Result<MelSpec> {
    let refused =
        |problem| Error::from(AddedProblem::HiddenLayer { head: head.to_owned(), problem });
    let mel = own.mel().ok_or_else(|| refused("its model hears samples, not frames"))?;
    if own.border != Border::None || own.level_dbfs.is_some() {
        return Err(refused("its model's frames depend on the whole recording"));
    }
    if mel.mel_bands != form.width {
        return Err(refused("its model has other mel bands"));
    }
    Ok(mel)
}

/// Traces the layer on zeros of `shape`; the bytes of the archive.
fn trace(form: &Form, tensors: &Tensors, shape: &[usize]) -> Result<Vec<u8>> {
    let _guard = tch::no_grad_guard();
    let all = parameters(tensors).map_err(failed)?;
    let shape: Vec<i64> = shape.iter().map(|&size| signed(size)).collect();
    let input = Tensor::f_zeros(&shape[..], (Kind::Float, tch::Device::Cpu)).map_err(failed)?;
    let mut problem = None;
    let module =
        CModule::create_by_tracing(
            "hidden_layer",
            "forward",
            &[input],
            &mut |inputs| match hidden(form, &all, &inputs[0]) {
                Ok(vectors) => vec![vectors],
                Err(error) => {
                    problem = Some(error);
                    Vec::new()
                }
            },
        );
    if let Some(problem) = problem {
        return Err(failed(problem));
    }
    let folder = tempfile::tempdir().map_err(io_failed)?;
    let path = folder.path().join("hidden_layer.pt");
    module.and_then(|module| module.save(&path)).map_err(failed)?;
    std::fs::read(&path).map_err(io_failed)
}

fn io_failed(source: std::io::Error) -> Error {
    Error::Io { action: "write a module to", path: std::env::temp_dir(), source }
}

/// The last hidden layer of windows as a model gives them: `[windows, dimension]`,
/// `[1, embeddings, dimension]` or `[1, frames, bands]`.
fn hidden(form: &Form, all: &Parameters, input: &Tensor) -> Torch<Tensor> {
    let steps = match form.frames() {
        0 if input.dim() == 2 => input.f_unsqueeze(1)?,
        0 => input.shallow_clone(),
        frames => averaged(input, signed(frames))?,
    };
    let steps = steps.f_sub(named(all, "mean")?)?.f_div(named(all, "scale")?)?;
    let size = steps.size();
    let lengths = vec![size[1]; usize::try_from(size[0]).unwrap_or_default()];
    forward::hidden(form, all, &Batch { steps, lengths }, false)
}

/// The mean of each `count` frames of `[1, frames, bands]`, and of what is left behind them, as in
/// `sequences/frames.rs`.
fn averaged(frames: &Tensor, count: i64) -> Torch<Tensor> {
    let size = frames.size();
    let (steps, left) = (size[1] / count, size[1] % count);
    let mean = |some: &Tensor, axis: i64| some.f_mean_dim(&[axis][..], false, Kind::Float);
    let mut parts = Vec::new();
    if steps > 0 {
        let whole = frames.f_narrow(1, 0, steps * count)?;
        parts.push(mean(&whole.f_reshape([1, steps, count, size[2]])?, 2)?);
    }
    if left > 0 {
        parts.push(mean(&frames.f_narrow(1, steps * count, left)?, 1)?.f_unsqueeze(1)?);
    }
    Tensor::f_cat(&parts, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::torch::to_vec;

    /// Numbers between −1 and 1 that look like chance.
    fn noise(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    /// A head of the usual form with numbers of chance, scales above zero.
    fn tensors(form: &Form) -> Tensors {
        let of = |(index, entry): (u32, crate::train::network::form::Entry)| {
            let is_above_zero = entry.name == "scale" || entry.name.ends_with("variance");
            let is_size = entry.name == "frames" || entry.name == "stride";
            let mut values = noise(entry.shape.iter().product(), index + 1);
            for value in &mut values {
                *value = match (is_above_zero, is_size, entry.start) {
                    (true, ..) => value.abs() + 0.5,
                    (_, true, crate::train::network::form::Start::Fixed(size)) => size,
                    _ => *value * 0.3,
                };
            }
            (entry.name, (entry.shape, values))
        };
        (0..).zip(form.entries(3)).map(of).collect()
    }

    #[test]
    fn a_trace_says_what_the_head_says() {
        for (kind, width, shape) in [
            (HeadKind::Mlp, 20, vec![2, 20]),
            (HeadKind::Lstm, 20, vec![1, 5, 20]),
            (HeadKind::Crnn, 64, vec![1, 101, 64]),
            (HeadKind::TfLstm, 64, vec![1, 50, 64]),
        ] {
            let form = Form::usual(kind, width).unwrap();
            let tensors = tensors(&form);
            assert_eq!(Form::of(kind, &tensors).as_ref(), Some(&form));
            let archive = trace(&form, &tensors, &shape).unwrap();
            let mut module = CModule::load_data(&mut &archive[..]).unwrap();
            module.f_set_eval().unwrap();
            let all = parameters(&tensors).unwrap();
            // Not what it was traced with, and more of them where it takes more.
            let mut shape: Vec<i64> = shape.iter().map(|&size| signed(size)).collect();
            if kind == HeadKind::Mlp {
                shape[0] = 7;
            }
            let values = noise(shape.iter().product::<i64>().try_into().unwrap(), 99);
            let input = Tensor::from_slice(&values).view(&shape[..]);
            let said = to_vec(&module.forward_ts(&[&input]).unwrap()).unwrap();
            let expected = hidden(&form, &all, &input).unwrap();
            assert_eq!(expected.size(), [shape[0], signed(form.hidden())]);
            let expected = to_vec(&expected).unwrap();
            assert_eq!(said.len(), expected.len());
            assert!(expected.iter().any(|value| value.abs() > 0.01), "{kind:?} says something");
            for (said, expected) in said.iter().zip(&expected) {
                // Float noise: the calls are the same.
                assert!((said - expected).abs() < 1e-5, "{kind:?}: {said}, {expected}");
            }
        }
    }

    #[test]
    fn frames_are_averaged_as_where_heads_learn() {
        let frames = Tensor::from_slice(&[1.0_f32, 3.0, 5.0, 7.0, 9.0]).view([1, 5, 1]);
        let said = to_vec(&averaged(&frames, 2).unwrap()).unwrap();
        assert_eq!(said, [2.0, 6.0, 9.0]);
        assert_eq!(to_vec(&averaged(&frames, 8).unwrap()).unwrap(), [5.0]);
    }
}

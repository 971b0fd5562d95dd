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
    let (shape, reads, window_s) = match form.frames() {
        0 => {
            let (embeddings, hop_embeddings) = match form.body {
                Body::Perceptron { .. } => (1, 1),
                _ => embeddings(&own, window_s, hop_s),
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
        }
        _ => {
            let mel = frames_of_head(&card.name, &own, &form)?;
            let window_s = window_s.unwrap_or(USUAL_WINDOW_S);
            let frames = frames_of(window_s, own.sample_rate, mel.hop_samples);
            (vec![1, frames, form.width], Reads::Frames(mel), window_s)
        }
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

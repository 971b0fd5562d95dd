//! What networks make of sequences, in libtorch: the same code where they learn and where they
//! speak.
//!
//! In: standardised steps, padded with zeros, longest sequence first. Out: the last hidden layer,
//! and outputs. What is said of a sequence does not depend on those beside it, nor on how much
//! padding there is, unless batch norm is learning.

use std::collections::BTreeMap;

use tch::{Kind, Tensor};

use super::Tensors;
use super::form::{BANDS_POOLED, Body, Form, STEPS_POOLED};
use super::recurrent::time_frequency;
use crate::error::Error;
use crate::model::torch::Torch;
use crate::units::signed;

/// Tensors of libtorch by name.
pub(in crate::train) type Parameters = BTreeMap<String, Tensor>;

/// Of batch norm: how much a batch moves the running moments, and what keeps from dividing by zero.
const NORM_MOMENTUM: f64 = 0.1;
const NORM_OFFSET: f64 = 1e-5;

/// libtorch's error as ours.
pub(in crate::train) fn failed(error: tch::TchError) -> Error {
    Error::Network { model: "head".to_owned(), source: error.into() }
}

/// Sequences side by side.
#[derive(Debug)]
pub(in crate::train) struct Batch {
    /// `[sequences, steps, width]`, standardised; zeros behind each sequence's end.
    pub(in crate::train) steps: Tensor,
    /// The steps of each, `[sequences]`; none is 0, and none is longer than the one before.
    pub(in crate::train) lengths: Vec<i64>,
}

/// Copies tensors to libtorch.
pub(in crate::train) fn parameters(tensors: &Tensors) -> Torch<Parameters> {
    let copy = |(name, (shape, values)): (&String, &(Vec<usize>, Vec<f32>))| {
        let shape: Vec<i64> = shape.iter().map(|&size| signed(size)).collect();
        Ok((name.clone(), Tensor::f_from_slice(values)?.f_view(&shape[..])?))
    };
    tensors.iter().map(copy).collect()
}

/// The parameter called `name`.
pub(in crate::train) fn named<'a>(parameters: &'a Parameters, name: &str) -> Torch<&'a Tensor> {
    parameters.get(name).ok_or_else(|| tch::TchError::Shape(format!("tensor {name} is missing")))
}

/// The last hidden layer, `[sequences, hidden]`. `learns`: whether batch norm goes by this batch,
/// and remembers it.
pub(in crate::train) fn hidden(
    form: &Form,
    parameters: &Parameters,
    batch: &Batch,
    learns: bool,
) -> Torch<Tensor> {
    match &form.body {
        Body::Perceptron { .. } => {
            let step = batch.steps.f_select(1, 0)?;
            dense(parameters, "hidden", &step)?.f_relu()
        }
        Body::Lstm { .. } => {
            let projected = dense(parameters, "project", &batch.steps)?.f_relu()?;
            let states = lstm(parameters, "lstm", &projected, learns)?;
            mean_and_last(&states, &batch.lengths)
        }
        Body::Crnn { channels, .. } => {
            let (features, lengths) = convolved(parameters, channels.len(), batch, learns)?;
            let states = both_ways(parameters, &features, &lengths, learns)?;
            attended(parameters, &states, &lengths)
        }
        Body::TimeFrequency { .. } => {
            let joined = time_frequency(form, parameters, &batch.steps)?;
            let states = lstm(parameters, "lstm", &joined, learns)?;
            mean_and_last(&states, &batch.lengths)
        }
    }
}

/// What is said from the last hidden layer, `[sequences, outputs]`.
pub(in crate::train) fn outputs(parameters: &Parameters, hidden: &Tensor) -> Torch<Tensor> {
    dense(parameters, "out", hidden)
}

fn dense(parameters: &Parameters, name: &str, input: &Tensor) -> Torch<Tensor> {
    let weight = named(parameters, &format!("{name}.weight"))?;
    input.f_linear(weight, Some(named(parameters, &format!("{name}.bias"))?))
}

/// `[sequences, steps, cells]` of an LSTM (as PyTorch's, but with one bias) along `steps`.
fn lstm(parameters: &Parameters, name: &str, steps: &Tensor, learns: bool) -> Torch<Tensor> {
    let gates = gates(parameters, name)?;
    let cells = gates[1].size()[1];
    let start = Tensor::f_zeros([1, steps.size()[0], cells], (Kind::Float, tch::Device::Cpu))?;
    let (states, _, _) =
        steps.f_lstm(&[&start, &start], &gates.each_ref(), true, 1, 0.0, learns, false, true)?;
    Ok(states)
}

/// The weights of a recurrent layer, in the order in which libtorch takes them.
fn gates(parameters: &Parameters, name: &str) -> Torch<[Tensor; 4]> {
    let of = |what: &str| named(parameters, &format!("{name}.{what}"));
    let bias = of("bias")?;
    Ok([
        of("input")?.shallow_clone(),
        of("state")?.shallow_clone(),
        bias.shallow_clone(),
        bias.f_zeros_like()?,
    ])
}

/// `[sequences, steps, 2 cells]` of LSTMs in both directions, each from an end of its sequence.
fn both_ways(
    parameters: &Parameters,
    steps: &Tensor,
    lengths: &[i64],
    learns: bool,
) -> Torch<Tensor> {
    let mut all = Vec::from(gates(parameters, "forward")?);
    all.extend(gates(parameters, "backward")?);
    let cells = all[1].size()[1];
    let size = steps.size();
    let start = Tensor::f_zeros([2, size[0], cells], (Kind::Float, tch::Device::Cpu))?;
    let (packed, together) =
        steps.f_internal_pack_padded_sequence(&whole_numbers(lengths)?, true)?;
    let (states, _, _) = Tensor::f_lstm_data(
        &packed,
        &together,
        &[&start, &start],
        &all.iter().collect::<Vec<_>>(),
        true,
        1,
        0.0,
        learns,
        true,
    )?;
    let (states, _) =
        Tensor::f_internal_pad_packed_sequence(&states, &together, true, 0.0, size[1])?;
    Ok(states)
}

/// Whole numbers as a tensor. Equal ones are made by a call that a trace keeps
/// (`crate::train::hidden`); what is copied into a tensor, it loses.
fn whole_numbers(values: &[i64]) -> Torch<Tensor> {
    match values {
        [first, rest @ ..] if rest.iter().all(|value| value == first) => {
            Tensor::f_full([signed(values.len())], *first, (Kind::Int64, tch::Device::Cpu))
        }
        _ => Tensor::f_from_slice(values),
    }
}

/// 1 where there is a step and 0 behind it, `[sequences, steps]`.
fn mask(lengths: &[i64], steps: i64) -> Torch<Tensor> {
    let places = Tensor::f_arange(steps, (Kind::Int64, tch::Device::Cpu))?.f_unsqueeze(0)?;
    places.f_less_tensor(&whole_numbers(lengths)?.f_unsqueeze(1)?)?.f_to_kind(Kind::Float)
}

/// The mean over a sequence's states, and its last one, `[sequences, 2 cells]`.
fn mean_and_last(states: &Tensor, lengths: &[i64]) -> Torch<Tensor> {
    let size = states.size();
    let mask = mask(lengths, size[1])?.f_unsqueeze(2)?;
    let counts = whole_numbers(lengths)?.f_to_kind(Kind::Float)?.f_unsqueeze(1)?;
    let mean =
        states.f_mul(&mask)?.f_sum_dim_intlist(&[1_i64][..], false, Kind::Float)?.f_div(&counts)?;
    let ends: Vec<i64> = lengths.iter().map(|length| length - 1).collect();
    let ends =
        whole_numbers(&ends)?.f_view([size[0], 1, 1])?.f_expand([size[0], 1, size[2]], false)?;
    let last = states.f_gather(1, &ends, false)?.f_squeeze_dim(1)?;
    Tensor::f_cat(&[mean, last], 1)
}

/// The states of a sequence, each by how much attention it draws, `[sequences, 2 cells]`.
fn attended(parameters: &Parameters, states: &Tensor, lengths: &[i64]) -> Torch<Tensor> {
    let mask = mask(lengths, states.size()[1])?;
    let drawn = dense(parameters, "attention", states)?.f_squeeze_dim(2)?;
    // Behind the end nothing is heard.
    let behind = mask.f_mul_scalar(1e9)?.f_sub_scalar(1e9)?;
    let shares = drawn.f_add(&behind)?.f_softmax(1, Kind::Float)?;
    shares.f_unsqueeze(1)?.f_bmm(states)?.f_squeeze_dim(1)
}

/// Blocks of convolution, batch norm, rectification and pooling: `[sequences, steps, features]`
/// and how many steps are left of each sequence.
fn convolved(
    parameters: &Parameters,
    blocks: usize,
    batch: &Batch,
    learns: bool,
) -> Torch<(Tensor, Vec<i64>)> {
    let mut lengths = batch.lengths.clone();
    // [sequences, channels, steps, bands]
    let mut planes = batch.steps.f_unsqueeze(1)?;
    for block in 0..blocks {
        let of = |what: &str| named(parameters, &format!("conv{}.{what}", block + 1));
        let (bands_pooled, steps_pooled) = (BANDS_POOLED[block], signed(STEPS_POOLED[block]));
        planes = planes.f_conv2d(of("weight")?, None::<&Tensor>, [1, 1], [1, 1], [1, 1], 1)?;
        planes = planes.f_batch_norm(
            Some(of("norm.weight")?),
            Some(of("norm.bias")?),
            Some(of("norm.mean")?),
            Some(of("norm.variance")?),
            learns,
            NORM_MOMENTUM,
            NORM_OFFSET,
            false,
        )?;
        // What lies behind the end is zero again, so that it reaches nothing in front of it; and
        // as nothing is below zero, it takes no part in the largest of what is pooled.
        let steps = planes.size()[2];
        planes = planes.f_relu()?.f_mul(&mask(&lengths, steps)?.f_unsqueeze(1)?.f_unsqueeze(3)?)?;
        let missing = (steps_pooled - steps % steps_pooled) % steps_pooled;
        if missing > 0 {
            planes = planes.f_constant_pad_nd([0, 0, 0, missing])?;
        }
        let window = [steps_pooled, signed(bands_pooled)];
        planes = planes.f_max_pool2d(window, window, [0, 0], [1, 1], false)?;
        for length in &mut lengths {
            *length = (*length + steps_pooled - 1) / steps_pooled;
        }
    }
    let size = planes.size();
    let features = planes.f_permute([0, 2, 1, 3])?.f_reshape([size[0], size[2], -1])?;
    Ok((features, lengths))
}

//! Each kernel against a loop that follows its definition.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use pulp::Arch;

use super::convolution::{self, FirstConvolution};
use super::dense::Dense;
use super::depthwise::{Depthwise, MapSize};
use super::gemm::Activation;
use super::lstm::{Lstm, LstmBuffers};
use super::peaks::{PeakConvolution, Peaks, Rows};
use super::tiles::TiledRows;
use super::{GROUP, Group};
use crate::model::compute::Precision;
use crate::model::layers::{Layer, Norm};

/// Values in ±0.5 from a linear congruential generator.
fn noise(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed;
    let value = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..count).map(value).collect()
}

fn grouped(values: &[f32]) -> Vec<Group> {
    values.as_chunks::<GROUP>().0.iter().map(|&group| Group(group)).collect()
}

fn flat(groups: &[Group]) -> Vec<f32> {
    groups.iter().flat_map(|group| group.0).collect()
}

/// The processor's instructions, narrower ones, and none at all.
fn arches() -> Vec<Arch> {
    let mut arches = vec![Arch::new(), Arch::Scalar];
    #[cfg(target_arch = "x86_64")]
    arches.extend(pulp::x86::V3::try_new().map(Arch::V3));
    arches
}

/// A sum of `terms` products of values below 1/2 rounds by at most that many half-units of its
/// largest partial sum, terms / 4.
fn tolerance(terms: usize) -> f32 {
    (terms * terms) as f32 / 4.0 * f32::EPSILON / 2.0 + 1e-6
}

fn assert_close(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() <= tolerance, "{index}: {found}, expected {expected}");
    }
}

struct Shape {
    rows: usize,
    inputs: usize,
    outputs: usize,
}

/// The definition: `relu(rows · weightᵀ + bias)`, with values as `round` leaves them.
fn dense(shape: &Shape, rows: &[f32], weight: &[f32], bias: &[f32], relu: bool) -> Vec<f32> {
    let mut result = Vec::new();
    for row in rows.chunks_exact(shape.inputs) {
        for (weight, bias) in weight.chunks_exact(shape.inputs).zip(bias) {
            let sum: f64 = row.iter().zip(weight).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            #[expect(clippy::cast_possible_truncation, reason = "summed in f64, kept in f32")]
            let value = (sum + f64::from(*bias)) as f32;
            result.push(if relu { value.max(0.0) } else { value });
        }
    }
    result
}

/// The kernel's answer, `[rows, outputs]`.
fn apply(arch: Arch, layer: &Dense, shape: &Shape, rows: &[f32]) -> Vec<f32> {
    let mut tiles = TiledRows::default();
    tiles.copy_from(&grouped(rows), shape.inputs / GROUP);
    let width = layer.output_groups();
    let mut output = vec![Group([f32::NAN; GROUP]); shape.rows * width];
    layer.apply(arch, &mut tiles, &mut output);
    output.chunks_exact(width).flat_map(|row| flat(row)[..shape.outputs].to_vec()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_product_is_its_definition(
        rows in 1_usize..40, groups in 1_usize..5, outputs in 1_usize..100, relu: bool, seed: u32,
    ) {
        let shape = Shape { rows, inputs: groups * GROUP, outputs };
        let values = noise(seed, rows * shape.inputs);
        let weight = noise(seed ^ 1, outputs * shape.inputs);
        let bias = noise(seed ^ 2, outputs);
        let activation = if relu { Activation::Relu } else { Activation::Linear };
        let layer = Dense::new(&weight, &bias, activation, Precision::Float32);
        let expected = dense(&shape, &values, &weight, &bias, relu);
        for arch in arches() {
            let found = apply(arch, &layer, &shape, &values);
            assert_close(&found, &expected, tolerance(shape.inputs));
        }
    }

    #[test]
    fn a_bfloat16_product_is_that_of_rounded_values(
        rows in 1_usize..40, groups in 1_usize..5, outputs in 1_usize..100, seed: u32,
    ) {
        let shape = Shape { rows, inputs: groups * GROUP, outputs };
        let values = noise(seed, rows * shape.inputs);
        let weight = noise(seed ^ 1, outputs * shape.inputs);
        let bias = noise(seed ^ 2, outputs);
        let round = |values: &[f32]| -> Vec<f32> {
            values.iter().map(|&value| half::bf16::from_f32(value).to_f32()).collect()
        };
        let expected = dense(&shape, &round(&values), &round(&weight), &bias, true);
        for layer in [
            Dense::new(&weight, &bias, Activation::Relu, Precision::Bfloat16),
            Dense::rounded(&weight, &bias, Activation::Relu),
        ] {
            let found = apply(Arch::new(), &layer, &shape, &values);
            assert_close(&found, &expected, tolerance(shape.inputs));
        }
    }

    #[test]
    fn a_row_s_product_does_not_depend_on_the_others(
        rows in 2_usize..40, row in 0_usize..40, seed: u32, narrow: bool,
    ) {
        let row = row % rows;
        let shape = Shape { rows, inputs: 3 * GROUP, outputs: 70 };
        let values = noise(seed, rows * shape.inputs);
        let precision = if narrow { Precision::Bfloat16 } else { Precision::Float32 };
        let (weight, bias) = (noise(seed ^ 1, 70 * shape.inputs), noise(seed ^ 2, 70));
        let layer = Dense::new(&weight, &bias, Activation::Linear, precision);
        let together = apply(Arch::new(), &layer, &shape, &values);
        let alone = Shape { rows: 1, ..shape };
        let values = &values[row * alone.inputs..][..alone.inputs];
        prop_assert_eq!(&apply(Arch::new(), &layer, &alone, values), &together[70 * row..][..70]);
    }

    #[test]
    fn a_depthwise_convolution_is_its_definition(
        patches in 1_usize..4, height in 1_usize..5, width in 1_usize..6, groups in 1_usize..4,
        stride in 1_usize..3, seed: u32,
    ) {
        // Stride 2 takes even sizes; two is the least for either.
        let size = MapSize { height: 2 * height, width: 2 * width };
        let channels = groups * GROUP;
        let maps = noise(seed, patches * size.positions() * channels);
        let (weight, bias) = (noise(seed ^ 1, 9 * channels), noise(seed ^ 2, channels));
        let layer = Depthwise::new(&weight, &bias, stride);
        let output = size.strided(stride);
        let expected = depthwise(&maps, patches, size, stride, &weight, &bias);
        // As a product with the identity, which reads the tiles.
        let identity: Vec<f32> =
            (0..channels * channels).map(|n| f32::from(n / channels == n % channels)).collect();
        let identity =
            Dense::new(&identity, &vec![0.0; channels], Activation::Linear, Precision::Float32);
        for arch in arches() {
            let mut found = Vec::new();
            // In two pieces, which need not end where a patch does.
            let rows = patches * output.height;
            for rows in [0..rows / 3, rows / 3..rows] {
                let mut tiles = TiledRows::default();
                let positions = rows.len() * output.width;
                layer.convolve(arch, &grouped(&maps), size, rows, &mut tiles);
                let width = identity.output_groups();
                let mut result = vec![Group::ZERO; positions * width];
                identity.apply(arch, &mut tiles, &mut result);
                found.extend(result.chunks_exact(width).flat_map(|row| flat(&row[..groups])));
            }
            assert_close(&found, &expected, tolerance(10));
        }
    }

    #[test]
    fn peaks_are_their_definition(
        height in 1_usize..4, width in 1_usize..6, more in 0_usize..30, channels in 1_usize..70,
        rows in 1_usize..5, seed: u32,
    ) {
        let size = MapSize { height, width };
        let input = Rows { values: &noise(seed, (rows + height - 1) * (width + 11 + more)), width: width + 11 + more };
        let layer = Layer {
            weight: noise(seed ^ 1, channels * size.positions()),
            bias: noise(seed ^ 2, channels),
        };
        // Scales of both signs.
        let norm = Norm { scale: noise(seed ^ 3, channels), shift: noise(seed ^ 4, channels) };
        let expected = peaks(input, &layer, &norm, size, rows);
        let kernel = PeakConvolution::new(&layer, &norm, size);
        // A part of wider rows, whose other groups stay as they are.
        let row_groups = kernel.output_groups() + 2;
        for arch in arches() {
            let mut output = vec![Group([7.0; GROUP]); rows * row_groups];
            let mut part = Peaks { rows: &mut output, row_groups, column: 1 };
            // In two pieces.
            for range in [0..rows / 2, rows / 2..rows] {
                kernel.apply(arch, input, range, &mut part);
            }
            let mut found = Vec::new();
            for row in output.chunks_exact(row_groups) {
                let row = flat(row);
                let (part, behind) = row[GROUP..].split_at(row_groups * GROUP - 2 * GROUP);
                prop_assert_eq!((&row[..GROUP], behind), (&[7.0; GROUP][..], &[7.0; GROUP][..]));
                prop_assert_eq!(&part[channels..], &vec![0.0; part.len() - channels]);
                found.extend_from_slice(&part[..channels]);
            }
            assert_close(&found, &expected, tolerance(size.positions() + 2));
        }
    }

    #[test]
    fn a_memory_is_its_definition(steps in 1_usize..6, groups in 1_usize..3, seed: u32) {
        let (inputs, units) = (groups * GROUP, 2 * GROUP);
        let rows = noise(seed, steps * inputs);
        let (input, hidden) =
            (noise(seed ^ 1, 4 * units * inputs), noise(seed ^ 2, 4 * units * units));
        let bias = noise(seed ^ 3, 4 * units);
        let expected = memory(&rows, &input, &hidden, &bias, steps);
        let kernel = Lstm::new(&input, &hidden, &bias);
        for arch in arches() {
            let (mut buffers, mut found) = (LstmBuffers::default(), Vec::new());
            // Twice: nothing is left of a run.
            for _ in 0..2 {
                kernel.run(arch, &grouped(&rows), groups, &mut buffers, &mut found);
            }
            // The gates' slopes are at most one, and each step passes a half of its error on.
            assert_close(&flat(&found), &expected, 4.0 * tolerance(inputs + units));
        }
    }

    #[test]
    fn the_first_convolution_is_its_definition(
        height in 1_usize..6, width in 1_usize..6, seed: u32,
    ) {
        let size = MapSize { height: 2 * height, width: 2 * width };
        let channels = convolution::GROUPS * GROUP;
        let patch = noise(seed, size.positions());
        let (weight, bias) = (noise(seed ^ 1, 9 * channels), noise(seed ^ 2, channels));
        let layer = FirstConvolution::new(&weight, &bias);
        // The depthwise loop over as many copies of the one channel.
        let copies: Vec<f32> =
            patch.iter().flat_map(|&value| std::iter::repeat_n(value, channels)).collect();
        let expected = depthwise(&copies, 1, size, 2, &weight, &bias);
        for arch in arches() {
            let mut output =
                vec![Group::ZERO; size.strided(2).positions() * convolution::GROUPS];
            layer.convolve(arch, &patch, size, &mut Vec::new(), &mut output);
            assert_close(&flat(&output), &expected, tolerance(10));
        }
    }
}

/// The definition: of ReLU and norm at every position, the largest.
fn peaks(input: Rows<'_>, layer: &Layer, norm: &Norm, size: MapSize, rows: usize) -> Vec<f32> {
    let mut result = Vec::new();
    for row in 0..rows {
        for (channel, weight) in layer.weight.chunks_exact(size.positions()).enumerate() {
            let said = |position: usize| {
                let taps = weight.iter().enumerate().map(|(tap, weight)| {
                    let (y, x) = (row + tap / size.width, position + tap % size.width);
                    weight * input.values[y * input.width + x]
                });
                let sum = taps.sum::<f32>() + layer.bias[channel];
                sum.max(0.0) * norm.scale[channel] + norm.shift[channel]
            };
            let positions = 0..=input.width - size.width;
            result.push(positions.map(said).fold(f32::NEG_INFINITY, f32::max));
        }
    }
    result
}

/// The definition, in f64: `[steps, units]`.
#[expect(clippy::cast_possible_truncation, reason = "computed in f64, given as f32")]
fn memory(rows: &[f32], input: &[f32], hidden: &[f32], bias: &[f32], steps: usize) -> Vec<f32> {
    let units = bias.len() / 4;
    let sigmoid = |value: f64| 1.0 / (1.0 + (-value).exp());
    let dot = |weight: &[f32], values: &[f64]| -> f64 {
        weight.iter().zip(values).map(|(&weight, value)| f64::from(weight) * value).sum()
    };
    let (mut said, mut cell, mut result) = (vec![0.0; units], vec![0.0; units], Vec::new());
    for row in rows.chunks_exact(rows.len() / steps) {
        let row: Vec<f64> = row.iter().map(|&value| f64::from(value)).collect();
        let gate = |gate: usize| {
            let input = &input[gate * row.len()..][..row.len()];
            let hidden = &hidden[gate * units..][..units];
            dot(input, &row) + dot(hidden, &said) + f64::from(bias[gate])
        };
        let gates: Vec<f64> = (0..4 * units).map(gate).collect();
        for unit in 0..units {
            let [add, keep, value, show] = [0, 1, 2, 3].map(|gate| gates[gate * units + unit]);
            cell[unit] = sigmoid(keep) * cell[unit] + sigmoid(add) * value.tanh();
            said[unit] = sigmoid(show) * cell[unit].tanh();
        }
        result.extend(said.iter().map(|&value: &f64| value as f32));
    }
    result
}

/// The definition, with TensorFlow's "SAME" padding.
fn depthwise(
    maps: &[f32],
    patches: usize,
    size: MapSize,
    stride: usize,
    weight: &[f32],
    bias: &[f32],
) -> Vec<f32> {
    let channels = bias.len();
    let output = size.strided(stride);
    let before = usize::from(stride == 1);
    let mut result = Vec::new();
    for patch in 0..patches {
        for position in 0..output.positions() {
            let (y, x) = (position / output.width, position % output.width);
            for channel in 0..channels {
                let mut sum = bias[channel];
                for tap in 0..9 {
                    let y = (y * stride + tap / 3).wrapping_sub(before);
                    let x = (x * stride + tap % 3).wrapping_sub(before);
                    if y < size.height && x < size.width {
                        let position = (patch * size.height + y) * size.width + x;
                        sum += maps[position * channels + channel] * weight[9 * channel + tap];
                    }
                }
                result.push(sum.max(0.0));
            }
        }
    }
    result
}

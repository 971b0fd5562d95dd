//! A long short-term memory: one layer, one direction.
//!
//! In: rows of groups, one a step. Out: what it says at each step. Asserts sizes: its callers are
//! networks. S. Hochreiter and J. Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8),
//! 1997, with the forget gate of F. Gers et al., 2000; gates are in libtorch's order: input, forget,
//! cell, output.

use pulp::Arch;

use super::gemm::{Activation, PackedWeights};
use super::tiles::TiledRows;
use super::{GROUP, Group};

/// The layer's weights.
#[derive(Debug)]
pub(in crate::model) struct Lstm {
    input: PackedWeights,
    hidden: PackedWeights,
    /// Groups of what it says.
    groups: usize,
}

/// What a run writes to, kept for the next one.
#[derive(Debug, Default)]
pub(in crate::model) struct LstmBuffers {
    tiles: TiledRows,
    /// `[steps, 4, groups]`: what the inputs add to the gates.
    gates: Vec<Group>,
}

impl Lstm {
    /// Lays out `input`, `[4 × units, inputs]`, `hidden`, `[4 × units, units]`, and `bias`,
    /// `[4 × units]`; units are whole panels of the products.
    pub(in crate::model) fn new(input: &[f32], hidden: &[f32], bias: &[f32]) -> Self {
        let units = bias.len() / 4;
        assert!(units.is_multiple_of(GROUP), "units in whole groups");
        let zeros = vec![0.0; bias.len()];
        let this = Self {
            input: PackedWeights::new(input, bias, Activation::Linear),
            hidden: PackedWeights::new(hidden, &zeros, Activation::Linear),
            groups: units / GROUP,
        };
        assert_eq!(this.input.output_groups(), 4 * this.groups, "gates in whole panels");
        this
    }

    /// Replaces `output` by what it says of `steps`, `[steps, groups]`, from the first to the last.
    pub(in crate::model) fn run(
        &self,
        arch: Arch,
        steps: &[Group],
        step_groups: usize,
        buffers: &mut LstmBuffers,
        output: &mut Vec<Group>,
    ) {
        let LstmBuffers { tiles, gates } = buffers;
        let width = 4 * self.groups;
        tiles.copy_from(steps, step_groups);
        gates.resize(steps.len() / step_groups * width, Group::ZERO);
        self.input.multiply(arch, tiles, gates);
        let mut cell = vec![Group::ZERO; self.groups];
        let mut recurrent = vec![Group::ZERO; width];
        output.clear();
        for gates in gates.chunks_exact_mut(width) {
            if let Some(start) = output.len().checked_sub(self.groups) {
                tiles.copy_from(&output[start..], self.groups);
                self.hidden.multiply(arch, tiles, &mut recurrent);
                for (gate, recurrent) in gates.iter_mut().zip(&recurrent) {
                    for (gate, recurrent) in gate.0.iter_mut().zip(recurrent.0) {
                        *gate += recurrent;
                    }
                }
            }
            for (group, cell) in cell.iter_mut().enumerate() {
                let gate = |gate: usize| &gates[gate * self.groups + group].0;
                let (add, keep, value, show) = (gate(0), gate(1), gate(2), gate(3));
                let mut said = Group::ZERO;
                for lane in 0..GROUP {
                    cell.0[lane] = sigmoid(keep[lane]) * cell.0[lane]
                        + sigmoid(add[lane]) * value[lane].tanh();
                    said.0[lane] = sigmoid(show[lane]) * cell.0[lane].tanh();
                }
                output.push(said);
            }
        }
    }
}

fn sigmoid(value: f32) -> f32 {
    1.0 / (1.0 + (-value).exp())
}

//! The layers that transformers share, on libtorch.
//!
//! In: weights by name, then hidden states `[positions, width]` of one sequence. Out: hidden
//! states. Refuses tensors that are missing or of another shape.
//!
//! Source: A. Vaswani et al., "Attention Is All You Need", arXiv:1706.03762, section 3, with the
//! norm before each half of a block or after it (R. Xiong et al., arXiv:2002.04745, figure 1).
//!
//! Measured with libtorch 2.13.0, float32, one thread of an Intel processor with AVX-512, of a shared
//! machine, milliseconds of its time: attention of 6 heads on 1,500 positions takes 30 by libtorch's
//! fused kernel and 93 as two products with a softmax between, of 12 heads on 499 positions 7 and 12;
//! four sequences in one batch take four times as long as one.

use tch::Tensor;

use super::torch::{Place, Torch, failed};
use super::weights::Weights;
use crate::error::Result;
use crate::units::signed;

/// Takes tensors out of the weights of `model` to where they compute.
pub(super) struct Taker<'a> {
    pub(super) model: &'a str,
    pub(super) weights: &'a mut Weights,
    pub(super) place: Place,
}

impl Taker<'_> {
    /// The tensor `name`, which must have `shape`.
    pub(super) fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let values = self.weights.take_values(name, shape)?;
        self.copy(&values, shape)
    }

    /// `values` of `shape` there.
    pub(super) fn copy(&self, values: &[f32], shape: &[usize]) -> Result<Tensor> {
        self.place.tensor(values, shape).map_err(|error| failed(self.model, error))
    }

    /// A dense layer whose weight is `[outputs, inputs]`.
    pub(super) fn dense(&mut self, weight: &str, bias: &str, sizes: [usize; 2]) -> Result<Dense> {
        let [inputs, outputs] = sizes;
        let weight = self.weights.take_values(weight, &[outputs, inputs])?;
        let bias = self.weights.take_values(bias, &[outputs])?;
        self.dense_of(&weight, &bias)
    }

    /// A dense layer of `weight`, `[outputs, inputs]`.
    pub(super) fn dense_of(&self, weight: &[f32], bias: &[f32]) -> Result<Dense> {
        let weight = self.copy(weight, &[bias.len(), weight.len() / bias.len().max(1)])?;
        let transposed = weight.f_transpose(0, 1).and_then(|weight| weight.f_contiguous());
        let weight = transposed.map_err(|error| failed(self.model, error))?;
        Ok(Dense { weight, bias: self.copy(bias, &[bias.len()])? })
    }

    /// A convolution over time as a dense layer on windows of frames (see [`windows`]). The weight
    /// is `[outputs, inputs, frames]`, `sizes`; without `bias` it has none.
    pub(super) fn convolution(
        &mut self,
        weight: &str,
        bias: Option<&str>,
        sizes: [usize; 3],
    ) -> Result<Dense> {
        let [outputs, inputs, frames] = sizes;
        let weight = self.weights.take_values(weight, &sizes)?;
        let bias = match bias {
            Some(bias) => self.weights.take_values(bias, &[outputs])?,
            None => vec![0.0; outputs],
        };
        let mut turned = Vec::with_capacity(weight.len());
        for kernel in weight.chunks_exact(inputs * frames) {
            for frame in 0..frames {
                turned.extend(kernel.iter().skip(frame).step_by(frames));
            }
        }
        self.dense_of(&turned, &bias)
    }

    /// A layer norm over `width` values.
    pub(super) fn norm(
        &mut self,
        gain: &str,
        bias: &str,
        width: usize,
        epsilon: f64,
    ) -> Result<Norm> {
        Ok(Norm { gain: self.tensor(gain, &[width])?, bias: self.tensor(bias, &[width])?, epsilon })
    }
}

/// A dense layer.
#[derive(Debug)]
pub(super) struct Dense {
    /// `[inputs, outputs]`, as the product wants it.
    weight: Tensor,
    bias: Tensor,
}

impl Dense {
    /// `[rows, inputs]` to `[rows, outputs]`.
    pub(super) fn forward(&self, rows: &Tensor) -> Torch<Tensor> {
        self.bias.f_addmm(rows, &self.weight)
    }

    pub(super) fn share(&self) -> Self {
        Self { weight: self.weight.shallow_clone(), bias: self.bias.shallow_clone() }
    }
}

/// A layer norm over the last dimension.
#[derive(Debug)]
pub(super) struct Norm {
    gain: Tensor,
    bias: Tensor,
    epsilon: f64,
}

impl Norm {
    pub(super) fn forward(&self, rows: &Tensor) -> Torch<Tensor> {
        rows.f_layer_norm(self.gain.size(), Some(&self.gain), Some(&self.bias), self.epsilon, false)
    }

    pub(super) fn share(&self) -> Self {
        Self {
            gain: self.gain.shallow_clone(),
            bias: self.bias.shallow_clone(),
            epsilon: self.epsilon,
        }
    }
}

/// Where a block's norms stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NormPlace {
    /// Before attention and before the dense layers.
    Before,
    /// Behind each of their sums.
    Behind,
}

/// Attention and two dense layers with a GELU between, each added to what came in.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) norm_place: NormPlace,
    pub(super) heads: usize,
    /// Query, key and value in one product: `[width, 3 · width]`.
    pub(super) projections: Dense,
    pub(super) attention_output: Dense,
    pub(super) attention_norm: Norm,
    pub(super) widening: Dense,
    pub(super) narrowing: Dense,
    pub(super) dense_norm: Norm,
}

impl Block {
    /// What becomes of `states`, `[positions, width]`.
    pub(super) fn forward(&self, states: &Tensor) -> Torch<Tensor> {
        self.forward_first(states, states.size()[0])
    }

    /// What becomes of the first `rows` of `states`; all of them are attended to.
    pub(super) fn forward_first(&self, states: &Tensor, rows: i64) -> Torch<Tensor> {
        let kept = states.f_narrow(0, 0, rows)?;
        match self.norm_place {
            NormPlace::Before => {
                let attention = self.attend(&self.attention_norm.forward(states)?, rows)?;
                let states = attention.f_add(&kept)?;
                self.dense(&self.dense_norm.forward(&states)?)?.f_add(&states)
            }
            NormPlace::Behind => {
                let sum = self.attend(states, rows)?.f_add(&kept)?;
                let states = self.attention_norm.forward(&sum)?;
                self.dense_norm.forward(&self.dense(&states)?.f_add(&states)?)
            }
        }
    }

    /// Scaled dot products of several heads (section 3.2.2), for the first `rows`.
    fn attend(&self, states: &Tensor, rows: i64) -> Torch<Tensor> {
        let (positions, width) = states.size2()?;
        let heads = signed(self.heads);
        // Query, key, value: [heads, positions, size] each, as views.
        let all = self
            .projections
            .forward(states)?
            .f_view([1, positions, 3, heads, width / heads])?
            .f_permute([2, 0, 3, 1, 4])?;
        let query = all.f_select(0, 0)?.f_narrow(2, 0, rows)?;
        let attention = Tensor::f_scaled_dot_product_attention(
            &query,
            &all.f_select(0, 1)?,
            &all.f_select(0, 2)?,
            None::<&Tensor>,
            0.0,
            false,
            None,
            false,
        )?;
        self.attention_output.forward(&attention.f_transpose(1, 2)?.f_reshape([rows, width])?)
    }

    fn dense(&self, states: &Tensor) -> Torch<Tensor> {
        self.narrowing.forward(&self.widening.forward(states)?.f_gelu_("none")?)
    }

    pub(super) fn share(&self) -> Self {
        Self {
            norm_place: self.norm_place,
            heads: self.heads,
            projections: self.projections.share(),
            attention_output: self.attention_output.share(),
            attention_norm: self.attention_norm.share(),
            widening: self.widening.share(),
            narrowing: self.narrowing.share(),
            dense_norm: self.dense_norm.share(),
        }
    }
}

/// Every window of `size` rows of `rows`, `[rows, channels]`, `stride` apart, each flattened:
/// `[windows, size · channels]`. A convolution over time is a product with these.
pub(super) fn windows(rows: &Tensor, size: i64, stride: i64) -> Torch<Tensor> {
    let (count, channels) = rows.size2()?;
    // Too few rows make no window; libtorch refuses the negative size.
    rows.f_contiguous()?
        .f_as_strided(
            [(count - size).div_euclid(stride) + 1, size * channels],
            [stride * channels, 1],
            0,
        )?
        .f_contiguous()
}

/// The mean of `frames`, `[frames, dimension]`, over each step of `frames_a_step`; the last step
/// takes what is left, and the last frame where nothing is: `[steps, dimension]`, float32.
pub(super) fn steps(frames: &Tensor, frames_a_step: usize, steps: usize) -> Torch<Tensor> {
    let count = frames.size()[0];
    let mean = |step: usize| {
        let first = signed(step * frames_a_step).min(count - 1);
        let length = signed(frames_a_step).min(count - first);
        frames.f_narrow(0, first, length)?.f_mean_dim(0_i64, false, tch::Kind::Float)
    };
    let means = (0..steps).map(mean).collect::<Torch<Vec<Tensor>>>()?;
    Tensor::f_stack(&means, 0)
}

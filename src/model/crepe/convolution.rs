//! A 1-D convolution over the positions of a frame, with zeros around it.
//!
//! In: maps `[positions, frames, inputs]`. Out: as many positions, `[positions, frames, outputs]`.
//!
//! It has two methods. *Direct* is libtorch's convolution. *Spectral* multiplies discrete Fourier
//! transforms: with 64 taps and 128 positions that takes a twentieth of the multiplications, since
//! each of the 81 frequencies has one complex product where each position had 64 real ones.
//! Measured on one thread of a processor with AVX-512, float32, CREPE full, for a second of sound: see
//! [`Method::best_for`].

use tch::Tensor;

use crate::model::compute::{Compute, Device, Precision};
use crate::model::torch::{Place, Torch};
use crate::units::signed;

/// How a convolution is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Direct,
    Spectral,
}

impl Method {
    /// The faster one; transforms know float32 alone.
    pub(super) fn best_for(compute: Compute) -> Self {
        match (compute.device, compute.precision) {
            (Device::Auto | Device::Cpu, _) | (Device::Cuda, Precision::Float32) => Self::Spectral,
            (Device::Cuda | Device::Mps, _) => Self::Direct,
        }
    }
}

/// A kernel: position p of the output is the sum over taps t of `weight[t]` times position
/// p + t − `before` of the input.
#[derive(Debug, Default)]
pub(super) struct Kernel {
    /// `[taps, inputs, outputs]`.
    weight: Vec<f32>,
    shape: [usize; 3],
    before: usize,
}

impl Kernel {
    /// From `[outputs, inputs, taps]`, with one position less before than behind.
    pub(super) fn new(weight: &[f32], outputs: usize, inputs: usize) -> Self {
        let taps = weight.len() / (outputs * inputs);
        let mut kernel = Self::zero([taps, inputs, outputs], taps / 2 - 1);
        for (index, &value) in weight.iter().enumerate() {
            let (output, input, tap) = (index / (inputs * taps), index / taps % inputs, index % taps);
            kernel.weight[(tap * inputs + input) * outputs + output] = value;
        }
        kernel
    }

    /// From `[outputs, 1, taps]` with a stride and as many zeros on both sides, as a kernel without
    /// a stride: the samples that one stride passes are channels of one position.
    pub(super) fn strided(weight: &[f32], outputs: usize, (taps, stride): (usize, usize)) -> Self {
        // Zeros that make the input as many positions as the stride leaves.
        let padding = (taps - stride) / 2;
        let before = padding.div_ceil(stride);
        let positions = before + 1 + (taps - 1 - padding) / stride;
        let mut kernel = Self::zero([positions, stride, outputs], before);
        for (index, &value) in weight.iter().enumerate() {
            let (output, tap) = (index / taps, index % taps);
            let sample = tap + before * stride - padding;
            kernel.weight[sample * outputs + output] = value;
        }
        kernel
    }

    fn zero(shape: [usize; 3], before: usize) -> Self {
        Self { weight: vec![0.0; shape.iter().product()], shape, before }
    }
}

/// A convolution, ready to run.
#[derive(Debug)]
pub(super) enum Convolution {
    Direct {
        /// `[outputs, inputs, taps]`.
        weight: Tensor,
        /// Zeros before and behind.
        padding: [i64; 2],
    },
    Spectral {
        /// The kernel's transform, `[frequencies, inputs, outputs]`, complex.
        spectrum: Tensor,
        /// Positions that are transformed: the maps' own, and zeros for the kernel to reach into.
        length: i64,
    },
}

impl Convolution {
    /// Lays out `kernel` for maps of so many `positions`.
    pub(super) fn new(
        kernel: &Kernel,
        positions: usize,
        place: Place,
        method: Method,
    ) -> Torch<Self> {
        let [taps, inputs, outputs] = kernel.shape;
        let after = taps - 1 - kernel.before;
        if method == Method::Direct {
            let weight = place.tensor(&kernel.weight, &kernel.shape)?.f_permute([2, 1, 0])?;
            let padding = [signed(kernel.before), signed(after)];
            return Ok(Self::Direct { weight: weight.f_contiguous()?, padding });
        }
        // Taps that reach over all positions only ever meet zeros.
        let (before, after) = (kernel.before.min(positions - 1), after.min(positions - 1));
        // The transform takes positions as a circle: what reaches out before the first one meets
        // the zeros behind the last, of which there must be enough for either side.
        let length = (positions + before.max(after)).next_multiple_of(2);
        let tap_values = inputs * outputs;
        let mut rows = vec![0.0; length * tap_values];
        for (tap, weight) in kernel.weight.chunks_exact(tap_values).enumerate() {
            if (kernel.before - before..=kernel.before + after).contains(&tap) {
                let row = (length + kernel.before - tap) % length;
                rows[row * tap_values..][..tap_values].copy_from_slice(weight);
            }
        }
        let rows = place.tensor(&rows, &[length, inputs, outputs])?;
        let spectrum = rows.f_fft_rfft(None, 0, NORM)?.f_contiguous()?;
        Ok(Self::Spectral { spectrum, length: signed(length) })
    }

    pub(super) fn forward(&self, maps: &Tensor) -> Torch<Tensor> {
        match self {
            Self::Direct { weight, padding } => maps
                .f_permute([1, 2, 0])?
                .f_constant_pad_nd(&padding[..])?
                .f_conv1d(weight, None::<&Tensor>, [1], [0], [1], 1)?
                .f_permute([2, 0, 1])?
                .f_contiguous(),
            Self::Spectral { spectrum, length } => maps
                .f_fft_rfft(*length, 0, NORM)?
                .f_bmm(spectrum)?
                .f_fft_irfft(*length, 0, NORM)?
                .f_narrow(0, 0, maps.size()[0])?
                .f_contiguous(),
        }
    }

    pub(super) fn share(&self) -> Self {
        match self {
            Self::Direct { weight, padding } => {
                Self::Direct { weight: weight.shallow_clone(), padding: *padding }
            }
            Self::Spectral { spectrum, length } => {
                Self::Spectral { spectrum: spectrum.shallow_clone(), length: *length }
            }
        }
    }
}

/// Transforms are scaled on the way back alone.
const NORM: &str = "backward";

//! A 1-D convolution over the positions of a frame, with zeros around it, and the larger of each
//! two positions.
//!
//! In: maps `[positions, frames, inputs]`. Out: half as many positions, `[positions / 2, frames,
//! outputs]`.
//!
//! It has two methods. *Direct* is libtorch's convolution, for any device and precision. *Fast* is
//! made of matrix products alone: for the first layer, which has one input, of the samples under the
//! kernel (`windows.rs`); for the others of discrete Fourier transforms (`spectral.rs`).
//!
//! Measured in processor time of one thread with AVX-512, float32, for 50 frames, which are half a
//! second of sound, CREPE full. The second layer is 77 % of all multiplications: libtorch's
//! convolution takes 1,310 ms there, the product of spectra 28, the transforms 14. libtorch's own
//! transforms took 36 instead of 14, as they move the positions in memory. In the first layer,
//! libtorch's convolution takes 163 ms, one product over all windows 122, products by blocks 100,
//! and spectra 86 and their maps' way back into order besides. All layers together take 173, and 25
//! in the tiny size.

use tch::Tensor;

use super::spectral::Spectral;
use super::windows::Windows;
use crate::model::compute::{Compute, Device, Precision};
use crate::model::torch::{Place, Torch};
use crate::units::signed;

/// How a convolution is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Direct,
    Fast,
}

impl Method {
    /// The faster one. Spectra keep their exactness in float32 alone, and are faster than bfloat16
    /// on the processor anyway.
    pub(super) fn best_for(compute: Compute) -> Self {
        match (compute.device, compute.precision) {
            (Device::Auto | Device::Cpu, _) | (_, Precision::Float32) => Self::Fast,
            (Device::Cuda | Device::Mps, Precision::Bfloat16) => Self::Direct,
        }
    }
}

/// A kernel and what surrounds it.
pub(super) struct Kernel {
    /// `[outputs, inputs, taps]`, row-major.
    pub(super) weight: Vec<f32>,
    pub(super) outputs: usize,
    pub(super) inputs: usize,
    pub(super) taps: usize,
    pub(super) stride: usize,
    /// Zeros before the first position and behind the last one.
    pub(super) padding: [usize; 2],
    /// Positions of a frame's map.
    pub(super) positions: usize,
}

/// A convolution, ready to run.
#[derive(Debug)]
pub(super) enum Convolution {
    Direct {
        /// `[outputs, inputs, taps]`.
        weight: Tensor,
        stride: i64,
        padding: [i64; 2],
    },
    Windows(Windows),
    Spectral(Spectral),
}

impl Convolution {
    pub(super) fn new(kernel: &Kernel, place: Place, method: Method) -> Torch<Self> {
        match method {
            Method::Direct => Ok(Self::Direct {
                weight: place
                    .tensor(&kernel.weight, &[kernel.outputs, kernel.inputs, kernel.taps])?,
                stride: signed(kernel.stride),
                padding: kernel.padding.map(signed),
            }),
            Method::Fast if kernel.inputs == 1 => Windows::new(kernel, place).map(Self::Windows),
            Method::Fast => Spectral::new(kernel, place).map(Self::Spectral),
        }
    }

    pub(super) fn forward(&self, maps: &Tensor) -> Torch<Tensor> {
        match self {
            Self::Direct { weight, stride, padding } => {
                let maps = maps
                    .f_permute([1, 2, 0])?
                    .f_constant_pad_nd(&padding[..])?
                    .f_conv1d(weight, None::<&Tensor>, [*stride], [0], [1], 1)?
                    .f_permute([2, 0, 1])?;
                pooled(&maps.f_contiguous()?)
            }
            Self::Windows(windows) => windows.forward(maps),
            Self::Spectral(spectral) => pooled(&spectral.forward(maps)?),
        }
    }

    pub(super) fn share(&self) -> Self {
        match self {
            Self::Direct { weight, stride, padding } => {
                Self::Direct { weight: weight.shallow_clone(), stride: *stride, padding: *padding }
            }
            Self::Windows(windows) => Self::Windows(windows.share()),
            Self::Spectral(spectral) => Self::Spectral(spectral.share()),
        }
    }
}

/// The larger of each two positions of `[positions, frames, channels]`.
pub(super) fn pooled(maps: &Tensor) -> Torch<Tensor> {
    let (positions, frames, channels) = maps.size3()?;
    let pairs = maps.f_view([positions / 2, 2, frames, channels])?;
    // Half the time that `f_amax` takes.
    pairs.f_select(1, 0)?.f_maximum(&pairs.f_select(1, 1)?)
}

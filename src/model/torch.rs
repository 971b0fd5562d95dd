//! Tensors of libtorch and its devices, and its errors into ours.
//!
//! In: values. Out: tch tensors. Every call is of the kind that returns its error: the others
//! panic.

use tch::{Kind, Tensor};

use super::compute::{Compute, Device, Precision};
use crate::error::{Error, Result};
use crate::units::signed;

/// What libtorch's calls return.
pub(crate) type Torch<T> = std::result::Result<T, tch::TchError>;

/// Where tensors live and what they hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) device: tch::Device,
    pub(super) kind: Kind,
}

impl Place {
    pub(super) fn of(compute: Compute) -> Self {
        let device = match compute.device {
            Device::Auto | Device::Cpu => tch::Device::Cpu,
            Device::Cuda => tch::Device::Cuda(0),
            Device::Mps => tch::Device::Mps,
        };
        let kind = match compute.precision {
            Precision::Float32 => Kind::Float,
            Precision::Bfloat16 => Kind::BFloat16,
        };
        Self { device, kind }
    }

    /// Copies float32 `values` of `shape` there.
    pub(super) fn tensor(self, values: &[f32], shape: &[usize]) -> Torch<Tensor> {
        let shape: Vec<i64> = shape.iter().map(|&size| signed(size)).collect();
        Tensor::f_from_slice(values)?
            .f_view(&shape[..])?
            .f_to_device(self.device)?
            .f_to_kind(self.kind)
    }
}

/// Copies a tensor out as float32, row-major.
pub(crate) fn to_vec(tensor: &Tensor) -> Torch<Vec<f32>> {
    let tensor = tensor.f_to_kind(Kind::Float)?.f_to_device(tch::Device::Cpu)?.f_contiguous()?;
    let mut values = vec![0.0; tensor.numel()];
    let count = values.len();
    tensor.f_copy_data(&mut values, count)?;
    Ok(values)
}

/// libtorch's error as ours.
pub(super) fn failed(model: &str, error: tch::TchError) -> Error {
    Error::Network { model: model.to_owned(), source: error.into() }
}

/// Runs `work` without recording gradients, its error as `model`'s. The guard is per thread, so it
/// is taken at every call rather than once.
pub(super) fn run<T>(model: &str, work: impl FnOnce() -> Torch<T>) -> Result<T> {
    tch::no_grad(work).map_err(|error| failed(model, error))
}

/// Whether libtorch can use an NVIDIA graphics processor.
pub(super) fn has_cuda() -> bool {
    tch::Cuda::is_available()
}

/// Whether libtorch can use an Apple graphics processor.
pub(super) fn has_mps() -> bool {
    tch::utils::has_mps()
}

/// Sets the threads of one operation.
pub(super) fn set_threads(threads: usize) {
    tch::set_num_threads(i32::try_from(threads).unwrap_or(1).max(1));
}

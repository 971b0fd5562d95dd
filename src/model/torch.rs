//! Tensors of libtorch from weights, and its errors into ours.
//!
//! In: [`NamedTensor`]s. Out: tch tensors. Every call is of the kind that returns its error: the
//! others panic.

use tch::{Kind, Tensor};

use super::weights::{NamedTensor, Weights};
use crate::error::{Error, Result};
use crate::units::signed;

/// Takes the tensor `name` of `shape` from `weights`.
pub(super) fn take(weights: &mut Weights, name: &str, shape: &[usize]) -> Result<Tensor> {
    let NamedTensor { shape, bytes } = weights.take(name, shape)?;
    from_bytes(&bytes, &shape).map_err(|error| failed(weights.model(), error))
}

fn from_bytes(bytes: &[u8], shape: &[usize]) -> std::result::Result<Tensor, tch::TchError> {
    let shape: Vec<i64> = shape.iter().map(|&size| signed(size)).collect();
    Tensor::f_from_data_size(bytes, &shape, Kind::Float)
}

/// Copies a tensor out, row-major.
pub(super) fn to_vec(tensor: &Tensor) -> std::result::Result<Vec<f32>, tch::TchError> {
    let tensor = tensor.f_contiguous()?;
    let mut values = vec![0.0; tensor.numel()];
    let count = values.len();
    tensor.f_copy_data(&mut values, count)?;
    Ok(values)
}

/// libtorch's error as ours.
pub(super) fn failed(model: &str, error: tch::TchError) -> Error {
    Error::Network { model: model.to_owned(), source: error.into() }
}

/// Sets the threads of one operation.
pub(super) fn set_threads(threads: usize) {
    tch::set_num_threads(i32::try_from(threads).unwrap_or(1).max(1));
}

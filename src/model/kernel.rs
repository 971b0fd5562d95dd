//! Layers of networks on the processor, with its widest instructions.
//!
//! In: maps, channels last, in [`Group`]s of 16 channels. Out: maps. One thread, no allocation once
//! the buffers have grown; the instructions are chosen when the program runs. Every value is summed
//! in one order, whatever stands beside it, so that a patch's embedding does not depend on its
//! batch.
//!
//! A matrix product wants its left side in tiles; a depthwise convolution writes them, so that
//! between the two nothing is rearranged and a block of rows stays in the cache.

#![expect(
    clippy::inline_always,
    reason = "a loop is compiled for other instructions only where it is inlined"
)]

pub(super) mod bfloat16;
pub(super) mod convolution;
pub(super) mod dense;
pub(super) mod depthwise;
pub(super) mod gemm;
pub(super) mod lstm;
pub(super) mod peaks;
pub(super) mod tiles;

#[cfg(test)]
mod tests;

/// Whether the processor has vector instructions that the kernels know; without them they work, but
/// slower than libtorch.
pub(super) fn is_fast_here() -> bool {
    !matches!(pulp::Arch::new(), pulp::Arch::Scalar)
}

/// Channels of a [`Group`]: one register of AVX-512, two of AVX2, four of NEON.
pub(super) const GROUP: usize = 16;

/// Consecutive channels of one position, on a cache line of their own.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(align(64))]
pub(super) struct Group(pub(super) [f32; GROUP]);

impl Group {
    pub(super) const ZERO: Self = Self([0.0; GROUP]);
}

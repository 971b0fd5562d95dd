//! The dot product of float32 slices, which resampling and comparing both come down to.
//!
//! In: two slices of one length. Out: their product's sum. Uses the widest instructions that the
//! processor has, chosen when the program runs.

#![expect(
    clippy::inline_always,
    reason = "a loop is compiled for other instructions only where it is inlined"
)]

use pulp::{Simd, WithSimd};

/// The dot product of two slices, with the processor's widest instructions.
///
/// # Panics
/// In debug builds when the lengths differ; otherwise the longer one's rest does not count.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    pulp::Arch::new().dispatch(Dot(a, b))
}

struct Dot<'a>(&'a [f32], &'a [f32]);

impl WithSimd for Dot<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        dot_in(simd, self.0, self.1)
    }
}

/// [`dot`] without the dispatch, for loops that are dispatched as a whole.
#[inline(always)]
pub(crate) fn dot_in<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    // Enough independent sums to hide the latency of a fused product and sum.
    const SUMS: usize = 4;
    debug_assert_eq!(a.len(), b.len());
    let (a_registers, a_rest) = S::as_simd_f32s(a);
    let (b_registers, b_rest) = S::as_simd_f32s(b);
    let (a_groups, a_single) = a_registers.as_chunks::<SUMS>();
    let (b_groups, b_single) = b_registers.as_chunks::<SUMS>();
    let mut sums = [simd.splat_f32s(0.0); SUMS];
    for (x, y) in a_groups.iter().zip(b_groups) {
        for lane in 0..SUMS {
            // Fused where the processor can, else two instructions, never a slow call.
            sums[lane] = simd.mul_add_e_f32s(x[lane], y[lane], sums[lane]);
        }
    }
    for (&x, &y) in a_single.iter().zip(b_single) {
        sums[0] = simd.mul_add_e_f32s(x, y, sums[0]);
    }
    let [first, second, third, fourth] = sums;
    let sum = simd.add_f32s(simd.add_f32s(first, second), simd.add_f32s(third, fourth));
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    rest + simd.reduce_sum_f32s(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_sums_every_product() {
        for length in [0, 1, 15, 16, 31, 32, 33, 64, 80, 100, 1_024] {
            let values: Vec<f32> = (0..length).map(|n| n as f32).collect();
            let expected: f32 = values.iter().map(|x| 2.0 * x).sum();
            let twos = vec![2.0; length];
            // Sums of whole numbers below 2²⁴ are exact.
            assert!((dot(&values, &twos) - expected).abs() < 1e-3);
        }
    }
}

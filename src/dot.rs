//! The dot product of float32 slices, which resampling and comparing both come down to.
//!
//! In: two slices of one length. Out: their product's sum. Vectorises for the widest instructions
//! that the processor has, chosen when the program runs.

/// The dot product of two slices, with the processor's widest instructions.
///
/// # Panics
/// In debug builds when the lengths differ; otherwise the longer one's rest does not count.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || dot_lanes(a, b),
    )
}

/// [`dot`] without the dispatch, for loops that are dispatched as a whole.
#[inline(always)]
pub(crate) fn dot_lanes(a: &[f32], b: &[f32]) -> f32 {
    // Two registers of AVX-512, four of AVX2, eight of NEON or SSE: enough independent sums to
    // hide an addition's latency.
    const LANES: usize = 32;
    debug_assert_eq!(a.len(), b.len());
    let mut sums = [0.0_f32; LANES];
    let (a_lanes, a_rest) = a.as_chunks::<LANES>();
    let (b_lanes, b_rest) = b.as_chunks::<LANES>();
    for (x, y) in a_lanes.iter().zip(b_lanes) {
        for lane in 0..LANES {
            // Not mul_add: without the instruction that is a slow call.
            sums[lane] += x[lane] * y[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    rest + sums.iter().sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_sums_every_product() {
        for length in [0, 1, 31, 32, 33, 64, 100] {
            let values: Vec<f32> = (0..length).map(|n| n as f32).collect();
            let expected: f32 = values.iter().map(|x| 2.0 * x).sum();
            let twos = vec![2.0; length];
            assert!((dot(&values, &twos) - expected).abs() < 1e-3);
        }
    }
}

//! The pitch that a frame's bins speak of.
//!
//! In: the network's answer, 360 bins of 20 cents. Out: a frequency and how sure it is. Source:
//! J. W. Kim et al., arXiv:1802.06182, section 2.2, equations 1 and 2: the mean of the bins' cents,
//! weighted by the bins. As in the authors' code (marl/crepe, `core.py`,
//! `to_local_average_cents`), only the nine bins around the largest count, so that a second voice
//! does not pull the first one away.

use super::PITCH_BINS;
use crate::model::network::Pitch;

/// From one bin to the next, in cents.
const BIN_CENTS: f64 = 20.0;
/// The lowest bin, in cents above 10 Hz: 31.70 Hz. The paper says 32.70 Hz; the weights were trained
/// with this (marl/crepe, `core.py`, `cents_mapping`).
const LOWEST_CENTS: f64 = 1997.3794084376191;
/// What cents are counted from, in Hz.
const REFERENCE_HZ: f64 = 10.0;
/// Bins to each side of the largest that count.
const REACH: usize = 4;

/// What `bins` speak of. The largest of them is the confidence.
pub(super) fn pitch_of(bins: &[f32; PITCH_BINS]) -> Pitch {
    let (largest, confidence) = bins
        .iter()
        .copied()
        .enumerate()
        .fold((0, 0.0), |best, bin| if bin.1 > best.1 { bin } else { best });
    let near = largest.saturating_sub(REACH)..(largest + REACH + 1).min(PITCH_BINS);
    let (mut weights, mut sum) = (0.0, 0.0);
    for bin in near {
        let weight = f64::from(bins[bin]);
        weights += weight;
        sum += weight * (BIN_CENTS * bin as f64 + LOWEST_CENTS);
    }
    let cents = if weights > 0.0 { sum / weights } else { LOWEST_CENTS };
    Pitch { frequency_hz: REFERENCE_HZ * (cents / 1200.0).exp2(), confidence }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_between_two_bins_lies_between_their_pitches() {
        let mut bins = [0.0; PITCH_BINS];
        let at = |bin: f64| REFERENCE_HZ * ((BIN_CENTS * bin + LOWEST_CENTS) / 1200.0).exp2();
        bins[100] = 0.8;
        assert!((pitch_of(&bins).frequency_hz - at(100.0)).abs() < 1e-9);
        assert!((pitch_of(&bins).confidence - 0.8).abs() < 1e-9);
        bins[101] = 0.8;
        assert!((pitch_of(&bins).frequency_hz - at(100.5)).abs() < 1e-9);
        // Another voice, further away than the bins that count.
        bins[140] = 0.5;
        assert!((pitch_of(&bins).frequency_hz - at(100.5)).abs() < 1e-9);
    }

    #[test]
    fn the_borders_and_silence_have_a_pitch_too() {
        assert!(pitch_of(&[0.0; PITCH_BINS]).frequency_hz.is_finite());
        for bin in [0, PITCH_BINS - 1] {
            let mut bins = [0.0; PITCH_BINS];
            bins[bin] = 1.0;
            assert!(pitch_of(&bins).frequency_hz.is_finite());
        }
    }
}

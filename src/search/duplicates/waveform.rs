//! Two pieces of sound into how alike their waveforms are, and at which displacement.
//!
//! In: samples. Out: the normalised cross-correlation at its peak. Pure.
//!
//! Two takes of one kind of sound have unrelated phases: what correlates by chance in a quarter
//! of a second is about 0.1, or more where a sound is nearly a tone. Copies correlate after gain,
//! resampling and lossy coding, since codecs keep the waveform of what is loud.

use crate::dot::dot;

/// Tames low rumble, which would correlate with any other rumble.
const PRE_EMPHASIS: f32 = 0.95;

/// The best place of a piece of sound within another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Peak {
    /// Samples into the longer piece.
    pub(super) place: usize,
    /// Magnitude of the normalised correlation, in [0, 1]: copies may be upside down.
    pub(super) correlation: f32,
}

/// Where `piece` fits best into `longer`; nothing when one of them is silent or `longer` is
/// shorter.
pub(super) fn fit(piece: &[f32], longer: &[f32]) -> Option<Peak> {
    let (piece, longer) = (emphasised(piece), emphasised(longer));
    let energy = dot(&piece, &piece);
    if piece.is_empty() || longer.len() < piece.len() || energy <= 0.0 {
        return None;
    }
    let mut best: Option<Peak> = None;
    for place in 0..=longer.len() - piece.len() {
        let under = &longer[place..place + piece.len()];
        let other = dot(under, under);
        if other <= 0.0 {
            continue;
        }
        let correlation = (dot(&piece, under) / (energy * other).sqrt()).abs().min(1.0);
        if best.is_none_or(|best| correlation > best.correlation) {
            best = Some(Peak { place, correlation });
        }
    }
    best
}

/// The differences of neighbouring samples, nearly: one fewer than there are samples.
fn emphasised(samples: &[f32]) -> Vec<f32> {
    samples.windows(2).map(|pair| pair[1] - PRE_EMPHASIS * pair[0]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(count: usize, mut state: u32) -> Vec<f32> {
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn a_piece_is_found_to_the_sample_whatever_its_gain_and_sign() {
        let sound = noise(6_000, 1);
        let piece: Vec<f32> = sound[1_234..5_234].iter().map(|sample| -0.1 * sample).collect();
        let peak = fit(&piece, &sound).unwrap();
        assert_eq!(peak.place, 1_234);
        assert!(peak.correlation > 0.999);
        // 4,000 samples: a deviation of 0.016, and the greatest of 2,001 magnitudes.
        assert!(fit(&piece, &noise(6_000, 2)).unwrap().correlation < 0.1);
    }

    #[test]
    fn silence_fits_nowhere() {
        assert_eq!(fit(&[0.0; 100], &noise(200, 1)), None);
        assert_eq!(fit(&noise(100, 1), &[0.0; 200]), None);
        assert_eq!(fit(&noise(100, 1), &noise(50, 1)), None);
        assert_eq!(fit(&[], &[]), None);
    }
}

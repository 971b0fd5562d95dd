//! Two pieces of sound into how alike their waveforms are, and at which displacement.
//!
//! In: samples. Out: the normalised cross-correlation at its peak, which may lie between two samples.
//! Pure.
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
    pub(super) place: f64,
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
    let places = longer.len() - piece.len() + 1;
    let under = |place: usize| &longer[place..place + piece.len()];
    let products: Vec<f32> = (0..places).map(|place| dot(&piece, under(place))).collect();
    let energies: Vec<f32> =
        (0..places).map(|place| energy * dot(under(place), under(place))).collect();
    let normalised = |product: f32, energy: f32| {
        if energy > 0.0 { (product / energy.sqrt()).abs().min(1.0) } else { 0.0 }
    };
    let mut best: Option<(usize, f32)> = None;
    for place in (0..places).filter(|&place| energies[place] > 0.0) {
        let correlation = normalised(products[place], energies[place]);
        if best.is_none_or(|(_, known)| correlation > known) {
            best = Some((place, correlation));
        }
    }
    let (place, correlation) = best?;
    let mut peak = Peak { place: place as f64, correlation };
    for step in (-STEPS / 2..=STEPS / 2).filter(|&step| step != 0) {
        let offset = f64::from(step) / f64::from(STEPS);
        // Energies differ by a few samples' share, products by their sign.
        let correlation = normalised(between(&products, place, offset), energies[place]);
        if correlation > peak.correlation {
            peak = Peak { place: place as f64 + offset, correlation };
        }
    }
    Some(peak)
}

/// Places that are tried between two samples.
const STEPS: i32 = 16;
/// Products on either side of a place that say what lies beside it.
const REACH: usize = 16;

/// The product at `offset` samples beside `place`: a correlation has no higher frequencies than what it
/// is of, so that the sinc function says what is between (a Hann window over it, because it ends).
/// Without this, sounds that are the same to the sample, but half a sample apart at 16 kHz, would
/// correlate with 0.64.
#[expect(clippy::cast_possible_truncation, reason = "summed in f64, kept in f32")]
fn between(products: &[f32], place: usize, offset: f64) -> f32 {
    let first = place.saturating_sub(REACH);
    let end = (place + REACH + 1).min(products.len());
    let sum: f64 = (first..end)
        .map(|at| {
            let distance = at as f64 - place as f64 - offset;
            let angle = std::f64::consts::PI * distance;
            let sinc = if angle == 0.0 { 1.0 } else { angle.sin() / angle };
            let window = 0.5 + 0.5 * (angle / (REACH as f64 + 1.0)).cos();
            f64::from(products[at]) * sinc * window
        })
        .sum();
    sum as f32
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
        assert!((peak.place - 1_234.0).abs() < 1e-9, "{}", peak.place);
        assert!(peak.correlation > 0.999);
        // 4,000 samples: a deviation of 0.016, and the greatest of 2,001 magnitudes.
        assert!(fit(&piece, &noise(6_000, 2)).unwrap().correlation < 0.1);
    }

    /// A tenth of a second at 48 kHz, filtered to half of 16 kHz: every third sample, and every third
    /// from the next one on, are the same sound a third of a sample apart.
    #[test]
    fn the_same_between_samples_is_as_alike() {
        let fine = noise(48_000, 3);
        let reach = 60_i32;
        let filtered: Vec<f32> = (60..fine.len() - 60)
            .map(|at| {
                let taps = (-reach..=reach).map(|tap| {
                    // To 7 kHz: filters before sampling leave the last eighth out.
                    let angle = std::f32::consts::PI * tap as f32 * 14.0 / 48.0;
                    let sinc = if tap == 0 { 1.0 } else { angle.sin() / angle };
                    let window = 0.5 + 0.5 * (std::f32::consts::PI * tap as f32 / 61.0).cos();
                    sinc * window * fine[at.checked_add_signed(tap as isize).unwrap()]
                });
                taps.sum()
            })
            .collect();
        let sampled =
            |from: usize| -> Vec<f32> { filtered.iter().skip(from).step_by(3).copied().collect() };
        let (sound, later) = (sampled(0), sampled(1));
        let peak = fit(&later[1_000..5_000], &sound[900..5_200]).unwrap();
        assert!((peak.place - (100.0 + 1.0 / 3.0)).abs() < 1.0 / f64::from(STEPS), "{peak:?}");
        assert!(peak.correlation > 0.98, "{peak:?}");
        // What is not the same stays as it was.
        let other = fit(&noise(4_000, 5), &sound[900..5_200]).unwrap();
        assert!(other.correlation < 0.1, "{other:?}");
    }

    #[test]
    fn silence_fits_nowhere() {
        assert_eq!(fit(&[0.0; 100], &noise(200, 1)), None);
        assert_eq!(fit(&noise(100, 1), &[0.0; 200]), None);
        assert_eq!(fit(&noise(100, 1), &noise(50, 1)), None);
        assert_eq!(fit(&[], &[]), None);
    }
}

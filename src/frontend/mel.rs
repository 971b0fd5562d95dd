//! Mel bands over STFT magnitudes.
//!
//! In: `[bins]` magnitudes. Out: `[bands]` weighted sums. Source: TensorFlow's
//! `signal.linear_to_mel_weight_matrix`, which YAMNet was trained with: triangles that are linear
//! on the mel scale (not on the Hz scale, as in librosa), peak 1, DC left out.

#![expect(clippy::cast_possible_truncation, reason = "designed in f64, applied in f32")]

/// Hz to mel on the HTK scale.
fn mel(hertz: f64) -> f64 {
    1127.0 * (hertz / 700.0).ln_1p()
}

/// One band: the first bin that it reaches, and the weights from there on.
#[derive(Clone, Debug)]
struct Band {
    first_bin: usize,
    weights: Vec<f32>,
}

/// A bank of triangular bands.
#[derive(Clone, Debug)]
pub struct MelBank {
    bands: Vec<Band>,
}

impl MelBank {
    /// Lays `bands` triangles between `low_hz` and `high_hz` over `bins` bins from 0 Hz to half of
    /// `sample_rate`.
    pub fn new(bands: usize, low_hz: f64, high_hz: f64, bins: usize, sample_rate: u32) -> Self {
        let bin_hz = f64::from(sample_rate) / 2.0 / (bins - 1) as f64;
        let (low, high) = (mel(low_hz), mel(high_hz));
        let edge = |index: usize| low + (high - low) * index as f64 / (bands + 1) as f64;
        let bands = (0..bands)
            .map(|band| {
                let (lower, centre, upper) = (edge(band), edge(band + 1), edge(band + 2));
                let weight = |bin: usize| {
                    let position = mel(bin as f64 * bin_hz);
                    let rising = (position - lower) / (centre - lower);
                    let falling = (upper - position) / (upper - centre);
                    rising.min(falling).max(0.0) as f32
                };
                let reached: Vec<usize> = (1..bins).filter(|&bin| weight(bin) > 0.0).collect();
                Band {
                    first_bin: reached.first().copied().unwrap_or(0),
                    weights: reached.iter().map(|&bin| weight(bin)).collect(),
                }
            })
            .collect();
        Self { bands }
    }

    /// Writes ln(band + `offset`) of each band to `output`, `[bands]`.
    ///
    /// # Panics
    /// When `magnitudes` has fewer bins than the bank was laid over.
    pub fn log_bands(&self, magnitudes: &[f32], offset: f32, output: &mut [f32]) {
        for (value, band) in output.iter_mut().zip(&self.bands) {
            let reached = &magnitudes[band.first_bin..][..band.weights.len()];
            let sum: f32 = reached.iter().zip(&band.weights).map(|(x, w)| x * w).sum();
            *value = (sum + offset).ln();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inside_the_range_the_triangles_sum_to_one() {
        let bank = MelBank::new(64, 125.0, 7_500.0, 257, 16_000);
        for bin in 6_usize..230 {
            let sum: f32 = bank
                .bands
                .iter()
                .filter_map(|band| band.weights.get(bin.checked_sub(band.first_bin)?))
                .sum();
            assert!((sum - 1.0).abs() < 1e-5, "bin {bin}: {sum}");
        }
    }

    #[test]
    fn nothing_reaches_outside_the_range() {
        let bank = MelBank::new(64, 125.0, 7_500.0, 257, 16_000);
        // 125 Hz is bin 4, 7500 Hz bin 240: both edges have weight zero.
        let mut output = vec![0.0; 64];
        for bin in [0, 1, 3, 240, 256] {
            let mut magnitudes = vec![0.0; 257];
            magnitudes[bin] = 1e6;
            bank.log_bands(&magnitudes, 0.001, &mut output);
            assert!(output.iter().all(|&value| (value - 0.001_f32.ln()).abs() < 1e-2), "bin {bin}");
        }
    }
}

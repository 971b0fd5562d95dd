//! Mel bands over a short-time spectrum.
//!
//! In: `[bins]` magnitudes or powers. Out: `[bands]` weighted sums, and what a front end makes of
//! them. Two scales: TensorFlow's `signal.linear_to_mel_weight_matrix`, which YAMNet was trained
//! with (triangles that are linear on the HTK mel scale, peak 1, DC left out), and M. Slaney's
//! Auditory Toolbox as in librosa's `filters.mel` (triangles that are linear in Hz, of equal area).

#![expect(clippy::cast_possible_truncation, reason = "designed in f64, applied in f32")]

use half::f16;

use super::spec::{Compression, MelScale, MelSpec, Spectrum};
use super::stft::Stft;

/// Hz to mel on the HTK scale.
pub fn mel(hertz: f64) -> f64 {
    1127.0 * (hertz / 700.0).ln_1p()
}

/// Mel on the HTK scale to Hz.
pub fn mel_hertz(mel: f64) -> f64 {
    700.0 * (mel / 1127.0).exp_m1()
}

/// Slaney's scale is linear up to here, in Hz; and what a mel is there.
const SLANEY_LINEAR_HZ: f64 = 1_000.0;
const SLANEY_HZ_PER_MEL: f64 = 200.0 / 3.0;

/// The logarithmic step above: 27 mels from 1 kHz to 6.4 kHz.
fn slaney_step() -> f64 {
    6.4_f64.ln() / 27.0
}

/// Hz to mel on Slaney's scale.
fn slaney(hertz: f64) -> f64 {
    if hertz < SLANEY_LINEAR_HZ {
        return hertz / SLANEY_HZ_PER_MEL;
    }
    SLANEY_LINEAR_HZ / SLANEY_HZ_PER_MEL + (hertz / SLANEY_LINEAR_HZ).ln() / slaney_step()
}

/// Mel on Slaney's scale to Hz.
fn slaney_hertz(mel: f64) -> f64 {
    let linear = SLANEY_LINEAR_HZ / SLANEY_HZ_PER_MEL;
    if mel < linear {
        return mel * SLANEY_HZ_PER_MEL;
    }
    SLANEY_LINEAR_HZ * ((mel - linear) * slaney_step()).exp()
}

/// One band: the first bin that it reaches, and the weights from there on.
#[derive(Clone, Debug)]
struct Band {
    first_bin: usize,
    weights: Vec<f32>,
}

impl Band {
    /// The band that reaches `bins`, which follow each other.
    fn of(bins: impl Iterator<Item = usize>, weight: impl Fn(usize) -> f32) -> Self {
        let reached: Vec<usize> = bins.collect();
        Self {
            first_bin: reached.first().copied().unwrap_or(0),
            weights: reached.iter().map(|&bin| weight(bin)).collect(),
        }
    }
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
                Band::of((1..bins).filter(|&bin| weight(bin) > 0.0), weight)
            })
            .collect();
        Self { bands }
    }

    /// Lays `bands` triangles on Slaney's scale, each divided by its width in Hz.
    pub fn slaney(bands: usize, low_hz: f64, high_hz: f64, bins: usize, sample_rate: u32) -> Self {
        let bin_hz = f64::from(sample_rate) / 2.0 / (bins - 1) as f64;
        let (low, high) = (slaney(low_hz), slaney(high_hz));
        let edge =
            |index: usize| slaney_hertz(low + (high - low) * index as f64 / (bands + 1) as f64);
        let bands = (0..bands)
            .map(|band| {
                let (lower, centre, upper) = (edge(band), edge(band + 1), edge(band + 2));
                let area = 2.0 / (upper - lower);
                let weight = |bin: usize| {
                    let hertz = bin as f64 * bin_hz;
                    let rising = (hertz - lower) / (centre - lower);
                    let falling = (upper - hertz) / (upper - centre);
                    (rising.min(falling).max(0.0) * area) as f32
                };
                Band::of((0..bins).filter(|&bin| weight(bin) > 0.0), weight)
            })
            .collect();
        Self { bands }
    }

    /// The bands of `spec` over `bins` bins.
    fn of(spec: &MelSpec, bins: usize, sample_rate: u32) -> Self {
        let lay = match spec.scale {
            MelScale::Htk => Self::new,
            MelScale::Slaney => Self::slaney,
        };
        lay(spec.mel_bands, spec.low_hz, spec.high_hz, bins, sample_rate)
    }

    /// Writes the weighted sum of each band to `output`, `[bands]`.
    ///
    /// # Panics
    /// When `spectrum` has fewer bins than the bank was laid over.
    pub fn sums(&self, spectrum: &[f32], output: &mut [f32]) {
        for (value, band) in output.iter_mut().zip(&self.bands) {
            let reached = &spectrum[band.first_bin..][..band.weights.len()];
            *value = reached.iter().zip(&band.weights).map(|(x, w)| x * w).sum();
        }
    }

    /// Writes ln(band + `offset`) of each band to `output`, `[bands]`.
    ///
    /// # Panics
    /// As [`sums`](Self::sums).
    pub fn log_bands(&self, magnitudes: &[f32], offset: f32, output: &mut [f32]) {
        self.sums(magnitudes, output);
        compress(Compression::Logarithm { offset }, output);
    }
}

/// Makes of each band's sum what a front end wants.
fn compress(compression: Compression, values: &mut [f32]) {
    let each: &dyn Fn(f32) -> f32 = match compression {
        Compression::Linear => return,
        Compression::Logarithm { offset } => {
            // The hot one, without a call for each value.
            for value in values {
                *value = (*value + offset).ln();
            }
            return;
        }
        Compression::Scaled => {
            &|sum| (1e4 * f16::from_f32(sum).min(f16::MAX).to_f32() + 1.0).log10()
        }
        Compression::Floored => &|sum| sum.max(1e-10).log10(),
    };
    for value in values {
        *value = each(*value);
    }
}

/// Cuts frames of mel bands out of a stream of samples.
#[derive(Debug)]
pub(super) struct MelFrames {
    spec: MelSpec,
    stft: Stft,
    bank: MelBank,
    spectrum: Vec<f32>,
}

impl MelFrames {
    pub(super) fn new(spec: MelSpec, sample_rate: u32) -> Self {
        let stft = Stft::new(spec.window_samples, spec.fft_samples);
        let bank = MelBank::of(&spec, stft.bins(), sample_rate);
        Self { spec, bank, spectrum: vec![0.0; stft.bins()], stft }
    }

    /// Appends the frames that `samples` hold to `frames`, `[frames, bands]`, and removes what no
    /// later frame needs.
    pub(super) fn cut(&mut self, samples: &mut Vec<f32>, frames: &mut Vec<f32>) {
        let mut start = 0;
        while let Some(window) = samples.get(start..start + self.spec.window_samples) {
            match self.spec.spectrum {
                Spectrum::Magnitude => self.stft.magnitudes(window, &mut self.spectrum),
                Spectrum::Power => self.stft.powers(window, &mut self.spectrum),
            }
            let end = frames.len();
            frames.resize(end + self.spec.mel_bands, 0.0);
            self.bank.sums(&self.spectrum, &mut frames[end..]);
            compress(self.spec.compression, &mut frames[end..]);
            start += self.spec.hop_samples;
        }
        samples.drain(..start.min(samples.len()));
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
    fn slaney_s_triangles_have_the_area_of_one_hertz() {
        // Bins of 1 Hz: the sum over bins is the integral.
        let bank = MelBank::slaney(40, 0.0, 8_000.0, 8_001, 16_000);
        for band in &bank.bands {
            let area: f32 = band.weights.iter().sum();
            // A band is 100 Hz wide at least: sampling its triangle errs by less than a thousandth.
            assert!((area - 1.0).abs() < 1e-3, "{area}");
        }
        for hertz in [0.0, 440.0, 999.9, 1_000.0, 6_400.0, 8_000.0] {
            assert!((slaney_hertz(slaney(hertz)) - hertz).abs() < 1e-9);
        }
        assert!((slaney(6_400.0) - 42.0).abs() < 1e-9);
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

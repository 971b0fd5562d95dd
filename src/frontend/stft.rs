//! Magnitudes of the short-time Fourier transform, one frame at a time.
//!
//! In: the samples of one window. Out: `[fft / 2 + 1]` magnitudes or powers of float32. Asserts lengths: its
//! callers cut the windows.

#![expect(clippy::cast_possible_truncation, reason = "designed in f64, applied in f32")]

use std::f64::consts::PI;
use std::fmt;
use std::sync::Arc;

use realfft::num_complex::Complex32;
use realfft::{RealFftPlanner, RealToComplex};

/// Computes frames of one window and FFT length.
pub struct Stft {
    window: Vec<f32>,
    transform: Arc<dyn RealToComplex<f32>>,
    input: Vec<f32>,
    spectrum: Vec<Complex32>,
    scratch: Vec<Complex32>,
}

impl fmt::Debug for Stft {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Stft")
            .field("window", &self.window.len())
            .field("fft", &self.transform.len())
            .finish_non_exhaustive()
    }
}

impl Stft {
    /// Plans frames of `window_samples` under a periodic Hann window, zero-padded to `fft_samples`.
    pub fn new(window_samples: usize, fft_samples: usize) -> Self {
        let transform = RealFftPlanner::new().plan_fft_forward(fft_samples);
        let window = (0..window_samples)
            .map(|n| (0.5 - 0.5 * (2.0 * PI * n as f64 / window_samples as f64).cos()) as f32)
            .collect();
        Self {
            window,
            input: transform.make_input_vec(),
            spectrum: transform.make_output_vec(),
            scratch: transform.make_scratch_vec(),
            transform,
        }
    }

    /// Number of bins of a frame: half the FFT length and one.
    pub fn bins(&self) -> usize {
        self.spectrum.len()
    }

    /// Writes the magnitudes of one window of samples to `magnitudes`, `[bins]`.
    ///
    /// # Panics
    /// When either length is not this transform's.
    pub fn magnitudes(&mut self, samples: &[f32], magnitudes: &mut [f32]) {
        self.powers(samples, magnitudes);
        for value in magnitudes {
            *value = value.sqrt();
        }
    }

    /// Writes the squared magnitudes of one window of samples to `powers`, `[bins]`.
    ///
    /// # Panics
    /// When either length is not this transform's.
    pub fn powers(&mut self, samples: &[f32], powers: &mut [f32]) {
        assert_eq!(samples.len(), self.window.len(), "samples of one window");
        assert_eq!(powers.len(), self.spectrum.len(), "one value a bin");
        let (windowed, padding) = self.input.split_at_mut(samples.len());
        for ((value, sample), weight) in windowed.iter_mut().zip(samples).zip(&self.window) {
            *value = sample * weight;
        }
        padding.fill(0.0);
        let planned = self.transform.process_with_scratch(
            &mut self.input,
            &mut self.spectrum,
            &mut self.scratch,
        );
        assert!(planned.is_ok(), "buffers come from the plan");
        for (power, value) in powers.iter_mut().zip(&self.spectrum) {
            *power = value.re * value.re + value.im * value.im;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_on_a_bin_has_half_the_window_s_sum_there() {
        let mut stft = Stft::new(512, 512);
        let samples: Vec<f32> =
            (0..512).map(|n| (2.0 * PI * 32.0 * f64::from(n) / 512.0).cos() as f32).collect();
        let mut magnitudes = vec![0.0; stft.bins()];
        stft.magnitudes(&samples, &mut magnitudes);
        // A periodic Hann window of 512 sums to 256; its main lobe spans one bin to each side.
        assert!((magnitudes[32] - 128.0).abs() < 1e-3);
        assert!((magnitudes[31] - 64.0).abs() < 1e-3);
        assert!(magnitudes[40] < 1e-3);
    }
}

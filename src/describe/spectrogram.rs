//! The spectrogram of a recording at its own rate, on the mel scale, in decibels.
//!
//! In: blocks of samples. Out: [`Spectrogram`], a bounded number of columns of [`BANDS`] levels.
//! Unlike a model's front end it shows everything up to half the recording's rate.
//!
//! A level of 0 dB is that of a sine at full scale: the powers of bins are divided by what such a
//! sine has in one half of the spectrum, N · Σ w² / 4 (Parseval), and bands are triangles that
//! sum to one.

use super::columns::{Column, Columns};
use crate::frontend::mel::{MelBank, mel, mel_hertz};
use crate::frontend::stft::Stft;
use crate::units::SampleRate;

/// Mel bands, from 0 Hz to half the sample rate.
pub const BANDS: usize = 128;
/// The lowest level that is told from silence, in decibels: below a step of 20 bits.
pub const FLOOR_DB: f32 = -120.0;

/// Length of the Hann window: a compromise of onsets and tones.
const WINDOW_S: f64 = 0.032;
/// Columns of a second, where a recording is short enough.
const UNITS_PER_SECOND: u32 = 500;
/// Windows follow one another every 16 units (32 ms) at most, so that nothing falls between them.
const MOST_STRIDE: usize = 16;
/// More than a picture has pixels across.
const MOST_COLUMNS: usize = 2_048;

/// The sum of the powers of some frames.
#[derive(Clone, Debug, Default)]
struct Powers {
    /// `[bands]`; empty of no frames.
    sums: Vec<f32>,
    frames: u32,
}

impl Column for Powers {
    fn add(&mut self, later: &Self) {
        self.frames += later.frames;
        if self.sums.is_empty() {
            self.sums.clone_from(&later.sums);
            return;
        }
        for (sum, &power) in self.sums.iter_mut().zip(&later.sums) {
            *sum += power;
        }
    }
}

/// The spectrogram of a recording, as far as it was heard.
#[derive(Debug)]
pub struct Spectrogram {
    sample_rate: SampleRate,
    window_samples: usize,
    unit_samples: usize,
    stft: Stft,
    bank: MelBank,
    /// What makes a sine at full scale 1.
    scale: f32,
    /// The last samples, from number `first` on: what a later window needs.
    samples: Vec<f32>,
    first: usize,
    received: usize,
    spectrum: Vec<f32>,
    columns: Columns<Powers>,
}

impl Spectrogram {
    /// The spectrogram of nothing yet, at `sample_rate`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "lengths are positive and short; designed in f64, applied in f32"
    )]
    pub fn new(sample_rate: SampleRate) -> Self {
        let hertz = sample_rate.hertz();
        // Even, so that a window has a middle.
        let window_samples = 2 * (WINDOW_S * f64::from(hertz) / 2.0).round() as usize;
        let nyquist_hz = f64::from(hertz) / 2.0;
        // Bins are no further apart than the lowest bands, so that each band has one at least.
        let lowest_hz = mel_hertz(mel(nyquist_hz) / (BANDS + 1) as f64);
        let bins = (f64::from(hertz) / lowest_hz).ceil() as usize;
        let fft_samples = bins.max(window_samples).next_power_of_two();
        let stft = Stft::new(window_samples, fft_samples);
        let bank = MelBank::new(BANDS, 0.0, nyquist_hz, stft.bins(), hertz);
        // The squares of a Hann window sum to 3/8 of its length.
        let squares = 0.375 * window_samples as f64;
        Self {
            sample_rate,
            window_samples,
            unit_samples: (hertz / UNITS_PER_SECOND).max(1) as usize,
            spectrum: vec![0.0; stft.bins()],
            stft,
            bank,
            scale: (4.0 / (fft_samples as f64 * squares)) as f32,
            samples: Vec::new(),
            first: 0,
            received: 0,
            columns: Columns::new(MOST_COLUMNS),
        }
    }

    /// Takes the next samples.
    pub fn push(&mut self, samples: &[f32]) {
        self.received += samples.len();
        self.samples.extend_from_slice(samples);
        self.cut(false);
    }

    /// Ends the recording.
    pub fn finish(&mut self) {
        let missing = self.window_samples.saturating_sub(self.samples.len());
        self.samples.resize(self.samples.len() + missing, 0.0);
        self.cut(true);
    }

    /// Takes the units whose windows are there. The middle of a unit's window is its first sample;
    /// near an edge the nearest window that lies in the recording stands for it, because an edge to
    /// silence would look like a click.
    fn cut(&mut self, is_over: bool) {
        let last = self.received.saturating_sub(self.window_samples);
        loop {
            let middle = self.columns.units() * self.unit_samples;
            let start = middle.saturating_sub(self.window_samples / 2);
            let start = if is_over { start.min(last) } else { start };
            let from = start - self.first;
            let window = self.samples.get(from..from + self.window_samples);
            let Some(window) = window.filter(|_| middle < self.received) else {
                // Also the last window may be asked for again.
                let needless = (start.min(last) - self.first).min(self.samples.len());
                self.samples.drain(..needless);
                self.first += needless;
                return;
            };
            let stride = (self.columns.units_per_column() / 2).clamp(1, MOST_STRIDE);
            let mut unit = Powers::default();
            if self.columns.units().is_multiple_of(stride) {
                self.stft.powers(window, &mut self.spectrum);
                unit = Powers { sums: vec![0.0; BANDS], frames: 1 };
                self.bank.sums(&self.spectrum, &mut unit.sums);
            }
            self.columns.push(&unit);
        }
    }

    /// The rate of the samples that it is of.
    pub fn sample_rate(&self) -> SampleRate {
        self.sample_rate
    }

    /// The mean level of each band in each of `count` columns, in decibels against a sine at full
    /// scale, at least [`FLOOR_DB`]: `[columns, bands]`, the lowest band first.
    pub fn levels(&self, count: usize) -> Vec<f32> {
        let columns = self.columns.resampled(count);
        let mut levels = Vec::with_capacity(columns.len() * BANDS);
        for Powers { sums, frames } in &columns {
            let scale = self.scale / (*frames).max(1) as f32;
            let before = levels.len();
            levels.extend(sums.iter().map(|sum| (10.0 * (sum * scale).log10()).max(FLOOR_DB)));
            levels.resize(before + BANDS, FLOOR_DB);
        }
        levels
    }

    /// How far up `hertz` lies: 0 at 0 Hz, 1 at half the sample rate.
    pub fn height(&self, hertz: f64) -> f64 {
        mel(hertz) / mel(f64::from(self.sample_rate.hertz()) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    fn sine(hertz: f64, rate: u32, seconds: u32, amplitude: f64) -> Vec<f32> {
        #[expect(clippy::cast_possible_truncation, reason = "samples are float32")]
        let sample =
            |n: u32| (amplitude * (2.0 * PI * hertz * f64::from(n) / f64::from(rate)).sin()) as f32;
        (0..rate * seconds).map(sample).collect()
    }

    fn spectrogram(samples: &[f32], rate: u32, block: usize) -> Spectrogram {
        let mut spectrogram = Spectrogram::new(SampleRate::new(rate).unwrap());
        samples.chunks(block).for_each(|block| spectrogram.push(block));
        spectrogram.finish();
        spectrogram
    }

    #[test]
    fn a_tone_of_1_khz_is_in_its_row_and_has_its_level() {
        for rate in [8_000, 16_000, 22_050, 44_100, 48_000, 96_000] {
            let found = spectrogram(&sine(1_000.0, rate, 2, 0.1), rate, 4_000);
            let levels = found.levels(10);
            assert_eq!(levels.len(), 10 * BANDS);
            let row = &levels[5 * BANDS..6 * BANDS];
            let best = (0..BANDS).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
            // Band b is centred at (b + 1) of BANDS + 1 steps.
            let expected = found.height(1_000.0) * (BANDS + 1) as f64 - 1.0;
            assert!((best as f64 - expected).abs() <= 0.51, "{rate} Hz: {best}, {expected}");
            // Triangles sum to one, so that all bands together have the tone's level: −20 dB.
            let power: f32 = row.iter().map(|level| 10.0_f32.powf(level / 10.0)).sum();
            let level = 10.0 * power.log10();
            // What a Hann window leaks outside the bands is less than a hundredth of a decibel.
            assert!((level + 20.0).abs() < 0.02, "{rate} Hz: {level}");
            // Two octaves up nothing is left but the window's side lobes.
            let above = row[BANDS * 7 / 8];
            assert!(above < -90.0, "{rate} Hz: {above}");
        }
    }

    #[test]
    fn blocks_do_not_matter() {
        let samples = sine(700.0, 16_000, 1, 0.5);
        let whole = spectrogram(&samples, 16_000, samples.len()).levels(50);
        for block in [7, 160, 9_999] {
            assert_eq!(spectrogram(&samples, 16_000, block).levels(50), whole);
        }
    }

    #[test]
    fn an_onset_is_where_it_is_however_long_the_recording() {
        // A tone in the second half, of a second and of two minutes.
        for seconds in [1, 120] {
            let mut samples = sine(500.0, 8_000, seconds, 0.5);
            let half = samples.len() / 2;
            samples[..half].fill(0.0);
            let levels = spectrogram(&samples, 8_000, 8_000).levels(100);
            let level = |column: usize| {
                let bands = levels[column * BANDS..][..BANDS].iter();
                10.0 * bands.map(|level| 10.0_f32.powf(level / 10.0)).sum::<f32>().log10()
            };
            // 128 bands at the floor sum to −99 dB. Half a window, 16 ms, reaches into two columns
            // of 10 ms, and one of 64 ms, as two minutes have, is less than one of 1.2 s.
            for silent in [0, 46] {
                assert!(level(silent) < -98.0, "{seconds} s: {}", level(silent));
            }
            for sounding in [52, 99] {
                assert!((level(sounding) + 6.0).abs() < 0.2, "{seconds} s: {}", level(sounding));
            }
        }
    }

    #[test]
    fn no_band_of_any_rate_is_between_bins() {
        for rate in [1_000, 8_000, 16_000, 32_000, 44_100, 48_000, 96_000, 192_000, 384_000] {
            let spectrogram = Spectrogram::new(SampleRate::new(rate).unwrap());
            let mut sums = vec![0.0; BANDS];
            spectrogram.bank.sums(&vec![1.0; spectrogram.stft.bins()], &mut sums);
            assert!(sums.iter().all(|&sum| sum > 0.0), "{rate} Hz");
        }
    }
}

//! Sound into a fingerprint: 32 bits every 16 ms that say how the spectrum changes.
//!
//! In: samples at 16 kHz. Out: [`Print`]s. Refuses nothing.
//!
//! After J. Haitsma and T. Kalker, "A Highly Robust Audio Fingerprinting System" (ISMIR 2002): bit
//! m of frame n is the sign of how the difference between bands m and m + 1 has changed since an
//! earlier frame. Gain does not touch it, codecs flip few bits, and two takes of one kind of sound
//! agree in about half of them. Ours differs where half a second must do: windows of 64 ms instead
//! of 370, logarithms of the bands instead of their energies, mel bands from 150 to 7,000 Hz, and
//! the frame before the last one, 32 ms ago, to compare with.

use super::mel::MelBank;
use super::stft::Stft;

/// Sample rate that fingerprints are taken at, in Hz.
pub const SAMPLE_RATE: u32 = 16_000;
/// Samples from one print to the next one: 16 ms.
pub const HOP_SAMPLES: usize = 256;
/// Samples that one print depends on: 96 ms.
pub const SPAN_SAMPLES: usize = WINDOW_SAMPLES + COMPARED_WITH * HOP_SAMPLES;
/// Samples of a window: 64 ms, so that half a second holds seven that do not overlap.
const WINDOW_SAMPLES: usize = 1_024;
/// How many frames back the bands are compared with.
const COMPARED_WITH: usize = 2;
/// Bands: one more than bits.
const BANDS: usize = 33;
/// Decibels below full scale that level 0 stands for.
const LOWEST_DB: f64 = -120.0;
/// Keeps the logarithm finite; far below what 16 bits can hold.
const LOG_OFFSET: f32 = 1e-9;

/// What is kept of 16 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Print {
    /// How the spectrum changed.
    pub bits: u32,
    /// How loud it is: decibels above −120 dB of full scale.
    pub level: u8,
}

/// Takes the fingerprint of one recording, as its samples come.
#[derive(Debug)]
pub struct Fingerprinter {
    stft: Stft,
    bank: MelBank,
    pending: Vec<f32>,
    magnitudes: Vec<f32>,
    /// Logarithms of the bands of the last frames, the newest last.
    earlier: [[f32; BANDS]; COMPARED_WITH],
    frames: usize,
}

impl Default for Fingerprinter {
    fn default() -> Self {
        let stft = Stft::new(WINDOW_SAMPLES, WINDOW_SAMPLES);
        Self {
            bank: MelBank::new(BANDS, 150.0, 7_000.0, stft.bins(), SAMPLE_RATE),
            magnitudes: vec![0.0; stft.bins()],
            stft,
            pending: Vec::new(),
            earlier: [[0.0; BANDS]; COMPARED_WITH],
            frames: 0,
        }
    }
}

impl Fingerprinter {
    /// Takes the next samples at [`SAMPLE_RATE`] and appends what can be said of them to `prints`.
    /// Print n begins n · [`HOP_SAMPLES`] into the recording and spans [`SPAN_SAMPLES`].
    pub fn push(&mut self, samples: &[f32], prints: &mut Vec<Print>) {
        self.pending.extend_from_slice(samples);
        let mut start = 0;
        while let Some(window) = self.pending.get(start..start + WINDOW_SAMPLES) {
            self.stft.magnitudes(window, &mut self.magnitudes);
            let mut bands = [0.0; BANDS];
            self.bank.log_bands(&self.magnitudes, LOG_OFFSET, &mut bands);
            if self.frames >= COMPARED_WITH {
                let bits = changes(&bands, &self.earlier[0]);
                prints.push(Print { bits, level: level(window) });
            }
            self.earlier.rotate_left(1);
            self.earlier[COMPARED_WITH - 1] = bands;
            self.frames += 1;
            start += HOP_SAMPLES;
        }
        self.pending.drain(..start);
    }
}

/// The signs of how the differences between neighbouring bands changed, lowest first.
fn changes(now: &[f32; BANDS], then: &[f32; BANDS]) -> u32 {
    (0..BANDS - 1).fold(0, |bits, band| {
        let change = (now[band] - now[band + 1]) - (then[band] - then[band + 1]);
        bits | (u32::from(change > 0.0) << band)
    })
}

/// The mean power of samples in whole decibels above [`LOWEST_DB`].
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to what a byte holds"
)]
fn level(samples: &[f32]) -> u8 {
    let power: f64 = samples.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>();
    let decibels = 10.0 * (power / samples.len() as f64).max(1e-30).log10();
    (decibels - LOWEST_DB).round().clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(count: usize, mut state: u32) -> Vec<f32> {
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| 0.3 * next()).collect()
    }

    fn prints(samples: &[f32], block: usize) -> Vec<Print> {
        let (mut fingerprinter, mut prints) = (Fingerprinter::default(), Vec::new());
        for samples in samples.chunks(block) {
            fingerprinter.push(samples, &mut prints);
        }
        prints
    }

    fn errors(a: &[Print], b: &[Print]) -> f64 {
        let wrong: u32 = a.iter().zip(b).map(|(a, b)| (a.bits ^ b.bits).count_ones()).sum();
        f64::from(wrong) / (32 * a.len().min(b.len())) as f64
    }

    #[test]
    fn half_a_second_has_26_prints_whatever_the_blocks() {
        let sound = noise(8_000, 1);
        let whole = prints(&sound, 8_000);
        assert_eq!(whole.len(), (8_000 - SPAN_SAMPLES) / HOP_SAMPLES + 1);
        assert_eq!(whole, prints(&sound, 123));
        assert!(prints(&sound[..SPAN_SAMPLES - 1], 100).is_empty());
    }

    #[test]
    fn gain_changes_levels_only_and_other_noise_half_of_the_bits() {
        let sound = noise(80_000, 1);
        let quiet: Vec<f32> = sound.iter().map(|sample| 0.25 * sample).collect();
        let (loud, quiet) = (prints(&sound, 999), prints(&quiet, 999));
        // Rounding turns a bit only where a change is next to nothing.
        assert!(errors(&loud, &quiet) < 1e-3);
        // A quarter is −12.04 dB, and both levels are rounded.
        assert!(loud.iter().zip(&quiet).all(|(a, b)| (11..=13).contains(&(a.level - b.level))));
        let other = prints(&noise(80_000, 2), 999);
        // 310 prints, of which every sixth is independent: 1,650 bits with a deviation of 0.012.
        assert!((errors(&loud, &other) - 0.5).abs() < 0.06);
        // One hop later is another sound.
        assert!(errors(&loud, &loud[1..]) > 0.15);
    }
}

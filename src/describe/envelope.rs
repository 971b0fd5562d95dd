//! The outline of a waveform: how far it goes up and down.
//!
//! In: blocks of samples. Out: [`Envelope`], a bounded number of columns with the lowest and the
//! highest sample and the root mean square of each.

use super::columns::{Column, Columns};
use crate::units::SampleRate;

/// Units of a second: finer than a pixel is, also of half a second of sound.
const UNITS_PER_SECOND: u32 = 2_000;
/// More than a picture has pixels across.
const MOST_COLUMNS: usize = 4_096;

/// What samples reach.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Extent {
    /// The lowest sample, or 0.
    pub lowest: f32,
    /// The highest sample, or 0.
    pub highest: f32,
    /// The sum of their squares.
    squares: f64,
    samples: u64,
}

impl Extent {
    fn take(&mut self, samples: &[f32]) {
        for &sample in samples {
            self.lowest = self.lowest.min(sample);
            self.highest = self.highest.max(sample);
            self.squares += f64::from(sample) * f64::from(sample);
        }
        self.samples += samples.len() as u64;
    }

    /// The root mean square of the samples; 0 of none.
    #[expect(clippy::cast_possible_truncation, reason = "summed in f64, drawn in f32")]
    pub fn rms(&self) -> f32 {
        (self.squares / self.samples.max(1) as f64).sqrt() as f32
    }
}

impl Column for Extent {
    fn add(&mut self, later: &Self) {
        self.lowest = self.lowest.min(later.lowest);
        self.highest = self.highest.max(later.highest);
        self.squares += later.squares;
        self.samples += later.samples;
    }
}

/// The envelope of a recording, as far as it was heard.
#[derive(Clone, Debug)]
pub struct Envelope {
    unit_samples: u64,
    unit: Extent,
    columns: Columns<Extent>,
}

impl Envelope {
    /// The envelope of nothing yet, at `sample_rate`.
    pub fn new(sample_rate: SampleRate) -> Self {
        let unit_samples = u64::from((sample_rate.hertz() / UNITS_PER_SECOND).max(1));
        Self { unit_samples, unit: Extent::default(), columns: Columns::new(MOST_COLUMNS) }
    }

    /// Takes the next samples.
    pub fn push(&mut self, mut samples: &[f32]) {
        while !samples.is_empty() {
            let room = self.unit_samples - self.unit.samples;
            let room = usize::try_from(room).unwrap_or(usize::MAX).min(samples.len());
            let (now, later) = samples.split_at(room);
            self.unit.take(now);
            if self.unit.samples == self.unit_samples {
                self.close_unit();
            }
            samples = later;
        }
    }

    /// Ends the recording: the last samples count, however few they are.
    pub fn finish(&mut self) {
        if self.unit.samples > 0 {
            self.close_unit();
        }
    }

    fn close_unit(&mut self) {
        self.columns.push(&self.unit);
        self.unit = Extent::default();
    }

    /// What the samples reach in each of `count` columns.
    pub fn extents(&self, count: usize) -> Vec<Extent> {
        self.columns.resampled(count)
    }

    /// The largest absolute value of a sample.
    pub fn peak(&self) -> f32 {
        let of_columns = self.columns.columns().iter();
        of_columns.map(|extent| extent.highest.max(-extent.lowest)).fold(0.0, f32::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ramp_shows_where_it_is_and_blocks_do_not_matter() {
        let samples: Vec<f32> = (0..50_001_u16).map(|n| f32::from(n) / 50_000.0 - 0.5).collect();
        let of = |block: usize| {
            let mut envelope = Envelope::new(SampleRate::new(16_000).unwrap());
            samples.chunks(block).for_each(|block| envelope.push(block));
            envelope.finish();
            envelope
        };
        let envelope = of(50_001);
        let extents = envelope.extents(10);
        assert_eq!(extents, of(333).extents(10));
        for (index, extent) in (0_u8..).zip(&extents) {
            let (low, high) = (f32::from(index) / 10.0 - 0.5, f32::from(index + 1) / 10.0 - 0.5);
            // A column reaches a unit of 8 samples and one of the kept columns (2 units) further.
            let slack = 24.0 / 50_000.0;
            assert!((extent.lowest - low.min(0.0)).abs() <= slack, "{extent:?}");
            assert!((extent.highest - high.max(0.0)).abs() <= slack, "{extent:?}");
        }
        assert!((envelope.peak() - 0.5).abs() < 1e-6);
    }

    #[test]
    fn the_root_mean_square_of_a_sine_is_its_amplitude_over_root_two() {
        let mut envelope = Envelope::new(SampleRate::new(8_000).unwrap());
        let sine: Vec<f32> = (0..8_000_u16)
            .map(|n| 0.5 * (f32::from(n) * 0.1 * std::f32::consts::PI).sin())
            .collect();
        envelope.push(&sine);
        envelope.finish();
        let all = envelope.extents(1);
        assert!((all[0].rms() - 0.5 / 2.0_f32.sqrt()).abs() < 1e-4, "{}", all[0].rms());
    }
}

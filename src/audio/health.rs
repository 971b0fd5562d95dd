//! What is wrong with a stretch of sound that a network would embed all the same.
//!
//! In: samples as decoded, before they are resampled. Out: [`Health`] of any stretch. Digital
//! silence, a constant, and clipping give vectors that resemble each other whatever was recorded,
//! so segments of them are marked and left out of searches. Refuses nothing.

use std::collections::VecDeque;

use super::segment::TimeRange;
use crate::units::SampleRate;

/// Stretches that are measured at once, in a second.
const BINS_PER_SECOND: u32 = 100;

/// One and a half steps of 16 bits: dither of one step is no sound.
const STEP: f32 = 1.5 / 32_768.0;

/// From here on a sample is at full scale. 32,767 of 32,768 is; what a lossy codec makes of
/// clipping lies above.
const FULL_SCALE: f32 = 0.9998;

/// Share of samples at full scale from which a stretch counts as clipped. A sine that is
/// overdriven by 0.1 dB spends a tenth of its time there; loud but sound music, less than a
/// hundredth.
const CLIPPED_SHARE: f64 = 0.05;

/// Why a segment is left out of the search of segments; nothing, when it is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health(u8);

impl Health {
    /// Nothing is wrong.
    pub const SOUND: Self = Self(0);
    /// No sample is more than 1.5 steps of 16 bits from zero.
    pub const SILENT: Self = Self(1);
    /// All samples have one value, give or take a step of 16 bits, that is not zero.
    pub const CONSTANT: Self = Self(2);
    /// Some samples were no numbers, and silence stands for them.
    pub const NON_FINITE: Self = Self(4);
    /// At least a twentieth of the samples is at full scale.
    pub const CLIPPED: Self = Self(8);

    /// Every kind, and its name.
    pub const KINDS: [(Self, &'static str); 4] = [
        (Self::SILENT, "silent"),
        (Self::CONSTANT, "constant"),
        (Self::NON_FINITE, "non-finite"),
        (Self::CLIPPED, "clipped"),
    ];

    /// The bits, as the library stores them.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// Health of its bits; bits that mean nothing are dropped.
    pub fn from_bits(bits: u8) -> Self {
        Self(bits & 0b1111)
    }

    /// Whether all of `other` holds.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What both have in common.
    #[must_use]
    pub fn in_common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// What was measured of a hundredth of a second.
#[derive(Clone, Copy, Debug)]
struct Bin {
    lowest: f32,
    highest: f32,
    samples: u32,
    at_full_scale: u32,
    non_finite: bool,
}

impl Bin {
    const EMPTY: Self = Self {
        lowest: f32::INFINITY,
        highest: f32::NEG_INFINITY,
        samples: 0,
        at_full_scale: 0,
        non_finite: false,
    };

    fn add(&mut self, samples: &[f32], non_finite: bool) {
        for &sample in samples {
            self.lowest = self.lowest.min(sample);
            self.highest = self.highest.max(sample);
            self.at_full_scale += u32::from(sample.abs() >= FULL_SCALE);
        }
        // A bin has a few thousand samples at most.
        self.samples += u32::try_from(samples.len()).unwrap_or(u32::MAX);
        self.non_finite |= non_finite;
    }
}

/// Measures one recording as it is decoded.
#[derive(Debug)]
pub struct Meter {
    sample_rate: u64,
    received: u64,
    /// The bins from `first_bin` on.
    bins: VecDeque<Bin>,
    first_bin: u64,
}

impl Meter {
    /// A meter for samples at `sample_rate`.
    pub fn new(sample_rate: SampleRate) -> Self {
        Self {
            sample_rate: u64::from(sample_rate.hertz()),
            received: 0,
            bins: VecDeque::new(),
            first_bin: 0,
        }
    }

    /// Takes the next samples; `non_finite` says whether some of them stand for no number.
    pub fn push(&mut self, mut samples: &[f32], non_finite: bool) {
        let bins_per_second = u64::from(BINS_PER_SECOND);
        while !samples.is_empty() {
            let index = self.received * bins_per_second / self.sample_rate;
            // Rates that are no multiple of the bins' make bins of two lengths.
            let end = ((index + 1) * self.sample_rate).div_ceil(bins_per_second);
            // At most 3,840: a hundredth of a second.
            let room = usize::try_from(end - self.received).unwrap_or(usize::MAX);
            let (now, later) = samples.split_at(samples.len().min(room));
            if index >= self.first_bin + self.bins.len() as u64 {
                self.bins.push_back(Bin::EMPTY);
            }
            if let Some(bin) = self.bins.back_mut() {
                bin.add(now, non_finite);
            }
            self.received += now.len() as u64;
            samples = later;
        }
    }

    /// The health of `range`, and forgets what lies before it.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "times are positive, and no recording has that many bins"
    )]
    pub fn health(&mut self, range: TimeRange) -> Health {
        let bin_at = |seconds: f64| (seconds * f64::from(BINS_PER_SECOND)).round() as u64;
        let (start, end) = (bin_at(range.start_s), bin_at(range.end_s));
        while self.first_bin < start && self.bins.len() > 1 {
            self.bins.pop_front();
            self.first_bin += 1;
        }
        let count = end.saturating_sub(self.first_bin).max(1);
        let mut all = Bin::EMPTY;
        let mut at_full_scale = 0_u64;
        let mut samples = 0_u64;
        for bin in self.bins.iter().take(usize::try_from(count).unwrap_or(usize::MAX)) {
            all.lowest = all.lowest.min(bin.lowest);
            all.highest = all.highest.max(bin.highest);
            all.non_finite |= bin.non_finite;
            at_full_scale += u64::from(bin.at_full_scale);
            samples += u64::from(bin.samples);
        }
        let mut health = Health::SOUND;
        if all.highest.max(-all.lowest) <= STEP {
            health = health.and(Health::SILENT);
        } else if all.highest - all.lowest <= STEP {
            health = health.and(Health::CONSTANT);
        }
        if all.non_finite {
            health = health.and(Health::NON_FINITE);
        }
        if at_full_scale as f64 >= CLIPPED_SHARE * samples.max(1) as f64 {
            health = health.and(Health::CLIPPED);
        }
        health
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health_of(samples: &[f32], range: (f64, f64)) -> Health {
        let mut meter = Meter::new(SampleRate::new(16_000).unwrap());
        for block in samples.chunks(997) {
            meter.push(block, block.iter().any(|x| x.to_bits() == 0x3f12_3456));
        }
        meter.health(TimeRange { start_s: range.0, end_s: range.1 })
    }

    fn sine(gain: f32) -> Vec<f32> {
        (0..32_000).map(|n| (gain * (n as f32 * 0.05).sin()).clamp(-1.0, 1.0)).collect()
    }

    #[test]
    fn each_kind_is_told_from_sound() {
        let whole = (0.0, 0.96);
        assert_eq!(health_of(&sine(0.5), whole), Health::SOUND);
        assert_eq!(health_of(&sine(0.001), whole), Health::SOUND);
        assert_eq!(health_of(&vec![0.0; 32_000], whole), Health::SILENT);
        assert_eq!(health_of(&sine(1.0 / 32_768.0), whole), Health::SILENT);
        assert_eq!(health_of(&vec![0.25; 32_000], whole), Health::CONSTANT);
        assert_eq!(health_of(&sine(2.0), whole), Health::CLIPPED);
        assert_eq!(health_of(&vec![1.0; 32_000], whole), Health::CONSTANT.and(Health::CLIPPED));
        let mut samples = sine(0.5);
        samples[5_000] = f32::from_bits(0x3f12_3456);
        assert_eq!(health_of(&samples, whole), Health::NON_FINITE);
    }

    #[test]
    fn only_the_stretch_counts() {
        let mut samples = sine(0.5);
        samples[16_000..].fill(0.0);
        assert_eq!(health_of(&samples, (0.48, 1.44)), Health::SOUND);
        assert_eq!(health_of(&samples, (0.99, 1.5)), Health::SOUND);
        assert_eq!(health_of(&samples, (1.0, 1.96)), Health::SILENT);
        // A stretch past the end is what there is of it.
        assert_eq!(health_of(&samples, (1.92, 2.88)), Health::SILENT);
    }

    #[test]
    fn what_is_past_is_forgotten() {
        let mut meter = Meter::new(SampleRate::new(16_000).unwrap());
        for second in 0..1_000 {
            meter.push(&vec![0.1; 16_000], false);
            let start_s = f64::from(second);
            let _ = meter.health(TimeRange { start_s, end_s: start_s + 1.0 });
        }
        assert!(meter.bins.len() <= 200);
    }

    #[test]
    fn odd_rates_do_not_drift() {
        // An hour at 11,025 Hz, of which the last second is silent.
        let mut meter = Meter::new(SampleRate::new(11_025).unwrap());
        for second in 0..3_600 {
            let value = if second % 2 == 0 { 0.5 } else { -0.5 };
            let mut samples = vec![if second == 3_599 { 0.0 } else { value }; 11_025];
            samples[0] = 0.0;
            meter.push(&samples, false);
            let start_s = f64::from(second) - 1.0;
            if second == 3_599 {
                let range = TimeRange { start_s: 3_599.0, end_s: 3_600.0 };
                assert_eq!(meter.health(range), Health::SILENT);
            } else if second > 0 {
                let range = TimeRange { start_s, end_s: start_s + 1.0 };
                assert_eq!(meter.health(range), Health::SOUND);
            }
        }
    }

    #[test]
    fn what_is_in_common() {
        let both = Health::SILENT.and(Health::NON_FINITE);
        assert_eq!(both.in_common(Health::SILENT), Health::SILENT);
        assert!(both.has(Health::SILENT) && !both.has(Health::CLIPPED));
        assert_eq!(Health::from_bits(255).bits(), 15);
    }
}

//! Numbers with units: sample rates, and the way between sample counts and seconds; times as they
//! are written ([`times`]).
//!
//! In: bare numbers from files and model cards. Out: checked ones. Refuses rates that no
//! recording has, which is how damaged headers show themselves.

pub mod times;

use std::fmt;
use std::num::NonZeroU32;

/// A sample rate in Hz, between [`SampleRate::MIN`] and [`SampleRate::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SampleRate(NonZeroU32);

impl SampleRate {
    /// The lowest rate that is read, in Hz.
    pub const MIN: u32 = 1_000;
    /// The highest rate that is read, in Hz: ultrasound recorders reach it.
    pub const MAX: u32 = 384_000;

    /// Checks a rate in Hz; `None` when it lies outside the range that is read.
    pub fn new(hertz: u32) -> Option<Self> {
        if (Self::MIN..=Self::MAX).contains(&hertz) {
            NonZeroU32::new(hertz).map(Self)
        } else {
            None
        }
    }

    /// The rate in Hz.
    pub fn hertz(self) -> u32 {
        self.0.get()
    }

    /// The time in seconds that `samples` samples take at this rate.
    pub fn seconds(self, samples: u64) -> f64 {
        samples as f64 / f64::from(self.hertz())
    }
}

impl fmt::Display for SampleRate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} Hz", self.hertz())
    }
}

/// A count as libraries with signed counts want it.
pub(crate) fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_outside_the_range_are_refused() {
        assert!(SampleRate::new(0).is_none());
        assert!(SampleRate::new(999).is_none());
        assert_eq!(SampleRate::new(8_012).unwrap().hertz(), 8_012);
        assert!(SampleRate::new(384_000).is_some());
        assert!(SampleRate::new(2_000_000_000).is_none());
    }
}

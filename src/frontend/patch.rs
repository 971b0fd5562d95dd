//! Log-mel patches from a stream of samples.
//!
//! In: blocks of samples of any length, then the end. Out: whole patches, in order. Pads the end
//! with zeros so that every sample is in a patch; only the samples and frames that later patches
//! still need are kept.

use super::mel::MelBank;
use super::spec::LogMelSpec;
use super::stft::Stft;

/// Cuts one recording into log-mel patches.
#[derive(Debug)]
pub struct PatchStream {
    spec: LogMelSpec,
    stft: Stft,
    bank: MelBank,
    /// Samples from the next frame's first on.
    samples: Vec<f32>,
    /// Frames from the next patch's first on, `[frames, mels]`.
    frames: Vec<f32>,
    magnitudes: Vec<f32>,
    received: usize,
}

impl PatchStream {
    /// A stream at the beginning of a recording.
    pub fn new(spec: LogMelSpec) -> Self {
        let stft = Stft::new(spec.window_samples, spec.fft_samples);
        let bank =
            MelBank::new(spec.mel_bands, spec.low_hz, spec.high_hz, stft.bins(), spec.sample_rate);
        let magnitudes = vec![0.0; stft.bins()];
        Self { spec, stft, bank, samples: Vec::new(), frames: Vec::new(), magnitudes, received: 0 }
    }

    /// Forgets everything, for the next recording.
    pub fn reset(&mut self) {
        self.samples.clear();
        self.frames.clear();
        self.received = 0;
    }

    /// Takes the next samples and appends the patches that they complete to `patches`,
    /// `[patches, frames, mels]`.
    pub fn push(&mut self, samples: &[f32], patches: &mut Vec<f32>) {
        self.received += samples.len();
        self.extend(samples, patches);
    }

    /// Pads the recording and appends its last patches.
    pub fn finish(&mut self, patches: &mut Vec<f32>) {
        let padding = self.spec.grid().padding(self.received);
        self.extend(&vec![0.0; padding], patches);
    }

    fn extend(&mut self, samples: &[f32], patches: &mut Vec<f32>) {
        self.samples.extend_from_slice(samples);
        self.cut_frames();
        self.cut_patches(patches);
    }

    fn cut_frames(&mut self) {
        let spec = &self.spec;
        let mut start = 0;
        while let Some(window) = self.samples.get(start..start + spec.window_samples) {
            self.stft.magnitudes(window, &mut self.magnitudes);
            let end = self.frames.len();
            self.frames.resize(end + spec.mel_bands, 0.0);
            self.bank.log_bands(&self.magnitudes, spec.log_offset, &mut self.frames[end..]);
            start += spec.hop_samples;
        }
        self.samples.drain(..start.min(self.samples.len()));
    }

    fn cut_patches(&mut self, patches: &mut Vec<f32>) {
        let hop = self.spec.patch_hop_frames * self.spec.mel_bands;
        let mut start = 0;
        while let Some(patch) = self.frames.get(start..start + self.spec.patch_values()) {
            patches.extend_from_slice(patch);
            start += hop;
        }
        self.frames.drain(..start.min(self.frames.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontend::spec::YAMNET;

    fn patches(samples: &[f32], block: usize) -> Vec<f32> {
        let mut stream = PatchStream::new(YAMNET);
        let mut patches = Vec::new();
        for block in samples.chunks(block) {
            stream.push(block, &mut patches);
        }
        stream.finish(&mut patches);
        patches
    }

    #[test]
    fn blocks_do_not_matter_and_the_count_is_the_grid_s() {
        for samples in [1, 400, 15_600, 15_601, 40_000] {
            let waveform: Vec<f32> = (0..samples).map(|n| (n as f32 * 0.1).sin()).collect();
            let whole = patches(&waveform, samples);
            assert_eq!(whole.len(), YAMNET.grid().patch_count(samples) * YAMNET.patch_values());
            for block in [1, 159, 7_001] {
                assert_eq!(patches(&waveform, block), whole, "{samples} samples by {block}");
            }
        }
    }

    #[test]
    fn neighbouring_patches_share_half_their_frames() {
        let waveform: Vec<f32> = (0..40_000).map(|n| (n as f32 * 0.01).sin()).collect();
        let all = patches(&waveform, 1_000);
        let values = YAMNET.patch_values();
        assert_eq!(all[values / 2..values], all[values..values + values / 2]);
    }
}

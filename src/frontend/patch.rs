//! Patches from a stream of samples.
//!
//! In: blocks of samples of any length, then the end. Out: whole patches of frames, in order. Pads
//! the end with zeros so that every sample is in a patch, unless the front end leaves a last one
//! out; only the samples and frames that later patches still need are kept.

use super::mel::MelFrames;
use super::spec::{Border, Features, FrontEnd};

/// Cuts one recording into patches.
#[derive(Debug)]
pub struct PatchStream {
    front_end: FrontEnd,
    mel: Option<MelFrames>,
    border: BorderStream,
    /// Samples from the next frame's first on, borders included.
    samples: Vec<f32>,
    /// Frames from the next patch's first on, `[frames, values]`.
    frames: Vec<f32>,
    received: usize,
    is_finished: bool,
}

impl PatchStream {
    /// A stream at the beginning of a recording.
    pub fn new(front_end: FrontEnd) -> Self {
        Self {
            front_end,
            mel: match front_end.features {
                Features::Samples => None,
                Features::Mel(mel) => Some(MelFrames::new(mel, front_end.sample_rate)),
            },
            border: BorderStream::new(front_end.border),
            samples: Vec::new(),
            frames: Vec::new(),
            received: 0,
            is_finished: false,
        }
    }

    /// Forgets everything, for the next recording.
    pub fn reset(&mut self) {
        self.border = BorderStream::new(self.front_end.border);
        self.samples.clear();
        self.frames.clear();
        self.received = 0;
        self.is_finished = false;
    }

    /// Takes the next samples and appends the patches that they complete to `patches`,
    /// `[patches, frames, values]`.
    pub fn push(&mut self, samples: &[f32], patches: &mut Vec<f32>) {
        self.received += samples.len();
        self.border.push(samples, &mut self.samples);
        self.cut(patches);
    }

    /// Pads the recording and appends its last patches.
    pub fn finish(&mut self, patches: &mut Vec<f32>) {
        self.is_finished = true;
        let (hop, count) = (self.front_end.patch_hop_samples(), self.patch_count());
        let own = (count - 1) * hop + self.front_end.patch_samples;
        // What a reference pads, it pads before it adds the border.
        let missing = own.saturating_sub(self.received);
        self.border.push(&vec![0.0; missing], &mut self.samples);
        self.border.finish(&mut self.samples);
        self.cut(patches);
        // Frames that reach past all of that end in silence.
        let grid = self.front_end.grid();
        let given = self.border.given;
        let whole = (count - 1) * grid.hop_samples + grid.window_samples;
        self.samples.resize(self.samples.len() + whole.saturating_sub(given), 0.0);
        self.cut(patches);
    }

    /// How many of the samples that patch number `patch` stands for are the recording's own, at
    /// least one; of a patch that has been given out.
    pub fn sound_samples(&self, patch: usize) -> usize {
        let whole = self.front_end.patch_samples;
        if !self.is_finished {
            return whole;
        }
        let behind = self.received.saturating_sub(patch * self.front_end.patch_hop_samples());
        behind.clamp(1, whole)
    }

    /// The patches of all that was received.
    fn patch_count(&self) -> usize {
        let (hop, whole) = (self.front_end.patch_hop_samples(), self.front_end.patch_samples);
        let count = 1 + self.received.saturating_sub(whole).div_ceil(hop);
        let last = self.received.saturating_sub((count - 1) * hop);
        let is_too_little = (last as f64) < self.front_end.least_last_share * whole as f64;
        if count > 1 && is_too_little { count - 1 } else { count }
    }

    fn cut(&mut self, patches: &mut Vec<f32>) {
        match &mut self.mel {
            Some(mel) => mel.cut(&mut self.samples, &mut self.frames),
            None => self.frames.append(&mut self.samples),
        }
        let values = self.front_end.frame_values();
        let hop = self.front_end.patch_hop_frames * values;
        let mut start = 0;
        while let Some(patch) = self.frames.get(start..start + self.front_end.patch_values()) {
            patches.extend_from_slice(patch);
            start += hop;
        }
        self.frames.drain(..start.min(self.frames.len()));
    }
}

/// Puts a border before the first sample of a stream and behind the last one.
#[derive(Debug)]
struct BorderStream {
    border: Border,
    /// The first samples, until there are enough to mirror.
    head: Vec<f32>,
    has_begun: bool,
    /// The last samples, to mirror.
    tail: Vec<f32>,
    /// Samples that were handed on.
    given: usize,
}

impl BorderStream {
    fn new(border: Border) -> Self {
        let has_begun = border == Border::None;
        Self { border, head: Vec::new(), has_begun, tail: Vec::new(), given: 0 }
    }

    fn push(&mut self, samples: &[f32], output: &mut Vec<f32>) {
        let before = output.len();
        match self.border {
            Border::None => output.extend_from_slice(samples),
            Border::Zeros(count) => {
                if !std::mem::replace(&mut self.has_begun, true) {
                    output.resize(output.len() + count, 0.0);
                }
                output.extend_from_slice(samples);
            }
            Border::Reflected(count) => self.push_reflected(count, samples, output),
        }
        self.given += output.len() - before;
    }

    fn push_reflected(&mut self, count: usize, samples: &[f32], output: &mut Vec<f32>) {
        let before = output.len();
        if self.has_begun {
            output.extend_from_slice(samples);
        } else {
            self.head.extend_from_slice(samples);
            if self.head.len() <= count {
                return;
            }
            output.extend(self.head[1..=count].iter().rev());
            output.append(&mut self.head);
            self.has_begun = true;
        }
        self.tail.extend_from_slice(&output[before..]);
        self.tail.drain(..self.tail.len().saturating_sub(count + 1));
    }

    /// Adds the border behind the last sample. Padding has made the stream longer than the border.
    fn finish(&mut self, output: &mut Vec<f32>) {
        let before = output.len();
        match self.border {
            Border::None => {}
            Border::Zeros(count) => output.resize(output.len() + count, 0.0),
            Border::Reflected(count) => {
                let last = self.tail.len().saturating_sub(1);
                output.extend(self.tail[..last].iter().rev().take(count));
            }
        }
        self.given += output.len() - before;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontend::spec::{
        CREPE, CRNN_BELL, MUSICNN, RESEMBLYZER, WAV2VEC2, WHISPER, YAMNET,
    };

    fn waveform(samples: usize) -> Vec<f32> {
        (0..samples).map(|n| (n as f32 * 0.1).sin() + 0.001 * n as f32).collect()
    }

    fn patches(front_end: FrontEnd, samples: &[f32], block: usize) -> Vec<f32> {
        let mut stream = PatchStream::new(front_end);
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
            let waveform = waveform(samples);
            let whole = patches(YAMNET, &waveform, samples);
            assert_eq!(whole.len(), YAMNET.grid().patch_count(samples) * YAMNET.patch_values());
            for block in [1, 159, 7_001] {
                assert_eq!(
                    patches(YAMNET, &waveform, block),
                    whole,
                    "{samples} samples by {block}"
                );
            }
        }
    }

    #[test]
    fn every_front_end_gives_the_same_patches_whatever_the_blocks() {
        for front_end in [CRNN_BELL, CREPE, RESEMBLYZER, MUSICNN, WHISPER, WAV2VEC2] {
            for samples in [1, 150, 201, 257, 8_000, 8_001, 50_001] {
                let waveform = waveform(samples);
                let whole = patches(front_end, &waveform, samples);
                assert_eq!(whole.len() % front_end.patch_values(), 0);
                assert!(!whole.is_empty());
                for block in [1, 97, 7_001] {
                    assert!(patches(front_end, &waveform, block) == whole, "{samples} by {block}");
                }
            }
        }
    }

    #[test]
    fn neighbouring_patches_share_half_their_frames() {
        let all = patches(YAMNET, &waveform(40_000), 1_000);
        let values = YAMNET.patch_values();
        assert_eq!(all[values / 2..values], all[values..values + values / 2]);
    }

    #[test]
    fn borders_are_what_they_say() {
        let samples = waveform(8_000);
        let zeros = patches(CREPE, &samples, 1_000);
        assert_eq!(zeros.len(), CREPE.patch_values());
        assert!(zeros[..512].iter().all(|&value| value == 0.0));
        assert_eq!(zeros[512..8_512], samples);

        // A front end of samples shows what the spectrum would see.
        let front_end = FrontEnd {
            border: Border::Reflected(3),
            patch_frames: 14,
            patch_hop_frames: 8,
            patch_samples: 8,
            step_samples: 8,
            ..CREPE
        };
        let eight: Vec<f32> = (0..8_u8).map(f32::from).collect();
        let mirrored = [3, 2, 1, 0, 1, 2, 3, 4, 5, 6, 7, 6, 5, 4_u8].map(f32::from);
        assert_eq!(patches(front_end, &eight, 3), mirrored);
        // What is missing is padded first, and mirrored with what is before it.
        let padded = [3, 2, 1, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0, 4_u8].map(f32::from);
        assert_eq!(patches(front_end, &eight[..5], 1), padded);
        let two = [0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0_u8].map(f32::from);
        assert_eq!(patches(front_end, &eight[..2], 1), two);
    }

    #[test]
    fn a_last_patch_of_little_sound_is_left_out_unless_alone() {
        let count = |samples: usize| {
            let found = patches(RESEMBLYZER, &waveform(samples), samples).len();
            found / RESEMBLYZER.patch_values()
        };
        assert_eq!(count(1_600), 1);
        assert_eq!(count(12_320 + 19_199), 1);
        assert_eq!(count(12_320 + 19_200), 2);
        assert_eq!(count(2 * 12_320 + 19_199), 2);
    }

    #[test]
    fn the_end_tells_how_much_is_sound() {
        let mut stream = PatchStream::new(WAV2VEC2);
        let mut patches = Vec::new();
        stream.push(&waveform(170_000), &mut patches);
        assert_eq!((patches.len(), stream.sound_samples(0)), (160_080, 160_000));
        stream.finish(&mut patches);
        assert_eq!((patches.len(), stream.sound_samples(1)), (2 * 160_080, 10_000));
    }
}

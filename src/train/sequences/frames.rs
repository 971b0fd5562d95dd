//! A recording as a stream of log-mel frames, some of them averaged to a step.
//!
//! In: a reader of patches, whose frames overlap. Out: one step after another. Refuses what cannot
//! be decoded.

use crate::error::Result;
use crate::extract::{PatchReader, Patches};
use crate::frontend::spec::FrontEnd;

/// Reads a recording to its end; calls `visit` with each step, the mean of `frames_a_step` frames,
/// `[bands]`. The last step is the mean of what is left. Returns how many there were: at least one.
pub(super) fn for_each_step(
    mut reader: PatchReader,
    front_end: FrontEnd,
    frames_a_step: usize,
    mut visit: impl FnMut(&[f32]) -> Result<()>,
) -> Result<usize> {
    let bands = front_end.frame_values();
    // The end is padded with silence to a whole patch. So much is held back until it is known
    // where the recording ends.
    let held_back = 2 * front_end.patch_frames * bands;
    let step_values = frames_a_step.max(1) * bands;
    let (mut patches, mut frames) = (Patches::default(), Vec::new());
    let (mut steps, mut emitted, mut is_first) = (0, 0, true);
    let mut emit = |frames: &[f32]| -> Result<()> {
        let mut step = vec![0.0; bands];
        for frame in frames.chunks_exact(bands) {
            step.iter_mut().zip(frame).for_each(|(sum, value)| *sum += value);
        }
        let count = (frames.len() / bands) as f32;
        for value in &mut step {
            *value /= count;
        }
        steps += 1;
        visit(&step)
    };
    loop {
        let goes_on = reader.read(&mut patches)?;
        for patch in patches.values.chunks_exact(front_end.patch_values()) {
            // Patches overlap: what is new in all but the first is their end.
            let known =
                if is_first { 0 } else { front_end.patch_frames - front_end.patch_hop_frames };
            is_first = false;
            frames.extend_from_slice(&patch[known * bands..]);
        }
        patches.clear();
        if !goes_on {
            break;
        }
        let mut done = 0;
        while frames.len() - done >= held_back + step_values {
            emit(&frames[done..done + step_values])?;
            done += step_values;
        }
        emitted += done / bands;
        frames.drain(..done);
    }
    let hop_s = front_end.hop_samples() as f64 / f64::from(front_end.sample_rate);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not below one")]
    let all = (reader.end().duration_s / hop_s).round().max(1.0) as usize;
    frames.truncate(all.saturating_sub(emitted).max(usize::from(emitted == 0)) * bands);
    frames.chunks(step_values).try_for_each(&mut emit)?;
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::resample::FilterCache;
    use crate::frontend::patch::PatchStream;
    use crate::frontend::spec::YAMNET;

    #[test]
    fn steps_are_means_of_the_front_end_s_frames_up_to_the_end() {
        let folder = tempfile::tempdir().unwrap();
        // Shorter than a patch; a whole number of steps; longer than what is held back.
        for samples in [1_u32, 4_000, 16_000 * 2, 16_000 * 5 + 700] {
            let path = folder.path().join(format!("{samples}.wav"));
            let spec = hound::WavSpec {
                channels: 1,
                sample_rate: 16_000,
                bits_per_sample: 16,
                sample_format: hound::SampleFormat::Int,
            };
            let mut writer = hound::WavWriter::create(&path, spec).unwrap();
            let mut state = 7_u32;
            let mut waveform = Vec::new();
            for _ in 0..samples {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let sample = i16::try_from(state >> 18).unwrap() - 8_192;
                writer.write_sample(sample).unwrap();
                waveform.push(f32::from(sample) / 32_768.0);
            }
            writer.finalize().unwrap();
            // Patches of a single frame are the frames themselves.
            let single = YAMNET.frame_by_frame();
            // Behind the end is silence.
            waveform.extend([0.0; 400]);
            let mut frames = Vec::new();
            PatchStream::new(single).push(&waveform, &mut frames);
            frames.truncate((samples as usize + 80).div_euclid(160).max(1) * 64);

            let reader = PatchReader::open(&path, YAMNET, &FilterCache::default()).unwrap();
            let mut steps = Vec::new();
            let visit = |step: &[f32]| {
                steps.extend_from_slice(step);
                Ok(())
            };
            let count = for_each_step(reader, YAMNET, 4, visit).unwrap();
            let wanted: Vec<f32> = frames
                .chunks(4 * 64)
                .flat_map(|some| {
                    let mean = |band: usize| {
                        let values = some.iter().skip(band).step_by(64);
                        values.clone().sum::<f32>() / values.count() as f32
                    };
                    (0..64).map(mean).collect::<Vec<f32>>()
                })
                .collect();
            assert_eq!((count * 64, steps.len()), (wanted.len(), wanted.len()), "{samples}");
            for (step, wanted) in steps.iter().zip(&wanted) {
                // Float noise; frames that are one hop off differ by tenths.
                assert!((step - wanted).abs() < 1e-4, "{samples}: {step}, {wanted}");
            }
        }
    }
}

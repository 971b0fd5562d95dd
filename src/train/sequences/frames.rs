//! A recording as a stream of log-mel frames, some of them averaged to a step.
//!
//! In: a reader of patches, whose frames overlap. Out: one step after another. Refuses what cannot
//! be decoded.

use crate::error::Result;
use crate::extract::{PatchReader, Patches};
use crate::frontend::spec::LogMelSpec;

/// Reads a recording to its end; calls `visit` with each step, the mean of `frames_a_step` frames,
/// `[bands]`. The last step is the mean of what is left. Returns how many there were: at least one.
pub(super) fn for_each_step(
    mut reader: PatchReader,
    spec: LogMelSpec,
    frames_a_step: usize,
    mut visit: impl FnMut(&[f32]) -> Result<()>,
) -> Result<usize> {
    let bands = spec.mel_bands;
    // The end is padded with silence to a whole patch. So much is held back until it is known
    // where the recording ends.
    let held_back = 2 * spec.patch_frames * bands;
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
        for patch in patches.values.chunks_exact(spec.patch_values()) {
            // Patches overlap: what is new in all but the first is their end.
            let known = if is_first { 0 } else { spec.patch_frames - spec.patch_hop_frames };
            is_first = false;
            frames.extend_from_slice(&patch[known * bands..]);
        }
        patches.values.clear();
        patches.health.clear();
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
    let hop_s = spec.hop_samples as f64 / f64::from(spec.sample_rate);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not below one")]
    let all = (reader.end().duration_s / hop_s).round().max(1.0) as usize;
    frames.truncate(all.saturating_sub(emitted).max(usize::from(emitted == 0)) * bands);
    frames.chunks(step_values).try_for_each(&mut emit)?;
    Ok(steps)
}

//! How loud a recording is, for front ends that raise quiet ones.
//!
//! In: an excerpt, read to its end. Out: what its samples are to be multiplied by. Refuses what
//! cannot be decoded.

use crate::audio::excerpt::Excerpt;
use crate::audio::resample::Resampler;
use crate::error::Result;

/// What raises the samples of `excerpt` to a root mean square of `level_dbfs` decibels against full
/// scale; 1 for those that are as loud already, and for silence.
///
/// Source: Resemblyzer 0.1.4, `audio.py`, `normalize_volume` with `increase_only`.
///
/// # Errors
/// [`Error::Decode`](crate::Error::Decode) when the stream cannot be read.
#[expect(clippy::cast_possible_truncation, reason = "computed in f64, applied in f32")]
pub(super) fn gain(mut excerpt: Excerpt, mut resampler: Resampler, level_dbfs: f64) -> Result<f32> {
    let (mut squares, mut count) = (0.0, 0_u64);
    let (mut mono, mut samples) = (Vec::new(), Vec::new());
    loop {
        samples.clear();
        let more = excerpt.next_block(&mut mono)?;
        if more {
            resampler.push(&mono, &mut samples);
        } else {
            resampler.finish(&mut samples);
        }
        squares += samples.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>();
        count += samples.len() as u64;
        if !more {
            break;
        }
    }
    let power = squares / count.max(1) as f64;
    let missing_db = level_dbfs - 10.0 * power.log10();
    let is_quiet = power > 0.0 && missing_db > 0.0;
    Ok(if is_quiet { 10.0_f64.powf(missing_db / 20.0) as f32 } else { 1.0 })
}

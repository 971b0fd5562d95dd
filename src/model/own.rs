//! The front ends of models that the user added.
//!
//! In: a card's rate, window, hop and mel bands. Out: [`FrontEnd`]. Refuses numbers with which
//! there is nothing to hear, or no end of memory.

use std::fmt::Write;

use sha2::Digest;

use super::card::{Base, ModelCard};
use crate::error::{AddedProblem, Result};
use crate::frontend::spec::{Border, Compression, Features, FrontEnd, MelSpec};
use crate::units::SampleRate;

/// Windows that a moment may lie in. A decoder holds all that begin in what it reads at once, and each
/// costs the network as much as the first.
const MOST_OVERLAP: f64 = 100.0;

/// Windows that a model may have, in seconds. A minute at 48 kHz is 11 MB.
const WINDOW_S: std::ops::RangeInclusive<f64> = 0.01..=60.0;
/// Values of a patch at most: a minute at 96 kHz.
const MOST_VALUES: usize = 6_000_000;
/// Values of a batch at most, 16 MB, so that memory stays what indexing counts on.
const BATCH_VALUES: usize = 4_000_000;
/// Patches of a batch at most.
const BATCH_PATCHES: usize = 16;
/// Longest spectrum, in samples.
const MOST_FFT: usize = 1 << 16;
/// Most mel bands.
const MOST_BANDS: usize = 1_024;

/// The front end of a model of the user's own: samples, or mel bands, without a border, one
/// embedding a patch. The last patch is padded with zeros.
pub(super) fn front_end(card: &ModelCard) -> FrontEnd {
    if let Some(inherited) = card.inherited {
        return inherited;
    }
    let features = card.mel.map_or(Features::Samples, Features::Mel);
    let (frame, hop) = card.mel.map_or((1, 1), |mel| (mel.window_samples, mel.hop_samples));
    let frames = |seconds: f64| frames_of(seconds, card.sample_rate, hop);
    let (patch_frames, patch_hop_frames) = (frames(card.window_s), frames(card.hop_s));
    FrontEnd {
        version: version(card, patch_frames, patch_hop_frames),
        sample_rate: card.sample_rate,
        level_dbfs: None,
        border: Border::None,
        features,
        patch_frames,
        patch_hop_frames,
        patch_samples: (patch_frames - 1) * hop + frame,
        steps: 1,
        step_samples: patch_frames * hop,
        least_last_share: 0.0,
    }
}

/// The front end of a model that reads several consecutive embeddings of another one, whose front
/// end is `own`: its patches hold all that those are made of.
pub(super) fn inherited(own: &FrontEnd, base: &Base) -> FrontEnd {
    let before = base.embeddings - 1;
    let text = format!("{} {} {}", own.version, base.embeddings, base.hop_embeddings);
    FrontEnd {
        version: number(&text),
        patch_frames: own.patch_frames + before * own.patch_hop_frames,
        patch_hop_frames: base.hop_embeddings * own.patch_hop_frames,
        patch_samples: own.patch_samples + before * own.patch_hop_samples(),
        step_samples: own.step_samples + before * own.patch_hop_samples(),
        ..*own
    }
}

/// Whole frames of `hop` samples that are nearest to `seconds`, at least one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, small")]
pub(super) fn frames_of(seconds: f64, sample_rate: u32, hop: usize) -> usize {
    ((seconds * f64::from(sample_rate) / hop as f64).round() as usize).max(1)
}

/// A number that is another one for every other front end: there is nobody who would count them.
fn version(card: &ModelCard, patch_frames: usize, patch_hop_frames: usize) -> u32 {
    let mut text = format!("{} {patch_frames} {patch_hop_frames}", card.sample_rate);
    if let Some(mel) = card.mel {
        let MelSpec { window_samples, hop_samples, fft_samples, mel_bands, .. } = mel;
        // Writing to a text cannot fail.
        let _ = write!(
            text,
            " {window_samples} {hop_samples} {fft_samples} {:?} {mel_bands} {:?} {:?} {:?} {:?}",
            mel.spectrum, mel.low_hz, mel.high_hz, mel.scale, mel.compression
        );
    }
    if card.remote.is_some() {
        text += " in 16 bits";
    }
    if patch_frames <= patch_hop_frames {
        text += " by shares";
    }
    number(&text)
}

/// A number that is another one for every hidden layer of a network, which all give other vectors.
pub(super) fn version_of_layer(version: u32, layer: usize) -> u32 {
    number(&format!("version {version}, layer {layer}"))
}

/// The beginning of a text's hash.
fn number(text: &str) -> u32 {
    let hash = sha2::Sha256::digest(text.as_bytes());
    // Room above it is left for signed columns.
    u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3] & 0x7f])
}

/// Patches that go at once.
pub(super) fn batch_patches(front_end: &FrontEnd) -> usize {
    (BATCH_VALUES / front_end.patch_values().max(1)).clamp(1, BATCH_PATCHES)
}

/// Checks the numbers of `card`, and makes its window and hop what whole frames give.
///
/// # Errors
/// [`AddedProblem::Setting`].
pub(super) fn settle(card: &mut ModelCard) -> Result<()> {
    if card.inherited.is_none() {
        check(card)?;
    }
    let front_end = front_end(card);
    let values = front_end.patch_values();
    require(values <= MOST_VALUES, "a window", format!("{values} values"), || {
        format!("{MOST_VALUES} at most")
    })?;
    card.sample_rate = front_end.sample_rate;
    card.window_s = front_end.step_s();
    card.hop_s = front_end.step_hop_s();
    Ok(())
}

/// Refuses a model whose windows overlap too often to be added; one that was added before that was
/// asked works as it did.
pub(super) fn check_overlap(card: &ModelCard) -> Result<()> {
    let (window_s, hop_s) = (card.window_s, card.hop_s);
    let least_s = window_s / MOST_OVERLAP;
    // What was typed as a hundredth is one.
    require(hop_s >= least_s * (1.0 - 1e-9), "the hop", format!("{hop_s} s"), || {
        format!("{least_s} s at least, with a window of {window_s} s")
    })
}

fn check(card: &ModelCard) -> Result<()> {
    let rate = card.sample_rate;
    require(SampleRate::new(rate).is_some(), "the rate", format!("{rate} Hz"), || {
        format!("{} to {} Hz", SampleRate::MIN, SampleRate::MAX)
    })?;
    let (window_s, hop_s) = (card.window_s, card.hop_s);
    require(WINDOW_S.contains(&window_s), "the window", format!("{window_s} s"), || {
        format!("{} to {} s", WINDOW_S.start(), WINDOW_S.end())
    })?;
    require(hop_s > 0.0 && hop_s <= window_s, "the hop", format!("{hop_s} s"), || {
        format!("more than 0 and at most the window of {window_s} s")
    })?;
    if let Some(mel) = card.mel {
        check_mel(mel, rate)?;
    }
    Ok(())
}

fn check_mel(mel: MelSpec, sample_rate: u32) -> Result<()> {
    let MelSpec { window_samples, hop_samples, fft_samples, mel_bands, low_hz, high_hz, .. } = mel;
    let is_in_order = (2..=MOST_FFT).contains(&fft_samples)
        && (2..=fft_samples).contains(&window_samples)
        && (1..=window_samples).contains(&hop_samples);
    let found = format!("{window_samples}, {hop_samples} and {fft_samples} samples");
    require(is_in_order, "a frame's window, hop and spectrum", found, || {
        format!("a hop within the window, and that within the spectrum of at most {MOST_FFT}")
    })?;
    require((1..=MOST_BANDS).contains(&mel_bands), "mel_bands", mel_bands.to_string(), || {
        format!("1 to {MOST_BANDS}")
    })?;
    let nyquist = f64::from(sample_rate) / 2.0;
    let is_range = (0.0..high_hz).contains(&low_hz) && high_hz <= nyquist;
    require(is_range, "the bands' range", format!("{low_hz} to {high_hz} Hz"), || {
        format!("an ascending one between 0 and {nyquist} Hz")
    })?;
    if let Compression::Logarithm { offset } = mel.compression {
        let is_right = offset.is_finite() && offset > 0.0;
        require(is_right, "the logarithm's offset", offset.to_string(), || "above 0".to_owned())?;
    }
    Ok(())
}

/// Refuses `what` with what was `found`, unless it is right.
pub(super) fn require(
    is_right: bool,
    what: &'static str,
    found: String,
    expected: impl FnOnce() -> String,
) -> Result<()> {
    if is_right {
        return Ok(());
    }
    Err(AddedProblem::Setting { what, found, expected: expected() }.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontend::spec::{YAMNET, YAMNET_MEL};
    use crate::model::registry;

    fn card(mel: Option<MelSpec>, (sample_rate, window_s, hop_s): (u32, f64, f64)) -> ModelCard {
        let card = registry::find("yamnet").unwrap().clone();
        ModelCard { sample_rate, window_s, hop_s, mel, ..card }
    }

    #[test]
    fn yamnet_s_numbers_give_yamnet_s_front_end() {
        let front_end = front_end(&card(Some(YAMNET_MEL), (16_000, 0.96, 0.48)));
        assert_eq!(FrontEnd { version: 1, ..front_end }, YAMNET);
    }

    #[test]
    fn samples_are_frames_of_one() {
        let mut card = card(None, (32_000, 1.0, 0.5));
        settle(&mut card).unwrap();
        let front_end = front_end(&card);
        assert_eq!((front_end.patch_values(), front_end.patch_hop_samples()), (32_000, 16_000));
        assert_eq!(front_end.patch_samples, 32_000);
        assert_eq!(batch_patches(&front_end), 16);
        // A third of a second is no whole number of samples: the card says what there is.
        card.hop_s = 1.0 / 3.0;
        settle(&mut card).unwrap();
        assert!((card.hop_s - 10_667.0 / 32_000.0).abs() < 1e-12);
    }

    #[test]
    fn other_numbers_are_another_version() {
        let of = |mel, numbers| front_end(&card(mel, numbers)).version;
        let numbers = (32_000, 1.0, 0.5);
        let narrow = MelSpec { mel_bands: 40, ..YAMNET_MEL };
        let versions = [
            of(None, numbers),
            of(None, (32_000, 1.0, 0.25)),
            of(None, (16_000, 1.0, 0.5)),
            of(Some(YAMNET_MEL), numbers),
            of(Some(narrow), numbers),
        ];
        for (index, version) in versions.iter().enumerate() {
            assert!(!versions[..index].contains(version), "{versions:?}");
        }
        assert_eq!(versions[0], of(None, numbers));
    }

    #[test]
    fn numbers_that_make_no_sense_are_refused() {
        for numbers in [
            (10, 1.0, 0.5),
            (16_000, 0.0, 0.5),
            (16_000, f64::NAN, 0.5),
            (16_000, 61.0, 0.5),
            (16_000, 1.0, 0.0),
            (16_000, 1.0, 1.5),
            (384_000, 60.0, 1.0),
        ] {
            assert!(settle(&mut card(None, numbers)).is_err(), "{numbers:?}");
        }
        for mel in [
            MelSpec { window_samples: 600, ..YAMNET_MEL },
            MelSpec { hop_samples: 0, ..YAMNET_MEL },
            MelSpec { high_hz: 9_000.0, ..YAMNET_MEL },
            MelSpec { mel_bands: 0, ..YAMNET_MEL },
            MelSpec { compression: Compression::Logarithm { offset: 0.0 }, ..YAMNET_MEL },
        ] {
            assert!(settle(&mut card(Some(mel), (16_000, 1.0, 0.5))).is_err(), "{mel:?}");
        }
    }
}

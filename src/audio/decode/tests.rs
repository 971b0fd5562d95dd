#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "samples are counted in whole numbers"
)]

use std::f64::consts::PI;
use std::path::PathBuf;

use super::*;
use proptest::prelude::*;

mod formats;
mod oddities;
mod passing;
mod wav_files;

/// A WAV file, byte by byte.
struct Wav {
    bytes: Vec<u8>,
}

impl Wav {
    fn new() -> Self {
        Self { bytes: b"RIFF\0\0\0\0WAVE".to_vec() }
    }

    fn chunk(self, name: [u8; 4], body: &[u8]) -> Self {
        let length = u32::try_from(body.len()).unwrap();
        self.chunk_of_length(name, length, body).pad(body.len() % 2)
    }

    /// A chunk whose header may lie about its length; without a pad byte.
    fn chunk_of_length(mut self, name: [u8; 4], length: u32, body: &[u8]) -> Self {
        self.bytes.extend(name);
        self.bytes.extend(length.to_le_bytes());
        self.bytes.extend(body);
        self
    }

    fn pad(mut self, bytes: usize) -> Self {
        self.bytes.extend(vec![0; bytes]);
        self
    }

    /// A plain `fmt ` chunk of 16 bytes.
    fn format(self, tag: u16, channels: u16, rate: u32, bits: u16) -> Self {
        self.chunk(*b"fmt ", &format(tag, channels, rate, bits, channels * bits.div_ceil(8)))
    }

    fn data(self, body: &[u8]) -> Self {
        self.chunk(*b"data", body)
    }

    fn decode(&self) -> std::result::Result<Decoding, String> {
        decode_bytes("take.wav", &self.bytes)
    }
}

fn format(tag: u16, channels: u16, rate: u32, bits: u16, block_align: u16) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(tag.to_le_bytes());
    body.extend(channels.to_le_bytes());
    body.extend(rate.to_le_bytes());
    body.extend((rate.wrapping_mul(block_align.into())).to_le_bytes());
    body.extend(block_align.to_le_bytes());
    body.extend(bits.to_le_bytes());
    body
}

fn extensible(channels: u16, rate: u32, bits: u16, valid_bits: u16, tag: u16) -> Vec<u8> {
    let mut body = format(0xfffe, channels, rate, bits, channels * bits.div_ceil(8));
    body.extend(22_u16.to_le_bytes());
    body.extend(valid_bits.to_le_bytes());
    body.extend(0_u32.to_le_bytes());
    body.extend(tag.to_le_bytes());
    body.extend(*b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71");
    body
}

fn pcm16(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

#[derive(Clone, Debug, PartialEq)]
struct Decoding {
    samples: Vec<f32>,
    rate: u32,
    channels: u16,
    codec: String,
    integrity: Integrity,
    non_finite: u64,
}

/// Decodes all of a file; errors as the text that a user would see.
fn decode_file(path: &Path) -> std::result::Result<Decoding, String> {
    let told = |error: Error| {
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    };
    let mut decoder = Decoder::open(path).map_err(told)?;
    let (mut samples, mut block) = (Vec::new(), Vec::new());
    while decoder.next_block(&mut block).map_err(told)? {
        samples.extend_from_slice(&block);
        // No file here is longer than seconds: one that does not end is stuck.
        assert!(samples.len() < 100_000_000, "{} does not end", path.display());
    }
    assert_eq!(samples.len() as u64, decoder.frames());
    let format = decoder.format();
    Ok(Decoding {
        samples,
        rate: format.sample_rate.hertz(),
        channels: format.channels,
        codec: format.codec.clone(),
        integrity: decoder.integrity(),
        non_finite: decoder.non_finite(),
    })
}

fn decode_bytes(name: &str, bytes: &[u8]) -> std::result::Result<Decoding, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    decode_file(&path)
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The chirp of `tests/fixtures/make_fixtures.sh`.
fn chirp(rate: u32, sample: usize) -> f64 {
    let t = sample as f64 / f64::from(rate);
    0.5 * (2.0 * PI * (200.0 * t + 1_500.0 * t * t)).sin()
}

/// The largest difference between `samples` and the chirp times `scale`, delayed by `delay`,
/// away from the chirp's ends, where codecs smear.
fn chirp_error(samples: &[f32], rate: u32, scale: f64, delay: usize) -> f64 {
    let length = (0.6 * f64::from(rate)).round() as usize;
    let edge = rate as usize / 50;
    (edge..length - edge)
        .map(|n| (f64::from(samples[n + delay]) - scale * chirp(rate, n)).abs())
        .fold(0.0, f64::max)
}

// ---- WAV headers as they are found ----

const RAMP: [i16; 6] = [0, 8_192, -8_192, 16_384, -32_768, 32_767];

fn ramp() -> Vec<f32> {
    RAMP.iter().map(|&sample| f32::from(sample) / 32_768.0).collect()
}

fn assert_ramp(wav: &Wav, integrity: Integrity) {
    let decoding = wav.decode().unwrap();
    assert_eq!(decoding.samples, ramp());
    assert_eq!(decoding.integrity, integrity);
    assert_eq!(decoding.codec, "pcm_s16le");
}

#[test]
fn encoded_files_equal_the_chirp_without_delay() {
    // Half a 16-bit step and its rounding; A-law and µ-law step by 1/32 of the value; ADPCM by its
    // step where the chirp is steepest; the others by their quantisation. One sample of delay
    // would err by 0.28 at the chirp's end at 22050 Hz, 0.07 in the halved ones at 44100.
    for (name, rate, channels, codec, scale, tolerance) in [
        ("chirp.flac", 22_050, 1, "flac", 1.0, 2e-5),
        ("chirp_stereo.flac", 44_100, 2, "flac", 0.5, 2e-5),
        ("chirp.aif", 22_050, 1, "pcm_s16be", 1.0, 3e-5),
        ("chirp_float.aifc", 22_050, 2, "pcm_f32be", 0.5, 1e-6),
        ("chirp_little_endian.aifc", 22_050, 1, "pcm_s16le", 1.0, 3e-5),
        ("chirp_rf64.wav", 22_050, 1, "pcm_s16le", 1.0, 3e-5),
        ("chirp.ogg", 22_050, 1, "vorbis", 1.0, 0.03),
        ("chirp_stereo.ogg", 44_100, 2, "vorbis", 0.5, 0.03),
        ("chirp.mp3", 22_050, 1, "mp3", 1.0, 0.03),
        ("chirp_alaw.wav", 22_050, 1, "pcm_alaw", 1.0, 0.02),
        ("chirp_mulaw.wav", 22_050, 1, "pcm_mulaw", 1.0, 0.02),
        ("chirp_adpcm_ms.wav", 22_050, 1, "adpcm_ms", 1.0, 0.06),
        ("chirp_adpcm_ms_stereo.wav", 22_050, 2, "adpcm_ms", 0.5, 0.03),
        ("chirp_adpcm_ima.wav", 22_050, 1, "adpcm_ima_wav", 1.0, 0.06),
        ("chirp_adpcm_ima_stereo.wav", 22_050, 2, "adpcm_ima_wav", 0.5, 0.03),
    ] {
        let decoding = decode_file(&fixture(name)).unwrap();
        assert_eq!(
            (decoding.rate, decoding.channels, decoding.codec.as_str()),
            (rate, channels, codec),
            "{name}"
        );
        assert_eq!(decoding.integrity, Integrity::Ok, "{name}");
        let length = (0.6 * f64::from(rate)).round() as usize;
        assert!(
            (length..length + 1_200).contains(&decoding.samples.len()),
            "{name}: {} samples of {length}",
            decoding.samples.len()
        );
        let error = chirp_error(&decoding.samples, rate, scale, 0);
        assert!(error < tolerance, "{name}: {error}");
    }
}

#[test]
fn mpeg_audio_without_a_tag_has_its_encoder_s_delay() {
    // Nothing in these files says how long the delay is; the chirp is there, somewhere near the
    // beginning.
    for (name, rate, codec) in [("chirp_mp3.wav", 22_050, "mp3"), ("chirp.mp2", 44_100, "mp2")] {
        let decoding = decode_file(&fixture(name)).unwrap();
        assert_eq!((decoding.rate, decoding.codec.as_str()), (rate, codec));
        // The first half: the delay pushes the chirp's end out of the last frame.
        let half = (0.3 * f64::from(rate)).round() as usize;
        let best = (0..1_500)
            .map(|delay| {
                (half / 10..half)
                    .map(|n| (f64::from(decoding.samples[n + delay]) - chirp(rate, n)).abs())
                    .fold(0.0, f64::max)
            })
            .fold(f64::MAX, f64::min);
        assert!(best < 0.05, "{name}: {best}");
    }
}

#[test]
fn codecs_that_are_not_decoded_are_named() {
    assert!(decode_file(&fixture("chirp_gsm.wav")).unwrap_err().contains("GSM"));
    for (name, codec) in
        [("chirp_surround.m4a", "AAC of 6 channels"), ("chirp_discrete.opus", "Opus of an unusual")]
    {
        let error = decode_file(&fixture(name)).unwrap_err();
        assert!(error.contains(codec), "{error}");
    }
}

#[test]
fn compressed_files_that_were_cut_off_are_marked() {
    for name in [
        "chirp.aif",
        "chirp_rf64.wav",
        "chirp.flac",
        "noise.ogg",
        "chirp.mp3",
        "chirp.mp2",
        "chirp_adpcm_ms.wav",
        "chirp_mp3.wav",
    ] {
        let bytes = std::fs::read(fixture(name)).unwrap();
        let whole = decode_bytes(name, &bytes).unwrap();
        assert_eq!(whole.integrity, Integrity::Ok, "{name}");
        let cut = decode_bytes(name, &bytes[..bytes.len() * 2 / 3]).unwrap();
        assert_eq!(cut.integrity, Integrity::Truncated, "{name}");
        let share = cut.samples.len() as f64 / whole.samples.len() as f64;
        assert!((0.3..0.9).contains(&share), "{name}: {share} of the samples");
    }
}

#[test]
fn damage_in_the_middle_shifts_nothing() {
    let mut bytes = std::fs::read(fixture("chirp_stereo.flac")).unwrap();
    // The first 8 KiB are padding.
    let middle = bytes.len() * 2 / 3;
    bytes[middle..middle + 40].fill(0xa5);
    let decoding = decode_bytes("take.flac", &bytes).unwrap();
    assert_eq!(decoding.integrity, Integrity::Damaged);
    let rate = 44_100;
    assert_eq!(decoding.samples.len(), 26_460);
    // The last 100 ms are what they were, where they were.
    let error = (22_000..26_000)
        .map(|n| (f64::from(decoding.samples[n]) - 0.5 * chirp(rate, n)).abs())
        .fold(0.0, f64::max);
    assert!(error < 2e-5, "{error}");
}

/// Panics of symphonia 0.6.1, seen with mutated files: overflow checks, and a seek to nowhere in
/// MP4.
const SYMPHONIAS_OWN: [&str; 2] = ["attempt to", "assertion failed: pos - old_pos"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever is done to a file, it decodes to finite samples or fails with a reason. A panic
    /// fails this test unless it is symphonia's own arithmetic, which indexing shields itself
    /// from.
    #[test]
    fn mutated_files_never_panic_in_our_code(
        file in prop::sample::select(vec![
            "chirp.flac", "chirp.ogg", "chirp.mp3", "chirp_alaw.wav", "chirp_adpcm_ms.wav",
            "chirp_adpcm_ima_stereo.wav", "chirp_mp3.wav", "chirp.aif", "chirp_ima4.caf",
            "chirp_alac.caf", "chirp_float.caf", "chirp.aac", "chirp_he.aac", "chirp.m4a",
            "chirp_alac.m4a", "chirp_fragments.mp4", "chirp_video.mp4", "chirp_opus.mp4",
            "chirp_opus.webm", "chirp_aac.mka", "chirp_video.mkv", "chirp_stereo.opus",
            "chirp_surround.opus", "chirp_speech.opus", "chirp.w64", "chirp.au",
        ]),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        at_head in any::<bool>(),
        head in prop::sample::select(vec![100, 1_000]),
        cut in any::<prop::sample::Index>(),
        shorten in prop::bool::weighted(0.2),
    ) {
        let mut bytes = std::fs::read(fixture(file)).unwrap();
        for (index, byte) in edits {
            let reach = if at_head { bytes.len().min(head) } else { bytes.len() };
            let position = index.index(reach);
            bytes[position] = byte;
        }
        if shorten {
            bytes.truncate(cut.index(bytes.len()));
        }
        let decoded = std::panic::catch_unwind(|| decode_bytes(file, &bytes));
        if let Ok(Ok(decoding)) = decoded {
            prop_assert!(decoding.samples.iter().all(|sample| sample.is_finite()));
        } else if let Err(panic) = decoded {
            let message = panic.downcast_ref::<String>().cloned();
            let message = message.or(panic.downcast_ref::<&str>().map(ToString::to_string));
            let message = message.unwrap_or_default();
            let known = SYMPHONIAS_OWN.iter().any(|known| message.starts_with(known));
            prop_assert!(known, "{file}: {message}");
        }
    }
}

mod recorded;

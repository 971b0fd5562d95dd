//! Every format whole, cut off, damaged and empty.
//!
//! In: the fixtures, which all hold the chirp of `make_fixtures.sh`. Out: samples compared with
//! its formula at the place where they belong.

use super::*;
use crate::units::signed;

/// A whole fixture and what it decodes to.
struct Whole {
    file: &'static str,
    rate: u32,
    channels: u16,
    codec: &'static str,
    frames: usize,
    /// Frames that an encoder put in front of the chirp and no header speaks of.
    delay: usize,
    /// The largest error, away from the chirp's ends. A shift by one sample errs by 0.28 at the
    /// chirp's end at 22.05 kHz and by 0.13 at 48 kHz, divided by the number of channels.
    tolerance: f64,
}

const fn whole(
    file: &'static str,
    (rate, channels): (u32, u16),
    codec: &'static str,
    (frames, delay): (usize, usize),
    tolerance: f64,
) -> Whole {
    Whole { file, rate, channels, codec, frames, delay, tolerance }
}

const MONO: (u32, u16) = (22_050, 1);
const OPUS: (u32, u16) = (48_000, 1);

/// Half a step of 16 bits and its rounding.
const STEP_16: f64 = 3e-5;
/// AAC of 96 kbit/s: what its quantisation leaves, measured with ffmpeg's decoder too.
const AAC: f64 = 0.12;

const WHOLE: [Whole; 30] = [
    whole("chirp.caf", MONO, "pcm_s16le", (13_230, 0), STEP_16),
    whole("chirp_big_endian.caf", MONO, "pcm_s16be", (13_230, 0), STEP_16),
    whole("chirp_float.caf", (22_050, 2), "pcm_f32be", (13_230, 0), 1e-6),
    whole("chirp_alaw.caf", MONO, "pcm_alaw", (13_230, 0), 0.02),
    // Blocks of 64 frames, the last one filled up.
    whole("chirp_ima4.caf", MONO, "adpcm_ima_qt", (13_248, 0), 0.06),
    whole("chirp_ima4_stereo.caf", (22_050, 2), "adpcm_ima_qt", (13_248, 0), 0.03),
    whole("chirp_alac.caf", MONO, "alac", (13_230, 0), STEP_16),
    whole("chirp_alac.m4a", MONO, "alac", (13_230, 0), STEP_16),
    // ffmpeg counts the padding to eight bytes among the samples.
    whole("chirp.w64", MONO, "pcm_s16le", (13_232, 0), STEP_16),
    whole("chirp.au", MONO, "pcm_s16be", (13_230, 0), STEP_16),
    whole("chirp_pcm.mov", MONO, "pcm_s16le", (13_230, 0), STEP_16),
    whole("chirp_flac.mka", MONO, "flac", (13_230, 0), STEP_16),
    // MP4 says what the encoder added; ADTS and fragments cannot, and ffmpeg's Matroska does not.
    whole("chirp.m4a", MONO, "aac", (13_230, 0), AAC),
    whole("chirp_index_last.m4a", MONO, "aac", (13_230, 0), AAC),
    whole("chirp_video.mp4", MONO, "aac", (13_230, 0), AAC),
    whole("chirp.aac", MONO, "aac", (14_336, 1_024), AAC),
    whole("chirp_aac.mka", MONO, "aac", (14_336, 1_024), AAC),
    whole("chirp_video.mkv", MONO, "aac", (14_336, 1_024), AAC),
    whole("chirp_fragments.mp4", MONO, "aac", (14_336, 1_024), AAC),
    // Whose header does not say how many channels there are.
    whole("chirp_mp3.mp4", (44_100, 2), "mp3", (26_460, 0), 0.05),
    // The core of HE-AAC: half of 44.1 kHz, 24 and 32 kbit/s.
    whole("chirp_he.aac", MONO, "he_aac", (16_384, 2_047), 0.15),
    whole("chirp_he.m4a", MONO, "he_aac", (16_384, 2_047), 0.15),
    whole("chirp.opus", OPUS, "opus", (28_800, 0), 0.03),
    whole("chirp_stereo.opus", (48_000, 2), "opus", (28_800, 0), 0.02),
    whole("chirp_surround.opus", (48_000, 6), "opus", (28_800, 0), 0.01),
    // SILK keeps the sound, not the wave; the test below looks for its place.
    whole("chirp_speech.opus", OPUS, "opus", (28_800, 0), 0.5),
    whole("chirp_opus.webm", OPUS, "opus", (28_800, 0), 0.03),
    whole("chirp_opus.mp4", OPUS, "opus", (28_800, 0), 0.03),
    // ffmpeg writes no padding for Vorbis here.
    whole("chirp_vorbis.webm", MONO, "vorbis", (13_312, 0), 0.03),
    whole("chirp_stereo.ogg", (44_100, 2), "vorbis", (26_460, 0), 0.02),
];

#[test]
fn whole_files_equal_the_chirp_where_it_belongs() {
    let mut wrong = Vec::new();
    for case in &WHOLE {
        let decoding = decode_file(&fixture(case.file)).unwrap();
        let found = (decoding.rate, decoding.channels, decoding.codec.as_str());
        assert_eq!(found, (case.rate, case.channels, case.codec), "{}", case.file);
        assert_eq!(decoding.integrity, Integrity::Ok, "{}", case.file);
        let scale = 1.0 / f64::from(case.channels);
        let error = chirp_error(&decoding.samples, case.rate, scale, case.delay);
        if decoding.samples.len() != case.frames || error > case.tolerance {
            wrong.push(format!("{}: {} frames, {error}", case.file, decoding.samples.len()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn speech_is_where_it_belongs() {
    let samples = decode_file(&fixture("chirp_speech.opus")).unwrap().samples;
    let likeness = |delay: usize| {
        let (mut product, mut power, mut wanted) = (0.0, 0.0, 0.0);
        for n in 2_000..26_000 {
            let (x, y) = (f64::from(samples[n + delay - 100]), chirp(48_000, n));
            product += x * y;
            power += x * x;
            wanted += y * y;
        }
        product / (power * wanted).sqrt()
    };
    let best = (0..200).max_by(|&a, &b| likeness(a).total_cmp(&likeness(b))).unwrap();
    assert!((98..=102).contains(&best), "{best} instead of 100");
    assert!(likeness(100) > 0.9, "{}", likeness(100));
}

#[test]
fn files_that_were_cut_off_give_what_they_have() {
    for case in &WHOLE {
        // One page, or an index at the end: nothing can be read of those.
        let alone = ["chirp_speech.opus", "chirp.opus", "chirp_vorbis.webm", "chirp_stereo.ogg"];
        let bytes = std::fs::read(fixture(case.file)).unwrap();
        let cut = decode_bytes(case.file, &bytes[..bytes.len() * 6 / 10]);
        if alone.contains(&case.file) {
            assert!(cut.unwrap_err().contains("no audio"), "{}", case.file);
        } else if ["chirp_he.m4a", "chirp_index_last.m4a", "chirp_pcm.mov"].contains(&case.file) {
            assert!(cut.unwrap_err().contains("`moov` box"), "{}", case.file);
        } else if case.file == "chirp_alac.caf" {
            assert!(cut.unwrap_err().contains("`pakt` chunk"), "{}", case.file);
        } else {
            let cut = cut.unwrap();
            assert_eq!(cut.integrity, Integrity::Truncated, "{}", case.file);
            let share = cut.samples.len() as f64 / case.frames as f64;
            // Packets at the beginning are longer, and an index takes its part.
            assert!((0.25..0.65).contains(&share), "{}: {share} of the samples", case.file);
        }
    }
}

#[test]
fn damage_in_the_middle_becomes_silence_of_the_same_length() {
    // Frames by which the length may be off: a container's milliseconds.
    for (file, slack) in [
        ("chirp.m4a", 0),
        ("chirp.aac", 0),
        ("chirp_he.aac", 0),
        ("chirp_opus.mp4", 0),
        ("chirp_stereo.opus", 0),
        ("chirp_surround.opus", 0),
        ("chirp_flac.mka", 22),
        ("noise.ogg", 0),
    ] {
        let mut bytes = std::fs::read(fixture(file)).unwrap();
        let whole = decode_bytes(file, &bytes).unwrap();
        let middle = bytes.len() * 6 / 10;
        bytes[middle..middle + 40].fill(0xa5);
        let hurt = decode_bytes(file, &bytes).unwrap();
        assert_eq!(hurt.integrity, Integrity::Damaged, "{file}");
        assert!(hurt.samples.len().abs_diff(whole.samples.len()) <= slack, "{file}");
        // The end is what it was, where it was.
        let end = whole.samples.len() - 1_500..whole.samples.len() - 500;
        let error = end
            .map(|n| {
                let near = n.saturating_sub(slack)..=n + slack;
                near.map(|m| (whole.samples[n] - hurt.samples[m]).abs()).fold(f32::MAX, f32::min)
            })
            .fold(0.0, f32::max);
        assert!(error < 0.02, "{file}: {error}");
    }
}

#[test]
fn headers_alone_are_refused_with_a_reason() {
    for case in &WHOLE {
        let bytes = std::fs::read(fixture(case.file)).unwrap();
        for length in [1, 4, 12, 16, 40, 60, 100] {
            let head = &bytes[..length.min(bytes.len())];
            if let Ok(decoding) = decode_bytes(case.file, head) {
                assert_eq!(decoding.integrity, Integrity::Truncated, "{} {length}", case.file);
            }
        }
        assert!(decode_bytes(case.file, b"").unwrap_err().contains("empty"));
    }
    for silent in ["silent_video.mp4", "silent_video.mkv"] {
        assert!(decode_file(&fixture(silent)).unwrap_err().contains("no audio"));
    }
}

/// A CAF file, chunk by chunk.
struct CafFile {
    bytes: Vec<u8>,
}

impl CafFile {
    fn new(format: [u8; 4], flags: u32, packet: (u32, u32), channels: u32) -> Self {
        let mut body = 22_050_f64.to_be_bytes().to_vec();
        body.extend(format);
        for number in [flags, packet.0, packet.1, channels, 16] {
            body.extend(number.to_be_bytes());
        }
        Self { bytes: b"caff\0\x01\0\0".to_vec() }.chunk(*b"desc", &body)
    }

    fn chunk(self, name: [u8; 4], body: &[u8]) -> Self {
        self.chunk_of_length(name, signed(body.len()), body)
    }

    fn chunk_of_length(mut self, name: [u8; 4], length: i64, body: &[u8]) -> Self {
        self.bytes.extend(name);
        self.bytes.extend(length.to_be_bytes());
        self.bytes.extend(body);
        self
    }

    fn decode(&self) -> std::result::Result<Decoding, String> {
        decode_bytes("take.caf", &self.bytes)
    }
}

/// The frames of an ADTS file, without their headers.
fn adts_frames(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    while bytes.len() > 7 {
        let length = usize::from(bytes[3] & 3) << 11
            | usize::from(bytes[4]) << 3
            | usize::from(bytes[5] >> 5);
        frames.push(&bytes[7..length]);
        bytes = &bytes[length..];
    }
    frames
}

/// AAC in CAF, which ffmpeg does not write.
fn aac_in_caf(file: &str, configuration: &[u8], priming: u32) -> Decoding {
    let adts = std::fs::read(fixture(file)).unwrap();
    let frames = adts_frames(&adts);
    let mut table = signed(frames.len()).to_be_bytes().to_vec();
    table.extend(13_230_i64.to_be_bytes());
    table.extend(priming.to_be_bytes());
    table.extend([0; 4]);
    for frame in &frames {
        table.extend([0x80 | (frame.len() >> 7) as u8, (frame.len() & 0x7f) as u8]);
    }
    let mut cookie = vec![3, 0x80, 0x80, 0x80, 0x22, 0, 0, 0, 4, 0x14];
    cookie.extend([0; 13]);
    cookie.extend([5, configuration.len() as u8]);
    cookie.extend(configuration);
    let data = [&[0; 4][..], &frames.concat()].concat();
    let caf = CafFile::new(*b"aac ", 0, (0, 1_024), 1).chunk(*b"kuki", &cookie);
    caf.chunk(*b"pakt", &table).chunk(*b"data", &data).decode().unwrap()
}

#[test]
fn he_aac_is_named_by_every_signalling() {
    // 22.05 kHz, mono; 44.1 kHz by the extensions.
    for (configuration, codec) in [
        (&[0x13, 0x88][..], "he_aac"),
        (&[0x2b, 0x8a, 0x08, 0x00], "he_aac"),
        (&[0x13, 0x88, 0x56, 0xe5, 0xa0], "he_aac"),
        (&[0xeb, 0x8a, 0x08, 0x00], "he_aac_v2"),
        (&[0x13, 0x88, 0x56, 0xe5, 0xa5, 0x48, 0x80], "he_aac_v2"),
    ] {
        let file = if codec == "he_aac" { "chirp_he.aac" } else { "chirp_he_v2.aac" };
        let priming = if codec == "he_aac" { 2_047 } else { 3_072 };
        let decoding = aac_in_caf(file, configuration, priming);
        assert_eq!((decoding.codec.as_str(), decoding.rate), (codec, 22_050));
        assert_eq!((decoding.samples.len(), decoding.integrity), (13_230, Integrity::Ok));
        // Two channels of which one is silent, in version 2, mixed by the encoder.
        let scale = if codec == "he_aac" { 1.0 } else { 0.5_f64.sqrt() };
        let error = chirp_error(&decoding.samples, 22_050, scale, 0);
        assert!(error < 0.25, "{codec}: {error}");
    }
    let plain = aac_in_caf("chirp.aac", &[0x13, 0x88], 1_024);
    assert_eq!(plain.codec, "aac");
    assert!(chirp_error(&plain.samples, 22_050, 1.0, 0) < AAC);
}

#[test]
fn caf_of_every_kind_of_sample() {
    let values = [0.0_f64, 0.5, -0.5, -1.0];
    for bits in [8_u32, 16, 24, 32] {
        for little in [false, true] {
            let bytes = bits as usize / 8;
            let data = values.iter().flat_map(|value| {
                let value = (value * 2_f64.powi(31)) as i32 >> (32 - bits);
                let mut sample = value.to_be_bytes()[4 - bytes..].to_vec();
                if little {
                    sample.reverse();
                }
                sample
            });
            let data: Vec<u8> = [0; 4].into_iter().chain(data).collect();
            let flags = if little { 2 } else { 0 };
            let caf = CafFile::new(*b"lpcm", flags, (bytes as u32, 1), 1);
            let decoding = caf.chunk_of_length(*b"data", -1, &data).decode().unwrap();
            assert_eq!(decoding.samples, [0.0, 0.5, -0.5, -1.0], "{bits} {little}");
            assert_eq!(decoding.integrity, Integrity::Ok);
        }
    }
    let floats = [0.25_f64, -1.5].map(f64::to_le_bytes).concat();
    let data = [&[0; 4][..], &floats].concat();
    let caf = CafFile::new(*b"lpcm", 3, (8, 1), 1).chunk(*b"data", &data);
    let decoding = caf.decode().unwrap();
    assert_eq!((&decoding.samples[..], decoding.codec.as_str()), (&[0.25, -1.5][..], "pcm_f64le"));
}

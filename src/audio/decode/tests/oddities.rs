//! Oddities that files have, one row each: how the bytes are made, and what is wanted of them.
//!
//! In: fixtures and files made here. Out: frames, integrity and codec, or the error's words.

use super::*;

/// What is wanted of a row.
enum Wanted {
    Sound(usize, Integrity, &'static str),
    Words(&'static str),
}

use Integrity::{Damaged, Ok as Good, Truncated};
use Wanted::{Sound, Words};

fn read(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).unwrap()
}

/// The ramp in a WAV file whose pieces the caller chooses.
fn wav() -> Wav {
    Wav::new()
}

fn plain() -> Wav {
    wav().format(1, 1, 16_000, 16)
}

fn samples() -> Vec<u8> {
    pcm16(&RAMP)
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// An ID3v2 tag of `length` bytes besides its header.
fn id3(length: usize) -> Vec<u8> {
    let size = [(length >> 14) as u8 & 0x7f, (length >> 7) as u8 & 0x7f, length as u8 & 0x7f];
    [b"ID3\x04\0\0\0", &size[..], &vec![0x20; length]].concat()
}

#[test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn each_oddity_has_its_outcome() {
    let mp3 = read("chirp.mp3");
    let ogg = read("noise.ogg");
    let zeros = |bytes: &[u8], count: usize| [bytes, &vec![0; count]].concat();
    let twice = |name: &str| [read(name), read(name)].concat();
    let patch = |name: &str, find: &[u8], offset: usize, with: &[u8]| {
        let mut bytes = read(name);
        let place = bytes.windows(find.len()).position(|window| window == find).unwrap() + offset;
        bytes[place..place + with.len()].copy_from_slice(with);
        bytes
    };

    let rows: Vec<(&str, &str, Vec<u8>, Wanted)> = vec![
        // WAV: the table of what hound and symphonia make of these.
        ("a plain file", "a.wav", plain().data(&samples()).bytes, Sound(6, Good, "pcm_s16le")),
        (
            "data length 0 though bytes follow",
            "a.wav",
            plain().chunk_of_length(*b"data", 0, &samples()).bytes,
            Sound(6, Good, "pcm_s16le"),
        ),
        (
            "data length of a stream",
            "a.wav",
            plain().chunk_of_length(*b"data", u32::MAX, &samples()).bytes,
            Sound(6, Good, "pcm_s16le"),
        ),
        (
            "truncated",
            "a.wav",
            plain().chunk_of_length(*b"data", 4_000, &samples()).bytes,
            Sound(6, Truncated, "pcm_s16le"),
        ),
        (
            "odd chunk with its pad byte",
            "a.wav",
            plain().chunk(*b"LIST", b"INFOabc").data(&samples()).bytes,
            Sound(6, Good, "pcm_s16le"),
        ),
        (
            "`fact` of 12 bytes",
            "a.wav",
            plain().chunk(*b"fact", &[9; 12]).data(&samples()).bytes,
            Sound(6, Good, "pcm_s16le"),
        ),
        (
            "PCM with a `fmt ` of 26 bytes",
            "a.wav",
            wav()
                .chunk(*b"fmt ", &[&format(1, 1, 16_000, 16, 2)[..], &[0; 10]].concat())
                .data(&samples())
                .bytes,
            Sound(6, Good, "pcm_s16le"),
        ),
        (
            "float64",
            "a.wav",
            wav().format(3, 1, 16_000, 64).data(&[0; 48]).bytes,
            Sound(6, Good, "pcm_f64le"),
        ),
        ("A-law", "a.wav", read("chirp_alaw.wav"), Sound(13_230, Good, "pcm_alaw")),
        ("RF64", "a.wav", read("chirp_rf64.wav"), Sound(13_230, Good, "pcm_s16le")),
        ("MPEG audio in WAV", "a.wav", read("chirp_mp3.wav"), Sound(14_400, Good, "mp3")),
        (
            "NaN and infinity",
            "a.wav",
            wav()
                .format(3, 1, 16_000, 32)
                .data(&floats(&[0.5, f32::NAN, f32::NEG_INFINITY, 0.1]))
                .bytes,
            Sound(4, Damaged, "pcm_f32le"),
        ),
        (
            "nothing but NaN",
            "a.wav",
            wav().format(3, 1, 16_000, 32).data(&floats(&[f32::NAN; 4])).bytes,
            Words("none of its samples is a finite number"),
        ),
        ("rate 0", "a.wav", wav().format(1, 1, 0, 16).data(&samples()).bytes, Words("says 0 Hz")),
        (
            "rate two thousand million",
            "a.wav",
            wav().format(1, 1, 2_000_000_000, 16).data(&samples()).bytes,
            Words("2000000000 Hz"),
        ),
        (
            "1000 channels",
            "a.wav",
            wav().format(1, 1_000, 16_000, 16).data(&samples()).bytes,
            Words("1000 channels"),
        ),
        ("a recorder's zeros", "a.wav", plain().pad(100_000).bytes, Words("`data` chunk")),
        ("no samples", "a.wav", plain().data(&[]).bytes, Words("no samples")),
        ("an empty file", "a.wav", Vec::new(), Words("the file is empty")),
        ("GSM in WAV", "a.wav", read("chirp_gsm.wav"), Words("GSM 6.10")),
        ("big-endian RIFF", "a.wav", b"RIFX\0\0\0\0WAVEfmt ".to_vec(), Words("RIFX")),
        // AIFF.
        ("AIFF", "a.aif", read("chirp.aif"), Sound(13_230, Good, "pcm_s16be")),
        (
            "AIFF without a count",
            "a.aif",
            patch("chirp.aif", b"COMM", 10, &[0; 4]),
            Sound(13_230, Good, "pcm_s16be"),
        ),
        (
            "AIFF, cut off",
            "a.aif",
            read("chirp.aif")[..20_000].to_vec(),
            Sound(9_973, Truncated, "pcm_s16be"),
        ),
        ("AIFF of 0 Hz", "a.aif", patch("chirp.aif", b"COMM", 16, &[0; 10]), Words("says 0 Hz")),
        // MPEG audio.
        ("MP3", "a.mp3", mp3.clone(), Sound(13_230, Good, "mp3")),
        ("two MP3 files in one", "a.mp3", twice("chirp.mp3"), Sound(26_460, Good, "mp3")),
        (
            "three with tags between",
            "a.mp3",
            [&mp3[..], b"TAG", &[0; 125], &id3(70_000), &mp3, &id3(300), &mp3].concat(),
            Sound(3 * 13_230, Good, "mp3"),
        ),
        (
            "two, the second cut off",
            "a.mp3",
            [&mp3[..], &mp3[..5_000]].concat(),
            Sound(20_189, Truncated, "mp3"),
        ),
        ("MP3 and zeros", "a.mp3", zeros(&mp3, 200_000), Sound(13_230, Good, "mp3")),
        ("zeros alone", "a.mp3", vec![0; 5_000], Words("no audio")),
        // Ogg.
        ("Ogg and a byte", "a.ogg", zeros(&ogg, 1), Sound(44_100, Good, "vorbis")),
        ("Ogg and 64 KiB", "a.ogg", zeros(&ogg, 65_536), Sound(44_100, Good, "vorbis")),
        ("Ogg and a megabyte", "a.ogg", zeros(&ogg, 1 << 20), Sound(44_100, Good, "vorbis")),
        (
            "two Opus files chained",
            "a.opus",
            [read("chirp_stereo.opus"), read("chirp_surround.opus")].concat(),
            Sound(57_600, Good, "opus"),
        ),
        (
            "Opus of version 15",
            "a.opus",
            b"OggS\0\x02\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x01\x13OpusHead\xff".to_vec(),
            Words("no audio"),
        ),
        // AAC.
        (
            "ADTS behind an ID3 tag",
            "a.aac",
            [&id3(500)[..], &read("chirp.aac")].concat(),
            Sound(14_336, Good, "aac"),
        ),
        (
            "ADTS and a tag behind",
            "a.aac",
            [&read("chirp.aac")[..], b"TAG", &[0; 125]].concat(),
            Sound(14_336, Good, "aac"),
        ),
        (
            "ADTS behind the rest of a frame",
            "a.aac",
            read("chirp.aac")[50..].to_vec(),
            Sound(13_312, Good, "aac"),
        ),
        ("ADTS of six channels", "a.aac", b"\xff\xf1\x51\x80\x01\x1f\xfc\0".to_vec(), Words("no")),
        ("HE-AAC", "a.aac", read("chirp_he.aac"), Sound(16_384, Good, "he_aac")),
        // MP4 and Matroska.
        ("pictures alone", "a.mp4", read("silent_video.mp4"), Words("no audio stream")),
        ("pictures alone", "a.mkv", read("silent_video.mkv"), Words("no audio stream")),
        ("sound and pictures", "a.mp4", read("chirp_video.mp4"), Sound(13_230, Good, "aac")),
        ("MP4 and zeros", "a.mp4", zeros(&read("chirp.m4a"), 9), Sound(13_230, Good, "aac")),
        (
            "no edit list",
            "a.m4a",
            patch("chirp.m4a", b"elst", 0, b"free"),
            Sound(14_254, Good, "aac"),
        ),
        ("an old QuickTime file", "a.mov", b"\0\0\0\x08wide\0\0\0\0mdat".to_vec(), Words("`ftyp`")),
        ("MP4's first box", "a.mp4", b"\0\0\0\x18ftypisom\0\0\0\0".to_vec(), Words("`moov`")),
        ("Matroska's mark", "a.mkv", b"\x1a\x45\xdf\xa3".to_vec(), Words("no audio")),
        // Others.
        (
            "AU from a pipe",
            "a.au",
            patch("chirp.au", b".snd", 8, &[0xff; 4]),
            Sound(13_230, Good, "pcm_s16be"),
        ),
        (
            "AU of G.721",
            "a.au",
            patch("chirp.au", b".snd", 12, &[0, 0, 0, 23]),
            Words("AU encoding 23"),
        ),
        (
            "CAF of unknown length",
            "a.caf",
            patch("chirp.caf", b"data", 4, &[0xff; 8]),
            Sound(13_230, Good, "pcm_s16le"),
        ),
        ("CAF without samples", "a.caf", b"caff\0\x01\0\0".to_vec(), Words("`desc` chunk")),
        (
            "CAF of a codec unknown",
            "a.caf",
            patch("chirp.caf", b"lpcm", 0, b"QDM2"),
            Words("CAF format `QDM2`"),
        ),
        ("WavPack", "a.wv", b"wvpk".to_vec(), Words("WavPack files are not read yet")),
        ("text", "a.txt", b"hello, world".to_vec(), Words("no audio")),
    ];

    let mut wrong = Vec::new();
    for (name, file, bytes, wanted) in rows {
        let found = decode_bytes(file, &bytes);
        let text = match &found {
            Ok(found) => {
                format!("{} frames, {}, {}", found.samples.len(), found.integrity, found.codec)
            }
            Err(error) => error.clone(),
        };
        let right = match (&found, &wanted) {
            (Ok(found), Sound(frames, integrity, codec)) => {
                (found.samples.len(), found.integrity, found.codec.as_str())
                    == (*frames, *integrity, *codec)
            }
            (Err(error), Words(words)) => error.contains(words),
            _ => false,
        };
        if !right {
            let wanted = match wanted {
                Sound(frames, integrity, codec) => format!("{frames} frames, {integrity}, {codec}"),
                Words(words) => words.to_owned(),
            };
            wrong.push(format!("{name} ({file}): {text}; wanted {wanted}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

//! What is passed over: whatever of a recording's beginning is not decoded, the rest is the same.
//!
//! In: the fixtures, and a long stream of MPEG audio made of one of them. Out: samples compared with
//! those of decoding everything, exactly.

use super::*;

/// Frames that were passed over when `frames` might have been, and the samples behind them.
fn rest(path: &Path, frames: u64) -> (u64, Vec<f32>, Integrity) {
    let mut decoder = Decoder::open(path).unwrap();
    decoder.pass_over(frames).unwrap();
    let passed = decoder.frames();
    let (mut samples, mut block) = (Vec::new(), Vec::new());
    while decoder.next_block(&mut block).unwrap() {
        samples.extend_from_slice(&block);
    }
    (passed, samples, decoder.integrity())
}

/// Holds what follows after passing over some of `path` against all of it; the most that was passed
/// over.
fn hold_against_all(path: &Path) -> u64 {
    let all = decode_file(path).unwrap();
    let count = all.samples.len();
    let mut most = 0;
    for frames in [0, 1, 100, 1_500, 5_000, 9_000, count / 2, count - 1, count, count + 9_000] {
        let (passed, samples, integrity) = rest(path, frames as u64);
        let name = path.display();
        assert!(passed <= frames as u64, "{name}: {passed} of {frames}");
        // What is asked for begins at `frames`; what lies before may need hearing what was passed over.
        let behind = frames - passed as usize;
        let expected = &all.samples[frames.min(count)..];
        let found = samples.get(behind..).unwrap_or_default();
        assert_eq!(found.len(), expected.len(), "{name} from {frames}, {passed} passed over");
        let differs =
            found.iter().zip(expected).position(|(one, other)| one.to_bits() != other.to_bits());
        assert_eq!(differs, None, "{name} from {frames}, {passed} passed over");
        assert_eq!(integrity, all.integrity, "{name} from {frames}");
        most = most.max(passed);
    }
    most
}

#[test]
fn what_follows_is_the_same() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut passed = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() && decode_file(&path).is_ok() && hold_against_all(&path) > 0 {
            passed.push(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    for name in [
        "chirp.aif",
        "chirp.au",
        "chirp.caf",
        "chirp.flac",
        "chirp.ogg",
        "chirp.w64",
        "chirp_alaw.wav",
        "chirp_adpcm_ima.wav",
        "chirp_adpcm_ms_stereo.wav",
        "chirp_float.caf",
        "chirp_rf64.wav",
        "chirp_stereo.flac",
        "chirp_stereo.ogg",
        "noise.ogg",
    ] {
        assert!(passed.iter().any(|one| one == name), "{name}: nothing was passed over");
    }
}

#[test]
fn frames_of_mpeg_audio_need_those_before_them() {
    for name in ["chirp.mp3", "chirp.mp2"] {
        let bytes = std::fs::read(fixture(name)).unwrap();
        let mut frames = Vec::new();
        let mut position = mpeg::first_frame(&bytes).unwrap();
        while let Some(length) = bytes.get(position..).and_then(mpeg::frame_bytes)
            && let Some(frame) = bytes.get(position..position + length)
        {
            // Its tag would say how long it is.
            if !frame.windows(4).any(|four| four == b"Xing" || four == b"Info") {
                frames.extend_from_slice(frame);
            }
            position += length;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, frames.repeat(20)).unwrap();
        let passed = hold_against_all(&path);
        let count = decode_file(&path).unwrap().samples.len() as u64;
        assert!(passed > count / 3, "{name}: {passed} of {count}");
    }
}

#[test]
fn samples_of_every_width_are_passed_over_by_their_bytes() {
    let folder = tempfile::tempdir().unwrap();
    for (tag, channels, bits) in
        [(1, 1, 8), (1, 2, 16), (1, 3, 24), (1, 2, 32), (3, 2, 32), (3, 1, 64)]
    {
        // Numbers that differ from one another, and are floats too: the high bytes are small.
        let width = usize::from(bits / 8);
        let samples = 20_000 * usize::from(channels);
        let body: Vec<u8> = (0..samples)
            .flat_map(|n| {
                let mut bytes = (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
                bytes[width - 1] &= 0x3f;
                bytes[..width].to_vec()
            })
            // An odd byte at the end is no frame.
            .chain([1])
            .collect();
        let wav = Wav::new().format(tag, channels, 8_000, bits).data(&body);
        let path = folder.path().join("take.wav");
        std::fs::write(&path, &wav.bytes).unwrap();
        let passed = hold_against_all(&path);
        assert!(passed >= 10_000, "{tag}, {bits} bits: {passed}");
    }
}

/// The packets of an Ogg stream.
fn ogg_packets(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (mut packets, mut packet, mut position) = (Vec::new(), Vec::new(), 0);
    while bytes.get(position..position + 4) == Some(b"OggS") {
        let count = usize::from(bytes[position + 26]);
        let lengths = &bytes[position + 27..position + 27 + count];
        position += 27 + count;
        for &length in lengths {
            packet.extend_from_slice(&bytes[position..position + usize::from(length)]);
            position += usize::from(length);
            if length < 255 {
                packets.push(std::mem::take(&mut packet));
            }
        }
    }
    packets
}

/// A page of one packet (RFC 3533).
fn ogg_page(packet: &[u8], number: u32, granule: u64, is_last: bool) -> Vec<u8> {
    let mut page = b"OggS\0".to_vec();
    page.push(if number == 0 { 2 } else { 4 * u8::from(is_last) });
    page.extend(granule.to_le_bytes());
    page.extend(1_u32.to_le_bytes());
    page.extend(number.to_le_bytes());
    page.extend([0; 4]);
    page.push(u8::try_from(packet.len() / 255 + 1).unwrap());
    page.extend(std::iter::repeat_n(255, packet.len() / 255));
    page.push(u8::try_from(packet.len() % 255).unwrap());
    page.extend_from_slice(packet);
    // CRC-32 of the polynomial 0x04c11db7, the highest bit first, from 0.
    let mut checksum = 0_u32;
    for &byte in &page {
        checksum ^= u32::from(byte) << 24;
        for _ in 0..8 {
            let carry = if checksum >> 31 == 1 { 0x04c1_1db7 } else { 0 };
            checksum = checksum << 1 ^ carry;
        }
    }
    page[22..26].copy_from_slice(&checksum.to_le_bytes());
    page
}

#[test]
fn opus_is_as_good_as_the_same_a_second_later() {
    for name in ["chirp.opus", "chirp_stereo.opus", "chirp_speech.opus"] {
        let packets = ogg_packets(&std::fs::read(fixture(name)).unwrap());
        let (head, sound) = packets.split_at(2);
        let frames: u64 =
            sound.iter().map(|packet| opus::packet_frames(packet).unwrap() as u64).sum();
        let mut bytes = [ogg_page(&head[0], 0, 0, false), ogg_page(&head[1], 1, 0, false)].concat();
        let (repeats, mut granule, mut number) = (10, 0, 2);
        for repeat in 1..=repeats {
            for (place, packet) in sound.iter().enumerate() {
                granule += opus::packet_frames(packet).unwrap() as u64;
                let is_last = repeat == repeats && place + 1 == sound.len();
                bytes.extend(ogg_page(packet, number, granule, is_last));
                number += 1;
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let all = decode_file(&path).unwrap();
        for from in [60_000, 5 * frames, 9 * frames] {
            let (passed, samples, _) = rest(&path, from);
            // All but a packet, of 60 ms at most, and what the header says to drop at the beginning.
            assert!(passed + 2 * 2_880 > from, "{name}: {passed} of {from}");
            let behind = (from - passed) as usize;
            assert_eq!(samples.len() - behind, all.samples.len() - from as usize, "{name}");
            let pairs = samples[behind..].iter().zip(&all.samples[from as usize..]);
            let most = pairs.map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
            // A step of 16 bits, which is what clips have.
            assert!(most < 1.0 / 32_768.0, "{name} from {from}: {most}");
        }
    }
}

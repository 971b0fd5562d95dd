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
        if passed == 0 || all.integrity != Integrity::Damaged {
            // What is passed over says nothing of it.
            assert_eq!(integrity, all.integrity, "{name} from {frames}");
        }
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
fn holes_are_silence_that_is_passed_over_too() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["chirp.flac", "chirp_stereo.flac", "chirp.ogg", "chirp_stereo.ogg", "noise.ogg"] {
        let bytes = std::fs::read(fixture(name)).unwrap();
        for tenth in 3..10 {
            let place = bytes.len() * tenth / 10;
            for length in [1, 40, 2_000] {
                let mut damaged = bytes.clone();
                damaged[place..].iter_mut().take(length).for_each(|byte| *byte ^= 0x55);
                let path = folder.path().join(name);
                std::fs::write(&path, damaged).unwrap();
                if decode_file(&path).is_ok() {
                    hold_against_all(&path);
                }
            }
        }
    }
}

/// A frame of FLAC: its bytes, and where, within them, its number ends and its header's checksum is.
type FlacFrame<'a> = (&'a [u8], usize, usize);

/// The frames of a FLAC stream of blocks of one length, and what precedes them (RFC 9639, section 9).
fn flac_frames(bytes: &[u8]) -> (&[u8], Vec<FlacFrame<'_>>) {
    let header = |bytes: &[u8]| {
        let is_frame = bytes.len() > 20 && bytes[0] == 0xff && bytes[1] == 0xf8;
        if !is_frame {
            return None;
        }
        let number = 4 + (bytes[4].leading_ones() as usize).max(1);
        let block = [1, 2].get(usize::from(bytes[2] >> 4).wrapping_sub(6)).unwrap_or(&0);
        let rate = [1, 2, 2].get(usize::from(bytes[2] & 15).wrapping_sub(12)).unwrap_or(&0);
        let end = number + block + rate;
        (checksum(&bytes[..end], 8, 0x07) == u32::from(bytes[end])).then_some((number, end))
    };
    let heads: Vec<_> = (0..bytes.len())
        .filter_map(|place| header(&bytes[place..]).map(|(number, end)| (place, number, end)))
        .collect();
    let ends = heads.iter().skip(1).map(|head| head.0).chain([bytes.len()]);
    let frames = heads.iter().zip(ends);
    let frames = frames.map(|(&(place, number, end), behind)| (&bytes[place..behind], number, end));
    (&bytes[..heads[0].0], frames.collect())
}

/// A cyclic redundancy check of `bits` bits, the highest bit first, from 0.
fn checksum(bytes: &[u8], bits: u32, polynomial: u32) -> u32 {
    bytes.iter().fold(0, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte) << (bits - 8), |sum, _| {
            let carry = if sum >> (bits - 1) & 1 == 1 { polynomial } else { 0 };
            (sum << 1 ^ carry) & (u32::MAX >> (32 - bits))
        })
    })
}

#[test]
fn streams_that_were_cut_out_of_longer_ones_are_counted() {
    let bytes = std::fs::read(fixture("chirp.flac")).unwrap();
    let whole = decode_file(&fixture("chirp.flac")).unwrap();
    let (head, frames) = flac_frames(&bytes);
    assert!(frames.len() > 3, "{} frames", frames.len());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.flac");
    // Their numbers go on, as stream copies leave them: at once too far to be silence.
    let mut cut = head.to_vec();
    for (place, &(frame, number, end)) in frames.iter().enumerate() {
        let counted = char::from_u32(1_000 + place as u32).unwrap();
        let mut renumbered = frame[..4].to_vec();
        renumbered.extend(counted.encode_utf8(&mut [0; 4]).as_bytes());
        renumbered.extend_from_slice(&frame[number..end]);
        renumbered.push(checksum(&renumbered, 8, 0x07) as u8);
        renumbered.extend_from_slice(&frame[end + 1..frame.len() - 2]);
        let sum = checksum(&renumbered, 16, 0x8005) as u16;
        renumbered.extend(sum.to_be_bytes());
        cut.extend(renumbered);
    }
    std::fs::write(&path, cut).unwrap();
    assert_eq!(decode_file(&path).unwrap().samples.len(), whole.samples.len());
    assert!(hold_against_all(&path) > 0);
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
    let sum = checksum(&page, 32, 0x04c1_1db7);
    page[22..26].copy_from_slice(&sum.to_le_bytes());
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

//! WAV files as people have them, byte by byte.

use super::*;

#[test]
fn a_plain_file() {
    assert_ramp(&Wav::new().format(1, 1, 16_000, 16).data(&pcm16(&RAMP)), Integrity::Ok);
}

#[test]
fn format_chunks_of_every_size() {
    let plain = format(1, 1, 16_000, 16, 2);
    for size in [14, 16, 18, 20, 26, 40, 64, 200] {
        let mut body = plain.clone();
        body.resize(size, 0);
        assert_ramp(&Wav::new().chunk(*b"fmt ", &body).data(&pcm16(&RAMP)), Integrity::Ok);
    }
    let short = Wav::new().chunk(*b"fmt ", &plain[..12]).data(&pcm16(&RAMP));
    assert!(short.decode().unwrap_err().contains("12 bytes"));
}

#[test]
fn chunks_in_any_order_with_and_without_padding() {
    let data = pcm16(&RAMP);
    let odd = Wav::new().chunk(*b"LIST", b"INFOabc").format(1, 1, 16_000, 16).chunk(*b"note", b"x");
    assert_ramp(&odd.data(&data), Integrity::Ok);
    let unpadded = Wav::new().chunk_of_length(*b"LIST", 7, b"INFOabc").format(1, 1, 16_000, 16);
    assert_ramp(&unpadded.data(&data), Integrity::Ok);
    assert_ramp(&Wav::new().data(&data).format(1, 1, 16_000, 16), Integrity::Ok);
    let long_fact = Wav::new().format(1, 1, 16_000, 16).chunk(*b"fact", &[6; 12]);
    assert_ramp(&long_fact.data(&data).chunk(*b"id3 ", b"tail"), Integrity::Ok);
}

#[test]
fn a_forgotten_pad_byte_is_told_from_the_next_length() {
    // The first byte of the next chunk's length may look like a letter.
    for length in 0x0..=0xff_usize {
        let data = vec![0; 2 * length + 2];
        for unpadded in [true, false] {
            let list = Wav::new().format(1, 1, 16_000, 16);
            let list = list.chunk_of_length(*b"LIST", 5, b"INFOx").pad(usize::from(!unpadded));
            let decoding = list.data(&data).decode().unwrap();
            assert_eq!(decoding.samples.len(), length + 1, "{length}, {unpadded}");
        }
    }
}

/// Counts how often it is read from.
struct Counted {
    bytes: std::io::Cursor<Vec<u8>>,
    reads: usize,
}

impl std::io::Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.reads += 1;
        self.bytes.read(buffer)
    }
}

impl std::io::Seek for Counted {
    fn seek(&mut self, position: std::io::SeekFrom) -> std::io::Result<u64> {
        self.bytes.seek(position)
    }
}

#[test]
fn zeros_where_chunks_should_be_end_the_walk() {
    // A recorder's preallocated file: walking it eight bytes at a time took minutes.
    let wav = Wav::new().format(1, 1, 16_000, 16).pad(1_000_000);
    let aiff = [b"FORM\0\0\0\0AIFF".to_vec(), vec![0; 1_000_000]].concat();
    let walk = |bytes: Vec<u8>, read: fn(&mut Counted) -> Option<DecodeProblem>, chunk: &str| {
        let mut file = Counted { bytes: std::io::Cursor::new(bytes), reads: 0 };
        let problem = read(&mut file).unwrap().to_string();
        assert!(problem.contains(chunk), "{problem}");
        assert!(file.reads < 30, "{} reads", file.reads);
    };
    walk(wav.bytes, |file| wav::WavLayout::read(file).err(), "`data` chunk");
    walk(aiff, |file| aiff::read(file).err(), "`COMM` chunk");
}

#[test]
fn a_fact_chunk_trims_the_last_block_and_no_more() {
    let bytes = std::fs::read(fixture("chirp_adpcm_ima.wav")).unwrap();
    let place = bytes.windows(4).position(|name| name == b"fact").unwrap() + 8;
    let whole = decode_bytes("take.wav", &bytes).unwrap().samples.len();
    for nonsense in [1_u32, 0, u32::MAX] {
        let mut bytes = bytes.clone();
        bytes[place..place + 4].copy_from_slice(&nonsense.to_le_bytes());
        let decoding = decode_bytes("take.wav", &bytes).unwrap();
        assert!(decoding.samples.len() >= whole, "{nonsense}: {}", decoding.samples.len());
    }
}

#[test]
fn lengths_that_a_pipe_left() {
    for length in [0, u32::MAX, u32::MAX - 36, 0x7fff_f000, 0x7fff_ffff] {
        let header = Wav::new().format(1, 1, 16_000, 16);
        assert_ramp(&header.chunk_of_length(*b"data", length, &pcm16(&RAMP)), Integrity::Ok);
    }
}

#[test]
fn an_empty_recording_is_not_a_pipe() {
    let chunks = Wav::new().format(1, 1, 16_000, 16).chunk(*b"data", b"").chunk(*b"LIST", b"INFO");
    assert!(chunks.decode().unwrap_err().contains("no samples"));
    let nothing = Wav::new().format(1, 1, 16_000, 16).chunk(*b"data", b"");
    assert!(nothing.decode().unwrap_err().contains("no samples"));
}

#[test]
fn a_file_that_was_cut_off_gives_what_it_has() {
    let data = pcm16(&RAMP);
    let cut = Wav::new().format(1, 1, 16_000, 16).chunk_of_length(*b"data", 900, &data);
    assert_ramp(&cut, Integrity::Truncated);
    // In the middle of a sample.
    let data = [&data[..], b"\x01"].concat();
    let cut = Wav::new().format(1, 1, 16_000, 16).chunk_of_length(*b"data", 900, &data);
    assert_ramp(&cut, Integrity::Truncated);
}

#[test]
fn every_width_of_integers() {
    let values = [0.0_f32, 0.5, -0.5, -1.0];
    let integers =
        |bits: u32| values.map(|value| (f64::from(value) * 2_f64.powi(31)) as i64 >> (32 - bits));
    for bits in [8_u16, 12, 16, 20, 24, 32] {
        let bytes = bits.div_ceil(8);
        let container = 8 * u32::from(bytes);
        let data: Vec<u8> = integers(container)
            .iter()
            .flat_map(|&value| {
                let value = if container == 8 { value + 128 } else { value };
                value.to_le_bytes().into_iter().take(usize::from(bytes)).collect::<Vec<_>>()
            })
            .collect();
        let decoding = Wav::new().format(1, 1, 48_000, bits).data(&data).decode().unwrap();
        assert_eq!(decoding.samples, values, "{bits} bits");
        assert_eq!(decoding.rate, 48_000);
    }
    // 24 bits in four bytes, by an extensible header: left-justified.
    let data: Vec<u8> =
        integers(32).iter().flat_map(|value| (*value as i32).to_le_bytes()).collect();
    let wav = Wav::new().chunk(*b"fmt ", &extensible(1, 48_000, 32, 24, 1)).data(&data);
    assert_eq!(wav.decode().unwrap().samples, values);
}

#[test]
fn floats_of_both_widths() {
    let values = [0.0_f32, 0.25, -1.5, 1.0];
    let single: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let double: Vec<u8> = values.iter().flat_map(|&value| f64::from(value).to_le_bytes()).collect();
    for (bits, data, codec) in [(32, &single, "pcm_f32le"), (64, &double, "pcm_f64le")] {
        let plain = Wav::new().format(3, 1, 44_100, bits).data(data).decode().unwrap();
        assert_eq!((plain.samples, plain.codec.as_str()), (values.to_vec(), codec));
        let wav = Wav::new().chunk(*b"fmt ", &extensible(1, 44_100, bits, bits, 3)).data(data);
        assert_eq!(wav.decode().unwrap().samples, values);
    }
}

#[test]
fn values_that_are_no_numbers_become_silence() {
    let values = [0.5_f32, f32::NAN, f32::INFINITY, -0.5];
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let decoding = Wav::new().format(3, 1, 44_100, 32).data(&data).decode().unwrap();
    assert_eq!(decoding.samples, [0.5, 0.0, 0.0, -0.5]);
    assert_eq!((decoding.integrity, decoding.non_finite), (Integrity::Damaged, 2));
    let all = Wav::new().format(3, 1, 44_100, 32).data(&data[4..12]).decode();
    assert!(all.unwrap_err().contains("finite"));
}

#[test]
fn channels_are_averaged() {
    for channels in [1_u16, 2, 3, 6, 64] {
        let frame: Vec<i16> = (0..channels).map(|c| if c == 0 { 16_384 } else { 0 }).collect();
        let data = pcm16(&frame.repeat(5));
        let decoding = Wav::new().format(1, channels, 8_012, 16).data(&data).decode().unwrap();
        assert_eq!(decoding.channels, channels);
        assert_eq!(decoding.rate, 8_012);
        let expected = 0.5 / f32::from(channels);
        assert_eq!(decoding.samples.len(), 5);
        assert!(decoding.samples.iter().all(|sample| (sample - expected).abs() < 1e-6));
    }
}

#[test]
fn headers_that_cannot_be_are_refused_with_a_reason() {
    let data = pcm16(&RAMP);
    for (wav, reason) in [
        (Wav::new().format(1, 1, 0, 16).data(&data), "0 Hz"),
        (Wav::new().format(1, 1, 2_000_000_000, 16).data(&data), "2000000000 Hz"),
        (Wav::new().format(1, 0, 16_000, 16).data(&data), "0 channels"),
        (Wav::new().format(1, 1_000, 16_000, 16).data(&data), "1000 channels"),
        (Wav::new().format(1, 1, 16_000, 64).data(&data), "64 bits"),
        (Wav::new().format(3, 1, 16_000, 16).data(&data), "32 or 64 bits"),
        (Wav::new().format(0x31, 1, 16_000, 16).data(&data), "GSM 6.10"),
        (Wav::new().format(0x11, 1, 16_000, 4).data(&data), "block length"),
        (Wav::new().format(1, 1, 16_000, 16), "`data` chunk"),
        (Wav::new().data(&data), "`fmt ` chunk"),
    ] {
        let error = wav.decode().unwrap_err();
        assert!(error.contains(reason) && error.contains("take.wav"), "{error}");
    }
    assert!(decode_bytes("take.wav", b"").unwrap_err().contains("empty"));
    assert!(decode_bytes("take.wav", b"RIFF").unwrap_err().contains("the end of the file"));
    assert!(decode_bytes("take.flac", b"not flac at all").unwrap_err().contains("no audio"));
    assert!(decode_bytes("take.mp3", &[0; 5_000]).unwrap_err().contains("no audio"));
    assert!(decode_bytes("take.aif", b"FORM....AIFF").unwrap_err().contains("`COMM` chunk"));
    assert!(decode_bytes("take.wma", b"0&").unwrap_err().contains("WMA"));
}

// ---- Codecs, against the chirp's formula ----

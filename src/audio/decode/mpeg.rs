//! Frames of MPEG audio, as far as their headers tell where each one ends.
//!
//! In: bytes. Out: whether the last frame is all there. Refuses nothing: bytes that are no frames
//! end the chain. Source: ISO/IEC 11172-3 and 13818-3, section 2.4.2.3.

/// Bytes of a frame's header.
const HEADER_BYTES: usize = 4;
/// Frames in a row that prove that a chain of headers is no coincidence.
const CHAIN: usize = 4;

/// kbit/s by the header's index; index 0 is "free", which has no length.
const LAYER_1: [usize; 15] = [0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448];
const LAYER_2: [usize; 15] = [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384];
const LAYER_3: [usize; 15] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const LOW_RATE_LAYER_1: [usize; 15] =
    [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256];
const LOW_RATE_LAYERS_2_3: [usize; 15] =
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
/// Hz by the header's index, for MPEG-1.
const SAMPLE_RATES: [usize; 3] = [44_100, 48_000, 32_000];

/// Whether the last frame of `tail`, the end of a stream, is cut off. Metadata or anything else
/// behind the frames is no sign of that.
pub(super) fn ends_inside_a_frame(tail: &[u8]) -> bool {
    for start in 0..tail.len() {
        let mut position = start;
        let mut frames = 0;
        while let Some(length) = tail.get(position..).and_then(frame_bytes) {
            position += length;
            frames += 1;
        }
        if frames >= CHAIN {
            // Past the end: the last frame's rest is missing. Just before it: its header is.
            return position > tail.len() || (1..HEADER_BYTES).contains(&(tail.len() - position));
        }
    }
    false
}

/// Where the first frame of a chain of them begins.
pub(super) fn first_frame(bytes: &[u8]) -> Option<usize> {
    (0..bytes.len()).find(|&start| {
        let mut position = start;
        (0..CHAIN).all(|_| match bytes.get(position..).and_then(frame_bytes) {
            Some(length) => {
                position += length;
                true
            }
            None => false,
        })
    })
}

/// Bytes of the stream that `bytes`, its first frame, begin, by the encoder's tag in it. (Xing's
/// and LAME's: four flags, then the counts that they announce; VBRI's has a fixed form.)
pub(super) fn stream_bytes(bytes: &[u8]) -> Option<u64> {
    const HAS_FRAMES: u8 = 1;
    const HAS_BYTES: u8 = 2;

    let frame = bytes.get(..frame_bytes(bytes)?)?;
    let tag = |name: &[u8]| frame.windows(4).position(|window| window == name);
    let place = if let Some(xing) = tag(b"Xing").or_else(|| tag(b"Info")) {
        let flags = *frame.get(xing + 7)?;
        if flags & HAS_BYTES == 0 {
            return None;
        }
        xing + 8 + if flags & HAS_FRAMES == 0 { 0 } else { 4 }
    } else {
        tag(b"VBRI")? + 10
    };
    let count = frame.get(place..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))?;
    (count > 0).then_some(count.into())
}

/// The length of the frame that `bytes` begin with.
pub(super) fn frame_bytes(bytes: &[u8]) -> Option<usize> {
    let &[sync, version, rates, _] = bytes.first_chunk::<HEADER_BYTES>()?;
    if sync != 0xff || version < 0xe0 {
        return None;
    }
    // Two bits each: the version (3 is MPEG-1, 2 MPEG-2, 0 MPEG-2.5) and the layer, counted down.
    let (version, layer) = (version >> 3 & 3, 4 - (version >> 1 & 3));
    let table = match (version, layer) {
        (1, _) | (_, 4) => return None,
        (3, 1) => &LAYER_1,
        (3, 2) => &LAYER_2,
        (3, _) => &LAYER_3,
        (_, 1) => &LOW_RATE_LAYER_1,
        _ => &LOW_RATE_LAYERS_2_3,
    };
    let bit_rate = 1_000 * *table.get(usize::from(rates >> 4)).filter(|&&rate| rate > 0)?;
    let sample_rate = SAMPLE_RATES.get(usize::from(rates >> 2 & 3))?
        / match version {
            3 => 1,
            2 => 2,
            _ => 4,
        };
    let padding = usize::from(rates >> 1 & 1);
    Some(match (version, layer) {
        (_, 1) => 4 * (12 * bit_rate / sample_rate + padding),
        (3, _) | (_, 2) => 144 * bit_rate / sample_rate + padding,
        _ => 72 * bit_rate / sample_rate + padding,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_as_the_standard_has_them() {
        assert_eq!(frame_bytes(&[0xff, 0xfb, 0x90, 0x00]), Some(417)); // layer III, 128 k, 44.1 kHz
        assert_eq!(frame_bytes(&[0xff, 0xfb, 0x92, 0x00]), Some(418)); // padded
        assert_eq!(frame_bytes(&[0xff, 0xf3, 0x40, 0x00]), Some(104)); // MPEG-2, 32 k, 22.05 kHz
        assert_eq!(frame_bytes(&[0xff, 0xfd, 0x84, 0x00]), Some(384)); // layer II, 128 k, 48 kHz
        assert_eq!(frame_bytes(&[0xff, 0xfb, 0x00, 0x00]), None); // free
        assert_eq!(frame_bytes(&[0xff, 0xfb, 0xf0, 0x00]), None);
        assert_eq!(frame_bytes(b"TAG "), None);
    }

    #[test]
    fn a_cut_shows_in_the_last_frame() {
        let mut frame = vec![0xff, 0xfb, 0x90, 0x00];
        frame.resize(417, 0x55);
        let stream = frame.repeat(10);
        assert!(!ends_inside_a_frame(&stream));
        assert!(!ends_inside_a_frame(&[&stream[100..], b"TAGtitle"].concat()));
        assert!(!ends_inside_a_frame(&[]));
        for cut in [1, 3, 200, 416] {
            assert!(ends_inside_a_frame(&stream[50..stream.len() - cut]), "{cut}");
        }
    }
}

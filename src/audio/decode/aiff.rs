//! An AIFF or AIFF-C header: where the samples lie and how they are coded.
//!
//! In: a file. Out: its samples' place and codec, for [`super::packets`]. Refuses files without
//! `COMM` and `SSND` chunks and compressions that nobody here decodes. symphonia's own reader is
//! not asked because it refuses files that were cut off. Source: Apple, "Audio Interchange File
//! Format AIFF-C", draft of 1991.

use std::io::{Read, Seek, SeekFrom};

use symphonia::core::codecs::audio::AudioCodecId;
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_PCM_ALAW, CODEC_ID_PCM_F32BE, CODEC_ID_PCM_F64BE, CODEC_ID_PCM_MULAW, CODEC_ID_PCM_S8,
    CODEC_ID_PCM_S16BE, CODEC_ID_PCM_S16LE, CODEC_ID_PCM_S24BE, CODEC_ID_PCM_S24LE,
    CODEC_ID_PCM_S32BE, CODEC_ID_PCM_S32LE, CODEC_ID_PCM_U8,
};

use super::Decoded;
use super::bytes::{is_chunk_name, read_array, read_up_to};
use super::packets::{PacketCodec, PacketData};
use crate::error::DecodeProblem;

/// What messages call such a file.
const WHAT: &str = "AIFF file";

/// What the `COMM` chunk says.
struct Common {
    channels: u16,
    frames: u32,
    bits: u16,
    sample_rate: u32,
    compression: [u8; 4],
}

/// Finds the samples of `file`.
pub(super) fn read(file: &mut (impl Read + Seek)) -> Decoded<(PacketData, PacketCodec)> {
    let file_bytes = file.seek(SeekFrom::End(0))?;
    let mut common = None;
    let mut samples = None;
    let mut position = 12;
    while position + 8 <= file_bytes && (common.is_none() || samples.is_none()) {
        let header: [u8; 8] = read_array(file, position, WHAT)?;
        if !is_chunk_name(&header[..4]) {
            break;
        }
        let length = u64::from(u32_at(&header, 4));
        let body = position + 8;
        match &header[..4] {
            b"COMM" => common = Some(Common::read(&read_up_to(file, body, length.min(22))?)?),
            b"SSND" => {
                let offset = u64::from(u32::from_be_bytes(read_array(file, body, WHAT)?));
                samples = Some((body + 8).saturating_add(offset).min(file_bytes));
            }
            _ => {}
        }
        position = body + length + length % 2;
    }
    let missing =
        |expected| DecodeProblem::Malformed { what: WHAT, expected, found: "none".to_owned() };
    let common = common.ok_or_else(|| missing("a `COMM` chunk"))?;
    let start = samples.ok_or_else(|| missing("an `SSND` chunk"))?;

    let codec = common.codec()?;
    let present = file_bytes - start;
    let declared = u64::from(common.frames) * u64::from(codec.block_bytes);
    // A recorder that never finished its header left no count.
    let bytes = if common.frames == 0 { present } else { declared.min(present) };
    let data = PacketData {
        channels: common.channels,
        sample_rate: common.sample_rate,
        start,
        bytes,
        truncated: declared > present,
        frames: None,
    };
    Ok((data, codec))
}

impl Common {
    fn read(body: &[u8]) -> Decoded<Self> {
        if body.len() < 18 {
            return Err(DecodeProblem::Malformed {
                what: "`COMM` chunk",
                expected: "18 bytes or more",
                found: format!("{} bytes", body.len()),
            });
        }
        Ok(Self {
            channels: u16_at(body, 0),
            frames: u32_at(body, 2),
            bits: u16_at(body, 6),
            sample_rate: extended(&body[8..18]),
            compression: body
                .get(18..22)
                .map_or(*b"NONE", |name| [name[0], name[1], name[2], name[3]]),
        })
    }

    fn codec(&self) -> Decoded<PacketCodec> {
        let (id, name, bytes): (AudioCodecId, _, u16) =
            match (&self.compression, self.bits.div_ceil(8)) {
                (b"NONE" | b"twos", 1) => (CODEC_ID_PCM_S8, "pcm_s8", 1),
                (b"NONE" | b"twos", 2) => (CODEC_ID_PCM_S16BE, "pcm_s16be", 2),
                (b"NONE" | b"twos" | b"in24", 3) => (CODEC_ID_PCM_S24BE, "pcm_s24be", 3),
                (b"NONE" | b"twos" | b"in32", 4) => (CODEC_ID_PCM_S32BE, "pcm_s32be", 4),
                (b"sowt", 2) => (CODEC_ID_PCM_S16LE, "pcm_s16le", 2),
                (b"sowt", 3) => (CODEC_ID_PCM_S24LE, "pcm_s24le", 3),
                (b"sowt", 4) => (CODEC_ID_PCM_S32LE, "pcm_s32le", 4),
                (b"raw ", 1) => (CODEC_ID_PCM_U8, "pcm_u8", 1),
                (b"fl32" | b"FL32", _) => (CODEC_ID_PCM_F32BE, "pcm_f32be", 4),
                (b"fl64" | b"FL64", _) => (CODEC_ID_PCM_F64BE, "pcm_f64be", 8),
                (b"alaw" | b"ALAW", _) => (CODEC_ID_PCM_ALAW, "pcm_alaw", 1),
                (b"ulaw" | b"ULAW", _) => (CODEC_ID_PCM_MULAW, "pcm_mulaw", 1),
                (compression, _) => {
                    return Err(DecodeProblem::UnknownCodec {
                        codec: format!(
                            "AIFF compression `{}` of {} bits",
                            compression.escape_ascii(),
                            self.bits
                        ),
                    });
                }
            };
        Ok(PacketCodec {
            id,
            name,
            block_bytes: bytes.saturating_mul(self.channels),
            frames_per_block: 1,
            header: None,
        })
    }
}

/// The whole part of an 80-bit float; 0 for what is no rate.
fn extended(bytes: &[u8]) -> u32 {
    let exponent = i32::from(u16_at(bytes, 0) & 0x7fff) - 16_383;
    let mantissa = u64::from(u32_at(bytes, 2)) << 32 | u64::from(u32_at(bytes, 6));
    match exponent {
        0..=31 => u32::try_from(mantissa >> (63 - exponent)).unwrap_or(0),
        _ => 0,
    }
}

/// Reads two bytes at `offset`, which the caller has checked to be there.
fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    u16::from_be_bytes([bytes[offset], bytes[offset + 1]])
}

/// Reads four bytes at `offset`, which the caller has checked to be there.
fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from(u16_at(bytes, offset)) << 16 | u32::from(u16_at(bytes, offset + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_in_80_bits() {
        let rate = |head: [u8; 4]| extended(&[&head[..], &[0; 6]].concat());
        assert_eq!(rate([0x40, 0x0e, 0xac, 0x44]), 44_100);
        assert_eq!(rate([0x40, 0x0d, 0xfa, 0x00]), 32_000);
        assert_eq!(rate([0, 0, 0, 0]), 0);
        assert_eq!(rate([0x7f, 0xff, 0xff, 0xff]), 0);
    }
}

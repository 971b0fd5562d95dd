//! A Sun or `NeXT` audio file (`.au`, `.snd`): where the samples lie and how they are coded.
//!
//! In: a file. Out: its samples' place and codec, for [`super::packets`]. Refuses files without a
//! header and codings that nobody here decodes. Source: Sun, "au(4)", and `NeXT`'s `soundstruct.h`.

use std::io::{Read, Seek, SeekFrom};

use symphonia::core::codecs::audio::AudioCodecId;
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_PCM_ALAW, CODEC_ID_PCM_F32BE, CODEC_ID_PCM_F64BE, CODEC_ID_PCM_MULAW, CODEC_ID_PCM_S8,
    CODEC_ID_PCM_S16BE, CODEC_ID_PCM_S24BE, CODEC_ID_PCM_S32BE,
};

use super::Decoded;
use super::bytes::read_array;
use super::packets::{PacketCodec, PacketData};
use crate::error::DecodeProblem;

/// The length that writers to a pipe leave.
const UNKNOWN_LENGTH: u32 = u32::MAX;

/// Finds the samples of `file`.
pub(super) fn read(file: &mut (impl Read + Seek)) -> Decoded<(PacketData, PacketCodec)> {
    let file_bytes = file.seek(SeekFrom::End(0))?;
    let header: [u8; 24] = read_array(file, 0, "AU file")?;
    let number = |offset: usize| {
        header[offset..offset + 4].iter().fold(0_u32, |all, &byte| all << 8 | u32::from(byte))
    };
    if !header.starts_with(b".snd") {
        return Err(DecodeProblem::Malformed {
            what: "AU header",
            expected: ".snd",
            found: header[..4].escape_ascii().to_string(),
        });
    }
    let (id, name, bytes): (AudioCodecId, _, u16) = match number(12) {
        1 => (CODEC_ID_PCM_MULAW, "pcm_mulaw", 1),
        2 => (CODEC_ID_PCM_S8, "pcm_s8", 1),
        3 => (CODEC_ID_PCM_S16BE, "pcm_s16be", 2),
        4 => (CODEC_ID_PCM_S24BE, "pcm_s24be", 3),
        5 => (CODEC_ID_PCM_S32BE, "pcm_s32be", 4),
        6 => (CODEC_ID_PCM_F32BE, "pcm_f32be", 4),
        7 => (CODEC_ID_PCM_F64BE, "pcm_f64be", 8),
        27 => (CODEC_ID_PCM_ALAW, "pcm_alaw", 1),
        other => {
            return Err(DecodeProblem::UnknownCodec { codec: format!("AU encoding {other}") });
        }
    };
    let channels = u16::try_from(number(20)).unwrap_or(u16::MAX);
    let start = u64::from(number(4)).min(file_bytes);
    let present = file_bytes - start;
    let declared = match number(8) {
        UNKNOWN_LENGTH => present,
        length => length.into(),
    };
    let data = PacketData {
        channels,
        sample_rate: number(16),
        start,
        bytes: declared.min(present),
        truncated: declared > present,
        frames: None,
    };
    let block_bytes = bytes.saturating_mul(channels);
    Ok((data, PacketCodec { id, name, block_bytes, frames_per_block: 1, header: None }))
}

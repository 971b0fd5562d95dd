//! A Core Audio Format file: where the samples lie and how they are coded.
//!
//! In: a file. Out: [`Caf`]: samples of fixed size for [`super::packets`], or packets of their own
//! sizes. Refuses files without a `desc` and a `data` chunk, packets of unknown size without their
//! table, and codecs that nobody here decodes. symphonia's own reader is not asked because it
//! refuses files that were cut off. Source: Apple, "Core Audio Format Specification 1.0".

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Take};

use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_AAC, CODEC_ID_ADPCM_IMA_QT, CODEC_ID_ALAC, CODEC_ID_OPUS, CODEC_ID_PCM_ALAW,
    CODEC_ID_PCM_F32BE, CODEC_ID_PCM_F32LE, CODEC_ID_PCM_F64BE, CODEC_ID_PCM_F64LE,
    CODEC_ID_PCM_MULAW, CODEC_ID_PCM_S8, CODEC_ID_PCM_S16BE, CODEC_ID_PCM_S16LE,
    CODEC_ID_PCM_S24BE, CODEC_ID_PCM_S24LE, CODEC_ID_PCM_S32BE, CODEC_ID_PCM_S32LE,
};
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters};
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Timestamp};

use super::Decoded;
use super::bytes::{is_chunk_name, read_array, read_up_to};
use super::opus::OpusHead;
use super::packet_reader::{PacketReader, Step};
use super::packets::{BlockHeader, PacketCodec, PacketData};
use crate::error::DecodeProblem;

/// What messages call such a file.
const WHAT: &str = "CAF file";

/// Bytes of the edit count that precedes the samples.
const EDIT_COUNT_BYTES: u64 = 4;
/// Bytes of a packet table's header.
const TABLE_HEADER_BYTES: usize = 24;
/// Bytes of a codec's own header that are read.
const MAX_COOKIE_BYTES: u64 = 64 * 1024;
/// The longest packet that a table is believed: many times what the codecs write.
const MAX_PACKET_BYTES: u64 = 1 << 24;

/// How the samples are to be read.
pub(super) enum Caf {
    /// Blocks of the same size.
    Blocks(PacketData, PacketCodec),
    /// Packets of various sizes, and what is to be played of them.
    Packets(Box<CafTrack>),
}

/// A track of packets.
pub(super) struct CafTrack {
    pub(super) reader: CafReader,
    pub(super) parameters: AudioCodecParameters,
    /// Frames to drop at the beginning, and how many then follow.
    pub(super) edit: (Option<u64>, Option<u64>),
    pub(super) truncated: bool,
}

/// The chunks that matter.
#[derive(Default)]
struct Chunks {
    description: Option<Description>,
    /// Where the samples begin, how many bytes are there, and whether some are missing.
    data: Option<(u64, u64, bool)>,
    table: Option<Vec<u8>>,
    cookie: Vec<u8>,
}

/// The `desc` chunk.
struct Description {
    sample_rate: u32,
    format: [u8; 4],
    flags: u32,
    packet_bytes: u32,
    packet_frames: u32,
    channels: u16,
    bits: u32,
}

/// Finds the samples of `file`.
pub(super) fn read(mut file: File) -> Decoded<(Caf, File)> {
    let chunks = Chunks::read(&mut file)?;
    let missing =
        |expected| DecodeProblem::Malformed { what: WHAT, expected, found: "none".to_owned() };
    let description = chunks.description.ok_or_else(|| missing("a `desc` chunk"))?;
    let (start, bytes, truncated) = chunks.data.ok_or_else(|| missing("a `data` chunk"))?;
    let table = chunks.table.as_deref().and_then(Table::read);
    if let Some(codec) = description.block_codec()? {
        let played = table.as_ref().and_then(|table| u32::try_from(table.played).ok());
        let data = PacketData {
            channels: description.channels,
            sample_rate: description.sample_rate,
            start,
            bytes,
            truncated,
            frames: played,
        };
        return Ok((Caf::Blocks(data, codec), file));
    }
    let table = table.ok_or_else(|| missing("a `pakt` chunk, which a cut off recording lacks"))?;
    let parameters = description.parameters(&chunks.cookie, &table)?;
    file.seek(SeekFrom::Start(start))?;
    let reader = CafReader {
        data: BufReader::with_capacity(1 << 16, file.try_clone()?).take(bytes),
        sizes: table.sizes,
        place: 0,
        packet_bytes: description.packet_bytes,
        packet_frames: description.packet_frames,
        packets_left: table.packets,
        timestamp: 0,
    };
    let played = Some(table.played).filter(|&frames| frames > 0);
    let track = CafTrack { reader, parameters, edit: (Some(table.priming), played), truncated };
    Ok((Caf::Packets(Box::new(track)), file))
}

impl Chunks {
    fn read(file: &mut (impl Read + Seek)) -> Decoded<Self> {
        let file_bytes = file.seek(SeekFrom::End(0))?;
        let mut chunks = Self::default();
        let mut position = 8;
        while position + 12 <= file_bytes {
            let header: [u8; 12] = read_array(file, position, WHAT)?;
            let [a, b, c, d, length @ ..] = header;
            let name = [a, b, c, d];
            if !is_chunk_name(&name) {
                break;
            }
            let length = i64::from_be_bytes(length);
            let body = position + 12;
            let present = file_bytes - body;
            // −1: to the end of the file, which is allowed of the samples only.
            let declared = u64::try_from(length).unwrap_or(present);
            match &name {
                b"desc" => {
                    chunks.description = Some(Description::read(&read_array(file, body, WHAT)?));
                }
                b"data" => {
                    let bytes = declared.min(present).saturating_sub(EDIT_COUNT_BYTES);
                    let start = (body + EDIT_COUNT_BYTES).min(file_bytes);
                    chunks.data = Some((start, bytes, declared > present));
                }
                b"pakt" => chunks.table = Some(read_up_to(file, body, declared.min(present))?),
                b"kuki" => {
                    chunks.cookie = read_up_to(file, body, declared.min(MAX_COOKIE_BYTES))?;
                }
                _ => {}
            }
            position = body.saturating_add(declared);
        }
        Ok(chunks)
    }
}

impl Description {
    fn read(body: &[u8; 32]) -> Self {
        let number = |offset: usize| -> u32 {
            let bytes = &body[offset..offset + 4];
            bytes.iter().fold(0, |all, &byte| all << 8 | u32::from(byte))
        };
        let rate = f64::from_bits(u64::from(number(0)) << 32 | u64::from(number(4)));
        Self {
            sample_rate: whole_rate(rate),
            format: number(8).to_be_bytes(),
            flags: number(12),
            packet_bytes: number(16),
            packet_frames: number(20),
            // More than fit are refused as too many channels.
            channels: u16::try_from(number(24)).unwrap_or(u16::MAX),
            bits: number(28),
        }
    }

    /// The codec of samples whose size does not vary.
    fn block_codec(&self) -> Decoded<Option<PacketCodec>> {
        const FLOAT: u32 = 1;
        const LITTLE_ENDIAN: u32 = 2;

        let sample_bytes = self.packet_bytes / u32::from(self.channels.max(1));
        let float = self.flags & FLOAT != 0;
        let little = self.flags & LITTLE_ENDIAN != 0;
        let (id, name, bytes): (AudioCodecId, _, u16) =
            match (&self.format, float, sample_bytes, little) {
                (b"lpcm", false, 1, _) => (CODEC_ID_PCM_S8, "pcm_s8", 1),
                (b"lpcm", false, 2, false) => (CODEC_ID_PCM_S16BE, "pcm_s16be", 2),
                (b"lpcm", false, 2, true) => (CODEC_ID_PCM_S16LE, "pcm_s16le", 2),
                (b"lpcm", false, 3, false) => (CODEC_ID_PCM_S24BE, "pcm_s24be", 3),
                (b"lpcm", false, 3, true) => (CODEC_ID_PCM_S24LE, "pcm_s24le", 3),
                (b"lpcm", false, 4, false) => (CODEC_ID_PCM_S32BE, "pcm_s32be", 4),
                (b"lpcm", false, 4, true) => (CODEC_ID_PCM_S32LE, "pcm_s32le", 4),
                (b"lpcm", true, 4, false) => (CODEC_ID_PCM_F32BE, "pcm_f32be", 4),
                (b"lpcm", true, 4, true) => (CODEC_ID_PCM_F32LE, "pcm_f32le", 4),
                (b"lpcm", true, 8, false) => (CODEC_ID_PCM_F64BE, "pcm_f64be", 8),
                (b"lpcm", true, 8, true) => (CODEC_ID_PCM_F64LE, "pcm_f64le", 8),
                (b"alaw", ..) => (CODEC_ID_PCM_ALAW, "pcm_alaw", 1),
                (b"ulaw", ..) => (CODEC_ID_PCM_MULAW, "pcm_mulaw", 1),
                (b"ima4", ..) if self.channels <= 2 => return Ok(Some(self.ima4())),
                (b"aac " | b"aach" | b"aacp" | b"alac" | b"opus", ..) => return Ok(None),
                (format, ..) => {
                    return Err(DecodeProblem::UnknownCodec {
                        codec: format!(
                            "CAF format `{}` of {} bits and {} channels",
                            format.escape_ascii(),
                            self.bits,
                            self.channels
                        ),
                    });
                }
            };
        Ok(Some(PacketCodec {
            id,
            name,
            block_bytes: bytes.saturating_mul(self.channels),
            frames_per_block: 1,
            header: None,
        }))
    }

    /// Apple's IMA ADPCM: for each channel two bytes of header and 64 nibbles.
    fn ima4(&self) -> PacketCodec {
        PacketCodec {
            id: CODEC_ID_ADPCM_IMA_QT,
            name: "adpcm_ima_qt",
            block_bytes: 34 * self.channels,
            frames_per_block: 64,
            header: Some(BlockHeader { bytes: 2 * self.channels, frames: 0 }),
        }
    }

    fn parameters(&self, cookie: &[u8], table: &Table) -> Decoded<AudioCodecParameters> {
        let mut parameters = AudioCodecParameters::new();
        parameters.with_sample_rate(self.sample_rate);
        match &self.format {
            b"alac" => parameters.for_codec(CODEC_ID_ALAC).with_extra_data(alac(cookie).into()),
            b"opus" => {
                let channels = u8::try_from(self.channels).unwrap_or(u8::MAX);
                let pre_skip = u16::try_from(table.priming).unwrap_or(u16::MAX);
                let head = OpusHead::plain(channels, pre_skip);
                parameters.for_codec(CODEC_ID_OPUS).with_extra_data(head.into())
            }
            _ => {
                let found = decoder_specific(cookie).ok_or_else(|| DecodeProblem::Malformed {
                    what: WHAT,
                    expected: "an AAC configuration in its `kuki` chunk",
                    found: format!("{} bytes", cookie.len()),
                })?;
                parameters.for_codec(CODEC_ID_AAC).with_extra_data(found.into())
            }
        };
        Ok(parameters)
    }
}

/// A rate as a whole number; 0 for what is none.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what lies outside becomes the nearest bound, which is refused as a rate"
)]
fn whole_rate(rate: f64) -> u32 {
    rate.round() as u32
}

/// ALAC's header without the two boxes that older files wrap it in.
fn alac(cookie: &[u8]) -> &[u8] {
    const WRAPPER_BYTES: usize = 24;
    if cookie.get(4..8) == Some(b"frma") {
        cookie.get(WRAPPER_BYTES..).unwrap_or_default()
    } else {
        cookie
    }
}

/// The `AudioSpecificConfig` in an elementary stream descriptor (ISO/IEC 14496-1, section
/// 7.2.6): descriptors within descriptors, each with a tag and a length.
fn decoder_specific(mut bytes: &[u8]) -> Option<&[u8]> {
    const ES: u8 = 3;
    const DECODER: u8 = 4;
    const DECODER_SPECIFIC: u8 = 5;

    loop {
        let (&tag, mut rest) = bytes.split_first()?;
        let mut length = 0;
        loop {
            let (&byte, after) = rest.split_first()?;
            rest = after;
            length = length << 7 | usize::from(byte & 0x7f);
            if byte & 0x80 == 0 || length > 1 << 20 {
                break;
            }
        }
        bytes = match tag {
            // The id and the flags; the rest of the flags' fields are not written in CAF.
            ES => rest.get(3..)?,
            DECODER => rest.get(13..)?,
            DECODER_SPECIFIC => return rest.get(..length),
            _ => rest.get(length..)?,
        };
    }
}

/// The `pakt` chunk.
struct Table {
    packets: u64,
    played: u64,
    priming: u64,
    /// The packets' lengths, as they stand in the file.
    sizes: Vec<u8>,
}

impl Table {
    fn read(body: &[u8]) -> Option<Self> {
        let long = |offset: usize| -> Option<u64> {
            let bytes = body.get(offset..)?.first_chunk()?;
            u64::try_from(i64::from_be_bytes(*bytes)).ok()
        };
        let priming = i32::from_be_bytes(*body.get(16..)?.first_chunk()?);
        Some(Self {
            packets: long(0)?,
            played: long(8)?,
            priming: u64::try_from(priming).unwrap_or(0),
            sizes: body.get(TABLE_HEADER_BYTES..)?.to_vec(),
        })
    }
}

/// Packets of a CAF file, in the order of its table.
pub(super) struct CafReader {
    data: Take<BufReader<File>>,
    sizes: Vec<u8>,
    /// Where the next length stands.
    place: usize,
    /// 0 where each packet has its own.
    packet_bytes: u32,
    packet_frames: u32,
    packets_left: u64,
    timestamp: i64,
}

impl CafReader {
    /// The next number of the table: seven bits a byte.
    fn number(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        loop {
            let byte = *self.sizes.get(self.place)?;
            self.place += 1;
            value = value << 7 | u64::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
    }

    /// The next packet's bytes and frames.
    fn size(&mut self) -> Option<(u64, u64)> {
        let bytes = match self.packet_bytes {
            0 => self.number()?,
            fixed => fixed.into(),
        };
        let frames = match self.packet_frames {
            0 => self.number()?,
            fixed => fixed.into(),
        };
        (bytes <= MAX_PACKET_BYTES).then_some((bytes, frames))
    }
}

impl PacketReader for CafReader {
    fn next(&mut self) -> Decoded<Step> {
        let Some(left) = self.packets_left.checked_sub(1) else { return Ok(Step::End) };
        let Some((bytes, frames)) = self.size() else { return Ok(Step::CutOff) };
        self.packets_left = left;
        let mut data = Vec::new();
        self.data.by_ref().take(bytes).read_to_end(&mut data)?;
        if (data.len() as u64) < bytes {
            return Ok(Step::CutOff);
        }
        let timestamp = Timestamp::new(self.timestamp);
        let frames = frames.min(1 << 20);
        self.timestamp = self.timestamp.saturating_add_unsigned(frames);
        Ok(Step::Packet(Packet::new(0, timestamp, Duration::new(frames), data)))
    }
}

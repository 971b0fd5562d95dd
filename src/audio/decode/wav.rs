//! A RIFF/WAVE header, as found rather than as specified: where the samples lie and how they are
//! coded.
//!
//! In: a file. Out: [`WavLayout`]. Refuses files without a usable `fmt ` or any `data` chunk.
//!
//! What programs write and this reads: `fmt ` chunks of 14 to any number of bytes, chunks in any
//! order, odd-sized chunks with and without their pad byte, data lengths of recorders that were
//! cut off (longer than the file) and of programs that wrote to a pipe (0, or near 2³¹ or 2³²).
//! Long files are RF64 or BW64 (EBU Tech 3306, ITU-R BS.2088). Formats: Microsoft, "Multiple channel audio data and WAVE files" (2001), and the registry of
//! wave format tags in RFC 2361.

use std::io::{Read, Seek, SeekFrom};

use symphonia::core::codecs::audio::AudioCodecId;
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_ADPCM_IMA_WAV, CODEC_ID_ADPCM_MS, CODEC_ID_PCM_ALAW, CODEC_ID_PCM_F64LE,
    CODEC_ID_PCM_MULAW,
};

use super::Decoded;
use super::bytes::{is_chunk_name, read_array, read_up_to};
use super::packets::{BlockHeader, PacketCodec, PacketData, adpcm_frames};
use crate::error::DecodeProblem;

/// What messages call such a file.
const WHAT: &str = "WAV file";

/// Bytes of a `fmt ` chunk that matter: WAVEFORMATEXTENSIBLE, and MS ADPCM's coefficients.
pub(super) const FORMAT_BYTES: u64 = 64;

const TAG_PCM: u16 = 0x0001;
const TAG_MS_ADPCM: u16 = 0x0002;
const TAG_FLOAT: u16 = 0x0003;
const TAG_ALAW: u16 = 0x0006;
const TAG_MULAW: u16 = 0x0007;
const TAG_IMA_ADPCM: u16 = 0x0011;
const TAG_MPEG: u16 = 0x0050;
const TAG_MP3: u16 = 0x0055;
const TAG_EXTENSIBLE: u16 = 0xfffe;

/// Where a WAV file's samples lie and what they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WavLayout {
    /// The format tag, after looking inside an extensible header.
    pub(super) tag: u16,
    pub(super) channels: u16,
    pub(super) sample_rate: u32,
    /// Bytes of one frame, or of one ADPCM block, for all channels.
    pub(super) block_align: u16,
    pub(super) bits_per_sample: u16,
    /// Offset of the first sample in the file.
    pub(super) data_start: u64,
    /// Bytes of samples that are there.
    pub(super) data_bytes: u64,
    /// Whether the header promises more bytes than are there.
    pub(super) truncated: bool,
    /// Frames in all, from the `fact` chunk; says where the last ADPCM block really ends.
    pub(super) fact_frames: Option<u32>,
}

/// How the samples are coded, and so who decodes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// Little-endian integers of 1 to 4 bytes; 1 byte is unsigned.
    Integer {
        bytes: u16,
    },
    Float32,
    /// A symphonia codec that is fed blocks.
    Packets(PacketCodec),
    /// An MPEG audio stream.
    Mpeg,
}

impl WavLayout {
    /// Walks the chunks of `file` up to the samples.
    pub(super) fn read(file: &mut (impl Read + Seek)) -> Decoded<Self> {
        let file_bytes = file.seek(SeekFrom::End(0))?;
        let head: [u8; 12] = read_array(file, 0, WHAT)?;
        let long = matches!(&head[..4], b"RF64" | b"BW64");
        if !(long || &head[..4] == b"RIFF") || &head[8..] != b"WAVE" {
            return Err(DecodeProblem::Malformed {
                what: "WAV header",
                expected: "RIFF....WAVE",
                found: printable(&head),
            });
        }

        let mut format: Option<Vec<u8>> = None;
        let mut data: Option<Data> = None;
        let mut fact_frames = None;
        let mut long_data_bytes = None;
        let mut position = 12;
        while position + 8 <= file_bytes && (format.is_none() || data.is_none()) {
            let (name, length) = chunk_header(file, position)?;
            // Whatever follows, it is no chunk: a recorder's zeros, or another program's trailer.
            if !is_chunk_name(&name) {
                break;
            }
            let body = position + 8;
            let present = u64::from(length).min(file_bytes - body);
            match &name {
                b"fmt " => format = Some(read_up_to(file, body, present.min(FORMAT_BYTES))?),
                b"fact" if present >= 4 => {
                    fact_frames = Some(u32::from_le_bytes(read_array(file, body, WHAT)?));
                }
                // The length in 64 bits of the `data` chunk, which then says 2³² − 1.
                b"ds64" if long && present >= 16 => {
                    long_data_bytes = Some(u64::from_le_bytes(read_array(file, body + 8, WHAT)?));
                }
                b"data" => {
                    let declared = match (length, long_data_bytes) {
                        (u32::MAX, Some(bytes)) if bytes > 0 => Declared::Bytes(bytes),
                        _ => Declared::Field(length),
                    };
                    data = Some(Data::measure(file, body, declared, file_bytes)?);
                }
                _ => {}
            }
            position = next_chunk(file, body, length, file_bytes)?;
        }

        let format = format.ok_or(DecodeProblem::Malformed {
            what: WHAT,
            expected: "a `fmt ` chunk",
            found: "none".to_owned(),
        })?;
        let data = data.ok_or(DecodeProblem::Malformed {
            what: WHAT,
            expected: "a `data` chunk",
            found: "none".to_owned(),
        })?;
        Self::from_format(&format, &data, fact_frames)
    }

    pub(super) fn from_format(
        format: &[u8],
        data: &Data,
        fact_frames: Option<u32>,
    ) -> Decoded<Self> {
        if format.len() < 14 {
            return Err(DecodeProblem::Malformed {
                what: "`fmt ` chunk",
                expected: "14 bytes or more",
                found: format!("{} bytes", format.len()),
            });
        }
        let mut tag = u16_at(format, 0);
        let channels = u16_at(format, 2);
        let block_align = u16_at(format, 12);
        // WAVEFORMAT, the oldest form, stops before the bits per sample.
        let mut bits_per_sample = if format.len() >= 16 { u16_at(format, 14) } else { 0 };
        if tag == TAG_EXTENSIBLE {
            // The sub-format's first two bytes are the tag; a header too short for it is PCM.
            tag = if format.len() >= 26 { u16_at(format, 24) } else { TAG_PCM };
        }
        if bits_per_sample == 0 {
            bits_per_sample = 8 * block_align.checked_div(channels).unwrap_or(0).min(8);
        }
        Ok(Self {
            tag,
            channels,
            sample_rate: u32_at(format, 4),
            block_align,
            bits_per_sample,
            data_start: data.start,
            data_bytes: data.bytes,
            truncated: data.truncated,
            fact_frames,
        })
    }

    /// The samples as packets.
    pub(super) fn packet_data(&self) -> PacketData {
        PacketData {
            channels: self.channels,
            sample_rate: self.sample_rate,
            start: self.data_start,
            bytes: self.data_bytes,
            truncated: self.truncated,
            frames: self.fact_frames,
        }
    }

    /// Who decodes these samples.
    pub(super) fn coding(&self) -> Decoded<Coding> {
        match self.tag {
            TAG_PCM => match self.container_bytes() {
                Some(bytes) => Ok(Coding::Integer { bytes }),
                None => Err(self.malformed_width("1 to 32 bits of integer PCM")),
            },
            TAG_FLOAT => match self.bits_per_sample {
                32 => Ok(Coding::Float32),
                64 => Ok(self.per_frame(CODEC_ID_PCM_F64LE, "pcm_f64le", 8)),
                _ => Err(self.malformed_width("32 or 64 bits of float PCM")),
            },
            TAG_ALAW => Ok(self.per_frame(CODEC_ID_PCM_ALAW, "pcm_alaw", 1)),
            TAG_MULAW => Ok(self.per_frame(CODEC_ID_PCM_MULAW, "pcm_mulaw", 1)),
            // MS ADPCM: a predictor byte, a step and two samples per channel, then nibbles.
            TAG_MS_ADPCM => self.adpcm(CODEC_ID_ADPCM_MS, "adpcm_ms", 7, 2),
            // IMA ADPCM: one sample and the step index per channel, then nibbles.
            TAG_IMA_ADPCM => self.adpcm(CODEC_ID_ADPCM_IMA_WAV, "adpcm_ima_wav", 4, 1),
            TAG_MPEG | TAG_MP3 => Ok(Coding::Mpeg),
            tag => Err(DecodeProblem::UnknownCodec {
                codec: format!("WAV format tag 0x{tag:04x}{}", name_of(tag)),
            }),
        }
    }

    /// Bytes of one sample of one channel. Samples of fewer bits are left-justified in them, as
    /// the specification has it and libsndfile reads it, so that the container sets the scale.
    fn container_bytes(&self) -> Option<u16> {
        let least = self.bits_per_sample.div_ceil(8);
        let stated = match self.channels {
            0 => 0,
            channels if self.block_align.is_multiple_of(channels) => self.block_align / channels,
            _ => 0,
        };
        let bytes = if stated >= least { stated } else { least };
        (1..=4).contains(&bytes).then_some(bytes)
    }

    fn per_frame(&self, id: AudioCodecId, name: &'static str, sample_bytes: u16) -> Coding {
        Coding::Packets(PacketCodec {
            id,
            name,
            block_bytes: sample_bytes.saturating_mul(self.channels),
            frames_per_block: 1,
            header: None,
        })
    }

    fn adpcm(
        &self,
        id: AudioCodecId,
        name: &'static str,
        header_bytes: u16,
        header_frames: u16,
    ) -> Decoded<Coding> {
        let header = BlockHeader {
            bytes: header_bytes.saturating_mul(self.channels),
            frames: header_frames,
        };
        if !(1..=2).contains(&self.channels) {
            return Err(DecodeProblem::UnknownCodec {
                codec: format!("{name} of {} channels", self.channels),
            });
        }
        let frames = adpcm_frames(self.block_align, header, self.channels);
        match frames.and_then(|frames| u16::try_from(frames).ok()) {
            Some(frames_per_block) if self.block_align > header.bytes => {
                Ok(Coding::Packets(PacketCodec {
                    id,
                    name,
                    block_bytes: self.block_align,
                    frames_per_block,
                    header: Some(header),
                }))
            }
            _ => Err(DecodeProblem::Malformed {
                what: "ADPCM block length",
                expected: "more than its own header",
                found: format!("{} bytes", self.block_align),
            }),
        }
    }

    fn malformed_width(&self, expected: &'static str) -> DecodeProblem {
        DecodeProblem::Malformed {
            what: "WAV sample width",
            expected,
            found: format!(
                "{} bits in frames of {} bytes and {} channels",
                self.bits_per_sample, self.block_align, self.channels
            ),
        }
    }
}

/// The samples' place, by the header and by what the file really holds.
pub(super) struct Data {
    pub(super) start: u64,
    pub(super) bytes: u64,
    pub(super) truncated: bool,
}

/// What a header says of the samples' length.
#[derive(Clone, Copy)]
enum Declared {
    /// The chunk's own field, which may hold a placeholder.
    Field(u32),
    /// RF64's 64 bits.
    Bytes(u64),
}

impl Data {
    fn measure(
        file: &mut (impl Read + Seek),
        start: u64,
        declared: Declared,
        file_bytes: u64,
    ) -> Decoded<Self> {
        let present = file_bytes - start;
        let declared = match declared {
            Declared::Field(length) => length,
            // Left as it was by a recorder that was cut off: no length either.
            Declared::Bytes(u64::MAX) => u32::MAX,
            Declared::Bytes(bytes) => {
                return Ok(Self { start, bytes: bytes.min(present), truncated: bytes > present });
            }
        };
        if is_placeholder(declared) && present != u64::from(declared) {
            // A pipe: the writer never learnt the length. Zero is also what an empty recording
            // says; then chunks follow, or nothing.
            let empty = declared == 0 && chunks_fill(file, start, file_bytes)?;
            return Ok(Self { start, bytes: if empty { 0 } else { present }, truncated: false });
        }
        let declared = u64::from(declared);
        Ok(Self { start, bytes: declared.min(present), truncated: declared > present })
    }
}

/// Lengths that writers to a pipe leave: none, ffmpeg's 2³² − 1 (or that less a header), and
/// SoX's 0x7ffff000.
fn is_placeholder(length: u32) -> bool {
    length == 0 || length >= 0xffff_ff00 || (0x7fff_f000..=0x7fff_ffff).contains(&length)
}

/// Whether well-formed chunks, or nothing, fill the file from `position` to its end.
fn chunks_fill(file: &mut (impl Read + Seek), mut position: u64, file_bytes: u64) -> Decoded<bool> {
    while position + 8 <= file_bytes {
        let (name, length) = chunk_header(file, position)?;
        if !is_chunk_name(&name) || position + 8 + u64::from(length) > file_bytes {
            return Ok(false);
        }
        position = next_chunk(file, position + 8, length, file_bytes)?;
    }
    Ok(position >= file_bytes)
}

/// Where the next chunk begins. Odd chunks are padded, but some writers forget to: then a chunk's
/// name stands where the pad byte belongs.
pub(super) fn next_chunk(
    file: &mut (impl Read + Seek),
    body: u64,
    length: u32,
    file_bytes: u64,
) -> Decoded<u64> {
    let end = body + u64::from(length);
    if length.is_multiple_of(2) || end + 9 > file_bytes {
        return Ok(end + u64::from(length % 2));
    }
    let bytes: [u8; 9] = read_array(file, end, WHAT)?;
    let (unpadded, padded) = (&bytes[..4], &bytes[1..5]);
    // A pad byte is zero, which no name begins with. Where both readings look like names, the one
    // that is known to be one, or else the rule, decides.
    let forgotten = is_chunk_name(unpadded)
        && (!is_chunk_name(padded) || (is_known_chunk(unpadded) && !is_known_chunk(padded)));
    Ok(if forgotten { end } else { end + 1 })
}

/// Chunks that programs write into WAV files.
fn is_known_chunk(name: &[u8]) -> bool {
    const KNOWN: [&[u8; 4]; 22] = [
        b"fmt ", b"data", b"fact", b"LIST", b"bext", b"iXML", b"cue ", b"smpl", b"inst", b"id3 ",
        b"ID3 ", b"JUNK", b"junk", b"PAD ", b"FLLR", b"PEAK", b"guan", b"wamd", b"acid", b"note",
        b"labl", b"axml",
    ];
    KNOWN.iter().any(|known| name == *known)
}

pub(super) fn chunk_header(
    file: &mut (impl Read + Seek),
    position: u64,
) -> Decoded<([u8; 4], u32)> {
    let header: [u8; 8] = read_array(file, position, WHAT)?;
    let [a, b, c, d, ..] = header;
    Ok(([a, b, c, d], u32_at(&header, 4)))
}

/// Reads two bytes at `offset`, which the caller has checked to be there.
fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes([bytes[offset], bytes[offset + 1]])
}

/// Reads four bytes at `offset`, which the caller has checked to be there.
fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from(u16_at(bytes, offset)) | u32::from(u16_at(bytes, offset + 2)) << 16
}

fn printable(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// Names of tags that old collections hold and nobody here decodes.
fn name_of(tag: u16) -> &'static str {
    match tag {
        0x0010 => " (OKI ADPCM)",
        0x0022 => " (TrueSpeech)",
        0x0031 => " (GSM 6.10)",
        0x0042 => " (G.723.1)",
        0x0045 | 0x0064 => " (G.726)",
        0x0092 | 0x2000 => " (AC-3)",
        0x00ff | 0x1600 | 0x1601 | 0x1610 => " (AAC)",
        0x0161 => " (WMA)",
        0x674f..=0x6771 => " (Ogg Vorbis)",
        0xf1ac => " (FLAC)",
        _ => "",
    }
}

// Tested through the decoder: what counts is which samples come out (`tests.rs` beside this file).

//! Samples of WAV that hound does not read (float64, A-law, µ-law, ADPCM), and of AIFF, AU and
//! CAF, by symphonia's codecs.
//!
//! In: the samples that [`super::wav`], [`super::aiff`], [`super::au`] or [`super::caf`] found. Out: mono blocks. The blocks are
//! handed to the codec as packets; symphonia's own readers, which refuse many headers, are not
//! asked.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Take};

use symphonia::core::audio::{Channels, GenericAudioBufferRef};
use symphonia::core::codecs::audio::{
    AudioCodecId, AudioCodecParameters, AudioDecoder, AudioDecoderOptions,
};
use symphonia::core::packet::PacketRef;
use symphonia::core::units::{Duration, Timestamp};

use super::mix::Frames;
use super::{BlockSource, Decoded, Integrity, StreamFormat};
use crate::error::DecodeProblem;

/// Frames handed to the codec at a time, at least; ADPCM blocks are handed over one by one.
const PACKET_FRAMES: usize = 4_096;

/// Where samples lie that a symphonia codec decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PacketData {
    pub(super) channels: u16,
    pub(super) sample_rate: u32,
    /// Offset of the first sample in the file.
    pub(super) start: u64,
    /// Bytes of samples that are there.
    pub(super) bytes: u64,
    /// Whether the header promises more bytes than are there.
    pub(super) truncated: bool,
    /// Frames in all, which say where the last ADPCM block really ends.
    pub(super) frames: Option<u32>,
}

/// A codec whose packets are blocks of bytes, one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PacketCodec {
    pub(super) id: AudioCodecId,
    pub(super) name: &'static str,
    pub(super) block_bytes: u16,
    pub(super) frames_per_block: u16,
    /// Bytes and frames that a block's header holds; the rest is packed nibbles.
    pub(super) header: Option<BlockHeader>,
}

/// What precedes the nibbles of an ADPCM block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockHeader {
    pub(super) bytes: u16,
    pub(super) frames: u16,
}

/// Frames that an ADPCM block of `bytes` bytes holds: its header's, and two per byte of nibbles
/// shared among the channels.
pub(super) fn adpcm_frames(bytes: u16, header: BlockHeader, channels: u16) -> Option<u32> {
    let nibbles = 2 * u32::from(bytes.checked_sub(header.bytes)?);
    Some(u32::from(header.frames) + nibbles / u32::from(channels.max(1)))
}

/// Mono blocks of samples that a symphonia codec decodes.
pub(super) struct PacketSource {
    data: Take<BufReader<File>>,
    decoder: Box<dyn AudioDecoder>,
    codec: PacketCodec,
    channels: u16,
    /// Frames still to come, where the `fact` chunk says how many there are.
    frames_left: Option<u64>,
    truncated: bool,
    damaged: bool,
    packet: Vec<u8>,
    interleaved: Vec<f32>,
}

impl PacketSource {
    pub(super) fn open(
        mut file: File,
        data: PacketData,
        codec: PacketCodec,
    ) -> Decoded<(StreamFormat, Box<dyn BlockSource>)> {
        let format = StreamFormat::new(data.sample_rate, data.channels.into(), codec.name)?;
        let frames_per_packet = packet_blocks(codec) * usize::from(codec.frames_per_block);
        let mut parameters = AudioCodecParameters::new();
        parameters
            .for_codec(codec.id)
            .with_sample_rate(data.sample_rate)
            .with_channels(Channels::Discrete(data.channels))
            .with_max_frames_per_packet(frames_per_packet as u64)
            .with_frames_per_block(codec.frames_per_block.into());
        let decoder = symphonia::default::get_codecs()
            .make_audio_decoder(&parameters, &AudioDecoderOptions::default())
            .map_err(DecodeProblem::decoder)?;
        file.seek(SeekFrom::Start(data.start))?;
        let source = Self {
            data: BufReader::with_capacity(1 << 16, file).take(data.bytes),
            decoder,
            codec,
            channels: data.channels,
            // Only ADPCM needs it, to cut the padding of its last block, and only if it ends there:
            // some programs write nonsense.
            frames_left: codec.header.and(data.frames).map(u64::from).filter(|frames| {
                let blocks = data.bytes.div_ceil(u64::from(codec.block_bytes));
                let most = blocks * u64::from(codec.frames_per_block);
                (most.saturating_sub(codec.frames_per_block.into()) + 1..=most).contains(frames)
            }),
            truncated: data.truncated,
            damaged: false,
            packet: Vec::new(),
            interleaved: Vec::new(),
        };
        Ok((format, Box::new(source)))
    }

    /// Reads the next packet; returns the frames that it holds, 0 at the end.
    fn read_packet(&mut self) -> Decoded<usize> {
        let block_bytes = usize::from(self.codec.block_bytes);
        let wanted = packet_blocks(self.codec) * block_bytes;
        self.packet.clear();
        self.data.by_ref().take(wanted as u64).read_to_end(&mut self.packet)?;
        let frames_per_block = usize::from(self.codec.frames_per_block);
        let whole_frames = self.packet.len() / block_bytes * frames_per_block;
        let Some(header) = self.codec.header else {
            self.packet.truncate(self.packet.len() / block_bytes * block_bytes);
            return Ok(whole_frames);
        };
        if self.packet.len() == block_bytes {
            return Ok(whole_frames);
        }
        // The last ADPCM block may be short; the codec wants it whole, and what the padding
        // decodes to is cut again.
        let present = u16::try_from(self.packet.len()).unwrap_or(0);
        let frames = adpcm_frames(present, header, self.channels).unwrap_or(0);
        self.packet.resize(block_bytes, 0);
        Ok(if present > header.bytes { frames as usize } else { 0 })
    }
}

fn packet_blocks(codec: PacketCodec) -> usize {
    if codec.header.is_some() { 1 } else { PACKET_FRAMES }
}

impl BlockSource for PacketSource {
    fn next_block(&mut self, block: &mut Frames) -> Decoded<bool> {
        let mut frames = self.read_packet()?;
        if let Some(left) = &mut self.frames_left {
            frames = frames.min(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= frames as u64;
        }
        if frames == 0 {
            return Ok(false);
        }
        let blocks = self.packet.len() / usize::from(self.codec.block_bytes);
        let duration = Duration::new((blocks * usize::from(self.codec.frames_per_block)) as u64);
        let packet = PacketRef::new(0, Timestamp::new(0), duration, &self.packet);
        let channels = usize::from(self.channels);
        if let Ok(decoded) = self.decoder.decode_ref(&packet) {
            copy_interleaved(&decoded, &mut self.interleaved);
        } else {
            // Time must not shift: silence stands for what could not be decoded.
            self.damaged = true;
            self.interleaved.clear();
        }
        self.interleaved.resize(frames * channels, 0.0);
        block.push(&self.interleaved, channels);
        Ok(true)
    }

    fn pass_over(&mut self, most: u64) -> Decoded<u64> {
        let (block_bytes, block_frames) =
            (u64::from(self.codec.block_bytes), u64::from(self.codec.frames_per_block));
        let most = self.frames_left.map_or(most, |left| left.min(most));
        // Blocks of ADPCM begin with what the decoder has to know.
        let blocks = (most / block_frames).min(self.data.limit() / block_bytes);
        let (bytes, frames) = (blocks * block_bytes, blocks * block_frames);
        let limit = self.data.limit() - bytes;
        self.data.get_mut().seek_relative(i64::try_from(bytes).unwrap_or(i64::MAX))?;
        self.data.set_limit(limit);
        if let Some(left) = &mut self.frames_left {
            *left -= frames;
        }
        Ok(frames)
    }

    fn integrity(&self) -> Integrity {
        match (self.damaged, self.truncated) {
            (true, _) => Integrity::Damaged,
            (false, true) => Integrity::Truncated,
            (false, false) => Integrity::Ok,
        }
    }
}

/// Replaces `interleaved` by all channels of `decoded`, scaled to [−1, 1].
pub(super) fn copy_interleaved(decoded: &GenericAudioBufferRef<'_>, interleaved: &mut Vec<f32>) {
    interleaved.resize(decoded.samples_interleaved(), 0.0);
    decoded.copy_to_slice_interleaved(&mut interleaved[..]);
}

//! Integer and float32 samples of a WAV file, by hound.
//!
//! In: the `data` chunk that [`super::wav`] found. Out: mono blocks. hound reads one plain kind of
//! header, so it is given that one, written anew in front of the samples; what a file's own
//! header looked like no longer matters.

use std::fs::File;
use std::io::{BufReader, Chain, Cursor, Read, Seek, SeekFrom, Take};

use hound::{SampleFormat, WavReader};

use super::mix::Frames;
use super::wav::{Coding, WavLayout};
use super::{BlockSource, Decoded, Integrity, StreamFormat};
use crate::error::DecodeProblem;

/// Frames of a block: a second or less at common rates.
const BLOCK_FRAMES: usize = 16_384;

/// The `data` chunk behind a header that hound wrote itself would look like.
type Headed = Chain<Cursor<Vec<u8>>, Take<BufReader<File>>>;

/// Mono blocks of integer or float32 samples.
pub(super) struct HoundSource {
    reader: Option<WavReader<Headed>>,
    shape: SampleShape,
    /// Bytes that lie beyond what the present header covers; hound counts in 32 bits.
    bytes_after: u64,
    truncated: bool,
    interleaved: Vec<f32>,
}

#[derive(Clone, Copy)]
struct SampleShape {
    channels: u16,
    sample_rate: u32,
    bytes: u16,
    format: SampleFormat,
}

impl HoundSource {
    pub(super) fn open(
        mut file: File,
        layout: &WavLayout,
    ) -> Decoded<(StreamFormat, Box<dyn BlockSource>)> {
        let (bytes, format, codec) = match layout.coding()? {
            Coding::Integer { bytes: 1 } => (1, SampleFormat::Int, "pcm_u8"),
            Coding::Integer { bytes: 2 } => (2, SampleFormat::Int, "pcm_s16le"),
            Coding::Integer { bytes: 3 } => (3, SampleFormat::Int, "pcm_s24le"),
            Coding::Integer { .. } => (4, SampleFormat::Int, "pcm_s32le"),
            _ => (4, SampleFormat::Float, "pcm_f32le"),
        };
        let stream = StreamFormat::new(layout.sample_rate, layout.channels.into(), codec)?;
        file.seek(SeekFrom::Start(layout.data_start))?;
        let shape = SampleShape {
            channels: layout.channels,
            sample_rate: layout.sample_rate,
            bytes,
            format,
        };
        let mut source = Self {
            reader: None,
            shape,
            bytes_after: layout.data_bytes,
            truncated: layout.truncated,
            interleaved: Vec::new(),
        };
        source.head(BufReader::with_capacity(1 << 16, file))?;
        Ok((stream, Box::new(source)))
    }

    /// Puts a header in front of as many of the remaining bytes as one can cover.
    fn head(&mut self, data: BufReader<File>) -> Decoded<()> {
        let frame_bytes = u64::from(self.shape.bytes) * u64::from(self.shape.channels);
        let most = u64::from(u32::MAX - 1024) / frame_bytes * frame_bytes;
        let covered = (self.bytes_after / frame_bytes * frame_bytes).min(most);
        self.bytes_after -= covered;
        if covered < frame_bytes {
            self.bytes_after = 0;
        }
        let header = self.shape.header(u32::try_from(covered).unwrap_or(u32::MAX));
        let headed = Cursor::new(header).chain(data.take(covered));
        self.reader = Some(WavReader::new(headed).map_err(DecodeProblem::decoder)?);
        Ok(())
    }

    fn read_block(&mut self) -> Decoded<()> {
        let samples = BLOCK_FRAMES * usize::from(self.shape.channels);
        self.interleaved.clear();
        let Some(reader) = &mut self.reader else {
            return Ok(());
        };
        match self.shape.format {
            SampleFormat::Float => {
                for sample in reader.samples::<f32>().take(samples) {
                    self.interleaved.push(sample.map_err(DecodeProblem::decoder)?);
                }
            }
            SampleFormat::Int => {
                let scale = 1.0 / (1_u64 << (8 * u32::from(self.shape.bytes) - 1)) as f32;
                for sample in reader.samples::<i32>().take(samples) {
                    let sample = sample.map_err(DecodeProblem::decoder)?;
                    self.interleaved.push(sample as f32 * scale);
                }
            }
        }
        Ok(())
    }
}

impl BlockSource for HoundSource {
    fn next_block(&mut self, frames: &mut Frames) -> Decoded<bool> {
        self.read_block()?;
        if self.interleaved.is_empty() && self.bytes_after > 0 {
            if let Some(reader) = self.reader.take() {
                let (_, data) = reader.into_inner().into_inner();
                self.head(data.into_inner())?;
            }
            self.read_block()?;
        }
        frames.push(&self.interleaved, self.shape.channels.into());
        Ok(!self.interleaved.is_empty())
    }

    fn pass_over(&mut self, most: u64) -> Decoded<u64> {
        let Some(reader) = self.reader.take() else { return Ok(0) };
        let (_, data) = reader.into_inner().into_inner();
        let bytes = data.limit() + self.bytes_after;
        let mut data = data.into_inner();
        let frame_bytes = u64::from(self.shape.bytes) * u64::from(self.shape.channels);
        let frames = most.min(bytes / frame_bytes);
        let passed = frames * frame_bytes;
        data.seek_relative(i64::try_from(passed).unwrap_or(i64::MAX))?;
        self.bytes_after = bytes - passed;
        self.head(data)?;
        Ok(frames)
    }

    fn integrity(&self) -> Integrity {
        if self.truncated { Integrity::Truncated } else { Integrity::Ok }
    }
}

impl SampleShape {
    /// The 44 bytes of a canonical WAV header over `data_bytes` bytes.
    fn header(self, data_bytes: u32) -> Vec<u8> {
        let block_align = self.bytes * self.channels;
        let tag: u16 = if self.format == SampleFormat::Float { 3 } else { 1 };
        let mut header = Vec::with_capacity(44);
        header.extend_from_slice(b"RIFF");
        header.extend_from_slice(&(data_bytes + 36).to_le_bytes());
        header.extend_from_slice(b"WAVEfmt ");
        header.extend_from_slice(&16_u32.to_le_bytes());
        header.extend_from_slice(&tag.to_le_bytes());
        header.extend_from_slice(&self.channels.to_le_bytes());
        header.extend_from_slice(&self.sample_rate.to_le_bytes());
        header.extend_from_slice(&(self.sample_rate * u32::from(block_align)).to_le_bytes());
        header.extend_from_slice(&block_align.to_le_bytes());
        header.extend_from_slice(&(8 * self.bytes).to_le_bytes());
        header.extend_from_slice(b"data");
        header.extend_from_slice(&data_bytes.to_le_bytes());
        header
    }
}

//! A Wave64 file: RIFF with lengths of 64 bits and names of 16 bytes.
//!
//! In: a file. Out: a [`WavLayout`], as if it had been WAV. Refuses files without a usable `fmt `
//! and a `data` chunk. Source: Sonic Foundry, "Sony Pictures Digital Wave 64", 2003.

use std::io::{Read, Seek, SeekFrom};

use super::Decoded;
use super::bytes::{read_array, read_up_to};
use super::wav::{Data, FORMAT_BYTES, WavLayout};
use crate::error::DecodeProblem;

/// What messages call such a file.
const WHAT: &str = "Wave64 file";

/// Bytes of a chunk's name and length.
const HEADER_BYTES: u64 = 24;
/// The file's own name and length, and the word `wave`.
const FILE_HEADER_BYTES: u64 = 40;
/// What follows the four letters in the names of all chunks.
const NAME_TAIL: [u8; 12] =
    [0xf3, 0xac, 0xd3, 0x11, 0x8c, 0xd1, 0x00, 0xc0, 0x4f, 0x8e, 0xdb, 0x8a];

/// Walks the chunks of `file` up to the samples.
pub(super) fn read(file: &mut (impl Read + Seek)) -> Decoded<WavLayout> {
    let file_bytes = file.seek(SeekFrom::End(0))?;
    let (mut format, mut data, mut fact_frames) = (None, None, None);
    let mut position = FILE_HEADER_BYTES;
    while position + HEADER_BYTES <= file_bytes && (format.is_none() || data.is_none()) {
        let name: [u8; 16] = read_array(file, position, WHAT)?;
        let length = u64::from_le_bytes(read_array(file, position + 16, WHAT)?);
        if name[4..] != NAME_TAIL || length < HEADER_BYTES {
            break;
        }
        let body = position + HEADER_BYTES;
        let present = file_bytes - body;
        let declared = length - HEADER_BYTES;
        match &name[..4] {
            b"fmt " => format = Some(read_up_to(file, body, declared.min(FORMAT_BYTES))?),
            b"fact" if declared >= 4 && present >= 4 => {
                fact_frames = Some(u32::from_le_bytes(read_array(file, body, WHAT)?));
            }
            b"data" => {
                let bytes = declared.min(present);
                data = Some(Data { start: body, bytes, truncated: declared > present });
            }
            _ => {}
        }
        if declared >= present {
            break;
        }
        // Chunks begin at multiples of eight bytes.
        position = (position + length).next_multiple_of(8);
    }
    let missing =
        |expected| DecodeProblem::Malformed { what: WHAT, expected, found: "none".to_owned() };
    let format = format.ok_or_else(|| missing("a `fmt ` chunk"))?;
    let data = data.ok_or_else(|| missing("a `data` chunk"))?;
    WavLayout::from_format(&format, &data, fact_frames)
}

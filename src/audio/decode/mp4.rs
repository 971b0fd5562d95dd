//! What an MP4 or `QuickTime` file says of its audio tracks' beginning and end.
//!
//! In: a file. Out: [`Movie`]: whether the file is all there, and each audio track's edit. Refuses
//! files without their index, the `moov` box, which usually comes last and is what a recorder
//! that was cut off never wrote. symphonia reads the packets but not the edit lists; without them
//! AAC would come with its encoder's delay. Source: ISO/IEC 14496-12, sections 4.2, 8.6.6 and
//! 8.8; iTunes' `iTunSMPB` as observed.

use std::io::{Read, Seek, SeekFrom};

use super::Decoded;
use super::bytes::read_up_to;
use crate::error::DecodeProblem;

/// What messages call such a file.
const WHAT: &str = "MP4 file";

/// Bytes of an index that are read: hours of sound need less than a megabyte.
const MAX_INDEX_BYTES: u64 = 256 * 1024 * 1024;

/// What the index says.
#[derive(Debug, Default)]
pub(super) struct Movie {
    /// Whether a box reaches beyond the end of the file.
    pub(super) cut_off: bool,
    /// Where the last box ends, or would: symphonia refuses boxes that reach beyond the file.
    pub(super) end: u64,
    /// Whether the samples' times stand in fragments instead of the index.
    fragmented: bool,
    tracks: Vec<(u32, Edit)>,
    /// Samples to drop at the beginning, and how many there are, as iTunes writes them.
    itunes: Option<(u64, u64)>,
}

/// The part of a track that is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    /// Ticks of the track to drop at the beginning.
    pub(super) start: u64,
    /// Ticks that are played then, where the list says.
    pub(super) length: Option<u64>,
    /// Ticks of all samples together.
    pub(super) samples: u64,
    /// Ticks per second.
    pub(super) timescale: u32,
}

impl Edit {
    /// Ticks as frames at `sample_rate`.
    fn frames(&self, ticks: u64, sample_rate: u32) -> u64 {
        let scale = u128::from(self.timescale.max(1));
        let frames = (u128::from(ticks) * u128::from(sample_rate) + scale / 2) / scale;
        u64::try_from(frames).unwrap_or(u64::MAX)
    }
}

impl Movie {
    pub(super) fn read(file: &mut (impl Read + Seek)) -> Decoded<Self> {
        let file_bytes = file.seek(SeekFrom::End(0))?;
        let mut movie = Self::default();
        let (mut position, mut found, mut typed) = (0, false, false);
        while position + 8 <= file_bytes {
            let Some(header) = BoxHeader::read(&read_up_to(file, position, 16)?) else { break };
            let end = header.length.map_or(file_bytes, |length| position.saturating_add(length));
            movie.end = end;
            if end > file_bytes {
                movie.cut_off = true;
            }
            match &header.name {
                b"ftyp" => typed = true,
                b"moov" if end <= file_bytes => {
                    let body = position + header.bytes;
                    let length = (end - body).min(MAX_INDEX_BYTES);
                    movie.read_index(&read_up_to(file, body, length)?);
                    found = true;
                }
                _ => {}
            }
            position = end;
            if movie.cut_off {
                break;
            }
        }
        let missing =
            |expected| DecodeProblem::Malformed { what: WHAT, expected, found: "none".to_owned() };
        match (typed, found) {
            (true, true) => Ok(movie),
            (false, _) => Err(missing("a `ftyp` box")),
            (_, false) => Err(missing("a `moov` box, which a cut off recording lacks")),
        }
    }

    fn read_index(&mut self, index: &[u8]) {
        let movie_timescale = child(index, "mvhd").and_then(timescale).unwrap_or(1);
        for (name, body) in boxes(index) {
            match name {
                b"trak" => self.tracks.extend(track(body, movie_timescale)),
                b"mvex" => self.fragmented = true,
                b"udta" => {
                    self.itunes = child(body, "meta")
                        // Version and flags stand before its boxes.
                        .and_then(|meta| child(meta.get(4..)?, "ilst"))
                        .and_then(itunes_gap);
                }
                _ => {}
            }
        }
    }

    /// Frames of a track to drop at its beginning, and how many then follow.
    pub(super) fn edit(&self, track: u32, sample_rate: u32) -> (Option<u64>, Option<u64>) {
        let Some(edit) = self.track(track) else { return (None, None) };
        let frames = |ticks| edit.frames(ticks, sample_rate);
        match self.itunes {
            _ if edit.start > 0 => (Some(frames(edit.start)), edit.length.map(frames)),
            // It counts samples of what is played, which is what ticks are then.
            Some((start, length)) => (Some(frames(start)), Some(frames(length))),
            None => (None, edit.length.map(frames)),
        }
    }

    /// Frames that all packets of a track are said to last.
    pub(super) fn frames(&self, track: u32, sample_rate: u32) -> Option<u64> {
        let edit = self.track(track).filter(|edit| !self.fragmented && edit.samples > 0)?;
        Some(edit.frames(edit.samples, sample_rate))
    }

    fn track(&self, track: u32) -> Option<&Edit> {
        self.tracks.iter().find(|(id, _)| *id == track).map(|(_, edit)| edit)
    }
}

/// A box's name and extent.
struct BoxHeader {
    name: [u8; 4],
    /// Bytes of the header itself.
    bytes: u64,
    /// Bytes of the box, header included; none when it reaches to the end.
    length: Option<u64>,
}

impl BoxHeader {
    fn read(bytes: &[u8]) -> Option<Self> {
        let name = *bytes.get(4..8)?.first_chunk()?;
        let length = u64::from(u32_at(bytes, 0)?);
        let (header, length) = match length {
            0 => (8, None),
            1 => (16, Some(u64_at(bytes, 8)?)),
            length => (8, Some(length)),
        };
        let sensible = length.is_none_or(|length| length >= header);
        sensible.then_some(Self { name, bytes: header, length })
    }
}

/// The boxes that `bytes` consist of, up to the first that does not fit.
fn boxes(mut bytes: &[u8]) -> impl Iterator<Item = (&[u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let header = BoxHeader::read(bytes)?;
        let name = bytes.get(4..8)?.first_chunk()?;
        let length = header.length.map_or(Some(bytes.len()), |length| length.try_into().ok())?;
        let body = bytes.get(usize::try_from(header.bytes).ok()?..length)?;
        bytes = &bytes[length..];
        Some((name, body))
    })
}

fn child<'a>(bytes: &'a [u8], name: &str) -> Option<&'a [u8]> {
    boxes(bytes).find(|(found, _)| *found == name.as_bytes()).map(|(_, body)| body)
}

/// The id and the edit of an audio track.
fn track(body: &[u8], movie_timescale: u32) -> Option<(u32, Edit)> {
    let media = child(body, "mdia")?;
    let handler = child(media, "hdlr")?;
    if handler.get(8..12)? != b"soun" {
        return None;
    }
    let header = child(body, "tkhd")?;
    let id = u32_at(header, if header.first()? == &1 { 20 } else { 12 })?;
    let timescale = child(media, "mdhd").and_then(timescale)?;
    let list = child(body, "edts").and_then(|edits| child(edits, "elst"));
    let samples = child(media, "minf")
        .and_then(|information| child(information, "stbl"))
        .and_then(|table| child(table, "stts"))
        .map_or(0, sample_ticks);
    let mut edit = Edit { start: 0, length: None, samples, timescale };
    if let Some((length, start)) = list.and_then(single_edit) {
        edit.start = start;
        // The list counts in the movie's ticks, often milliseconds: unless they divide into the
        // track's, the end lies somewhere in the last of them.
        let exact = movie_timescale.is_multiple_of(timescale);
        let length = u128::from(length) + u128::from(!exact);
        let ticks = length * u128::from(timescale) / u128::from(movie_timescale.max(1));
        edit.length = u64::try_from(ticks).ok().filter(|&ticks| ticks > 0);
    }
    Some((id, edit))
}

/// Ticks of all samples, by the table of their durations.
fn sample_ticks(table: &[u8]) -> u64 {
    table.get(8..).unwrap_or_default().chunks_exact(8).fold(0_u64, |all, entry| {
        let (count, ticks) = (u32_at(entry, 0), u32_at(entry, 4));
        let run = u64::from(count.unwrap_or(0)) * u64::from(ticks.unwrap_or(0));
        all.saturating_add(run)
    })
}

/// The duration and the start of a list's only edit that plays something; a pause before it only
/// delays the track.
fn single_edit(list: &[u8]) -> Option<(u64, u64)> {
    let wide = list.first()? == &1;
    let entry_bytes = if wide { 20 } else { 12 };
    let count = usize::try_from(u32_at(list, 4)?).ok()?;
    let mut played = list.get(8..)?.chunks_exact(entry_bytes).take(count).filter_map(|entry| {
        let (length, start) = if wide {
            (u64_at(entry, 0)?, u64_at(entry, 8)?.cast_signed())
        } else {
            (u32_at(entry, 0)?.into(), u32_at(entry, 4)?.cast_signed().into())
        };
        Some((length, u64::try_from(start).ok()?))
    });
    let first = played.next()?;
    played.next().is_none().then_some(first)
}

/// The ticks per second of an `mvhd` or `mdhd`.
fn timescale(header: &[u8]) -> Option<u32> {
    u32_at(header, if header.first()? == &1 { 20 } else { 12 })
}

/// iTunes' note on gapless playback: twelve numbers in hexadecimal, of which the second is the
/// delay, the third the padding and the fourth the length.
fn itunes_gap(list: &[u8]) -> Option<(u64, u64)> {
    boxes(list).filter(|(name, _)| *name == b"----").find_map(|(_, note)| {
        let name = child(note, "name")?;
        let value = child(note, "data")?;
        if name.get(4..)? != b"iTunSMPB" {
            return None;
        }
        let text = std::str::from_utf8(value.get(8..)?).ok()?;
        let mut numbers =
            text.split_ascii_whitespace().map(|number| u64::from_str_radix(number, 16).ok());
        let (delay, length) = (numbers.nth(1)??, numbers.nth(1)??);
        (length > 0).then_some((delay, length))
    })
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    bytes.get(offset..)?.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

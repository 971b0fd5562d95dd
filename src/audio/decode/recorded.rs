//! When a recording was made, as the file itself says.
//!
//! In: the chunks of a WAV file, a demuxer's tags. Out: a date, where one makes sense. Refuses
//! nothing: what cannot be read says nothing, and no file fails for it.
//!
//! `bext`: EBU Tech 3285. GUANO: the "GUANO Metadata Specification", version 1.0. `INFO`: Microsoft
//! and IBM, "Multimedia Programming Interface and Data Specifications 1.0" (1991).

use std::io::{Read, Seek, SeekFrom};

use symphonia::core::formats::FormatReader;
use symphonia::core::meta::{RawTag, RawValue, Tag};

use super::Decoded;
use super::bytes::{is_chunk_name, read_up_to};
use super::wav::{WavLayout, chunk_header, next_chunk};
use crate::dates::{Recorded, WallTime, Witness};

/// Chunks that are looked at; files have a dozen.
const MOST_CHUNKS: usize = 1_000;

/// Bytes of a chunk that are read. GUANO may hold a whole settings file.
const CHUNK_BYTES: u64 = 65_536;

/// Where `bext` has its date and, behind it, its time.
const BEXT_DATE: std::ops::Range<usize> = 320..330;
const BEXT_TIME: std::ops::Range<usize> = 330..338;

/// Tags that say when something was recorded, the most telling first. Vorbis comments, Matroska,
/// ID3v2.4, MP4, ID3v2.3 and 2.2; `DATE` and `©day` are often when it was published.
const TAGS: [&str; 6] = ["DATE_RECORDED", "TDRC", "DATE", "©day", "TYER", "TYE"];

/// What the chunks of a WAV file say, before and behind the samples.
pub(super) fn of_wav(file: &mut (impl Read + Seek)) -> Option<Recorded> {
    let layout = WavLayout::read(file).ok()?;
    let mut found: Vec<Recorded> = Vec::new();
    // An unreadable place ends the search; the samples tell whether the file can be used.
    let _ = visit_chunks(file, &layout, &mut |name, body| {
        let (at, from) = match name {
            b"bext" => (bext(body), Witness::Bext),
            b"guan" => (guano(body), Witness::Guano),
            b"LIST" => (info(body), Witness::Tag),
            _ => return,
        };
        found.extend(at.map(|at| Recorded { at, from }));
    });
    let rank =
        |recorded: &Recorded| Witness::ALL.iter().position(|witness| *witness == recorded.from);
    found.into_iter().min_by_key(rank)
}

fn visit_chunks(
    file: &mut (impl Read + Seek),
    layout: &WavLayout,
    visit: &mut dyn FnMut(&[u8; 4], &[u8]),
) -> Decoded<()> {
    let file_bytes = file.seek(SeekFrom::End(0))?;
    let mut position = 12;
    for _ in 0..MOST_CHUNKS {
        if position + 8 > file_bytes {
            break;
        }
        let (name, length) = chunk_header(file, position)?;
        if !is_chunk_name(&name) {
            break;
        }
        let body = position + 8;
        if body == layout.data_start {
            // Its length may lie elsewhere, or nowhere.
            let end = body + layout.data_bytes;
            position = end + end % 2;
            continue;
        }
        if matches!(&name, b"bext" | b"guan" | b"LIST") {
            let present = u64::from(length).min(file_bytes.saturating_sub(body));
            visit(&name, &read_up_to(file, body, present.min(CHUNK_BYTES))?);
        }
        position = next_chunk(file, body, length, file_bytes)?;
    }
    Ok(())
}

fn bext(body: &[u8]) -> Option<WallTime> {
    let date = str::from_utf8(body.get(BEXT_DATE)?).ok()?;
    let time = body.get(BEXT_TIME).and_then(|time| str::from_utf8(time).ok()).unwrap_or_default();
    // The standard lets other separators stand for the colon.
    let time: String = time.chars().map(|c| if c.is_ascii_digit() { c } else { ':' }).collect();
    WallTime::parse(&format!("{date}T{time}")).or_else(|| WallTime::parse(date))
}

fn guano(body: &[u8]) -> Option<WallTime> {
    let text = String::from_utf8_lossy(body);
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.trim().eq_ignore_ascii_case("timestamp").then(|| WallTime::parse(value))?
    })
}

/// `ICRD` of a list of that kind.
fn info(body: &[u8]) -> Option<WallTime> {
    let mut rest = body.strip_prefix(b"INFO")?;
    while let Some((head, behind)) = rest.split_first_chunk::<8>() {
        let [name @ .., a, b, c, d] = head;
        let length = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
        let value = behind.get(..length.min(behind.len()))?;
        if name == b"ICRD" {
            return WallTime::parse(&String::from_utf8_lossy(value));
        }
        rest = behind.get(length.checked_add(length % 2)?..)?;
    }
    None
}

/// What the tags say that `demuxer` has read.
pub(super) fn of_tags(demuxer: &mut dyn FormatReader) -> Option<Recorded> {
    let mut metadata = demuxer.metadata();
    let mut tags: Vec<Tag> = Vec::new();
    while let Some(revision) = metadata.current() {
        tags.extend_from_slice(&revision.media.tags);
        tags.extend(revision.per_track.iter().flat_map(|track| track.metadata.tags.clone()));
        if metadata.is_latest() {
            break;
        }
        metadata.pop();
    }
    let at = TAGS.iter().find_map(|wanted| {
        let same = |tag: &&Tag| tag.raw.key.to_lowercase() == wanted.to_lowercase();
        tags.iter().filter(same).find_map(|tag| of_tag(&tag.raw, &tags))
    })?;
    Some(Recorded { at, from: Witness::Tag })
}

fn of_tag(tag: &RawTag, tags: &[Tag]) -> Option<WallTime> {
    let year = text_of(tag)?;
    let other = |key: &str| {
        let found = tags.iter().find(|tag| tag.raw.key == key)?;
        text_of(&found.raw).filter(|text| text.len() == 4 && text.is_ascii())
    };
    // The day and the time had frames of their own: DDMM and HHMM.
    if tag.key == "TYER"
        && let Some(day) = other("TDAT")
    {
        let date = format!("{year}-{}-{}", &day[2..], &day[..2]);
        let timed = other("TIME")
            .and_then(|time| WallTime::parse(&format!("{date}T{}:{}", &time[..2], &time[2..])));
        if let Some(time) = timed.or_else(|| WallTime::parse(&date)) {
            return Some(time);
        }
    }
    WallTime::parse(&year)
}

fn text_of(tag: &RawTag) -> Option<String> {
    match &tag.value {
        RawValue::String(text) => Some(text.as_ref().clone()),
        RawValue::StringList(texts) => texts.first().cloned(),
        RawValue::UnsignedInt(number) => Some(number.to_string()),
        RawValue::SignedInt(number) => Some(number.to_string()),
        _ => None,
    }
}

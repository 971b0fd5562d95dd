//! Sound, as it is or cut out, in ranges.
//!
//! In: an open file, or bytes. Out: what of it was asked for by `Range`, so that players can begin
//! anywhere. Refuses ranges that begin behind the end (RFC 9110, section 14).

use std::fs::{File, Metadata};
use std::io::SeekFrom;
use std::path::Path;
use std::time::UNIX_EPOCH;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use sonoteca::audio::sniff::{FileKind, kind_of};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use super::error::{Answer, Refusal};
use super::roots::FileOf;

/// Bytes that are read at once.
const PORTION: usize = 64 * 1024;

/// What a player keeps, for an hour: it is this user's.
const KEEP: HeaderValue = HeaderValue::from_static("private, max-age=3600");

/// A file of sound that is about to be sent.
#[derive(Debug)]
pub(super) struct Sound {
    file: File,
    length: u64,
    media_type: &'static str,
    tag: String,
}

impl Sound {
    /// Opens the file of a recording.
    pub(super) fn open(of: &FileOf) -> Answer<Self> {
        let file = File::open(&of.path).map_err(|source| of.failed("open", source))?;
        let metadata = file.metadata().map_err(|source| of.failed("open", source))?;
        Ok(Self {
            file,
            length: metadata.len(),
            media_type: media_type(&of.path),
            tag: tag_of(&metadata),
        })
    }

    /// What of it `headers` ask for.
    pub(super) async fn answer(self, headers: &HeaderMap) -> Answer<Response> {
        let Self { file, length, media_type, tag } = self;
        let part = match wanted(headers, length, &tag) {
            Wanted::Known => return Ok(unchanged(&tag)),
            Wanted::Nothing => return Ok(unsatisfiable(length)),
            Wanted::All => None,
            Wanted::Part(first, last) => Some((first, last)),
        };
        let (first, last) = part.unwrap_or((0, length.saturating_sub(1)));
        let mut file = tokio::fs::File::from_std(file);
        file.seek(SeekFrom::Start(first)).await.map_err(|error| Refusal::internal(&error))?;
        let count = if length == 0 { 0 } else { last - first + 1 };
        let stream = ReaderStream::with_capacity(file.take(count), PORTION);
        Ok(respond(Body::from_stream(stream), part, (count, length), media_type, &tag))
    }
}

/// What of `bytes` `headers` ask for; `tag` tells them from others.
pub(super) fn of_bytes(
    bytes: &Bytes,
    headers: &HeaderMap,
    media_type: &'static str,
    tag: &str,
) -> Response {
    let length = bytes.len() as u64;
    let part = match wanted(headers, length, tag) {
        Wanted::Known => return unchanged(tag),
        Wanted::Nothing => return unsatisfiable(length),
        Wanted::All => None,
        Wanted::Part(first, last) => Some((first, last)),
    };
    let index = |place: u64| usize::try_from(place).unwrap_or(usize::MAX);
    let body = match part {
        Some((first, last)) => bytes.slice(index(first)..=index(last)),
        None => bytes.clone(),
    };
    respond(Body::from(body.clone()), part, (body.len() as u64, length), media_type, tag)
}

fn respond(
    body: Body,
    part: Option<(u64, u64)>,
    (count, length): (u64, u64),
    media_type: &'static str,
    tag: &str,
) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CONTENT_LENGTH, count.into());
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CACHE_CONTROL, KEEP);
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(header::ETAG, tag);
    }
    if let Some((first, last)) = part {
        let range = format!("bytes {first}-{last}/{length}");
        if let Ok(range) = HeaderValue::from_str(&range) {
            headers.insert(header::CONTENT_RANGE, range);
        }
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    response
}

fn unchanged(tag: &str) -> Response {
    (
        StatusCode::NOT_MODIFIED,
        [(header::ETAG, tag), (header::CACHE_CONTROL, "private, max-age=3600")],
    )
        .into_response()
}

fn unsatisfiable(length: u64) -> Response {
    let refusal =
        Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, "no_such_range", "it is shorter than that");
    let mut response = refusal.into_response();
    if let Ok(range) = HeaderValue::from_str(&format!("bytes */{length}")) {
        response.headers_mut().insert(header::CONTENT_RANGE, range);
    }
    response
}

/// What a request wants of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    All,
    /// From a byte to another, which belongs to it.
    Part(u64, u64),
    /// What is not there.
    Nothing,
    /// What it has already.
    Known,
}

fn wanted(headers: &HeaderMap, length: u64, tag: &str) -> Wanted {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let is_same = |tags: &str| tags.split(',').any(|one| one.trim() == tag || one.trim() == "*");
    if text(header::IF_NONE_MATCH).is_some_and(is_same) {
        return Wanted::Known;
    }
    // Of something else than what the client has a part of, it gets all.
    if text(header::IF_RANGE).is_some_and(|known| known.trim() != tag) {
        return Wanted::All;
    }
    text(header::RANGE).map_or(Wanted::All, |range| range_of(range, length))
}

/// One range of bytes. Several, and other units, are answered with everything, as a server may.
fn range_of(range: &str, length: u64) -> Wanted {
    let Some(range) = range.trim().strip_prefix("bytes=") else { return Wanted::All };
    let Some((first, last)) = range.split_once('-') else { return Wanted::All };
    let (first, last) = (first.trim(), last.trim());
    let number = |text: &str| -> Option<u64> {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // What is too large for a number is behind every end.
        is_number.then(|| text.parse().unwrap_or(u64::MAX))
    };
    match (number(first), number(last)) {
        (Some(first), _) if first >= length && (last.is_empty() || number(last).is_some()) => {
            Wanted::Nothing
        }
        (Some(first), Some(last)) if last >= first => Wanted::Part(first, last.min(length - 1)),
        (Some(first), None) if last.is_empty() => Wanted::Part(first, length - 1),
        (None, Some(0)) if first.is_empty() => Wanted::Nothing,
        (None, Some(_)) if first.is_empty() && length == 0 => Wanted::Nothing,
        (None, Some(count)) if first.is_empty() => {
            Wanted::Part(length.saturating_sub(count), length - 1)
        }
        _ => Wanted::All,
    }
}

/// What tells a file from its earlier self.
pub(super) fn tag_of(metadata: &Metadata) -> String {
    let modified = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    format!("\"{:x}-{:x}\"", metadata.len(), modified.map_or(0, |at| at.as_nanos()))
}

/// What browsers call a file's content.
fn media_type(path: &Path) -> &'static str {
    match kind_of(path) {
        Ok(FileKind::Wav) => "audio/wav",
        Ok(FileKind::Flac) => "audio/flac",
        Ok(FileKind::Ogg) => "audio/ogg",
        Ok(FileKind::Mpeg) => "audio/mpeg",
        Ok(FileKind::Aac) => "audio/aac",
        Ok(FileKind::Mp4) => "audio/mp4",
        Ok(FileKind::Matroska) => "audio/webm",
        Ok(FileKind::Aiff) => "audio/aiff",
        Ok(FileKind::Au) => "audio/basic",
        Ok(FileKind::Caf) => "audio/x-caf",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        for (range, expected) in [
            ("bytes=0-", Wanted::Part(0, 99)),
            ("bytes=10-19", Wanted::Part(10, 19)),
            ("bytes=90-900", Wanted::Part(90, 99)),
            ("bytes=-10", Wanted::Part(90, 99)),
            ("bytes=-1000", Wanted::Part(0, 99)),
            ("bytes=100-", Wanted::Nothing),
            ("bytes=99999999999999999999999-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=20-10", Wanted::All),
            ("bytes=0-1,5-6", Wanted::All),
            ("bytes=a-b", Wanted::All),
            ("bytes=-", Wanted::All),
            ("lines=0-1", Wanted::All),
            ("", Wanted::All),
        ] {
            assert_eq!(range_of(range, 100), expected, "{range}");
        }
        assert_eq!(range_of("bytes=0-", 0), Wanted::Nothing);
        assert_eq!(range_of("bytes=-5", 0), Wanted::Nothing);
    }
}

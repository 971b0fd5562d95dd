//! What a decoding process and its master say to each other.
//!
//! In: requests and events. Out: frames on a socket — a length, a tag, a body — and back. Both
//! ends are the same binary, so there is no version. Refuses frames that nobody sends.

use std::io::{self, Read, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::super::reading::{Event, Request};
use crate::audio::decode::{Integrity, StreamFormat};
use crate::audio::health::Health;
use crate::dates::{Recorded, WallTime, Witness};
use crate::error::{Error, ReportedError};
use crate::extract::{Patches, RecordingEnd};
use crate::store::recordings::ModelSet;
use crate::units::SampleRate;

/// Longest body: far above any block's patches. What says more is no frame of ours.
const MAX_BODY_BYTES: u32 = 1 << 28;

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tag {
    Request = 1,
    Same = 2,
    Opened = 3,
    Patches = 4,
    Ended = 5,
    Failed = 6,
    Errand = 7,
    Result = 8,
}

#[derive(Debug, Serialize, Deserialize)]
struct RequestBody {
    path: Vec<u8>,
    models: Vec<String>,
    known: Option<([u8; 32], u64)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct OpenedBody {
    content_hash: [u8; 32],
    sample_rate: u32,
    channels: u16,
    codec: String,
    /// When, as text, and the witness's short name.
    recorded: Option<(String, String)>,
    models: Vec<usize>,
}

#[derive(Debug, Serialize, Deserialize)]
struct EndedBody {
    duration_s: f64,
    truncated: bool,
    damaged: bool,
}

/// What a decoding process is asked for.
#[derive(Debug, PartialEq)]
pub(super) enum Asked {
    Recording(Request),
    /// What the program's own errand reads.
    Errand(Vec<u8>),
}

/// What a decoding process answers.
#[derive(Debug)]
pub(super) enum Answer {
    Event(Event),
    /// Of an errand.
    Result(Vec<u8>),
    Failed(Error),
}

pub(super) fn write_request(stream: &mut impl Write, request: &Request) -> io::Result<()> {
    let body = RequestBody {
        path: request.path.as_os_str().as_encoded_bytes().to_vec(),
        models: request.models.clone(),
        known: request.known.map(|(hash, models)| (hash, models.0)),
    };
    write_frame(stream, Tag::Request, &serde_json::to_vec(&body)?)
}

pub(super) fn write_errand(stream: &mut impl Write, errand: &[u8]) -> io::Result<()> {
    write_frame(stream, Tag::Errand, errand)
}

pub(super) fn write_result(stream: &mut impl Write, result: &[u8]) -> io::Result<()> {
    write_frame(stream, Tag::Result, result)
}

/// The next request; `None` when there will be no more.
pub(super) fn read_request(stream: &mut impl Read) -> io::Result<Option<Asked>> {
    let (tag, body) = match read_frame(stream) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        frame => frame?,
    };
    if tag == Tag::Errand as u8 {
        return Ok(Some(Asked::Errand(body)));
    }
    if tag != Tag::Request as u8 {
        return Err(unexpected(tag));
    }
    let RequestBody { path, models, known } = serde_json::from_slice(&body)?;
    let known = known.map(|(hash, models)| (hash, ModelSet(models)));
    Ok(Some(Asked::Recording(Request { path: path_from_bytes(path), models, known })))
}

fn path_from_bytes(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

pub(super) fn write_event(stream: &mut impl Write, event: &Event) -> io::Result<()> {
    match event {
        Event::Same => write_frame(stream, Tag::Same, &[]),
        Event::Opened { content_hash, format, recorded, models } => {
            let body = OpenedBody {
                content_hash: *content_hash,
                sample_rate: format.sample_rate.hertz(),
                channels: format.channels,
                codec: format.codec.clone(),
                recorded: recorded.map(|said| (said.at.to_string(), said.from.as_str().to_owned())),
                models: models.clone(),
            };
            write_frame(stream, Tag::Opened, &serde_json::to_vec(&body)?)
        }
        Event::Patches(place, patches) => {
            let values: &[u8] = bytemuck::cast_slice(&patches.values);
            let (count, steps) = (to_u32(patches.count())?, to_u32(patches.health.len())?);
            let head = 12 + 4 * patches.count() + patches.health.len();
            stream.write_all(&to_u32(head + values.len())?.to_le_bytes())?;
            stream.write_all(&[Tag::Patches as u8])?;
            stream.write_all(&to_u32(*place)?.to_le_bytes())?;
            stream.write_all(&count.to_le_bytes())?;
            stream.write_all(&steps.to_le_bytes())?;
            for &samples in &patches.sound_samples {
                stream.write_all(&to_u32(samples)?.to_le_bytes())?;
            }
            let health: Vec<u8> = patches.health.iter().map(|health| health.bits()).collect();
            stream.write_all(&health)?;
            stream.write_all(values)
        }
        Event::Ended(end) => {
            let body = EndedBody {
                duration_s: end.duration_s,
                truncated: end.integrity == Integrity::Truncated,
                damaged: end.integrity == Integrity::Damaged,
            };
            write_frame(stream, Tag::Ended, &serde_json::to_vec(&body)?)
        }
    }
}

pub(super) fn write_failure(stream: &mut impl Write, error: &Error) -> io::Result<()> {
    write_frame(stream, Tag::Failed, &serde_json::to_vec(&ReportedError::new(error))?)
}

pub(super) fn read_answer(stream: &mut impl Read) -> io::Result<Answer> {
    let (tag, body) = read_frame(stream)?;
    let event = match tag {
        tag if tag == Tag::Result as u8 => return Ok(Answer::Result(body)),
        tag if tag == Tag::Same as u8 => Event::Same,
        tag if tag == Tag::Opened as u8 => {
            let body: OpenedBody = serde_json::from_slice(&body)?;
            let sample_rate = SampleRate::new(body.sample_rate).ok_or_else(|| unexpected(tag))?;
            let format = StreamFormat { sample_rate, channels: body.channels, codec: body.codec };
            let recorded = body.recorded.and_then(|(at, from)| {
                let from = Witness::ALL.into_iter().find(|witness| witness.as_str() == from)?;
                Some(Recorded { at: WallTime::parse(&at)?, from })
            });
            Event::Opened { content_hash: body.content_hash, format, recorded, models: body.models }
        }
        tag if tag == Tag::Patches as u8 => {
            let (place, patches) = patches_of(&body).ok_or_else(|| unexpected(tag))?;
            Event::Patches(place, patches)
        }
        tag if tag == Tag::Ended as u8 => {
            let body: EndedBody = serde_json::from_slice(&body)?;
            let integrity = match (body.damaged, body.truncated) {
                (true, _) => Integrity::Damaged,
                (false, true) => Integrity::Truncated,
                (false, false) => Integrity::Ok,
            };
            Event::Ended(RecordingEnd { duration_s: body.duration_s, integrity })
        }
        tag if tag == Tag::Failed as u8 => {
            let error: ReportedError = serde_json::from_slice(&body)?;
            return Ok(Answer::Failed(error.into()));
        }
        tag => return Err(unexpected(tag)),
    };
    Ok(Answer::Event(event))
}

fn patches_of(body: &[u8]) -> Option<(usize, Patches)> {
    let (place, rest) = body.split_first_chunk::<4>()?;
    let (count, rest) = rest.split_first_chunk::<4>()?;
    let (steps, rest) = rest.split_first_chunk::<4>()?;
    let (samples, rest) =
        rest.split_at_checked((u32::from_le_bytes(*count) as usize).checked_mul(4)?)?;
    let (health, values) = rest.split_at_checked(u32::from_le_bytes(*steps) as usize)?;
    let (values, odd) = values.as_chunks::<4>();
    let samples = samples.as_chunks::<4>().0.iter();
    let patches = Patches {
        values: values.iter().map(|&value| f32::from_ne_bytes(value)).collect(),
        sound_samples: samples.map(|&samples| u32::from_le_bytes(samples) as usize).collect(),
        health: health.iter().map(|&bits| Health::from_bits(bits)).collect(),
    };
    odd.is_empty().then_some((u32::from_le_bytes(*place) as usize, patches))
}

fn write_frame(stream: &mut impl Write, tag: Tag, body: &[u8]) -> io::Result<()> {
    stream.write_all(&to_u32(body.len())?.to_le_bytes())?;
    stream.write_all(&[tag as u8])?;
    stream.write_all(body)
}

fn read_frame(stream: &mut impl Read) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 5];
    stream.read_exact(&mut head)?;
    let [a, b, c, d, tag] = head;
    let length = u32::from_le_bytes([a, b, c, d]);
    if length > MAX_BODY_BYTES {
        return Err(unexpected(tag));
    }
    let mut body = vec![0; length as usize];
    stream.read_exact(&mut body)?;
    Ok((tag, body))
}

fn to_u32(length: usize) -> io::Result<u32> {
    u32::try_from(length).map_err(io::Error::other)
}

fn unexpected(tag: u8) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a frame that nobody sends (tag {tag})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let request = Request {
            path: PathBuf::from("/a b/c.wav"),
            models: vec!["yamnet".to_owned(), "crepe".to_owned()],
            known: Some(([9; 32], ModelSet(2))),
        };
        let mut bytes = Vec::new();
        write_request(&mut bytes, &request).unwrap();
        let mut stream = &bytes[..];
        assert_eq!(read_request(&mut stream).unwrap(), Some(Asked::Recording(request)));
        assert_eq!(read_request(&mut stream).unwrap(), None);

        let format = StreamFormat {
            sample_rate: SampleRate::new(48_000).unwrap(),
            channels: 2,
            codec: "opus".to_owned(),
        };
        let recorded =
            WallTime::parse("2024-05-01T06:30:15").map(|at| Recorded { at, from: Witness::Guano });
        assert!(recorded.is_some());
        let patches = Patches {
            values: vec![0.5, -1.0, f32::MIN, 3.0],
            sound_samples: vec![8_000],
            health: vec![Health::SILENT; 2],
        };
        let end = RecordingEnd { duration_s: 1.25, integrity: Integrity::Truncated };
        for event in [
            Event::Same,
            Event::Opened { content_hash: [1; 32], format, recorded, models: vec![0, 1] },
            Event::Patches(1, patches),
            Event::Ended(end),
        ] {
            let mut bytes = Vec::new();
            write_event(&mut bytes, &event).unwrap();
            match read_answer(&mut &bytes[..]).unwrap() {
                Answer::Event(read) => assert_eq!(read, event),
                Answer::Result(_) => panic!("it was no errand"),
                Answer::Failed(error) => panic!("{error}"),
            }
            assert!(read_answer(&mut &bytes[..bytes.len() - 1]).is_err(), "a cut frame");
        }
    }

    #[test]
    fn an_error_keeps_its_words() {
        let problem = crate::error::DecodeProblem::EmptyFile;
        let error = Error::Decode { path: PathBuf::from("/a.wav"), problem };
        let mut bytes = Vec::new();
        write_failure(&mut bytes, &error).unwrap();
        let Answer::Failed(reported) = read_answer(&mut &bytes[..]).unwrap() else {
            panic!("no failure");
        };
        assert_eq!(reported.to_string(), error.to_string());
        assert_eq!((reported.stage(), reported.hint()), (error.stage(), error.hint()));
        let cause = std::error::Error::source(&reported).unwrap().to_string();
        assert_eq!(cause, "the file is empty");
    }

    #[test]
    fn noise_is_refused() {
        assert!(read_answer(&mut &[255, 255, 255, 255, 4, 0][..]).is_err());
        assert!(read_answer(&mut &[0, 0, 0, 0, 99][..]).is_err());
        assert!(read_answer(&mut &[1, 0, 0, 0, 4, 7][..]).is_err());
    }
}

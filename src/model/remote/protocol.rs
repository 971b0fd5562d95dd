//! What is asked of a server and what it answers: `docs/remote.md` in code.
//!
//! In: windows of samples. Out: embeddings, `[windows, dimension]`. Refuses answers of another
//! number of vectors, of another length, and with values that are no finite numbers.

use std::sync::Arc;

use base64::Engine;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::client::{Client, Message};
use crate::error::{AddedProblem, Error, Result};
use crate::model::card::{Answering, Remote, Sending};

const MODEL: &str = "/v1/model";
const EMBED: &str = "/v1/embed";

/// What a server may say of itself, in bytes.
const MOST_DESCRIPTION: u64 = 1 << 16;
/// What an answer may hold beside its vectors, in bytes.
const MOST_BESIDE: usize = 1 << 16;
/// Longest text for a value in JSON: a double written out, a comma and some spaces.
const JSON_BYTES: usize = 32;
/// Four bytes a value are 5.33 in base64.
const BASE64_BYTES: usize = 6;
/// Longest vector.
const MOST_DIMENSION: usize = 1 << 16;
/// Longest name of a model or a version, in bytes.
const MOST_NAME: usize = 256;

/// What a server says of itself.
#[derive(Clone, Debug, Deserialize)]
pub(in crate::model) struct Described {
    /// The version of the protocol.
    pub(in crate::model) protocol: u32,
    pub(in crate::model) model: String,
    pub(in crate::model) version: String,
    pub(in crate::model) dimension: usize,
    pub(in crate::model) sample_rate: Option<u32>,
    pub(in crate::model) window_s: Option<f64>,
    pub(in crate::model) hop_s: Option<f64>,
    /// Of the weights, if the server says.
    pub(in crate::model) licence: Option<String>,
}

/// Windows that are to be embedded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    /// `[windows, samples]`.
    pub(super) values: &'a [f32],
    pub(super) windows: usize,
    pub(super) sample_rate: u32,
    pub(super) dimension: usize,
    pub(super) remote: &'a Remote,
}

/// Embeddings, and which model says that it made them.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) model: String,
    pub(super) version: String,
    /// `[windows, dimension]`.
    pub(super) embeddings: Vec<f32>,
}

/// The answer as it comes.
#[derive(Debug, Deserialize)]
struct Received {
    model: String,
    version: String,
    dimension: usize,
    embeddings: Option<Vec<Vec<f32>>>,
    embeddings_base64: Option<String>,
}

/// Asks the server what it is.
pub(super) fn described(client: &Client) -> Result<Described> {
    let (path, most_bytes) = (MODEL.to_owned(), MOST_DESCRIPTION);
    let answer = client.ask(&Message { path, body: None, audio_s: 0.0, most_bytes })?;
    let refused = |expected: &str, found: String| refused(client, MODEL, expected, found);
    let described: Described = parse(client, MODEL, &answer)?;
    if described.protocol != 1 {
        return Err(refused("version 1 of the protocol", format!("{}", described.protocol)));
    }
    for name in [&described.model, &described.version] {
        let is_right =
            !name.is_empty() && name.len() <= MOST_NAME && !name.contains(char::is_control);
        if !is_right {
            let expected = format!("a model and a version of 1 to {MOST_NAME} bytes each");
            return Err(refused(&expected, format!("{name:.20?}")));
        }
    }
    if !(1..=MOST_DIMENSION).contains(&described.dimension) {
        let expected = format!("vectors of 1 to {MOST_DIMENSION} values");
        return Err(refused(&expected, described.dimension.to_string()));
    }
    Ok(described)
}

/// Has windows embedded.
pub(super) fn embed(client: &Client, request: &Request<'_>) -> Result<Answer> {
    let Request { windows, sample_rate, dimension, remote, .. } = *request;
    let samples = integers(request.values);
    let window_samples = request.values.len() / windows.max(1);
    let answer = match remote.answer {
        Answering::Json => "json",
        Answering::Base64 => "base64",
    };
    let path = format!("{EMBED}?windows={windows}&window_samples={window_samples}&answer={answer}");
    let (path, media_type, body) = match remote.send {
        Sending::Wav => (path, "audio/wav", wav(&samples, sample_rate)),
        Sending::Samples => {
            (path + &format!("&rate={sample_rate}"), "application/octet-stream", samples)
        }
    };
    let value_bytes = match remote.answer {
        Answering::Json => JSON_BYTES,
        Answering::Base64 => BASE64_BYTES,
    };
    let audio_s = request.values.len() as f64 / f64::from(sample_rate);
    let most_bytes = (windows * dimension * value_bytes + MOST_BESIDE) as u64;
    let body = Some((media_type, Arc::new(body)));
    let answer = client.ask(&Message { path, body, audio_s, most_bytes })?;
    read(client, parse(client, EMBED, &answer)?, request)
}

/// Checks what came and lays it out.
fn read(client: &Client, received: Received, request: &Request<'_>) -> Result<Answer> {
    let Request { windows, dimension, .. } = *request;
    let refused = |found: String| {
        refused(client, EMBED, &format!("{windows} vectors of {dimension} finite numbers"), found)
    };
    let Received { model, version, dimension: said, embeddings, embeddings_base64 } = received;
    if said != dimension {
        return Err(refused(format!("vectors of {said}")));
    }
    let embeddings = match (embeddings, embeddings_base64) {
        (Some(rows), None) => {
            if rows.len() != windows {
                return Err(refused(format!("{} vectors", rows.len())));
            }
            if let Some(row) = rows.iter().find(|row| row.len() != dimension) {
                return Err(refused(format!("a vector of {}", row.len())));
            }
            rows.concat()
        }
        (None, Some(text)) => {
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(text)
                .map_err(|error| refused(format!("no base64: {error}")))?;
            if bytes.len() != 4 * windows * dimension {
                return Err(refused(format!("{} bytes of vectors", bytes.len())));
            }
            bytes.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
        }
        (None, None) => return Err(refused("no vectors".to_owned())),
        (Some(_), Some(_)) => return Err(refused("vectors twice".to_owned())),
    };
    if let Some(value) = embeddings.iter().find(|value| !value.is_finite()) {
        return Err(refused(format!("a value of {value}")));
    }
    Ok(Answer { model, version, embeddings })
}

fn parse<T: DeserializeOwned>(client: &Client, path: &str, answer: &[u8]) -> Result<T> {
    serde_json::from_slice(answer).map_err(|error| {
        refused(client, path, "JSON of the protocol", format!("what does not read: {error}"))
    })
}

fn refused(client: &Client, path: &str, expected: &str, found: String) -> Error {
    let (url, expected) = (client.url(path), expected.to_owned());
    AddedProblem::Answer { url, expected, found }.into()
}

/// Samples as 16-bit integers, little-endian; what exceeds full scale is cut.
#[expect(clippy::cast_possible_truncation, reason = "in range, and a NaN is silence")]
fn integers(samples: &[f32]) -> Vec<u8> {
    let integer = |sample: &f32| (sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16;
    samples.iter().flat_map(|sample| integer(sample).to_le_bytes()).collect()
}

/// A mono WAV file of 16-bit `samples`.
fn wav(samples: &[u8], sample_rate: u32) -> Vec<u8> {
    let length = u32::try_from(samples.len()).unwrap_or(u32::MAX);
    let mut file = Vec::with_capacity(44 + samples.len());
    file.extend(b"RIFF");
    file.extend(length.saturating_add(36).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend(sample_rate.to_le_bytes());
    file.extend((2 * sample_rate).to_le_bytes());
    file.extend(b"\x02\0\x10\0data");
    file.extend(length.to_le_bytes());
    file.extend(samples);
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_become_the_nearest_integers() {
        let bytes = integers(&[0.0, 0.5, -1.0, 1.0, 2.0, -2.0, f32::NAN, 1.0 / 32_768.0]);
        let values: Vec<i16> =
            bytes.as_chunks::<2>().0.iter().map(|&pair| i16::from_le_bytes(pair)).collect();
        assert_eq!(values, [0, 16_384, -32_768, 32_767, 32_767, -32_768, 0, 1]);
    }

    #[test]
    fn a_wav_file_reads_back() {
        let file = wav(&integers(&[0.25, -0.25, 0.0]), 32_000);
        let mut reader = hound::WavReader::new(&file[..]).unwrap();
        let spec = reader.spec();
        assert_eq!((spec.channels, spec.sample_rate, spec.bits_per_sample), (1, 32_000, 16));
        let samples: Vec<i16> = reader.samples().map(|sample| sample.unwrap()).collect();
        assert_eq!(samples, [8_192, -8_192, 0]);
    }
}

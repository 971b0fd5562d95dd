//! `/v1/model` and `/v1/embed`: the library's model, hosted for other sonotecas by the protocol of
//! `docs/remote.md`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE_64;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sonoteca::extract::Patches;
use sonoteca::frontend::patch::PatchStream;
use sonoteca::model::EmbeddingModel;
use sonoteca::model::card::Sha256;
use sonoteca::model::pool::Mean;
use utoipa::{IntoParams, ToSchema};

use crate::server::error::{Answer, Refusal};
use crate::server::extract::{Query, whole_body};
use crate::server::state::{Server, Work};

/// Bytes of a request: three minutes of 48 kHz.
const MOST_BYTES: usize = 16 << 20;
/// The time in which they have to arrive.
const WITHIN: Duration = Duration::from_mins(1);
/// Windows of a request, and samples of one: a minute of 48 kHz.
const MOST_WINDOWS: usize = 4_096;
const MOST_WINDOW_SAMPLES: usize = 48_000 * 60;
/// Seconds that go through the network at most, what windows are padded with included: a window is a
/// patch at least, and that of some models half a minute.
const MOST_PADDED_S: u64 = 4_200;

/// What is hosted.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct Hosted {
    protocol: u32,
    model: String,
    /// Weights and front end.
    version: String,
    dimension: usize,
    sample_rate: u32,
    window_s: f64,
    hop_s: f64,
    licence: String,
}

/// What is sent to be embedded.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::server) struct EmbedQuery {
    /// How many windows follow one another.
    #[param(minimum = 1, maximum = 4096)]
    windows: usize,
    /// Samples of each.
    #[param(minimum = 1)]
    window_samples: usize,
    /// As what vectors come back; `json`, where nothing is said.
    answer: Option<AnswerName>,
    /// Of samples without a header, their rate in Hz.
    rate: Option<u32>,
}

/// As what vectors come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::server) enum AnswerName {
    Json,
    Base64,
}

/// Vectors.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct Embedded {
    model: String,
    version: String,
    dimension: usize,
    /// A vector a window.
    #[serde(skip_serializing_if = "Option::is_none")]
    embeddings: Option<Vec<Vec<f32>>>,
    /// All of them as float32, little-endian, in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    embeddings_base64: Option<String>,
}

/// What tells a model's vectors from others'.
fn version_of(model: &EmbeddingModel) -> String {
    let identity = model.identity();
    format!("{}-{}", Sha256(identity.weights_sha256), identity.front_end_version)
}

/// The model that is hosted: the one that searches use where none is named.
fn hosted(server: &Server) -> Answer<EmbeddingModel> {
    let library = server.lend()?;
    let stored = server.collections.model(&library, None)?;
    let extractor = server.models.extractor(&stored)?;
    let model = extractor.model().share();
    if model.front_end().level_dbfs.is_some() {
        let name = &stored.identity.name;
        let message = format!("`{name}` hears recordings as a whole and cannot be hosted");
        return Err(Refusal::unusable("not_hosted", message));
    }
    Ok(model)
}

/// What is hosted here.
#[utoipa::path(
    get,
    path = "/v1/model",
    tag = "hosting",
    responses((status = 200, body = Hosted), (status = 409), (status = 422))
)]
pub(in crate::server) async fn model(State(server): State<Arc<Server>>) -> Answer<Json<Hosted>> {
    let found = server.aside(Work::Decoding, |server| {
        let model = hosted(server)?;
        let (card, front_end) = (model.card(), model.front_end());
        let rate = f64::from(front_end.sample_rate);
        Ok(Hosted {
            protocol: 1,
            model: card.name.clone(),
            version: version_of(&model),
            dimension: model.identity().dimension,
            sample_rate: front_end.sample_rate,
            window_s: front_end.patch_samples as f64 / rate,
            hop_s: front_end.patch_hop_samples() as f64 / rate,
            licence: card.weights.licence.clone(),
        })
    });
    found.await.map(Json)
}

/// Embeds windows of samples, each by itself: `docs/remote.md`. The body may be `audio/wav` too.
#[utoipa::path(
    post,
    path = "/v1/embed",
    tag = "hosting",
    params(EmbedQuery),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = Embedded), (status = 409))
)]
pub(in crate::server) async fn embed(
    State(server): State<Arc<Server>>,
    Query(query): Query<EmbedQuery>,
    request: Request,
) -> Answer<Json<Embedded>> {
    let EmbedQuery { windows, window_samples, .. } = query;
    if !(1..=MOST_WINDOWS).contains(&windows)
        || !(1..=MOST_WINDOW_SAMPLES).contains(&window_samples)
    {
        let message = format!(
            "a request has 1 to {MOST_WINDOWS} windows of 1 to {MOST_WINDOW_SAMPLES} samples"
        );
        return Err(Refusal::unusable("bad_windows", message));
    }
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let is_wav = match kind {
        "audio/wav" | "audio/x-wav" | "audio/wave" => true,
        "application/octet-stream" => false,
        _ => {
            let status = axum::http::StatusCode::UNSUPPORTED_MEDIA_TYPE;
            let message = "the body is to be audio/wav or application/octet-stream";
            return Err(Refusal::new(status, "no_samples", message));
        }
    };
    let body = whole_body(request, MOST_BYTES, WITHIN).await?;
    let (samples, rate) = if is_wav {
        let (samples, rate) = samples_of_wav(&body)?;
        (samples, Some(rate))
    } else {
        (body, query.rate)
    };
    let wanted = windows.saturating_mul(window_samples);
    if samples.len() != wanted.saturating_mul(2) {
        let found = samples.len() / 2;
        let message = format!("there are {found} samples of 16 bits, expected {wanted}");
        return Err(Refusal::unusable("bad_windows", message));
    }
    let embedded = server.aside(Work::Decoding, move |server| {
        let model = hosted(server)?;
        let expected = model.front_end().sample_rate;
        if rate != Some(expected) {
            let found = rate.map_or("not said".to_owned(), |rate| format!("{rate} Hz"));
            let message = format!("the rate is {found}, expected {expected} Hz");
            return Err(Refusal::unusable("bad_rate", message));
        }
        let patch = model.front_end().patch_samples;
        let padded = windows.saturating_mul(window_samples.max(patch)) as u64;
        let most = MOST_PADDED_S * u64::from(expected);
        if padded > most {
            let most = most / window_samples.max(patch) as u64;
            let message = format!("of such windows this model takes {most} at once");
            return Err(Refusal::unusable("bad_windows", message));
        }
        let vectors = vectors(&model, &samples, window_samples)?;
        let dimension = model.identity().dimension;
        let as_text = query.answer == Some(AnswerName::Base64);
        let bytes = || vectors.iter().flatten().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
        let embeddings_base64 = as_text.then(|| BASE_64.encode(bytes()));
        Ok(Embedded {
            model: model.card().name.clone(),
            version: version_of(&model),
            dimension,
            embeddings_base64,
            embeddings: (!as_text).then_some(vectors),
        })
    });
    embedded.await.map(Json)
}

/// The vector of each window: the mean over what the network gives for it.
fn vectors(model: &EmbeddingModel, samples: &[u8], window_samples: usize) -> Answer<Vec<Vec<f32>>> {
    let (front_end, dimension) = (model.front_end(), model.identity().dimension);
    let mut stream = PatchStream::new(front_end);
    // Patches of all windows, and what the steps of each window weigh.
    let (mut patches, mut steps) = (Patches::default(), Vec::new());
    for window in samples.chunks_exact(2 * window_samples) {
        let integers = window.as_chunks::<2>().0.iter();
        let window: Vec<f32> =
            integers.map(|&sample| f32::from(i16::from_le_bytes(sample)) / 32_768.0).collect();
        stream.reset();
        let first = patches.count();
        stream.push(&window, &mut patches.values);
        stream.finish(&mut patches.values);
        let mut of_window = Vec::new();
        while patches.count() * front_end.patch_values() < patches.values.len() {
            let sound_samples = stream.sound_samples(patches.count() - first);
            patches.sound_samples.push(sound_samples);
            of_window.extend(front_end.shares_of(sound_samples));
        }
        steps.push(of_window);
    }
    let mut embeddings = Vec::new();
    let batch_patches = model.card().batch_patches.max(1);
    let mut first = 0;
    while first < patches.count() {
        let batch = patches.batch(&front_end, first, batch_patches);
        embeddings.extend(model.embed_batch(&batch)?.embeddings);
        first += batch_patches;
    }
    let mut rows = embeddings.chunks_exact(dimension);
    let mut vectors = Vec::with_capacity(steps.len());
    for shares in steps {
        let mut mean = Mean::new(dimension);
        shares.iter().zip(&mut rows).for_each(|(&share, row)| mean.add_weighted(row, share));
        vectors.push(mean.mean());
    }
    Ok(vectors)
}

/// The samples of a WAV file of one channel of 16-bit integers, and its rate.
fn samples_of_wav(file: &Bytes) -> Answer<(Bytes, u32)> {
    let bad = |found: &str| {
        let message = format!("the WAV file {found}, expected one channel of 16-bit integers");
        Refusal::unusable("no_samples", message)
    };
    let number = |at: usize| -> Option<u32> {
        file.get(at..at + 4)?.first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes))
    };
    if file.get(..4) != Some(b"RIFF") || file.get(8..12) != Some(b"WAVE") {
        return Err(bad("has no header"));
    }
    let (mut at, mut rate) = (12, None);
    while let (Some(name), Some(length)) = (file.get(at..at + 4), number(at + 4)) {
        let length = length as usize;
        let start = at + 8;
        let end = start.saturating_add(length).min(file.len());
        match name {
            b"fmt " => {
                let form = file.get(start..start + 16).ok_or_else(|| bad("is cut off"))?;
                // Integers, one channel, and 16 bits.
                if form[..4] != [1, 0, 1, 0] || form[14..16] != [16, 0] {
                    return Err(bad("holds something else"));
                }
                rate = number(start + 4);
            }
            b"data" => {
                let rate = rate.ok_or_else(|| bad("has samples before their format"))?;
                return Ok((file.slice(start.min(end)..end), rate));
            }
            _ => {}
        }
        at = start.saturating_add(length).saturating_add(length % 2);
    }
    Err(bad("has no samples"))
}

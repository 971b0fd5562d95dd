//! Pictures of recordings and uploads: nothing but the picture, without axes.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use serde::Deserialize;
use sonoteca::Error;
use utoipa::IntoParams;

use super::audio::StretchQuery;
use super::described::{self, OfRecording, OfUpload};
use crate::server::audio::{of_bytes, tag_of};
use crate::server::errand::{Asked, Levels, PathBytes, Picture, Seconds};
use crate::server::error::Answer;
use crate::server::extract::{Path, Query, count};
use crate::server::images::{Key, MOST_SIZE, USUAL_SIZE};
use crate::server::roots::FileOf;
use crate::server::state::{Server, Work};

/// Of how pictures are drawn: another number, and browsers ask for them anew.
const DRAWN_AS: u32 = 2;

/// How large.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::server) struct SizeQuery {
    /// Pixels across, up to 4096; 900, where nothing is said.
    #[param(minimum = 1, maximum = 4096)]
    width: Option<u64>,
    /// Pixels down, up to 1024; 256, where nothing is said.
    #[param(minimum = 1, maximum = 1024)]
    height: Option<u64>,
}

impl SizeQuery {
    fn size(self) -> Answer<(usize, usize)> {
        Ok((
            count("width", self.width, USUAL_SIZE.0, 1..=MOST_SIZE.0)?,
            count("height", self.height, USUAL_SIZE.1, 1..=MOST_SIZE.1)?,
        ))
    }
}

/// A picture that is asked for.
type Wanted = (Picture, Seconds, (usize, usize));

fn wanted(picture: Picture, stretch: StretchQuery, size: SizeQuery) -> Answer<Wanted> {
    Ok((picture, stretch.seconds()?, size.size()?))
}

async fn of_recording(
    server: Arc<Server>,
    id: i64,
    wanted: Wanted,
    headers: &HeaderMap,
) -> Answer<Response> {
    let found = server.with_library(Work::Reading, move |server, library| {
        let recording = library.recording(id)?.ok_or(Error::UnknownRecording { id })?;
        let of = server.roots.file(library, &recording)?;
        let tag = tag_of(&of.metadata()?);
        let sound = Sound { known_as: format!("{id} {tag}"), duration_s: recording.duration_s, of };
        Ok(sound)
    });
    let (picture, tag) = draw(&server, found.await?, wanted).await?;
    Ok(of_bytes(&picture, headers, "image/png", &tag))
}

async fn of_upload(
    server: Arc<Server>,
    id: String,
    wanted: Wanted,
    headers: &HeaderMap,
) -> Answer<Response> {
    // Held until it is drawn: the file goes with the last who holds it.
    let upload = server.uploads.get(&id)?;
    let sound = Sound { known_as: id, duration_s: upload.stored.duration_s, of: upload.file() };
    let (picture, tag) = draw(&server, sound, wanted).await?;
    Ok(of_bytes(&picture, headers, "image/png", &tag))
}

/// What is drawn.
struct Sound {
    /// What tells it from others, and from its earlier self.
    known_as: String,
    duration_s: f64,
    of: FileOf,
}

/// The picture of a sound, drawn unless it was drawn before; and its tag.
async fn draw(
    server: &Arc<Server>,
    Sound { known_as, duration_s, of }: Sound,
    (picture, stretch, size): Wanted,
) -> Answer<(Bytes, String)> {
    let bits = stretch.map(|(start_s, end_s)| (start_s.to_bits(), end_s.map(f64::to_bits)));
    let key = Key { of: known_as, stretch: bits, picture, size };
    let tag = format!("\"{}\"", blake3::hash(format!("{DRAWN_AS} {key:?}").as_bytes()).to_hex());
    if let Some(known) = server.pictures.get(&key) {
        return Ok((known, tag));
    }
    let drawn = server.aside(Work::Decoding, move |server| {
        // Somebody may have drawn it while this one waited.
        if let Some(known) = server.pictures.get(&key) {
            return Ok(known);
        }
        let levels = match picture {
            Picture::Spectrogram => levels(server, &key.of, duration_s, &of),
            Picture::Waveform => None,
        };
        let asked = Asked::Draw { path: PathBytes::new(&of.path), stretch, picture, size, levels };
        let drawn = Bytes::from(server.decode(&asked, &of.path, &of.name)?);
        server.pictures.put(key, drawn.clone());
        Ok(drawn)
    });
    Ok((drawn.await?, tag))
}

/// What colours stand for in all spectrograms of a file, so that pictures of its parts fit each other; nothing,
/// where parts of it cannot be read: one that can may be drawn by itself.
fn levels(server: &Server, known_as: &str, duration_s: f64, of: &FileOf) -> Option<Levels> {
    server.pictures.levels(known_as, || {
        let asked = Asked::Level { path: PathBytes::new(&of.path), duration_s };
        let found = server.decode(&asked, &of.path, &of.name).ok()?;
        serde_json::from_slice(&found).ok()
    })
}

/// The spectrogram of a stretch: mel scale, low frequencies below, darker is louder. Colours stand for the
/// same levels in all pictures of a recording, so that they fit beside each other.
#[utoipa::path(
    get,
    path = "/v1/recordings/{id}/spectrogram.png",
    tag = "pictures",
    params(OfRecording, StretchQuery, SizeQuery),
    responses(described::Picture)
)]
pub(in crate::server) async fn spectrogram(
    State(server): State<Arc<Server>>,
    Path(OfRecording { id }): Path<OfRecording>,
    Query(stretch): Query<StretchQuery>,
    Query(size): Query<SizeQuery>,
    headers: HeaderMap,
) -> Answer<Response> {
    let wanted = wanted(Picture::Spectrogram, stretch, size)?;
    of_recording(server, id, wanted, &headers).await
}

/// The waveform of a stretch: light its peaks, dark its root mean square.
#[utoipa::path(
    get,
    path = "/v1/recordings/{id}/waveform.png",
    tag = "pictures",
    params(OfRecording, StretchQuery, SizeQuery),
    responses(described::Picture)
)]
pub(in crate::server) async fn waveform(
    State(server): State<Arc<Server>>,
    Path(OfRecording { id }): Path<OfRecording>,
    Query(stretch): Query<StretchQuery>,
    Query(size): Query<SizeQuery>,
    headers: HeaderMap,
) -> Answer<Response> {
    let wanted = wanted(Picture::Waveform, stretch, size)?;
    of_recording(server, id, wanted, &headers).await
}

/// The spectrogram of an upload.
#[utoipa::path(
    get,
    path = "/v1/uploads/{id}/spectrogram.png",
    tag = "pictures",
    params(OfUpload, StretchQuery, SizeQuery),
    responses(described::Picture)
)]
pub(in crate::server) async fn spectrogram_of_upload(
    State(server): State<Arc<Server>>,
    Path(OfUpload { id }): Path<OfUpload>,
    Query(stretch): Query<StretchQuery>,
    Query(size): Query<SizeQuery>,
    headers: HeaderMap,
) -> Answer<Response> {
    let wanted = wanted(Picture::Spectrogram, stretch, size)?;
    of_upload(server, id, wanted, &headers).await
}

/// The waveform of an upload.
#[utoipa::path(
    get,
    path = "/v1/uploads/{id}/waveform.png",
    tag = "pictures",
    params(OfUpload, StretchQuery, SizeQuery),
    responses(described::Picture)
)]
pub(in crate::server) async fn waveform_of_upload(
    State(server): State<Arc<Server>>,
    Path(OfUpload { id }): Path<OfUpload>,
    Query(stretch): Query<StretchQuery>,
    Query(size): Query<SizeQuery>,
    headers: HeaderMap,
) -> Answer<Response> {
    let wanted = wanted(Picture::Waveform, stretch, size)?;
    of_upload(server, id, wanted, &headers).await
}

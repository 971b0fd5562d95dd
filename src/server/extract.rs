//! Requests into what handlers take.
//!
//! In: the path, the query and the body of a request. Out: typed values. Refuses, as JSON, what does
//! not read, bodies that are too large or too slow, and numbers that are none.

mod wording;

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header;
use axum::http::request::Parts;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::error::{Answer, Refusal};

/// Most bytes of a body of JSON.
const MOST_JSON: usize = 1 << 20;
/// The time in which it has to arrive.
const JSON_WITHIN: Duration = Duration::from_secs(10);

/// The variables of a path.
#[derive(Debug)]
pub(super) struct Path<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        let found = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        found
            .map(|axum::extract::Path(value)| Self(value))
            .map_err(|rejection| Refusal::bad(wording::of_path(&rejection)))
    }
}

/// The query.
#[derive(Debug)]
pub(super) struct Query<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        let found = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        found.map(|axum::extract::Query(value)| Self(value)).map_err(|rejection| {
            Refusal::bad(wording::of_query(&rejection.body_text()))
                .hint("/openapi.json describes what each address takes")
        })
    }
}

/// A body of JSON.
#[derive(Debug)]
pub(super) struct Json<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Answer<Self> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        // Browsers send other types to other sites without asking; this one they do not.
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Refusal::new(
                axum::http::StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "not_json",
                "the body is to be JSON",
            )
            .hint("send the header Content-Type: application/json"));
        }
        let body = whole_body(request, MOST_JSON, JSON_WITHIN).await?;
        serde_json::from_slice(&body).map(Self).map_err(|error| {
            let message = format!("the body does not read: {}", wording::plain(&error.to_string()));
            if error.is_data() {
                Refusal::unusable("wrong_body", message)
            } else {
                Refusal::bad(message)
            }
        })
    }
}

/// All of a body, of `most` bytes, that arrives in time.
pub(super) async fn whole_body(request: Request, most: usize, within: Duration) -> Answer<Bytes> {
    let mut parts = Arriving::of(request, most, within)?;
    let mut all = BytesMut::new();
    while let Some(part) = parts.next().await? {
        all.extend_from_slice(&part);
    }
    Ok(all.freeze())
}

/// A body that arrives in parts, of which there may be so many bytes, and until when.
#[derive(Debug)]
pub(super) struct Arriving {
    body: Body,
    left: usize,
    most: usize,
    until: Instant,
}

impl Arriving {
    /// The body of `request`, of `most` bytes, that has to arrive in time.
    pub(super) fn of(request: Request, most: usize, within: Duration) -> Answer<Self> {
        let length = request.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > most as u64) {
            return Err(too_large(most));
        }
        let until = Instant::now() + within;
        Ok(Self { body: request.into_body(), left: most, most, until })
    }

    /// The next part; nothing behind the last one.
    pub(super) async fn next(&mut self) -> Answer<Option<Bytes>> {
        loop {
            let frame = tokio::time::timeout_at(self.until, self.body.frame()).await;
            let Some(frame) = frame.map_err(|_| Refusal::too_slow())? else { return Ok(None) };
            let frame = frame.map_err(|_| Refusal::bad("the body was cut off"))?;
            let Ok(part) = frame.into_data() else { continue };
            self.left = self.left.checked_sub(part.len()).ok_or_else(|| too_large(self.most))?;
            return Ok(Some(part));
        }
    }
}

fn too_large(most: usize) -> Refusal {
    Refusal::too_large(format!("the body has more than {most} bytes"))
}

/// A number that is one.
pub(super) fn finite(name: &str, number: Option<f64>) -> Answer<Option<f64>> {
    match number {
        Some(number) if !number.is_finite() => {
            Err(Refusal::bad(format!("{name} is {number}, expected a number")))
        }
        number => Ok(number),
    }
}

/// A count within `range`; `usual`, where none is given.
pub(super) fn count(
    name: &str,
    given: Option<u64>,
    usual: usize,
    range: std::ops::RangeInclusive<usize>,
) -> Answer<usize> {
    let Some(given) = given else { return Ok(usual) };
    let found = usize::try_from(given).ok().filter(|count| range.contains(count));
    found.ok_or_else(|| {
        let (least, most) = (range.start(), range.end());
        Refusal::bad(format!("{name} is {given}, expected {least} to {most}"))
    })
}

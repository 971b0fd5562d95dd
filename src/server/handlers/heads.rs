//! `/v1/heads`: small models that say what people's labels say.
//!
//! In: the name of one. Out: its card, its report; [`training`] makes one, [`predicting`] asks one, and
//! [`suggesting`] says what it should learn next.

pub(super) mod predicting;
pub(super) mod suggesting;
pub(super) mod training;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use sonoteca::search::Level;
use sonoteca::store::Library;
use sonoteca::train::head::Head;
use sonoteca::train::head::card::HeadCard;
use utoipa::ToSchema;

use super::described::OfHead;
use super::library::HeadSummary;
use crate::server::error::{Answer, Refusal};
use crate::server::extract::Path;
use crate::server::state::{Server, Work};

/// What a report may do: it is one file, with its style and pictures within, and has no script.
const REPORT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The heads in a few words; those that do not read are left out.
pub(super) fn summaries(library: &Library) -> sonoteca::Result<Vec<HeadSummary>> {
    let heads = library.heads()?.into_iter();
    let cards = heads.filter_map(|stored| HeadCard::parse(&stored.name, &stored.card).ok());
    Ok(cards.map(|card| HeadSummary::of(&card)).collect())
}

/// All heads.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct Heads {
    heads: Vec<HeadSummary>,
}

/// The heads of the library, by name.
#[utoipa::path(get, path = "/v1/heads", tag = "heads", responses((status = 200, body = Heads)))]
pub(in crate::server) async fn list(State(server): State<Arc<Server>>) -> Answer<Json<Heads>> {
    let found =
        server.with_library(Work::Reading, |_, library| Ok(Heads { heads: summaries(library)? }));
    found.await.map(Json)
}

/// A head's whole card: what it is, what it learnt from, and how well it does on what was held out, with
/// scores by class and the confusion matrix.
#[utoipa::path(
    get,
    path = "/v1/heads/{name}",
    tag = "heads",
    params(OfHead),
    responses((status = 200, body = Object))
)]
pub(in crate::server) async fn show(
    State(server): State<Arc<Server>>,
    Path(OfHead { name }): Path<OfHead>,
) -> Answer<Json<serde_json::Value>> {
    let found = server.with_library(Work::Reading, move |_, library| {
        let head = Head::load(library, &name)?;
        let card = serde_json::to_value(head.card()).map_err(|error| Refusal::internal(&error))?;
        let summary = HeadSummary::of(head.card());
        let mut all = serde_json::to_value(summary).map_err(|error| Refusal::internal(&error))?;
        // The card has the last word; what it has in other places stands beside it.
        if let (Some(all), serde_json::Value::Object(card)) = (all.as_object_mut(), card) {
            all.extend(card);
        }
        Ok(all)
    });
    found.await.map(Json)
}

/// A report of what is known of a head: one page of HTML that needs nothing else.
#[utoipa::path(
    get,
    path = "/v1/heads/{name}/report.html",
    tag = "heads",
    params(OfHead),
    responses(
        (status = 200, description = "The report", content_type = "text/html")
    )
)]
pub(in crate::server) async fn report(
    State(server): State<Arc<Server>>,
    Path(OfHead { name }): Path<OfHead>,
) -> Answer<Response> {
    let found = server.with_library(Work::Reading, move |_, library| {
        Ok(Head::load(library, &name)?.card().report(None).as_html())
    });
    let html = found.await?;
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, REPORT_POLICY),
    ];
    Ok((headers, html).into_response())
}

/// Removes a head.
#[utoipa::path(
    delete,
    path = "/v1/heads/{name}",
    tag = "heads",
    params(OfHead),
    responses((status = 204))
)]
pub(in crate::server) async fn remove(
    State(server): State<Arc<Server>>,
    Path(OfHead { name }): Path<OfHead>,
) -> Answer<StatusCode> {
    let removed = server.with_library(Work::Writing, move |_, library| {
        let writer = library.begin()?;
        let removed = writer.remove_head(&name)?;
        writer.commit()?;
        if !removed {
            // Which says what it may have been meant for.
            Head::load(library, &name)?;
        }
        Ok(())
    });
    removed.await.map(|()| StatusCode::NO_CONTENT)
}

/// What a head learns from: whole recordings, or moments in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::server) enum LevelName {
    Recording,
    Segment,
}

impl From<LevelName> for Level {
    fn from(name: LevelName) -> Self {
        match name {
            LevelName::Recording => Self::Recording,
            LevelName::Segment => Self::Segment,
        }
    }
}

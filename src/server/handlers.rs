//! One file for each noun of the API.
//!
//! In: requests, checked. Out: answers. Each looks at what it is given, does its work on a worker
//! thread, and turns rows into what is sent ([`views`]).

#![allow(unused_qualifications, reason = "utoipa's macro writes them")]

pub(super) mod audio;
pub(super) mod classes;
mod described;
pub(super) mod duplicates;
pub(super) mod embed;
pub(super) mod heads;
pub(super) mod health;
pub(super) mod images;
pub(super) mod index;
pub(super) mod jobs;
pub(super) mod labels;
pub(super) mod library;
pub(super) mod map;
pub(super) mod recordings;
pub(super) mod search;
pub(super) mod uploads;
pub(super) mod views;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::state::Server;

/// All of them.
pub(super) fn router() -> OpenApiRouter<Arc<Server>> {
    OpenApiRouter::new()
        .routes(routes!(health::health))
        .routes(routes!(library::library))
        .routes(routes!(classes::list))
        .routes(routes!(recordings::list))
        .routes(routes!(recordings::show))
        .routes(routes!(recordings::segments))
        .routes(routes!(audio::recording))
        .routes(routes!(audio::clip))
        .routes(routes!(audio::clip_of_upload))
        .routes(routes!(images::spectrogram))
        .routes(routes!(images::waveform))
        .routes(routes!(images::spectrogram_of_upload))
        .routes(routes!(images::waveform_of_upload))
        .routes(routes!(uploads::create))
        .routes(routes!(uploads::remove))
        .routes(routes!(search::search))
        .routes(routes!(labels::list, labels::create))
        .routes(routes!(labels::remove))
        .routes(routes!(heads::list, heads::training::train))
        .routes(routes!(heads::show, heads::remove))
        .routes(routes!(heads::report))
        .routes(routes!(heads::predicting::predict))
        .routes(routes!(heads::suggesting::suggest))
        .routes(routes!(duplicates::find))
        .routes(routes!(index::index))
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::show, jobs::cancel))
        .routes(routes!(map::map))
        .routes(routes!(embed::model))
        .routes(routes!(embed::embed))
}

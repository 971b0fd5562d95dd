//! `GET /v1/classes`: names, for suggestions while somebody types.

use std::collections::HashSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use sonoteca::case::folded;
use sonoteca::store::labels::LabelSelection;
use utoipa::{IntoParams, ToSchema};

use crate::server::error::Answer;
use crate::server::extract::Query;
use crate::server::state::{Server, Work};

/// Which classes.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::server) struct ClassesQuery {
    /// Classes of this model; of all, where none is named.
    model: Option<String>,
    /// Those whose name has this in it.
    text: Option<String>,
}

/// Names of classes.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct Classes {
    /// Those of labels first.
    classes: Vec<String>,
}

/// The classes that labels have and that models hear.
#[utoipa::path(
    get,
    path = "/v1/classes",
    tag = "labels",
    params(ClassesQuery),
    responses((status = 200, body = Classes), (status = 422))
)]
pub(in crate::server) async fn list(
    State(server): State<Arc<Server>>,
    Query(query): Query<ClassesQuery>,
) -> Answer<Json<Classes>> {
    let found = server.with_library(Work::Reading, move |server, library| {
        let labelled = library.label_classes(&LabelSelection::default())?;
        let mut names: Vec<String> = labelled.into_iter().map(|one| one.class).collect();
        let models = match query.model.as_deref() {
            Some(name) => vec![server.collections.model(library, Some(name))?],
            None => server.collections.models(library)?.as_ref().clone(),
        };
        for model in models {
            names.extend(library.class_names(model.id)?.into_iter().map(|(_, name)| name));
        }
        let wanted = folded(query.text.as_deref().unwrap_or_default().trim());
        let mut seen = HashSet::new();
        names.retain(|name| {
            let name = folded(name);
            name.contains(&wanted) && seen.insert(name)
        });
        Ok(Classes { classes: names })
    });
    found.await.map(Json)
}

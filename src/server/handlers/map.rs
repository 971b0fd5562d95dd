//! `GET /v1/map`: everything at once, on a plane.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use sonoteca::Result;
use sonoteca::search::Level;
use sonoteca::search::projection::Projection;
use sonoteca::store::Library;
use sonoteca::store::changes::ChangeMark;
use sonoteca::store::labels::{Judgement, LabelOrder, LabelSelection};
use sonoteca::store::models::StoredModel;
use utoipa::{IntoParams, ToSchema};

use crate::server::error::{Answer, ErrorBody};
use crate::server::extract::{Query, count};
use crate::server::state::{Server, Work};

/// Points of a map.
const MOST_POINTS: usize = 200_000;
/// Maps that are kept.
const MOST_KEPT: usize = 4;

/// Which map.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::server) struct MapQuery {
    /// The model whose vectors are shown.
    model: Option<String>,
    /// Points at most, 1 to 200000; 50000, where nothing is said. Of more, some are drawn, evenly.
    #[param(minimum = 1, maximum = 200000)]
    limit: Option<u64>,
}

/// Segments on a plane, in columns.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct MapView {
    points: Points,
    /// Names, which `class` and `label` of points count from 0.
    classes: Vec<String>,
    /// The share of the variance that each axis shows.
    explained: [f64; 2],
    /// How many segments there are; more than points, where some were drawn.
    total: usize,
    model: String,
}

/// Columns of equal length.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(in crate::server) struct Points {
    segment_id: Vec<i64>,
    recording_id: Vec<i64>,
    x: Vec<f32>,
    y: Vec<f32>,
    start_s: Vec<f32>,
    end_s: Vec<f32>,
    /// The class that the model hears most in it; −1, where it hears none.
    class: Vec<i32>,
    /// The last class that somebody said is there; −1, where nobody did.
    label: Vec<i32>,
}

/// Which map was made of what.
type Key = (i64, usize);

/// Maps that were made, with the library's change that they were made at.
#[derive(Debug, Default)]
pub(in crate::server) struct Maps {
    kept: Mutex<HashMap<Key, Kept>>,
    /// Held by whoever makes one: making it takes a second of a processor.
    making: Mutex<()>,
}

/// Where things lie, without what people say of them.
#[derive(Clone, Debug)]
struct Kept {
    mark: Option<ChangeMark>,
    projection: Arc<Projection>,
    classes: Arc<(Vec<String>, Vec<i32>)>,
}

impl Maps {
    fn get(&self, key: Key, mark: Option<ChangeMark>) -> Option<Kept> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&key).filter(|kept| kept.mark == mark).cloned()
    }

    fn find(
        &self,
        server: &Server,
        library: &Library,
        model: &StoredModel,
        limit: usize,
    ) -> Result<Kept> {
        let (key, mark) = ((model.id, limit), library.last_change()?);
        if let Some(kept) = self.get(key, mark) {
            return Ok(kept);
        }
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = self.get(key, mark) {
            return Ok(kept);
        }
        let collection = server.collections.open(library, model, Level::Segment, false)?;
        let projection = Projection::of(library, &collection, limit)?;
        let (mut names, mut numbers) = (Vec::new(), HashMap::new());
        let mut classes = Vec::with_capacity(projection.keys.len());
        for key in &projection.keys {
            let heard = library.segment_classes(key.segment)?.into_iter().next();
            classes.push(heard.map_or(-1, |heard| number_of(heard.name, &mut names, &mut numbers)));
        }
        let classes = Arc::new((names, classes));
        let made = Kept { mark, projection: Arc::new(projection), classes };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        kept.insert(key, made.clone());
        Ok(made)
    }
}

/// The number of a name, which is given when it is new.
fn number_of(name: String, names: &mut Vec<String>, numbers: &mut HashMap<String, i32>) -> i32 {
    if let Some(number) = numbers.get(&name) {
        return *number;
    }
    let number = i32::try_from(names.len()).unwrap_or(-1);
    names.push(name.clone());
    numbers.insert(name, number);
    number
}

/// The segments on a plane: their vectors along the two directions in which they differ most (PCA).
#[utoipa::path(
    get,
    path = "/v1/map",
    tag = "search",
    params(MapQuery),
    responses((status = 200, body = MapView), (status = 422, body = ErrorBody))
)]
pub(in crate::server) async fn map(
    State(server): State<Arc<Server>>,
    Query(query): Query<MapQuery>,
) -> Answer<Json<MapView>> {
    let limit = count("limit", query.limit, 50_000, 1..=MOST_POINTS)?;
    let found = server.with_library(Work::Decoding, move |server, library| {
        let model = server.collections.model(library, query.model.as_deref())?;
        let Kept { projection, classes, .. } = server.maps.find(server, library, &model, limit)?;
        let (mut names, class) = classes.as_ref().clone();
        let labels = Labels::read(library, &mut names)?;
        let mut points = Points { class, ..Points::default() };
        for (place, key) in projection.keys.iter().enumerate() {
            let (x, y) = projection.places[place];
            let range = library.segment(key.segment)?.map(|segment| segment.range);
            #[expect(clippy::cast_possible_truncation, reason = "times to be shown")]
            let (start_s, end_s) =
                range.map_or((0.0, 0.0), |range| (range.start_s as f32, range.end_s as f32));
            points.segment_id.push(key.segment);
            points.recording_id.push(key.recording);
            points.x.push(x);
            points.y.push(y);
            points.start_s.push(start_s);
            points.end_s.push(end_s);
            points.label.push(labels.of(key.recording, (start_s, end_s)));
        }
        Ok(MapView {
            points,
            classes: names,
            explained: projection.explained,
            total: projection.total,
            model: model.identity.name,
        })
    });
    found.await.map(Json)
}

/// A stretch, and the number of a class that is said to be there.
type Said = (Option<(f32, f32)>, i32);

/// What people and heads say is there, by recording, the newest last.
struct Labels(HashMap<i64, Vec<Said>>);

impl Labels {
    fn read(library: &Library, names: &mut Vec<String>) -> Result<Self> {
        let mut numbers: HashMap<String, i32> =
            (0..).zip(names.iter()).map(|(n, name)| (name.clone(), n)).collect();
        let selection =
            LabelSelection { judgements: vec![Judgement::Positive], ..LabelSelection::default() };
        let mut all: HashMap<i64, Vec<Said>> = HashMap::new();
        library.for_each_label(&selection, LabelOrder::Added, |label| {
            #[expect(clippy::cast_possible_truncation, reason = "times to be shown")]
            let range = label.range.map(|range| (range.start_s as f32, range.end_s as f32));
            let number = number_of(label.class, names, &mut numbers);
            all.entry(label.recording).or_default().push((range, number));
            Ok(())
        })?;
        Ok(Self(all))
    }

    fn of(&self, recording: i64, (start_s, end_s): (f32, f32)) -> i32 {
        let said = self.0.get(&recording).into_iter().flatten().rev();
        let mut touching = said.filter(|(range, _)| {
            range.is_none_or(|(from_s, to_s)| from_s < end_s && start_s < to_s)
        });
        touching.next().map_or(-1, |(_, number)| *number)
    }
}

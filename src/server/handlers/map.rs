//! `GET /v1/map`: everything at once, on a plane.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

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
use tokio::sync::OwnedMutexGuard;
use utoipa::{IntoParams, ToSchema};

use crate::server::collections::Opened;
use crate::server::error::{Answer, Refusal};
use crate::server::extract::{Query, count};
use crate::server::state::{Server, Work};

/// Points of a map.
const MOST_POINTS: usize = 200_000;
/// Maps that are kept.
const MOST_KEPT: usize = 4;
/// How long one waits for maps that others have made.
const TURN_WITHIN: Duration = Duration::from_secs(30);

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

/// Which map: of which model, with how many points at most.
type Key = (i64, usize);

/// Maps that were made.
#[derive(Debug, Default)]
pub(in crate::server) struct Maps {
    kept: Mutex<HashMap<Key, Kept>>,
    /// Held by whoever makes one, which takes a second of a processor. Others wait for it without a
    /// thread or a place in a room.
    making: Arc<tokio::sync::Mutex<()>>,
}

/// Where things lie, without what people say of them.
#[derive(Clone, Debug)]
struct Kept {
    /// The change of the library up to which its vectors are there: the collection's that it was made
    /// of, which may be behind the library.
    mark: Option<ChangeMark>,
    projection: Arc<Projection>,
    classes: Arc<(Vec<String>, Vec<i32>)>,
}

impl Maps {
    fn get(&self, key: Key, mark: Option<ChangeMark>) -> Option<Kept> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&key).filter(|kept| kept.mark == mark).cloned()
    }

    fn keep(&self, key: Key, made: &Kept) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST_KEPT && !kept.contains_key(&key) {
            kept.clear();
        }
        kept.insert(key, made.clone());
    }
}

impl Kept {
    fn make(library: &Library, opened: &Opened, limit: usize) -> Result<Self> {
        let projection = Projection::of(library, &opened.collection, limit)?;
        let (mut names, mut numbers) = (Vec::new(), HashMap::new());
        let mut classes = Vec::with_capacity(projection.keys.len());
        for key in &projection.keys {
            let heard = library.segment_classes(key.segment)?.into_iter().next();
            classes.push(heard.map_or(-1, |heard| number_of(heard.name, &mut names, &mut numbers)));
        }
        let (projection, classes) = (Arc::new(projection), Arc::new((names, classes)));
        Ok(Self { mark: opened.mark, projection, classes })
    }

    fn view(&self, library: &Library, model: StoredModel) -> Result<MapView> {
        let Self { projection, classes, .. } = self;
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
    responses((status = 200, body = MapView), (status = 422))
)]
pub(in crate::server) async fn map(
    State(server): State<Arc<Server>>,
    Query(query): Query<MapQuery>,
) -> Answer<Json<MapView>> {
    let limit = count("limit", query.limit, 50_000, 1..=MOST_POINTS)?;
    let name = query.model;
    if let Some(view) = find(&server, name.clone(), limit, None).await? {
        return Ok(Json(view));
    }
    let turn = tokio::time::timeout(TURN_WITHIN, Arc::clone(&server.maps.making).lock_owned());
    let turn = turn.await.map_err(|_| Refusal::overloaded())?;
    find(&server, name, limit, Some(turn)).await?.map(Json).ok_or_else(Refusal::overloaded)
}

/// The map that is kept; with a turn, the one that is made.
async fn find(
    server: &Arc<Server>,
    name: Option<String>,
    limit: usize,
    turn: Option<OwnedMutexGuard<()>>,
) -> Answer<Option<MapView>> {
    let found = server.with_library(Work::Reading, move |server, library| {
        let model = server.collections.model(library, name.as_deref())?;
        let opened = server.collections.open(library, &model, Level::Segment, false)?;
        let key = (model.id, limit);
        let kept = match (server.maps.get(key, opened.mark), &turn) {
            (Some(kept), _) => kept,
            (None, None) => return Ok(None),
            (None, Some(_)) => {
                let made = Kept::make(library, &opened, limit)?;
                server.maps.keep(key, &made);
                made
            }
        };
        // Others see it at once, whatever this one reads on.
        drop(turn);
        Ok(Some(kept.view(library, model)?))
    });
    found.await
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

//! `POST /v1/search`: what sounds alike, scores high, has the words, or what a head says.

use std::collections::BTreeMap;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use sonoteca::audio::excerpt::{Part, Stretch};
use sonoteca::audio::segment::TimeRange;
use sonoteca::filter::Filter;
use sonoteca::index::scope::{Allowed, Scope};
use sonoteca::search::example::Own;
use sonoteca::search::explain::NEAR;
use sonoteca::search::{
    self, Among, Example, Explanation, Hit, Level, Question, SearchOptions, Voice, fuse,
};
use sonoteca::store::Library;
use sonoteca::store::models::StoredModel;
use sonoteca::store::segments::VectorKey;
use sonoteca::train::head::Head;
use sonoteca::train::rank::{RankSpec, class_of, rank};
use utoipa::ToSchema;

use super::views::{Class, Label, name_of};
use crate::server::error::{Answer, Refusal};
use crate::server::extract::{self, count, finite};
use crate::server::roots::Folders;
use crate::server::state::{Server, Work};
use crate::server::uploads::Upload;

/// Examples of a question.
const MOST_EXAMPLES: usize = 64;
/// Models that are joined at most.
const MOST_MODELS: usize = 8;
/// Seconds of sounds that were sent, which one search embeds at most: as much as two whole ones.
const MOST_SENT_S: f64 = 1_200.0;
/// Classes and labels that are told of a hit.
const MOST_CLASSES: usize = 5;
const MOST_LABELS: usize = 50;
/// Below this a score says that the class is not there.
const LEAST_SCORE: f64 = 0.01;
/// Bytes of words.
const MOST_TEXT: usize = 1_000;

/// What is looked for: exactly one of `like`, `class`, `text` and `head`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct SearchBody {
    /// What it is to sound like.
    #[serde(default)]
    like: Vec<ExampleBody>,
    /// What it is not to sound like.
    #[serde(default)]
    unlike: Vec<ExampleBody>,
    /// A class of the model.
    class: Option<String>,
    /// Words in paths, labels and metadata, or of classes.
    text: Option<String>,
    /// What a head says.
    head: Option<HeadBody>,
    /// A filter, as of `sonoteca search --where`.
    #[serde(rename = "where")]
    filter: Option<String>,
    /// The model to search with; needless where the library has only one.
    model: Option<String>,
    /// Several, whose rankings are joined.
    #[serde(default)]
    models: Vec<String>,
    /// What a hit is: neighbouring segments joined, single ones, or whole recordings.
    #[serde(default)]
    by: By,
    /// Hits of one recording at most.
    per_recording: Option<u64>,
    /// Hits at most, 1 to 500; 20, where nothing is said.
    #[schema(minimum = 1, maximum = 500)]
    limit: Option<u64>,
    /// The least score of a hit.
    min_score: Option<f64>,
    /// Whether to say why.
    #[serde(default)]
    explain: bool,
    /// Whether to compare everything, which takes longer.
    #[serde(default)]
    exact: bool,
}

/// What a hit is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::server) enum By {
    /// Neighbouring segments that answer the question, joined.
    #[default]
    Event,
    /// A segment.
    Segment,
    /// A whole recording.
    Recording,
}

impl By {
    fn level(self) -> Level {
        match self {
            Self::Event | Self::Segment => Level::Segment,
            Self::Recording => Level::Recording,
        }
    }
}

/// A sound: a recording, a segment or an upload, or a stretch of the first or last.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct ExampleBody {
    recording_id: Option<i64>,
    segment_id: Option<i64>,
    upload_id: Option<String>,
    start_s: Option<f64>,
    end_s: Option<f64>,
}

/// How a head ranks.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct HeadBody {
    name: String,
    /// Needless where it has only one.
    class: Option<String>,
    /// Rank by closeness to this probability: 0.5 finds what it is unsure of.
    near: Option<f64>,
    /// Take recordings in turns.
    #[serde(default)]
    spread: bool,
}

/// What was found.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct Found {
    hits: Vec<HitView>,
    /// The model that was searched with; of several, with a + between.
    model: String,
    took_ms: f64,
    /// What the hits do not show.
    warnings: Vec<String>,
}

/// A hit.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct HitView {
    /// From 1.
    rank: usize,
    recording_id: i64,
    /// The best segment; null where recordings are compared.
    segment_id: Option<i64>,
    path: String,
    name: String,
    start_s: f64,
    end_s: f64,
    /// Where the best segment lies.
    best_start_s: f64,
    best_end_s: f64,
    /// How many segments were joined.
    segments: usize,
    /// Of the recording.
    duration_s: f64,
    score: f32,
    /// Each model's own score, where there are several.
    model_scores: BTreeMap<String, Option<f32>>,
    classes: Vec<Class>,
    /// Labels that touch it.
    labels: Vec<Label>,
    /// Whether its file is not there.
    missing: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<Explained>,
    /// Why it is suggested.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// The class that it is suggested for, and the one that is almost as probable.
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    other_class: Option<String>,
}

/// Why something is a hit.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct Explained {
    /// Classes that are heard in both.
    shared: Vec<Shared>,
    /// How the segments of its recording score; null, where none can be searched.
    spread: Option<SpreadView>,
}

/// A class that is heard in question and hit.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct Shared {
    class: String,
    query: f64,
    hit: f64,
}

/// The scores of a recording's segments.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct SpreadView {
    segments: usize,
    least: f32,
    median: f32,
    best: f32,
    near: f32,
    near_share: f64,
}

impl From<Explanation> for Explained {
    fn from(explanation: Explanation) -> Self {
        let shared = explanation.shared.into_iter().map(|one| Shared {
            class: one.name,
            query: one.query_score,
            hit: one.hit_score,
        });
        let spread = explanation.spread.map(|spread| SpreadView {
            segments: spread.segments,
            least: spread.least,
            median: spread.median,
            best: spread.best,
            near: spread.near,
            near_share: spread.near_share,
        });
        Self { shared: shared.collect(), spread }
    }
}

impl HitView {
    /// `hit` among hits at `level`.
    pub(super) fn new(
        library: &Library,
        folders: &Folders,
        hit: Hit,
        level: Level,
    ) -> sonoteca::Result<Self> {
        let mut labels = library.labels(hit.recording.id)?;
        labels.retain(|label| Label::touches(label, hit.range));
        labels.truncate(MOST_LABELS);
        let mut classes = hit.classes;
        classes.retain(|class| class.score >= LEAST_SCORE);
        classes.truncate(MOST_CLASSES);
        Ok(Self {
            rank: hit.rank,
            recording_id: hit.recording.id,
            segment_id: (level == Level::Segment).then_some(hit.key.segment),
            path: folders.shown(&hit.recording.path),
            name: name_of(&hit.recording),
            start_s: hit.range.start_s,
            end_s: hit.range.end_s,
            best_start_s: hit.best.start_s,
            best_end_s: hit.best.end_s,
            segments: hit.segments,
            duration_s: hit.recording.duration_s,
            score: hit.score,
            model_scores: BTreeMap::new(),
            classes: Class::all(classes),
            labels: labels.into_iter().map(Label::from).collect(),
            missing: search::copying::is_missing(&hit.recording.path),
            explain: None,
            why: None,
            class: None,
            other_class: None,
        })
    }

    /// The same, suggested for a label.
    pub(super) fn suggested(
        mut self,
        why: String,
        class: String,
        other_class: Option<String>,
    ) -> Self {
        (self.why, self.class, self.other_class) = (Some(why), Some(class), other_class);
        self
    }
}

/// Finds what is like examples, has a class or words, or what a head says.
#[utoipa::path(
    post,
    path = "/v1/search",
    tag = "search",
    request_body = SearchBody,
    responses(
        (status = 200, body = Found),
        (status = 404),
        (status = 409)
    )
)]
pub(in crate::server) async fn search(
    State(server): State<Arc<Server>>,
    extract::Json(body): extract::Json<SearchBody>,
) -> Answer<Json<Found>> {
    let started = Instant::now();
    let asked = Asked::new(&server, body)?;
    // Uploads have to be embedded.
    let room = if asked.has_uploads() { Work::Decoding } else { Work::Reading };
    let found = server.with_library(room, move |server, library| {
        let folders = server.roots.folders(library)?;
        Asking { server, library, folders: &folders, asked: &asked }.answer()
    });
    let mut found = found.await?;
    found.took_ms = (started.elapsed().as_secs_f64() * 1e6).round() / 1e3;
    Ok(Json(found))
}

/// An example that was looked at.
#[derive(Clone, Debug)]
enum Sound {
    Recording(i64, Option<Stretch>),
    Segment(i64),
    Upload(Arc<Upload>, Option<Stretch>),
}

/// What is looked for, once it was looked at.
#[derive(Debug)]
struct Asked {
    like: Vec<Sound>,
    unlike: Vec<Sound>,
    filter: Option<Filter>,
    count: usize,
    per_recording: Option<usize>,
    least_score: Option<f32>,
    body: SearchBody,
}

impl Asked {
    fn new(server: &Server, mut body: SearchBody) -> Answer<Self> {
        let text = body.text.take().filter(|text| text.contains(char::is_alphanumeric));
        let class = body.class.take().filter(|class| !class.trim().is_empty());
        let of_head = body.head.is_some();
        let ways = [!body.like.is_empty(), text.is_some(), class.is_some() && !of_head, of_head];
        if ways.iter().filter(|way| **way).count() != 1 {
            let message = "a search takes exactly one of like, class, text and head";
            return Err(Refusal::unusable("what_to_find", message)
                .hint("give an example: {\"like\": [{\"recording_id\": 1}]}"));
        }
        if !body.unlike.is_empty() && body.like.is_empty() {
            let message = "unlike is about what is like an example, and there is none";
            return Err(Refusal::unusable("what_to_find", message));
        }
        if body.like.len() + body.unlike.len() > MOST_EXAMPLES {
            let message = format!("a search takes {MOST_EXAMPLES} examples at most");
            return Err(Refusal::unusable("too_many_examples", message));
        }
        if text.as_ref().is_some_and(|text| text.len() > MOST_TEXT) {
            let message = format!("text has {MOST_TEXT} bytes at most");
            return Err(Refusal::unusable("too_many_words", message));
        }
        if body.models.len() > 1 && body.like.is_empty() {
            let message = "several models are joined for examples only";
            return Err(Refusal::unusable("which_model", message));
        }
        if body.models.len() > MOST_MODELS {
            let message = format!("a search joins {MOST_MODELS} models at most");
            return Err(Refusal::unusable("which_model", message));
        }
        let named = body.models.iter().enumerate();
        if let Some((_, twice)) =
            named.clone().find(|(place, name)| body.models[..*place].contains(name))
        {
            return Err(Refusal::unusable("which_model", format!("`{twice}` is named twice")));
        }
        if let Some(head) = &body.head {
            finite("near", head.near)?;
        }
        #[expect(clippy::cast_possible_truncation, reason = "scores are compared in f32")]
        let least_score = finite("min_score", body.min_score)?.map(|score| score as f32);
        let filter = body.filter.as_deref().filter(|filter| !filter.trim().is_empty());
        let filter = filter.map(Filter::parse).transpose()?;
        let sounds = |examples: &[ExampleBody]| {
            examples.iter().map(|one| sound(server, one)).collect::<Answer<Vec<Sound>>>()
        };
        let (like, unlike) = (sounds(&body.like)?, sounds(&body.unlike)?);
        (body.text, body.class) = (text, class);
        Ok(Self {
            like,
            unlike,
            filter,
            count: count("limit", body.limit, 20, 1..=500)?,
            per_recording: match body.per_recording {
                Some(most) => Some(count("per_recording", Some(most), 1, 1..=500)?),
                None => None,
            },
            least_score,
            body,
        })
    }

    fn has_uploads(&self) -> bool {
        let mut all = self.like.iter().chain(&self.unlike);
        all.any(|sound| matches!(sound, Sound::Upload(..)))
    }

    fn level(&self) -> Level {
        self.body.by.level()
    }

    fn options(&self, allowed: Allowed) -> SearchOptions {
        SearchOptions {
            count: self.count,
            least_score: self.least_score,
            per_recording: self.per_recording,
            single_segments: self.body.by == By::Segment,
            scope: Scope { allowed, ..Scope::default() },
        }
    }
}

fn sound(server: &Server, example: &ExampleBody) -> Answer<Sound> {
    let start_s = finite("start_s", example.start_s)?;
    let end_s = finite("end_s", example.end_s)?;
    let stretch = (start_s.is_some() || end_s.is_some())
        .then_some(Stretch { start_s: start_s.unwrap_or(0.0), end_s });
    match (example.recording_id, example.segment_id, &example.upload_id) {
        (Some(id), None, None) => Ok(Sound::Recording(id, stretch)),
        (None, Some(id), None) if stretch.is_none() => Ok(Sound::Segment(id)),
        (None, None, Some(id)) => Ok(Sound::Upload(server.uploads.get(id)?, stretch)),
        _ => Err(Refusal::unusable(
            "bad_example",
            "an example is one of recording_id, segment_id and upload_id; of a recording or an \
             upload it may be a stretch",
        )),
    }
}

/// A search that goes on.
struct Asking<'a> {
    server: &'a Server,
    library: &'a Library,
    folders: &'a Folders,
    asked: &'a Asked,
}

impl Asking<'_> {
    fn answer(&self) -> Answer<Found> {
        let body = &self.asked.body;
        if let Some(head) = &body.head {
            return self.by_head(head);
        }
        match body.models.as_slice() {
            [] => self.by_one(self.model(body.model.as_deref())?),
            [only] => self.by_one(self.model(Some(only))?),
            several => self.by_several(several),
        }
    }

    fn model(&self, name: Option<&str>) -> Answer<StoredModel> {
        Ok(self.server.collections.model(self.library, name)?)
    }

    fn allowed(&self, model: &StoredModel) -> Answer<Allowed> {
        let filter = self.asked.filter.as_ref();
        Ok(search::allowed(self.library, filter, model, self.asked.level())?)
    }

    fn by_one(&self, model: StoredModel) -> Answer<Found> {
        let (body, level) = (&self.asked.body, self.asked.level());
        let options = self.asked.options(self.allowed(&model)?);
        if body.class.is_some() || body.text.is_some() {
            return self.by_words(&model, options);
        }
        let question = self.question(&model)?;
        let searcher = self.server.searcher(self.library, &model, level, body.exact)?;
        let hits = searcher.search(&question, &options)?;
        let warnings = searcher.warning().map(|warning| warning.to_string());
        let mut views = Vec::with_capacity(hits.len());
        for hit in hits {
            let explained = if body.explain {
                Some(searcher.explain(&question, &hit, NEAR)?.into())
            } else {
                None
            };
            let view = HitView::new(self.library, self.folders, hit, level)?;
            views.push(HitView { explain: explained, ..view });
        }
        Ok(Found::new(views, model.identity.name, warnings.into_iter().collect()))
    }

    fn by_words(&self, model: &StoredModel, options: SearchOptions) -> Answer<Found> {
        let (body, level) = (&self.asked.body, self.asked.level());
        let among = Among { library: self.library, model, level, options };
        let mut warnings = Vec::new();
        let hits = match (&body.class, &body.text) {
            (Some(class), _) => among.by_class(class)?,
            (None, text) => {
                let text = text.as_deref().unwrap_or_default();
                let found = Server::unwaiting(self.library, |_| among.by_text(text))?;
                if found.unread > 0 {
                    let unread = found.unread;
                    warnings
                        .push(format!("the words of {unread} recordings are not looked at yet"));
                }
                found.hits
            }
        };
        self.found(hits, model.identity.name.clone(), warnings)
    }

    fn by_head(&self, asked: &HeadBody) -> Answer<Found> {
        let level = self.asked.level();
        let head = Head::load(self.library, &asked.name)?;
        let model = head.model_in(self.library)?;
        let class = asked.class.as_deref().or(self.asked.body.class.as_deref());
        let options = self.asked.options(self.allowed(&model)?);
        let spec = RankSpec {
            class: class_of(&head, class)?,
            near: asked.near,
            spread: asked.spread,
            count: options.count,
            least_score: options.least_score,
            per_recording: options.per_recording,
            single_segments: options.single_segments,
        };
        let (hits, left) = rank(self.library, (&head, &model), (level, options.scope), &spec)?;
        let mut warnings = Vec::new();
        if left.unread > 0 {
            warnings.push(format!("{} stretches could not be heard again", left.unread));
        }
        self.found(hits, model.identity.name, warnings)
    }

    fn by_several(&self, names: &[String]) -> Answer<Found> {
        let (body, level) = (&self.asked.body, self.asked.level());
        let models = names
            .iter()
            .map(|name| self.model(Some(name)))
            .collect::<Answer<Vec<StoredModel>>>()?;
        let filter = self.asked.filter.as_ref();
        let allowed = search::allowed_together(self.library, filter, &models, level)?;
        let mut voices = Vec::with_capacity(models.len());
        for (model, allowed) in models.iter().zip(allowed) {
            let question = self.question(model)?;
            let searcher = self.server.searcher(self.library, model, level, body.exact)?;
            voices.push(Voice { searcher, question, allowed });
        }
        let found = fuse(&voices, &self.asked.options(Allowed::All))?;
        let warnings = voices.iter().filter_map(|voice| voice.searcher.warning());
        let warnings = warnings.map(|warning| warning.to_string()).collect();
        let mut views = Vec::with_capacity(found.len());
        for fused in found {
            let scores = names.iter().zip(&fused.standings);
            let scores = scores.map(|(name, standing)| (name.clone(), standing.score)).collect();
            let view = HitView::new(self.library, self.folders, fused.hit, level)?;
            views.push(HitView { model_scores: scores, ..view });
        }
        Ok(Found::new(views, names.join("+"), warnings))
    }

    fn found(&self, hits: Vec<Hit>, model: String, warnings: Vec<String>) -> Answer<Found> {
        let level = self.asked.level();
        let views =
            hits.into_iter().map(|hit| HitView::new(self.library, self.folders, hit, level));
        Ok(Found::new(views.collect::<sonoteca::Result<_>>()?, model, warnings))
    }

    /// The question that the examples are to `model`.
    fn question(&self, model: &StoredModel) -> Answer<Question> {
        let sent = |sound: &Sound| match sound {
            Sound::Upload(upload, stretch) => {
                let duration_s = upload.stored.duration_s;
                stretch
                    .and_then(|stretch| stretch.within(duration_s))
                    .map_or(duration_s, |range| range.end_s - range.start_s)
            }
            Sound::Recording(..) | Sound::Segment(_) => 0.0,
        };
        let sent_s: f64 = self.asked.like.iter().chain(&self.asked.unlike).map(sent).sum();
        if sent_s > MOST_SENT_S {
            let message = format!(
                "the sounds that were sent have {sent_s:.0} s together, {MOST_SENT_S:.0} at most"
            );
            return Err(Refusal::unusable("too_many_examples", message)
                .hint("name the stretches that count by start_s and end_s"));
        }
        let embed = |sounds: &[Sound]| {
            sounds.iter().map(|sound| self.example(model, sound)).collect::<Answer<Vec<Example>>>()
        };
        let (like, unlike) = (embed(&self.asked.like)?, embed(&self.asked.unlike)?);
        let mut question = Question::new(&like, &unlike)?;
        if let ([Sound::Upload(..)], []) = (&self.asked.like[..], &self.asked.unlike[..]) {
            // Whether the library has it, and where, is part of the answer.
            question.own.clear();
        }
        Ok(question)
    }

    fn example(&self, model: &StoredModel, sound: &Sound) -> Answer<Example> {
        let level = self.asked.level();
        match sound {
            Sound::Recording(id, stretch) => {
                Ok(Example::stored(self.library, model, *id, *stretch, level)?)
            }
            Sound::Segment(id) => self.segment(model, *id),
            Sound::Upload(upload, stretch) => {
                let extractor = self.server.models.extractor(model)?;
                let part = Part { stretch: *stretch, channel: None };
                // What lies there is ours: a WAV file that was written when it was sent.
                let of = upload.file();
                let found = Example::from_file(self.library, &extractor, &of.path, part, level);
                let (mut example, _) =
                    found.map_err(|error| Refusal::of_file(error, &of.path, &of.name))?;
                example.own = self.same_as(upload, *stretch)?;
                Ok(example)
            }
        }
    }

    fn segment(&self, model: &StoredModel, id: i64) -> Answer<Example> {
        let missing =
            || Refusal::missing("no_such_segment", format!("the library has no segment {id}"));
        let place = self.library.segment(id)?.ok_or_else(missing)?;
        let key = VectorKey { segment: id, recording: place.recording_id };
        let (mut vector, dimension) = (Vec::new(), model.identity.dimension);
        let level = Level::Segment;
        if !self.library.searched_vector(key, model.id, level, dimension, &mut vector)? {
            let message = format!(
                "segment {id} is not one of {}, or is silent, clipped or damaged",
                model.identity.name
            );
            return Err(Refusal::unusable("not_indexed", message));
        }
        let own = vec![Own { recording: place.recording_id, range: Some(place.range) }];
        Ok(Example { vector, classes: self.library.segment_classes(id)?, own })
    }

    /// The recordings whose files are what was sent.
    fn same_as(&self, upload: &Upload, stretch: Option<Stretch>) -> Answer<Vec<Own>> {
        let mut own = Vec::new();
        let ids = self.library.recordings_like_file(FilePath::new(""), &upload.content_hash)?;
        for recording in ids {
            let range: Option<TimeRange> =
                stretch.and_then(|stretch| stretch.within(upload.stored.duration_s));
            own.push(Own { recording, range });
        }
        Ok(own)
    }
}

impl Found {
    fn new(hits: Vec<HitView>, model: String, warnings: Vec<String>) -> Self {
        Self { hits, model, took_ms: 0.0, warnings }
    }

    /// Hits that nobody searched for.
    pub(super) fn of(hits: Vec<HitView>, model: String, started: Instant) -> Self {
        Self {
            took_ms: started.elapsed().as_secs_f64() * 1e3,
            ..Self::new(hits, model, Vec::new())
        }
    }
}

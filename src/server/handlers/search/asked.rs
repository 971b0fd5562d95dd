//! What a search asks for: the body of the request, and what it comes to once it was looked at.
//!
//! In: JSON. Out: [`Asked`]. Refuses what says nothing, says two things at once, or is too much.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sonoteca::audio::excerpt::Stretch;
use sonoteca::filter::Filter;
use sonoteca::index::scope::{Allowed, Scope};
use sonoteca::search::{Level, SearchOptions};
use utoipa::ToSchema;

use crate::server::error::{Answer, Refusal};
use crate::server::extract::{count, finite};
use crate::server::state::Server;
use crate::server::uploads::Upload;

/// Examples of a question.
const MOST_EXAMPLES: usize = 64;
/// Models that are joined at most.
const MOST_MODELS: usize = 8;
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
    pub(super) class: Option<String>,
    /// Words in paths, labels and metadata, or of classes.
    pub(super) text: Option<String>,
    /// What a head says.
    pub(super) head: Option<HeadBody>,
    /// A filter, as of `sonoteca search --where`.
    #[serde(rename = "where")]
    filter: Option<String>,
    /// The model to search with; needless where the library has only one.
    pub(super) model: Option<String>,
    /// Several, whose rankings are joined.
    #[serde(default)]
    pub(super) models: Vec<String>,
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
    pub(super) explain: bool,
    /// Whether to compare everything, which takes longer.
    #[serde(default)]
    pub(super) exact: bool,
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
    pub(super) name: String,
    /// Needless where it has only one.
    pub(super) class: Option<String>,
    /// Rank by closeness to this probability: 0.5 finds what it is unsure of.
    pub(super) near: Option<f64>,
    /// Take recordings in turns.
    #[serde(default)]
    pub(super) spread: bool,
}

/// An example that was looked at.
#[derive(Clone, Debug)]
pub(super) enum Sound {
    Recording(i64, Option<Stretch>),
    Segment(i64),
    Upload(Arc<Upload>, Option<Stretch>),
}

/// What is looked for, once it was looked at.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) like: Vec<Sound>,
    pub(super) unlike: Vec<Sound>,
    pub(super) filter: Option<Filter>,
    count: usize,
    per_recording: Option<usize>,
    least_score: Option<f32>,
    pub(super) body: SearchBody,
}

impl Asked {
    pub(super) fn new(server: &Server, mut body: SearchBody) -> Answer<Self> {
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

    pub(super) fn has_uploads(&self) -> bool {
        let mut all = self.like.iter().chain(&self.unlike);
        all.any(|sound| matches!(sound, Sound::Upload(..)))
    }

    pub(super) fn level(&self) -> Level {
        self.body.by.level()
    }

    pub(super) fn options(&self, allowed: Allowed) -> SearchOptions {
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

//! A search that goes on, in one library, on one thread.
//!
//! In: what is asked. Out: what is found. Refuses examples that the library does not have, or has not
//! indexed with the model that is asked.

use std::path::Path as FilePath;

use sonoteca::audio::excerpt::{Part, Stretch};
use sonoteca::audio::segment::TimeRange;
use sonoteca::index::scope::Allowed;
use sonoteca::search::example::Own;
use sonoteca::search::{self, Among, Example, Hit, Level, Question, SearchOptions, Voice, fuse};
use sonoteca::store::Library;
use sonoteca::store::models::StoredModel;
use sonoteca::store::segments::VectorKey;
use sonoteca::train::head::Head;
use sonoteca::train::rank::{RankSpec, class_of, rank};

use super::asked::{Asked, HeadBody, Sound};
use super::found::{Found, HitView};
use crate::server::error::{Answer, Refusal};
use crate::server::roots::Folders;
use crate::server::state::Server;
use crate::server::uploads::Upload;

/// Seconds of sounds that were sent, which one search embeds at most: as much as two whole ones.
const MOST_SENT_S: f64 = 1_200.0;
/// A search that goes on.
pub(super) struct Asking<'a> {
    pub(super) server: &'a Server,
    pub(super) library: &'a Library,
    pub(super) folders: &'a Folders,
    pub(super) asked: &'a Asked,
}

impl Asking<'_> {
    pub(super) fn answer(&self) -> Answer<Found> {
        let body = &self.asked.body;
        if let Some(store) = &self.server.store {
            return self.by_store(store);
        }
        if let Some(head) = &body.head {
            return self.by_head(head);
        }
        match body.models.as_slice() {
            [] => self.by_one(&self.model(body.model.as_deref())?),
            [only] => self.by_one(&self.model(Some(only))?),
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

    fn by_one(&self, model: &StoredModel) -> Answer<Found> {
        let (body, level) = (&self.asked.body, self.asked.level());
        let options = self.asked.options(self.allowed(model)?);
        if body.class.is_some() || body.text.is_some() {
            return self.by_words(model, options);
        }
        // Which may take hearing an upload, and keeps no moment of the library meanwhile.
        let question = self.question(model)?;
        // Before the moment begins: it may be waited for, and what is missing in older vectors is
        // coped with, but not what newer ones have that the library did not have yet.
        let searcher = self.server.searcher(self.library, model, level, body.exact)?;
        // Of one moment all of it is one transaction: beginning one for each of hundreds of rows takes
        // longer than reading them.
        let (views, warnings) = self
            .library
            .at_one_moment(|| {
                let hits = searcher.search(&question, &options)?;
                let warnings = searcher.warning().map(|warning| warning.to_string());
                let mut views = Vec::with_capacity(hits.len());
                let near = body.explain.then(|| searcher.usual_near(&question)).transpose()?;
                for hit in hits {
                    let explained = match near {
                        Some(near) => Some(searcher.explain(&question, &hit, near)?.into()),
                        None => None,
                    };
                    let path = hit.recording.path.clone();
                    let view = HitView::of_library(self.library, self.folders, hit, level)?;
                    views.push((path, view.explained(explained)));
                }
                Ok((views, warnings))
            })
            .map_err(Refusal::from)?;
        // Files are looked for while no moment of the library is kept.
        let views = views.into_iter().map(|(path, view)| view.looked_for(&path)).collect();
        Ok(Found::new(views, model.identity.name.clone(), warnings.into_iter().collect()))
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
            views.push(view.scored_by(scores));
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

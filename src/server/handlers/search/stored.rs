//! Searches that a store answers, whose recordings the library may have or not.
//!
//! In: what is asked. Out: what is found. What the library has too, by its path, is the library's
//! recording; of the rest it is told that it is no more than found. Refuses what only a library answers.

use std::collections::HashMap;

use sonoteca::audio::excerpt::{Part, Stretch};
use sonoteca::index::scope::Allowed;
use sonoteca::milvus::{Store, StoreSearcher};
use sonoteca::search::explain::NEAR;
use sonoteca::search::{Example, Question};

use super::answering::Asking;
use super::asked::Sound;
use super::found::{Found, HitView};
use crate::server::error::{Answer, Refusal};

impl Asking<'_> {
    /// What of `store` answers.
    pub(super) fn by_store(&self, store: &Store) -> Answer<Found> {
        self.check()?;
        let (body, level) = (&self.asked.body, self.asked.level());
        let names = body.model.iter().chain(&body.models);
        for name in names {
            store.require_model(Some(name))?;
        }
        let searcher = StoreSearcher::new(store, level, self.asked.filter.as_ref())?;
        let embed = |sounds: &[Sound]| {
            let embed = |sound| self.example_of_store(store, sound);
            sounds.iter().map(embed).collect::<Answer<Vec<Example>>>()
        };
        let (like, unlike) = (embed(&self.asked.like)?, embed(&self.asked.unlike)?);
        let mut question = Question::new(&like, &unlike)?;
        if let ([Sound::Upload(..)], []) = (&self.asked.like[..], &self.asked.unlike[..]) {
            // Whether the store has it, and where, is part of the answer.
            question.own.clear();
        }
        let hits = searcher.search(&question, &self.asked.options(Allowed::All))?;
        let (mut views, mut unknown) = (Vec::with_capacity(hits.len()), 0);
        let mut known = HashMap::new();
        for mut hit in hits {
            let explained = if body.explain {
                Some(searcher.explain(&question, &hit, NEAR)?.into())
            } else {
                None
            };
            let path = hit.recording.path.clone();
            let local: Option<i64> = if let Some(local) = known.get(&path) {
                *local
            } else {
                let local = self.library.recording_at(&path)?.map(|recording| recording.id);
                known.insert(path.clone(), local);
                local
            };
            hit.recording.id = local.unwrap_or(hit.recording.id);
            unknown += usize::from(local.is_none());
            let view = HitView::of_store(self.library, self.folders, hit, level)?;
            let view = view.explained(explained);
            views.push(if local.is_some() { view.looked_for(&path) } else { view.out_of_reach() });
        }
        let mut warnings = Vec::new();
        if unknown > 0 {
            warnings.push(format!(
                "{unknown} of these are in the store only: they cannot be played, drawn or labelled \
                 here until the library has them too (sonoteca index, or import)"
            ));
        }
        Ok(Found::new(views, store.header().identity.name.clone(), warnings))
    }

    fn check(&self) -> Answer<()> {
        let body = &self.asked.body;
        let asked = [
            ("class", body.class.is_some() && body.head.is_none()),
            ("text", body.text.is_some()),
            ("head", body.head.is_some()),
            ("models", body.models.len() > 1),
            ("exact", body.exact),
        ];
        match asked.into_iter().find(|(_, is_asked)| *is_asked) {
            None => Ok(()),
            Some((what, _)) => {
                let message =
                    format!("`{what}` cannot be asked of a Milvus store, which answers here");
                let hint = "give examples, and filter by where: class(\"Dog\") > 0.5";
                Err(Refusal::unusable("not_of_a_store", message).hint(hint))
            }
        }
    }

    fn example_of_store(&self, store: &Store, sound: &Sound) -> Answer<Example> {
        let level = self.asked.level();
        match sound {
            Sound::Recording(id, stretch) => self.recording_of_store(store, *id, *stretch),
            Sound::Segment(id) => {
                let message =
                    format!("segment {id} is the library's, and a Milvus store answers here");
                let hint = "name the stretch: recording_id with start_s and end_s";
                Err(Refusal::unusable("not_of_a_store", message).hint(hint))
            }
            Sound::Upload(upload, stretch) => {
                let extractor = self.server.models.extractor(&store.model())?;
                let part = Part { stretch: *stretch, channel: None };
                let of = upload.file();
                let found = Example::of_file(&extractor, &of.path, part, level);
                let (mut example, _) =
                    found.map_err(|error| Refusal::of_file(error, &of.path, &of.name))?;
                example.own = store.same_as(&upload.content_hash, *stretch)?;
                Ok(example)
            }
        }
    }

    /// A recording of the library by its path, or else one of the store by the dataset's id.
    fn recording_of_store(
        &self,
        store: &Store,
        id: i64,
        stretch: Option<Stretch>,
    ) -> Answer<Example> {
        let level = self.asked.level();
        let id = match self.library.recording(id)? {
            Some(recording) => store.id_at(&recording.path)?.ok_or_else(|| {
                let message = format!(
                    "recording {id}, {}, is in the library and not in the store that answers here",
                    self.folders.shown(&recording.path)
                );
                Refusal::unusable("not_indexed", message)
                    .hint("extract and import it: sonoteca import --parquet DIR --store ADDRESS")
            })?,
            None => id,
        };
        Ok(store.example(id, stretch, level)?)
    }
}

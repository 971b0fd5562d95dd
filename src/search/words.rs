//! Words into hits, for those who have no example yet.
//!
//! In: the name of a class, or words. Out: [`Hit`]s, best first. Refuses classes that the model
//! does not know.
//!
//! # How words are ranked
//!
//! A recording is found when it has every word: in its path, its labels or its metadata, or by a
//! class whose name has the word and whose stored score is at least [`LEAST_SCORE`]. There are two
//! rankings of what is found: by BM25 of the words in the texts, and by the mean over the words of
//! the best score of their classes. They are joined by reciprocal rank fusion (Cormack, Clarke and
//! Büttcher, SIGIR 2009, with their k of 60; see [`super::fusion`]): a hit's score is the mean over
//! both rankings of 61 / (60 + rank), where what a ranking does not have counts 0. So 1 is first in both, and 0.5
//! first in one. Among segments, all of a recording's share its rank by texts.
//!
//! Neighbouring segments are joined into events by the rule of [`super::events`].

use std::collections::HashMap;
use std::hash::Hash;

use super::events::{Event, EventGrower, ScoredSegment};
use super::fusion::worth;
use super::hits::{Hit, SearchOptions};
use crate::audio::segment::TimeRange;
use crate::error::{Error, Result};
use crate::index::scope::Scope;
use crate::near;
use crate::store::Library;
use crate::store::models::StoredModel;
use crate::store::segments::{Level, ScoredKey, VectorKey};
use crate::store::stretches::{Direction, StoredSegment};

/// Below this a score says that the class is not there.
pub const LEAST_SCORE: f64 = 0.01;

/// Segments that are kept at most, so that those of a recording with many hits are read once: 20 MB.
const MOST_KNOWN: usize = 500_000;

/// What words are looked for among.
#[derive(Debug)]
pub struct Among<'a> {
    /// The library.
    pub library: &'a Library,
    /// The model whose classes count.
    pub model: &'a StoredModel,
    /// Whether recordings are found, or segments.
    pub level: Level,
    /// Which answers are wanted, and of what.
    pub options: SearchOptions,
}

/// What was found by words.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Best first.
    pub hits: Vec<Hit>,
    /// Recordings whose words could not be looked at: the library cannot be written to now, and
    /// they are new to this version.
    pub unread: u64,
}

impl Among<'_> {
    /// The highest scores of the class called `name`, in upper or lower case. Among
    /// segments, those that are not fit to be searched are left out.
    ///
    /// # Errors
    /// [`Error::UnknownClass`], [`Error::NoClasses`], [`Error::Store`].
    pub fn by_class(&self, name: &str) -> Result<Vec<Hit>> {
        let Some(class) = self.library.class_index(self.model.id, name)? else {
            let names = self.library.class_names(self.model.id)?;
            if names.is_empty() {
                return Err(self.without_classes()?);
            }
            let nearest = near::nearest(name, names.iter().map(|(_, name)| name.as_str()));
            let (name, model) = (name.to_owned(), self.model.identity.name.clone());
            return Err(Error::UnknownClass { name, model, nearest });
        };
        let scope = &self.options.scope;
        let mut found = Vec::new();
        self.library.for_each_scored(self.model.id, self.level, &[class], |key, classes| {
            let score = classes.iter().find(|(found, _)| *found == class);
            let score = score.map_or(0.0, |(_, score)| *score);
            if score > 0.0 && contains(scope, key) {
                found.push((key, score));
            }
            Ok(())
        })?;
        self.hits(found)
    }

    /// What is wrong with asking a model for a class that tells none.
    fn without_classes(&self) -> Result<Error> {
        let mut others = Vec::new();
        for other in self.library.models()? {
            if other.recordings > 0 && !self.library.class_names(other.id)?.is_empty() {
                others.push(other.identity.name);
            }
        }
        Ok(Error::NoClasses { model: self.model.identity.name.clone(), others })
    }

    /// The best answers to `text`, ranked as [this module](self) says.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn by_text(&self, text: &str) -> Result<Found> {
        let unread = self.library.catch_up_texts()?;
        let words = self.words(text)?;
        if words.is_empty() {
            return Ok(Found { hits: Vec::new(), unread });
        }
        let scope = &self.options.scope;
        let mut candidates = Vec::new();
        let mut seen = std::collections::HashSet::new();
        let wanted: Vec<i64> = words.iter().flat_map(|word| word.classes.clone()).collect();
        self.library.for_each_scored(self.model.id, self.level, &wanted, |key, classes| {
            seen.insert(key.0);
            if contains(scope, key) {
                candidates.extend(Candidate::new(key, &words, classes));
            }
            Ok(())
        })?;
        // Recordings that have all words in their texts only.
        if self.level == Level::Recording {
            for &recording in words[0].texts.keys() {
                if !seen.contains(&recording) && contains(scope, (recording, None)) {
                    candidates.extend(Candidate::new((recording, None), &words, &[]));
                }
            }
        }
        let by_text = ranks(candidates.iter().map(|found| (found.key.0, found.text)));
        let by_class = ranks(candidates.iter().map(|found| (found.key, found.class)));
        let worth = |rank: Option<&usize>| rank.map_or(0.0, |&rank| 0.5 * worth(rank));
        let scored = candidates
            .iter()
            .map(|found| {
                let score = worth(by_text.get(&found.key.0)) + worth(by_class.get(&found.key));
                (found.key, score)
            })
            .collect();
        Ok(Found { hits: self.hits(scored)?, unread })
    }

    /// The words of `text` with what has them.
    fn words(&self, text: &str) -> Result<Vec<Word>> {
        let classes = self.library.class_names(self.model.id)?;
        let mut words = Vec::new();
        for word in text.split_whitespace() {
            // Quotation marks and commas around a word are none of it.
            let word = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '*');
            if !word.contains(char::is_alphanumeric) {
                continue;
            }
            let wanted = word.to_lowercase();
            let classes = classes
                .iter()
                .filter(|(_, name)| has_word(name, &wanted))
                .map(|(class, _)| *class)
                .collect();
            let texts = self.library.recordings_with_word(word)?.into_iter().collect();
            words.push(Word { texts, classes });
        }
        Ok(words)
    }

    /// The best of what was found, as many as are wanted.
    fn hits(&self, mut found: Vec<(ScoredKey, f64)>) -> Result<Vec<Hit>> {
        if let Some(least) = self.options.least_score {
            found.retain(|(_, score)| *score >= f64::from(least));
        }
        // Equals in the order in which they came into the library.
        found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let mut events = Events::new(self, &found);
        let mut per_recording: HashMap<i64, usize> = HashMap::new();
        let mut hits = Vec::new();
        for ((recording, segment), score) in found {
            if hits.len() == self.options.count {
                break;
            }
            let count = per_recording.entry(recording).or_default();
            if self.options.per_recording.is_some_and(|most| *count >= most) {
                continue;
            }
            let event = match segment {
                Some(segment) => match events.around(recording, segment)? {
                    Some(event) => Some(event),
                    None => continue,
                },
                None => None,
            };
            // What another process removed meanwhile is no hit.
            if let Some(hit) = self.hit(recording, event, score, hits.len() + 1)? {
                *count += 1;
                hits.push(hit);
            }
        }
        Ok(hits)
    }

    fn hit(
        &self,
        recording: i64,
        event: Option<Event>,
        score: f64,
        rank: usize,
    ) -> Result<Option<Hit>> {
        let Some(recording) = self.library.recording(recording)? else { return Ok(None) };
        let whole = TimeRange { start_s: 0.0, end_s: recording.duration_s };
        let mut classes = Vec::new();
        let (mut range, mut best, mut segment, mut segments) = (whole, whole, 0, 1);
        if let Some(event) = event {
            (range, best) = (event.range, event.best.range);
            (segment, segments) = (event.best.id, event.segments);
            classes = self.library.segment_classes(segment)?;
        }
        if classes.is_empty() {
            classes = self.library.classes(recording.id, self.model.id)?;
        }
        #[expect(clippy::cast_possible_truncation, reason = "between 0 and 1")]
        let score = score as f32;
        let key = VectorKey { segment, recording: recording.id };
        Ok(Some(Hit { rank, score, recording, range, best, key, segments, classes }))
    }
}

/// Segments that were found, joined.
struct Events<'a> {
    among: &'a Among<'a>,
    scores: HashMap<i64, f32>,
    grower: EventGrower,
    /// Segments of recordings that had hits already, and how many that are.
    known: HashMap<i64, Vec<StoredSegment>>,
    known_segments: usize,
}

impl<'a> Events<'a> {
    fn new(among: &'a Among<'a>, found: &[(ScoredKey, f64)]) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "between 0 and 1")]
        let scores = found
            .iter()
            .filter_map(|((_, segment), score)| segment.map(|segment| (segment, *score as f32)))
            .collect();
        let hop_s = among.model.segmentation.map_or(among.model.hop_s, |segments| segments.hop_s);
        let grower = EventGrower::new(hop_s);
        Self { among, scores, grower, known: HashMap::new(), known_segments: 0 }
    }

    /// The event around a segment; nothing, where an earlier one has it, or it is gone.
    fn around(&mut self, recording: i64, segment: i64) -> Result<Option<Event>> {
        if self.grower.has_taken(segment) {
            return Ok(None);
        }
        if self.among.options.single_segments {
            let Some(place) = self.among.library.segment(segment)? else { return Ok(None) };
            let Some(&score) = self.scores.get(&segment) else { return Ok(None) };
            let peak = ScoredSegment { id: segment, range: place.range, score };
            return Ok(Some(Event { range: peak.range, best: peak, segments: 1 }));
        }
        if !self.known.contains_key(&recording) {
            let all = self.among.library.segments_of(recording, self.among.model.id)?;
            if self.known_segments + all.len() > MOST_KNOWN {
                self.known.clear();
                self.known_segments = 0;
            }
            self.known_segments += all.len();
            self.known.insert(recording, all);
        }
        let Self { scores, grower, known, .. } = self;
        let all = known.get(&recording).map_or(&[][..], Vec::as_slice);
        let scored = |segment: &StoredSegment| {
            let score = scores.get(&segment.id).copied();
            score.map(|score| ScoredSegment { id: segment.id, range: segment.range, score })
        };
        // Ids ascend with time.
        let Ok(place) = all.binary_search_by_key(&segment, |other| other.id) else {
            return Ok(None);
        };
        let Some(peak) = scored(&all[place]) else { return Ok(None) };
        let (earlier, later) = (&all[..place], &all[place + 1..]);
        let event = grower.grow(peak, |direction| {
            let neighbours: Box<dyn Iterator<Item = &StoredSegment>> = match direction {
                Direction::Later => Box::new(later.iter()),
                Direction::Earlier => Box::new(earlier.iter().rev()),
            };
            neighbours.filter_map(scored).map(Ok)
        })?;
        Ok(Some(event))
    }
}

/// A word, and what has it.
struct Word {
    /// Recordings, with how much the word says of each.
    texts: HashMap<i64, f64>,
    /// Classes whose names have it.
    classes: Vec<i64>,
}

/// What has every word.
struct Candidate {
    key: ScoredKey,
    text: f64,
    class: f64,
}

impl Candidate {
    /// What `key` has of all `words`; nothing, if it lacks one.
    fn new(key: ScoredKey, words: &[Word], classes: &[(i64, f64)]) -> Option<Self> {
        let (mut text, mut class) = (0.0, 0.0);
        for word in words {
            let in_texts = word.texts.get(&key.0).copied();
            let heard = classes
                .iter()
                .filter(|(class, score)| *score >= LEAST_SCORE && word.classes.contains(class))
                .map(|(_, score)| *score)
                .max_by(f64::total_cmp);
            if in_texts.is_none() && heard.is_none() {
                return None;
            }
            text += in_texts.unwrap_or(0.0);
            class += heard.unwrap_or(0.0) / words.len() as f64;
        }
        Some(Self { key, text, class })
    }
}

/// Whether a class's name has the word, in the singular or the plural.
fn has_word(name: &str, wanted: &str) -> bool {
    let (beginning, any_ending) = match wanted.strip_suffix('*') {
        Some(beginning) => (beginning, true),
        None => (wanted, false),
    };
    let singular = |word: &str| word.strip_suffix('s').unwrap_or(word).to_owned();
    name.to_lowercase().split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).any(
        |word| {
            if any_ending {
                word.starts_with(beginning)
            } else {
                singular(word) == singular(wanted)
            }
        },
    )
}

/// Whether `scope` has a recording, or a segment of it.
fn contains(scope: &Scope, (recording, segment): ScoredKey) -> bool {
    // Row ids begin with 1: no segment has this one.
    scope.contains(VectorKey { segment: segment.unwrap_or(0), recording })
}

/// The rank, from 1, of everything whose score is above 0; equals have the same.
fn ranks<K: Hash + Eq + Copy>(scores: impl Iterator<Item = (K, f64)>) -> HashMap<K, usize> {
    let mut sorted: Vec<(K, f64)> = scores.filter(|(_, score)| *score > 0.0).collect();
    sorted.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut ranks = HashMap::new();
    let (mut last, mut rank) = (f64::INFINITY, 0);
    for (key, score) in sorted {
        if ranks.contains_key(&key) {
            continue;
        }
        if score < last {
            (last, rank) = (score, ranks.len() + 1);
        }
        ranks.insert(key, rank);
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_named_by_their_words() {
        assert!(has_word("Dog", "dogs"));
        assert!(has_word("Bird vocalization, bird call, bird song", "bird"));
        assert!(has_word("Rain on surface", "surf*"));
        assert!(!has_word("Rain on surface", "surf"));
        assert!(!has_word("Hot dog", "\"do"));
    }

    #[test]
    fn equals_share_a_rank() {
        let ranks = ranks([(1, 0.5), (2, 0.7), (3, 0.5), (4, 0.0), (5, 0.1)].into_iter());
        assert_eq!(ranks, HashMap::from([(2, 1), (1, 2), (3, 2), (5, 4)]));
    }
}

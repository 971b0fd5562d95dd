//! Vectors into candidates: each segment's nearest neighbours in other recordings, chained.
//!
//! In: a collection of segments. Out: for each pair of recordings where the same sound may be.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::panic::resume_unwind;

use super::candidates::{Candidate, Vote, chain};
use super::{Phase, Task};
use crate::audio::health::Health;
use crate::error::{Error, Result};
use crate::index::metric::{cosine, normalise};
use crate::index::scope::{Allowed, Scope};
use crate::search::collection::{Collection, Match};
use crate::store::Library;
use crate::store::models::StoredModel;
use crate::store::segments::{Level, VectorKey};

/// Neighbours that are asked for. Of 200 copies of ESC-10's recordings among 6,697 segments (MP3,
/// cut, pasted, −12 dB, resampled) all were among the first 8 of some segment, 198 the first.
const NEIGHBOURS: usize = 16;
/// Neighbours of a recording that is shorter than a model's window. Its vector is that of the
/// sound and of the silence behind it, which is further from the original's: of 40 clips of half a
/// second 28 were among the first 16, 37 among the first 64.
const NEIGHBOURS_OF_SHORT: usize = 96;
/// Less similar vectors are no candidates. The least cosine of a copy was 0.857.
const LEAST_COSINE: f32 = 0.75;
/// The same for short recordings, whose copies were above 0.53.
const LEAST_COSINE_OF_SHORT: f32 = 0.45;
/// Neighbours within the same recording, those that overlap the segment included.
const NEIGHBOURS_WITHIN: usize = 16;
/// Segments of a recording up to which they are all compared with one another: half an hour of
/// YAMNet's, 16 MB. Of longer ones the collection is asked, which looks at every row of the library
/// to see whose it is.
const MOST_OWN: usize = 4_096;
/// Share of the distance to the farthest neighbour that was asked for, within which a neighbour is
/// distinct: it can be told from the crowd.
const DISTINCT: f32 = 0.5;
/// Segments that are looked up between two looks at whether to stop.
const SEGMENTS_AT_ONCE: usize = 512;
/// Time between two votes of one candidate, in windows: what lies between may have been nearer to
/// another recording.
const GAP_WINDOWS: f64 = 4.0;

/// Pairs of recordings (the one with the lower number first), and where they may be the same.
pub(super) type Candidates = BTreeMap<(usize, usize), Vec<Candidate>>;

/// A segment's id and its vector.
type Query = (i64, Vec<f32>);

/// Where a segment is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// What its collection knows it by.
    pub segment: i64,
    /// The number of its recording among those that are compared.
    pub number: usize,
    /// Where it begins, in seconds.
    pub start_s: f64,
    /// Where it ends.
    pub end_s: f64,
}

/// How a segment's neighbours are looked up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asked {
    /// How many in other recordings.
    pub count: usize,
    /// How many within its own, those that overlap it included; 0, where they are not asked for.
    pub within: usize,
    /// The least cosine of a neighbour that counts.
    least: f32,
}

impl Asked {
    /// Of a recording of `duration_s`, by a model whose windows have `window_s`.
    pub fn new(duration_s: f64, window_s: f64, within: bool) -> Self {
        if duration_s < window_s {
            return Self { count: NEIGHBOURS_OF_SHORT, within: 0, least: LEAST_COSINE_OF_SHORT };
        }
        let within = if within { NEIGHBOURS_WITHIN } else { 0 };
        Self { count: NEIGHBOURS, within, least: LEAST_COSINE }
    }
}

/// Near segments, by pairs of recordings.
#[derive(Debug, Default)]
pub struct Proposals {
    votes: BTreeMap<(usize, usize), Vec<Vote>>,
}

impl Proposals {
    /// Adds what was found near the segment at `here`, with cosines: in other recordings, nearest first,
    /// as many as `asked` for or all that there are, and in its own.
    pub fn add(
        &mut self,
        here: &Place,
        asked: Asked,
        others: &[(Place, f32)],
        own: &[(Place, f32)],
    ) {
        // Where there are fewer, all are told from the crowd.
        let crowd = others.get(asked.count - 1).map_or(0.0, |farthest| farthest.1);
        let found = others.iter().chain(own).map(|(place, cosine)| (place, *cosine));
        for (pair, vote) in votes(here, found, (asked.least, crowd)) {
            self.votes.entry(pair).or_default().push(vote);
        }
    }

    /// What continues each other, in one.
    pub(super) fn candidates(self, model: &StoredModel) -> Candidates {
        let segmentation = model.segmentation;
        let hop_s = segmentation.map_or(model.hop_s, |longer| longer.hop_s);
        let gap_s = GAP_WINDOWS * segmentation.map_or(model.window_s, |longer| longer.segment_s);
        self.votes.into_iter().map(|(pair, votes)| (pair, chain(&votes, hop_s, gap_s))).collect()
    }
}

/// What the neighbours of the segment at `here` say, of which those below `least` say nothing, and the
/// farthest that was asked for is at `crowd`.
fn votes<'a>(
    here: &Place,
    found: impl Iterator<Item = (&'a Place, f32)>,
    (least, crowd): (f32, f32),
) -> Vec<((usize, usize), Vote)> {
    let vote = |(there, cosine): (&'a Place, f32)| {
        let order = (here.number, here.start_s).partial_cmp(&(there.number, there.start_s));
        let (first, second) = match order {
            Some(Ordering::Less) => (here, there),
            _ => (there, here),
        };
        // Segments that overlap are alike because they are the same.
        let overlap = first.number == second.number && second.start_s < first.end_s;
        let vote = Vote {
            first_s: first.start_s,
            second_s: second.start_s,
            cosine,
            is_distinct: 1.0 - cosine < DISTINCT * (1.0 - crowd),
        };
        (!overlap).then_some(((first.number, second.number), vote))
    };
    found.filter(|(_, cosine)| *cosine >= least).filter_map(vote).collect()
}

/// Looks up each segment's nearest neighbours.
pub(super) fn look(
    library: &Library,
    model: &StoredModel,
    collection: &Collection,
    task: &Task<'_>,
) -> Result<Candidates> {
    let search = LookUp {
        collection,
        places: places(library, model, task)?,
        allowed: allowed(task),
        model,
        task,
    };
    // A library is one thread's.
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let opened: Result<Vec<Library>> =
        (0..threads).map(|_| Library::open(library.path())).collect();
    let mut libraries = opened?;
    let mut proposals = Proposals::default();
    let (mut batch, mut done) = (Vec::new(), 0);
    let mut answer = |batch: &mut Vec<Query>| -> Result<()> {
        for (pair, vote) in search.answer(&mut libraries, batch)? {
            proposals.votes.entry(pair).or_default().push(vote);
        }
        done += batch.len();
        batch.clear();
        task.watcher.progressed(Phase::Looking, done, search.places.len());
        Ok(())
    };
    library.for_each_searched(
        model.id,
        Level::Segment,
        model.identity.dimension,
        |key, vector| {
            let has_direction = vector.iter().any(|&value| value != 0.0);
            if has_direction && !task.watcher.is_cancelled() && search.place(key.segment).is_some()
            {
                batch.push((key.segment, vector.to_vec()));
            }
            if batch.len() < SEGMENTS_AT_ONCE { Ok(()) } else { answer(&mut batch) }
        },
    )?;
    answer(&mut batch)?;
    Ok(proposals.candidates(model))
}

/// Where the segments that are looked up lie, by id.
fn places(library: &Library, model: &StoredModel, task: &Task<'_>) -> Result<Vec<Place>> {
    let mut places = Vec::new();
    library.for_each_place(model.id, |key, range| {
        let known = task
            .contents
            .binary_search_by_key(&key.recording, |content| content.recording.id)
            // A recording that came since the list was read is for another time, and one whose
            // file is the same as another's has been told.
            .ok()
            .filter(|number| !task.twins.contains_key(number));
        if let Some(number) = known {
            places.push(Place {
                segment: key.segment,
                number,
                start_s: range.start_s,
                end_s: range.end_s,
            });
        }
    })?;
    Ok(places)
}

/// What may be found: each file once. By what may not, which needs no counting: this is asked once
/// for every segment of the library.
fn allowed(task: &Task<'_>) -> Allowed {
    let mut twins: Vec<i64> =
        task.twins.keys().map(|&number| task.contents[number].recording.id).collect();
    twins.sort_unstable();
    if twins.is_empty() { Allowed::All } else { Allowed::AllBut(twins) }
}

/// A recording's own segments, kept from one to the next.
#[derive(Default)]
struct Own {
    recording: Option<i64>,
    /// Their keys and unit vectors; nothing, where they are too many.
    vectors: Option<Vec<(VectorKey, Vec<f32>)>>,
}

impl Own {
    /// Reads the segments of `recording` by `model` that searches compare.
    fn read(&mut self, library: &Library, model: &StoredModel, recording: i64) -> Result<()> {
        if self.recording == Some(recording) {
            return Ok(());
        }
        let dimension = model.identity.dimension;
        let mut vectors = Vec::new();
        if library.segment_count(recording, model.id)? <= MOST_OWN {
            library.for_each_segment_of(recording, model.id, dimension, |segment, vector| {
                let mut unit = vector.to_vec();
                // What is not fit to be searched, or has no direction, is like nothing.
                if segment.health == Health::SOUND && normalise(&mut unit, dimension).is_ok() {
                    vectors.push((VectorKey { segment: segment.id, recording }, unit));
                }
                Ok(())
            })?;
            self.vectors = Some(vectors);
        } else {
            self.vectors = None;
        }
        self.recording = Some(recording);
        Ok(())
    }

    /// The nearest of `vectors` to `vector`.
    fn nearest(vectors: &[(VectorKey, Vec<f32>)], vector: &[f32]) -> Vec<Match> {
        let mut unit = vector.to_vec();
        if normalise(&mut unit, vector.len()).is_err() {
            return Vec::new();
        }
        let mut found: Vec<Match> = vectors
            .iter()
            .map(|(key, other)| Match { key: *key, cosine: cosine(&unit, other) })
            .collect();
        found.sort_by(|a, b| b.cosine.total_cmp(&a.cosine).then(a.key.segment.cmp(&b.key.segment)));
        found.truncate(NEIGHBOURS_WITHIN);
        found
    }
}

/// Answers queries by several threads.
struct LookUp<'a> {
    collection: &'a Collection,
    places: Vec<Place>,
    allowed: Allowed,
    model: &'a StoredModel,
    task: &'a Task<'a>,
}

/// What one thread asks with.
struct Asking<'a> {
    library: &'a Library,
    scope: Scope,
    own: Own,
}

impl LookUp<'_> {
    fn place(&self, segment: i64) -> Option<&Place> {
        let index = self.places.binary_search_by_key(&segment, |place| place.segment).ok()?;
        Some(&self.places[index])
    }

    /// The votes of all queries of `batch`, in their order.
    fn answer(
        &self,
        libraries: &mut [Library],
        batch: &[Query],
    ) -> Result<Vec<((usize, usize), Vote)>> {
        let share = batch.len().div_ceil(libraries.len()).max(1);
        std::thread::scope(|scope| {
            let threads: Vec<_> = libraries
                .iter_mut()
                .zip(batch.chunks(share))
                .map(|(library, queries)| {
                    scope.spawn(move || {
                        let mut votes = Vec::new();
                        // One list of what is allowed for all queries: it may be long.
                        let allowed = self.allowed.clone();
                        let scope = Scope { allowed, except: Vec::new() };
                        let mut asking = Asking { library, scope, own: Own::default() };
                        for (segment, vector) in queries {
                            self.vote(&mut asking, (*segment, vector), &mut votes)?;
                        }
                        Ok::<_, Error>(votes)
                    })
                })
                .collect();
            let mut votes = Vec::new();
            for thread in threads {
                // A panic there is a panic here.
                votes.extend(thread.join().unwrap_or_else(|panic| resume_unwind(panic))?);
            }
            Ok(votes)
        })
    }

    /// Appends the votes of one segment.
    fn vote(
        &self,
        Asking { library, scope, own }: &mut Asking<'_>,
        (segment, vector): (i64, &[f32]),
        votes: &mut Vec<((usize, usize), Vote)>,
    ) -> Result<()> {
        let Some(here) = self.place(segment) else { return Ok(()) };
        let recording = &self.task.contents[here.number].recording;
        let asked = Asked::new(recording.duration_s, self.model.window_s, self.task.options.within);
        let Asked { count, within, least } = asked;
        scope.except = vec![recording.id];
        let mut found = self.collection.nearest(library, vector, count, scope)?;
        // Where there are fewer, all are told from the crowd.
        let crowd = found.get(count - 1).map_or(0.0, |farthest| farthest.cosine);
        if within > 0 {
            own.read(library, self.model, recording.id)?;
            if let Some(vectors) = &own.vectors {
                found.extend(Own::nearest(vectors, vector));
            } else {
                let allowed = Allowed::Recordings(vec![recording.id]);
                let scope = Scope { allowed, except: Vec::new() };
                found.extend(self.collection.nearest(library, vector, within, &scope)?);
            }
        }
        let placed =
            found.iter().filter_map(|found| Some((self.place(found.key.segment)?, found.cosine)));
        votes.extend(self::votes(here, placed, (least, crowd)));
        Ok(())
    }
}

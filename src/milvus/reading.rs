//! Rows out of a store: recordings by their ids, their segments in the order of time, and all of it, a
//! few recordings at a time.
//!
//! In: ids, filters. Out: examples for questions, and vectors for heads. Refuses ids that nothing has, and
//! silence as an example.

use std::fs::File;
use std::path::Path;

use super::Store;
use super::cells::{FACTS, FACTS_AND_VECTOR, PLACE_AND_VECTOR, Row};
use super::columns::{KEY, Partition, RECORDING, RECORDING_ID, SEGMENT};
use super::filtering::{all_of, one_of};
use super::rows::recording_key;
use crate::audio::excerpt::Stretch;
use crate::audio::health::Health;
use crate::audio::segment::TimeRange;
use crate::dataset::ids::recording_id;
use crate::error::{Error, Result};
use crate::filter::{Filter, Subject};
use crate::model::pool::Mean;
use crate::search::Example;
use crate::search::example::{Own, mean_classes, overlap_s};
use crate::store::recordings::{ClassScore, StoredRecording};
use crate::store::segments::Level;

/// Recordings that are looked at together.
const RECORDINGS_AT_ONCE: usize = 256;

/// A recording of a store with what is to be heard of it.
#[derive(Clone, Debug)]
pub struct ReadRecording {
    /// What is known of it, with the dataset's id.
    pub recording: StoredRecording,
    /// Its rows that were asked for, in the order of time.
    pub rows: Vec<ReadRow>,
}

/// A vector and where it belongs.
#[derive(Clone, Debug)]
pub struct ReadRow {
    /// The row's key.
    pub key: i64,
    /// The stretch; all of the recording, where there is none.
    pub range: Option<TimeRange>,
    /// Whether it is fit to be searched.
    pub health: Health,
    /// The vector as the network gave it, `[dimension]`.
    pub vector: Vec<f32>,
}

impl Store {
    /// An example from the recordings whose content has the dataset's id `id`, or from `stretch` of one, to
    /// search `level` with; no file is read. What it is made of is what it is in a library.
    ///
    /// # Errors
    /// [`Error::UnknownRecording`], [`Error::NoStretch`], [`Error::SilentQuery`],
    /// [`Error::UnfitStretch`], [`Error::Milvus`].
    pub fn example(&self, id: i64, stretch: Option<Stretch>, level: Level) -> Result<Example> {
        let query = || stretch.map_or_else(|| format!("id:{id}"), |part| format!("id:{id} {part}"));
        let row = self.recording_row(id)?.ok_or(Error::UnknownRecording { id })?;
        let Some(facts) = &row.facts else { return Err(Error::UnknownRecording { id }) };
        let duration_s = facts.recording.duration_s;
        let range = stretch
            .map(|stretch| {
                let what = format!("id:{id}");
                stretch.within(duration_s).ok_or(Error::NoStretch { what, stretch, duration_s })
            })
            .transpose()?;
        let whole = TimeRange { start_s: 0.0, end_s: duration_s };
        let mut heard = Heard::new(self.dimension(), range.unwrap_or(whole));
        if range.is_some() || level == Level::Segment {
            let of = (row.recording, facts.segments);
            self.for_each_segment(of, "", &FACTS_AND_VECTOR, |segment| {
                heard.add(self, &segment);
            })?;
        }
        if row.health.has(Health::SILENT) || (range.is_some() && heard.is_silent) {
            return Err(Error::SilentQuery { query: query() });
        }
        let own = vec![Own { recording: id, range }];
        if range.is_none() {
            // Where nothing is fit to be searched, the mean over all of it stands for it.
            let is_parts = level == Level::Segment && heard.weight > 0.0;
            let vector = if is_parts { heard.plain.mean() } else { row.vector() };
            // What is left out of the question is left out of what is heard in it.
            let of_sound = if is_parts { heard.sound_classes() } else { None };
            let classes = of_sound.unwrap_or_else(|| self.named(&facts.classes));
            return Ok(Example { vector, classes, own });
        }
        if heard.weight == 0.0 {
            return Err(Error::UnfitStretch { query: query() });
        }
        let (vector, classes) = heard.weighed();
        Ok(Example { vector, classes, own })
    }

    /// The dataset's id of the recording at `path`; nothing, where there is none.
    ///
    /// # Errors
    /// [`Error::Milvus`].
    pub fn id_at(&self, path: &Path) -> Result<Option<i64>> {
        let how = (1, self.address().consistency);
        let test = one_of(KEY, &[recording_key(path)]);
        let wanted = [KEY, RECORDING_ID];
        let found = self.client.query(&Partition::OF_RECORDINGS, &test, &wanted, how)?;
        Ok(self.told(found.longs(RECORDING_ID))?.first().copied())
    }

    /// What of the store the file at `path`, or `stretch` of it, is: by its content.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Milvus`].
    pub fn same_as_file(&self, path: &Path, stretch: Option<Stretch>) -> Result<Vec<Own>> {
        let failed = |source| Error::Io { action: "read", path: path.to_owned(), source };
        let mut hasher = blake3::Hasher::new();
        File::open(path).and_then(|file| hasher.update_reader(file).map(drop)).map_err(failed)?;
        self.same_as(hasher.finalize().as_bytes(), stretch)
    }

    /// What of the store the content with this hash, or `stretch` of it, is.
    ///
    /// # Errors
    /// [`Error::Milvus`].
    pub fn same_as(&self, content_hash: &[u8; 32], stretch: Option<Stretch>) -> Result<Vec<Own>> {
        let id = recording_id(content_hash);
        let Some(row) = self.recording_row(id)? else { return Ok(Vec::new()) };
        let range = stretch.map(|stretch| stretch.within(row.range.end_s));
        // A file that changed since may have a stretch that the recording does not have.
        if range == Some(None) {
            return Ok(Vec::new());
        }
        Ok(vec![Own { recording: id, range: range.flatten() }])
    }

    /// The row of a recording whose content has this id: the one of the lowest key, where several files
    /// have one content.
    fn recording_row(&self, id: i64) -> Result<Option<Row>> {
        let how = (1, self.address().consistency);
        let test = one_of(RECORDING_ID, &[id]);
        let found = self.client.query(&Partition::OF_RECORDINGS, &test, &FACTS_AND_VECTOR, how)?;
        Ok(self.rows(&found)?.pop())
    }

    /// Classes by their names.
    pub(super) fn named(&self, classes: &[(usize, f64)]) -> Vec<ClassScore> {
        let name = |&(class, score): &(usize, f64)| {
            Some(ClassScore { name: self.header().classes.get(class)?.clone(), score })
        };
        classes.iter().filter_map(name).collect()
    }

    /// The segments with the numbers `from..to` of the recording with this key that meet `expression`, in
    /// the order of time, with the columns `wanted`; of `partitions`.
    pub(super) fn segments_between(
        &self,
        partitions: &[Partition],
        recording: i64,
        (from, to): (u32, u32),
        (expression, wanted): (&str, &[&'static str]),
    ) -> Result<Vec<Row>> {
        let place = one_of(RECORDING, &[recording]);
        let between = format!("{SEGMENT} >= {from} and {SEGMENT} < {to}");
        let test = all_of(&[&place, &between, expression]);
        let count = to.saturating_sub(from) as usize;
        let how = (count, Self::FOLLOWING);
        let found = self.client.query(partitions, &test, wanted, how)?;
        let mut rows = self.rows(&found)?;
        rows.sort_by_key(|row| row.segment);
        Ok(rows)
    }

    /// Calls `visit` with every segment of the recording with this key and so many segments that meets
    /// `expression`, in the order of time, fit to be searched or not.
    pub(super) fn for_each_segment(
        &self,
        (recording, segments): (i64, u32),
        expression: &str,
        wanted: &[&'static str],
        mut visit: impl FnMut(Row),
    ) -> Result<()> {
        let step = u32::try_from(self.rows_an_answer()).unwrap_or(1);
        let mut from = 0;
        while from < segments {
            let to = from.saturating_add(step).min(segments);
            let partitions = &Partition::OF_SEGMENTS;
            self.segments_between(partitions, recording, (from, to), (expression, wanted))?
                .into_iter()
                .for_each(&mut visit);
            from = to;
        }
        Ok(())
    }

    /// All recordings, a few at a time, with their rows of `level` that pass `filter`.
    ///
    /// # Errors
    /// [`Error::Filter`] when it cannot be asked of a server; [`Error::Milvus`].
    pub fn read(&self, filter: Option<&Filter>, level: Level) -> Result<Reading<'_>> {
        let expression = self.expression(filter)?;
        let is_of_parts = level == Level::Segment
            && filter.is_some_and(|filter| {
                filter.expression().mentions(&|subject| matches!(subject, Subject::Class(_)))
            });
        Ok(Reading {
            store: self,
            level,
            // A segment may pass where its recording does not.
            of_recordings: if is_of_parts { String::new() } else { expression.clone() },
            of_segments: expression,
            after: None,
        })
    }
}

/// Reads a store from its beginning.
#[derive(Debug)]
pub struct Reading<'a> {
    store: &'a Store,
    level: Level,
    of_recordings: String,
    of_segments: String,
    /// The last key that was read.
    after: Option<i64>,
}

impl Reading<'_> {
    /// The next recordings; nothing, when there are no more.
    ///
    /// # Errors
    /// [`Error::Milvus`].
    pub fn next_some(&mut self) -> Result<Vec<ReadRecording>> {
        let store = self.store;
        loop {
            let is_whole = self.level == Level::Recording;
            let most = store.rows_an_answer().min(RECORDINGS_AT_ONCE);
            let after = self.after.map(|key| format!("{KEY} > {key}")).unwrap_or_default();
            let test = all_of(&[&after, &self.of_recordings]);
            let wanted: &[&str] = if is_whole { &FACTS_AND_VECTOR } else { &FACTS };
            let is_first = self.after.is_none();
            let fresh = if is_first { store.address().consistency } else { Store::FOLLOWING };
            let how = (most, fresh);
            let found = store.client.query(&Partition::OF_RECORDINGS, &test, wanted, how)?;
            let mut rows = store.rows(&found)?;
            rows.sort_by_key(|row| row.key);
            let Some(last) = rows.last() else { return Ok(Vec::new()) };
            self.after = Some(last.key);
            let recordings = if is_whole {
                rows.into_iter().filter_map(whole).collect()
            } else {
                self.with_segments(rows)?
            };
            // Of all that was read, nothing may have passed the filter.
            if !recordings.is_empty() {
                return Ok(recordings);
            }
        }
    }

    /// Recordings with their segments, of as many at once as an answer holds.
    fn with_segments(&self, recordings: Vec<Row>) -> Result<Vec<ReadRecording>> {
        let most = self.store.rows_an_answer();
        let (mut read, mut together, mut rows) = (Vec::new(), Vec::new(), 0);
        for row in recordings {
            let segments = row.facts.as_ref().map_or(0, |facts| facts.segments as usize);
            if rows + segments > most {
                self.read_together(&std::mem::take(&mut together), &mut read)?;
                rows = 0;
            }
            if segments > most {
                self.read_alone(&row, &mut read)?;
            } else {
                rows += segments;
                together.push(row);
            }
        }
        self.read_together(&together, &mut read)?;
        Ok(read)
    }

    /// One recording, in portions.
    fn read_alone(&self, row: &Row, read: &mut Vec<ReadRecording>) -> Result<()> {
        let Some(facts) = &row.facts else { return Ok(()) };
        let (mut rows, of) = (Vec::new(), (row.recording, facts.segments));
        let wanted = &PLACE_AND_VECTOR;
        self.store
            .for_each_segment(of, &self.of_segments, wanted, |row| rows.push(segment(&row)))?;
        if !rows.is_empty() {
            read.push(ReadRecording { recording: facts.recording.clone(), rows });
        }
        Ok(())
    }

    /// Several, in one answer.
    fn read_together(&self, recordings: &[Row], read: &mut Vec<ReadRecording>) -> Result<()> {
        if recordings.is_empty() {
            return Ok(());
        }
        let store = self.store;
        let keys: Vec<i64> = recordings.iter().map(|row| row.recording).collect();
        let test = all_of(&[&one_of(RECORDING, &keys), &self.of_segments]);
        let how = (store.rows_an_answer(), Store::FOLLOWING);
        let partitions = &Partition::OF_SEGMENTS;
        let found = store.client.query(partitions, &test, &PLACE_AND_VECTOR, how)?;
        let mut rows = store.rows(&found)?;
        rows.sort_by_key(|row| (row.recording, row.segment));
        for recording in recordings {
            let from = rows.partition_point(|row| row.recording < recording.recording);
            let its = rows[from..].iter().take_while(|row| row.recording == recording.recording);
            let its: Vec<ReadRow> = its.map(segment).collect();
            if let Some(facts) = recording.facts.as_ref().filter(|_| !its.is_empty()) {
                read.push(ReadRecording { recording: facts.recording.clone(), rows: its });
            }
        }
        Ok(())
    }
}

fn segment(row: &Row) -> ReadRow {
    ReadRow { key: row.key, range: Some(row.range), health: row.health, vector: row.vector() }
}

fn whole(row: Row) -> Option<ReadRecording> {
    let vector = row.vector();
    let read = ReadRow { key: row.key, range: None, health: row.health, vector };
    Some(ReadRecording { recording: row.facts?.recording, rows: vec![read] })
}

/// What is heard in a stretch.
struct Heard {
    range: TimeRange,
    /// Sums of vectors by the seconds that they share with the stretch.
    sums: Vec<f64>,
    weight: f64,
    /// The mean of whole segments.
    plain: Mean,
    classes: Vec<(f64, Vec<ClassScore>)>,
    /// Whether all segments so far are silent.
    is_silent: bool,
    /// Whether some segments so far are not fit to be searched.
    has_unfit: bool,
}

impl Heard {
    fn new(dimension: usize, range: TimeRange) -> Self {
        Self {
            range,
            sums: vec![0.0; dimension],
            weight: 0.0,
            plain: Mean::new(dimension),
            classes: Vec::new(),
            is_silent: true,
            has_unfit: false,
        }
    }

    fn add(&mut self, store: &Store, segment: &Row) {
        let weight = overlap_s(self.range, segment.range);
        if weight <= 0.0 {
            return;
        }
        self.is_silent &= segment.health.has(Health::SILENT);
        if segment.health != Health::SOUND {
            self.has_unfit = true;
            return;
        }
        let vector = segment.vector();
        for (sum, &value) in self.sums.iter_mut().zip(&vector) {
            *sum += weight * f64::from(value);
        }
        self.plain.add(&vector);
        self.weight += weight;
        let classes = segment.facts.as_ref().map(|facts| store.named(&facts.classes));
        self.classes.push((weight, classes.unwrap_or_default()));
    }

    /// The mean of the class scores of whole segments, as
    /// [`Library::sound_classes`](crate::store::Library::sound_classes) has it.
    fn sound_classes(&self) -> Option<Vec<ClassScore>> {
        if !self.has_unfit || self.classes.iter().any(|(_, classes)| classes.is_empty()) {
            return None;
        }
        let each = self.classes.iter().map(|(_, classes)| (1.0, classes.clone()));
        let mut classes = mean_classes(each);
        for class in &mut classes {
            class.score /= self.classes.len() as f64;
        }
        Some(classes)
    }

    #[expect(clippy::cast_possible_truncation, reason = "summed in f64, kept in f32")]
    fn weighed(self) -> (Vec<f32>, Vec<ClassScore>) {
        let weight = self.weight;
        let vector = self.sums.iter().map(|sum| (sum / weight) as f32).collect();
        let shares = self.classes.into_iter().map(|(share, classes)| (share / weight, classes));
        (vector, mean_classes(shares))
    }
}

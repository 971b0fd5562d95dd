//! Duplicates among the recordings of a store: the server proposes, listening decides.
//!
//! In: a store. Out: groups, as [`find_duplicates`](crate::search::duplicates::find_duplicates) makes them.
//! Recordings whose files are not there are compared by their vectors and marked.

use std::collections::HashMap;

use super::Store;
use super::cells::{FACTS, PLACE, PLACE_AND_VECTOR, Row};
use super::columns::{KEY, Partition, RECORDING};
use super::filtering::{all_of, one_of};
use crate::error::Result;
use crate::search::duplicates::{
    Asked, DuplicateOptions, Duplicates, Phase, Place, Proposals, Watcher, find_duplicates_by,
};
use crate::store::contents::Content;

/// Recordings that are read at once.
const RECORDINGS_AT_ONCE: usize = 1_024;
/// Questions of one search.
const QUESTIONS_AT_ONCE: usize = 64;
/// Keys whose places are asked for at once.
const PLACES_AT_ONCE: usize = 2_048;

/// A recording that is compared.
struct Known {
    key: i64,
    segments: u32,
    content: Content,
}

impl Store {
    /// The duplicates among its recordings. What is known of all of them is held in memory, some hundred
    /// bytes each.
    ///
    /// # Errors
    /// [`Error::Milvus`](crate::Error::Milvus), and [`Error::Io`](crate::Error::Io) when fingerprints
    /// cannot be kept on the disk.
    pub fn duplicates(
        &self,
        options: &DuplicateOptions,
        watcher: &dyn Watcher,
    ) -> Result<Duplicates> {
        let known = self.known()?;
        let contents: Vec<Content> = known.iter().map(|known| known.content.clone()).collect();
        let model = self.model();
        let all = usize::try_from(self.counts()?.searched).unwrap_or(usize::MAX);
        find_duplicates_by(&contents, &model, options, watcher, |is_wanted, proposals| {
            let numbers = known.iter().enumerate().map(|(number, known)| (known.key, number));
            let numbers: HashMap<i64, usize> =
                numbers.filter(|(_, number)| is_wanted(*number)).collect();
            let mut done = 0;
            for (number, known) in known.iter().enumerate() {
                if watcher.is_cancelled() {
                    break;
                }
                if is_wanted(number) {
                    let duration_s = known.content.recording.duration_s;
                    let asked = Asked::new(duration_s, model.window_s, options.within);
                    done += self.propose(known, &numbers, asked, proposals)?;
                    watcher.progressed(Phase::Looking, done, all);
                }
            }
            Ok(())
        })
    }

    /// All recordings, by their keys.
    fn known(&self) -> Result<Vec<Known>> {
        let mut all: Vec<Known> = Vec::new();
        loop {
            let after = all.last().map(|last| format!("{KEY} > {}", last.key));
            let fresh = if after.is_none() { self.address().consistency } else { Self::FOLLOWING };
            let how = (RECORDINGS_AT_ONCE, fresh);
            let test = after.unwrap_or_default();
            let found = self.client.query(&Partition::OF_RECORDINGS, &test, &FACTS, how)?;
            let mut rows = self.rows(&found)?;
            if rows.is_empty() {
                return Ok(all);
            }
            rows.sort_by_key(|row| row.key);
            all.extend(rows.into_iter().filter_map(|row| {
                let facts = row.facts?;
                // Two files of one content have one id.
                let mut hash = [0; 32];
                hash[..8].copy_from_slice(&facts.recording.id.to_le_bytes());
                let modified_ns = facts.modified_ns;
                let content = Content { recording: facts.recording, hash, modified_ns };
                Some(Known { key: row.key, segments: facts.segments, content })
            }));
        }
    }

    /// Looks up what is near to the segments of a recording; how many they are.
    fn propose(
        &self,
        known: &Known,
        numbers: &HashMap<i64, usize>,
        asked: Asked,
        proposals: &mut Proposals,
    ) -> Result<usize> {
        let step = self.rows_an_answer().min(QUESTIONS_AT_ONCE);
        let step = u32::try_from(step).unwrap_or(1);
        let (mut from, mut count) = (0, 0);
        while from < known.segments {
            let to = from.saturating_add(step).min(known.segments);
            let partitions = &[Partition::Segments];
            let wanted = ("", &PLACE_AND_VECTOR[..]);
            let rows = self.segments_between(partitions, known.key, (from, to), wanted)?;
            from = to;
            if rows.is_empty() {
                continue;
            }
            count += rows.len();
            let own = one_of(RECORDING, &[known.key]);
            let others = self.near(&rows, &format!("not ({own})"), asked.count, numbers)?;
            let own = if asked.within > 0 {
                self.near(&rows, &own, asked.within, numbers)?
            } else {
                vec![Vec::new(); rows.len()]
            };
            for ((row, others), own) in rows.iter().zip(&others).zip(&own) {
                if let Some(here) = place(row, numbers) {
                    proposals.add(&here, asked, others, own);
                }
            }
        }
        Ok(count)
    }

    /// What is near to each of `rows` and meets `expression`, of the recordings with numbers.
    fn near(
        &self,
        rows: &[Row],
        expression: &str,
        count: usize,
        numbers: &HashMap<i64, usize>,
    ) -> Result<Vec<Vec<(Place, f32)>>> {
        let vectors: Vec<&[f32]> = rows.iter().map(|row| row.unit.as_slice()).collect();
        let index = self.description.index;
        let test = all_of(&[expression]);
        let found = self.client.search(Partition::Segments, &vectors, &test, count, index)?;
        let mut keys: Vec<i64> = found.iter().flatten().map(|(key, _)| *key).collect();
        keys.sort_unstable();
        keys.dedup();
        let mut places = HashMap::with_capacity(keys.len());
        for keys in keys.chunks(PLACES_AT_ONCE) {
            let how = (keys.len(), Self::FOLLOWING);
            let test = one_of(KEY, keys);
            let found = self.client.query(&[Partition::Segments], &test, &PLACE, how)?;
            for row in self.rows(&found)? {
                places.extend(place(&row, numbers).map(|place| (row.key, place)));
            }
        }
        let placed = |found: Vec<(i64, f32)>| {
            let placed = |(key, cosine): (i64, f32)| Some((*places.get(&key)?, cosine));
            found.into_iter().filter_map(placed).collect()
        };
        Ok(found.into_iter().map(placed).collect())
    }
}

/// Where a row is; nothing, where its recording is not compared.
fn place(row: &Row, numbers: &HashMap<i64, usize>) -> Option<Place> {
    let number = *numbers.get(&row.recording)?;
    let (start_s, end_s) = (row.range.start_s, row.range.end_s);
    Some(Place { segment: row.key, number, start_s, end_s })
}

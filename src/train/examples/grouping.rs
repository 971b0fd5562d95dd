//! Recordings that must not be parted: those of one group, and copies of each other.
//!
//! In: recordings with the hashes of their contents, one after another. Out: the group of each. A
//! copy of a file in another folder would otherwise be learnt from and held out at the same time.

use std::collections::{BTreeMap, HashMap};

use crate::error::{Result, TrainingProblem};
use crate::near;
use crate::store::Library;

/// Joins recordings into groups.
#[derive(Debug)]
pub(super) struct Grouping {
    /// The value of the metadata that recordings are grouped by, as text.
    column: Option<BTreeMap<i64, String>>,
    /// A number for each recording, in the order in which they came, and what it is joined to.
    numbers: BTreeMap<i64, usize>,
    joined: Vec<usize>,
    by_value: HashMap<String, usize>,
    by_content: HashMap<[u8; 32], usize>,
    without: u64,
}

impl Grouping {
    /// Groups by the metadata `key`, or by recording.
    pub(super) fn by(library: &Library, key: Option<&str>) -> Result<Self> {
        let column = key
            .map(|key| {
                let column = library.metadata_column(key)?;
                if column.is_empty() {
                    let keys = library.metadata_keys()?;
                    let nearest = near::nearest(key, keys.iter().map(|key| key.key.as_str()));
                    let problem = TrainingProblem::NoSuchGroup { key: key.to_owned(), nearest };
                    return Err(crate::Error::from(problem));
                }
                Ok(column.into_iter().map(|(id, value)| (id, value.to_string())).collect())
            })
            .transpose()?;
        Ok(Self::of_column(column))
    }

    fn of_column(column: Option<BTreeMap<i64, String>>) -> Self {
        Self {
            column,
            numbers: BTreeMap::new(),
            joined: Vec::new(),
            by_value: HashMap::new(),
            by_content: HashMap::new(),
            without: 0,
        }
    }

    /// Adds a recording, unless it is there.
    pub(super) fn add(&mut self, recording: i64, content: [u8; 32]) {
        if self.numbers.contains_key(&recording) {
            return;
        }
        let number = self.joined.len();
        self.numbers.insert(recording, number);
        self.joined.push(number);
        let same_content = *self.by_content.entry(content).or_insert(number);
        self.join(number, same_content);
        if let Some(column) = &self.column {
            match column.get(&recording) {
                None => self.without += 1,
                Some(value) => {
                    let same = *self.by_value.entry(value.clone()).or_insert(number);
                    self.join(number, same);
                }
            }
        }
    }

    fn root(&self, mut number: usize) -> usize {
        while self.joined[number] != number {
            number = self.joined[number];
        }
        number
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        let (first, second) = (a.min(b), a.max(b));
        self.joined[second] = first;
    }

    /// The group of each recording, how many there are, and how many recordings had no value.
    pub(super) fn finish(self) -> (BTreeMap<i64, u32>, usize, u64) {
        let mut of_root: BTreeMap<usize, u32> = BTreeMap::new();
        let mut of_recording = BTreeMap::new();
        for (&recording, &number) in &self.numbers {
            let next = u32::try_from(of_root.len()).unwrap_or(u32::MAX);
            let group = *of_root.entry(self.root(number)).or_insert(next);
            of_recording.insert(recording, group);
        }
        (of_recording, of_root.len(), self.without)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_and_equal_values_are_one_group() {
        let column = [(1, "a"), (2, "b"), (3, "a"), (5, "c")];
        let column = column.map(|(id, value)| (id, value.to_owned()));
        let mut grouping = Grouping::of_column(Some(column.into_iter().collect()));
        for (recording, content) in [(1, 1), (2, 2), (3, 3), (4, 2), (5, 5), (6, 6)] {
            grouping.add(recording, [content; 32]);
            grouping.add(recording, [content; 32]);
        }
        let (groups, count, without) = grouping.finish();
        assert_eq!((count, without), (4, 2));
        assert_eq!(groups[&1], groups[&3]);
        assert_eq!(groups[&2], groups[&4]);
        assert_ne!(groups[&1], groups[&2]);
        assert_ne!(groups[&5], groups[&6]);
    }
}

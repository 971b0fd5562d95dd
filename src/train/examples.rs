//! Labels and stored vectors into rows to learn from.
//!
//! In: a library, and which labels count. Out: [`Examples`]: vectors, what is known of them, and
//! which of them belong together. Refuses nothing but what leaves nothing to learn; rows that say
//! nothing, or two things at once, are left out and counted.

mod grouping;
mod judging;
mod survey;

use std::collections::{BTreeMap, BTreeSet};

use super::held_out::RowPlace;
use super::rows::{Rows, RowsBuilder};
use super::sequences::{Sequences, Unread};
use super::task::{Known, Targets, Task};
use crate::audio::health::Health;
use crate::error::{Result, TrainingProblem};
use crate::near;
use crate::store::Library;
use crate::store::filtering::Passing;
use crate::store::labelled::Labelled;
use crate::store::models::StoredModel;
use crate::store::segments::Level;
use grouping::Grouping;
use judging::{Cell, Judge};
use survey::Survey;

pub(super) use judging::classes_there;

/// Which labels are learnt from, and as what.
#[derive(Clone, Debug)]
pub struct Selection<'a> {
    /// The model whose vectors are learnt from.
    pub model: &'a StoredModel,
    /// Whether a row is a recording or a segment.
    pub level: Level,
    /// What the head is to say; guessed from the labels, where nothing is wanted.
    pub task: Option<Task>,
    /// The classes; all that there are labels of, where none is named.
    pub classes: &'a [String],
    /// Whether classes of which there is no label stay: a head knows them anyway.
    pub keep_classes: bool,
    /// Of a number: the metadata that holds it.
    pub target: Option<&'a str>,
    /// Whether classes are absent where a recording has labels, but none of them.
    pub exhaustive: bool,
    /// The metadata whose equal values keep recordings together.
    pub group_by: Option<&'a str>,
    /// What a filter lets pass; everything without one.
    pub passing: Option<&'a Passing>,
}

impl Selection<'_> {
    /// Whether the filter lets a recording, or a segment of it, pass.
    fn passes(&self, recording: i64, segment: Option<i64>) -> bool {
        match (self.passing, segment) {
            (None, _) => true,
            (Some(Passing::Recordings(ids)), _) => ids.binary_search(&recording).is_ok(),
            (Some(Passing::Segments(ids)), Some(segment)) => ids.binary_search(&segment).is_ok(),
            (Some(Passing::Segments(_)), None) => false,
        }
    }
}

/// Rows to learn from.
#[derive(Debug)]
pub struct Examples {
    /// The classes, by alphabet; of a number, its name alone.
    pub classes: Vec<String>,
    /// The vectors, `[rows, dimension]`.
    pub rows: Rows,
    /// What is known of them.
    pub targets: Targets,
    /// The group of each row, counted from 0.
    pub groups: Vec<u32>,
    /// How many groups there are.
    pub group_count: usize,
    /// What each row is.
    pub places: Vec<RowPlace>,
    /// BLAKE3 of the content of every recording that a row is of.
    pub contents: BTreeMap<i64, [u8; 32]>,
    /// What was left out.
    pub left_out: LeftOut,
    /// Classes of labels that were left out, because nothing was left to learn of them.
    pub dropped: Vec<Dropped>,
}

/// A class that nobody asked for by its name, and of which no row can be learnt from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Its name.
    pub class: String,
    /// How many recordings labels say that it is in.
    pub recordings: u64,
}

/// Rows that are not learnt from, by why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// They have several classes, where one was wanted.
    pub several: u64,
    /// Somebody was unsure.
    pub unsure: u64,
    /// Segments that are silent, clipped or damaged, and vectors of zeros.
    pub unfit: u64,
    /// Labels that cover half of no segment.
    pub too_short: u64,
    /// Recordings without the metadata that they are grouped by; each is a group of its own.
    pub without_group: u64,
    /// Recordings whose files could not be read again.
    pub unread: Unread,
}

impl Examples {
    /// Collects what `selection` selects of `library`.
    ///
    /// # Errors
    /// [`Error::Training`](crate::Error::Training) when there is nothing to learn from, [`Error::Store`](crate::Error::Store),
    /// [`Error::Vector`](crate::Error::Vector) when stored bytes are damaged.
    pub fn collect(library: &Library, selection: &Selection<'_>) -> Result<Self> {
        if selection.task == Some(Task::Regression) {
            return Self::numbers(library, selection);
        }
        let survey = Survey::of(library, selection)?;
        let mut classes = survey.wanted(selection.classes, selection.keep_classes)?;
        let is_asked = selection.keep_classes || !selection.classes.is_empty();
        let mut dropped = Vec::new();
        loop {
            // Of fewer classes something else may be to be said.
            let task =
                selection.task.unwrap_or_else(|| survey.task(&classes, selection.exhaustive));
            let mut examples = Self::of_classes(library, selection, classes, task)?;
            let groups = examples.groups_by_class();
            let without = |class: usize| groups[class] == 0;
            if is_asked || !(0..groups.len()).any(without) {
                examples.dropped = dropped;
                return Ok(examples);
            }
            // One label too many would also cost its recording's true class an example.
            classes = Vec::new();
            for (number, class) in examples.classes.into_iter().enumerate() {
                if without(number) {
                    let recordings = survey.recordings_with(&class);
                    dropped.push(Dropped { class, recordings });
                } else {
                    classes.push(class);
                }
            }
        }
    }

    /// The rows of these classes.
    fn of_classes(
        library: &Library,
        selection: &Selection<'_>,
        classes: Vec<String>,
        task: Task,
    ) -> Result<Self> {
        let mut collector = Collector::new(library, selection, classes.len())?;
        let judge = Judge::new(&classes, selection.exhaustive && task == Task::Multi);
        library.for_each_labelled(selection.model.id, |labelled| {
            collector.add(&labelled, task, &judge)
        })?;
        collector.finish(classes, task)
    }

    /// Rows whose target is a number: a piece of metadata.
    fn numbers(library: &Library, selection: &Selection<'_>) -> Result<Self> {
        let target = selection.target.ok_or(TrainingProblem::NoTarget)?;
        let values = library.metadata_column(target)?;
        if values.is_empty() {
            let keys = library.metadata_keys()?;
            let known = keys.iter().map(|key| key.key.as_str());
            let nearest = near::nearest(target, known);
            return Err(TrainingProblem::NoSuchTarget { target: target.to_owned(), nearest }.into());
        }
        if values.values().all(|value| value.number().is_none()) {
            let example = values.values().next().map(ToString::to_string).unwrap_or_default();
            return Err(TrainingProblem::NoNumbers { target: target.to_owned(), example }.into());
        }
        let mut collector = Collector::new(library, selection, 1)?;
        let hashes = library.content_hashes(selection.model.id)?;
        for (recording, value) in values {
            let Some(&hash) = hashes.get(&recording) else { continue };
            let Some(number) = value.number() else { continue };
            collector.add_number(recording, hash, number)?;
        }
        collector.finish(vec![target.to_owned()], Task::Regression)
    }

    /// Leaves out the rows whose sequences are empty, of both; says why there were any.
    ///
    /// # Errors
    /// [`Error::Training`](crate::Error::Training) when nothing is left, [`Error::Io`](crate::Error::Io) when the temporary file cannot be
    /// used.
    pub fn keep_read(&mut self, sequences: &mut Sequences, unread: Unread) -> Result<()> {
        self.left_out.unread = unread;
        let keep: Vec<bool> = sequences.spans().iter().map(|span| !span.is_empty()).collect();
        if keep.iter().all(|keep| *keep) {
            return Ok(());
        }
        let kept: Vec<usize> = (0..keep.len()).filter(|&row| keep[row]).collect();
        if kept.is_empty() {
            return Err(TrainingProblem::NothingLeft.into());
        }
        let mut rows = RowsBuilder::new(self.rows.dimension());
        for &row in &kept {
            rows.push(&self.rows.gather(&[row])?)?;
        }
        self.rows = rows.finish()?;
        let classes = self.classes.len();
        self.targets = match &self.targets {
            Targets::Single(all) => Targets::Single(kept.iter().map(|&row| all[row]).collect()),
            Targets::Multi(all) => Targets::Multi(
                kept.iter()
                    .flat_map(|row| all[row * classes..][..classes].iter().copied())
                    .collect(),
            ),
            Targets::Numbers(all) => Targets::Numbers(kept.iter().map(|&row| all[row]).collect()),
        };
        self.places = kept.iter().map(|&row| self.places[row]).collect();
        // Groups are numbered without gaps.
        let mut numbers = BTreeMap::new();
        self.groups = kept
            .iter()
            .map(|&row| {
                let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
                *numbers.entry(self.groups[row]).or_insert(next)
            })
            .collect();
        self.group_count = numbers.len();
        let places = &self.places;
        let there: BTreeSet<i64> = places.iter().map(|place| place.recording).collect();
        self.contents.retain(|recording, _| there.contains(recording));
        sequences.retain(&keep);
        Ok(())
    }

    /// What the head is to say.
    pub fn task(&self) -> Task {
        self.targets.task()
    }

    /// How many recordings there are.
    pub fn recordings(&self) -> usize {
        self.contents.len()
    }

    /// How many groups have each class, `[classes]`; of a number, how many there are.
    pub fn groups_by_class(&self) -> Vec<usize> {
        let mut found = vec![BTreeSet::new(); self.classes.len()];
        for (row, &group) in self.groups.iter().enumerate() {
            match &self.targets {
                Targets::Single(classes) => {
                    found[classes[row] as usize].insert(group);
                }
                Targets::Multi(cells) => {
                    let cells = &cells[row * self.classes.len()..][..self.classes.len()];
                    for (class, known) in cells.iter().enumerate() {
                        if *known == Known::Yes {
                            found[class].insert(group);
                        }
                    }
                }
                Targets::Numbers(_) => {
                    found[0].insert(group);
                }
            }
        }
        found.iter().map(BTreeSet::len).collect()
    }
}

/// Rows, one recording after another.
struct Collector<'a> {
    library: &'a Library,
    selection: &'a Selection<'a>,
    class_count: usize,
    rows: RowsBuilder,
    single: Vec<u32>,
    multi: Vec<Known>,
    numbers: Vec<f32>,
    places: Vec<RowPlace>,
    contents: BTreeMap<i64, [u8; 32]>,
    grouping: Grouping,
    left_out: LeftOut,
}

impl<'a> Collector<'a> {
    fn new(library: &'a Library, selection: &'a Selection<'a>, classes: usize) -> Result<Self> {
        Ok(Self {
            library,
            selection,
            class_count: classes,
            rows: RowsBuilder::new(selection.model.identity.dimension),
            single: Vec::new(),
            multi: Vec::new(),
            numbers: Vec::new(),
            places: Vec::new(),
            contents: BTreeMap::new(),
            grouping: Grouping::by(library, selection.group_by)?,
            left_out: LeftOut::default(),
        })
    }

    fn add(&mut self, labelled: &Labelled, task: Task, judge: &Judge) -> Result<()> {
        let recording = labelled.recording;
        if self.selection.level == Level::Recording {
            if !self.passes(recording, None) {
                return Ok(());
            }
            let cells = judge.recording(&labelled.labels);
            if self.settles(&cells, task).is_some() {
                self.add_recording(recording, labelled.content_hash, &cells, task, None)?;
            }
            return Ok(());
        }
        let (library, model) = (self.library, self.selection.model);
        let mut covered = vec![false; labelled.labels.len()];
        library.for_each_segment_of(
            recording,
            model.id,
            model.identity.dimension,
            |row, vector| {
                let cells = judge.segment(&labelled.labels, row.range, &mut covered);
                if !self.passes(recording, Some(row.id)) || self.settles(&cells, task).is_none() {
                    return Ok(());
                }
                if row.health != Health::SOUND || is_zero(vector) {
                    self.left_out.unfit += 1;
                    return Ok(());
                }
                let place = RowPlace { recording, range: Some(row.range) };
                self.push(vector, place, labelled.content_hash, &cells, task)
            },
        )?;
        self.left_out.too_short += covered.iter().filter(|covered| !**covered).count() as u64;
        Ok(())
    }

    fn add_number(&mut self, recording: i64, hash: [u8; 32], number: f32) -> Result<()> {
        if self.selection.level == Level::Recording {
            if self.passes(recording, None) {
                self.add_recording(recording, hash, &[], Task::Regression, Some(number))?;
            }
            return Ok(());
        }
        let (library, model) = (self.library, self.selection.model);
        library.for_each_segment_of(recording, model.id, model.identity.dimension, |row, vector| {
            if !self.passes(recording, Some(row.id)) {
                return Ok(());
            }
            if row.health != Health::SOUND || is_zero(vector) {
                self.left_out.unfit += 1;
                return Ok(());
            }
            self.numbers.push(number);
            let place = RowPlace { recording, range: Some(row.range) };
            self.push(vector, place, hash, &[], Task::Regression)
        })
    }

    fn add_recording(
        &mut self,
        recording: i64,
        hash: [u8; 32],
        cells: &[Cell],
        task: Task,
        number: Option<f32>,
    ) -> Result<()> {
        let model = self.selection.model;
        let vector = self.library.pooled_vector(recording, model.id, model.identity.dimension)?;
        let Some(vector) = vector.filter(|vector| !is_zero(vector)) else {
            self.left_out.unfit += 1;
            return Ok(());
        };
        self.numbers.extend(number);
        self.push(&vector, RowPlace { recording, range: None }, hash, cells, task)
    }

    fn push(
        &mut self,
        vector: &[f32],
        place: RowPlace,
        hash: [u8; 32],
        cells: &[Cell],
        task: Task,
    ) -> Result<()> {
        match task {
            Task::Single => {
                let class = cells.iter().position(|cell| *cell == Cell::Yes).unwrap_or(0);
                self.single.push(u32::try_from(class).unwrap_or(0));
            }
            Task::Multi => self.multi.extend(cells.iter().map(|cell| cell.known())),
            Task::Regression => {}
        }
        self.rows.push(vector)?;
        self.places.push(place);
        self.contents.insert(place.recording, hash);
        self.grouping.add(place.recording, hash);
        Ok(())
    }

    /// Whether a row says something; counts why it does not.
    fn settles(&mut self, cells: &[Cell], task: Task) -> Option<()> {
        let count = |wanted: Cell| cells.iter().filter(|cell| **cell == wanted).count();
        if task == Task::Multi {
            let says = cells.iter().any(|cell| cell.known() != Known::Unknown);
            if !says && count(Cell::Unsure) > 0 {
                self.left_out.unsure += 1;
            }
            return says.then_some(());
        }
        match (count(Cell::Yes), count(Cell::Unsure)) {
            (0, 0) => None,
            (1, 0) => Some(()),
            (2.., _) => {
                self.left_out.several += 1;
                None
            }
            _ => {
                self.left_out.unsure += 1;
                None
            }
        }
    }

    fn passes(&self, recording: i64, segment: Option<i64>) -> bool {
        self.selection.passes(recording, segment)
    }

    fn finish(mut self, classes: Vec<String>, task: Task) -> Result<Examples> {
        if self.rows.is_empty() {
            return Err(TrainingProblem::NothingLeft.into());
        }
        let targets = match task {
            Task::Single => Targets::Single(self.single),
            Task::Multi => Targets::Multi(self.multi),
            Task::Regression => Targets::Numbers(self.numbers),
        };
        debug_assert!(task != Task::Multi || self.class_count == classes.len());
        let (of_recording, group_count, without) = self.grouping.finish();
        self.left_out.without_group = without;
        let groups = self.places.iter().map(|place| of_recording[&place.recording]).collect();
        Ok(Examples {
            classes,
            rows: self.rows.finish()?,
            targets,
            groups,
            group_count,
            places: self.places,
            contents: self.contents,
            left_out: self.left_out,
            dropped: Vec::new(),
        })
    }
}

fn is_zero(vector: &[f32]) -> bool {
    vector.iter().all(|value| *value == 0.0)
}

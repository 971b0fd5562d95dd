//! How well stored vectors find sounds of one class, without any training.
//!
//! In: a library with labels. Out: [`Retrieval`]. Each labelled recording is looked for among the
//! others by the cosine of pooled vectors; right is what shares a class with it. Labels are those
//! that people gave: what heads wrote counts for nothing, and recordings without a label are no
//! answers, since nobody knows whether they would be right.

mod ranks;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::examples::classes_there;
use super::score::Estimate;
use super::score::estimate::written;
use super::score::resample::{Random, Resampling};
use crate::error::{Error, Result, TrainingProblem};
use crate::index::metric::normalise;
use crate::near;
use crate::store::Library;
use crate::store::labels::MACHINE;
use crate::store::models::StoredModel;
use ranks::{Compared, Found, NUMBERS};

/// Comparisons in all: every recording is a query up to 20,000 of them, which takes half a minute;
/// of more, some are drawn.
const MOST_COMPARISONS: usize = 20_000 * 20_000;
/// Groups below which intervals are too narrow.
const FEW_GROUPS: usize = 10;
/// Classes whose intervals are computed, too; with more only the overall numbers have some.
const MOST_CLASSES: usize = 300;

/// How to evaluate retrieval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetrievalOptions<'a> {
    /// A key of metadata: recordings of one value are no answers to one another, as a site's or a
    /// speaker's.
    pub group_by: Option<&'a str>,
    /// How often groups of queries are drawn for intervals.
    pub resamples: usize,
    /// What the draws depend on.
    pub seed: u64,
}

impl Default for RetrievalOptions<'_> {
    fn default() -> Self {
        Self { group_by: None, resamples: 2_000, seed: 0 }
    }
}

/// How well stored vectors find sounds of one class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Retrieval {
    /// The model whose vectors these are.
    pub model: String,
    /// Recordings with a label and a vector.
    pub recordings: usize,
    /// Of these, how many were looked for, and had something to be found.
    pub queries: usize,
    /// The metadata whose values were kept apart.
    pub group_by: Option<String>,
    /// Groups that the queries come from: recordings, or values of that metadata.
    pub groups: usize,
    /// Numbers for recordings that share any class.
    #[serde(flatten)]
    pub overall: RetrievalScores,
    /// By class, for recordings of that class.
    pub classes: Vec<ClassRetrieval>,
    /// Precision of recordings in any order, by which the numbers are judged.
    pub chance: Option<f64>,
    /// What keeps these numbers from being what they seem.
    pub notes: Vec<String>,
}

/// How well a class is found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassRetrieval {
    /// The class.
    pub class: String,
    /// Recordings of it.
    pub recordings: usize,
    /// Of these, how many were looked for, and had something to be found.
    pub queries: usize,
    /// Numbers for recordings of it.
    #[serde(flatten)]
    pub scores: RetrievalScores,
}

/// Means over queries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RetrievalScores {
    /// The share of nearest neighbours that are right.
    #[serde(flatten, with = "written::precision_at_1")]
    pub precision_at_1: Estimate,
    /// The share that is right among the nearest five.
    #[serde(flatten, with = "written::precision_at_5")]
    pub precision_at_5: Estimate,
    /// The share that is right among the nearest ten.
    #[serde(flatten, with = "written::precision_at_10")]
    pub precision_at_10: Estimate,
    /// Mean average precision over all that are compared.
    #[serde(flatten, with = "written::mean_average_precision")]
    pub mean_average_precision: Estimate,
}

/// Looks for every labelled recording of `library` among the others, by the vectors of `model`.
///
/// # Errors
/// [`TrainingProblem::NoLabels`]; [`Error::Store`], or [`Error::Vector`] when stored bytes are
/// damaged.
pub fn evaluate_retrieval(
    library: &Library,
    model: &StoredModel,
    options: &RetrievalOptions<'_>,
) -> Result<Retrieval> {
    let (compared, names, mut notes) = library.at_one_moment(|| read(library, model, options))?;
    if compared.len() == 0 {
        return Err(Error::Training(TrainingProblem::NoLabels));
    }
    let queries = choose_queries(&compared, options.seed, &mut notes);
    let found = compared.find(&queries);
    let mut retrieval = summarised(&found, &compared, &names, options);
    retrieval.model.clone_from(&model.identity.name);
    notes.append(&mut retrieval.notes);
    retrieval.notes = notes;
    Ok(retrieval)
}

/// The recordings that people gave a class, with their vectors; the classes' names; what was left
/// out.
fn read(
    library: &Library,
    model: &StoredModel,
    options: &RetrievalOptions<'_>,
) -> Result<(Compared, Vec<String>, Vec<String>)> {
    let dimension = model.identity.dimension;
    let mut compared = Compared { dimension, ..Compared::default() };
    // By folded names: as they were first written, and their numbers.
    let mut classes: BTreeMap<String, (String, u32)> = BTreeMap::new();
    let mut values: BTreeMap<String, u32> = BTreeMap::new();
    let hashes = library.content_hashes(model.id)?;
    let mut contents: BTreeMap<[u8; 32], u32> = BTreeMap::new();
    let (mut next_group, mut without_direction, mut without_value) = (0, 0_usize, 0_usize);
    library.for_each_recording(model.id, dimension, |id, vector| {
        let mut labels = library.labels(id)?;
        labels.retain(|label| !label.source.starts_with(MACHINE));
        let mut own = Vec::new();
        for (folded, class) in classes_there(&labels) {
            let next = u32::try_from(classes.len()).unwrap_or(u32::MAX);
            own.push(classes.entry(folded).or_insert_with(|| (class.to_owned(), next)).1);
        }
        if own.is_empty() {
            return Ok(());
        }
        let mut vector = vector.to_vec();
        if normalise(&mut vector, dimension).is_err() {
            without_direction += 1;
            return Ok(());
        }
        let value = match options.group_by {
            Some(key) => {
                let metadata = library.metadata(id)?.into_iter();
                let value =
                    metadata.filter(|(known, _)| known == key).map(|(_, value)| value).next();
                without_value += usize::from(value.is_none());
                value
            }
            None => None,
        };
        let group = match value {
            Some(value) => *values.entry(value.to_string()).or_insert(next_group),
            // A copy of the query is no find.
            None => hashes
                .get(&id)
                .map_or(next_group, |hash| *contents.entry(*hash).or_insert(next_group)),
        };
        next_group += u32::from(group == next_group);
        own.sort_unstable();
        compared.vectors.append(&mut vector);
        compared.classes.push(own);
        compared.groups.push(group);
        Ok(())
    })?;
    if let Some(key) = options.group_by
        && without_value == compared.classes.len()
    {
        let keys = library.metadata_keys()?;
        let nearest = near::nearest(key, keys.iter().map(|known| known.key.as_str()));
        return Err(TrainingProblem::NoSuchGroup { key: key.to_owned(), nearest }.into());
    }
    let mut notes = Vec::new();
    if without_direction > 0 {
        notes
            .push(format!("{without_direction} labelled recordings are silent: they are left out"));
    }
    if let (Some(key), 1..) = (options.group_by, without_value) {
        notes.push(format!(
            "{without_value} labelled recordings have no `{key}`: each is a group of its own"
        ));
    }
    let mut names = vec![String::new(); classes.len()];
    for (name, class) in classes.into_values() {
        names[class as usize] = name;
    }
    Ok((compared, names, notes))
}

fn choose_queries(compared: &Compared, seed: u64, notes: &mut Vec<String>) -> Vec<usize> {
    let count = compared.len();
    let most = (MOST_COMPARISONS / count.max(1)).max(1);
    let mut queries: Vec<usize> = (0..count).collect();
    if most < count {
        let mut random = Random::new(seed);
        for place in 0..most {
            queries.swap(place, place + random.below(count - place));
        }
        queries.truncate(most);
        queries.sort_unstable();
        notes.push(format!("{most} of {count} recordings were drawn to be looked for"));
    }
    queries
}

/// Sums of numbers over queries.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    numbers: [f64; NUMBERS],
    count: f64,
}

impl Sums {
    fn add(&mut self, numbers: &[f64; NUMBERS], times: f64) {
        for (sum, number) in self.numbers.iter_mut().zip(numbers) {
            *sum += times * number;
        }
        self.count += times;
    }

    fn mean(&self, number: usize) -> Option<f64> {
        (self.count > 0.0).then(|| self.numbers[number] / self.count)
    }
}

/// Sums over all queries, then by class.
fn sums(found: &[Found], classes: usize, times: &[u32]) -> Vec<Sums> {
    let mut sums = vec![Sums::default(); classes + 1];
    for query in found {
        let times = f64::from(times[query.group as usize]);
        if let Some(numbers) = query.any.as_ref().filter(|_| times > 0.0) {
            sums[0].add(numbers, times);
            for (class, numbers) in &query.by_class {
                if let Some(sums) = sums.get_mut(*class as usize + 1) {
                    sums.add(numbers, times);
                }
            }
        }
    }
    sums
}

fn summarised(
    found: &[Found],
    compared: &Compared,
    names: &[String],
    options: &RetrievalOptions<'_>,
) -> Retrieval {
    let groups = compared.groups.iter().max().map_or(0, |&last| last as usize + 1);
    let resampling = Resampling { groups, resamples: options.resamples, seed: options.seed };
    let point = sums(found, names.len(), &vec![1; groups]);
    let resampled_classes = if names.len() > MOST_CLASSES { 0 } else { names.len() };
    let resampled = resampling.run(|times| sums(found, resampled_classes, times));
    let scores = |at: usize| {
        let estimate = |number| {
            let drawn = resampled.iter().filter_map(|sums| sums.get(at));
            Estimate::resampled(point[at].mean(number), drawn.map(|sums| sums.mean(number)))
        };
        RetrievalScores {
            precision_at_1: estimate(0),
            precision_at_5: estimate(1),
            precision_at_10: estimate(2),
            mean_average_precision: estimate(3),
        }
    };
    let classes: Vec<ClassRetrieval> = names
        .iter()
        .enumerate()
        .map(|(class, name)| {
            let is_of = |query: &&Found| query.by_class.iter().any(|(of, _)| *of as usize == class);
            let has = |own: &&Vec<u32>| own.iter().any(|of| *of as usize == class);
            ClassRetrieval {
                class: name.clone(),
                recordings: compared.classes.iter().filter(has).count(),
                queries: found.iter().filter(is_of).count(),
                scores: scores(class + 1),
            }
        })
        .collect();
    let chances: Vec<f64> = found.iter().filter_map(|query| query.chance).collect();
    Retrieval {
        model: String::new(),
        recordings: compared.len(),
        queries: chances.len(),
        group_by: options.group_by.map(str::to_owned),
        groups,
        overall: scores(0),
        chance: (!chances.is_empty()).then(|| chances.iter().sum::<f64>() / chances.len() as f64),
        notes: notes(found.len() - chances.len(), groups, &classes),
        classes,
    }
}

fn notes(alone: usize, groups: usize, classes: &[ClassRetrieval]) -> Vec<String> {
    let mut notes = Vec::new();
    if alone > 0 {
        notes.push(format!(
            "{alone} recordings share no class with one of another group: nothing could be found"
        ));
    }
    if groups < FEW_GROUPS {
        notes.push(format!("the recordings are of only {groups} groups: intervals are too narrow"));
    }
    let few = classes.iter().filter(|class| class.recordings <= 10).count();
    if few > 0 {
        notes.push(format!(
            "{few} classes have no more than 10 recordings: their precision at 10 cannot be 1"
        ));
    }
    if classes.len() > MOST_CLASSES {
        notes.push("there are too many classes for intervals of each".to_owned());
    }
    notes
}

//! A library into groups of stretches that are the same sound: copies, excerpts, other encodings.
//!
//! In: the vectors of one model, and the recordings' files where they are still there. Out:
//! [`Group`]s. Refuses nothing: what cannot be listened to is compared by its vectors and marked.
//!
//! ```text
//! hashes ──▶ nearest vectors ──▶ candidates ──▶ fingerprints ──▶ waveforms ──▶ groups
//! the same   of each segment     chained along  the same bits    offset to     stars, not
//! file       (`looking`)         one lag        along one lag    the ms        chains
//! ```
//!
//! Vectors say what a sound is like, not which sound it is: two barks of one dog are nearer to
//! each other than a bark to its copy that was cut elsewhere. They propose; listening decides.

mod aligning;
mod alignment;
mod candidates;
mod comparing;
mod completion;
mod groups;
mod hearing;
mod listening;
mod looking;
mod waveform;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use crate::audio::segment::TimeRange;
use crate::error::{Error, Result};
use crate::store::Library;
use crate::store::contents::Content;
use crate::store::models::StoredModel;
use crate::store::recordings::StoredRecording;

use super::collection::Collection;
use groups::{Cluster, Match, Stretch};

pub use groups::Evidence;
pub use looking::{Asked, Place, Proposals};

/// What counts as a duplicate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DuplicateOptions {
    /// Least similarity of what was listened to, in [0, 1]: the correlation of the two waveforms.
    pub threshold: f32,
    /// Least mean cosine of what could not be listened to.
    pub cosine: f32,
    /// Shortest stretch, in seconds.
    pub min_duration_s: f64,
    /// Whether stretches that recur within one recording count.
    pub within: bool,
    /// Whether files are listened to.
    pub verify: bool,
}

impl Default for DuplicateOptions {
    fn default() -> Self {
        Self { threshold: 0.4, cosine: 0.98, min_duration_s: 0.4, within: false, verify: true }
    }
}

/// What is going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Each segment's nearest vectors are looked up; counted in segments.
    Looking,
    /// Recordings are listened to; counted in recordings.
    Listening,
    /// Their fingerprints are compared; counted in pairs of recordings.
    Comparing,
    /// Waveforms are compared; counted in matches.
    Aligning,
}

/// Somebody who watches, and may want it to stop.
pub trait Watcher: Sync {
    /// `done` of `all` things are done.
    fn progressed(&self, phase: Phase, done: usize, all: usize);
    /// Whether to stop.
    fn is_cancelled(&self) -> bool;
}

/// One stretch of a group.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Its recording.
    pub recording: StoredRecording,
    /// Where in it.
    pub range: TimeRange,
    /// Time in the group's first recording less the time in this one, in seconds: where this
    /// recording would begin in the first one.
    pub offset_s: f64,
    /// How alike it is to the group's first, in [0, 1]; 1 for the first itself.
    pub similarity: f32,
    /// How that is known.
    pub evidence: Evidence,
}

/// Stretches that are the same sound; at least two.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The likely original, then its copies in the order of paths.
    pub members: Vec<Member>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Duplicates {
    /// The groups; those with the longest stretches first.
    pub groups: Vec<Group>,
    /// Recordings that should have been listened to and could not be, and why.
    pub unheard: Vec<(PathBuf, Error)>,
    /// Whether it was stopped before everything was compared.
    pub interrupted: bool,
}

/// Finds the duplicates among the recordings that `model` embedded; `collection` holds the
/// vectors of their segments.
///
/// # Errors
/// [`Error::Store`], [`Error::Vector`] when stored bytes are damaged, and [`Error::Io`] when
/// fingerprints cannot be kept on the disk.
pub fn find_duplicates(
    library: &Library,
    model: &StoredModel,
    collection: &Collection,
    options: &DuplicateOptions,
    watcher: &dyn Watcher,
) -> Result<Duplicates> {
    let contents = library.contents(model.id)?;
    find_among(&contents, model, options, watcher, |task| {
        looking::look(library, model, collection, task)
    })
}

/// As [`find_duplicates`], among recordings whose vectors lie in no library: `propose` looks up what is
/// near to each segment of those that it is told are wanted, and adds it to the proposals.
///
/// # Errors
/// What `propose` fails with, and [`Error::Io`] when fingerprints cannot be kept on the disk.
pub fn find_duplicates_by(
    contents: &[Content],
    model: &StoredModel,
    options: &DuplicateOptions,
    watcher: &dyn Watcher,
    propose: impl FnOnce(&dyn Fn(usize) -> bool, &mut Proposals) -> Result<()>,
) -> Result<Duplicates> {
    find_among(contents, model, options, watcher, |task| {
        let mut proposals = Proposals::default();
        // One whose file is the same as another's has been told.
        propose(&|number| !task.twins.contains_key(&number), &mut proposals)?;
        Ok(proposals.candidates(model))
    })
}

fn find_among(
    contents: &[Content],
    model: &StoredModel,
    options: &DuplicateOptions,
    watcher: &dyn Watcher,
    look: impl FnOnce(&Task<'_>) -> Result<looking::Candidates>,
) -> Result<Duplicates> {
    let (mut matches, twins) = same_files(contents);
    matches.retain(|found| {
        let is_long = |stretch: &Stretch| {
            stretch.range.end_s - stretch.range.start_s >= options.min_duration_s
        };
        found.stretches.iter().all(is_long)
    });
    let task = Task { contents, twins: &twins, options, watcher };
    let candidates = look(&task)?;
    let (heard, unheard) = hearing::hear(&task, candidates, model.window_s)?;
    matches.extend(heard);
    let mut clusters = groups::group(&matches, &|a, b| is_better(&contents[a], &contents[b]));
    clusters.retain(|cluster| !cluster.copies.is_empty());
    clusters.sort_by(|a, b| {
        let length = |cluster: &Cluster| cluster.first.range.end_s - cluster.first.range.start_s;
        length(b).total_cmp(&length(a)).then(a.first.recording.cmp(&b.first.recording))
    });
    Ok(Duplicates {
        groups: clusters.iter().map(|cluster| describe(cluster, contents, &twins)).collect(),
        unheard,
        interrupted: watcher.is_cancelled(),
    })
}

/// Two numbers of recordings.
type Pair = (usize, usize);

/// A recording that could not be listened to, and why.
type Unheard = (PathBuf, Error);

/// What all steps need.
struct Task<'a> {
    /// The recordings, by id; their places in this list are their numbers.
    contents: &'a [Content],
    /// For every recording whose file is the same as an earlier one's, that one.
    twins: &'a HashMap<usize, usize>,
    options: &'a DuplicateOptions,
    watcher: &'a dyn Watcher,
}

/// Matches of files that are the same, byte for byte, each with the likely original among them;
/// and for each of the others which one that is.
fn same_files(contents: &[Content]) -> (Vec<Match>, HashMap<usize, usize>) {
    let mut by_hash: BTreeMap<[u8; 32], Vec<usize>> = BTreeMap::new();
    for (number, content) in contents.iter().enumerate() {
        by_hash.entry(content.hash).or_default().push(number);
    }
    let (mut matches, mut twins) = (Vec::new(), HashMap::new());
    for numbers in by_hash.into_values().filter(|numbers| numbers.len() > 1) {
        let original = numbers.iter().copied().fold(numbers[0], |best, number| {
            if is_better(&contents[number], &contents[best]) { number } else { best }
        });
        for twin in numbers.into_iter().filter(|&number| number != original) {
            let whole = |recording: usize| Stretch {
                recording,
                range: TimeRange { start_s: 0.0, end_s: contents[recording].recording.duration_s },
            };
            matches.push(Match {
                stretches: [whole(original), whole(twin)],
                lag_s: 0.0,
                similarity: 1.0,
                evidence: Evidence::SameFile,
            });
            twins.insert(twin, original);
        }
    }
    (matches, twins)
}

/// Whether `a` is rather the original than `b`: longer, else without loss, else of a higher rate,
/// else older, else of a lower id.
fn is_better(a: &Content, b: &Content) -> bool {
    // Codecs pad: what differs by less than this is equally long.
    let tolerance_s = (0.02 * b.recording.duration_s).max(0.25);
    let longer_s = a.recording.duration_s - b.recording.duration_s;
    if longer_s.abs() > tolerance_s {
        return longer_s > 0.0;
    }
    let rank = |content: &Content| {
        let codec = content.recording.codec.as_str();
        let is_lossless = codec.starts_with("pcm") || ["flac", "alac"].contains(&codec);
        (is_lossless, content.recording.sample_rate, -content.modified_ns, -content.recording.id)
    };
    rank(a) > rank(b)
}

/// A cluster with names, and with the files that are the same as its members'.
fn describe(cluster: &Cluster, contents: &[Content], twins: &HashMap<usize, usize>) -> Group {
    let member = |stretch: Stretch, offset_s, similarity, evidence| Member {
        recording: contents[stretch.recording].recording.clone(),
        range: stretch.range,
        offset_s,
        similarity,
        evidence,
    };
    let mut copies: Vec<Member> = cluster
        .copies
        .iter()
        .map(|copy| member(copy.stretch, copy.offset_s, copy.similarity, copy.evidence))
        .collect();
    let is_there = |twin: usize| {
        let of_twin = |stretch: &Stretch| stretch.recording == twin;
        of_twin(&cluster.first) || cluster.copies.iter().any(|copy| of_twin(&copy.stretch))
    };
    for (&twin, &original) in twins.iter().filter(|(twin, _)| !is_there(**twin)) {
        for copy in cluster.copies.iter().filter(|copy| copy.stretch.recording == original) {
            let stretch = Stretch { recording: twin, range: copy.stretch.range };
            copies.push(member(stretch, copy.offset_s, copy.similarity, copy.evidence));
        }
        if cluster.first.recording == original {
            let stretch = Stretch { recording: twin, range: cluster.first.range };
            copies.push(member(stretch, 0.0, 1.0, Evidence::SameFile));
        }
    }
    copies.sort_by(|a, b| {
        let by_path = a.recording.path.cmp(&b.recording.path);
        by_path.then(a.range.start_s.total_cmp(&b.range.start_s))
    });
    let evidence = copies.iter().map(|copy| copy.evidence).max().unwrap_or(Evidence::SameFile);
    let mut members = vec![member(cluster.first, 0.0, 1.0, evidence)];
    members.append(&mut copies);
    Group { members }
}

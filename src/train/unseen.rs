//! A head asked about labelled recordings that it has not learnt from.
//!
//! In: a head and a library. Out: [`Asked`], which scores like any held-out rows. What the head
//! learnt from is left out by content, and so is what was kept together with it: a recording of the
//! same site, where training was grouped by site. The head carries the hashes of both, so that it
//! does not matter which library it is in, and what is left there of what it learnt from. A copy with
//! other bytes (another format, another cut) is not recognised: `sonoteca duplicates` finds these.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::examples::{Examples, Selection};
use super::head::{Head, group_hash};
use super::held_out::{HeldOut, RowPlace};
use super::network::Input;
use super::task::Targets;
use crate::audio::resample::FilterCache;
use crate::error::{Result, TrainingProblem};
use crate::store::Library;
use crate::store::filtering::Passing;
use crate::store::metadata::MetadataValue;
use crate::store::models::StoredModel;

/// What a head said of recordings that it has not learnt from.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The rows, all in one fold.
    pub held_out: HeldOut,
    /// Recordings that were left out, because the head learnt from them or from what belongs to
    /// them.
    pub learnt_from: usize,
    /// Recordings that were not, though they have no value of the metadata that training was grouped
    /// by: nobody knows whether the head has learnt from what belongs to them.
    pub without_group: usize,
}

/// Asks `head` about the labelled recordings of `library` that `passing` lets pass.
///
/// # Errors
/// [`TrainingProblem::OtherModel`], [`TrainingProblem::AllLearnt`] when the head has learnt from
/// all of them, [`TrainingProblem::GroupsUnknown`] when it does not say from which groups,
/// [`Error::Store`](crate::Error::Store).
pub fn ask(
    library: &Library,
    head: &Head,
    model: &StoredModel,
    passing: Option<&Passing>,
) -> Result<Asked> {
    head.require_model(&model.identity)?;
    let (card, settings) = (head.card(), &head.card().settings);
    let selection = Selection {
        model,
        level: settings.by,
        task: Some(card.task),
        classes: &card.classes,
        keep_classes: true,
        target: settings.target.as_deref(),
        exhaustive: settings.exhaustive,
        group_by: settings.group_by.as_deref(),
        passing,
    };
    let examples = Examples::collect(library, &selection)?;
    let column = match &settings.group_by {
        Some(key) => library.metadata_column(key)?,
        None => BTreeMap::new(),
    };
    let known = learnt_from(library, head, model, &column)?;
    // Groups hang together by copies, too: what is known of one recording is of its group.
    let known_groups: BTreeSet<u32> = (0..examples.rows.len())
        .filter(|&row| known.contains(&examples.places[row].recording))
        .map(|row| examples.groups[row])
        .collect();
    let kept: Vec<usize> = (0..examples.rows.len())
        .filter(|&row| !known_groups.contains(&examples.groups[row]))
        .collect();
    let new: BTreeSet<i64> = kept.iter().map(|&row| examples.places[row].recording).collect();
    let learnt_from = examples.recordings() - new.len();
    let is_without = |id: &&i64| settings.group_by.is_some() && !column.contains_key(id);
    let without_group = new.iter().filter(is_without).count();
    if kept.is_empty() {
        return Err(TrainingProblem::AllLearnt { head: card.name.clone() }.into());
    }
    let (kept, outputs) = said_of(library, head, model, &examples, kept)?;
    let count = card.classes.len();
    let held_out = HeldOut {
        classes: card.classes.clone(),
        outputs,
        targets: match &examples.targets {
            Targets::Single(all) => Targets::Single(kept.iter().map(|&row| all[row]).collect()),
            Targets::Multi(all) => Targets::Multi(
                kept.iter().flat_map(|&row| all[row * count..][..count].iter().copied()).collect(),
            ),
            Targets::Numbers(all) => Targets::Numbers(kept.iter().map(|&row| all[row]).collect()),
        },
        groups: numbered(kept.iter().map(|&row| examples.groups[row])),
        folds: vec![0; kept.len()],
        rows: kept.iter().map(|&row| examples.places[row]).collect(),
    };
    Ok(Asked { held_out, learnt_from, without_group })
}

/// What the head says of rows, as far as they can be read.
fn said_of(
    library: &Library,
    head: &Head,
    model: &StoredModel,
    examples: &Examples,
    mut rows: Vec<usize>,
) -> Result<(Vec<usize>, Vec<f32>)> {
    if head.input() == Input::Vectors {
        let mut outputs = Vec::with_capacity(rows.len() * head.card().classes.len());
        for some in rows.chunks(4_096) {
            outputs.extend(head.outputs(&examples.rows.gather(some)?));
        }
        return Ok((rows, outputs));
    }
    let places: Vec<RowPlace> = rows.iter().map(|&row| examples.places[row]).collect();
    let filters = FilterCache::default();
    let (mut sequences, _) = head.reader(&filters).stored(library, model, &places, &|_| true)?;
    let there: Vec<bool> = sequences.spans().iter().map(|span| !span.is_empty()).collect();
    sequences.retain(&there);
    let mut kept = there.iter();
    rows.retain(|_| kept.next().is_some_and(|kept| *kept));
    if rows.is_empty() {
        return Err(TrainingProblem::NothingLeft.into());
    }
    Ok((rows, head.outputs_of_sequences(&sequences)?))
}

/// The recordings that the head learnt from, and those that belong to them; `column` are the values
/// of the metadata that training was grouped by.
fn learnt_from(
    library: &Library,
    head: &Head,
    model: &StoredModel,
    column: &BTreeMap<i64, MetadataValue>,
) -> Result<BTreeSet<i64>> {
    let saved = head.saved();
    let contents: HashSet<&[u8; 32]> = saved.recordings.iter().collect();
    let hashes = library.content_hashes(model.id)?;
    let mut known: BTreeSet<i64> =
        hashes.iter().filter(|(_, hash)| contents.contains(hash)).map(|(id, _)| *id).collect();
    if head.card().settings.group_by.is_some() {
        let Some(groups) = &saved.groups else {
            let head = head.card().name.clone();
            return Err(TrainingProblem::GroupsUnknown { head }.into());
        };
        // What this library says of their groups counts beside what that one said.
        let here = known.iter().filter_map(|id| column.get(id)).map(group_hash);
        let groups: HashSet<[u8; 32]> = groups.iter().copied().chain(here).collect();
        let together = column.iter().filter(|(_, value)| groups.contains(&group_hash(value)));
        known.extend(together.map(|(id, _)| *id));
    }
    Ok(known)
}

/// Numbers from 0 on, in place of others.
fn numbered(of: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut numbers = BTreeMap::new();
    of.map(|group| {
        let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
        *numbers.entry(group).or_insert(next)
    })
    .collect()
}

//! Examples into a head, with what it is worth.
//!
//! In: a library, which labels count, and how to learn. Out: [`Trained`]: the head that learnt
//! from everything, and the held-out rows that its scores come from. What the head itself says of
//! its own rows is never scored.

use std::collections::BTreeSet;

use super::examples::{Dropped, Examples, LeftOut, Selection};
use super::head::card::{FORMAT, HeadCard, LearntFrom, ModelOfHead, TrainingSettings, check_name};
use super::head::{Head, Saved, group_hash};
use super::held_out::HeldOut;
use super::learner::{HeadKind, Lesson, Watch, learn};
use super::network::Input;
use super::score::{ScoreOptions, Scores, score};
use super::sequences::{Reader, Sequences};
use super::split::{Folds, Plan, split};
use super::task::{Known, Targets, Task};
use crate::audio::resample::FilterCache;
use crate::error::{Result, TrainingProblem};
use crate::store::Library;
use crate::store::filtering::Passing;
use crate::store::models::StoredModel;

/// From which probability on a class counts as there, where no threshold has the precision that
/// was wanted, or nothing could be held out.
const USUAL_THRESHOLD: f64 = 0.5;

/// What is to be trained.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    /// The head's name.
    pub name: &'a str,
    /// The model whose vectors are learnt from.
    pub model: &'a StoredModel,
    /// The kind of head; the usual one of the task, where none is named.
    pub kind: Option<HeadKind>,
    /// What the head is to say; guessed from the labels, where it is not said.
    pub task: Option<Task>,
    /// What its filter lets pass.
    pub passing: Option<&'a Passing>,
    /// Everything else.
    pub settings: &'a TrainingSettings,
}

/// A head, and what its scores come from.
#[derive(Debug)]
pub struct Trained {
    /// The head.
    pub head: Head,
    /// What was held out; nothing, where too little is there.
    pub held_out: Option<HeldOut>,
    /// Classes that the head did not learn, though there are labels of them.
    pub dropped: Vec<Dropped>,
}

/// Trains a head on labels of `library`. Nothing is stored.
///
/// # Errors
/// [`Error::Training`](crate::Error::Training), [`Error::Store`](crate::Error::Store),
/// [`Error::Network`](crate::Error::Network).
pub fn train(library: &Library, order: &Order<'_>, now: String) -> Result<Trained> {
    train_watched(library, order, now, None)
}

/// The share of the work that reading files is, where they are read.
const READING: f64 = 0.1;

/// [`train`], while somebody watches.
///
/// # Errors
/// As [`train`], and [`TrainingProblem::Interrupted`].
pub fn train_watched(
    library: &Library,
    order: &Order<'_>,
    now: String,
    watch: Option<Watch<'_>>,
) -> Result<Trained> {
    let settings = order.settings;
    check_name(order.name)?;
    // Before anything is read.
    let usual = || HeadKind::usual(order.task.unwrap_or(Task::Single));
    order.kind.unwrap_or_else(usual).require_augmentable(settings.augmentation)?;
    let selection = Selection {
        model: order.model,
        level: settings.by,
        task: order.task,
        classes: &settings.classes,
        keep_classes: false,
        target: settings.target.as_deref(),
        exhaustive: settings.exhaustive,
        group_by: settings.group_by.as_deref(),
        passing: order.passing,
    };
    let mut examples = Examples::collect(library, &selection)?;
    let kind = order.kind.unwrap_or(HeadKind::usual(examples.task()));
    let goes_on = |done: f64| watch.is_none_or(|watch| watch.0(done));
    let reads = |done: f64| goes_on(READING * done);
    let sequences = sequences(library, order.model, kind, &mut examples, &reads)?;
    let before = if sequences.is_some() { READING } else { 0.0 };
    let learns = |done: f64| goes_on(before + (1.0 - before) * done);
    check(&examples)?;
    let mut notes = notes_of(&examples.left_out, settings);
    notes.extend(examples.dropped.iter().map(|Dropped { class, recordings }| {
        format!("no example was left of {class} ({recordings} labelled), which was left out")
    }));
    let folds = hold_out(&examples, settings, &mut notes);
    let lesson = Lesson {
        rows: &examples.rows,
        sequences: sequences.as_ref(),
        class_count: examples.classes.len(),
        targets: &examples.targets,
        groups: &examples.groups,
        places: &examples.places,
        folds: &folds.of_rows(&examples.groups),
        fold_count: folds.count,
        class_weights: settings.class_weights,
        augmentation: settings.augmentation,
        seed: settings.seed,
        watch: Some(Watch(&learns)),
    };
    let learnt = learn(kind, &lesson)?;
    let held_out = (folds.count > 0).then(|| held_out(&examples, lesson.folds, &learnt.held_out));
    if let Some(held_out) = &held_out
        && held_out.len() < lesson.folds.iter().flatten().count()
    {
        let rows = held_out.len();
        notes.push(format!(
            "of so many rows {rows} were drawn to judge by, and the heads that are judged learnt \
             from these; the head itself learnt from all"
        ));
    }
    let options = ScoreOptions {
        precision: settings.precision,
        seed: settings.seed,
        ..ScoreOptions::default()
    };
    let scores = held_out.as_ref().map(|held_out| score(held_out, &options));
    let card = HeadCard {
        format: FORMAT,
        name: order.name.to_owned(),
        kind,
        input: kind.input(),
        task: examples.task(),
        classes: examples.classes.clone(),
        thresholds: thresholds(&examples, scores.as_ref(), &mut notes),
        temperature: temperature(scores.as_ref()),
        model: ModelOfHead::of(&order.model.identity),
        settings: settings.clone(),
        choices: learnt.choices,
        learnt_from: LearntFrom {
            rows: examples.rows.len(),
            recordings: examples.recordings(),
            groups: examples.group_count,
            groups_by_class: examples.groups_by_class(),
        },
        scores,
        notes,
        sonoteca: env!("CARGO_PKG_VERSION").to_owned(),
        trained_at: now,
    };
    let recordings = examples.contents.values().copied().collect();
    let groups = Some(groups_of(library, &examples, settings.group_by.as_deref())?);
    let head = Head::new(card, Saved { tensors: learnt.tensors, recordings, groups })?;
    Ok(Trained { head, held_out, dropped: examples.dropped })
}

/// The values of the metadata `key` that the examples have, by their hashes.
fn groups_of(library: &Library, examples: &Examples, key: Option<&str>) -> Result<Vec<[u8; 32]>> {
    let Some(key) = key else { return Ok(Vec::new()) };
    let column = library.metadata_column(key)?;
    let values = examples.contents.keys().filter_map(|recording| column.get(recording));
    let hashes: BTreeSet<[u8; 32]> = values.map(group_hash).collect();
    Ok(hashes.into_iter().collect())
}

/// The sequences of rows, for a kind that reads some; rows that could not be read are left out.
fn sequences(
    library: &Library,
    model: &StoredModel,
    kind: HeadKind,
    examples: &mut Examples,
    watch: &dyn Fn(f64) -> bool,
) -> Result<Option<Sequences>> {
    if kind.input() == Input::Vectors {
        return Ok(None);
    }
    let filters = FilterCache::default();
    let reader = Reader::new(kind.input(), model.identity.clone(), kind.frames_a_step(), &filters);
    let (mut sequences, unread) = reader.stored(library, model, &examples.places, watch)?;
    examples.keep_read(&mut sequences, unread)?;
    Ok(Some(sequences))
}

/// Refuses classes of which only one side is known.
fn check(examples: &Examples) -> Result<()> {
    if let Targets::Single(found) = &examples.targets
        && let Some(first) = found.first().filter(|first| found.iter().all(|other| other == *first))
    {
        let class = examples.classes[*first as usize].clone();
        return Err(TrainingProblem::OneClass { class }.into());
    }
    let count = examples.classes.len();
    let without: Vec<String> = match &examples.targets {
        Targets::Numbers(_) | Targets::Single(_) => Vec::new(),
        Targets::Multi(cells) => {
            let has = |class: usize, wanted: Known| {
                cells.chunks_exact(count).any(|row| row[class] == wanted)
            };
            for (class, name) in examples.classes.iter().enumerate() {
                if !has(class, Known::Yes) {
                    return Err(TrainingProblem::NeverPositive { class: name.clone() }.into());
                }
            }
            let without = (0..count).filter(|&class| !has(class, Known::No));
            without.map(|class| examples.classes[class].clone()).collect()
        }
    };
    if without.is_empty() {
        Ok(())
    } else {
        Err(TrainingProblem::NoNegatives { classes: without }.into())
    }
}

/// Which groups are held out when; none, where there are too few.
fn hold_out(examples: &Examples, settings: &TrainingSettings, notes: &mut Vec<String>) -> Folds {
    let by_class = examples.groups_by_class();
    let what = settings.group_by.as_deref().map_or("recordings", |_| "groups");
    let most = by_class.iter().copied().max().unwrap_or(0);
    let nothing = Folds { of_group: vec![None; examples.group_count], count: 0 };
    if most < 2 || examples.group_count < 2 {
        notes.push(format!(
            "no class has two {what}, so that nothing could be held out: there is no score"
        ));
        return nothing;
    }
    let plan = match settings.plan {
        Plan::Folds(count) if count > examples.group_count => {
            let groups = examples.group_count;
            notes.push(format!(
                "{count} folds were wanted, and there are {groups} {what}: {groups} folds"
            ));
            Plan::Folds(groups)
        }
        plan => plan,
    };
    let folds =
        split(&examples.targets, examples.classes.len(), &examples.groups, plan, settings.seed);
    let held = folds.of_group.iter().flatten().count();
    let alone = alone(examples, &by_class, &folds);
    if !alone.is_empty() {
        notes.push(format!(
            "of a single one of {what} nothing is learnt while it is held out, so that it counts \
             as wrong: {}",
            alone.join(", ")
        ));
    }
    if held == 0 || (matches!(plan, Plan::HoldOut(_)) && held == folds.of_group.len()) {
        notes.push(format!("there are too few {what} to hold out that share: there is no score"));
        return nothing;
    }
    if let Plan::HoldOut(share) = plan {
        let groups = examples.group_count as f64;
        // A half is what rounding may take or give.
        if (held as f64 - share * groups).abs() > 0.5 {
            notes.push(format!(
                "{:.1} % of {groups} {what} were to be held out; {held} is {:.1} %",
                100.0 * share,
                100.0 * held as f64 / groups
            ));
        }
    }
    folds
}

/// The classes that have a single group, and that is held out.
fn alone<'a>(examples: &'a Examples, by_class: &[usize], folds: &Folds) -> Vec<&'a str> {
    let count = examples.classes.len();
    let is_held = |class: usize| {
        let groups = examples.groups.iter().enumerate();
        groups.filter(|(_, group)| folds.of_group[**group as usize].is_some()).any(|(row, _)| {
            match &examples.targets {
                Targets::Single(all) => all[row] as usize == class,
                Targets::Multi(cells) => cells[row * count + class] == Known::Yes,
                Targets::Numbers(_) => false,
            }
        })
    };
    let classes = examples.classes.iter().enumerate();
    classes
        .filter(|(class, _)| by_class[*class] == 1 && is_held(*class))
        .map(|(_, name)| name.as_str())
        .collect()
}

fn notes_of(left_out: &LeftOut, settings: &TrainingSettings) -> Vec<String> {
    let rows = match settings.by {
        crate::store::segments::Level::Recording => "recordings",
        crate::store::segments::Level::Segment => "segments",
    };
    let group = settings.group_by.as_deref().unwrap_or_default();
    let lines = [
        (left_out.several, format!("{rows} with several classes were left out")),
        (left_out.unsure, format!("{rows} that somebody was unsure about were left out")),
        (left_out.unfit, format!("{rows} that are silent, clipped or damaged were left out")),
        (left_out.too_short, "labels cover half of no segment and say nothing".to_owned()),
        (
            left_out.without_group,
            format!("recordings have no {group}, and were held out each by itself"),
        ),
        (left_out.unread.gone, "recordings were left out: their files are not there".to_owned()),
        (
            left_out.unread.changed,
            "recordings were left out: their files have changed since they were indexed".to_owned(),
        ),
        (
            left_out.unread.undecodable,
            "recordings were left out: their files do not decode any more".to_owned(),
        ),
    ];
    let said = lines.into_iter().filter(|(count, _)| *count > 0);
    said.map(|(count, what)| format!("{count} {what}")).collect()
}

/// The rows that were held out, with what was said of them.
fn held_out(examples: &Examples, folds: &[Option<u32>], said: &[f32]) -> HeldOut {
    let count = examples.classes.len();
    // What was not asked about is not a mistake: of very many rows some were drawn.
    let was_asked = |row: usize| said[row * count..][..count].iter().any(|said| !said.is_nan());
    let held: Vec<(usize, u32)> = folds
        .iter()
        .enumerate()
        .filter_map(|(row, fold)| Some((row, (*fold)?)))
        .filter(|(row, _)| was_asked(*row))
        .collect();
    let rows = || held.iter().map(|(row, _)| *row);
    HeldOut {
        classes: examples.classes.clone(),
        outputs: rows().flat_map(|row| said[row * count..][..count].iter().copied()).collect(),
        targets: match &examples.targets {
            Targets::Single(all) => Targets::Single(rows().map(|row| all[row]).collect()),
            Targets::Multi(all) => Targets::Multi(
                rows().flat_map(|row| all[row * count..][..count].iter().copied()).collect(),
            ),
            Targets::Numbers(all) => Targets::Numbers(rows().map(|row| all[row]).collect()),
        },
        groups: rows().map(|row| examples.groups[row]).collect(),
        folds: held.iter().map(|(_, fold)| *fold).collect(),
        rows: rows().map(|row| examples.places[row]).collect(),
    }
}

fn temperature(scores: Option<&Scores>) -> f64 {
    let fitted = scores.and_then(|scores| scores.calibration.as_ref());
    fitted.map_or(1.0, |calibration| calibration.temperature)
}

/// From which probability on each class counts as there.
fn thresholds(examples: &Examples, scores: Option<&Scores>, notes: &mut Vec<String>) -> Vec<f64> {
    if examples.task() == Task::Regression {
        return Vec::new();
    }
    let Some(scores) = scores else {
        return vec![USUAL_THRESHOLD; examples.classes.len()];
    };
    let mut without = Vec::new();
    let of_class = examples.classes.iter().map(|class| {
        let found = scores.classes.iter().find(|scores| scores.class == *class);
        let threshold = found.and_then(|scores| scores.thresholds.for_precision);
        threshold.map_or_else(
            || {
                without.push(class.as_str());
                USUAL_THRESHOLD
            },
            |threshold| threshold.probability,
        )
    });
    let thresholds = of_class.collect();
    if !without.is_empty() {
        notes.push(format!(
            "no threshold has the precision that was wanted; {USUAL_THRESHOLD} is used for {}",
            without.join(", ")
        ));
    }
    thresholds
}

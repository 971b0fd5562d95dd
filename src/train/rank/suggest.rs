//! What to listen to and label next.
//!
//! In: a head and a library. Out: [`Suggestion`]s: half of what the head is least sure of, the
//! rest the most probable that nobody confirmed, recordings in turns. What people have labelled is
//! left out; what heads have, is not. Refuses heads that say numbers.

use std::collections::{HashMap, HashSet};

use super::in_turns;
use crate::audio::segment::TimeRange;
use crate::case::folded;
use crate::error::{Result, TrainingProblem};
use crate::index::scope::Scope;
use crate::store::Library;
use crate::store::labels::Judgement;
use crate::store::models::StoredModel;
use crate::store::segments::Level;
use crate::train::head::Head;
use crate::train::predict::{Hearing, Left, Said, detecting::best};
use crate::train::task::Task;

/// Rows of one recording that are considered, of each kind.
const OF_A_RECORDING: usize = 8;

/// Why something is suggested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Two classes are almost equally probable: the first and the second.
    Between(usize, usize),
    /// A class is almost at its threshold.
    Whether(usize),
    /// A class is probably there, and nobody said so yet.
    Probably(usize),
}

/// Something that is worth a label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Suggestion {
    /// The recording's row id.
    pub recording: i64,
    /// The stretch; all of the recording, where there is none.
    pub range: Option<TimeRange>,
    /// Why.
    pub why: Why,
    /// The probability of the class.
    pub score: f64,
    /// How far the head is from saying otherwise: to the second class, or to the threshold.
    pub margin: f64,
    /// The row's place in the library, by which equals are ordered.
    order: (i64, usize),
}

/// What is suggested, and of what.
#[derive(Clone, Debug)]
pub struct SuggestSpec {
    /// How many at most.
    pub count: usize,
    /// Only this class, by its number.
    pub class: Option<usize>,
    /// Whether recordings are suggested, or segments.
    pub level: Level,
    /// Of what.
    pub scope: Scope,
}

/// What is worth a label, the head's doubts first.
///
/// # Errors
/// [`TrainingProblem::NotOfClasses`], [`TrainingProblem::OtherModel`], and as
/// [`Hearing::next_some`].
pub fn suggest(
    library: &Library,
    head: &Head,
    model: &StoredModel,
    spec: &SuggestSpec,
) -> Result<(Vec<Suggestion>, Left)> {
    if head.card().task == Task::Regression {
        let what = "what to label";
        return Err(TrainingProblem::NotOfClasses { head: head.card().name.clone(), what }.into());
    }
    let known = Known::read(library, head, model, spec)?;
    let mut hearing = Hearing::new(head, model, spec.level, spec.scope.clone())?;
    let (mut unsure, mut probable) = (Vec::new(), Vec::new());
    loop {
        let some = hearing.next_some(library)?;
        if some.is_empty() {
            break;
        }
        for said in &some {
            let (mut doubts, mut likely) = of_recording(said, head, spec, &known);
            sort_doubts(&mut doubts);
            sort_likely(&mut likely);
            unsure.extend(apart(doubts));
            probable.extend(apart(likely));
        }
    }
    sort_doubts(&mut unsure);
    sort_likely(&mut probable);
    let mut chosen = Chosen::default();
    chosen.take(in_turns(unsure, |one| one.recording), spec.count.div_ceil(2));
    chosen.take(in_turns(probable, |one| one.recording), spec.count);
    Ok((chosen.suggestions, hearing.left))
}

/// A class, or any of a head that says one of several, and where it was said of.
type Labelled = (Option<usize>, Option<TimeRange>);

/// What people have labelled: of each recording the classes, in lower case, and stretches.
struct Known {
    labels: HashMap<i64, Vec<Labelled>>,
    level: Level,
}

impl Known {
    fn read(
        library: &Library,
        head: &Head,
        model: &StoredModel,
        spec: &SuggestSpec,
    ) -> Result<Self> {
        let classes: HashMap<String, usize> = head
            .card()
            .classes
            .iter()
            .enumerate()
            .map(|(number, class)| (folded(class), number))
            .collect();
        let is_single = head.card().task == Task::Single;
        let mut labels: HashMap<i64, Vec<Labelled>> = HashMap::new();
        library.for_each_labelled(model.id, |labelled| {
            let own = labelled.labels.iter().filter_map(|label| {
                let class = classes.get(&folded(&label.class)).copied();
                // Of one class among several, whichever was said settles it, be it one that the head
                // does not know.
                if is_single {
                    let is_there = label.judgement == Judgement::Positive;
                    return (is_there || class.is_some()).then_some((None, label.range));
                }
                Some((Some(class?), label.range))
            });
            let own: Vec<_> = own.collect();
            if !own.is_empty() {
                labels.insert(labelled.recording, own);
            }
            Ok(())
        })?;
        Ok(Self { labels, level: spec.level })
    }

    /// Whether people have said something of `class` there.
    fn has(&self, recording: i64, range: Option<TimeRange>, class: usize) -> bool {
        let Some(labels) = self.labels.get(&recording) else { return false };
        labels.iter().any(|(labelled, stretch)| {
            let is_of_class = labelled.is_none_or(|labelled| labelled == class);
            let is_there = match (self.level, range, stretch) {
                (Level::Segment, Some(range), Some(stretch)) => overlap(range, *stretch),
                _ => true,
            };
            is_of_class && is_there
        })
    }
}

fn overlap(a: TimeRange, b: TimeRange) -> bool {
    a.start_s < b.end_s && b.start_s < a.end_s
}

/// What of a recording the head is unsure of, and what it takes for probable.
fn of_recording(
    said: &Said,
    head: &Head,
    spec: &SuggestSpec,
    known: &Known,
) -> (Vec<Suggestion>, Vec<Suggestion>) {
    let card = head.card();
    let (mut doubts, mut likely) = (Vec::new(), Vec::new());
    let rows = said.rows.iter().zip(said.values.chunks_exact(card.outputs()));
    for (row, values) in rows {
        let make = |why: Why, class: usize, margin: f64| Suggestion {
            recording: said.recording,
            range: row.range,
            why,
            score: f64::from(values[class]),
            margin,
            order: (row.segment, class),
        };
        let is_free = |class: usize| !known.has(said.recording, row.range, class);
        let is_wanted = |class: usize| spec.class.is_none_or(|wanted| wanted == class);
        if card.task == Task::Single {
            let first = best(values);
            let Some(second) = second(values, first) else { continue };
            if !is_free(first) {
                continue;
            }
            let margin = f64::from(values[first]) - f64::from(values[second]);
            if is_wanted(first) {
                doubts.push(make(Why::Between(first, second), first, margin));
            } else if is_wanted(second) && is_free(second) {
                // Whoever asks about a class is answered about it.
                doubts.push(make(Why::Between(second, first), second, margin));
            }
            if is_wanted(first) {
                likely.push(make(Why::Probably(first), first, margin));
            }
            continue;
        }
        for (class, threshold) in card.thresholds.iter().enumerate() {
            if is_wanted(class) && is_free(class) {
                let margin = (f64::from(values[class]) - threshold).abs();
                doubts.push(make(Why::Whether(class), class, margin));
                if f64::from(values[class]) >= *threshold {
                    likely.push(make(Why::Probably(class), class, margin));
                }
            }
        }
    }
    (doubts, likely)
}

/// The most probable class but for `first`.
fn second(values: &[f32], first: usize) -> Option<usize> {
    let others = (0..values.len()).filter(|&class| class != first);
    others.reduce(|a, b| if values[b] > values[a] { b } else { a })
}

fn sort_doubts(all: &mut [Suggestion]) {
    all.sort_by(|a, b| a.margin.total_cmp(&b.margin).then_with(|| a.order.cmp(&b.order)));
}

fn sort_likely(all: &mut [Suggestion]) {
    all.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.order.cmp(&b.order)));
}

/// The first ones of a recording that share no time.
fn apart(sorted: Vec<Suggestion>) -> Vec<Suggestion> {
    let mut kept: Vec<Suggestion> = Vec::new();
    for one in sorted {
        if kept.len() == OF_A_RECORDING {
            break;
        }
        if !kept.iter().any(|other| shares_time(other, &one)) {
            kept.push(one);
        }
    }
    kept
}

fn shares_time(a: &Suggestion, b: &Suggestion) -> bool {
    match (a.range, b.range) {
        (Some(a), Some(b)) => overlap(a, b),
        _ => true,
    }
}

#[derive(Default)]
struct Chosen {
    suggestions: Vec<Suggestion>,
    of_recordings: HashSet<i64>,
}

impl Chosen {
    /// Takes from `sorted` until there are `count`: of new recordings first.
    fn take(&mut self, sorted: Vec<Suggestion>, count: usize) {
        let (new, others): (Vec<_>, Vec<_>) =
            sorted.into_iter().partition(|one| !self.of_recordings.contains(&one.recording));
        for one in new.into_iter().chain(others) {
            if self.suggestions.len() >= count {
                break;
            }
            let same = self.suggestions.iter().filter(|other| other.recording == one.recording);
            if !same.into_iter().any(|other| shares_time(other, &one)) {
                self.of_recordings.insert(one.recording);
                self.suggestions.push(one);
            }
        }
    }
}

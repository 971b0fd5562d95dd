//! What keeps scores from being what they seem, in sentences.
//!
//! In: scores. Out: their notes.

use super::rows::Rows;
use super::threshold::{Threshold, falls_short};
use super::{ClassScores, ScoreOptions, Scores};
use crate::train::task::Task;

/// Groups of a class below which its numbers are of little worth.
const FEW_GROUPS: usize = 10;
/// Classes that a sentence names at most.
const NAMED: usize = 5;

/// The interval of an accuracy of 1 or 0. All resamples are perfect then, which says nothing; the
/// limit of what so many groups leave possible does: 0.025 to the power of one over their number
/// (C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits illustrated in the
/// case of the binomial", 1934), taking each group as one trial.
pub(super) fn mend_perfect(scores: &mut Scores) {
    if scores.groups < 2 || scores.accuracy.low.is_some() {
        return;
    }
    let limit = 0.025_f64.powf(1.0 / scores.groups as f64);
    let (low, high) = match scores.accuracy.value {
        Some(1.0) => (limit, 1.0),
        Some(0.0) => (0.0, 1.0 - limit),
        _ => return,
    };
    (scores.accuracy.low, scores.accuracy.high) = (Some(low), Some(high));
    scores.notes.push(format!(
        "all held-out rows were {}: the interval is what {} groups leave possible",
        if low > 0.0 { "right" } else { "wrong" },
        scores.groups
    ));
}

/// Says what is missing, and what is worth little.
pub(super) fn explain(scores: &mut Scores, rows: &Rows<'_>, options: &ScoreOptions<'_>) {
    let mut notes = std::mem::take(&mut scores.notes);
    let mut say = |note: String| notes.push(note);
    if scores.rows == 0 {
        say("nothing was held out, so there are no scores".to_owned());
    } else if scores.groups < 2 {
        say("all held-out rows are of one group, so there are no intervals".to_owned());
    } else if scores.groups < FEW_GROUPS {
        say(format!(
            "the held-out rows are of only {} groups: the intervals are too narrow",
            scores.groups
        ));
    }
    if let Some(note) = no_better_than_chance(scores) {
        say(note);
    }
    if scores.resamples > 0 && scores.resamples < options.resamples {
        say(format!(
            "intervals come from {} resamples, since there are many rows",
            scores.resamples
        ));
    }
    if scores.task != Task::Regression && rows.broken > 0 {
        say(format!("the head said NaN or infinity of {} rows", rows.broken));
    }
    let mut of_classes = |wrong: &dyn Fn(&ClassScores) -> bool, what: &str| {
        let names: Vec<&str> = scores
            .classes
            .iter()
            .filter(|class| wrong(class))
            .map(|class| class.class.as_str())
            .collect();
        if !names.is_empty() && scores.rows > 0 {
            say(format!("{what}: {}", listed(&names)));
        }
    };
    of_classes(&|class| class.positives == 0, "no held-out row is of these classes");
    of_classes(
        &|class| class.positives > 0 && class.negatives == 0,
        "no held-out row is known not to be of these classes, so they have no curves",
    );
    // Where there are few groups at all, that is said of all classes.
    let are_many = scores.groups >= FEW_GROUPS;
    of_classes(
        &|class| are_many && class.groups > 0 && class.groups < FEW_GROUPS,
        "fewer than 10 groups, so the numbers of these classes may be far off",
    );
    let precise = |class: &ClassScores| class.thresholds.for_precision;
    let wanted = options.precision;
    of_classes(
        &|class| class.positives > 0 && precise(class).is_none(),
        &format!("no threshold has a precision of {wanted} for these classes"),
    );
    let short = |threshold: Threshold| falls_short(&threshold, wanted);
    of_classes(
        &|class| precise(class).is_some_and(short),
        &format!(
            "thresholds for a precision of {wanted} reached less on rows that they were not \
             chosen by, of these classes"
        ),
    );
    scores.notes = notes;
}

/// That a head may have learnt nothing, where its interval reaches what an answer without hearing has.
fn no_better_than_chance(scores: &Scores) -> Option<String> {
    let baseline = &scores.baseline;
    let (name, low, without) = match scores.task {
        Task::Single => ("accuracy", scores.accuracy.low?, baseline.accuracy?),
        Task::Multi => {
            ("balanced accuracy", scores.balanced_accuracy.low?, baseline.balanced_accuracy?)
        }
        Task::Regression => ("R²", scores.numbers.as_ref()?.r_squared.low?, 0.0),
    };
    (low <= without).then(|| {
        format!(
            "this head may be no better than {}: that has the {name} {without:.3}, and the head's \
             interval begins at {low:.3}; more labels, other classes or another model may help",
            baseline.says
        )
    })
}

/// Names, the first few of many.
fn listed(names: &[&str]) -> String {
    let first = names[..names.len().min(NAMED)].join(", ");
    match names.len() - names.len().min(NAMED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

//! Numbers of a report as words, the same ones in text and in HTML.
//!
//! In: a report. Out: tables of text.

use super::Report;
use crate::train::score::{Bin, Calibration, ClassScores, Estimate, Mistake, Threshold};
use crate::train::task::Task;

/// A table: headings, and rows of as many cells. The first column is text, as are those that
/// `words` says; the others are numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    pub(super) headings: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
    pub(super) words: Vec<usize>,
}

impl Table {
    pub(super) fn new(headings: &[&str], words: &[usize]) -> Self {
        Self {
            headings: headings.iter().map(|&heading| heading.to_owned()).collect(),
            rows: Vec::new(),
            words: words.to_vec(),
        }
    }

    pub(super) fn is_words(&self, column: usize) -> bool {
        column == 0 || self.words.contains(&column)
    }
}

/// What is not defined.
const NOTHING: &str = "–";

/// A share, to a tenth of a per cent and no further.
pub(super) fn share(value: Option<f64>) -> String {
    value.map_or_else(|| NOTHING.to_owned(), |value| format!("{value:.3}"))
}

/// A number of any size, to four digits.
pub(super) fn number(value: Option<f64>) -> String {
    let Some(value) = value else { return NOTHING.to_owned() };
    let size = value.abs();
    if size != 0.0 && !(0.001..100_000.0).contains(&size) {
        return format!("{value:.3e}");
    }
    let digits = [(1_000.0, 0), (100.0, 1), (10.0, 2)];
    let digits = digits.into_iter().find(|&(from, _)| size >= from).map_or(3, |(_, digits)| digits);
    format!("{value:.digits$}")
}

/// A round number, as axes have.
pub(super) fn tick(value: f64) -> String {
    let text = number(Some(value));
    match text.split_once('.') {
        Some((_, digits)) if !digits.contains('e') => {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => text,
    }
}

/// The ends of an interval.
pub(super) fn interval(estimate: Estimate, word: fn(Option<f64>) -> String) -> String {
    match (estimate.low, estimate.high) {
        (Some(low), Some(high)) => format!("{} to {}", word(Some(low)), word(Some(high))),
        _ => NOTHING.to_owned(),
    }
}

/// The numbers that matter most, beside those of a head that has heard nothing.
pub(super) fn overall(report: &Report) -> Table {
    let mut table = Table::new(&["", "held out", "95 %", "without hearing"], &[]);
    let (scores, baseline) = (&report.scores, &report.scores.baseline);
    let mut row = |name: &str, estimate: Estimate, without, word: fn(Option<f64>) -> String| {
        let cells =
            [name.to_owned(), word(estimate.value), interval(estimate, word), word(without)];
        table.rows.push(cells.into());
    };
    if let Some(numbers) = &scores.numbers {
        let squared = baseline.root_mean_square_error;
        row(
            "mean absolute error",
            numbers.mean_absolute_error,
            baseline.mean_absolute_error,
            number,
        );
        row("root mean square error", numbers.root_mean_square_error, squared, number);
        row("R²", numbers.r_squared, squared.map(|_| 0.0), share);
        row("Spearman's correlation", numbers.spearman, None, share);
        row("Pearson's correlation", numbers.pearson, None, share);
        return table;
    }
    let is_single = scores.task == Task::Single;
    if is_single {
        row("accuracy", scores.accuracy, baseline.accuracy, share);
    }
    row("balanced accuracy", scores.balanced_accuracy, baseline.balanced_accuracy, share);
    row("macro F1", scores.macro_f1, baseline.macro_f1, share);
    row("mean ROC-AUC", scores.macro_roc_auc, baseline.macro_roc_auc, share);
    let precision = scores.mean_average_precision;
    row("mean average precision", precision, baseline.mean_average_precision, share);
    if let Some(calibration) = &scores.calibration {
        let loss = Estimate::bare(calibration.log_loss_before);
        row("log loss", loss, baseline.log_loss, share);
        let after = Estimate::bare(calibration.log_loss_after);
        row("log loss, with temperature", after, baseline.log_loss, share);
        let error = Estimate::bare(calibration.expected_calibration_error_before);
        row("calibration error", error, None, share);
        let after = Estimate::bare(calibration.expected_calibration_error_after);
        row("calibration error, with temperature", after, None, share);
    }
    table
}

/// A row a class.
pub(super) fn by_class(report: &Report) -> Table {
    let is_multi = report.scores.task == Task::Multi;
    let has_examples = !report.learnt_from.classes.is_empty();
    let mut headings = vec!["class"];
    if has_examples {
        headings.push("groups learnt from");
    }
    headings.extend(if is_multi { &["yes", "no", "unknown"][..] } else { &["rows"] });
    headings.extend(["groups", "precision", "recall", "F1", "ROC-AUC", "AP"]);
    let mut table = Table::new(&headings, &[]);
    for class in &report.scores.classes {
        let mut cells = vec![class.class.clone()];
        if has_examples {
            let examples = &report.learnt_from.classes;
            let examples = examples.iter().find(|examples| examples.class == class.class);
            cells.push(examples.map_or_else(|| NOTHING.to_owned(), |of| of.groups.to_string()));
        }
        cells.push(class.positives.to_string());
        if is_multi {
            cells.extend([class.negatives, class.unknown].map(|count| count.to_string()));
        }
        cells.push(class.groups.to_string());
        cells.extend(
            [class.precision, class.recall, class.f1, class.roc_auc, class.average_precision]
                .map(share),
        );
        table.rows.push(cells);
    }
    table
}

/// What stands where a threshold is that of the columns before it.
const SAME: &str = "the same";

/// Thresholds by class: what they are chosen by, and what they reach elsewhere. Where the one of the
/// wanted precision is that of the best F1 too, it is told once: what each way of choosing reaches
/// elsewhere was found with what it chose on other folds, which may be two different ones there, and
/// twice the same number with two results is a riddle.
pub(super) fn thresholds(report: &Report) -> Table {
    let wanted = format!("precision {}", report.scores.wanted_precision);
    let mut table = Table::new(
        &[
            "class",
            "",
            "reaches precision",
            "recall",
            "best F1 from",
            "reaches precision",
            "recall",
        ],
        &[],
    );
    table.headings[1] = format!("{wanted} from");
    let of = |threshold: Option<Threshold>| {
        let part = |read: fn(Threshold) -> Option<f64>| share(threshold.and_then(read));
        [
            part(|threshold| Some(threshold.probability)),
            part(|threshold| threshold.precision_elsewhere),
            part(|threshold| threshold.recall_elsewhere),
        ]
    };
    let shown = |threshold: Option<Threshold>| threshold.map(|one| share(Some(one.probability)));
    let row = |class: &ClassScores| {
        let mut cells = vec![class.class.clone()];
        cells.extend(of(class.thresholds.for_precision));
        let (first, second) = (class.thresholds.for_precision, class.thresholds.for_f1);
        if first.is_some() && shown(first) == shown(second) {
            cells.extend([SAME, "", ""].map(str::to_owned));
        } else {
            cells.extend(of(second));
        }
        cells
    };
    table.rows = report.scores.classes.iter().map(row).collect();
    table
}

/// The pairs of classes that are confused most often, at most `most`.
pub(super) fn confused(report: &Report, most: usize) -> Table {
    let mut table = Table::new(&["what it is", "what was said", "rows"], &[1]);
    let pairs = report.scores.confusion.iter().flat_map(|confusion| &confusion.pairs).take(most);
    table.rows = pairs
        .map(|pair| vec![pair.truth.clone(), pair.said.clone(), pair.count.to_string()])
        .collect();
    table
}

/// What the worst mistakes are called.
pub(super) fn mistakes_heading(report: &Report) -> &'static str {
    if report.scores.task == Task::Regression { "Greatest errors" } else { "Surest mistakes" }
}

/// The worst mistakes, at most `most`.
pub(super) fn mistakes(report: &Report, most: usize) -> Table {
    let of_numbers = report.scores.task == Task::Regression;
    let last = if of_numbers { "error" } else { "probability" };
    let mut table =
        Table::new(&["recording", "stretch", "what it is", "what was said", last], &[1, 2, 3]);
    let row = |mistake: &Mistake| {
        let recording = mistake.path.clone().unwrap_or_else(|| format!("id:{}", mistake.recording));
        let stretch = match (mistake.start_s, mistake.end_s) {
            (Some(start), Some(end)) => format!("{start:.2}–{end:.2} s"),
            _ => "all".to_owned(),
        };
        let size = if of_numbers { number(mistake.error) } else { share(mistake.probability) };
        vec![recording, stretch, mistake.truth.clone(), mistake.said.clone(), size]
    };
    table.rows = report.mistakes.iter().take(most).map(row).collect();
    table
}

/// The bins of the reliability diagram.
pub(super) fn reliability(calibration: &Calibration) -> Table {
    let headings = ["", "probability", "share that is true", "rows"];
    let mut table = Table::new(&headings, &[]);
    for (name, bins) in [
        ("without temperature", &calibration.bins_before),
        ("with temperature", &calibration.bins_after),
    ] {
        table.rows.extend(bins.iter().map(|bin| {
            let Bin { probability, share: came_true, count } = *bin;
            vec![
                name.to_owned(),
                share(Some(probability)),
                share(Some(came_true)),
                count.to_string(),
            ]
        }));
    }
    table
}

/// What the temperature says, in words.
pub(super) fn temperature(report: &Report) -> Option<String> {
    let temperature = report.scores.calibration.as_ref()?.temperature;
    let meaning = if temperature > 1.05 {
        "the head is surer than it should be"
    } else if temperature < 0.95 {
        "the head is less sure than it could be"
    } else {
        "probabilities are about as sure as they should be"
    };
    Some(format!("temperature {temperature:.2}: {meaning}"))
}

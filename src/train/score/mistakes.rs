//! The held-out rows that a head was surest of and wrong about: often the label is.
//!
//! In: held-out rows. Out: [`Mistake`]s, the worst first.

use serde::{Deserialize, Serialize};

use super::super::held_out::HeldOut;
use super::super::task::{Known, Targets};
use super::probability::{Scale, most_probable};
use super::rows::Rows;

/// A row that a head was wrong about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mistake {
    /// The recording's row id.
    pub recording: i64,
    /// Its path, where whoever lists mistakes has looked it up.
    pub path: Option<String>,
    /// Where the row begins; `None` of whole recordings.
    pub start_s: Option<f64>,
    /// Where it ends.
    pub end_s: Option<f64>,
    /// What is true: a class, `not` a class, or a number.
    pub truth: String,
    /// What the head said.
    pub said: String,
    /// The probability of what it said, after the temperature; `None` of numbers.
    pub probability: Option<f64>,
    /// Said less true; `None` of classes.
    pub error: Option<f64>,
}

/// The `count` worst mistakes: of classes those that the head was surest of, of numbers those that
/// are farthest off. At `temperature`, as in [`Calibration`](super::Calibration).
pub fn mistakes(held_out: &HeldOut, temperature: f64, count: usize) -> Vec<Mistake> {
    let Ok(rows) = Rows::new(held_out) else { return Vec::new() };
    let scale = Scale::new(&rows, temperature);
    let mut wrong: Vec<(f64, usize, usize)> = Vec::new();
    for row in 0..rows.len() {
        match &held_out.targets {
            Targets::Single(truths) => {
                let said = most_probable(rows.row(row));
                if truths[row] as usize != said {
                    wrong.push((scale.probability(&rows, row, said), row, said));
                }
            }
            Targets::Multi(_) => {
                for class in 0..rows.class_count() {
                    let says = rows.row(row)[class] >= 0.0;
                    let probability = scale.probability(&rows, row, class);
                    match rows.known(row, class) {
                        Known::Yes if !says => wrong.push((1.0 - probability, row, class)),
                        Known::No if says => wrong.push((probability, row, class)),
                        _ => {}
                    }
                }
            }
            Targets::Numbers(numbers) => {
                let error = f64::from(rows.outputs[row]) - f64::from(numbers[row]);
                if error.is_finite() && error != 0.0 {
                    wrong.push((error.abs(), row, 0));
                }
            }
        }
    }
    let worst = |a: &(f64, usize, usize), b: &(f64, usize, usize)| {
        b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2)))
    };
    if wrong.len() > count && count > 0 {
        wrong.select_nth_unstable_by(count - 1, worst);
    }
    wrong.truncate(count);
    wrong.sort_unstable_by(worst);
    wrong.into_iter().map(|found| described(&rows, found)).collect()
}

fn described(rows: &Rows<'_>, (size, row, class): (f64, usize, usize)) -> Mistake {
    let held_out = rows.held_out;
    let name = &held_out.classes[class];
    let (truth, said, error) = match &held_out.targets {
        Targets::Single(truths) => {
            (held_out.classes[truths[row] as usize].clone(), name.clone(), None)
        }
        Targets::Multi(_) if rows.known(row, class) == Known::Yes => {
            (name.clone(), format!("not {name}"), None)
        }
        Targets::Multi(_) => (format!("not {name}"), name.clone(), None),
        Targets::Numbers(numbers) => {
            let (truth, said) = (numbers[row], rows.outputs[row]);
            (truth.to_string(), said.to_string(), Some(f64::from(said) - f64::from(truth)))
        }
    };
    let place = held_out.rows[row];
    Mistake {
        recording: place.recording,
        path: None,
        start_s: place.range.map(|range| range.start_s),
        end_s: place.range.map(|range| range.end_s),
        truth,
        said,
        probability: error.is_none().then_some(size),
        error,
    }
}

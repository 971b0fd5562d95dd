//! Which classes are taken for which.
//!
//! In: held-out rows of one class each. Out: [`Confusion`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::task::Targets;
use super::probability::most_probable;
use super::rows::Rows;

/// Classes up to which the whole matrix is kept; with more nobody can read it.
const MOST_CLASSES: usize = 50;
/// Pairs that are kept.
const MOST_PAIRS: usize = 50;

/// Which classes are taken for which.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Confusion {
    /// Rows by true class and, within it, by the class that was said, in the order of the head's
    /// classes; `None` of more than 50 classes.
    pub matrix: Option<Vec<Vec<u64>>>,
    /// The pairs that are confused most often, most often first.
    pub pairs: Vec<Confused>,
}

/// A class that was taken for another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confused {
    /// What it is.
    pub truth: String,
    /// What was said.
    pub said: String,
    /// In how many rows.
    pub count: u64,
}

impl Confusion {
    pub(super) fn new(rows: &Rows<'_>) -> Option<Self> {
        let Targets::Single(truths) = &rows.held_out.targets else { return None };
        let mut cells: BTreeMap<(usize, usize), u64> = BTreeMap::new();
        for (row, &truth) in truths.iter().enumerate() {
            *cells.entry((truth as usize, most_probable(rows.row(row)))).or_default() += 1;
        }
        let classes = &rows.held_out.classes;
        let matrix = (classes.len() <= MOST_CLASSES).then(|| {
            let mut matrix = vec![vec![0; classes.len()]; classes.len()];
            for (&(truth, said), &count) in &cells {
                matrix[truth][said] = count;
            }
            matrix
        });
        let mut wrong: Vec<_> =
            cells.into_iter().filter(|((truth, said), _)| truth != said).collect();
        wrong.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        wrong.truncate(MOST_PAIRS);
        let pair = |((truth, said), count): ((usize, usize), u64)| Confused {
            truth: classes[truth].clone(),
            said: classes[said].clone(),
            count,
        };
        Some(Self { matrix, pairs: wrong.into_iter().map(pair).collect() })
    }
}

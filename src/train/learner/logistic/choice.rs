//! Which C each head takes, from held-out rows inside of what it learns from.
//!
//! In: a lesson. Out: [`Choice`]: for each fold's head, and for the one that learns from all, a C
//! and where its fit ended. Heads are kept (one without each outer fold, one of everything) or only
//! judge: they are fitted without one inner fold more, and asked about that.

use std::collections::BTreeSet;

use super::super::Lesson;
use super::super::lbfgs::Enough;
use super::super::moments::{Cell, Sums};
use super::loss::Losses;
use super::problem::Problem;
use crate::error::Result;
use crate::train::split::{Plan, split};
use crate::train::task::Targets;

/// The values of C that are tried, from the strongest regularisation on.
const STRENGTHS: [f64; 8] = [0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];

/// What is taken where there are too few groups to choose by, as scikit-learn's default.
const USUAL_STRENGTH: f64 = 1.0;

/// Groups of a class below which held-out losses say nothing of how much to regularise.
const LEAST_GROUPS: usize = 3;

/// Folds up to which pairs of them are left out: more would be too many pairs.
pub(super) const FOLDS_IN_PAIRS: usize = 10;

/// Folds to choose by where rows are not held out in folds anyway.
const INNER_FOLDS: usize = 4;

/// When a minimum is near enough while C is chosen: held-out losses hardly change after that.
const ENOUGH_TO_CHOOSE: Enough = Enough { steepest: 5e-4, gain: 1e-6 };

/// The share of the work that choosing is.
pub(super) const CHOOSING: f64 = 0.8;

/// What was chosen: for each fold's head, and last for the one that learns from all.
pub(super) struct Choice {
    pub(super) strengths: Vec<f64>,
    /// Where fits ended, `[classes, dimension + 1]` each.
    pub(super) points: Vec<Vec<f32>>,
}

/// Rows are left out of a fit by their outer or inner fold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Without {
    outer: Option<u32>,
    inner: Option<u32>,
}

impl Without {
    fn leaves_out(self, (outer, inner): Cell) -> bool {
        (self.outer.is_some() && self.outer == outer)
            || (self.inner.is_some() && self.inner == inner)
    }
}

/// All fits: first those that are kept, then those that judge.
struct Fits {
    all: Vec<Without>,
    kept: usize,
    /// For each kept fit, the fits that judge it, each with the inner fold that it is asked about.
    judges: Vec<Vec<(usize, u32)>>,
}

impl Fits {
    /// With `same`, inner folds are outer ones: what is learnt without f and g is learnt without g
    /// and f, and the fit without f alone judges the one of everything.
    fn new(kept: &[Option<u32>], inner_count: u32, same: bool) -> Self {
        let mut all: Vec<Without> =
            kept.iter().map(|&outer| Without { outer, inner: None }).collect();
        let kept = all.len();
        let mut judges = Vec::new();
        for head in 0..kept {
            let outer = all[head].outer;
            let mut by = Vec::new();
            for fold in (0..inner_count).filter(|fold| !same || outer != Some(*fold)) {
                let wanted = match (same, outer) {
                    (false, _) => Without { outer, inner: Some(fold) },
                    (true, None) => Without { outer: Some(fold), inner: None },
                    (true, Some(outer)) => {
                        Without { outer: Some(outer.min(fold)), inner: Some(outer.max(fold)) }
                    }
                };
                let known = all.iter().position(|fit| *fit == wanted);
                let number = known.unwrap_or_else(|| {
                    all.push(wanted);
                    all.len() - 1
                });
                by.push((number, fold));
            }
            judges.push(by);
        }
        Self { all, kept, judges }
    }

    /// The mean loss of kept fit `head` on what its judges have not seen; `losses` are
    /// `[fits, rows]`.
    fn held_out_loss(&self, head: usize, cells: &[Cell], losses: &[f32]) -> f64 {
        let (mut sum, mut count) = (0.0, 0.0);
        for &(judge, fold) in &self.judges[head] {
            let losses = &losses[judge * cells.len()..][..cells.len()];
            for (&(outer, inner), &loss) in cells.iter().zip(losses) {
                let is_left_out = self.all[head].outer.is_some() && self.all[head].outer == outer;
                if inner == Some(fold) && !is_left_out && !loss.is_nan() {
                    sum += f64::from(loss);
                    count += 1.0;
                }
            }
        }
        if count > 0.0 { sum / count } else { f64::INFINITY }
    }
}

/// Chooses C for the heads without each of the folds `kept`; `None` is the one that has all. Up to
/// [`FOLDS_IN_PAIRS`] folds, `kept` has to be all of them.
pub(super) fn choose(lesson: &Lesson<'_>, kept: &[Option<u32>]) -> Result<Choice> {
    let (inner, inner_count) = inner_folds(lesson);
    let cells: Vec<Cell> = lesson.folds.iter().copied().zip(inner.iter().copied()).collect();
    let same = are_paired(lesson);
    let fits = Fits::new(kept, inner_count, same);
    let sums = Sums::read(lesson.rows, |row| cells[row])?;
    let problem = |without: &Without| {
        let learns: Vec<bool> = cells.iter().map(|cell| !without.leaves_out(*cell)).collect();
        Problem::new(lesson, sums.moments(|cell| !without.leaves_out(cell)), &learns)
    };
    let mut losses = Losses::new(lesson, fits.all.iter().map(problem).collect());
    let width = lesson.class_count * (lesson.rows.dimension() + 1);
    let mut points = vec![vec![0.0; width]; fits.all.len()];
    if inner_count < 2 || !is_enough(lesson) {
        let strengths = vec![USUAL_STRENGTH; fits.kept];
        points.truncate(fits.kept);
        return Ok(Choice { strengths, points });
    }
    let mut best: Vec<(f64, f64)> = vec![(f64::INFINITY, USUAL_STRENGTH); fits.kept];
    let mut ends = points[..fits.kept].to_vec();
    let mut worse = vec![0; fits.kept];
    for (number, strength) in STRENGTHS.into_iter().enumerate() {
        lesson.goes_on(CHOOSING * number as f64 / STRENGTHS.len() as f64)?;
        losses.set_strength(strength);
        // From where the stronger regularisation ended.
        points = losses.minimise(&points, ENOUGH_TO_CHOOSE, || Ok(()))?;
        let said = losses.row_losses(&points)?;
        for head in 0..fits.kept {
            let loss = fits.held_out_loss(head, &cells, &said);
            if loss < best[head].0 {
                best[head] = (loss, strength);
                ends[head].clone_from(&points[head]);
                worse[head] = 0;
            } else {
                worse[head] += 1;
            }
        }
        // Past the best, things get worse and slower.
        if worse.iter().all(|count| *count >= 2) {
            break;
        }
    }
    Ok(Choice { strengths: best.into_iter().map(|(_, strength)| strength).collect(), points: ends })
}

/// Whether the outer folds are the inner ones, too.
pub(super) fn are_paired(lesson: &Lesson<'_>) -> bool {
    (3..=FOLDS_IN_PAIRS).contains(&lesson.fold_count) && lesson.folds.iter().all(Option::is_some)
}

/// Whether every class has groups to learn from and to judge by, in each inner fold.
fn is_enough(lesson: &Lesson<'_>) -> bool {
    let Targets::Single(found) = lesson.targets else { return true };
    let mut groups = vec![BTreeSet::new(); lesson.class_count];
    for (&class, &group) in found.iter().zip(lesson.groups) {
        groups[class as usize].insert(group);
    }
    groups.iter().all(|groups| groups.is_empty() || groups.len() >= LEAST_GROUPS)
}

/// The inner fold of every row. Where there are three outer folds or more, these serve: what is
/// learnt without two of them serves twice.
fn inner_folds(lesson: &Lesson<'_>) -> (Vec<Option<u32>>, u32) {
    if are_paired(lesson) {
        let count = u32::try_from(lesson.fold_count).unwrap_or(u32::MAX);
        return (lesson.folds.to_vec(), count);
    }
    let groups = lesson.groups.iter().max().map_or(0, |last| *last as usize + 1);
    let count = INNER_FOLDS.min(groups / 2);
    if count < 2 {
        return (vec![None; lesson.rows.len()], 0);
    }
    let seed = lesson.seed.wrapping_add(1);
    let folds = split(lesson.targets, lesson.class_count, lesson.groups, Plan::Folds(count), seed);
    (folds.of_rows(lesson.groups), u32::try_from(count).unwrap_or(u32::MAX))
}

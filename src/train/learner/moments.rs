//! The mean and the spread of each dimension, over the rows that a head learns from only.
//!
//! In: rows in blocks with the folds that they are held out in. Out: [`Moments`] of what remains
//! without some folds, from one pass: sums are kept by fold and subtracted.

use std::collections::BTreeMap;

use super::Lesson;
use crate::error::Result;

/// A spread below this share of the mean one is taken for that: a dimension that is nearly always
/// zero would otherwise decide everything wherever it is not.
const LEAST_SPREAD: f64 = 1e-2;

/// What standardises rows: (x − mean) / scale.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Moments {
    /// `[dimension]`.
    pub(super) mean: Vec<f32>,
    /// `[dimension]`, above zero.
    pub(super) scale: Vec<f32>,
}

impl Moments {
    /// The moments of all rows of `dimension` values that `read` adds.
    pub(super) fn of(
        dimension: usize,
        read: impl FnOnce(&mut dyn FnMut(&[f32])) -> Result<()>,
    ) -> Result<Self> {
        let mut all = Cellful::new(dimension);
        read(&mut |values| all.add(values))?;
        Ok(all.moments())
    }
}

/// Sums of rows, by the pair of folds in which they are held out.
#[derive(Debug)]
pub(super) struct Sums {
    dimension: usize,
    cells: BTreeMap<Cell, Cellful>,
}

/// The outer and the inner fold of a row.
pub(super) type Cell = (Option<u32>, Option<u32>);

#[derive(Clone, Debug)]
struct Cellful {
    count: f64,
    sums: Vec<f64>,
    squares: Vec<f64>,
}

impl Sums {
    /// Reads all rows once; `cell` says where each belongs.
    pub(super) fn read(lesson: &Lesson<'_>, cell: impl Fn(usize) -> Cell) -> Result<Self> {
        let dimension = lesson.rows.dimension();
        let mut cells: BTreeMap<Cell, Cellful> = BTreeMap::new();
        lesson.rows.for_each_block(|first, block| {
            for (row, values) in block.chunks_exact(dimension).enumerate() {
                let cellful = cells.entry(cell(first + row));
                cellful.or_insert_with(|| Cellful::new(dimension)).add(values);
            }
            Ok(())
        })?;
        Ok(Self { dimension, cells })
    }

    /// The moments of the rows that `learns` chooses by their folds.
    pub(super) fn moments(&self, learns: impl Fn(Cell) -> bool) -> Moments {
        let mut total = Cellful::new(self.dimension);
        for (_, cell) in self.cells.iter().filter(|(cell, _)| learns(**cell)) {
            total.count += cell.count;
            for (sum, more) in total.sums.iter_mut().zip(&cell.sums) {
                *sum += more;
            }
            for (sum, more) in total.squares.iter_mut().zip(&cell.squares) {
                *sum += more;
            }
        }
        total.moments()
    }
}

impl Cellful {
    fn new(dimension: usize) -> Self {
        Self { count: 0.0, sums: vec![0.0; dimension], squares: vec![0.0; dimension] }
    }

    fn add(&mut self, values: &[f32]) {
        self.count += 1.0;
        for ((sum, square), &value) in self.sums.iter_mut().zip(&mut self.squares).zip(values) {
            let value = f64::from(value);
            *sum += value;
            *square += value * value;
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "summed in f64, kept in f32")]
    fn moments(&self) -> Moments {
        let count = self.count.max(1.0);
        let means: Vec<f64> = self.sums.iter().map(|sum| sum / count).collect();
        let spreads: Vec<f64> = self
            .squares
            .iter()
            .zip(&means)
            .map(|(squares, mean)| (squares / count - mean * mean).max(0.0).sqrt())
            .collect();
        let usual = spreads.iter().sum::<f64>() / spreads.len().max(1) as f64;
        let least = if usual > 0.0 { LEAST_SPREAD * usual } else { 1.0 };
        let scale = |spread: &f64| if *spread < least { usual.max(least) } else { *spread } as f32;
        Moments {
            mean: means.iter().map(|mean| *mean as f32).collect(),
            scale: spreads.iter().map(scale).collect(),
        }
    }
}

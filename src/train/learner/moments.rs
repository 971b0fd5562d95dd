//! The mean and the spread of each dimension, over the rows that a head learns from only.
//!
//! In: rows in blocks with the folds that they are held out in. Out: [`Moments`] of what remains
//! without some folds, from one pass: sums are kept by fold and subtracted.

use std::collections::BTreeMap;
use std::ops::Range;

use rayon::prelude::*;

use crate::error::Result;
use crate::train::rows::Rows;

/// Spans that threads share out at most: a number that depends on the rows only, so that sums do, too.
const SPANS: usize = 16;

/// Rows that are read at once.
const ROWS_AT_ONCE: usize = 512;

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

/// As many rows each, in order.
fn spans(count: usize) -> Vec<Range<usize>> {
    let of_span = count.div_ceil(SPANS).next_multiple_of(ROWS_AT_ONCE).max(1);
    (0..count).step_by(of_span).map(|first| first..(first + of_span).min(count)).collect()
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
    /// Reads all rows once, several threads beside each other; `cell` says where each belongs.
    pub(super) fn read(rows: &Rows, cell: impl Fn(usize) -> Cell + Sync) -> Result<Self> {
        let dimension = rows.dimension();
        let of_span = |span: Range<usize>| {
            let mut cells: BTreeMap<Cell, Cellful> = BTreeMap::new();
            let mut values = vec![0.0; ROWS_AT_ONCE * dimension];
            for first in span.clone().step_by(ROWS_AT_ONCE) {
                let count = ROWS_AT_ONCE.min(span.end - first);
                let values = &mut values[..count * dimension];
                rows.read_range(first, values)?;
                for (row, values) in values.chunks_exact(dimension).enumerate() {
                    let cellful = cells.entry(cell(first + row));
                    cellful.or_insert_with(|| Cellful::new(dimension)).add(values);
                }
            }
            Ok(cells)
        };
        let of_spans: Vec<BTreeMap<Cell, Cellful>> =
            spans(rows.len()).into_par_iter().map(of_span).collect::<Result<_>>()?;
        let mut cells: BTreeMap<Cell, Cellful> = BTreeMap::new();
        for (cell, more) in of_spans.into_iter().flatten() {
            cells.entry(cell).or_insert_with(|| Cellful::new(dimension)).join(&more);
        }
        Ok(Self { dimension, cells })
    }

    /// The moments of the rows that `learns` chooses by their folds.
    pub(super) fn moments(&self, learns: impl Fn(Cell) -> bool) -> Moments {
        let mut total = Cellful::new(self.dimension);
        for (_, cell) in self.cells.iter().filter(|(cell, _)| learns(**cell)) {
            total.join(cell);
        }
        total.moments()
    }
}

impl Cellful {
    fn new(dimension: usize) -> Self {
        Self { count: 0.0, sums: vec![0.0; dimension], squares: vec![0.0; dimension] }
    }

    /// Adds what others have summed.
    fn join(&mut self, more: &Self) {
        self.count += more.count;
        for (sum, more) in self.sums.iter_mut().zip(&more.sums) {
            *sum += more;
        }
        for (sum, more) in self.squares.iter_mut().zip(&more.squares) {
            *sum += more;
        }
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

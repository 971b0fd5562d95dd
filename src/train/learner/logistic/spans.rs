//! The rows of a lesson in spans that threads go through beside each other.
//!
//! In: rows. Out: blocks of them, `[rows, dimension]`, in order within a span. How rows are divided
//! depends on their number and width only, so that sums over them are the same however many threads
//! there are.

use std::ops::Range;

use crate::error::Result;
use crate::train::rows::Rows;

/// Bytes of a block, as float32: what a core's own cache holds beside the weights, so that going back
/// over the rows for slopes finds them there.
const BLOCK_BYTES: usize = 512 << 10;

/// Spans at most.
const SPANS: usize = 32;

/// What is done with every block: its first row's number, and its rows, `[rows, dimension]`.
pub(super) type Visit<'a> = &'a mut dyn FnMut(usize, &[f32]) -> Result<()>;

/// Rows, divided.
#[derive(Debug)]
pub(super) struct Spans<'a> {
    rows: &'a Rows,
    block_rows: usize,
    ranges: Vec<Range<usize>>,
}

/// One of the spans, for one thread.
#[derive(Debug)]
pub(super) struct Span<'a> {
    rows: &'a Rows,
    block_rows: usize,
    range: Range<usize>,
}

impl<'a> Spans<'a> {
    /// Divides `rows`.
    pub(super) fn of(rows: &'a Rows) -> Self {
        let block_rows = (BLOCK_BYTES / (4 * rows.dimension())).max(1);
        let span_rows = rows.len().div_ceil(SPANS).next_multiple_of(block_rows).max(1);
        let ranges = (0..rows.len())
            .step_by(span_rows)
            .map(|first| first..(first + span_rows).min(rows.len()))
            .collect();
        Self { rows, block_rows, ranges }
    }

    /// The spans, in order.
    pub(super) fn each(&self) -> impl Iterator<Item = Span<'a>> {
        let (rows, block_rows) = (self.rows, self.block_rows);
        self.ranges.iter().map(move |range| Span { rows, block_rows, range: range.clone() })
    }
}

impl Span<'_> {
    /// Calls `visit` with every block.
    pub(super) fn for_each_block(&self, visit: Visit<'_>) -> Result<()> {
        let dimension = self.rows.dimension();
        let mut singles = Vec::new();
        for first in self.range.clone().step_by(self.block_rows) {
            let count = self.block_rows.min(self.range.end - first) * dimension;
            if let Some(values) = self.rows.in_memory() {
                visit(first, &values[first * dimension..][..count])?;
                continue;
            }
            singles.resize(count, 0.0);
            self.rows.read_range(first, &mut singles)?;
            visit(first, &singles)?;
        }
        Ok(())
    }
}

/// How many threads libtorch may use for what this thread asks of it.
pub(in crate::train::learner) fn use_threads(count: usize) {
    tch::set_num_threads(i32::try_from(count).unwrap_or(1));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::rows::RowsBuilder;

    #[test]
    fn every_row_is_seen_once_in_memory_and_in_files() {
        // Two blocks and a half a span, and a last one that is shorter.
        let dimension = 64;
        let block_rows = BLOCK_BYTES / (4 * dimension);
        let count = SPANS * 2 * block_rows + block_rows / 2;
        let value = |row: usize, column: usize| ((row * 7 + column) % 1_000) as f32;
        // A third in no half: such rows are kept as float32.
        for third in [0.0, 1.0 / 3.0] {
            for bytes in [usize::MAX, 1 << 20] {
                let mut rows = RowsBuilder::keeping(dimension, bytes);
                for row in 0..count {
                    let values = (0..dimension).map(|column| value(row, column) + third);
                    rows.push(&values.collect::<Vec<f32>>()).unwrap();
                }
                let rows = rows.finish().unwrap();
                assert_eq!(rows.in_memory().is_some(), bytes == usize::MAX);
                let spans = Spans::of(&rows);
                let each: Vec<Span<'_>> = spans.each().collect();
                assert!((2..=SPANS).contains(&each.len()));
                let mut next = 0;
                for span in each {
                    span.for_each_block(&mut |first, block| {
                        assert_eq!(first, next);
                        for row in block.chunks_exact(dimension) {
                            for column in [0, 63] {
                                let expected = value(next, column) + third;
                                assert_eq!(row[column].to_bits(), expected.to_bits());
                            }
                            next += 1;
                        }
                        Ok(())
                    })
                    .unwrap();
                }
                assert_eq!(next, count);
            }
        }
    }
}

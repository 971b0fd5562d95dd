//! The rows of a lesson as tensors, in spans that threads go through beside each other.
//!
//! In: rows. Out: blocks of them, `[rows, dimension]`, in order within a span. How rows are divided
//! depends on their number and width only, so that sums over them are the same however many threads
//! there are. Each thread has a libtorch of one thread: libtorch's own threads wait for one another by
//! spinning, which on a busy machine takes longer than the work.

use std::ops::Range;

use half::f16;
use tch::{Kind, Tensor};

use super::super::failed;
use crate::error::Result;
use crate::model::torch::Torch;
use crate::train::rows::Rows;
use crate::units::signed;

/// Bytes of a block, as float32: what a core's own cache holds, so that going back over the rows
/// for slopes finds them there.
const BLOCK_BYTES: usize = 2 << 20;

/// Spans at most.
const SPANS: usize = 32;

/// What is done with every block: its first row's number, and its rows, `[rows, dimension]`.
pub(super) type Visit<'a> = &'a mut dyn FnMut(usize, &Tensor) -> Torch<()>;

/// Rows, divided.
#[derive(Debug)]
pub(super) struct Spans<'a> {
    rows: &'a Rows,
    block_rows: usize,
    ranges: Vec<Range<usize>>,
    /// All blocks, where the rows are in memory.
    blocks: Vec<Tensor>,
}

/// One of the spans, for one thread.
#[derive(Debug)]
pub(super) struct Span<'a> {
    rows: &'a Rows,
    block_rows: usize,
    range: Range<usize>,
    blocks: Vec<Tensor>,
}

impl<'a> Spans<'a> {
    /// Divides `rows`.
    pub(super) fn of(rows: &'a Rows) -> Result<Self> {
        let dimension = rows.dimension();
        let block_rows = (BLOCK_BYTES / (4 * dimension)).max(1);
        let span_rows = rows.len().div_ceil(SPANS).next_multiple_of(block_rows).max(1);
        let ranges = (0..rows.len())
            .step_by(span_rows)
            .map(|first| first..(first + span_rows).min(rows.len()))
            .collect();
        let blocks = rows.in_memory().map_or(&[][..], |values| values);
        let blocks = blocks
            .chunks(block_rows * dimension)
            .map(|block| Tensor::f_from_slice(block)?.f_view([-1, signed(dimension)]))
            .collect::<Torch<Vec<Tensor>>>()
            .map_err(failed)?;
        Ok(Self { rows, block_rows, ranges, blocks })
    }

    /// The spans, in order; their tensors share what they hold.
    pub(super) fn each(&self) -> Vec<Span<'a>> {
        let blocks_of = |range: &Range<usize>| {
            let last = range.end.div_ceil(self.block_rows).min(self.blocks.len());
            let first = (range.start / self.block_rows).min(last);
            self.blocks[first..last].iter().map(Tensor::shallow_clone).collect()
        };
        let span = |range: &Range<usize>| Span {
            rows: self.rows,
            block_rows: self.block_rows,
            range: range.clone(),
            blocks: blocks_of(range),
        };
        self.ranges.iter().map(span).collect()
    }
}

impl Span<'_> {
    /// Calls `visit` with every block.
    pub(super) fn for_each_block(&self, visit: Visit<'_>) -> Result<()> {
        let _guard = tch::no_grad_guard();
        let dimension = self.rows.dimension();
        let (mut halves, mut singles) = (Vec::new(), Vec::new());
        for (number, first) in self.range.clone().step_by(self.block_rows).enumerate() {
            if let Some(block) = self.blocks.get(number) {
                visit(first, block).map_err(failed)?;
                continue;
            }
            let count = self.block_rows.min(self.range.end - first);
            let block = if self.rows.are_halves() {
                halves.resize(count * dimension, f16::ZERO);
                self.rows.read_halves(first, &mut halves)?;
                Tensor::f_from_slice(&halves).and_then(|values| values.f_to_kind(Kind::Float))
            } else {
                singles.resize(count * dimension, 0.0);
                self.rows.read_range(first, &mut singles)?;
                Tensor::f_from_slice(&singles)
            };
            block
                .and_then(|block| visit(first, &block.f_view([-1, signed(dimension)])?))
                .map_err(failed)?;
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
    use crate::model::torch::to_vec;
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
                let spans = Spans::of(&rows).unwrap();
                let each = spans.each();
                assert!((2..=SPANS).contains(&each.len()));
                let mut next = 0;
                for span in each {
                    span.for_each_block(&mut |first, block| {
                        assert_eq!(first, next);
                        for row in to_vec(block)?.chunks_exact(dimension) {
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

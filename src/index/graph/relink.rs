//! Better neighbours for every row than `hnsw_rs` leaves it with.
//!
//! In: a graph that can be searched. Out: the same with other lists, the same with any number of
//! threads. `hnsw_rs` chooses neighbours by the rule of `select.rs` when a row comes in, but of
//! those that link back it keeps the nearest, so that among many alike (rain, wind) lists fill up
//! with one another. Here each row looks for its neighbours once more, among all rows this time,
//! and every list is cut by the rule.
//!
//! Measured on 100,000 YAMNet-like vectors, searched with widths of 64 and 256; all bits decide but
//! in the first line:
//!
//! | | recall | build, processor time |
//! | --- | --- | --- |
//! | `hnsw_rs` with 48, chosen from 64 by upper bytes, filled up to 16 | 0.9671, 0.9887 | |
//! | `hnsw_rs` with 48 by upper bytes, chosen from 128 | 0.9719, 0.9932 | 69 s at a load of 5 |
//! | `hnsw_rs` with 48, chosen from 200 (three runs) | 0.972, 0.996 | 86 s at a load of 7 |
//! | chosen only from those before it in a random order, as if it came in then | 0.9698, 0.9918 | |
//! | those, and from 128 of all (links: 12.4 a row, elsewhere 9) | 0.9740, 0.9934 | |
//!
//! Runs differ by up to 0.002.
//!
//! Neighbours that a row has already are candidates too: some are links from when there were few
//! rows, which are long.

use rayon::prelude::*;

use super::build::OwnedGraph;
use super::search::{Layer, Pool, Step, Walk};
use super::select::select;
use super::{Graph, listed};
use crate::index::codes::{Damaged, Rows};
use crate::index::quantise::PreparedQuery;

/// Candidates that each row chooses from, found by the upper bytes; all bits decide.
const WIDTH: usize = 200;
/// Neighbours that a row chooses; more come with those that choose it.
const CHOSEN: usize = 16;
/// Rows between two questions whether to go on: half a second's.
const SLICE: usize = 2_048;

/// Chooses the neighbours of the rows at `positions` anew, while `goes_on`, told how many have
/// theirs, says so. Returns whether it did.
pub(super) fn relink(
    graph: &mut OwnedGraph,
    rows: Rows<'_, [u8]>,
    positions: &[u32],
    mut goes_on: impl FnMut(usize) -> bool,
) -> Result<bool, Damaged> {
    let pool = Pool::default();
    for level in (0..=graph.levels.len()).rev() {
        let members: Vec<u32>;
        let numbers = if let Some(above) = level.checked_sub(1) {
            members = (0..graph.levels[above]).collect();
            &members
        } else {
            positions
        };
        let frozen = graph.graph();
        let mut chosen: Vec<Vec<Step>> = Vec::with_capacity(numbers.len());
        for slice in numbers.chunks(SLICE) {
            if !goes_on(if level == 0 { chosen.len() } else { 0 }) {
                return Ok(false);
            }
            let choose = |&number| choose(frozen, rows, level, number, &pool);
            let lists: Vec<_> = slice.par_iter().map(choose).collect::<Result<_, _>>()?;
            chosen.extend(lists);
        }
        let layer = frozen.layer(level);
        let mut back: Vec<Vec<Step>> = vec![Vec::new(); layer.links.len() / layer.room];
        for (&number, list) in numbers.iter().zip(&chosen) {
            for step in list {
                back[step.number as usize].push(Step { number, ..*step });
            }
        }
        let lists: Vec<_> = chosen
            .into_par_iter()
            .zip(numbers)
            .map(|(list, &number)| join(rows, layer, list, &back[number as usize]))
            .collect::<Result<_, _>>()?;
        for (&number, list) in numbers.iter().zip(&lists) {
            graph.set(level, number, list);
        }
    }
    Ok(true)
}

/// The neighbours of a row among those that a search from it finds, and those that it has.
fn choose(
    graph: Graph<'_>,
    rows: Rows<'_, [u8]>,
    level: usize,
    number: u32,
    pool: &Pool,
) -> Result<Vec<Step>, Damaged> {
    let layer = graph.layer(level);
    let place = layer.position(number);
    let query = PreparedQuery::of_row(rows, place)?;
    let walk = Walk { rows, query: &query };
    let mut candidates = pool.lend(graph.len(), WIDTH, |scratch| {
        let start = walk.compare_one(number, place)?;
        walk.spread(layer, start, scratch)?;
        Ok(scratch.nearest.found().collect::<Vec<Step>>())
    })?;
    for other in listed(layer.list(number)) {
        if candidates.iter().all(|candidate| candidate.number != other) {
            candidates.push(Step { cosine: 0.0, number: other });
        }
    }
    candidates.retain(|candidate| candidate.number != number);
    for candidate in &mut candidates {
        candidate.cosine = query.fine(rows.row(layer.position(candidate.number))?);
    }
    select(rows, layer, &mut candidates, CHOSEN)
}

/// The list of a row that chose `list`, and was chosen by those of `back`.
fn join(
    rows: Rows<'_, [u8]>,
    layer: Layer<'_>,
    mut list: Vec<Step>,
    back: &[Step],
) -> Result<Vec<Step>, Damaged> {
    for &step in back {
        if list.iter().all(|other| other.number != step.number) {
            list.push(step);
        }
    }
    if list.len() > layer.room { select(rows, layer, &mut list, layer.room) } else { Ok(list) }
}

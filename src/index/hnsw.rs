//! Who is whose neighbour, found by `hnsw_rs`.
//!
//! In: rows in memory. Out: lists of neighbours by level. The only file that imports `hnsw_rs`.
//! Nothing of it is kept: its structures are four times as large as the lists, and what it writes
//! to disk loads damaged without a word.
//!
//! Source: Y. Malkov and D. Yashunin, "Efficient and robust approximate nearest neighbor search
//! using hierarchical navigable small world graphs", arXiv:1603.09320.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

use hnsw_rs::prelude::{Distance, Hnsw};
use rayon::prelude::*;

use super::codes::Rows;
use super::graph::{NEIGHBOURS, UPPER_NEIGHBOURS};
use super::quantise::PreparedQuery;

/// Candidates that are kept while a row is inserted (`efConstruction` of the paper). More is slow
/// here and needless: `graph/relink.rs` looks again. Of `NEIGHBOURS` or fewer `hnsw_rs` takes all
/// and chooses none, and clusters are cut off from one another: with 32 every third graph over
/// fifty of a hundred rows each found 0.95 to 0.97 of what half the rows are, with 48 none of 30
/// less than 0.99.
const BUILD_WIDTH: usize = 48;
/// Layers at most; `hnsw_rs` has room for 16.
const LAYERS: usize = 16;
/// Rows that are inserted between two questions whether to go on: half a second's.
const SLICE: usize = 2_048;

/// A row's links.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    /// Neighbours by level, level 0 first, the nearest first; as many levels as it is on.
    pub(super) levels: Vec<Vec<u32>>,
}

/// One minus the cosine between the rows at two positions, by all bits: with the upper bytes alone
/// building was 5 % faster, no more, because what takes time is `hnsw_rs`'s walk.
struct RowDistance<'a> {
    rows: Rows<'a, [u8]>,
    /// Of this graph among all that are built.
    graph: u64,
}

/// A row that is compared with others, taken apart once for all of them.
struct Held {
    graph: u64,
    position: u32,
    query: PreparedQuery,
}

thread_local! {
    /// `hnsw_rs` compares one row with many before it takes the next.
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
}

impl RowDistance<'_> {
    fn cosine(&self, a: u32, b: u32) -> Option<f32> {
        HELD.with_borrow_mut(|held| {
            if held.as_ref().is_none_or(|held| (held.graph, held.position) != (self.graph, a)) {
                let query = PreparedQuery::of_row(self.rows, a as usize).ok()?;
                *held = Some(Held { graph: self.graph, position: a, query });
            }
            Some(held.as_ref()?.query.fine(self.rows.row(b as usize).ok()?))
        })
    }
}

impl Distance<u32> for RowDistance<'_> {
    fn eval(&self, a: &[u32], b: &[u32]) -> f32 {
        // Rows in memory are whole. A negative distance makes hnsw_rs panic.
        (1.0 - self.cosine(a[0], b[0]).unwrap_or_default()).max(0.0)
    }
}

/// The links of the rows at `positions`, while `goes_on`, told how many are in, says so; nothing
/// when it did not. The others have none. Two runs on several threads may differ a little.
pub(super) fn link(
    rows: Rows<'_, [u8]>,
    positions: &[u32],
    mut goes_on: impl FnMut(usize) -> bool,
) -> Option<Vec<Node>> {
    static GRAPHS: AtomicU64 = AtomicU64::new(0);
    let distance = RowDistance { rows, graph: GRAPHS.fetch_add(1, Ordering::Relaxed) };
    let size = positions.len().max(1);
    let graph = Hnsw::new(UPPER_NEIGHBOURS, size, LAYERS, BUILD_WIDTH, distance);
    for (slice, done) in positions.chunks(SLICE).zip((0..).step_by(SLICE)) {
        if !goes_on(done) {
            return None;
        }
        slice.par_iter().for_each(|&position| graph.insert_slice((&[position], position as usize)));
    }
    let mut nodes = vec![Node::default(); rows.len()];
    for level in 0..LAYERS {
        for point in graph.get_point_indexation().get_layer_iterator(level) {
            // It notes neighbours on levels that a point is not on, too.
            let levels = point.get_neighborhood_id().into_iter().take(level + 1).enumerate();
            let lists = levels.map(|(level, list)| {
                let room = if level == 0 { NEIGHBOURS } else { UPPER_NEIGHBOURS };
                #[expect(clippy::cast_possible_truncation, reason = "rows are counted in 32 bits")]
                let positions = list.iter().map(|neighbour| neighbour.d_id as u32);
                positions
                    .filter(|&other| other as usize != point.get_origin_id())
                    .take(room)
                    .collect()
            });
            nodes[point.get_origin_id()].levels = lists.collect();
        }
    }
    Some(nodes)
}

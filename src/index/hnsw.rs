//! Who is whose neighbour, found by `hnsw_rs`.
//!
//! In: rows in memory. Out: lists of neighbours by level. The only file that imports `hnsw_rs`.
//! Nothing of it is kept: its structures are four times as large as the lists, and what it writes
//! to disk loads damaged without a word.
//!
//! Source: Y. Malkov and D. Yashunin, "Efficient and robust approximate nearest neighbor search
//! using hierarchical navigable small world graphs", arXiv:1603.09320.

use hnsw_rs::prelude::{Distance, Hnsw};
use rayon::prelude::*;

use super::codes::Rows;
use super::graph::{NEIGHBOURS, UPPER_NEIGHBOURS};
use super::quantise::between;

/// Candidates that are kept while a row is inserted (`efConstruction` of the paper). More is slow
/// here and needless: `graph/improve.rs` looks again.
const BUILD_WIDTH: usize = 48;
/// Layers at most; `hnsw_rs` has room for 16.
const LAYERS: usize = 16;

/// A row's links.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    /// Neighbours by level, level 0 first, the nearest first; as many levels as it is on.
    pub(super) levels: Vec<Vec<u32>>,
}

/// One minus the coarse cosine between the rows at two positions.
#[derive(Clone, Copy)]
struct CoarseDistance<'a>(Rows<'a, [u8]>);

impl Distance<u32> for CoarseDistance<'_> {
    fn eval(&self, a: &[u32], b: &[u32]) -> f32 {
        // Rows in memory are whole. A negative distance makes hnsw_rs panic.
        let cosine = between(self.0, a[0] as usize, b[0] as usize).unwrap_or_default();
        (1.0 - cosine).max(0.0)
    }
}

/// The links of every row. Two runs on several threads may differ a little.
pub(super) fn link(rows: Rows<'_, [u8]>) -> Vec<Node> {
    let size = rows.len().max(1);
    let graph = Hnsw::new(UPPER_NEIGHBOURS, size, LAYERS, BUILD_WIDTH, CoarseDistance(rows));
    (0..rows.len()).into_par_iter().for_each(|position| {
        #[expect(clippy::cast_possible_truncation, reason = "rows are counted in 32 bits")]
        graph.insert_slice((&[position as u32], position));
    });
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
    nodes
}

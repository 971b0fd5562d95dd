//! Which of the near rows become a row's neighbours.
//!
//! In: candidates with their cosines by all bits. Out: those to which no nearer one is nearer: one
//! neighbour in each direction. Source: Y. Malkov and D. Yashunin, arXiv:1603.09320, algorithm 4
//! without its options, which is what hnswlib does (`getNeighborsByHeuristic2`).
//!
//! All bits, because 8 cannot tell which of two noises is nearer: on 100,000 YAMNet-like vectors and
//! with a width of 256, graphs of rows inserted one by one whose neighbours were chosen by the upper
//! bytes found 0.9900, by all bits 0.9954.

use super::search::{Layer, Step};
use crate::index::codes::{Damaged, Rows};
use crate::index::quantise::PreparedQuery;

/// The first `room` of `candidates`, nearest first, to which none of those chosen before is nearer
/// than the row that they are candidates of.
pub(super) fn select(
    rows: Rows<'_, [u8]>,
    layer: Layer<'_>,
    candidates: &mut [Step],
    room: usize,
) -> Result<Vec<Step>, Damaged> {
    candidates.sort_unstable_by(|a, b| b.cmp(a));
    let mut chosen: Vec<Step> = Vec::with_capacity(room);
    // Prepared are the few that are chosen, not the many that are compared with them.
    let mut prepared: Vec<PreparedQuery> = Vec::with_capacity(room);
    for &candidate in candidates.iter() {
        let place = layer.position(candidate.number);
        let row = rows.row(place)?;
        if prepared.iter().all(|nearer| nearer.fine(row) <= candidate.cosine) {
            chosen.push(candidate);
            if chosen.len() == room {
                break;
            }
            prepared.push(PreparedQuery::of_row(rows, place)?);
        }
    }
    Ok(chosen)
}

//! How wide a graph is to be searched.
//!
//! In: a graph over rows. Out: the least width at which it finds what is wanted, and what it finds
//! then. Some of the rows are the questions; half of them choose the width, the others measure it,
//! because a width is chosen for what happens to be found with it. For the same reason it has to
//! find more than is wanted.

use rayon::prelude::*;

use super::state::RecallMeasured;
use super::{AboutGraph, BuildStage, Watcher};
use crate::index::codes::Rows;
use crate::index::graph::{OwnedGraph, Pool, scanning_is_cheaper};
use crate::index::quantise::PreparedQuery;
use crate::index::scan::{Candidate, refine, scan};
use crate::search::recall::NEIGHBOURS;

/// Questions in all.
const QUESTIONS: usize = 600;
/// Questions that are answered in parallel.
const AT_ONCE: usize = 20;
/// Widths that are tried; the last one is taken where none is enough.
const WIDTHS: [usize; 17] =
    [16, 24, 32, 40, 48, 64, 80, 96, 128, 192, 256, 384, 512, 1_024, 2_048, 4_096, 8_192];
/// Wider walks are for collections so large that scanning them would take longer.
const USUAL_WIDTHS: usize = 14;

/// A row whose neighbours are looked for among the others.
struct Question {
    position: u32,
    query: PreparedQuery,
    /// The least cosine of the nearest.
    farthest: f32,
    /// How many there are.
    neighbours: usize,
}

/// Chooses the width at which `graph` finds the share `wanted` of the ten nearest; nothing when
/// `watcher` said to stop.
pub(super) fn tune(
    rows: Rows<'_, [u8]>,
    graph: &OwnedGraph,
    wanted: f64,
    watcher: &dyn Watcher,
) -> Option<AboutGraph> {
    let positions: Vec<usize> = {
        let count = QUESTIONS.min(rows.len());
        (0..count).map(|number| number * rows.len() / count).collect()
    };
    let mut questions = Vec::with_capacity(positions.len());
    for part in positions.chunks(AT_ONCE) {
        watcher.at(BuildStage::Measuring, questions.len(), positions.len());
        if watcher.is_cancelled() {
            return None;
        }
        questions.par_extend(part.par_iter().filter_map(|&position| ask(rows, position)));
    }
    let (mut choosing, mut measuring) = (Vec::new(), Vec::new());
    for (number, question) in questions.into_iter().enumerate() {
        if number % 2 == 0 { choosing.push(question) } else { measuring.push(question) }
    }
    let pool = Pool::default();
    let pays = |width: &usize| !scanning_is_cheaper(rows.len(), rows.len(), *width);
    let (usual, wide) = WIDTHS.split_at(USUAL_WIDTHS);
    let widths: Vec<usize> =
        usual.iter().chain(wide.iter().filter(|width| pays(width))).copied().collect();
    let widest = widths[widths.len() - 1];
    let width = widths
        .into_iter()
        .find(|&width| is_enough(&find(rows, graph, &choosing, width, &pool), wanted))
        .unwrap_or(widest);
    let recall = find(rows, graph, &measuring, width, &pool);
    Some(AboutGraph { width, wanted, recall })
}

/// Whether what was found of some questions promises `wanted` of others: the interval lies above
/// it, or, where so few questions cannot say that, half of what may be missed was.
fn is_enough(found: &RecallMeasured, wanted: f64) -> bool {
    found.low >= wanted || 2.0 * (1.0 - found.recall) <= 1.0 - wanted
}

fn ask(rows: Rows<'_, [u8]>, position: usize) -> Option<Question> {
    // Memory is not damaged.
    let query = PreparedQuery::of_row(rows, position).ok()?;
    let found = scan(rows, &query, NEIGHBOURS, &|other| other != position).ok()?;
    let mut cosines: Vec<f32> = found.iter().map(cosine).collect();
    cosines.sort_by(|a, b| b.total_cmp(a));
    cosines.truncate(NEIGHBOURS);
    let farthest = cosines.last().copied()?;
    let position = u32::try_from(position).ok()?;
    Some(Question { position, query, farthest, neighbours: cosines.len() })
}

fn find(
    rows: Rows<'_, [u8]>,
    graph: &OwnedGraph,
    questions: &[Question],
    width: usize,
    pool: &Pool,
) -> RecallMeasured {
    let graph = graph.graph();
    let found: u64 = questions
        .par_iter()
        .map(|question| {
            let found = graph
                .search(rows, &question.query, width, pool)
                .and_then(|found| refine(rows, &question.query, NEIGHBOURS + 1, found))
                .unwrap_or_default();
            let others = found.iter().filter(|found| found.position != question.position);
            let right = others.filter(|found| cosine(found) >= question.farthest).count();
            right.min(question.neighbours) as u64
        })
        .sum();
    let of = questions.iter().map(|question| question.neighbours as u64).sum();
    RecallMeasured::new(found, of, questions.len() as u64)
}

/// By all bits of a row: what the stored vector would say differs by a hundred-thousandth.
fn cosine(candidate: &Candidate) -> f32 {
    f32::midpoint(candidate.lower, candidate.upper)
}

//! How wide a graph is to be searched.
//!
//! In: a graph over rows. Out: the least width at which it finds what is wanted, and what it finds
//! then. Some of the rows are questions, and so is what lies halfway between a row and one of its
//! nearest: rows are in the graph, and easier to come near to than a file that somebody asks with.
//! Half of each kind choose the width, the others measure it, because a width is chosen for what
//! happens to be found with it. For the same reason it has to find more than is wanted.

use rayon::prelude::*;

use super::state::{RecallChecked, RecallMeasured};
use super::{AboutGraph, BuildStage, Watcher};
use crate::index::codes::Rows;
use crate::index::graph::{OwnedGraph, Pool, scanning_is_cheaper};
use crate::index::metric::normalise;
use crate::index::quantise::PreparedQuery;
use crate::index::scan::{Candidate, refine, scan};
use crate::search::recall::{Answer, NEIGHBOURS};

/// Rows that are asked about.
const QUESTIONS: usize = 600;
/// Questions that are answered in parallel.
const AT_ONCE: usize = 20;
/// Widths that are tried; the last one is taken where none is enough.
const WIDTHS: [usize; 17] =
    [16, 24, 32, 40, 48, 64, 80, 96, 128, 192, 256, 384, 512, 1_024, 2_048, 4_096, 8_192];
/// Wider walks are for collections so large that scanning them would take longer.
const USUAL_WIDTHS: usize = 14;

/// Something whose neighbours are looked for.
struct Question {
    /// The rows that it was made of, which do not count.
    made_of: [usize; 2],
    query: PreparedQuery,
    /// The least cosine of the nearest.
    farthest: f32,
    /// How many there are.
    neighbours: usize,
}

/// Questions of both kinds.
#[derive(Default)]
struct Questions {
    stored: Vec<Question>,
    between: Vec<Question>,
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
    let mut asked = Vec::with_capacity(positions.len());
    for part in positions.chunks(AT_ONCE) {
        watcher.at(BuildStage::Measuring, asked.len(), positions.len());
        if watcher.is_cancelled() {
            return None;
        }
        asked.par_extend(part.par_iter().filter_map(|&position| ask(rows, position)));
    }
    let (mut choosing, mut measuring) = (Questions::default(), Questions::default());
    for (number, (stored, between)) in asked.into_iter().enumerate() {
        let half = if number % 2 == 0 { &mut choosing } else { &mut measuring };
        half.stored.push(stored);
        half.between.extend(between);
    }
    let pool = Pool::default();
    let walk = |questions: &Questions, width| RecallChecked {
        stored: find(rows, graph, &questions.stored, width, &pool),
        between: find(rows, graph, &questions.between, width, &pool),
    };
    let pays = |width: &usize| !scanning_is_cheaper(rows.len(), rows.len(), *width);
    let (usual, wide) = WIDTHS.split_at(USUAL_WIDTHS);
    let mut about = None;
    for &width in usual.iter().chain(wide.iter().filter(|width| pays(width))) {
        if watcher.is_cancelled() {
            return None;
        }
        let chosen = walk(&choosing, width);
        let is_chosen = is_enough(&chosen.stored, wanted) && is_enough(&chosen.between, wanted);
        // What the others find is only looked at where the width seems to do, and seldom sends the
        // search on: it stays a measurement.
        let recall = if is_chosen { walk(&measuring, width) } else { chosen };
        about = Some(AboutGraph { width, recall });
        if is_chosen && recall.lower().recall >= wanted {
            break;
        }
    }
    about
}

/// Whether what was found of some questions promises `wanted` of others: the interval lies above
/// it, or, where so few questions cannot say that, half of what may be missed was.
fn is_enough(found: &RecallMeasured, wanted: f64) -> bool {
    found.low >= wanted || 2.0 * (1.0 - found.recall) <= 1.0 - wanted
}

/// The row at `position` as a question, and the point halfway to the farthest of its nearest, which
/// is not there where the two are opposite.
fn ask(rows: Rows<'_, [u8]>, position: usize) -> Option<(Question, Option<Question>)> {
    // Memory is not damaged.
    let query = PreparedQuery::of_row(rows, position).ok()?;
    let mut here = query.vector();
    let (stored, nearest) = question(rows, [position; 2], query)?;
    let there = PreparedQuery::of_row(rows, nearest).ok()?.vector();
    here.iter_mut().zip(there).for_each(|(value, other)| *value += other);
    let between = normalise(&mut here, rows.layout().dimension).ok().and_then(|()| {
        question(rows, [position, nearest], PreparedQuery::new(&here, rows.layout()))
    });
    Some((stored, between.map(|(question, _)| question)))
}

/// A question with its answer, and the farthest of the nearest.
fn question(
    rows: Rows<'_, [u8]>,
    made_of: [usize; 2],
    query: PreparedQuery,
) -> Option<(Question, usize)> {
    let mut found = scan(rows, &query, NEIGHBOURS, &|other| !made_of.contains(&other)).ok()?;
    found.sort_by(|a, b| cosine(b).total_cmp(&cosine(a)));
    found.truncate(NEIGHBOURS);
    let farthest = found.last()?;
    let (position, farthest) = (farthest.position as usize, cosine(farthest));
    Some((Question { made_of, query, farthest, neighbours: found.len() }, position))
}

fn find(
    rows: Rows<'_, [u8]>,
    graph: &OwnedGraph,
    questions: &[Question],
    width: usize,
    pool: &Pool,
) -> RecallMeasured {
    let graph = graph.graph();
    let answers: Vec<Answer> = questions
        .par_iter()
        .map(|question| {
            let found = graph
                .search(rows, &question.query, width, pool)
                .and_then(|found| refine(rows, &question.query, NEIGHBOURS + 2, found))
                .unwrap_or_default();
            let others =
                found.iter().filter(|found| !question.made_of.contains(&(found.position as usize)));
            let right = others.filter(|found| cosine(found) >= question.farthest).count();
            Answer { found: right.min(question.neighbours), of: question.neighbours }
        })
        .collect();
    RecallMeasured::of(&answers)
}

/// By all bits of a row: what the stored vector would say differs by a hundred-thousandth.
fn cosine(candidate: &Candidate) -> f32 {
    f32::midpoint(candidate.lower, candidate.upper)
}

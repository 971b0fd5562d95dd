#![expect(clippy::cast_possible_truncation, reason = "a few thousand rows")]

use proptest::prelude::*;

use super::relink::relink;
use super::*;
use crate::index::codes::OwnedRows;
use crate::index::metric::normalise;
use crate::index::quantise::PreparedQuery;
use crate::index::scan::{Candidate, refine, scan};

const DIMENSION: usize = 64;

/// Vectors like an embedding's: clusters, many zeros, nothing negative.
fn vectors(count: usize, seed: u64) -> Vec<Vec<f32>> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64 ^ seed;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1_u64 << 24) as f32
    };
    let centres: Vec<f32> = (0..50 * DIMENSION).map(|_| (random() - 0.6).max(0.0)).collect();
    let mut vector = |cluster: usize| {
        let centre = &centres[cluster * DIMENSION..][..DIMENSION];
        let mut vector: Vec<f32> =
            centre.iter().map(|&x| (x + 0.4 * (random() - 0.6)).max(0.0)).collect();
        normalise(&mut vector, DIMENSION).unwrap();
        vector
    };
    (0..50).cycle().take(count).map(&mut vector).collect()
}

fn rows_of(vectors: &[Vec<f32>]) -> OwnedRows {
    let mut rows = OwnedRows::new(DIMENSION);
    for vector in vectors {
        assert!(rows.push(vector));
    }
    rows
}

/// The positions of the ten nearest of `candidates`.
fn ten(rows: &OwnedRows, query: &PreparedQuery, candidates: Vec<Candidate>) -> Vec<u32> {
    let mut found = refine(rows.rows(), query, 10, candidates).unwrap();
    found.sort_by(|a, b| (b.lower + b.upper).total_cmp(&(a.lower + a.upper)));
    found.iter().take(10).map(|candidate| candidate.position).collect()
}

/// What a walk of width 64 finds of the ten nearest on such vectors at least, in the mean: of these it
/// was 0.9995 or all, and threads may link rows in another order.
const USUAL_RECALL: f64 = 0.995;

/// What `queries` walks find at least: the usual share less three standard deviations, each query
/// being one draw, since a walk that goes astray misses all of its neighbours.
fn least_recall(queries: u32) -> f64 {
    USUAL_RECALL - 3.0 * (USUAL_RECALL * (1.0 - USUAL_RECALL) / f64::from(queries)).sqrt()
}

/// Recall@10 of searches for every 25th vector among those that `keep` lets pass.
fn recall(
    rows: &OwnedRows,
    queries: &[Vec<f32>],
    keep: impl Fn(u32) -> bool + Sync,
    mut search: impl FnMut(&PreparedQuery) -> Vec<Candidate>,
) -> f64 {
    let (mut right, mut all) = (0, 0);
    for query in queries.iter().step_by(25) {
        let query = PreparedQuery::new(query, rows.rows().layout());
        let truth = scan(rows.rows(), &query, 10, &|position| keep(position as u32)).unwrap();
        let truth = ten(rows, &query, truth);
        let found = ten(rows, &query, search(&query));
        assert!(found.iter().all(|&position| keep(position)));
        right += found.iter().filter(|position| truth.contains(position)).count();
        all += truth.len();
    }
    right as f64 / all as f64
}

#[test]
fn recall_against_the_scan() {
    let vectors = vectors(5_000, 1);
    let rows = rows_of(&vectors);
    let graph = OwnedGraph::build(rows.rows()).unwrap();
    let pool = Pool::default();
    let search =
        |query: &PreparedQuery| graph.graph().search(rows.rows(), query, 64, &pool).unwrap();
    let recall = recall(&rows, &vectors, |_| true, search);
    assert!(recall >= least_recall(200), "recall@10 is {recall}");
}

#[test]
fn filters_from_half_to_next_to_nothing() {
    let vectors = vectors(5_000, 2);
    let rows = rows_of(&vectors);
    let graph = OwnedGraph::build(rows.rows()).unwrap();
    let (pool, width) = (Pool::default(), 64);
    for every in [2_u32, 10, 100, 1_000] {
        // By chance, and where the query probably is not: clusters go round in fifties.
        for alike in [false, true] {
            let keep = |position: u32| {
                if alike {
                    position % 50 < 50_u32.div_ceil(every)
                } else {
                    position.is_multiple_of(every)
                }
            };
            let allowed = (0..5_000).filter(|&position| keep(position)).count();
            let mut scanned = 0;
            let recall = recall(&rows, &vectors, keep, |query| {
                let walked = if scanning_is_cheaper(allowed, 5_000, width) {
                    Err(GaveUp)
                } else {
                    let graph = graph.graph();
                    graph.search_filtered(rows.rows(), query, width, keep, allowed, &pool).unwrap()
                };
                walked.map_or_else(
                    |GaveUp| {
                        scanned += 1;
                        scan(rows.rows(), query, 10, &|position| keep(position as u32)).unwrap()
                    },
                    |walked| walked.candidates,
                )
            });
            assert!(
                recall >= least_recall(200),
                "1 in {every}, alike {alike}: recall@10 is {recall}"
            );
            assert!(every < 1_000 || scanned > 0, "few are scanned");
        }
    }
}

#[test]
fn a_walk_may_cost_what_a_scan_does() {
    // Half of what would be scanned, because a step costs twice as much; but what a walk sees in any
    // case, and no more than there is.
    assert_eq!(most_rows(100_000, 64), 50_000);
    assert_eq!(most_rows(1_000, 64), 768);
    assert_eq!(most_rows(500, 64), 500);
    assert_eq!(most_rows(0, 64), 0);
}

#[test]
fn a_filter_that_is_against_the_query_shows() {
    let at = |cosine: f32| Candidate { position: 0, upper: cosine, lower: cosine };
    let candidates: Vec<Candidate> = (0..16).map(|n| at(0.5 - 0.01 * n as f32)).collect();
    let is_against =
        |rejected, share| Walked { candidates: candidates.clone(), rejected }.is_against(10, share);
    // Nothing is rejected, or only what is farther, or about as much as chance would.
    assert!(!is_against(vec![], 1.0) && !is_against(vec![0.1; 100], 1.0));
    assert!(!is_against(vec![0.6; 10], 0.9) && !is_against(vec![0.6; 90], 0.1));
    assert!(is_against(vec![0.6; 11], 1.0) && is_against(vec![0.6; 90], 0.5));
    assert!(Walked { candidates: Vec::new(), rejected: vec![0.6] }.is_against(10, 1.0));
}

#[test]
fn filtered_walks_give_up() {
    let vectors = vectors(2_000, 3);
    let rows = rows_of(&vectors);
    let graph = OwnedGraph::build(rows.rows()).unwrap();
    let query = PreparedQuery::new(&vectors[0], rows.rows().layout());
    let pool = Pool::default();
    let search = |most_rows| {
        let found =
            graph.graph().search_filtered(rows.rows(), &query, 10, |_| false, most_rows, &pool);
        found.unwrap().map(|walked| walked.candidates)
    };
    assert_eq!(search(100), Err(GaveUp));
    assert_eq!(search(2_000), Ok(Vec::new()));
}

#[test]
fn few_rows_and_many_alike() {
    for count in [0, 1, 2, 3, 40] {
        let rows = rows_of(&vectors(count, 4));
        let graph = OwnedGraph::build(rows.rows()).unwrap();
        assert_eq!(Graph::new(graph.arrays(), count).unwrap().len(), count);
        let pool = Pool::default();
        let query = PreparedQuery::new(&vectors(1, 5)[0], rows.rows().layout());
        let found = graph.graph().search(rows.rows(), &query, 100, &pool).unwrap();
        assert_eq!(found.len(), count, "every row is found where more are wanted");
        assert!(graph.graph().search(rows.rows(), &query, 0, &pool).unwrap().is_empty());
    }
}

#[test]
fn thousands_of_the_same_hide_nothing() {
    let mut vectors = vectors(1_000, 6);
    let copy = vectors[7].clone();
    vectors.extend(std::iter::repeat_n(copy.clone(), 3_000));
    let rows = rows_of(&vectors);
    let graph = OwnedGraph::build(rows.rows()).unwrap();
    assert!(reachable(&graph)[..1_000].iter().all(|&reached| reached));
    assert!(reachable(&graph)[1_000..].iter().all(|&reached| !reached), "one row for all");
    let pool = Pool::default();
    let search = |query: &PreparedQuery, width| {
        graph.graph().search(rows.rows(), query, width, &pool).unwrap()
    };
    let query = PreparedQuery::new(&copy, rows.rows().layout());
    let found = search(&query, 20);
    let is_copy = |position: u32| position == 7 || position >= 1_000;
    assert_eq!(found.iter().filter(|found| is_copy(found.position)).count(), 20);
    assert_eq!(found.iter().filter(|found| !is_copy(found.position)).count(), 19);
    // Where a filter lets some of them pass, those are found.
    let keep = |position: u32| position == 500 || position > 2_000 && position.is_multiple_of(7);
    let found = graph.graph().search_filtered(rows.rows(), &query, 300, keep, 4_000, &pool);
    let found = found.unwrap().unwrap().candidates;
    assert_eq!(found.len(), 287, "all that pass");
    assert!(found.iter().all(|found| keep(found.position)));
    // And the others as if there were no copies.
    let others = |position| !is_copy(position);
    let recall = recall(&rows, &vectors[..1_000], others, |query| {
        let mut found = search(query, 64);
        found.retain(|found| others(found.position));
        found
    });
    assert!(recall >= least_recall(40), "recall@10 is {recall}");
}

#[test]
fn everything_twenty_times_over() {
    let once = vectors(1_000, 11);
    let vectors: Vec<Vec<f32>> = once.iter().cycle().take(20_000).cloned().collect();
    let rows = rows_of(&vectors);
    let graph = OwnedGraph::build(rows.rows()).unwrap();
    let pool = Pool::default();
    let (mut right, mut all) = (0, 0);
    for query in once.iter().step_by(25) {
        let query = PreparedQuery::new(query, rows.rows().layout());
        let found = graph.graph().search(rows.rows(), &query, 64, &pool).unwrap();
        let mut positions: Vec<u32> = found.iter().map(|found| found.position).collect();
        positions.sort_unstable();
        positions.dedup();
        assert_eq!(positions.len(), found.len(), "no row twice");
        // Equally near ones are as good as one another.
        let cosines = |candidates| {
            let found = refine(rows.rows(), &query, 50, candidates).unwrap();
            let mut cosines: Vec<f32> =
                found.iter().map(|found| f32::midpoint(found.lower, found.upper)).collect();
            cosines.sort_by(|a, b| b.total_cmp(a));
            cosines.truncate(50);
            cosines
        };
        let truth = cosines(scan(rows.rows(), &query, 50, &|_| true).unwrap());
        right += cosines(found).iter().filter(|&&cosine| cosine >= truth[49]).count();
        all += 50;
    }
    let recall = right as f64 / f64::from(all);
    assert!(recall >= least_recall(40), "recall@50 is {recall}");
}

#[test]
fn several_threads_choose_what_one_would() {
    let rows = rows_of(&vectors(3_000, 12));
    let graph = OwnedGraph::build(rows.rows()).unwrap();
    let positions: Vec<u32> = (0..3_000).collect();
    let chosen = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut graph = graph.clone();
        let is_done = pool.install(|| relink(&mut graph, rows.rows(), &positions, |_| true));
        assert_eq!(is_done, Ok(true));
        graph
    };
    assert_eq!(chosen(1), chosen(4));
}

#[test]
fn building_stops_when_told_to() {
    let rows = rows_of(&vectors(5_000, 13));
    // While rows are inserted, and while their neighbours are chosen anew.
    for end in [0, 1_024, 2_500, 4_548] {
        let mut asked = Vec::new();
        let built = OwnedGraph::build_while(rows.rows(), |done| {
            asked.push(done);
            done < end
        });
        assert_eq!(built, Ok(None));
        assert!(asked.is_sorted() && asked.last() == Some(&end), "{asked:?}");
    }
}

#[test]
fn what_was_cut_off_is_linked_in() {
    let vectors = vectors(600, 8);
    let rows = rows_of(&vectors);
    let mut graph = OwnedGraph::build(rows.rows()).unwrap();
    // Nobody's neighbour any more, one of them with a full list of its own.
    for number in &mut graph.neighbours {
        if *number != NONE && *number % 5 == 3 {
            *number = 0;
        }
    }
    assert!(reachable(&graph).iter().any(|&reached| !reached));
    graph.mend(rows.rows()).unwrap();
    assert!(reachable(&graph).iter().all(|&reached| reached));
}

fn reachable(graph: &OwnedGraph) -> Vec<bool> {
    let mut reached = vec![false; graph.graph().len()];
    let start = graph.arrays().members.first().map_or(0, |&member| member as usize);
    let mut pending = vec![start];
    while let Some(position) = pending.pop() {
        if !std::mem::replace(&mut reached[position], true) {
            let list = graph.graph().layer(0).list(position as u32);
            pending.extend(listed(list).map(|other| other as usize));
        }
    }
    reached
}

proptest! {
    /// Whatever passes the check can be searched: no panic, no end that does not come.
    #[test]
    fn arrays_are_refused_or_searched(
        array in 0_usize..5,
        place: prop::sample::Index,
        value in prop_oneof![any::<u32>(), 0_u32..400, Just(NONE)],
        cut in any::<bool>(),
    ) {
        static BUILT: std::sync::LazyLock<(OwnedRows, OwnedGraph)> = std::sync::LazyLock::new(|| {
            let mut vectors = vectors(300, 9);
            vectors[280] = vectors[3].clone();
            vectors[290] = vectors[3].clone();
            let rows = rows_of(&vectors);
            let graph = OwnedGraph::build(rows.rows()).unwrap();
            (rows, graph)
        });
        let (rows, graph) = &*BUILT;
        let GraphArrays { neighbours, levels, members, upper, next_same } = graph.arrays();
        let mut arrays = [neighbours, levels, members, upper, next_same].map(<[u32]>::to_vec);
        if cut {
            arrays[array].pop();
        } else if !arrays[array].is_empty() {
            let place = place.index(arrays[array].len());
            arrays[array][place] = value;
        }
        let [neighbours, levels, members, upper, next_same] = &arrays;
        let changed = GraphArrays { neighbours, levels, members, upper, next_same };
        if let Ok(graph) = Graph::new(changed, 300) {
            let query = PreparedQuery::new(&vectors(1, 10)[0], rows.rows().layout());
            let pool = Pool::default();
            graph.search(rows.rows(), &query, 50, &pool).unwrap();
            let keep = |position| position % 3 == 0;
            graph.search_filtered(rows.rows(), &query, 5, keep, 1_000, &pool).unwrap().unwrap();
        }
    }
}

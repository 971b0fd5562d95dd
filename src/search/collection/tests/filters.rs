//! What a graph finds of what a filter lets pass, from half to a ten-thousandth, by chance and
//! where the query is not; and which way is taken.

use super::*;

const QUERIES: usize = 40;
/// Segments that are asked for.
const COUNT: usize = 10;

/// A library with a graph, and all its vectors.
struct Filtered {
    bench: Bench,
    collection: Collection,
    exact: Collection,
    /// Ids and unit vectors.
    segments: Vec<(i64, Vec<f32>)>,
}

/// What came of some queries.
#[derive(Debug, Default)]
struct Outcome {
    right: usize,
    all: usize,
    by_graph: usize,
}

impl Outcome {
    fn recall(&self) -> f64 {
        self.right as f64 / self.all as f64
    }
}

impl Filtered {
    fn new(recordings: usize) -> Self {
        let level = Level::Segment;
        let bench = Bench::with(recordings);
        let lock = BuilderLock::try_take(&bench.library, "test").unwrap().unwrap();
        let model = bench.model();
        let build = || builder(&lock, 1).build(&bench.library, &model, level).unwrap().unwrap();
        // How rows are linked is drawn by chance, and a graph that finds too little is not kept.
        assert!((0..5).any(|_| build().recall.is_some()), "there is a graph");
        let collection = bench.open(level);
        assert!(!collection.is_exact());
        let options = CollectionOptions { exact: true };
        let exact = Collection::open_with(&bench.library, &model, level, options).unwrap();
        let mut segments = Vec::new();
        bench
            .library
            .for_each_searched(model.id, level, DIMENSION, |key, vector| {
                let mut unit = vector.to_vec();
                if normalise(&mut unit, DIMENSION).is_ok() {
                    segments.push((key.segment, unit));
                }
                Ok(())
            })
            .unwrap();
        Self { bench, collection, exact, segments }
    }

    /// Asks within what `allowed` chooses for each query.
    fn ask(&mut self, allowed: impl Fn(&[(i64, Vec<f32>)], &[f32]) -> Allowed) -> Outcome {
        let mut outcome = Outcome::default();
        for _ in 0..QUERIES {
            let mut query = self.bench.random.vector();
            normalise(&mut query, DIMENSION).unwrap();
            let scope = Scope { allowed: allowed(&self.segments, &query), ..Scope::default() };
            let nearest = |collection: &Collection| {
                collection.nearest(&self.bench.library, &query, COUNT, &scope).unwrap()
            };
            let (expected, found) = (nearest(&self.exact), nearest(&self.collection));
            assert_eq!(found.len(), expected.len(), "as many as there are");
            outcome.right += found.iter().filter(|one| expected.contains(one)).count();
            outcome.all += expected.len();
            outcome.by_graph += usize::from(is_by_graph(&self.collection, &query, &scope));
        }
        outcome
    }
}

/// One of so many segments, whatever they are like.
fn by_chance(segments: &[(i64, Vec<f32>)], one_of: usize) -> Allowed {
    Allowed::Segments(segments.iter().step_by(one_of).map(|(id, _)| *id).collect())
}

/// This share of them, those farthest from `query`.
fn farthest(segments: &[(i64, Vec<f32>)], query: &[f32], share: f32) -> Allowed {
    let mut all: Vec<(f32, i64)> =
        segments.iter().map(|(id, unit)| (cosine(query, unit), *id)).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    #[expect(clippy::cast_precision_loss, reason = "some ten thousand")]
    all.truncate((segments.len() as f32 * share).ceil() as usize);
    let mut ids: Vec<i64> = all.into_iter().map(|(_, id)| id).collect();
    ids.sort_unstable();
    Allowed::Segments(ids)
}

#[test]
fn whatever_passes_is_found_and_as_much_as_there_is() {
    let mut filtered = Filtered::new(8_000);
    let generation = filtered.collection.generation.as_ref().unwrap();
    let (rows, width) = (generation.len(), generation.about_graph().unwrap().width);
    for one_of in [2, 4, 10, 100, 1_000, 10_000] {
        let found = filtered.ask(|segments, _| by_chance(segments, one_of));
        assert!(found.recall() >= WANTED, "1 of {one_of}: {found:?}");
        // Where a walk is the cheaper way it is taken, and half of all are met everywhere on it.
        if scanning_is_cheaper(rows / one_of, rows, width) {
            assert_eq!(found.by_graph, 0, "1 of {one_of}: {found:?}");
        } else if one_of == 2 {
            assert!(found.by_graph > QUERIES / 2, "1 of {one_of}: {found:?}");
        }
    }
}

#[test]
fn what_passes_where_the_query_is_not_is_found_too() {
    let mut filtered = Filtered::new(8_000);
    // All but the nearest 24, and so on: a walk would be short, and miss some.
    for share in [0.999, 0.97, 0.9, 0.5, 0.1, 0.001] {
        let found = filtered.ask(|segments, query| farthest(segments, query, share));
        // Now and then a walk comes from where the nearest that pass are, and meets few that do not. Scans
        // are exact: what is missed is missed by such walks.
        assert!(found.recall() >= least_recall(QUERIES), "{share}: {found:?}");
        assert!(10 * found.by_graph <= QUERIES, "{share}: {found:?}");
    }
}

/// Recordings that are left out are not counted, and most of a library may be one: the walk gives
/// up once it has cost what comparing all does.
#[test]
fn a_library_that_is_mostly_left_out_is_scanned() {
    let mut filtered = Filtered::new(2_500);
    let recordings: Vec<i64> = {
        let generation = filtered.collection.generation.as_ref().unwrap();
        generation.recordings().to_vec()
    };
    let last = recordings.iter().copied().max().unwrap();
    let few: Vec<i64> = (1..=last / 20).collect();
    let most: Vec<i64> = (1..=last - last / 50).collect();
    let found = filtered.ask(|_, _| Allowed::AllBut(few.clone()));
    assert!(found.recall() >= least_recall(QUERIES), "{found:?}");
    assert_eq!(found.by_graph, QUERIES, "{found:?}");
    let found = filtered.ask(|_, _| Allowed::AllBut(most.clone()));
    assert!(found.recall() >= least_recall(QUERIES), "{found:?}");
}

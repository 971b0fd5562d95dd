//! What a graph finds of what a filter lets pass, from half to a ten-thousandth.

use super::*;

const QUERIES: usize = 40;

#[test]
fn whatever_passes_is_found_and_as_much_as_there_is() {
    let level = Level::Segment;
    let mut bench = Bench::with(4_000);
    let lock = BuilderLock::try_take(&bench.library, "test").unwrap().unwrap();
    let model = bench.model();
    let built = builder(&lock, 1).build(&bench.library, &model, level).unwrap().unwrap();
    assert!(built.recall.is_some(), "there is a graph");
    let collection = bench.open(level);
    assert!(!collection.is_exact());
    let options = CollectionOptions { exact: true };
    let exact = Collection::open_with(&bench.library, &model, level, options).unwrap();
    let mut segments = Vec::new();
    bench
        .library
        .for_each_searched(model.id, level, DIMENSION, |key, _| {
            segments.push(key.segment);
            Ok(())
        })
        .unwrap();
    for one_of in [2, 10, 100, 1_000, 10_000] {
        let ids: Vec<i64> = segments.iter().step_by(one_of).copied().collect();
        let scope = Scope { allowed: Allowed::Segments(ids), ..Scope::default() };
        let (mut right, mut all) = (0, 0);
        for _ in 0..QUERIES {
            let mut query = bench.random.vector();
            normalise(&mut query, DIMENSION).unwrap();
            let expected = exact.nearest(&bench.library, &query, 10, &scope).unwrap();
            let found = collection.nearest(&bench.library, &query, 10, &scope).unwrap();
            assert_eq!(found.len(), expected.len(), "1 of {one_of}: as many as there are");
            right += found.iter().filter(|one| expected.contains(one)).count();
            all += expected.len();
        }
        let recall = right as f64 / all as f64;
        assert!(recall >= 0.99, "1 of {one_of}: recall@10 is {recall}");
    }
}

#![expect(clippy::cast_possible_truncation, reason = "made numbers are small")]

use proptest::prelude::*;

use super::*;
use crate::index::codes::OwnedRows;
use crate::index::metric::{cosine, normalise};

#[test]
fn floats_keep_their_order_as_whole_numbers() {
    let floats = [f32::NEG_INFINITY, -1.5, -1e-30, -0.0, 0.0, 1e-30, 0.5, 1.0, f32::INFINITY];
    assert!(floats.is_sorted_by(|a, b| ordered(*a) <= ordered(*b)));
    for float in floats {
        assert_eq!(unordered(ordered(float)).to_bits(), float.to_bits());
    }
}

/// The candidates that are certain to hold the `k` nearest, and those.
fn check(vectors: &[Vec<f32>], query: &[f32], k: usize, keep: &(dyn Fn(usize) -> bool + Sync)) {
    let dimension = query.len();
    let unit = |vector: &[f32]| {
        let mut unit = vector.to_vec();
        normalise(&mut unit, dimension).unwrap();
        unit
    };
    let (mut rows, query) = (OwnedRows::new(dimension), unit(query));
    let units: Vec<Vec<f32>> = vectors.iter().map(|vector| unit(vector)).collect();
    assert!(units.iter().all(|unit| rows.push(unit)));
    rows.choose_form();
    let rows = rows.rows();
    let prepared = PreparedQuery::new(&query, rows.layout());
    let mut exact: Vec<(f32, usize)> = units
        .iter()
        .enumerate()
        .filter(|&(position, _)| keep(position))
        .map(|(position, unit)| (cosine(&query, unit), position))
        .collect();
    exact.sort_by(|a, b| b.0.total_cmp(&a.0));
    let some: Vec<u32> =
        exact.iter().map(|&(_, position)| u32::try_from(position).unwrap()).collect();
    for found in
        [scan(rows, &prepared, k, keep).unwrap(), scan_some(rows, &prepared, k, &some).unwrap()]
    {
        for candidate in &found {
            assert!(keep(candidate.position as usize));
            let cosine = cosine(&query, &units[candidate.position as usize]);
            assert!(candidate.lower <= cosine && cosine <= candidate.upper, "{candidate:?}");
        }
        for &(cosine, position) in exact.iter().take(k) {
            let is_there = found.iter().any(|found| found.position as usize == position);
            assert!(is_there, "{position} at {cosine}");
        }
    }
}

proptest! {
    /// With many that are almost as near as others, and ties.
    #[test]
    fn the_nearest_are_always_among_the_candidates(
        mut vectors in prop::collection::vec(prop::collection::vec(0.0_f32..1.0, 40), 1..300),
        closeness in 0.0_f32..1.0,
        k in 0_usize..20,
        nth in 1_usize..5,
    ) {
        let first = vectors[0].clone();
        for vector in &mut vectors {
            for (value, &near) in vector.iter_mut().zip(&first) {
                *value = near + (*value - near) * closeness * closeness + 1e-3;
            }
        }
        let query = vectors[vectors.len() / 2].clone();
        check(&vectors, &query, k, &|position| position % nth == 0);
    }
}

#[test]
fn several_tasks_find_what_one_would() {
    let mut state = 1_u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (f64::from(state) / f64::from(u32::MAX)) as f32
    };
    let vectors: Vec<Vec<f32>> = (0..3 * ROWS_PER_TASK + 5)
        .map(|_| (0..80).map(|_| (random() - 0.6).max(0.0) + 1e-4).collect())
        .collect();
    check(&vectors, &vectors[7].clone(), 10, &|_| true);
    check(&vectors, &vectors[ROWS_PER_TASK].clone(), 10, &|position| position > 9_000);
}

use proptest::prelude::*;

use super::*;
use crate::index::codes::OwnedRows;
use crate::index::metric::{cosine, normalise};

/// Unit vectors of one dimension, sparse and dense, of all magnitudes.
fn vectors() -> impl Strategy<Value = Vec<Vec<f32>>> {
    let value = prop_oneof![Just(0.0_f32), -1.0_f32..1.0, -1e-4_f32..1e-4];
    (1_usize..300).prop_flat_map(move |dimension| {
        prop::collection::vec(prop::collection::vec(value.clone(), dimension), 2..6)
    })
}

fn rows_of(vectors: &[Vec<f32>], form: Form) -> Option<(OwnedRows, Vec<Vec<f32>>)> {
    let dimension = vectors[0].len();
    let mut rows = OwnedRows::with_layout(Layout { dimension, form });
    let mut units = vectors.to_vec();
    for unit in &mut units {
        normalise(unit, dimension).ok()?;
        assert!(rows.push(unit));
    }
    Some((rows, units))
}

proptest! {
    #[test]
    fn no_cosine_is_more_wrong_than_its_bound(vectors in vectors(), dense: bool) {
        let form = if dense { Form::Dense } else { Form::Packed };
        let Some((rows, units)) = rows_of(&vectors, form) else { return Ok(()) };
        let rows = rows.rows();
        let query = PreparedQuery::new(&units[0], rows.layout());
        let stored = PreparedQuery::of_row(rows, 0).unwrap();
        for (query, (position, unit)) in
            [&query, &stored].into_iter().flat_map(|query| units.iter().enumerate().map(move |unit| (query, unit)))
        {
            let row = rows.row(position).unwrap();
            let header = Header::of(row);
            let exact: f64 =
                units[0].iter().zip(unit).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
            let mut coarse = [0.0];
            query.coarse(&[row], &mut coarse);
            for (found, bound) in [
                (coarse[0], query.coarse_bound(header.coarse_residual)),
                (query.fine(row), query.bound(header.residual)),
            ] {
                prop_assert!((f64::from(found) - exact).abs() <= f64::from(bound));
                prop_assert!((found - cosine(&units[0], unit)).abs() <= bound);
            }
            let other = PreparedQuery::of_row(rows, position).unwrap();
            let there = stored.fine(row).to_bits();
            prop_assert_eq!(there, other.fine(rows.row(0).unwrap()).to_bits(), "either way");
        }
    }

    #[test]
    fn a_dense_row_is_the_upper_half_of_a_packed_one(vectors in vectors()) {
        let Some((packed, units)) = rows_of(&vectors, Form::Packed) else { return Ok(()) };
        let (dense, _) = rows_of(&vectors, Form::Dense).unwrap();
        let mut converted = Vec::new();
        append_dense(packed.rows().row(1).unwrap(), packed.rows().layout(), &mut converted);
        prop_assert_eq!(&converted[..], &dense.rows().row(1).unwrap()[..converted.len()]);
        let cosines = [packed, dense].map(|rows| {
            let query = PreparedQuery::new(&units[0], rows.rows().layout());
            let mut cosines = [0.0; 2];
            let rows = [0, 1].map(|position| rows.rows().row(position).unwrap());
            query.coarse(&rows, &mut cosines);
            cosines
        });
        prop_assert_eq!(cosines[0].map(f32::to_bits), cosines[1].map(f32::to_bits));
    }
}

#[test]
fn sixteen_bits_lose_next_to_nothing() {
    let mut vector: Vec<f32> = (0..1_024_u16).map(|n| f32::from(n % 97) - 40.0).collect();
    normalise(&mut vector, 1_024).unwrap();
    let Quantised { header, .. } = Quantised::of(&vector);
    // Each value is half a step off at most, and a third of that squared in the mean.
    assert!(header.residual < 32.0 * header.scale / 3.0);
    assert!(header.coarse_residual < 32.0 * 256.0 * header.scale / 3.0);
    assert!(header.coarse_residual > 100.0 * header.residual);
}

#[test]
fn halves_make_the_whole() {
    for value in (-32_512..=32_512).map(|value: i16| value) {
        let (upper, lower) = split(value);
        assert_eq!(i32::from(value), 256 * i32::from(upper) + i32::from(lower));
    }
}

use proptest::prelude::*;

use super::*;
use crate::index::codes::{Layout, OwnedRows};

fn rows_of(vectors: &[Vec<f32>], form: Form) -> OwnedRows {
    let mut rows = OwnedRows::with_layout(Layout { dimension: vectors[0].len(), form });
    for vector in vectors {
        assert!(rows.push(vector));
    }
    rows
}

proptest! {
    /// What runs here is the widest that the processor has; all others must agree with it.
    #[test]
    fn every_way_gives_the_same_numbers(
        (vectors, upper, lower) in (1_usize..200).prop_flat_map(|dimension| {
            let value = prop_oneof![Just(0.0_f32), -1.0_f32..1.0, Just(1.0), Just(-1.0)];
            let byte = prop_oneof![Just(i8::MIN), Just(i8::MAX), any::<i8>()];
            (
                prop::collection::vec(prop::collection::vec(value, dimension), 2),
                prop::collection::vec(byte.clone(), dimension),
                prop::collection::vec(byte, dimension),
            )
        }),
        dense: bool,
    ) {
        let form = if dense { Form::Dense } else { Form::Packed };
        let owned = rows_of(&vectors, form);
        let rows = [0, 1].map(|position| owned.rows().row(position).unwrap());
        let query = [Plane::new(&upper), Plane::new(&lower)];
        let mut products = [0; 2];
        coarse(&query[0], form, &rows, &mut products);
        for (row, product) in rows.iter().zip(products) {
            prop_assert_eq!(product, portable::coarse(&query[0], form, row, portable::expand));
            let [upper, middle, lower] = portable::fine(&query, form, row, portable::expand);
            let expected = (i64::from(upper) << 16) + (i64::from(middle) << 8) + i64::from(lower);
            prop_assert_eq!(fine(&query, form, row), expected);
        }
        let pieces = query[0].pieces.len();
        for row in rows {
            let plain = portable::planes(pieces, form, row, portable::expand);
            for (found, plain) in planes(pieces, form, row).iter().zip(&plain) {
                prop_assert_eq!(&found.pieces, &plain.pieces);
                prop_assert_eq!(found.sum, plain.sum);
            }
        }
        if deposits_bits() {
            for row in rows {
                prop_assert_eq!(with_deposit(&query[0], form, row), Some(
                    portable::coarse(&query[0], form, row, portable::expand)
                ));
            }
        }
    }

    #[test]
    fn any_bytes_are_a_row(bytes in prop::collection::vec(any::<u8>(), 0..400), dense: bool) {
        let form = if dense { Form::Dense } else { Form::Packed };
        let plane = Plane::new(&[7; 200]);
        coarse(&plane, form, &[&bytes], &mut [0]);
        fine(&[plane.clone(), plane], form, &bytes);
        planes(4, form, &bytes);
    }
}

fn deposits_bits() -> bool {
    with_deposit(&Plane::default(), Form::Dense, &[]).is_some()
}

/// Nothing where the processor has no such instructions. The AVX2 way, which a processor with AVX-512 would otherwise not take.
#[allow(clippy::unnecessary_wraps, reason = "one version of it answers nothing")]
#[multiversion(targets("x86_64+avx2+bmi1+bmi2+popcnt"))]
fn with_deposit(query: &Plane, form: Form, row: &[u8]) -> Option<i32> {
    multiversion::target::match_target! {
        "x86_64+avx2+bmi1+bmi2+popcnt" => {
            Some(portable::coarse(query, form, row, |mask, packed| x86::deposit(mask, packed)))
        }
        _ => {
            let _ = (query, form, row);
            None
        }
    }
}

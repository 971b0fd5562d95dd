//! Vectors on a plane: the two directions in which they differ most.
//!
//! In: a collection. Out: [`Projection`]: a place for each of an even sample of its vectors. Refuses
//! nothing; of vectors that do not differ, all places are the same.
//!
//! Principal component analysis by power iteration with two vectors at a time (subspace iteration; G. H.
//! Golub and C. F. Van Loan, *Matrix Computations*, 4th edition, section 8.2.4), of vectors at length
//! one, since searches compare directions. The directions are found on 4,096 vectors: with some
//! thousand the first two of a thousand dimensions are settled, and all of a million would not fit into
//! memory. Where a direction points is chosen so that its greatest value is positive: the same
//! vectors give the same map.

use super::collection::Collection;
use crate::error::Result;
use crate::index::metric::normalise;
use crate::store::Library;
use crate::store::segments::VectorKey;

/// Vectors that the directions are found on.
const FITTED: usize = 4_096;
/// Turns of the iteration at most, and the change at which it ends.
const TURNS: usize = 60;
const SETTLED: f64 = 1e-6;

/// Places of vectors on a plane.
#[derive(Clone, Debug, PartialEq)]
pub struct Projection {
    /// What the places are of.
    pub keys: Vec<VectorKey>,
    /// Along the first direction and along the second, from the mean.
    pub places: Vec<(f32, f32)>,
    /// The share of the variance along each.
    pub explained: [f64; 2],
    /// How many vectors there are, of which these are a sample.
    pub total: usize,
}

impl Projection {
    /// The places of at most `most` vectors of `collection`.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store), [`Error::Vector`](crate::Error::Vector).
    pub fn of(library: &Library, collection: &Collection, most: usize) -> Result<Self> {
        let (model, level) = (collection.model(), collection.level());
        let dimension = model.identity.dimension;
        let mut vector = Vec::with_capacity(dimension);
        let mut read = |key: VectorKey| -> Result<Option<Vec<f32>>> {
            let is_there = library.searched_vector(key, model.id, level, dimension, &mut vector)?;
            Ok((is_there && normalise(&mut vector, dimension).is_ok()).then(|| vector.clone()))
        };
        let mut sample = Vec::new();
        for key in collection.sample(FITTED.min(most.max(2))) {
            sample.extend(read(key)?);
        }
        let plane = Plane::fit(&sample, dimension);
        drop(sample);
        let (mut keys, mut places) = (Vec::new(), Vec::new());
        for key in collection.sample(most) {
            if let Some(vector) = read(key)? {
                keys.push(key);
                places.push(plane.place(&vector));
            }
        }
        Ok(Self { keys, places, explained: plane.explained, total: collection.len() })
    }
}

/// A mean and two directions.
struct Plane {
    mean: Vec<f64>,
    directions: [Vec<f64>; 2],
    explained: [f64; 2],
}

impl Plane {
    fn fit(rows: &[Vec<f32>], dimension: usize) -> Self {
        let count = rows.len().max(1) as f64;
        let mut mean = vec![0.0; dimension];
        for row in rows {
            mean.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x) / count);
        }
        let centred: Vec<Vec<f32>> = rows.iter().map(|row| less(row, &mean)).collect();
        let total: f64 = centred.iter().flatten().map(|&x| f64::from(x).powi(2)).sum();
        // Any start will do that is not at right angles to what is looked for.
        let mut directions = [1, 2].map(|seed| start(dimension, seed));
        orthonormalise(&mut directions);
        let mut variances = [0.0; 2];
        for _ in 0..TURNS {
            let mut next = [vec![0.0; dimension], vec![0.0; dimension]];
            variances = [0.0; 2];
            for row in &centred {
                for ((direction, next), variance) in
                    directions.iter().zip(&mut next).zip(&mut variances)
                {
                    let along: f64 =
                        row.iter().zip(direction).map(|(&x, d)| f64::from(x) * d).sum();
                    *variance += along * along;
                    next.iter_mut().zip(row).for_each(|(sum, &x)| *sum += along * f64::from(x));
                }
            }
            orthonormalise(&mut next);
            let turned: f64 = directions
                .iter()
                .zip(&next)
                .map(|(a, b)| 1.0 - a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>().abs())
                .sum();
            directions = next;
            if turned < SETTLED {
                break;
            }
        }
        for direction in &mut directions {
            let greatest = direction
                .iter()
                .copied()
                .fold(0.0, |most: f64, x| if x.abs() > most.abs() { x } else { most });
            if greatest < 0.0 {
                for x in direction.iter_mut() {
                    *x = -*x;
                }
            }
        }
        let explained = variances.map(|variance| if total > 0.0 { variance / total } else { 0.0 });
        Self { mean, directions, explained }
    }

    #[expect(clippy::cast_possible_truncation, reason = "places to be drawn")]
    fn place(&self, row: &[f32]) -> (f32, f32) {
        let along = |direction: &[f64]| -> f32 {
            let centred = row.iter().zip(&self.mean).map(|(&x, mean)| f64::from(x) - mean);
            centred.zip(direction).map(|(x, d)| x * d).sum::<f64>() as f32
        };
        (along(&self.directions[0]), along(&self.directions[1]))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "values of a unit vector")]
fn less(row: &[f32], mean: &[f64]) -> Vec<f32> {
    row.iter().zip(mean).map(|(&x, mean)| (f64::from(x) - mean) as f32).collect()
}

/// Numbers between −1 and 1 that look like chance, the same each time.
fn start(dimension: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..dimension)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
        })
        .collect()
}

/// Makes the first of length one and the second too, at right angles to it; of nothing, zeros.
fn orthonormalise([first, second]: &mut [Vec<f64>; 2]) {
    let scale = |vector: &mut Vec<f64>| {
        let length = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
        for x in vector.iter_mut() {
            *x = if length > 1e-12 { *x / length } else { 0.0 };
        }
    };
    scale(first);
    let along: f64 = first.iter().zip(second.iter()).map(|(x, y)| x * y).sum();
    second.iter_mut().zip(first.iter()).for_each(|(y, x)| *y -= along * x);
    scale(second);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plane_is_that_of_the_greatest_variance() {
        // Spread 3 along the second axis, 2 along the fourth, a little along the others.
        let rows: Vec<Vec<f32>> = (0..400)
            .map(|index| {
                let noise = start(5, index + 10);
                let spread = [0.1, 3.0, 0.05, 2.0, 0.1];
                #[expect(clippy::cast_possible_truncation, reason = "a test's numbers")]
                noise.iter().zip(spread).map(|(x, spread)| (x * spread) as f32 + 1.0).collect()
            })
            .collect();
        let plane = Plane::fit(&rows, 5);
        assert!(plane.directions[0][1] > 0.99, "{:?}", plane.directions[0]);
        assert!(plane.directions[1][3] > 0.99, "{:?}", plane.directions[1]);
        // 9 : 4 of the variance of nearly 13.
        assert!((plane.explained[0] - 9.0 / 13.0).abs() < 0.06, "{:?}", plane.explained);
        assert!((plane.explained[1] - 4.0 / 13.0).abs() < 0.06, "{:?}", plane.explained);
        let (x, y) = plane.place(&[1.0, 2.0, 1.0, 1.0, 1.0]);
        let (right, up) = plane.place(&[1.0, 1.0, 1.0, 1.0, 1.0]);
        assert!((x - right - 1.0).abs() < 0.02 && (y - up).abs() < 0.1, "{x} {y}");
    }

    #[test]
    fn what_does_not_differ_lies_at_one_place() {
        let rows = vec![vec![1.0_f32, 0.0, 0.0]; 5];
        let plane = Plane::fit(&rows, 3);
        assert!(plane.explained.iter().all(|share| share.abs() < 1e-9));
        assert_eq!(plane.place(&rows[0]), (0.0, 0.0));
        assert!(Plane::fit(&[], 3).explained.iter().all(|share| share.abs() < 1e-9));
    }
}

//! Patch embeddings into one embedding: the mean.
//!
//! In: rows of float32. Out: their mean, summed in float64 so that a day of patches loses nothing.

#![expect(clippy::cast_possible_truncation, reason = "summed in f64, kept in f32")]

/// The running mean of vectors.
#[derive(Clone, Debug)]
pub struct Mean {
    sums: Vec<f64>,
    weight: f64,
}

impl Mean {
    /// The mean of no vectors of `dimension` values yet.
    pub fn new(dimension: usize) -> Self {
        Self { sums: vec![0.0; dimension], weight: 0.0 }
    }

    /// Adds rows, `[rows, dimension]`.
    pub fn add(&mut self, rows: &[f32]) {
        for row in rows.chunks_exact(self.sums.len().max(1)) {
            self.add_weighted(row, 1.0);
        }
    }

    /// Adds one row, `[dimension]`, which counts as `weight` of one.
    pub fn add_weighted(&mut self, row: &[f32], weight: f32) {
        let weight = f64::from(weight);
        for (sum, &value) in self.sums.iter_mut().zip(row) {
            *sum += weight * f64::from(value);
        }
        self.weight += weight;
    }

    /// The sum of the weights.
    pub fn weight(&self) -> f64 {
        self.weight
    }

    /// The mean, `[dimension]`; zeros when nothing was added.
    pub fn mean(&self) -> Vec<f32> {
        let weight = if self.weight > 0.0 { self.weight } else { 1.0 };
        self.sums.iter().map(|sum| (sum / weight) as f32).collect()
    }
}

/// The `count` largest of `scores` with their positions, largest first.
pub fn top_scores(scores: &[f32], count: usize) -> Vec<(usize, f32)> {
    let by_rank = |a: &(usize, f32), b: &(usize, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    let mut ranked: Vec<(usize, f32)> = scores.iter().copied().enumerate().collect();
    // Hundreds of classes for every second of sound: those that do not count are not sorted.
    if count < ranked.len() {
        ranked.select_nth_unstable_by(count, by_rank);
        ranked.truncate(count);
    }
    ranked.sort_by(by_rank);
    ranked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_of_rows() {
        let mut mean = Mean::new(2);
        assert_eq!(mean.mean(), [0.0, 0.0]);
        mean.add(&[1.0, 2.0, 3.0, 6.0]);
        mean.add(&[5.0, 1.0]);
        assert_eq!(mean.mean(), [3.0, 3.0]);
        mean.add_weighted(&[17.0, -4.0], 0.5);
        assert_eq!((mean.mean(), mean.weight()), (vec![5.0, 2.0], 3.5));
    }

    #[test]
    fn top_scores_are_ranked_and_ties_keep_their_order() {
        assert_eq!(top_scores(&[0.1, 0.5, 0.5, 0.9], 3), [(3, 0.9), (1, 0.5), (2, 0.5)]);
        assert_eq!(top_scores(&[0.1, 0.5, 0.5, 0.9], 2), [(3, 0.9), (1, 0.5)]);
        assert_eq!(top_scores(&[0.1, 0.2], 5), [(1, 0.2), (0, 0.1)]);
        assert_eq!(top_scores(&[0.1, 0.2], 0), []);
    }
}

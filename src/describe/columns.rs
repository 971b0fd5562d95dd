//! Something that is measured along a recording of any length, in a bounded number of columns.
//!
//! In: one measurement after another, each of the same length of time (a *unit*). Out: columns of
//! as many units each as are needed to be few enough. When there are too many, each two become
//! one, so that what is kept depends on the measurements alone, not on how they came.

/// What a column holds.
pub trait Column: Clone + Default {
    /// Takes in what lies behind it in time.
    fn add(&mut self, later: &Self);
}

/// Columns of one length of time, the last one perhaps not full.
#[derive(Clone, Debug)]
pub struct Columns<C> {
    held: Vec<C>,
    most: usize,
    units_per_column: usize,
    units: usize,
}

impl<C: Column> Columns<C> {
    /// No columns yet, and never more than `most`, which is rounded up to an even number.
    pub fn new(most: usize) -> Self {
        let most = most.max(2).next_multiple_of(2);
        Self { held: Vec::new(), most, units_per_column: 1, units: 0 }
    }

    /// Adds the next unit.
    pub fn push(&mut self, unit: &C) {
        if self.units == self.most * self.units_per_column {
            self.halve();
        }
        if self.units.is_multiple_of(self.units_per_column) {
            self.held.push(C::default());
        }
        if let Some(column) = self.held.last_mut() {
            column.add(unit);
        }
        self.units += 1;
    }

    fn halve(&mut self) {
        let pairs = self.held.chunks_exact(2).map(|pair| {
            let mut column = pair[0].clone();
            column.add(&pair[1]);
            column
        });
        self.held = pairs.collect();
        self.units_per_column *= 2;
    }

    /// The columns, in the order of time.
    pub fn columns(&self) -> &[C] {
        &self.held
    }

    /// Units of a full column: a power of two.
    pub fn units_per_column(&self) -> usize {
        self.units_per_column
    }

    /// Units that were added.
    pub fn units(&self) -> usize {
        self.units
    }

    /// The same time in `count` columns of one width, whatever there are now: one that lies
    /// across several is all of them. None, where nothing was added.
    pub fn resampled(&self, count: usize) -> Vec<C> {
        if self.units == 0 {
            return Vec::new();
        }
        (0..count)
            .map(|index| {
                let first = index * self.units / count;
                let behind = ((index + 1) * self.units).div_ceil(count);
                let first = first / self.units_per_column;
                let behind = behind.div_ceil(self.units_per_column).min(self.held.len());
                let mut column = C::default();
                self.held[first..behind].iter().for_each(|one| column.add(one));
                column
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The first and the last unit, and how many there are.
    #[derive(Clone, Debug, Default, PartialEq)]
    struct Span(Option<(usize, usize)>, usize);

    impl Column for Span {
        fn add(&mut self, later: &Self) {
            self.1 += later.1;
            self.0 = match (self.0, later.0) {
                (Some((first, last)), Some((next, end))) => {
                    assert_eq!(last + 1, next, "in the order of time, without a gap");
                    Some((first, end))
                }
                (mine, theirs) => mine.or(theirs),
            };
        }
    }

    fn columns(units: usize, most: usize) -> Columns<Span> {
        let mut columns = Columns::new(most);
        (0..units).for_each(|unit| columns.push(&Span(Some((unit, unit)), 1)));
        columns
    }

    proptest! {
        #[test]
        fn columns_are_few_and_hold_everything_once(units in 1_usize..5_000, most in 2_usize..80) {
            let columns = columns(units, most);
            let most = most.next_multiple_of(2);
            prop_assert!(columns.columns().len() <= most);
            // Halved no earlier than it must be.
            prop_assert!(units <= most || columns.columns().len() > most / 2);
            prop_assert_eq!(columns.columns().iter().map(|span| span.1).sum::<usize>(), units);
            for (index, span) in columns.columns().iter().enumerate() {
                prop_assert_eq!(span.0.unwrap().0, index * columns.units_per_column());
            }
        }

        #[test]
        fn pixels_cover_the_whole_time(units in 1_usize..3_000, count in 1_usize..1_200) {
            let columns = columns(units, 64);
            let pixels = columns.resampled(count);
            prop_assert_eq!(pixels.len(), count);
            prop_assert_eq!(pixels[0].0.unwrap().0, 0);
            prop_assert_eq!(pixels[count - 1].0.unwrap().1, units - 1);
            for (index, pixel) in pixels.iter().enumerate() {
                let (first, last) = pixel.0.unwrap();
                let middle = (2 * index + 1) * units / (2 * count);
                prop_assert!((first..=last).contains(&middle));
            }
        }
    }

    #[test]
    fn nothing_has_no_columns() {
        assert!(Columns::<Span>::new(8).resampled(10).is_empty());
    }
}

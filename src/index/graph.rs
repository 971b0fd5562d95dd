//! A navigable graph, frozen: who is whose neighbour, in a few plain arrays of numbers.
//!
//! In: rows in memory to build it from, or the arrays of an earlier one. Out: the arrays, checked,
//! so that a search can neither leave them nor go on for ever. Refuses arrays that are no graph.
//!
//! It comes from `hnsw_rs` (`build.rs`), and then every row's neighbours are chosen anew
//! (`relink.rs`). Every row has up to [`NEIGHBOURS`] neighbours on level 0; a few rows, the members,
//! are on upper levels too, through which a search comes near the query in a few steps.

mod build;
mod relink;
mod search;
mod select;

pub use build::OwnedGraph;
use search::Layer;
pub use search::{GaveUp, Pool, Walked, most_rows, scanning_is_cheaper};

use super::codes::Damaged;

/// Neighbours of a row on level 0 at most.
pub const NEIGHBOURS: usize = 32;
/// Neighbours of a member on an upper level at most.
pub const UPPER_NEIGHBOURS: usize = 16;
/// Upper levels at most; a level has a sixteenth of the rows of the one below.
const LEVELS: usize = 16;
/// Rows at most: a search has use for the highest bit of a position.
const MOST_ROWS: usize = 1 << 31;
/// Stands behind the last neighbour.
pub(super) const NONE: u32 = u32::MAX;

/// The arrays of a graph, as they lie in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GraphArrays<'a> {
    /// `[rows, NEIGHBOURS]`: positions of each row's neighbours on level 0; behind the last one
    /// `u32::MAX`.
    pub neighbours: &'a [u32],
    /// How many members each upper level has, the lowest first. A level's members are the first
    /// so many.
    pub levels: &'a [u32],
    /// Positions of the members. A search begins at the first.
    pub members: &'a [u32],
    /// Level by level `[members of it, UPPER_NEIGHBOURS]`: neighbours as numbers of members; behind
    /// the last one `u32::MAX`.
    pub upper: &'a [u32],
    /// `[rows]`: the next row that is just like this one, or `u32::MAX`; none where no two are.
    /// Only the first of them has neighbours, and is one.
    pub next_same: &'a [u32],
}

/// A graph that has been checked.
#[derive(Clone, Copy, Debug)]
pub struct Graph<'a> {
    arrays: GraphArrays<'a>,
    rows: usize,
}

impl<'a> Graph<'a> {
    /// The graph of `rows` rows that `arrays` are; all of them are read.
    ///
    /// # Errors
    /// [`Damaged`] when a number points outside, or the sizes do not fit each other.
    pub fn new(arrays: GraphArrays<'a>, rows: usize) -> Result<Self, Damaged> {
        let GraphArrays { neighbours, levels, members, upper, next_same } = arrays;
        let all_below = |numbers: &[u32], end: usize| {
            // No early end, so that the loop is vectorised: the arrays are long, and mostly right.
            let wrong = |&number: &u32| number != NONE && number as usize >= end;
            numbers.iter().filter(|number| wrong(number)).count() == 0
        };
        let mut upper_ends = 0_usize;
        let mut fits = rows <= MOST_ROWS
            && rows.checked_mul(NEIGHBOURS) == Some(neighbours.len())
            && levels.len() <= LEVELS
            && levels.is_sorted_by(|below, above| below >= above)
            && levels.first().map_or(0, |&first| first as usize) == members.len()
            && levels.last().is_none_or(|&top| top > 0)
            && members.iter().all(|&member| (member as usize) < rows)
            && all_below(neighbours, rows)
            && (next_same.is_empty() || next_same.len() == rows)
            // Ascending, so that following them ends.
            && (0..).zip(next_same).all(|(row, &next)| next > row)
            && all_below(next_same, rows);
        for &level in levels {
            let size = (level as usize).saturating_mul(UPPER_NEIGHBOURS);
            let end = upper_ends.saturating_add(size);
            let links = upper.get(upper_ends..end);
            fits &= links.is_some_and(|links| all_below(links, level as usize));
            upper_ends = end;
        }
        if fits && upper_ends == upper.len() { Ok(Self { arrays, rows }) } else { Err(Damaged) }
    }

    /// As [`new`](Self::new), with what that has accepted before: reading all of it takes longer
    /// than a search.
    pub(crate) fn of_checked(arrays: GraphArrays<'a>, rows: usize) -> Self {
        Self { arrays, rows }
    }

    /// How many rows it has.
    pub fn len(self) -> usize {
        self.rows
    }

    /// Whether it has none.
    pub fn is_empty(self) -> bool {
        self.rows == 0
    }

    /// The rows that are just like the one at `position`, behind it, which is the first.
    #[inline]
    fn same_as(self, position: u32) -> impl Iterator<Item = u32> + 'a {
        let next = move |&position: &u32| {
            let next = self.arrays.next_same.get(position as usize).copied();
            next.filter(|&next| next != NONE)
        };
        std::iter::successors(Some(position), next)
    }

    /// A level, 0 being that of all rows.
    #[inline]
    fn layer(self, level: usize) -> Layer<'a> {
        let GraphArrays { neighbours, levels, members, upper, .. } = self.arrays;
        let Some(above) = level.checked_sub(1) else {
            return Layer { links: neighbours, room: NEIGHBOURS, members: None };
        };
        let start = levels[..above].iter().map(|&size| size as usize).sum::<usize>();
        let links = &upper[start * UPPER_NEIGHBOURS..][..levels[above] as usize * UPPER_NEIGHBOURS];
        Layer { links, room: UPPER_NEIGHBOURS, members: Some(members) }
    }
}

/// The numbers before the first `NONE`.
#[inline]
fn listed(numbers: &[u32]) -> impl Iterator<Item = u32> + '_ {
    numbers.iter().copied().take_while(|&number| number != NONE)
}

#[cfg(test)]
mod tests;

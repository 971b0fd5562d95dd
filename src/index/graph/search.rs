//! Walking the graph towards a query.
//!
//! In: a graph, the rows it is over, a prepared query. Out: candidates, most of them the nearest,
//! with bounds on their cosines. Never leaves the graph and looks at no row twice, so that it ends.

use std::collections::BinaryHeap;
use std::sync::{Mutex, PoisonError};

use super::{Graph, NEIGHBOURS, UPPER_NEIGHBOURS, listed};
use crate::index::codes::{Blob, Damaged, Header, Rows};
use crate::index::mapped::prefetch;
use crate::index::quantise::PreparedQuery;
use crate::index::scan::Candidate;

/// What searches write on, kept for the next ones; any number of threads may share it.
#[derive(Debug, Default)]
pub struct Pool(Mutex<Vec<Scratch>>);

impl Pool {
    /// Lends what a search of `rows` rows needs.
    fn lend<T>(&self, rows: usize, width: usize, search: impl FnOnce(&mut Scratch) -> T) -> T {
        let free = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut scratch = free().pop().unwrap_or_default();
        scratch.begin(rows, width);
        let result = search(&mut scratch);
        free().push(scratch);
        result
    }
}

/// The filtered search had seen as many rows as it may without being done: the filter lets too few
/// pass, or not where the query is. Scanning what passes is the way then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GaveUp;

/// Rows that a walk sees for each row of its width. Without a filter it was 6 (width 128) to 10 (32)
/// on 100,000 YAMNet-like vectors; rows that lie in order are cheaper than a walk's, hence 12.
const SEEN_PER_WIDTH: usize = 12;

/// Whether it is cheaper to scan the `allowed` of `rows` rows than to walk the graph with `width`.
/// A walk sees `width × SEEN_PER_WIDTH` rows, and as many times more as there are rows for each
/// that passes.
pub fn scanning_is_cheaper(allowed: usize, rows: usize, width: usize) -> bool {
    let walked = (width as u128) * (SEEN_PER_WIDTH as u128) * (rows as u128);
    (allowed as u128).pow(2) <= walked
}

/// What a search has seen and found.
#[derive(Debug, Default)]
struct Scratch {
    /// The number of the search that last saw each row.
    stamps: Vec<u8>,
    search: u8,
    nearest: Nearest,
    /// Seen and not gone to, the nearest on top. Filtered searches only.
    frontier: BinaryHeap<Step>,
}

impl Scratch {
    fn begin(&mut self, rows: usize, width: usize) {
        self.search = self.search.wrapping_add(1);
        if self.search == 0 || self.stamps.len() != rows {
            self.stamps.clear();
            self.stamps.resize(rows, 0);
            self.search = 1;
        }
        self.nearest.begin(width);
        self.frontier.clear();
    }

    /// Whether a row is seen for the first time.
    #[inline]
    fn is_new(&mut self, position: u32) -> bool {
        let stamp = &mut self.stamps[position as usize];
        std::mem::replace(stamp, self.search) != self.search
    }
}

/// A row and its coarse cosine.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Step {
    cosine: f32,
    position: u32,
}

impl Eq for Step {}

impl Ord for Step {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.cosine.total_cmp(&other.cosine).then(other.position.cmp(&self.position))
    }
}

impl PartialOrd for Step {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// The nearest rows so far, the nearest first, and which of them have been gone to.
#[derive(Debug, Default)]
struct Nearest {
    width: usize,
    /// With [`GONE_TO`] in a position whose neighbours have been seen.
    steps: Vec<Step>,
    /// All before it have been gone to.
    next: usize,
}

/// The bit of a position that rows have no use for: a graph has at most 2³¹.
const GONE_TO: u32 = 1 << 31;

impl Nearest {
    fn begin(&mut self, width: usize) {
        self.width = width;
        self.steps.clear();
        self.steps.reserve(width);
        self.next = 0;
    }

    /// What a row must exceed to be among them.
    #[inline]
    fn threshold(&self) -> f32 {
        if self.steps.len() < self.width {
            f32::NEG_INFINITY
        } else {
            self.steps.last().map_or(f32::INFINITY, |last| last.cosine)
        }
    }

    #[inline]
    fn insert(&mut self, step: Step) {
        // A cosine that is no number comes from a damaged row, and is among nothing.
        if step.cosine <= self.threshold() || step.cosine.is_nan() {
            return;
        }
        let place = self.steps.partition_point(|other| other.cosine >= step.cosine);
        if self.steps.len() == self.width {
            self.steps.pop();
        }
        self.steps.insert(place, step);
        self.next = self.next.min(place);
    }

    /// The nearest that has not been gone to, which counts as gone to then.
    #[inline]
    fn go(&mut self) -> Option<u32> {
        let step = self.steps.get_mut(self.next)?;
        let position = step.position;
        step.position |= GONE_TO;
        let rest = &self.steps[self.next..];
        let gone = rest.iter().position(|step| step.position & GONE_TO == 0);
        self.next += gone.unwrap_or(rest.len());
        Some(position)
    }

    /// The one that [`go`](Self::go) would answer now.
    #[inline]
    fn peek(&self) -> Option<u32> {
        self.steps.get(self.next).map(|step| step.position)
    }
}

impl Graph<'_> {
    /// The `width` rows nearest to `query` by coarse cosine, nearest first, but for some that the
    /// walk misses: the wider, the fewer.
    ///
    /// # Errors
    /// [`Damaged`] when a row is.
    ///
    /// # Panics
    /// When there are fewer `rows` than the graph has.
    pub fn search<B: Blob + ?Sized>(
        self,
        rows: Rows<'_, B>,
        query: &PreparedQuery,
        width: usize,
        pool: &Pool,
    ) -> Result<Vec<Candidate>, Damaged> {
        pool.lend(self.len(), width, |scratch| {
            let mut walk = Walk { graph: self, rows, query };
            let Some(start) = walk.descend()? else { return Ok(Vec::new()) };
            scratch.is_new(start.position);
            scratch.nearest.insert(start);
            while let Some(position) = scratch.nearest.go() {
                let mut seen = Batch::new();
                walk.see(position, scratch, &mut seen)?;
                for step in seen.steps() {
                    scratch.nearest.insert(step);
                }
            }
            walk.candidates(&scratch.nearest)
        })
    }

    /// As [`search`](Self::search), of the rows only for which `keep` holds. Sees about
    /// `most_rows` rows at most.
    ///
    /// # Errors
    /// [`Damaged`] when a row is.
    ///
    /// # Panics
    /// When there are fewer `rows` than the graph has.
    pub fn search_filtered<B: Blob + ?Sized>(
        self,
        rows: Rows<'_, B>,
        query: &PreparedQuery,
        width: usize,
        keep: impl Fn(u32) -> bool,
        most_rows: usize,
        pool: &Pool,
    ) -> Result<Result<Vec<Candidate>, GaveUp>, Damaged> {
        pool.lend(self.len(), width, |scratch| {
            let mut walk = Walk { graph: self, rows, query };
            let Some(start) = walk.descend()? else { return Ok(Ok(Vec::new())) };
            scratch.is_new(start.position);
            scratch.frontier.push(start);
            if keep(start.position) {
                scratch.nearest.insert(start);
            }
            let mut rows_seen = 0;
            while let Some(step) = scratch.frontier.pop() {
                if step.cosine < scratch.nearest.threshold() {
                    break;
                }
                if rows_seen > most_rows {
                    return Ok(Err(GaveUp));
                }
                let mut seen = Batch::new();
                walk.see(step.position, scratch, &mut seen)?;
                rows_seen += seen.count;
                for step in seen.steps() {
                    if step.cosine > scratch.nearest.threshold() {
                        scratch.frontier.push(step);
                        if keep(step.position) {
                            scratch.nearest.insert(step);
                        }
                    }
                }
            }
            walk.candidates(&scratch.nearest).map(Ok)
        })
    }
}

/// Rows that are compared together.
struct Batch {
    positions: [u32; NEIGHBOURS],
    cosines: [f32; NEIGHBOURS],
    count: usize,
}

impl Batch {
    #[inline]
    fn new() -> Self {
        Self { positions: [0; NEIGHBOURS], cosines: [0.0; NEIGHBOURS], count: 0 }
    }

    #[inline]
    fn push(&mut self, position: u32) {
        self.positions[self.count] = position;
        self.count += 1;
    }

    #[inline]
    fn steps(&self) -> impl Iterator<Item = Step> {
        let positions = self.positions[..self.count].iter();
        let both = positions.zip(&self.cosines);
        both.map(|(&position, &cosine)| Step { cosine, position })
    }
}

struct Walk<'a, B: ?Sized> {
    graph: Graph<'a>,
    rows: Rows<'a, B>,
    query: &'a PreparedQuery,
}

impl<B: Blob + ?Sized> Walk<'_, B> {
    /// Where the upper levels lead to.
    fn descend(&mut self) -> Result<Option<Step>, Damaged> {
        let members = self.graph.arrays.members;
        let Some(&first) = members.first() else {
            // So few rows that none is on an upper level.
            return if self.graph.is_empty() { Ok(None) } else { self.compare_one(0).map(Some) };
        };
        let (mut number, mut here) = (0, self.compare_one(first)?);
        for links in self.graph.levels() {
            loop {
                let mut seen = Batch::new();
                let mut numbers = [0; UPPER_NEIGHBOURS];
                let list = &links[number * UPPER_NEIGHBOURS..][..UPPER_NEIGHBOURS];
                for neighbour in listed(list) {
                    numbers[seen.count] = neighbour as usize;
                    seen.push(members[neighbour as usize]);
                }
                self.compare(&mut seen)?;
                let Some((place, nearest)) =
                    seen.steps().enumerate().max_by(|(_, a), (_, b)| a.cmp(b))
                else {
                    break;
                };
                // Strictly nearer, so that it ends.
                if nearest.cosine <= here.cosine || nearest.cosine.is_nan() {
                    break;
                }
                (number, here) = (numbers[place], nearest);
            }
        }
        Ok(Some(here))
    }

    /// Compares the neighbours of a row that have not been seen.
    #[inline]
    fn see(
        &mut self,
        position: u32,
        scratch: &mut Scratch,
        seen: &mut Batch,
    ) -> Result<(), Damaged> {
        for neighbour in self.graph.neighbours(position) {
            if scratch.is_new(neighbour) {
                seen.push(neighbour);
            }
        }
        // Where it will probably go next.
        if let Some(next) = scratch.nearest.peek() {
            let start = (next & !GONE_TO) as usize * NEIGHBOURS;
            prefetch(bytemuck::cast_slice(&self.graph.arrays.neighbours[start..][..NEIGHBOURS]));
        }
        self.compare(seen)
    }

    #[inline]
    fn compare(&mut self, seen: &mut Batch) -> Result<(), Damaged> {
        let count = seen.count;
        for &position in &seen.positions[..count] {
            self.rows.prefetch(position as usize);
        }
        let mut rows: [&[u8]; NEIGHBOURS] = [&[]; NEIGHBOURS];
        for (row, &position) in rows.iter_mut().zip(&seen.positions[..count]) {
            *row = self.rows.row(position as usize)?;
        }
        self.query.coarse(&rows[..count], &mut seen.cosines[..count]);
        Ok(())
    }

    fn compare_one(&mut self, position: u32) -> Result<Step, Damaged> {
        let mut seen = Batch::new();
        seen.push(position);
        self.compare(&mut seen)?;
        Ok(Step { cosine: seen.cosines[0], position })
    }

    fn candidates(&self, nearest: &Nearest) -> Result<Vec<Candidate>, Damaged> {
        let candidate = |step: &Step| {
            let position = step.position & !GONE_TO;
            let row = self.rows.row(position as usize)?;
            let bound = self.query.coarse_bound(Header::of(row).coarse_residual);
            Ok(Candidate { position, upper: step.cosine + bound, lower: step.cosine - bound })
        };
        nearest.steps.iter().map(candidate).collect()
    }
}

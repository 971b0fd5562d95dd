//! Walking the graph towards a query.
//!
//! In: a graph, the rows it is over, a prepared query. Out: candidates, most of them the nearest,
//! with bounds on their cosines. Never leaves the graph and looks at no row twice, so that it ends.

use std::collections::BinaryHeap;
use std::sync::{Mutex, PoisonError};

use super::{Graph, NEIGHBOURS, listed};
use crate::index::codes::{Blob, Damaged, Header, Rows};
use crate::index::mapped::prefetch;
use crate::index::quantise::PreparedQuery;
use crate::index::scan::Candidate;

/// What searches write on, kept for the next ones; any number of threads may share it.
#[derive(Debug, Default)]
pub struct Pool(Mutex<Vec<Scratch>>);

impl Pool {
    /// Lends what a search of `rows` rows needs.
    pub(super) fn lend<T>(
        &self,
        rows: usize,
        width: usize,
        search: impl FnOnce(&mut Scratch) -> T,
    ) -> T {
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

/// Rows that a scan compares while a walk goes to one: 95 and some 150 to 200 nanoseconds, on 100,000
/// such vectors and one thread. Scans take all threads.
const SCANNED_PER_WALKED: usize = 2;

/// Rows that a filtered walk with `width` may see until a scan of the `allowed` ones would have been
/// through: then it gives up, and has cost as much again at most. What it sees in any case, it may.
pub fn most_rows(allowed: usize, width: usize) -> usize {
    let usual = width.saturating_mul(SEEN_PER_WIDTH);
    allowed.min((allowed / SCANNED_PER_WALKED).max(usual))
}

/// What a search has seen and found.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// The number of the search that last saw each row.
    stamps: Vec<u8>,
    search: u8,
    pub(super) nearest: Nearest,
    /// Seen and not gone to, the nearest on top. Filtered searches only.
    frontier: BinaryHeap<Step>,
    /// Cosines of rows on the way that did not pass. Filtered searches only.
    rejected: Vec<f32>,
}

/// What a filtered search found.
#[derive(Clone, Debug, PartialEq)]
pub struct Walked {
    /// Those that pass, the nearest first.
    pub candidates: Vec<Candidate>,
    /// Coarse cosines of those on the way that do not.
    pub rejected: Vec<f32>,
}

/// What the rank of the last answer may be beyond what chance makes of it: times, and ranks.
const BY_CHANCE: (f64, f64) = (1.5, 5.0);

impl Walked {
    /// Whether far more than chance explains is nearer than the `count` nearest that pass, where `share`
    /// of all rows do: the filter lets the query's own surroundings not pass. The tenth answer may be
    /// the thousandth row then, and a walk sees the ring that it lies in too thinly: half of the ten
    /// answers behind the nearest 3 % of 24,000 rows were missed, and a twenty-fifth of those behind
    /// the nearest 24.
    pub fn is_against(&self, count: usize, share: f64) -> bool {
        let cosine = |found: &Candidate| f32::midpoint(found.upper, found.lower);
        let asked = self.candidates.get(count.saturating_sub(1)).or(self.candidates.last());
        let Some(asked) = asked.map(cosine) else { return !self.rejected.is_empty() };
        let nearer = self.rejected.iter().filter(|&&cosine| cosine >= asked).count();
        let (times, more) = BY_CHANCE;
        (nearer + count) as f64 > times * count as f64 / share.max(f64::MIN_POSITIVE) + more
    }
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
        self.rejected.clear();
    }

    /// Whether a row is seen for the first time.
    #[inline]
    fn is_new(&mut self, position: u32) -> bool {
        let stamp = &mut self.stamps[position as usize];
        std::mem::replace(stamp, self.search) != self.search
    }
}

/// A row, by its number on a level, and its coarse cosine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) cosine: f32,
    pub(super) number: u32,
}

impl Eq for Step {}

impl Ord for Step {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.cosine.total_cmp(&other.cosine).then(other.number.cmp(&self.number))
    }
}

impl PartialOrd for Step {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// The nearest rows so far, the nearest first, and which of them have been gone to.
#[derive(Debug, Default)]
pub(super) struct Nearest {
    width: usize,
    /// With [`GONE_TO`] in a number whose neighbours have been seen.
    steps: Vec<Step>,
    /// All before it have been gone to.
    next: usize,
}

/// The bit of a number that rows have no use for: a graph has at most 2³¹.
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
        let number = step.number;
        step.number |= GONE_TO;
        let rest = &self.steps[self.next..];
        let gone = rest.iter().position(|step| step.number & GONE_TO == 0);
        self.next += gone.unwrap_or(rest.len());
        Some(number)
    }

    /// The one that [`go`](Self::go) would answer now.
    #[inline]
    fn peek(&self) -> Option<u32> {
        self.steps.get(self.next).map(|step| step.number)
    }

    /// All of them.
    pub(super) fn found(&self) -> impl Iterator<Item = Step> {
        self.steps.iter().map(|step| Step { number: step.number & !GONE_TO, ..*step })
    }
}

/// A level of a graph.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layer<'a> {
    /// Lists of `room` numbers each.
    pub(super) links: &'a [u32],
    pub(super) room: usize,
    /// The positions that the numbers stand for; nothing on level 0, where they are the positions.
    pub(super) members: Option<&'a [u32]>,
}

impl<'a> Layer<'a> {
    #[inline]
    pub(super) fn list(self, number: u32) -> &'a [u32] {
        &self.links[number as usize * self.room..][..self.room]
    }

    #[inline]
    pub(super) fn position(self, number: u32) -> usize {
        self.members.map_or(number, |members| members[number as usize]) as usize
    }
}

impl Graph<'_> {
    /// The `width` rows nearest to `query` by coarse cosine, nearest first, but for some that the
    /// walk misses: the wider, the fewer. Of rows that are the same, `width` are in it at most, and
    /// together they count as one.
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
            let walk = Walk { rows, query };
            let Some(start) = walk.descend(self)? else { return Ok(Vec::new()) };
            walk.spread(self.layer(0), start, scratch)?;
            walk.candidates(self, &scratch.nearest, |_| true)
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
    ) -> Result<Result<Walked, GaveUp>, Damaged> {
        pool.lend(self.len(), width, |scratch| {
            let walk = Walk { rows, query };
            let Some(start) = walk.descend(self)? else {
                return Ok(Ok(Walked { candidates: Vec::new(), rejected: Vec::new() }));
            };
            let any_kept = |position| self.same_as(position).any(&keep);
            scratch.is_new(start.number);
            scratch.frontier.push(start);
            if any_kept(start.number) {
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
                walk.see(self.layer(0), step.number, scratch, &mut seen)?;
                rows_seen += seen.count;
                for step in seen.steps() {
                    if step.cosine > scratch.nearest.threshold() {
                        scratch.frontier.push(step);
                        if any_kept(step.number) {
                            scratch.nearest.insert(step);
                        } else {
                            scratch.rejected.push(step.cosine);
                        }
                    }
                }
            }
            let candidates = walk.candidates(self, &scratch.nearest, keep)?;
            Ok(Ok(Walked { candidates, rejected: scratch.rejected.clone() }))
        })
    }
}

/// Rows that are compared together.
pub(super) struct Batch {
    numbers: [u32; NEIGHBOURS],
    cosines: [f32; NEIGHBOURS],
    count: usize,
}

impl Batch {
    #[inline]
    fn new() -> Self {
        Self { numbers: [0; NEIGHBOURS], cosines: [0.0; NEIGHBOURS], count: 0 }
    }

    #[inline]
    fn push(&mut self, number: u32) {
        self.numbers[self.count] = number;
        self.count += 1;
    }

    #[inline]
    fn steps(&self) -> impl Iterator<Item = Step> {
        let numbers = self.numbers[..self.count].iter();
        let both = numbers.zip(&self.cosines);
        both.map(|(&number, &cosine)| Step { cosine, number })
    }
}

pub(super) struct Walk<'a, B: ?Sized> {
    pub(super) rows: Rows<'a, B>,
    pub(super) query: &'a PreparedQuery,
}

impl<B: Blob + ?Sized> Walk<'_, B> {
    /// Where the upper levels lead to on level 0, by their nearest steps; nothing in a graph
    /// without rows.
    fn descend(&self, graph: Graph<'_>) -> Result<Option<Step>, Damaged> {
        let members = graph.arrays.members;
        let Some(&first) = members.first() else {
            // So few rows that none is on an upper level.
            return if graph.is_empty() { Ok(None) } else { self.compare_one(0, 0).map(Some) };
        };
        let mut here = self.compare_one(0, first as usize)?;
        for level in (1..=graph.arrays.levels.len()).rev() {
            let layer = graph.layer(level);
            loop {
                let mut seen = Batch::new();
                listed(layer.list(here.number)).for_each(|number| seen.push(number));
                self.compare(layer, &mut seen)?;
                let Some(nearest) = seen.steps().max() else { break };
                // Strictly nearer, so that it ends.
                if nearest.cosine <= here.cosine || nearest.cosine.is_nan() {
                    break;
                }
                here = nearest;
            }
        }
        here.number = members[here.number as usize];
        Ok(Some(here))
    }

    /// Goes from `start` to the nearest that is known, and so on, until all of the nearest have
    /// been gone to.
    #[inline]
    pub(super) fn spread(
        &self,
        layer: Layer<'_>,
        start: Step,
        scratch: &mut Scratch,
    ) -> Result<(), Damaged> {
        scratch.is_new(start.number);
        scratch.nearest.insert(start);
        while let Some(number) = scratch.nearest.go() {
            let mut seen = Batch::new();
            self.see(layer, number, scratch, &mut seen)?;
            for step in seen.steps() {
                scratch.nearest.insert(step);
            }
        }
        Ok(())
    }

    /// Compares the neighbours of a row that have not been seen.
    #[inline]
    fn see(
        &self,
        layer: Layer<'_>,
        number: u32,
        scratch: &mut Scratch,
        seen: &mut Batch,
    ) -> Result<(), Damaged> {
        for neighbour in listed(layer.list(number)) {
            if scratch.is_new(neighbour) {
                seen.push(neighbour);
            }
        }
        // Where it will probably go next.
        if let Some(next) = scratch.nearest.peek() {
            prefetch(bytemuck::cast_slice(layer.list(next & !GONE_TO)));
        }
        self.compare(layer, seen)
    }

    #[inline]
    fn compare(&self, layer: Layer<'_>, seen: &mut Batch) -> Result<(), Damaged> {
        let count = seen.count;
        for &number in &seen.numbers[..count] {
            self.rows.prefetch(layer.position(number));
        }
        let mut rows: [&[u8]; NEIGHBOURS] = [&[]; NEIGHBOURS];
        for (row, &number) in rows.iter_mut().zip(&seen.numbers[..count]) {
            *row = self.rows.row(layer.position(number))?;
        }
        self.query.coarse(&rows[..count], &mut seen.cosines[..count]);
        Ok(())
    }

    pub(super) fn compare_one(&self, number: u32, position: usize) -> Result<Step, Damaged> {
        let mut cosine = [0.0];
        self.query.coarse(&[self.rows.row(position)?], &mut cosine);
        Ok(Step { cosine: cosine[0], number })
    }

    fn candidates(
        &self,
        graph: Graph<'_>,
        nearest: &Nearest,
        keep: impl Fn(u32) -> bool,
    ) -> Result<Vec<Candidate>, Damaged> {
        let mut candidates = Vec::with_capacity(nearest.steps.len());
        for step in nearest.found() {
            let row = self.rows.row(step.number as usize)?;
            let bound = self.query.coarse_bound(Header::of(row).coarse_residual);
            let (upper, lower) = (step.cosine + bound, step.cosine - bound);
            let same = graph.same_as(step.number).filter(|&position| keep(position));
            let same = same.take(nearest.width);
            candidates.extend(same.map(|position| Candidate { position, upper, lower }));
        }
        Ok(candidates)
    }
}

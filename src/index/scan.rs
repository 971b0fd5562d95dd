//! The exact scan: every row compared, and only what may belong to the nearest compared again.
//!
//! In: a query prepared for rows, and which rows count. Out: candidates with bounds on their
//! cosines, so many that the nearest are certainly among them; who has the stored vectors
//! decides. Refuses rows that are damaged.
//!
//! A coarse cosine with its bound says between what limits the exact one lies. The k-th greatest of
//! the lower limits is a threshold that the k-th nearest reaches; a row whose upper limit lies
//! below it is none of them. What remains is compared once more, by all its bits.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rayon::prelude::*;

use super::codes::{Blob, Damaged, Header, Rows};
use super::quantise::PreparedQuery;

/// Rows that one task compares: some 3 MB.
const ROWS_PER_TASK: usize = 4_096;
/// Rows whose products are computed in one go.
const AT_ONCE: usize = 16;

/// A row that may be among the nearest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Which row.
    pub position: u32,
    /// What its cosine is at most.
    pub upper: f32,
    /// What its cosine is at least.
    pub lower: f32,
}

/// The greatest of the numbers that were offered, at most `k` of them.
#[derive(Clone, Debug)]
pub struct Greatest {
    k: usize,
    /// The least on top; float32 in an order of whole numbers.
    heap: BinaryHeap<Reverse<i32>>,
}

impl Greatest {
    /// None yet.
    pub fn new(k: usize) -> Self {
        Self { k, heap: BinaryHeap::with_capacity(k.min(1_024) + 1) }
    }

    /// Takes a number.
    #[inline]
    pub fn offer(&mut self, value: f32) {
        if self.heap.len() == self.k && value <= self.threshold() {
            return;
        }
        self.heap.push(Reverse(ordered(value)));
        if self.heap.len() > self.k {
            self.heap.pop();
        }
    }

    /// The least of them once there are `k`; before, less than any number.
    #[inline]
    pub fn threshold(&self) -> f32 {
        match self.heap.peek() {
            Some(&Reverse(least)) if self.heap.len() >= self.k => unordered(least),
            _ if self.k == 0 => f32::INFINITY,
            _ => f32::NEG_INFINITY,
        }
    }
}

/// Whole numbers in the order of the floats.
fn ordered(value: f32) -> i32 {
    let bits = value.to_bits().cast_signed();
    bits ^ ((bits >> 31).cast_unsigned() >> 1).cast_signed()
}

fn unordered(bits: i32) -> f32 {
    f32::from_bits((bits ^ ((bits >> 31).cast_unsigned() >> 1).cast_signed()).cast_unsigned())
}

/// Those of the rows for which `keep` holds that may be among the `k` nearest to `query`.
///
/// # Errors
/// [`Damaged`].
pub fn scan<B: Blob + ?Sized>(
    rows: Rows<'_, B>,
    query: &PreparedQuery,
    k: usize,
    keep: &(dyn Fn(usize) -> bool + Sync),
) -> Result<Vec<Candidate>, Damaged> {
    let tasks = rows.len().div_ceil(ROWS_PER_TASK);
    let task = |task: usize| {
        let start = task * ROWS_PER_TASK;
        scan_part(rows, query, k, start..rows.len().min(start + ROWS_PER_TASK), keep)
    };
    let found: Vec<Vec<Candidate>> = if tasks == 1 {
        vec![task(0)?]
    } else {
        (0..tasks).into_par_iter().map(task).collect::<Result<_, _>>()?
    };
    refine(rows, query, k, found.concat())
}

/// As [`scan`], of the rows at `positions` only.
///
/// # Errors
/// [`Damaged`].
pub fn scan_some<B: Blob + ?Sized>(
    rows: Rows<'_, B>,
    query: &PreparedQuery,
    k: usize,
    positions: &[u32],
) -> Result<Vec<Candidate>, Damaged> {
    let found: Vec<Vec<Candidate>> = positions
        .par_chunks(ROWS_PER_TASK)
        .map(|part| {
            let positions = part.iter().map(|&position| position as usize);
            scan_part(rows, query, k, positions, &|_| true)
        })
        .collect::<Result<_, _>>()?;
    refine(rows, query, k, found.concat())
}

fn scan_part<B: Blob + ?Sized>(
    rows: Rows<'_, B>,
    query: &PreparedQuery,
    k: usize,
    mut positions: impl Iterator<Item = usize>,
    keep: &(dyn Fn(usize) -> bool + Sync),
) -> Result<Vec<Candidate>, Damaged> {
    let mut greatest = Greatest::new(k);
    let mut found = Vec::new();
    let mut at = [0; AT_ONCE];
    let mut slices: [&[u8]; AT_ONCE] = [&[]; AT_ONCE];
    let mut cosines = [0.0; AT_ONCE];
    loop {
        let mut count = 0;
        for position in positions.by_ref().take(AT_ONCE) {
            (at[count], slices[count]) = (position, rows.row(position)?);
            count += 1;
        }
        if count == 0 {
            break;
        }
        query.coarse(&slices[..count], &mut cosines[..count]);
        for ((&position, row), &cosine) in at.iter().zip(slices).zip(&cosines).take(count) {
            let bound = query.coarse_bound(Header::of(row).coarse_residual);
            // Most rows are far away; who may be seen is asked of the others only.
            if cosine + bound >= greatest.threshold() && keep(position) {
                greatest.offer(cosine - bound);
                found.push(candidate(position, cosine, bound));
            }
        }
    }
    let threshold = greatest.threshold();
    found.retain(|candidate| candidate.upper >= threshold);
    Ok(found)
}

/// `candidates` by all bits of their rows, without those that are certainly not among the `k`
/// nearest of them.
///
/// # Errors
/// [`Damaged`].
pub fn refine<B: Blob + ?Sized>(
    rows: Rows<'_, B>,
    query: &PreparedQuery,
    k: usize,
    mut candidates: Vec<Candidate>,
) -> Result<Vec<Candidate>, Damaged> {
    narrow(&mut candidates, k);
    for found in &mut candidates {
        let position = found.position as usize;
        let row = rows.row(position)?;
        let refined = candidate(position, query.fine(row), query.bound(Header::of(row).residual));
        // Both hold.
        found.upper = found.upper.min(refined.upper);
        found.lower = found.lower.max(refined.lower);
    }
    narrow(&mut candidates, k);
    Ok(candidates)
}

/// Leaves those whose upper limit reaches the `k`-th greatest lower one.
pub fn narrow(candidates: &mut Vec<Candidate>, k: usize) {
    let mut greatest = Greatest::new(k);
    for candidate in candidates.iter() {
        greatest.offer(candidate.lower);
    }
    let threshold = greatest.threshold();
    candidates.retain(|candidate| candidate.upper >= threshold);
}

#[expect(clippy::cast_possible_truncation, reason = "rows are counted in 32 bits")]
fn candidate(position: usize, cosine: f32, bound: f32) -> Candidate {
    Candidate { position: position as u32, upper: cosine + bound, lower: cosine - bound }
}

#[cfg(test)]
mod tests;

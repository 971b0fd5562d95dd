//! Rows into a graph, batch after batch.
//!
//! In: rows in memory. Out: who is whose neighbour, level by level, the same on every machine and
//! with any number of threads. Source: Y. Malkov and D. Yashunin, "Efficient and robust approximate
//! nearest neighbor search using hierarchical navigable small world graphs", arXiv:1603.09320.
//!
//! A row looks for its nearest among those that are in already, and is linked both ways with some
//! of them (`select.rs`). Rows come in random order, members of upper levels first, so that what is
//! in is at all times a coarse picture of everything, and the early rows' links are the long ones.
//! Rows of a batch look at the same time, and do not see each other: a batch is a small share of
//! what is in (as G. Blelloch and others do it: arXiv:2305.04359).

#![expect(clippy::cast_possible_truncation, reason = "rows are counted in 32 bits")]

use std::ops::Range;

use rayon::prelude::*;

use super::build::OwnedGraph;
use super::search::{Pool, Step, Walk};
use super::select::select;
use super::{Graph, LEVELS, NEIGHBOURS, NONE, UPPER_NEIGHBOURS, listed};
use crate::index::codes::{Damaged, Rows};
use crate::index::quantise::PreparedQuery;

/// Candidates that are kept while neighbours are looked for (`efConstruction` of the paper), by the
/// upper bytes; all bits decide which of them are chosen.
const BUILD_WIDTH: usize = 200;
/// Neighbours that a row chooses when it comes in; more come with the rows after it.
const CHOSEN: usize = 16;
/// A batch is a share of what is in, and so many rows at most.
const BATCH_SHARE: usize = 32;
const BATCH: usize = 2_048;

/// The upper levels that a row is on: 16 times fewer with each.
fn height(position: u32) -> usize {
    ((scattered(position).trailing_zeros() / 4) as usize).min(LEVELS)
}

/// A number that looks random (Sebastiano Vigna's `SplitMix64`).
fn scattered(position: u32) -> u64 {
    let mut number = u64::from(position).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// Links the rows at `positions`, while `goes_on`, told how many are in, says so; nothing when it
/// did not.
pub(super) fn link(
    rows: Rows<'_, [u8]>,
    mut positions: Vec<u32>,
    mut goes_on: impl FnMut(usize) -> bool,
) -> Result<Option<OwnedGraph>, Damaged> {
    if positions.is_empty() {
        return Ok(Some(OwnedGraph::default()));
    }
    positions.sort_by_key(|&position| (std::cmp::Reverse(height(position)), scattered(position)));
    let on_level = |level: usize| positions.partition_point(|&at| height(at) > level);
    let counts: Vec<usize> = (0..LEVELS).map(on_level).take_while(|&count| count > 0).collect();
    // Where searches begin there must be somebody.
    let counts = if counts.is_empty() { vec![1] } else { counts };
    let members = counts.first().copied().unwrap_or(0);
    let mut graph = OwnedGraph {
        neighbours: vec![NONE; rows.len() * NEIGHBOURS],
        levels: counts.iter().map(|&count| count as u32).collect(),
        members: positions[..members].to_vec(),
        upper: vec![NONE; counts.iter().sum::<usize>() * UPPER_NEIGHBOURS],
        ..OwnedGraph::default()
    };
    let pool = Pool::default();
    let mut done = 1;
    while done < positions.len() {
        if !goes_on(done) {
            return Ok(None);
        }
        let size = (done / BATCH_SHARE).clamp(1, BATCH).min(positions.len() - done);
        insert(&mut graph, rows, &positions, done..done + size, &pool)?;
        done += size;
    }
    Ok(Some(graph))
}

/// Links the rows of `batch` with one another's elders, both ways. A row's number on upper levels is
/// its place among `positions`.
fn insert(
    graph: &mut OwnedGraph,
    rows: Rows<'_, [u8]>,
    positions: &[u32],
    batch: Range<usize>,
    pool: &Pool,
) -> Result<(), Damaged> {
    let frozen = graph.graph();
    let chosen: Vec<Vec<Vec<Step>>> = positions[batch.clone()]
        .par_iter()
        .map(|&position| look(frozen, rows, position, pool))
        .collect::<Result<_, _>>()?;
    for level in 0..=graph.levels.len() {
        let mut back: Vec<(u32, Step)> = Vec::new();
        for (place, lists) in batch.clone().zip(&chosen) {
            let Some(list) = lists.get(level) else { continue };
            let number = if level == 0 { positions[place] } else { place as u32 };
            back.extend(list.iter().map(|step| (step.number, Step { number, ..*step })));
            graph.set(level, number, list);
        }
        back.sort_unstable_by_key(|&(number, step)| (number, step.number));
        let frozen = graph.graph();
        let groups: Vec<&[(u32, Step)]> = back.chunk_by(|a, b| a.0 == b.0).collect();
        let lists: Vec<(u32, Vec<Step>)> = groups
            .into_par_iter()
            .map(|group| Ok((group[0].0, link_back(frozen, rows, level, group)?)))
            .collect::<Result<_, _>>()?;
        for (number, list) in lists {
            graph.set(level, number, &list);
        }
    }
    Ok(())
}

/// The neighbours of a row among those that are in, by level.
fn look(
    graph: Graph<'_>,
    rows: Rows<'_, [u8]>,
    position: u32,
    pool: &Pool,
) -> Result<Vec<Vec<Step>>, Damaged> {
    let query = PreparedQuery::of_row(rows, position as usize)?;
    let walk = Walk { rows, query: &query };
    let top = height(position).min(graph.arrays.levels.len());
    let mut start = walk.descend(graph, top)?;
    let mut lists = Vec::with_capacity(top + 1);
    for level in (0..=top).rev() {
        let Some(from) = start else { break };
        let layer = graph.layer(level);
        let mut found = pool.lend(graph.len(), BUILD_WIDTH, |scratch| {
            walk.spread(layer, from, scratch)?;
            Ok(scratch.nearest.found().collect::<Vec<Step>>())
        })?;
        start = found.first().copied();
        if let (1, Some(start)) = (level, &mut start) {
            start.number = graph.arrays.members[start.number as usize];
        }
        for step in &mut found {
            step.cosine = query.fine(rows.row(layer.position(step.number))?);
        }
        lists.push(select(rows, layer, &mut found, CHOSEN)?);
    }
    lists.reverse();
    Ok(lists)
}

/// The list of a row that those of `group` have chosen.
fn link_back(
    graph: Graph<'_>,
    rows: Rows<'_, [u8]>,
    level: usize,
    group: &[(u32, Step)],
) -> Result<Vec<Step>, Damaged> {
    let layer = graph.layer(level);
    let number = group[0].0;
    let query = PreparedQuery::of_row(rows, layer.position(number))?;
    let mut list: Vec<Step> = Vec::with_capacity(layer.room + group.len());
    for other in listed(layer.list(number)) {
        let cosine = query.fine(rows.row(layer.position(other))?);
        list.push(Step { cosine, number: other });
    }
    list.extend(group.iter().map(|&(_, step)| step));
    if list.len() > layer.room { select(rows, layer, &mut list, layer.room) } else { Ok(list) }
}

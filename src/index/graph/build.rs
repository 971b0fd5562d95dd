//! The graph over rows, made by `hnsw_rs` and laid out for searching.
//!
//! In: rows in memory. Out: arrays. Every row can be reached on level 0 from the first member, but
//! for those that are bit for bit like another: one of them stands for all. Otherwise they would be
//! one another's only neighbours, and nothing else would be found from among them.

use std::collections::HashMap;

use super::relink::relink;
use super::search::Step;
use super::{Graph, GraphArrays, MOST_ROWS, NEIGHBOURS, NONE, Pool, UPPER_NEIGHBOURS, listed};
use crate::index::codes::{Damaged, Rows};
use crate::index::hnsw::{self, Node};
use crate::index::quantise::PreparedQuery;

/// Rows among which a neighbour for one that cannot be reached is looked for.
const MENDING_WIDTH: usize = 64;

/// The arrays of a graph in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnedGraph {
    pub(super) neighbours: Vec<u32>,
    pub(super) levels: Vec<u32>,
    pub(super) members: Vec<u32>,
    pub(super) upper: Vec<u32>,
    pub(super) next_same: Vec<u32>,
}

impl OwnedGraph {
    /// The graph over `rows`, made by as many threads as rayon has; with several, two runs may
    /// differ a little.
    ///
    /// # Errors
    /// [`Damaged`] when a row is, or there are more than 2³¹.
    pub fn build(rows: Rows<'_, [u8]>) -> Result<Self, Damaged> {
        Self::build_while(rows, |_| true).map(Option::unwrap_or_default)
    }

    /// As [`build`](Self::build), while `goes_on`, asked about once a second and told how many of
    /// the rows are done, says so; nothing when it did not.
    ///
    /// # Errors
    /// As of [`build`](Self::build).
    pub fn build_while(
        rows: Rows<'_, [u8]>,
        mut goes_on: impl FnMut(usize) -> bool,
    ) -> Result<Option<Self>, Damaged> {
        if rows.len() > MOST_ROWS {
            return Err(Damaged);
        }
        let (firsts, next_same) = firsts(rows)?;
        // Every row is looked at twice.
        let half = firsts.len() / 2;
        let nodes = hnsw::link(rows, &firsts, |done| goes_on(done / 2));
        let Some(nodes) = nodes else { return Ok(None) };
        let mut graph = Self { next_same, ..Self::of(&nodes) };
        drop(nodes);
        // A search finds only what can be reached.
        graph.mend(rows)?;
        if !relink(&mut graph, rows, &firsts, |done| goes_on(half + done / 2))? {
            return Ok(None);
        }
        graph.mend(rows)?;
        Ok(Some(graph))
    }

    /// The arrays.
    pub fn arrays(&self) -> GraphArrays<'_> {
        GraphArrays {
            neighbours: &self.neighbours,
            levels: &self.levels,
            members: &self.members,
            upper: &self.upper,
            next_same: &self.next_same,
        }
    }

    /// The graph, to be searched.
    pub fn graph(&self) -> Graph<'_> {
        Graph { arrays: self.arrays(), rows: self.neighbours.len() / NEIGHBOURS }
    }

    fn of(nodes: &[Node]) -> Self {
        let mut graph =
            Self { neighbours: Vec::with_capacity(nodes.len() * NEIGHBOURS), ..Self::default() };
        for node in nodes {
            let list = node.levels.first().map_or(&[][..], |list| list);
            append_list(list.iter().copied(), NEIGHBOURS, &mut graph.neighbours);
        }
        let height = |&member: &u32| nodes[member as usize].levels.len();
        let mut members: Vec<u32> = (0..).zip(nodes).map(|(position, _)| position).collect();
        members.retain(|member| height(member) > 1);
        // The highest first: then each level's are the first so many.
        members.sort_by_key(|member| std::cmp::Reverse(height(member)));
        let mut numbers = vec![NONE; nodes.len()];
        for (number, &member) in (0..).zip(&members) {
            numbers[member as usize] = number;
        }
        for level in 1..members.first().map_or(1, height) {
            let count = members.partition_point(|member| height(member) > level);
            for &member in &members[..count] {
                let list = nodes[member as usize].levels[level].iter();
                let list = list.map(|&other| numbers[other as usize]);
                let on_level = list.filter(|&number| (number as usize) < count);
                append_list(on_level, UPPER_NEIGHBOURS, &mut graph.upper);
            }
            graph.levels.extend(u32::try_from(count));
        }
        graph.members = members;
        graph
    }

    /// Links rows in that a search cannot reach on level 0.
    pub(super) fn mend(&mut self, rows: Rows<'_, [u8]>) -> Result<(), Damaged> {
        let Some(first) = self.start() else { return Ok(()) };
        let mut reached = vec![false; rows.len()];
        // Rows that are like an earlier one are found with it.
        for &same in self.next_same.iter().filter(|&&same| same != NONE) {
            reached[same as usize] = true;
        }
        self.reach(first, &mut reached);
        let pool = Pool::default();
        for position in 0..rows.len() {
            if !reached[position] {
                #[expect(clippy::cast_possible_truncation, reason = "there are at most 2³¹")]
                let lost = position as u32;
                self.link_in(lost, first, rows, &reached, &pool)?;
                self.reach(lost, &mut reached);
            }
        }
        Ok(())
    }

    /// Gives a row its list.
    pub(super) fn set(&mut self, level: usize, number: u32, list: &[Step]) {
        let above: &[u32] = self.levels.get(..level.saturating_sub(1)).unwrap_or_default();
        let start: usize = above.iter().map(|&size| size as usize).sum();
        let (links, room) = match level {
            0 => (&mut self.neighbours, NEIGHBOURS),
            _ => (&mut self.upper, UPPER_NEIGHBOURS),
        };
        let place = &mut links[(start + number as usize) * room..][..room];
        place.fill(NONE);
        for (place, step) in place.iter_mut().zip(list) {
            *place = step.number;
        }
    }

    fn start(&self) -> Option<u32> {
        let only = (!self.neighbours.is_empty()).then_some(0);
        self.members.first().copied().or(only)
    }

    /// Marks what can be reached from `start`.
    fn reach(&self, start: u32, reached: &mut [bool]) {
        let mut pending = vec![start];
        reached[start as usize] = true;
        while let Some(position) = pending.pop() {
            for neighbour in listed(self.graph().layer(0).list(position)) {
                if !std::mem::replace(&mut reached[neighbour as usize], true) {
                    pending.push(neighbour);
                }
            }
        }
    }

    /// Makes a row that cannot be reached the neighbour of a near one that can, or else of `first`.
    /// What could be reached before still can.
    fn link_in(
        &mut self,
        lost: u32,
        first: u32,
        rows: Rows<'_, [u8]>,
        reached: &[bool],
        pool: &Pool,
    ) -> Result<(), Damaged> {
        let query = PreparedQuery::of_row(rows, lost as usize)?;
        let near = self.graph().search(rows, &query, MENDING_WIDTH, pool)?;
        let mut hosts: Vec<u32> = near.iter().map(|candidate| candidate.position).collect();
        hosts.retain(|&host| reached[host as usize]);
        hosts.push(first);
        if let Some(&host) = hosts.iter().find(|&&host| self.degree(host) < NEIGHBOURS) {
            let used = self.degree(host);
            self.list_mut(host)[used] = lost;
        } else {
            // The host's farthest neighbour is from now on reached through the lost row.
            let last = NEIGHBOURS - 1;
            let dropped = std::mem::replace(&mut self.list_mut(hosts[0])[last], lost);
            let used = self.degree(lost).min(last);
            self.list_mut(lost)[used] = dropped;
        }
        Ok(())
    }

    fn degree(&self, position: u32) -> usize {
        listed(&self.neighbours[position as usize * NEIGHBOURS..][..NEIGHBOURS]).count()
    }

    fn list_mut(&mut self, position: u32) -> &mut [u32] {
        &mut self.neighbours[position as usize * NEIGHBOURS..][..NEIGHBOURS]
    }
}

/// The rows that are like none before them, and for each row the next one that is like it; none
/// where no two are alike.
fn firsts(rows: Rows<'_, [u8]>) -> Result<(Vec<u32>, Vec<u32>), Damaged> {
    let mut last_alike: HashMap<&[u8], u32> = HashMap::with_capacity(rows.len());
    let (mut firsts, mut next_same) = (Vec::with_capacity(rows.len()), vec![NONE; rows.len()]);
    for position in 0..u32::try_from(rows.len()).map_err(|_| Damaged)? {
        match last_alike.insert(rows.values(position as usize)?, position) {
            Some(before) => next_same[before as usize] = position,
            None => firsts.push(position),
        }
    }
    if firsts.len() == rows.len() {
        next_same.clear();
    }
    Ok((firsts, next_same))
}

pub(super) fn append_list(list: impl Iterator<Item = u32>, room: usize, to: &mut Vec<u32>) {
    let end = to.len() + room;
    to.extend(list.take(room));
    to.resize(end, NONE);
}

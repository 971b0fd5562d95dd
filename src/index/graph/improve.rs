//! Better neighbours for every row of a graph.

use rayon::prelude::*;

use super::{Graph, NEIGHBOURS, NONE, OwnedGraph, Pool};
use crate::index::codes::{Damaged, Rows};
use crate::index::quantise::{PreparedQuery, between, restored};

fn env(name: &str, default: f32) -> f32 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

/// Each row's neighbours chosen anew.
pub(super) fn improve(graph: &mut OwnedGraph, rows: Rows<'_, [u8]>) -> Result<(), Damaged> {
    let (width, alpha, fill) =
        (env("L", 64.0) as usize, env("ALPHA", 1.2), env("FILL", 0.0) as usize);
    let room = env("ROOM", 32.0) as usize;
    let pool = Pool::default();
    let lists: Vec<Vec<(f32, u32)>> = (0..rows.len() as u32)
        .into_par_iter()
        .map(|position| {
            let query = PreparedQuery::new(&restored(rows, position as usize)?, rows.layout());
            let found = graph.graph().search(rows, &query, width, &pool)?;
            let mut near: Vec<(f32, u32)> = found
                .iter()
                .map(|c| (1.0 - 0.5 * (c.upper + c.lower), c.position))
                .filter(|&(_, other)| other != position)
                .collect();
            for other in graph.graph().neighbours(position) {
                if !near.iter().any(|n| n.1 == other) {
                    near.push((1.0 - between(rows, position as usize, other as usize)?, other));
                }
            }
            select(rows, near, room, alpha, fill)
        })
        .collect::<Result<_, _>>()?;
    let mut reverse: Vec<Vec<(f32, u32)>> = vec![Vec::new(); rows.len()];
    for (position, list) in (0..).zip(&lists) {
        for &(distance, other) in list {
            reverse[other as usize].push((distance, position));
        }
    }
    let finals: Vec<Vec<(f32, u32)>> = lists
        .into_par_iter()
        .zip(reverse)
        .map(|(mut list, mut reverse)| {
            reverse.retain(|r| !list.iter().any(|l| l.1 == r.1));
            list.append(&mut reverse);
            if list.len() > NEIGHBOURS {
                select(rows, list, NEIGHBOURS, alpha, fill)
            } else {
                Ok(list)
            }
        })
        .collect::<Result<_, _>>()?;
    graph.neighbours.clear();
    for list in finals {
        super::build::append_list(list.iter().map(|n| n.1), NEIGHBOURS, &mut graph.neighbours);
    }
    Ok(())
}

fn select(
    rows: Rows<'_, [u8]>,
    mut near: Vec<(f32, u32)>,
    room: usize,
    alpha: f32,
    fill: usize,
) -> Result<Vec<(f32, u32)>, Damaged> {
    near.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut chosen: Vec<(f32, u32)> = Vec::with_capacity(room);
    let mut left = Vec::new();
    for candidate in near {
        if chosen.len() == room {
            break;
        }
        let mut hidden = false;
        for other in &chosen {
            let d = 1.0 - between(rows, candidate.1 as usize, other.1 as usize)?;
            if d * alpha <= candidate.0 {
                hidden = true;
                break;
            }
        }
        if hidden { left.push(candidate) } else { chosen.push(candidate) }
    }
    let more = fill.saturating_sub(chosen.len());
    chosen.extend(left.into_iter().take(more));
    Ok(chosen)
}

//! What a head says of vectors that somebody else has read: of a store, which is no library.
//!
//! In: the rows of one recording, in the order of time. Out: [`Said`]. Rows that are not fit to be searched,
//! and vectors of zeros, are left out and counted. Refuses heads that read sound.

use super::reading::{Left, Said, SaidRow};
use crate::audio::health::Health;
use crate::error::{Error, Result};
use crate::train::head::Head;
use crate::train::network::Input;

/// A row of a recording.
#[derive(Clone, Copy, Debug)]
pub struct GivenRow<'a> {
    /// Which it is.
    pub row: SaidRow,
    /// What is wrong with the sound.
    pub health: Health,
    /// `[dimension]`.
    pub vector: &'a [f32],
}

/// What `head` says of the recording `recording`, of which `rows` are given.
///
/// # Errors
/// [`Error::Usage`] when it reads something else than vectors.
pub fn say_given(
    head: &Head,
    recording: i64,
    rows: &[GivenRow<'_>],
    left: &mut Left,
) -> Result<Said> {
    if head.input() != Input::Vectors {
        return Err(Error::Usage {
            problem: "this head reads sequences of sound, and a store has vectors only",
            hint: "ask about the files: sonoteca predict NAME PATH, or train a head on vectors",
        });
    }
    let is_heard = |given: &&GivenRow<'_>| {
        given.health == Health::SOUND && given.vector.iter().any(|value| *value != 0.0)
    };
    let heard: Vec<&GivenRow<'_>> = rows.iter().filter(is_heard).collect();
    left.unfit += (rows.len() - heard.len()) as u64;
    let vectors: Vec<f32> = heard.iter().flat_map(|given| given.vector).copied().collect();
    let rows = heard.iter().map(|given| given.row).collect();
    Ok(Said { recording, rows, values: head.say(&vectors) })
}

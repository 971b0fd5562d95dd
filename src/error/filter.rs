//! A filter that does not read: what is wrong, and where in its text.
//!
//! In: the text, a place in it and a message. Out: the message with the line and a caret under
//! the place.

use std::fmt::{self, Write as _};
use std::ops::Range;

/// What is wrong with a filter, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct FilterProblem {
    /// The filter's text.
    pub text: String,
    /// The bytes of it that are wrong; empty at its end.
    pub place: Range<usize>,
    /// What is wrong, and what was expected.
    pub message: String,
    /// What to write instead.
    pub suggestion: Option<String>,
}

impl FilterProblem {
    /// The number of the first wrong character, from 1.
    pub fn character(&self) -> usize {
        self.before().chars().count() + 1
    }

    fn before(&self) -> &str {
        self.text.get(..self.place.start).unwrap_or(&self.text)
    }
}

/// Characters of a line that are shown before and from the wrong place on: programs write long ones.
const SHOWN: usize = 200;

/// What is shown of `line` around its byte `place`, and where that is in it.
fn shortened(line: &str, place: usize) -> (&str, usize) {
    let (before, behind) = line.split_at(place.min(line.len()));
    let start = before.char_indices().rev().nth(SHOWN - 1).map_or(0, |(start, _)| start);
    let end = behind.char_indices().nth(SHOWN).map_or(line.len(), |(end, _)| before.len() + end);
    (&line[start..end], before.len() - start)
}

impl fmt::Display for FilterProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the filter, character {}: {}", self.character(), self.message)?;
        let line_start = self.before().rfind('\n').map_or(0, |place| place + 1);
        let line = self.text[line_start..].lines().next().unwrap_or_default();
        let (line, before) = shortened(line, self.before()[line_start..].len());
        // A tab or a control character would move the caret.
        let shown = |c: char| if c.is_control() { ' ' } else { c };
        let indent = line[..before].chars().count();
        let wrong = self.text.get(self.place.clone()).unwrap_or_default();
        let carets = wrong.lines().next().map_or(0, |line| line.chars().count());
        let carets = carets.min(line[before..].chars().count()).max(1);
        formatter.write_str("\n  ")?;
        line.chars().try_for_each(|c| formatter.write_char(shown(c)))?;
        write!(formatter, "\n  {}{}", " ".repeat(indent), "^".repeat(carets))
    }
}

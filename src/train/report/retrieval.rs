//! Retrieval for a terminal.
//!
//! In: [`Retrieval`]. Out: lines of text.

// Writing to a string does not fail, so that results are dropped.
use std::fmt::Write as _;

use super::numbers::{Table, interval, share};
use super::text::{drawn, printable};
use crate::train::retrieval::{Retrieval, RetrievalScores};

/// Retrieval as text.
pub fn retrieval_as_text(retrieval: &Retrieval) -> String {
    let Retrieval { queries, recordings, model, groups, .. } = retrieval;
    let apart = match &retrieval.group_by {
        Some(key) => format!("; recordings of one `{key}` are no answers to one another"),
        None => String::new(),
    };
    let mut text = printable(&format!(
        "{queries} of {recordings} labelled recordings, each looked for among the others by vectors \
         of {model}{apart}; {groups} groups"
    ));
    text += "\n\n";
    let mut table = Table::new(&["", "P@1", "95 %", "P@5", "P@10", "mAP", "95 %"], &[]);
    let mut row = |name: &str, scores: &RetrievalScores| {
        let RetrievalScores { precision_at_1, precision_at_5, precision_at_10, .. } = scores;
        let mean = scores.mean_average_precision;
        table.rows.push(vec![
            name.to_owned(),
            share(precision_at_1.value),
            interval(*precision_at_1, share),
            share(precision_at_5.value),
            share(precision_at_10.value),
            share(mean.value),
            interval(mean, share),
        ]);
    };
    row("all", &retrieval.overall);
    for class in &retrieval.classes {
        row(&class.class, &class.scores);
    }
    text += &drawn(&table);
    let _ = writeln!(text, "in any order: {}", share(retrieval.chance));
    for note in &retrieval.notes {
        let _ = writeln!(text, "- {}", printable(note));
    }
    text
}

//! What a head hears in a store: its vectors are read and never listened to.

use std::time::Instant;

use sonoteca::Result;
use sonoteca::filter::Filter;
use sonoteca::milvus::Store;
use sonoteca::milvus::reading::ReadRecording;
use sonoteca::train::predict::{GivenRow, Left, SaidRow, say_given};

use super::output::{Output, Sound};
use super::{Question, TELL_EVERY};
use crate::cli::printer::{Printer, grouped};

/// Asks about all of `store` that passes `filter`; what nothing was said of.
pub(super) fn run(
    store: &Store,
    question: &Question,
    filter: Option<&Filter>,
    output: &mut Output<'_>,
    printer: &mut Printer,
) -> Result<Left> {
    let (mut left, mut read, mut told) = (Left::default(), 0, Instant::now());
    let mut reading = store.read(filter, question.level)?;
    loop {
        let some = reading.next_some()?;
        if some.is_empty() {
            return Ok(left);
        }
        for ReadRecording { recording, rows } in &some {
            let given: Vec<GivenRow<'_>> = rows
                .iter()
                .map(|row| GivenRow {
                    row: SaidRow { segment: row.key, range: row.range },
                    health: row.health,
                    vector: &row.vector,
                })
                .collect();
            read += given.len() as u64;
            let said = say_given(&question.head, recording.id, &given, &mut left)?;
            let detections = question.bar.detect(&said);
            if !detections.is_empty() {
                output.write(&Sound::stored(recording), &detections, printer)?;
            }
        }
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            printer.note(&format!("{} vectors", grouped(read)));
        }
    }
}

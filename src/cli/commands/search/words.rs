//! `sonoteca search --class` and `--text`: for those who have no example yet.

use sonoteca::Result;
use sonoteca::search::Among;

use super::HitRow;
use crate::cli::Status;
use crate::cli::args::SearchArgs;
use crate::cli::printer::{Printer, counted};

/// Prints what the class or the words of `args` find.
pub(super) fn run(args: &SearchArgs, among: &Among<'_>, printer: &mut Printer) -> Result<Status> {
    let count = args.count as usize;
    let hits = match (&args.class, &args.text) {
        (Some(class), _) => among.by_class(class, count)?,
        (None, text) => {
            let found = among.by_text(text.as_deref().unwrap_or_default(), count)?;
            if found.unread > 0 {
                printer.warning(&format!(
                    "the words of {} are not looked at: the library cannot be written to now",
                    counted(found.unread, "recording")
                ));
            }
            found.hits
        }
    };
    if hits.is_empty() {
        printer.note("Nothing was found.");
        return Ok(Status::NothingFound);
    }
    let rows: Vec<HitRow> = hits.iter().map(|hit| HitRow::new(hit, among.level)).collect();
    printer.rows(&rows)?;
    Ok(Status::Done)
}

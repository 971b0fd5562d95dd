//! `sonoteca search --class` and `--text`: for those who have no example yet.

use sonoteca::Result;
use sonoteca::search::{Among, Explanation, Hit};

use crate::cli::args::SearchArgs;
use crate::cli::printer::{Printer, counted};

/// What the class or the words of `args` find.
pub(super) fn find(
    args: &SearchArgs,
    among: &Among<'_>,
    printer: &Printer,
) -> Result<Vec<(Hit, Option<Explanation>)>> {
    let hits = match (&args.class, &args.text) {
        (Some(class), _) => among.by_class(class)?,
        (None, text) => {
            let found = among.by_text(text.as_deref().unwrap_or_default())?;
            if found.unread > 0 {
                printer.warning(&format!(
                    "the words of {} are not looked at: the library cannot be written to now",
                    counted(found.unread, "recording")
                ));
            }
            found.hits
        }
    };
    Ok(hits.into_iter().map(|hit| (hit, None)).collect())
}

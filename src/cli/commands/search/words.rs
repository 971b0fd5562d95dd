//! `sonoteca search --class` and `--text`: for those who have no example yet.

use sonoteca::search::{Among, Explanation, Hit};
use sonoteca::{Error, Result};

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
            let text = text.as_deref().unwrap_or_default();
            if !text.contains(char::is_alphanumeric) {
                return Err(Error::Usage {
                    problem: "--text has no word to look for",
                    hint: "give it words in paths, labels or metadata, or of a class: --text dog",
                });
            }
            let found = among.by_text(text)?;
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

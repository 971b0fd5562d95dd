//! `sonoteca label remove`: labels by what they say.

use serde::Serialize;
use sonoteca::store::Library;
use sonoteca::{Error, Result};

use super::{recordings, selection};
use crate::cli::Status;
use crate::cli::args::RemoveLabelsArgs;
use crate::cli::printer::{Printer, Row, counted};

pub(super) fn run(
    args: &RemoveLabelsArgs,
    library: &mut Library,
    printer: &mut Printer,
) -> Result<Status> {
    let mut selection = selection(&args.selection);
    selection.ids.clone_from(&args.ids);
    selection.recordings = recordings(library, &args.recording, (None, None))?;
    if selection.is_all() {
        return Err(Error::Usage {
            problem: "which labels are to be removed is not said",
            hint: "name them by id, --class, --source, --judgement or --recording",
        });
    }
    let writer = library.begin()?;
    let removed = writer.remove_labels(&selection)? as u64;
    if args.dry_run {
        drop(writer);
    } else {
        writer.commit()?;
    }
    let removal = Removal { removed, dry_run: args.dry_run };
    let verb = if args.dry_run { "Would be removed" } else { "Removed" };
    printer.record(&removal, &format!("{verb}: {}.\n", counted(removed, "label")))?;
    Ok(if removed == 0 { Status::NothingFound } else { Status::Done })
}

#[derive(Debug, Serialize)]
struct Removal {
    removed: u64,
    dry_run: bool,
}

impl Row for Removal {
    const COLUMNS: &'static [&'static str] = &["removed", "dry_run"];
    const HEADINGS: &'static [&'static str] = Self::COLUMNS;

    fn cells(&self) -> Vec<String> {
        vec![self.removed.to_string(), self.dry_run.to_string()]
    }

    fn readable(&self) -> Vec<String> {
        self.cells()
    }
}

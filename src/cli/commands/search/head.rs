//! `sonoteca search --head`: what a head says, ranked.

use sonoteca::Result;
use sonoteca::search::{Explanation, Hit, Level, SearchOptions};
use sonoteca::store::Library;
use sonoteca::store::models::StoredModel;
use sonoteca::train::head::Head;
use sonoteca::train::rank::{RankSpec, class_of, rank};

use crate::cli::args::SearchArgs;
use crate::cli::commands::predict::tell_of_left;
use crate::cli::printer::Printer;

/// A head that is asked, and the model that it reads.
pub(super) struct Asked {
    head: Head,
    pub(super) model: StoredModel,
}

impl Asked {
    /// The head of `library` called `name`.
    pub(super) fn new(library: &Library, name: &str) -> Result<Self> {
        let head = Head::load(library, name)?;
        let model = head.model_in(library)?;
        Ok(Self { head, model })
    }
}

/// What the head of `args` ranks first.
pub(super) fn find(
    args: &SearchArgs,
    library: &Library,
    asked: &Asked,
    (level, options): (Level, &SearchOptions),
    printer: &Printer,
) -> Result<Vec<(Hit, Option<Explanation>)>> {
    let spec = RankSpec {
        class: class_of(&asked.head, args.class.as_deref())?,
        near: args.ranking.near,
        spread: args.ranking.spread,
        count: options.count,
        least_score: options.least_score,
        per_recording: options.per_recording,
        single_segments: options.single_segments,
    };
    let among = (level, options.scope.clone());
    let (hits, left) = rank(library, (&asked.head, &asked.model), among, &spec)?;
    tell_of_left(left, printer);
    Ok(hits.into_iter().map(|hit| (hit, None)).collect())
}

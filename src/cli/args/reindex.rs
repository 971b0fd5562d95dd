//! What can be typed after `sonoteca reindex`.

/// `sonoteca reindex`
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Build what makes searches fast anew, and check what it finds

Searches look into files beside the library, in the folder <LIBRARY>.cache: the vectors in a compact \
                  form and, of large libraries, a graph. They are made from the library alone and \
                  can be deleted at any time; without them, or when they are damaged, searches are \
                  slower and find the same. Indexing renews them when enough has changed; this \
                  renews all that are missing, damaged or behind. Ctrl-C stops it and loses nothing.",
    after_help = "Examples:
  sonoteca reindex
  sonoteca reindex --check                  compare what searches find with what is there
  sonoteca reindex --recall 0.999           miss less, and search longer"
)]
pub(crate) struct ReindexArgs {
    /// The network whose vectors are meant [default: all of the library]
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// Search for stored vectors among the others, and for points halfway between two of them, and
    /// say what share of the ten nearest is found: the lower of both
    #[arg(long)]
    pub(crate) check: bool,
    /// The share of the ten nearest that searches of a large library are to find, from now on
    /// [default: what was asked for last, or else 0.99]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) recall: Option<f64>,
}

/// A share that a graph can be made to find.
fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.5..1.0).contains(&share) => Ok(share),
        _ => Err("expected a share from 0.5 to below 1, such as 0.99; to miss nothing, search \
                  with --exact"
            .to_owned()),
    }
}

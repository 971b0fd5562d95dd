//! What can be typed after `sonoteca import`.

use std::path::PathBuf;

use super::Vectors;

/// `sonoteca import`
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Bring a dataset of vectors into the library: what extract or export wrote

The library is made where there is none. Recordings that it holds with the same content, and vectors of \
                  the same model, are passed over: an import that was stopped is taken up by \
                  running it again. A recording of another content at the same path is replaced. \
                  Metadata come with recordings that are new, and change nothing of others; \
                  failures go into the ledger (sonoteca failures). Files that were not indexed \
                  here are handed out by sonoteca serve only where it is told their folder \
                  (--folder). Vectors of another version of a model than the library \
                  holds are refused, and so are files that are not what was written: their counts \
                  and checksums are compared.

With --store the rows go to a Milvus server instead, into a collection that is made where there is none. \
                  They count as imported once the server has them on its disk and counts them; at \
                  the end its counts are held against the dataset's manifest: it may have more, of \
                  other datasets, and no fewer. Failures stay in the \
                  dataset.",
    after_help = "Examples:
  sonoteca import --parquet vectors
  sonoteca import --parquet /mnt/cluster/vectors --library archive.db
  sonoteca import --parquet vectors --store milvus://localhost:19530/sounds"
)]
pub(crate) struct ImportArgs {
    /// The dataset: its folder, or one of its files
    #[arg(long, value_name = "DIR|FILE")]
    pub(crate) parquet: PathBuf,
    /// How much of a vector's values is kept: f16 is what every search needs; a store keeps all
    #[arg(long, value_name = "PRECISION", default_value = "f16")]
    pub(crate) vectors: Vectors,
    /// A collection on a Milvus server instead of the library: milvus://HOST:PORT/COLLECTION
    #[arg(long, value_name = "ADDRESS", long_help = super::store::HELP)]
    pub(crate) store: Option<String>,
}

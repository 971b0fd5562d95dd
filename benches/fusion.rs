//! What each installed model finds on ESC-10 alone, and joined with YAMNet by reciprocal rank
//! fusion (`src/search/fusion.rs`): 400 recordings of ten classes, from the folder `data/esc10` of
//! `SONOTECA_SHARED` (`../shared`), each searched for among the others, by recording.
//!
//! P@1 is the share of first neighbours of the same class, mAP the mean of average precision over
//! all 399 others. All models live in one library, which is what is searched. Models whose weights
//! are not installed are named and passed over: `sonoteca models pull NAME`. Not measured: how
//! long anything takes, and searches by segment.
//!
//! `cargo bench --bench fusion`, or `-- NAME...` for these models alone.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a program that prints figures; what it shares with tests is public there"
)]

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../tests/common/retrieval.rs"]
mod retrieval;

use retrieval::{Quality, fused_leave_one_out, leave_one_out_of};
use sonoteca::model::compute::Compute;
use sonoteca::model::store::{Installed, ModelStore};
use sonoteca::model::{EmbeddingModel, registry};

/// What every other model is joined with.
const WITH: &str = "yamnet";

fn main() {
    let Some(esc10) = common::shared("data/esc10") else { return };
    // Cargo adds options of its own.
    let asked: Vec<String> =
        std::env::args().skip(1).filter(|name| !name.starts_with("--")).collect();
    let store = ModelStore::of_user().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("esc10.db");
    let mut names = Vec::new();
    for name in registry::built_in() {
        if !asked.is_empty() && name != WITH && !asked.iter().any(|asked| asked == name) {
            continue;
        }
        let card = registry::find(name).unwrap();
        if store.installed(card) != Installed::Present {
            println!(
                "SKIPPED: {name}: its weights are not installed (sonoteca models pull {name})"
            );
            continue;
        }
        let model = EmbeddingModel::load(name, &store, Compute::default()).unwrap();
        let (_, done) = retrieval::index(&esc10, &path, &model);
        println!("{name}: {} segments of {:.0} s", done.segments, done.duration_s);
        names.push(name);
    }
    if !names.contains(&WITH) {
        return;
    }
    let library = sonoteca::store::Library::open(&path).unwrap();
    println!("\n| model | P@1 | mAP | P@1 with {WITH} | mAP with {WITH} |");
    println!("| --- | --- | --- | --- | --- |");
    // The one that all are compared with first.
    names.sort_by_key(|name| *name != WITH);
    for name in names {
        let alone = cells(&leave_one_out_of(&library, Some(name)));
        let joined = if name == WITH {
            "| |".to_owned()
        } else {
            cells(&fused_leave_one_out(&library, &[WITH, name]))
        };
        println!("| `{name}` | {alone} {joined}");
    }
}

fn cells(quality: &Quality) -> String {
    format!("{:.4} | {:.4} |", quality.precision_at_1, quality.mean_average_precision)
}

//! Searches of a store: the question is made here, and asked of a server.
//!
//! In: what was typed. Out: hits. Refuses what only a library can answer, with the reason.

use sonoteca::filter::Filter;
use sonoteca::index::scope::Allowed;
use sonoteca::milvus::address::IndexSpec;
use sonoteca::milvus::{Address, Store, StoreSearcher};
use sonoteca::search::Level;
use sonoteca::search::explain::NEAR;
use sonoteca::{Error, MilvusProblem, Result};

use super::examples::{Examples, Ground};
use super::{Found, options_of};
use crate::cli::args::SearchArgs;
use crate::cli::commands::stores::warn_of_version;
use crate::cli::printer::Printer;

/// What in the store at `address` is like the examples of `args`.
pub(super) fn find(
    args: &SearchArgs,
    address: &str,
    (filter, level): (Option<&Filter>, Level),
    printer: &Printer,
) -> Result<Found> {
    let address: Address = address.parse()?;
    check(args, &address)?;
    let store = Store::open(&address)?;
    warn_of_version(&store, printer)?;
    if args.exact && store.index() != IndexSpec::Flat {
        unable(&address, "--exact", "its index decides which vectors are compared", FLAT)?;
    }
    let model = store.model();
    store.require_model(args.model.first().map(String::as_str))?;
    let searcher = StoreSearcher::new(&store, level, filter)?;
    let examples = Examples::typed(args)?;
    let question = examples.question_on(Ground::Store(&store), &model, level, printer)?;
    let options = options_of(args, Allowed::All);
    let near = args.min_score.unwrap_or(NEAR);
    let hits = searcher.search(&question, &options)?;
    let explained = hits.into_iter().map(|hit| {
        let why = args.explain.then(|| searcher.explain(&question, &hit, near)).transpose()?;
        Ok((hit, why))
    });
    explained.collect()
}

const FLAT: &str = "compare all by a collection without an index: import into one with ?index=flat";

/// Refuses what a server cannot be asked.
fn check(args: &SearchArgs, address: &Address) -> Result<()> {
    if args.class.is_some() {
        let hint = "ask for those that pass, from an example on: --where 'class(\"Dog\") > 0.5'";
        unable(address, "--class", "it ranks by vectors only, not by scores", hint)?;
    }
    if args.text.is_some() {
        let hint =
            "filter by what is known: --where 'path ~ \"/data/garden/*\"', or search a library";
        unable(address, "--text", "it has no index of words", hint)?;
    }
    if args.ranking.head.is_some() {
        let hint = "say what the head hears in all of it: sonoteca predict NAME --store ADDRESS";
        unable(address, "--head", "it ranks by vectors only, not by what a head says", hint)?;
    }
    if args.model.len() > 1 {
        let hint = "search each collection by itself";
        unable(address, "several --model", "a collection has the vectors of one", hint)?;
    }
    Ok(())
}

fn unable(address: &Address, what: &str, why: &'static str, hint: &'static str) -> Result<()> {
    let problem = MilvusProblem::Unable { what: what.to_owned(), why, hint };
    Err(Error::Milvus { address: address.to_string(), problem })
}

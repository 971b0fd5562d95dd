//! Hosted models: a server embeds.
//!
//! In: patches of samples. Out: embeddings `[patches, dimension]`, by the protocol of
//! `docs/remote.md`. Which model a server runs is what it says: the hash of that stands for the
//! hash of the weights, is looked at when the model is opened and in every answer, and another one
//! is refused. So are vectors of another length, and values that are no finite numbers.

mod client;
mod protocol;

use std::sync::Arc;

use sha2::Digest;

use super::card::{ModelCard, Remote, Sha256};
use super::network::{Batch, Company, Network, NetworkOutput, Sent};
use crate::error::{AddedProblem, Error, Result};
use client::Client;
use protocol::{Answer, Described, Request};

pub(super) use client::check_address;

/// A server that embeds for a model.
#[derive(Clone, Debug)]
pub(super) struct Hosted {
    model: String,
    remote: Remote,
    sample_rate: u32,
    dimension: usize,
    client: Client,
}

/// Stands for the hash of weights that are elsewhere.
pub(super) fn identity(model: &str, version: &str) -> Sha256 {
    // Neither may end in the other's beginning.
    let text = format!("hosted\n{}\n{model}\n{version}", model.len());
    Sha256(sha2::Sha256::digest(text.as_bytes()).into())
}

/// What the server at the address in `remote` says that it is; `name` is the model's here.
pub(super) fn describe(name: &str, remote: &Remote) -> Result<Described> {
    let client = Client::new(name, remote)?;
    protocol::described(&client)
}

impl Hosted {
    /// Asks the server whether it is still the one that the card tells of; `company` is told of waits.
    pub(super) fn open(card: &ModelCard, company: Option<&Arc<dyn Company>>) -> Result<Self> {
        let remote = card.remote.clone().ok_or_else(|| Error::Card {
            name: card.name.clone(),
            source: "a hosted model without a server".into(),
        })?;
        let mut client = Client::new(&card.name, &remote)?;
        if let Some(company) = company {
            client.keep_company(company);
        }
        let hosted = Self {
            client,
            model: card.name.clone(),
            sample_rate: card.sample_rate,
            dimension: card.embedding_dimension,
            remote,
        };
        let found = protocol::described(&hosted.client)?;
        hosted.require_same(&found.model, &found.version)?;
        hosted.require_dimension(found.dimension)?;
        if let Some(hertz) = found.sample_rate
            && hertz != card.sample_rate
        {
            return Err(hosted.answer(format!("{} Hz", card.sample_rate), format!("{hertz} Hz")));
        }
        Ok(hosted)
    }

    fn require_same(&self, model: &str, version: &str) -> Result<()> {
        if (model, version) == (&self.remote.model, &self.remote.version) {
            return Ok(());
        }
        let [expected, found] =
            told_apart([(&self.remote.model, &self.remote.version), (model, version)]);
        Err(AddedProblem::Changed { model: self.model.clone(), expected, found }.into())
    }

    fn require_dimension(&self, found: usize) -> Result<()> {
        if found == self.dimension {
            return Ok(());
        }
        let values = |count: usize| format!("vectors of {count} values");
        Err(self.answer(values(self.dimension), values(found)))
    }

    fn answer(&self, expected: String, found: String) -> Error {
        AddedProblem::Answer { url: self.client.url("/v1/model"), expected, found }.into()
    }
}

/// Two models with their versions, in as few letters as tell them apart.
fn told_apart(both: [(&str, &str); 2]) -> [String; 2] {
    let named = |(model, version): (&str, &str), letters: usize| {
        let short: String = version.chars().take(letters).collect();
        format!("`{model}` {short}")
    };
    let short = both.map(|one| named(one, 16));
    if short[0] == short[1] { both.map(|one| named(one, usize::MAX)) } else { short }
}

impl Network for Hosted {
    fn run(&self, batch: &Batch<'_>) -> Result<NetworkOutput> {
        let windows = batch.sound_samples.len();
        let request = Request {
            values: batch.values,
            windows,
            sample_rate: self.sample_rate,
            dimension: self.dimension,
            remote: &self.remote,
        };
        let Answer { model, version, embeddings } = protocol::embed(&self.client, &request)?;
        self.require_same(&model, &version)?;
        Ok(NetworkOutput { embeddings, scores: Vec::new() })
    }

    fn share(&self) -> Box<dyn Network> {
        Box::new(self.clone())
    }

    fn keep_company(&mut self, company: &Arc<dyn Company>) {
        self.client.keep_company(company);
    }

    fn sent(&self) -> Option<Sent> {
        Some(self.client.sent())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_shown_as_far_as_they_differ() {
        let hash = "9f2c".repeat(16);
        let [old, new] = [format!("{hash}-1"), format!("{hash}-2")];
        let [expected, found] = told_apart([("owls", &old), ("owls", &new)]);
        assert_eq!((expected, found), (format!("`owls` {old}"), format!("`owls` {new}")));
        let [expected, found] = told_apart([("owls", &old), ("owls", "3")]);
        assert_eq!((expected, &found[..]), (format!("`owls` {}", &hash[..16]), "`owls` 3"));
    }
}

//! The models by name: those that are built in, and those that the user added to the store.
//!
//! In: a name. Out: its card and class names. Building a model in is adding a line here, a card
//! and an architecture; what users add has its card in the store.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, PoisonError};

use super::card::{Architecture, Base, ModelCard};
use super::store::ModelStore;
use super::{front_end_of, identity_of, own};
use crate::error::{AddedProblem, Error, Result};
use crate::frontend::spec::FrontEnd;

/// The text of a card and of its class names: CSV with a header, the name in the last column.
struct BuiltIn {
    name: &'static str,
    card: &'static str,
    classes: &'static str,
    /// What `probe.rs` asks for: float32, little-endian.
    probe: &'static [u8],
}

const BUILT_IN: &[BuiltIn] = &[
    BuiltIn {
        name: "yamnet",
        card: include_str!("../../models/yamnet.toml"),
        classes: include_str!("../../models/yamnet_class_map.csv"),
        probe: include_bytes!("../../models/yamnet_probe.bin"),
    },
    BuiltIn {
        name: "crepe-tiny",
        card: include_str!("../../models/crepe-tiny.toml"),
        classes: "",
        probe: include_bytes!("../../models/crepe-tiny_probe.bin"),
    },
    BuiltIn {
        name: "crepe",
        card: include_str!("../../models/crepe.toml"),
        classes: "",
        probe: include_bytes!("../../models/crepe_probe.bin"),
    },
    BuiltIn {
        name: "resemblyzer",
        card: include_str!("../../models/resemblyzer.toml"),
        classes: "",
        probe: include_bytes!("../../models/resemblyzer_probe.bin"),
    },
    BuiltIn {
        name: "whisper-tiny-en",
        card: include_str!("../../models/whisper-tiny-en.toml"),
        classes: "",
        probe: include_bytes!("../../models/whisper_tiny_en_probe.bin"),
    },
    BuiltIn {
        name: "whisper-base",
        card: include_str!("../../models/whisper-base.toml"),
        classes: "",
        probe: include_bytes!("../../models/whisper_base_probe.bin"),
    },
    BuiltIn {
        name: "crnn-bell",
        card: include_str!("../../models/crnn-bell.toml"),
        classes: include_str!("../../models/crnn_bell_classes.csv"),
        probe: include_bytes!("../../models/crnn_bell_probe.bin"),
    },
    BuiltIn {
        name: "musicnn-mtt",
        card: include_str!("../../models/musicnn-mtt.toml"),
        classes: include_str!("../../models/musicnn_mtt_tags.csv"),
        probe: include_bytes!("../../models/musicnn_mtt_probe.bin"),
    },
    BuiltIn {
        name: "musicnn-msd",
        card: include_str!("../../models/musicnn-msd.toml"),
        classes: include_str!("../../models/musicnn_msd_tags.csv"),
        probe: include_bytes!("../../models/musicnn_msd_probe.bin"),
    },
];

/// Embeddings that a module may read at once: two minutes of YAMNet's.
const MOST_EMBEDDINGS: usize = 256;

type Parsed = std::result::Result<ModelCard, toml::de::Error>;

static CARDS: LazyLock<Vec<Parsed>> =
    LazyLock::new(|| BUILT_IN.iter().map(|model| toml::from_str(model.card)).collect());

/// Cards of added models that were read in this process, by their file and its text: a card lives
/// as long as the process, since whatever is made of it may.
static ADDED: LazyLock<Mutex<HashMap<(PathBuf, String), &'static ModelCard>>> =
    LazyLock::new(Mutex::default);

/// The names of the models that are built in, in the order in which they are listed.
pub fn built_in() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|model| model.name)
}

/// Whether `name` is one that is built in.
pub fn is_built_in(name: &str) -> bool {
    built_in().any(|known| known == name)
}

/// The names of all models, in the order in which they are listed: those that the user added come
/// last.
pub fn names() -> impl Iterator<Item = String> {
    let added = ModelStore::of_user().map(|store| store.added()).unwrap_or_default();
    built_in().map(str::to_owned).chain(added)
}

/// The card of `name`, which is built in or in the user's store.
///
/// # Errors
/// [`Error::UnknownModel`] when there is none, [`Error::Card`] when it does not read.
pub fn find(name: &str) -> Result<&'static ModelCard> {
    match BUILT_IN.iter().position(|model| model.name == name) {
        Some(index) => built_in_card(index),
        None => find_in(name, &ModelStore::of_user()?),
    }
}

/// The card of `name`, of which a library holds vectors: it may have been installed when they were made,
/// and not be any more.
///
/// # Errors
/// [`Error::ModelGone`] then, [`Error::Card`] when it does not read.
pub fn find_held(name: &str) -> Result<&'static ModelCard> {
    find(name).map_err(|error| match error {
        Error::UnknownModel { name, .. } => Error::ModelGone { name },
        error => error,
    })
}

/// The card of `name`, which is built in or in `store`.
///
/// # Errors
/// As [`find`].
pub fn find_in(name: &str, store: &ModelStore) -> Result<&'static ModelCard> {
    if let Some(index) = BUILT_IN.iter().position(|model| model.name == name) {
        return built_in_card(index);
    }
    let Some((path, text)) = store.read_card(name)? else {
        return Err(Error::UnknownModel {
            name: name.to_owned(),
            known: built_in().map(str::to_owned).chain(store.added()).collect(),
        });
    };
    // Reading a card may look another one up.
    let cards = || ADDED.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (path, text);
    if let Some(card) = cards().get(&key) {
        return Ok(card);
    }
    let card: &'static ModelCard = Box::leak(Box::new(read_added(name, &key.1, store)?));
    Ok(cards().entry(key).or_insert(card))
}

fn built_in_card(index: usize) -> Result<&'static ModelCard> {
    CARDS[index].as_ref().map_err(|error| Error::Card {
        name: BUILT_IN[index].name.to_owned(),
        source: error.clone().into(),
    })
}

/// Reads the card of a model that the user added.
fn read_added(name: &str, text: &str, store: &ModelStore) -> Result<ModelCard> {
    let invalid = |source: crate::error::Source| Error::Card { name: name.to_owned(), source };
    let mut card: ModelCard = toml::from_str(text).map_err(|error| invalid(error.into()))?;
    let problem = if card.name != name {
        format!("it is the card of `{}`", card.name)
    } else if !card.is_added() {
        "its architecture is built in".to_owned()
    } else if (card.architecture == Architecture::Remote) != card.remote.is_some() {
        "a server is what a hosted model has, and no other".to_owned()
    } else if card.embedding_dimension == 0 || card.batch_patches == 0 || card.class_count() > 0 {
        "its sizes are none that an added model has".to_owned()
    } else if (card.architecture == Architecture::Chained) != card.base.is_some() {
        "a base is what a model that reads embeddings has, and no other".to_owned()
    } else {
        if let Some(base) = &card.base {
            card.inherited = Some(inherited(name, base, store)?);
        }
        // A published model brings a front end that is known.
        if card.architecture != Architecture::Wav2vec2 {
            own::settle(&mut card).map_err(|error| invalid(error.into()))?;
        }
        return Ok(card);
    };
    Err(invalid(problem.into()))
}

/// The front end of a model that reads the embeddings of `base`, which must be what it was.
pub(super) fn inherited(name: &str, base: &Base, store: &ModelStore) -> Result<FrontEnd> {
    let invalid = |problem: String| Error::Card { name: name.to_owned(), source: problem.into() };
    let card = find_in(&base.name, store).map_err(|error| match error {
        Error::UnknownModel { .. } => {
            AddedProblem::BaseGone { name: name.to_owned(), base: base.name.clone() }.into()
        }
        Error::Card { source, .. } => invalid(format!("of its base `{}`: {source}", base.name)),
        error => error,
    })?;
    let Base { weights_sha256, front_end_version, embeddings, hop_embeddings, .. } = base;
    let identity = identity_of(card);
    let front_end = front_end_of(card);
    if card.base.is_some() {
        return Err(invalid(format!("its base `{}` has a base itself", base.name)));
    }
    if (identity.weights_sha256, identity.front_end_version)
        != (weights_sha256.0, *front_end_version)
    {
        return Err(invalid(format!("its base `{}` is another version now", base.name)));
    }
    if !(1..=MOST_EMBEDDINGS).contains(embeddings)
        || !(1..=*embeddings).contains(hop_embeddings)
        || (*embeddings > 1 && front_end.steps > 1)
    {
        return Err(invalid(format!(
            "{embeddings} embeddings, {hop_embeddings} apart, are none that it can read"
        )));
    }
    Ok(own::inherited(&front_end, base))
}

/// What the model of `card`, which is built in, must answer to the probe.
pub(super) fn probe(card: &ModelCard) -> &'static [u8] {
    BUILT_IN.iter().find(|model| model.name == card.name).map_or(&[], |model| model.probe)
}

/// The names of the classes that `name` scores, in the order of its scores.
///
/// # Errors
/// [`Error::UnknownModel`] without such a model, [`Error::Card`] when the list does not read.
pub fn class_names(name: &str) -> Result<Vec<String>> {
    let card = find(name)?;
    let text = BUILT_IN.iter().find(|model| model.name == name).map_or("", |model| model.classes);
    let invalid = |source: crate::error::Source| Error::Card { name: name.to_owned(), source };
    let names = csv::Reader::from_reader(text.as_bytes())
        .records()
        .map(|record| record.map(|record| record.iter().next_back().unwrap_or("").to_owned()))
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|error| invalid(error.into()))?;
    if names.len() != card.class_count() {
        return Err(invalid(
            format!("{} class names, expected {}", names.len(), card.class_count()).into(),
        ));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_card_reads_and_agrees_with_its_classes() {
        for name in built_in() {
            assert_eq!(find(name).unwrap().name, name);
            assert_eq!(class_names(name).unwrap().len(), find(name).unwrap().class_count());
        }
        assert_eq!(class_names("yamnet").unwrap()[0], "Speech");
        assert_eq!(class_names("yamnet").unwrap()[1], "Child speech, kid speaking");
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let message = find("vggish").unwrap_err().to_string();
        assert!(message.contains("vggish") && message.contains("yamnet"), "{message}");
    }
}

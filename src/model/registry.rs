//! The models that are built in, by name.
//!
//! In: a name. Out: its card and class names. Adding a model is adding a line here, a card and an
//! architecture.

use std::sync::LazyLock;

use super::card::ModelCard;
use crate::error::{Error, Result};

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

type Parsed = std::result::Result<ModelCard, toml::de::Error>;

static CARDS: LazyLock<Vec<Parsed>> =
    LazyLock::new(|| BUILT_IN.iter().map(|model| toml::from_str(model.card)).collect());

/// The names of all models, in the order in which they are listed.
pub fn names() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|model| model.name)
}

/// The card of `name`.
///
/// # Errors
/// [`Error::UnknownModel`] when there is none.
pub fn find(name: &str) -> Result<&'static ModelCard> {
    let Some(index) = BUILT_IN.iter().position(|model| model.name == name) else {
        return Err(Error::UnknownModel {
            name: name.to_owned(),
            known: names().map(str::to_owned).collect(),
        });
    };
    CARDS[index]
        .as_ref()
        .map_err(|error| Error::Card { name: name.to_owned(), source: error.clone().into() })
}

/// What the model of `card` must answer to the probe.
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
        for name in names() {
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

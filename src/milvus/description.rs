//! What a collection says of itself: the model of its vectors, and its index.
//!
//! In: a header. Out: the description that a collection is made with, and back. Refuses collections of
//! other programs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::address::IndexSpec;
use super::describe_layout;
use crate::dataset::header::Header;
use crate::error::MilvusProblem;

/// The form of the columns that this version writes.
const FORM: u32 = 1;

/// What holds for a collection.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Description {
    pub(super) header: Header,
    pub(super) index: IndexSpec,
}

#[derive(Serialize, Deserialize)]
struct Written {
    /// [`FORM`].
    sonoteca_collection: u32,
    index: String,
    index_parameters: BTreeMap<String, u32>,
    dataset: BTreeMap<String, String>,
}

impl Description {
    /// As text.
    pub(super) fn text(&self) -> String {
        let own = |(key, value): (&str, String)| (key.to_owned(), value);
        let number = |(key, value): (&str, u32)| (key.to_owned(), value);
        let written = Written {
            sonoteca_collection: FORM,
            index: self.index.name().to_owned(),
            index_parameters: self.index.parameters().into_iter().map(number).collect(),
            dataset: self.header.entries().into_iter().map(own).collect(),
        };
        // Texts and numbers always become JSON.
        serde_json::to_string(&written).unwrap_or_default()
    }

    /// What `text` says, or what does not fit.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let written: Written = serde_json::from_str(text)
            .map_err(|_| "its description is not one of sonoteca's".to_owned())?;
        if written.sonoteca_collection > FORM {
            let found = written.sonoteca_collection;
            return Err(format!("its form is {found}, and this version knows {FORM}"));
        }
        let parameter = |name: &str| written.index_parameters.get(name).copied();
        let index = IndexSpec::named(&written.index, parameter)
            .ok_or_else(|| format!("its index is `{}`", written.index))?;
        let header = Header::read(&written.dataset).map_err(|problem| problem.to_string())?;
        Ok(Self { header, index })
    }

    /// Refuses vectors of `header` where they could not be compared with those that are there.
    pub(super) fn check(&self, header: &Header) -> Result<(), MilvusProblem> {
        if self.header.identity != header.identity {
            let (found, expected) = (header.model(), self.header.model());
            return Err(MilvusProblem::OtherModel { found, expected });
        }
        let (found, expected) = (header.layout(), self.header.layout());
        if found != expected {
            let (found, expected) = (describe_layout(found), describe_layout(expected));
            return Err(MilvusProblem::OtherSegments { found, expected });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::segment::Segmentation;

    #[test]
    fn a_description_reads_back_and_others_are_refused() {
        let index = IndexSpec::Hnsw { m: 8, ef_construction: 100 };
        let description = Description { header: Header::example(), index };
        let text = description.text();
        assert_eq!(Description::read(&text).unwrap(), description);
        assert!(Description::read("sounds of 2024").unwrap_err().contains("not one of sonoteca's"));
        let newer = text.replace("\"sonoteca_collection\":1", "\"sonoteca_collection\":9");
        assert!(Description::read(&newer).unwrap_err().contains("form is 9"));

        let mut other = Header::example();
        assert!(description.check(&other).is_ok());
        other.segmentation = Some(Segmentation { segment_s: 10.0, hop_s: 10.0 });
        assert!(matches!(description.check(&other), Err(MilvusProblem::OtherSegments { .. })));
        other = Header::example();
        other.identity.weights_sha256 = [9; 32];
        assert!(matches!(description.check(&other), Err(MilvusProblem::OtherModel { .. })));
    }
}

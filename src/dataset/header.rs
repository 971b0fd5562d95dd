//! What holds for all rows of a dataset, as a Parquet file's metadata says it.
//!
//! In: a model's card. Out: keys and values, and back. Refuses files whose keys are missing or do
//! not read.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::audio::segment::Segmentation;
use crate::error::DatasetProblem;
use crate::model::ModelIdentity;
use crate::model::card::ModelCard;
use crate::store::vector::Precision;

/// The form of the rows that this version writes.
pub const FORM: u32 = 1;

pub(super) const KEY_FORM: &str = "sonoteca.form";
const KEY_VERSION: &str = "sonoteca.version";
const KEY_MODEL: &str = "sonoteca.model";
const KEY_WEIGHTS: &str = "sonoteca.weights_sha256";
const KEY_FRONT_END: &str = "sonoteca.front_end_version";
const KEY_DIMENSION: &str = "sonoteca.dimension";
const KEY_WINDOW: &str = "sonoteca.window_s";
const KEY_HOP: &str = "sonoteca.hop_s";
const KEY_SEGMENT: &str = "sonoteca.segment_s";
const KEY_SEGMENT_HOP: &str = "sonoteca.segment_hop_s";
const KEY_VECTORS: &str = "sonoteca.vectors";
const KEY_DEVICE: &str = "sonoteca.device";
const KEY_PRECISION: &str = "sonoteca.precision";
const KEY_CLASSES: &str = "sonoteca.classes";

/// What holds for all rows of a dataset.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// What its vectors may be compared with.
    pub identity: ModelIdentity,
    /// Time that a patch stands for, in seconds.
    pub window_s: f64,
    /// Time from one patch to the next, in seconds.
    pub hop_s: f64,
    /// Its segments, where they are longer than the model's patches.
    pub segmentation: Option<Segmentation>,
    /// How a value is written: float32, or float16.
    pub vectors: Precision,
    /// What computed, such as `cpu`.
    pub device: String,
    /// In which precision, such as `f32`.
    pub precision: String,
    /// The names of the model's classes.
    pub classes: Vec<String>,
}

impl Header {
    /// What holds for rows that the model of `card` makes.
    pub fn new(identity: ModelIdentity, card: &ModelCard, classes: Vec<String>) -> Self {
        Self {
            identity,
            window_s: card.window_s,
            hop_s: card.hop_s,
            segmentation: card.segmentation(),
            vectors: Precision::Single,
            device: "cpu".to_owned(),
            precision: "f32".to_owned(),
            classes,
        }
    }

    /// Length and hop of a segment.
    pub fn layout(&self) -> Segmentation {
        self.segmentation.unwrap_or(Segmentation { segment_s: self.window_s, hop_s: self.hop_s })
    }

    /// The model and its version in one word, such as `yamnet/10a26ba6c3a5/1`: its name, the
    /// beginning of its weights' hash, and its front end's version.
    pub fn model(&self) -> String {
        let ModelIdentity { name, weights_sha256, front_end_version, .. } = &self.identity;
        format!("{name}/{}/{front_end_version}", &hex(weights_sha256)[..12])
    }

    /// The keys and values of a file's metadata.
    pub(crate) fn entries(&self) -> Vec<(&'static str, String)> {
        let identity = &self.identity;
        let mut entries = vec![
            (KEY_FORM, FORM.to_string()),
            (KEY_VERSION, env!("CARGO_PKG_VERSION").to_owned()),
            (KEY_MODEL, identity.name.clone()),
            (KEY_WEIGHTS, hex(&identity.weights_sha256)),
            (KEY_FRONT_END, identity.front_end_version.to_string()),
            (KEY_DIMENSION, identity.dimension.to_string()),
            (KEY_WINDOW, self.window_s.to_string()),
            (KEY_HOP, self.hop_s.to_string()),
            (KEY_VECTORS, vectors_name(self.vectors).to_owned()),
            (KEY_DEVICE, self.device.clone()),
            (KEY_PRECISION, self.precision.clone()),
            (KEY_CLASSES, serde_json::Value::from(self.classes.clone()).to_string()),
        ];
        if let Some(Segmentation { segment_s, hop_s }) = self.segmentation {
            entries.push((KEY_SEGMENT, segment_s.to_string()));
            entries.push((KEY_SEGMENT_HOP, hop_s.to_string()));
        }
        entries
    }

    /// What the metadata `entries` of a file say.
    ///
    /// # Errors
    /// [`DatasetProblem::Foreign`], [`DatasetProblem::TooNew`] and [`DatasetProblem::Header`].
    pub(crate) fn read(entries: &BTreeMap<String, String>) -> Result<Self, DatasetProblem> {
        let entries = Entries(entries);
        let form: u32 = entries.parse(KEY_FORM, "a whole number")?;
        if form > FORM {
            return Err(DatasetProblem::TooNew { found: form, known: FORM });
        }
        let weights = entries.text(KEY_WEIGHTS)?;
        let weights_sha256 = unhex(weights)
            .ok_or_else(|| Entries::wrong(KEY_WEIGHTS, "64 hexadecimal digits", weights))?;
        let identity = ModelIdentity {
            name: entries.text(KEY_MODEL)?.to_owned(),
            weights_sha256,
            front_end_version: entries.parse(KEY_FRONT_END, "a whole number")?,
            dimension: entries.parse(KEY_DIMENSION, "a whole number")?,
        };
        if !(1..=MAX_DIMENSION).contains(&identity.dimension) {
            let found = &identity.dimension.to_string();
            return Err(Entries::wrong(KEY_DIMENSION, "1 to 65,536", found));
        }
        let segmentation = match entries.0.get(KEY_SEGMENT) {
            None => None,
            Some(_) => Some(Segmentation {
                segment_s: entries.seconds(KEY_SEGMENT)?,
                hop_s: entries.seconds(KEY_SEGMENT_HOP)?,
            }),
        };
        let vectors = entries.text(KEY_VECTORS)?;
        let classes = entries.text(KEY_CLASSES)?;
        Ok(Self {
            identity,
            window_s: entries.seconds(KEY_WINDOW)?,
            hop_s: entries.seconds(KEY_HOP)?,
            segmentation,
            vectors: [Precision::Single, Precision::Half]
                .into_iter()
                .find(|&precision| vectors_name(precision) == vectors)
                .ok_or_else(|| Entries::wrong(KEY_VECTORS, "f32 or f16", vectors))?,
            device: entries.text(KEY_DEVICE)?.to_owned(),
            precision: entries.text(KEY_PRECISION)?.to_owned(),
            classes: serde_json::from_str(classes)
                .map_err(|_| Entries::wrong(KEY_CLASSES, "a list of names", classes))?,
        })
    }

    /// Refuses rows of `other`, which lie in one dataset with those of this header, or are to.
    ///
    /// # Errors
    /// [`DatasetProblem::OtherModel`] and [`DatasetProblem::OtherForm`], of `other`.
    pub fn check_same(&self, other: &Self, place: &str) -> Result<(), DatasetProblem> {
        if self.identity != other.identity {
            let (found, expected) = (other.model(), self.model());
            return Err(DatasetProblem::OtherModel { found, expected, place: place.to_owned() });
        }
        let of = |header: &Self| {
            let Segmentation { segment_s, hop_s } = header.layout();
            [
                ("segments of", format!("{segment_s} s every {hop_s} s")),
                ("vectors of", vectors_name(header.vectors).to_owned()),
            ]
        };
        for ((what, expected), (_, found)) in of(self).into_iter().zip(of(other)) {
            if expected != found {
                let place = place.to_owned();
                return Err(DatasetProblem::OtherForm { what, found, expected, place });
            }
        }
        Ok(())
    }

    /// For tests.
    #[cfg(test)]
    pub(crate) fn example() -> Self {
        Self {
            identity: ModelIdentity {
                name: "example".to_owned(),
                weights_sha256: [3; 32],
                front_end_version: 2,
                dimension: 4,
            },
            window_s: 0.96,
            hop_s: 0.48,
            segmentation: None,
            vectors: Precision::Single,
            device: "cpu".to_owned(),
            precision: "f32".to_owned(),
            classes: vec!["Speech".to_owned(), "Dog, \"barking\"".to_owned()],
        }
    }
}

/// No model has more.
const MAX_DIMENSION: usize = 65_536;

/// How values of this precision are called.
pub(super) fn vectors_name(precision: Precision) -> &'static str {
    match precision {
        Precision::Single => "f32",
        Precision::Half => "f16",
    }
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, place) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[place..place + 2], 16).ok()?;
    }
    Some(bytes)
}

struct Entries<'a>(&'a BTreeMap<String, String>);

impl Entries<'_> {
    fn text(&self, key: &'static str) -> Result<&str, DatasetProblem> {
        self.0.get(key).map(String::as_str).ok_or(DatasetProblem::Foreign { key })
    }

    fn parse<T: std::str::FromStr>(
        &self,
        key: &'static str,
        expected: &'static str,
    ) -> Result<T, DatasetProblem> {
        let text = self.text(key)?;
        text.parse().map_err(|_| Self::wrong(key, expected, text))
    }

    fn seconds(&self, key: &'static str) -> Result<f64, DatasetProblem> {
        let expected = "seconds above 0";
        let seconds: f64 = self.parse(key, expected)?;
        if seconds.is_finite() && seconds > 0.0 {
            return Ok(seconds);
        }
        Err(Self::wrong(key, expected, &seconds.to_string()))
    }

    fn wrong(key: &'static str, expected: &'static str, found: &str) -> DatasetProblem {
        let found = format!("`{}`", found.chars().take(80).collect::<String>());
        DatasetProblem::Header { key, expected, found }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(header: &Header) -> BTreeMap<String, String> {
        header.entries().into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }

    #[test]
    fn a_header_reads_back() {
        let mut header = Header::example();
        assert_eq!(Header::read(&entries(&header)).unwrap(), header);
        assert_eq!(header.model(), "example/030303030303/2");
        header.segmentation = Some(Segmentation { segment_s: 10.0, hop_s: 2.5 });
        header.vectors = Precision::Half;
        assert_eq!(Header::read(&entries(&header)).unwrap(), header);
    }

    #[test]
    fn what_does_not_read_is_named() {
        let whole = entries(&Header::example());
        for key in whole.keys().filter(|key| *key != KEY_VERSION) {
            let mut cut = whole.clone();
            cut.remove(key);
            let problem = Header::read(&cut).unwrap_err();
            assert!(matches!(problem, DatasetProblem::Foreign { .. }), "{problem}");
            assert!(problem.to_string().contains(key.as_str()), "{problem}");
        }
        for (key, value) in [
            (KEY_WEIGHTS, "abc"),
            (KEY_DIMENSION, "0"),
            (KEY_DIMENSION, "-1"),
            (KEY_HOP, "NaN"),
            (KEY_VECTORS, "f64"),
            (KEY_CLASSES, "{}"),
        ] {
            let mut damaged = whole.clone();
            damaged.insert(key.to_owned(), value.to_owned());
            let problem = Header::read(&damaged).unwrap_err().to_string();
            assert!(problem.contains(key) && problem.contains(value), "{problem}");
        }
        let mut newer = whole;
        newer.insert(KEY_FORM.to_owned(), "9".to_owned());
        let problem = Header::read(&newer).unwrap_err();
        assert!(matches!(problem, DatasetProblem::TooNew { found: 9, known: FORM }));
    }

    #[test]
    fn headers_of_one_dataset_are_the_same() {
        let header = Header::example();
        assert!(header.check_same(&header, "the dataset").is_ok());
        let mut other = header.clone();
        other.identity.weights_sha256 = [4; 32];
        let problem = header.check_same(&other, "the dataset").unwrap_err().to_string();
        assert!(problem.contains("example/040404040404/2"), "{problem}");
        other = header.clone();
        other.vectors = Precision::Half;
        let problem = header.check_same(&other, "the dataset").unwrap_err().to_string();
        assert!(problem.contains("vectors of f16"), "{problem}");
    }
}

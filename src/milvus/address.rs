//! Where a store lies, and how it is used: `milvus://HOST:PORT/COLLECTION?SETTING=VALUE&…`.
//!
//! In: text. Out: an [`Address`] with every setting, the one place where they have their defaults.
//! Refuses what does not read, and passwords, which would be seen in lists of processes.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::error::{Error, MilvusProblem};

/// What an address begins with.
const SCHEME: &str = "milvus://";

/// The settings by name, each with what it may be.
const SETTINGS: [(&str, &str); 11] = [
    ("consistency", "strong, bounded or eventually"),
    ("index", "hnsw, flat, ivf_flat, ivf_sq8 or diskann"),
    ("m", "a number from 4 to 64"),
    ("ef_construction", "a number from 8 to 512"),
    ("ef", "a number from 1 to 32768"),
    ("nlist", "a number from 1 to 65536"),
    ("nprobe", "a number from 1 to 65536"),
    ("search_list", "a number from 1 to 65535"),
    ("shards", "a number from 1 to 64"),
    ("timeout", "seconds, from 1 to 3600"),
    ("patience", "seconds, from 0 to 86400"),
];

/// Server, collection and settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Name or number of the server's machine.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The collection.
    pub collection: String,
    /// How fresh reads are.
    pub consistency: Consistency,
    /// The index of a collection that is made: one that is there keeps its own.
    pub index: IndexSpec,
    /// Candidates that a search by HNSW holds at least (`ef`).
    pub ef: u32,
    /// Lists that a search by IVF reads (`nprobe`).
    pub nprobe: u32,
    /// Candidates that a search by `DiskANN` holds at least (`search_list`).
    pub search_list: u32,
    /// Shards of a collection that is made (`shards`).
    pub shards: u32,
    /// How long one answer may take (`timeout`).
    pub timeout: Duration,
    /// How long an import waits for a server that went away (`patience`).
    pub patience: Duration,
}

/// How fresh reads are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// All that was written before.
    Strong,
    /// What was written until some seconds ago: what most searches want, and Milvus's own default.
    Bounded,
    /// Whatever is there.
    Eventually,
}

/// The index of a collection, and what it is built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexSpec {
    /// A graph in memory.
    Hnsw {
        /// Links of a row (`m`).
        m: u32,
        /// Candidates from which they are chosen (`ef_construction`).
        ef_construction: u32,
    },
    /// None: every row is compared.
    Flat,
    /// Rows in lists by the nearest of so many centres (`nlist`).
    IvfFlat(u32),
    /// The same, with 8 bits a value.
    IvfSq8(u32),
    /// A graph on the disk.
    DiskAnn,
}

impl IndexSpec {
    /// Its name in addresses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hnsw { .. } => "hnsw",
            Self::Flat => "flat",
            Self::IvfFlat(_) => "ivf_flat",
            Self::IvfSq8(_) => "ivf_sq8",
            Self::DiskAnn => "diskann",
        }
    }

    /// What it is built with, by Milvus's names.
    pub(super) fn parameters(self) -> Vec<(&'static str, u32)> {
        match self {
            Self::Hnsw { m, ef_construction } => {
                vec![("M", m), ("efConstruction", ef_construction)]
            }
            Self::IvfFlat(nlist) | Self::IvfSq8(nlist) => vec![("nlist", nlist)],
            Self::Flat | Self::DiskAnn => Vec::new(),
        }
    }

    /// The index of that name with these parameters, as [`name`](Self::name) and
    /// [`parameters`](Self::parameters) say it.
    pub(super) fn named(name: &str, parameter: impl Fn(&str) -> Option<u32>) -> Option<Self> {
        Some(match name {
            "hnsw" => {
                let (m, ef_construction) = (parameter("M")?, parameter("efConstruction")?);
                Self::Hnsw { m, ef_construction }
            }
            "flat" => Self::Flat,
            "ivf_flat" => Self::IvfFlat(parameter("nlist")?),
            "ivf_sq8" => Self::IvfSq8(parameter("nlist")?),
            "diskann" => Self::DiskAnn,
            _ => return None,
        })
    }
}

impl Address {
    /// Whether `text` is the address of a Milvus store, right or wrong.
    pub fn is_one(text: &str) -> bool {
        text.starts_with(SCHEME)
    }

    pub(super) fn failed(&self, problem: MilvusProblem) -> Error {
        Error::Milvus { address: self.to_string(), problem }
    }

    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        let number = |least: u32, most: u32| {
            value.parse().ok().filter(|number: &u32| (least..=most).contains(number))
        };
        let seconds = |least, most| Some(Duration::from_secs(u64::from(number(least, most)?)));
        match key {
            "consistency" => {
                self.consistency = match value {
                    "strong" => Consistency::Strong,
                    "bounded" => Consistency::Bounded,
                    "eventually" => Consistency::Eventually,
                    _ => return None,
                };
            }
            // The kind is read before: its parameters may stand on either side of it.
            "index" => {}
            "m" => match &mut self.index {
                IndexSpec::Hnsw { m, .. } => *m = number(4, 64)?,
                _ => return None,
            },
            "ef_construction" => match &mut self.index {
                IndexSpec::Hnsw { ef_construction, .. } => *ef_construction = number(8, 512)?,
                _ => return None,
            },
            "nlist" => match &mut self.index {
                IndexSpec::IvfFlat(nlist) | IndexSpec::IvfSq8(nlist) => {
                    *nlist = number(1, 65_536)?;
                }
                _ => return None,
            },
            "ef" => self.ef = number(1, 32_768)?,
            "nprobe" => self.nprobe = number(1, 65_536)?,
            "search_list" => self.search_list = number(1, 65_535)?,
            "shards" => self.shards = number(1, 64)?,
            "timeout" => self.timeout = seconds(1, 3_600)?,
            "patience" => self.patience = seconds(0, 86_400)?,
            _ => return None,
        }
        Some(())
    }
}

/// The index that is asked for by name, with what it is built with where nothing else is said.
fn usual_index(name: &str) -> Option<IndexSpec> {
    IndexSpec::named(name, |parameter| {
        Some(match parameter {
            // What others build with; of ESC-10's segments all of the first ten are found
            // (docs/scale.md).
            "M" => 16,
            "efConstruction" => 200,
            _ => 1_024,
        })
    })
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (place, settings) = text.split_once('?').unwrap_or((text, ""));
        let wrong = |what: String| Error::Milvus {
            // No password gets into a message.
            address: place.rsplit_once('@').map_or(place, |(_, behind)| behind).to_owned(),
            problem: MilvusProblem::Address { what },
        };
        let rest = place
            .strip_prefix(SCHEME)
            .ok_or_else(|| wrong(format!("an address of a store begins with {SCHEME}")))?;
        if rest.contains('@') {
            return Err(wrong(
                "a user's name and password would be seen in lists of processes: put them, as \
                 NAME:PASSWORD, into the environment variable SONOTECA_MILVUS_LOGIN"
                    .to_owned(),
            ));
        }
        let expected = || wrong(format!("expected {SCHEME}HOST:PORT/COLLECTION, found {place}"));
        let (server, collection) = rest.split_once('/').ok_or_else(expected)?;
        let (host, port) = server.rsplit_once(':').ok_or_else(expected)?;
        let port: u16 = port.parse().map_err(|_| expected())?;
        if host.is_empty() || host.contains(char::is_whitespace) {
            return Err(expected());
        }
        let is_name = collection.len() <= 255
            && collection.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && collection.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_name {
            return Err(wrong(format!(
                "`{collection}` is no name of a collection: expected letters, digits and _, a \
                 letter or _ first"
            )));
        }
        let settings: Vec<(&str, &str)> = settings
            .split('&')
            .filter(|setting| !setting.is_empty())
            .map(|setting| setting.split_once('=').unwrap_or((setting, "")))
            .collect();
        let expected = |key: &str| SETTINGS.iter().find(|(known, _)| *known == key);
        let mut index = IndexSpec::Hnsw { m: 16, ef_construction: 200 };
        if let Some((_, kind)) = settings.iter().find(|(key, _)| *key == "index") {
            index = usual_index(kind).ok_or_else(|| {
                let expected = expected("index").map_or("", |(_, expected)| expected);
                wrong(format!("`index` is {expected}, found `{kind}`"))
            })?;
        }
        let mut address = Self {
            host: host.to_owned(),
            port,
            collection: collection.to_owned(),
            consistency: Consistency::Bounded,
            index,
            ef: 128,
            nprobe: 32,
            search_list: 100,
            shards: 1,
            // The client's own ten seconds were once too few for a server that had just started.
            timeout: Duration::from_mins(1),
            patience: Duration::from_mins(2),
        };
        for (key, value) in settings {
            if address.set(key, value).is_some() {
                continue;
            }
            return Err(wrong(match expected(key) {
                None => {
                    let known: Vec<&str> = SETTINGS.iter().map(|(known, _)| *known).collect();
                    format!("there is no setting `{key}`: expected {}", known.join(", "))
                }
                Some((_, expected)) => {
                    let kind = address.index.name();
                    format!(
                        "`{key}` is {expected}, with an index that has it; found `{value}` for {kind}"
                    )
                }
            }));
        }
        Ok(address)
    }
}

/// Server and collection.
impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{SCHEME}{}:{}/{}", self.host, self.port, self.collection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        let error = text.parse::<Address>().unwrap_err();
        format!("{error}: {}", error.reason())
    }

    #[test]
    fn settings_have_one_place() {
        let plain: Address = "milvus://localhost:19530/sounds".parse().unwrap();
        assert_eq!((plain.host.as_str(), plain.port), ("localhost", 19530));
        assert_eq!(plain.to_string(), "milvus://localhost:19530/sounds");
        assert_eq!(plain.consistency, Consistency::Bounded);
        let set: Address = "milvus://[::1]:19530/a_1?m=8&index=hnsw&consistency=strong&patience=0"
            .parse()
            .unwrap();
        assert_eq!(set.index, IndexSpec::Hnsw { m: 8, ef_construction: 200 });
        assert_eq!((set.host.as_str(), set.patience), ("[::1]", Duration::ZERO));
        let lists: Address = "milvus://h:1/a?nlist=64&index=ivf_sq8".parse().unwrap();
        assert_eq!(lists.index, IndexSpec::IvfSq8(64));
    }

    #[test]
    fn what_does_not_read_is_named() {
        for (text, said) in [
            ("milvus://localhost/sounds", "HOST:PORT/COLLECTION"),
            ("milvus://localhost:19530", "HOST:PORT/COLLECTION"),
            ("milvus://:19530/a", "HOST:PORT/COLLECTION"),
            ("milvus://h:19530/my-sounds", "`my-sounds`"),
            ("milvus://h:1/a?idx=flat", "there is no setting `idx`"),
            ("milvus://h:1/a?index=tree", "found `tree`"),
            ("milvus://h:1/a?m=3", "from 4 to 64"),
            ("milvus://h:1/a?index=flat&m=8", "for flat"),
            ("milvus://h:1/a?consistency=weak", "bounded"),
            ("http://h:1/a", "begins with milvus://"),
        ] {
            let refusal = refusal(text);
            assert!(refusal.contains(said), "{text}: {refusal}");
        }
        let refusal = refusal("milvus://root:secret@h:1/a");
        assert!(refusal.contains("SONOTECA_MILVUS_LOGIN"), "{refusal}");
        assert!(!refusal.contains("secret"), "{refusal}");
    }

    #[test]
    fn an_index_comes_back_from_its_name() {
        for kind in ["hnsw", "flat", "ivf_flat", "ivf_sq8", "diskann"] {
            let index = usual_index(kind).unwrap();
            let parameters = index.parameters();
            let found = IndexSpec::named(index.name(), |wanted| {
                parameters.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value)
            });
            assert_eq!(found, Some(index));
        }
    }
}

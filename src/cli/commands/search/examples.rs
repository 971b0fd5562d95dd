//! Examples as they are typed into vectors.
//!
//! In: `FILE`, `id:N` and `-`, each with `@START-END` or without. Out: [`Example`]s. Refuses what
//! is neither a file nor an id.

use std::cell::{OnceCell, RefCell};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sonoteca::audio::decode::Integrity;
use sonoteca::audio::excerpt::{Part, Stretch};
use sonoteca::audio::resample::FilterCache;
use sonoteca::extract::Extractor;
use sonoteca::milvus::Store;
use sonoteca::model::compute::Compute;
use sonoteca::model::store::ModelStore;
use sonoteca::model::{EmbeddingModel, identity_of, registry};
use sonoteca::search::{self, Example, Level, Question};
use sonoteca::store::Library;
use sonoteca::store::models::StoredModel;
use sonoteca::{Error, Result};

use super::super::standard_input::{NAME, Spooled};
use crate::cli::STANDARD_INPUT;
use crate::cli::args::{PartArgs, SearchArgs};
use crate::cli::commands::embedding::tell_of_sent;
use crate::cli::company;
use crate::cli::printer::{Printer, readable_path};

/// Where an example comes from.
#[derive(Clone, Debug, PartialEq)]
enum Source {
    Stored(i64),
    File(PathBuf),
    StandardInput,
}

/// An example as it was typed.
#[derive(Clone, Debug, PartialEq)]
struct Typed {
    source: Source,
    part: Part,
}

/// Where stored examples come from, and what a file may be the same as.
#[derive(Clone, Copy)]
pub(super) enum Ground<'a> {
    Library(&'a Library),
    Store(&'a Store),
}

impl Ground<'_> {
    fn stored(
        self,
        model: &StoredModel,
        id: i64,
        stretch: Option<Stretch>,
        level: Level,
    ) -> Result<Example> {
        match self {
            Self::Library(library) => Example::stored(library, model, id, stretch, level),
            Self::Store(store) => store.example(id, stretch, level),
        }
    }

    fn of_file(
        self,
        extractor: &Extractor,
        path: &Path,
        part: Part,
        level: Level,
    ) -> Result<(Example, Integrity)> {
        match self {
            Self::Library(library) => Example::from_file(library, extractor, path, part, level),
            Self::Store(store) => {
                let (example, integrity) = Example::of_file(extractor, path, part, level)?;
                let own = store.same_as_file(path, part.stretch)?;
                Ok((Example { own, ..example }, integrity))
            }
        }
    }
}

/// What was typed to be looked for, for any number of models.
pub(super) struct Examples {
    likes: Vec<Typed>,
    unlikes: Vec<Typed>,
    /// What came on standard input, which can be read only once.
    spooled: OnceCell<Spooled>,
    /// Files whose flaws were told.
    told: RefCell<HashSet<PathBuf>>,
}

impl Examples {
    /// The examples of `args`.
    pub(super) fn typed(args: &SearchArgs) -> Result<Self> {
        let mut likes = Vec::new();
        if let Some(query) = &args.query {
            likes.push(with_part(typed(query), &args.part)?);
        }
        likes.extend(args.like.iter().map(|text| typed(text)));
        let unlikes: Vec<Typed> = args.unlike.iter().map(|text| typed(text)).collect();
        let from_input = |example: &&Typed| example.source == Source::StandardInput;
        if likes.iter().chain(&unlikes).filter(from_input).count() > 1 {
            return Err(Error::Usage {
                problem: "standard input can be read only once",
                hint: "save it to a file, and name that",
            });
        }
        Ok(Self { likes, unlikes, spooled: OnceCell::new(), told: RefCell::default() })
    }

    /// The question that they are to `model` of `library`.
    pub(super) fn question(
        &self,
        library: &Library,
        model: &StoredModel,
        level: Level,
        printer: &Printer,
    ) -> Result<Question> {
        self.question_on(Ground::Library(library), model, level, printer)
    }

    /// The question that they are to `model`, whose vectors lie on `ground`.
    pub(super) fn question_on(
        &self,
        ground: Ground<'_>,
        model: &StoredModel,
        level: Level,
        printer: &Printer,
    ) -> Result<Question> {
        let Self { likes, unlikes, spooled, told } = self;
        let is_one_file =
            likes.len() == 1 && unlikes.is_empty() && !matches!(likes[0].source, Source::Stored(_));
        let extractor = OnceCell::new();
        let embedder = Embedder { ground, model, level, printer, spooled, told, extractor };
        let embed = |examples: &[Typed]| -> Result<Vec<Example>> {
            examples.iter().map(|example| embedder.embed(example)).collect()
        };
        let examples = embed(likes).and_then(|likes| Ok((likes, embed(unlikes)?)));
        let sent = embedder.extractor.get().and_then(|extractor| extractor.model().sent());
        if let Some(sent) = sent {
            tell_of_sent(&sent, printer);
        }
        let (likes, unlikes) = examples?;
        let mut question = Question::new(&likes, &unlikes)?;
        if is_one_file {
            // Whether the library has it, and under which names, is part of the answer.
            question.own.clear();
        }
        Ok(question)
    }
}

/// What `text` names. A file whose own name looks like a stretch or an id wins, except that
/// `id:N` and `-` are never files: those are `./id:N` and `./-`.
fn typed(text: &OsStr) -> Typed {
    let whole = |source| Typed { source, part: Part::default() };
    if let Some(source) = text.to_str().and_then(no_file) {
        return whole(source);
    }
    let path = PathBuf::from(text);
    if path.is_file() {
        return whole(Source::File(path));
    }
    let stretched = text.to_str().and_then(|text| text.rsplit_once('@'));
    match stretched.and_then(|(name, stretch)| Some((name, Stretch::parse(stretch)?))) {
        Some((name, stretch)) => Typed {
            source: no_file(name).unwrap_or_else(|| Source::File(PathBuf::from(name))),
            part: Part { stretch: Some(stretch), channel: None },
        },
        None => whole(Source::File(path)),
    }
}

fn no_file(name: &str) -> Option<Source> {
    if name == "-" || name == STANDARD_INPUT {
        return Some(Source::StandardInput);
    }
    name.strip_prefix("id:")?.parse().ok().map(Source::Stored)
}

/// Adds what options say of the query.
fn with_part(mut query: Typed, part: &PartArgs) -> Result<Typed> {
    if part.start.is_some() || part.end.is_some() {
        if query.part.stretch.is_some() {
            return Err(Error::Usage {
                problem: "the query's stretch is given twice",
                hint: "give it by --start and --end, or by @START-END",
            });
        }
        query.part.stretch = Some(Stretch { start_s: part.start.unwrap_or(0.0), end_s: part.end });
    }
    if let Some(channel) = part.channel {
        if matches!(query.source, Source::Stored(_)) {
            return Err(Error::Usage {
                problem: "what the library stores of a recording is of all its channels",
                hint: "give the recording's file to choose a --channel of it",
            });
        }
        query.part.channel = Some(channel - 1);
    }
    Ok(query)
}

/// Makes vectors; the network is loaded when the first file is met.
struct Embedder<'a> {
    ground: Ground<'a>,
    model: &'a StoredModel,
    level: Level,
    printer: &'a Printer,
    spooled: &'a OnceCell<Spooled>,
    told: &'a RefCell<HashSet<PathBuf>>,
    extractor: OnceCell<Extractor>,
}

impl Embedder<'_> {
    fn embed(&self, example: &Typed) -> Result<Example> {
        match &example.source {
            Source::Stored(id) => {
                self.ground.stored(self.model, *id, example.part.stretch, self.level)
            }
            Source::File(path) => self.embed_file(path, example.part),
            Source::StandardInput => {
                let spooled = if let Some(spooled) = self.spooled.get() {
                    spooled
                } else {
                    let spooled = Spooled::read()?;
                    self.spooled.get_or_init(|| spooled)
                };
                let embedded = self.embed_file(spooled.path(), example.part);
                embedded.map_err(|error| spooled.named(error))
            }
        }
    }

    fn embed_file(&self, path: &Path, part: Part) -> Result<Example> {
        if !path.is_file() {
            return Err(Error::UnknownQuery {
                query: path.to_string_lossy().into_owned(),
                is_folder: path.is_dir(),
            });
        }
        let extractor = if let Some(extractor) = self.extractor.get() {
            extractor
        } else {
            let extractor = load(self.model, self.printer)?;
            self.extractor.get_or_init(|| extractor)
        };
        let (example, integrity) = self.ground.of_file(extractor, path, part, self.level)?;
        if let Some(flaw) = integrity.flaw()
            && self.told.borrow_mut().insert(path.to_owned())
        {
            let is_input = self.spooled.get().is_some_and(|spooled| spooled.path() == path);
            let path = if is_input { NAME.into() } else { readable_path(path) };
            self.printer.warning(&format!("{path} is {flaw}; what there is was used"));
        }
        Ok(example)
    }
}

/// The network of `model`, whose installed version must be the library's.
fn load(model: &StoredModel, printer: &Printer) -> Result<Extractor> {
    let card = registry::find_held(&model.identity.name)?;
    search::require_same_version(model, &identity_of(card))?;
    let (store, company) = (ModelStore::of_user()?, company::of(printer));
    let network =
        EmbeddingModel::load_in_company(&card.name, &store, Compute::default(), &company)?;
    Ok(Extractor::new(network, Arc::new(FilterCache::default())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_of_files_and_ids_and_names_that_only_look_so() {
        let of = |text: &str| typed(OsStr::new(text));
        let part =
            |start_s, end_s| Part { stretch: Some(Stretch { start_s, end_s }), channel: None };
        assert_eq!(of("-"), Typed { source: Source::StandardInput, part: Part::default() });
        let stretch = Typed { source: Source::StandardInput, part: part(1.9, Some(2.8)) };
        assert_eq!(typed(&crate::cli::standard_input("-@1.9-2.8".into())), stretch);
        assert_eq!(crate::cli::standard_input("--by".into()), "--by");
        assert_eq!(of("id:12").source, Source::Stored(12));
        let stored = Typed { source: Source::Stored(12), part: part(3.5, Some(4.2)) };
        assert_eq!(of("id:12@3.5-4.2"), stored);
        let minutes = part(540.0, Some(3_723.5));
        assert_eq!(of("id:12@9m-1:02:03.5").part, minutes);
        assert_eq!(of("a@b.wav@1-").part, part(1.0, None));
        assert_eq!(of("a@b.wav@1-").source, Source::File("a@b.wav".into()));
        assert_eq!(of("a@1-2.wav").source, Source::File("a@1-2.wav".into()));

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("take@1-2");
        std::fs::write(&path, "").unwrap();
        assert_eq!(
            typed(path.as_os_str()),
            Typed { source: Source::File(path.clone()), part: Part::default() }
        );
    }
}

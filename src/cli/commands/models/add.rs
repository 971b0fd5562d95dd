//! `sonoteca models add` and `remove`: models of the user's own come and go.

use dialoguer::Confirm;
use sonoteca::model::adding::{self, ModuleInput, NewModel, Origin, Server};
use sonoteca::model::card::{Answering, ModelCard, Sending};
use sonoteca::model::compute::Compute;
use sonoteca::model::registry;
use sonoteca::model::store::ModelStore;
use sonoteca::store::Library;
use sonoteca::train::head::Head;
use sonoteca::train::hidden::hidden_layer;
use sonoteca::{Error, Result};

use super::ModelRow;
use crate::cli::Status;
use crate::cli::args::{AddModelArgs, AnsweringName, InputName, SendingName};
use crate::cli::commands::embedding::{device_of, tell_of_sent};
use crate::cli::printer::Printer;
use crate::cli::settings::Settings;

/// Adds the model of `args` and prints its card.
pub(super) fn add(
    args: &AddModelArgs,
    store: &ModelStore,
    settings: &Settings,
    printer: &mut Printer,
) -> Result<Status> {
    let new = new_model(args, settings)?;
    let compute = Compute { device: device_of(args.device), ..Compute::default() };
    let added = adding::add(&new, store, compute)?;
    let row = ModelRow::new(added.card, store);
    printer.record(&row, &row.text())?;
    if let Some(sent) = &added.sent {
        tell_of_sent(sent, printer);
    }
    for (what, asked_s, whole_s) in
        [("window", args.window, added.card.window_s), ("hop", args.hop, added.card.hop_s)]
    {
        if asked_s.is_some_and(|asked_s| (asked_s - whole_s).abs() > 1e-9) {
            printer.note(&format!("the {what} is {whole_s} s, a whole number of frames"));
        }
    }
    let name = &added.card.name;
    if added.is_too_large_for_half {
        printer.warning(&format!(
            "its vectors have values beyond 65,504, which 16 bits do not hold: use --vectors f32 \
             where you index with {name}"
        ));
    }
    printer.note(&format!("added {name}; to use it: sonoteca index FOLDER --model {name}"));
    Ok(Status::Done)
}

fn new_model(args: &AddModelArgs, settings: &Settings) -> Result<NewModel> {
    let (mut sample_rate, mut window_s) = (args.rate, args.window);
    let origin = match (&args.torchscript, &args.remote, &args.from_head) {
        (Some(path), None, None) => {
            let input = match (args.input, &args.mel) {
                (InputName::LogMel, mel) => ModuleInput::LogMel(mel.clone()),
                (InputName::Waveform, None) => ModuleInput::Waveform,
                (InputName::Waveform, Some(_)) => {
                    return Err(Error::Usage {
                        problem: "--mel describes what a module of samples does not hear",
                        hint: "add --input log-mel",
                    });
                }
            };
            Origin::TorchScript { path: path.clone(), input }
        }
        (None, Some(url), None) => Origin::Remote(Server {
            url: url.clone(),
            key_env: args.key_env.clone(),
            send: match args.send {
                SendingName::Wav => Sending::Wav,
                SendingName::Samples => Sending::Samples,
            },
            answer: match args.answer {
                AnsweringName::Json => Answering::Json,
                AnsweringName::Base64 => Answering::Base64,
            },
            timeout_s: args.timeout,
            retries: args.retries,
        }),
        (None, None, Some(head)) => {
            let head = Head::load(&Library::open(&settings.library)?, head)?;
            let hidden = hidden_layer(&head, args.window, args.hop)?;
            (sample_rate, window_s) = (Some(hidden.sample_rate), Some(hidden.window_s));
            Origin::Head(hidden.layer)
        }
        _ => {
            return Err(Error::Usage {
                problem: "a model is a module, a server or a head's hidden layer",
                hint: "give --torchscript FILE, --remote URL or --from-head HEAD",
            });
        }
    };
    Ok(NewModel {
        name: args.name.clone(),
        task: args.task.clone(),
        licence: args.licence.clone(),
        sample_rate,
        window_s,
        hop_s: args.hop,
        origin,
    })
}

/// Takes the model called `name` out of the store, if that is wanted.
pub(super) fn remove(
    name: &str,
    yes: bool,
    store: &ModelStore,
    settings: &Settings,
    printer: &Printer,
) -> Result<Status> {
    let what = match registry::find(name) {
        Ok(card) if card.is_added() => "the model with its card",
        Ok(_) => "the weights, which can be pulled again",
        // It could not be used, but it can be removed.
        Err(_) if store.holds(name) => "the model, which cannot be used as it is",
        Err(_) if store.forget_download(name)? => {
            printer.note(&format!("removed what a download of {name} had left"));
            return Ok(Status::Done);
        }
        Err(error) => return Err(error),
    };
    let behind = behind(name);
    if !behind.is_empty() {
        printer.warning(&format!(
            "without {name} what reads its embeddings cannot be used: {}",
            behind.join(", ")
        ));
    }
    if !yes && !asked(name, what, settings)? {
        printer.note("nothing was removed");
        return Ok(Status::NothingFound);
    }
    if !store.remove(name)? {
        printer.note(&format!("nothing of {name} is installed"));
        return Ok(Status::NothingFound);
    }
    printer.note(&format!("removed {name}: {what}; vectors in libraries stay"));
    Ok(Status::Done)
}

/// The models that read the embeddings of the one called `name`.
fn behind(name: &str) -> Vec<String> {
    let reads_it = |card: &ModelCard| card.base.as_ref().is_some_and(|base| base.name == name);
    registry::names().filter(|other| registry::find(other).is_ok_and(reads_it)).collect()
}

fn asked(name: &str, what: &str, settings: &Settings) -> Result<bool> {
    if !settings.can_ask() {
        return Err(Error::Usage {
            problem: "nobody can be asked whether to remove it",
            hint: "say so with --yes",
        });
    }
    let prompt = format!("Remove {what} of {name}?");
    // No answer is no.
    Ok(Confirm::new().with_prompt(prompt).default(false).interact().unwrap_or(false))
}

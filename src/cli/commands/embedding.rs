//! What the commands that embed have in common: decoders, the model, the library, the lock, and
//! Ctrl-C.
//!
//! In: [`EmbeddingArgs`]. Out: [`Session`], which plans and indexes.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::Duration;

use sonoteca::audio::segment::Segmentation;
use sonoteca::ingest::{
    Cancel, Decoders, IndexOptions, Indexer, Plan, PlanOptions, Report, Selection,
};
use sonoteca::model::compute::{self, Compute, Device};
use sonoteca::model::network::Sent;
use sonoteca::model::store::ModelStore;
use sonoteca::model::{EmbeddingModel, registry};
use sonoteca::search;
use sonoteca::store::Library;
use sonoteca::store::lock::WriterLock;
use sonoteca::store::recordings::ModelSet;
use sonoteca::store::vector::Precision;
use sonoteca::{Error, Result};

use super::refresh::refresh;
use crate::cli::args::{DeviceName, EmbeddingArgs, PrecisionName, Vectors, WorkArgs};
use crate::cli::printer::{Printer, counted, readable_bytes, say};
use crate::cli::progress::Progress;
use crate::cli::settings::Settings;
use crate::cli::{company, interrupt};

/// How often a library that another process holds is tried again.
const TRY_LOCK_EVERY: Duration = Duration::from_millis(200);

/// A command that embeds, before anything is loaded.
pub(super) struct Embedding<'a> {
    command: &'static str,
    args: &'a EmbeddingArgs,
    settings: &'a Settings,
    decoders: Decoders,
}

/// A command that embeds, with everything that it needs.
pub(super) struct Session<'a> {
    pub(super) library: Library,
    models: Vec<EmbeddingModel>,
    decoders: Decoders,
    options: IndexOptions,
    cancel: Cancel,
    progress: Progress,
    settings: &'a Settings,
    /// Held to the end.
    lock: Option<WriterLock>,
}

impl<'a> Embedding<'a> {
    /// Begins `command`; the first thing that it does, because processes cannot be forked once
    /// there are threads.
    pub(super) fn start(
        command: &'static str,
        args: &'a EmbeddingArgs,
        settings: &'a Settings,
    ) -> Self {
        Self { command, args, settings, decoders: Decoders::start() }
    }

    /// Loads the model and opens the library, once no other process is indexing into it.
    pub(super) fn open(self, printer: &Printer) -> Result<Session<'a>> {
        let command = self.command;
        let mut session = self.look(printer)?;
        session.lock = Some(take_lock(&session.library, command, &session.cancel, printer)?);
        Ok(session)
    }

    /// As [`open`](Self::open), to look and change nothing.
    pub(super) fn look(self, printer: &Printer) -> Result<Session<'a>> {
        // The model first: without it no library should be made.
        let compute = compute_of(&self.args.work);
        let store = ModelStore::of_user()?;
        let mut models = Vec::new();
        let options = options_of(&self.args.work, self.args.vectors);
        let names = self.model_names()?;
        let company = company::of(printer);
        for (place, name) in names.iter().enumerate() {
            if names[..place].contains(name) {
                continue;
            }
            // The library may have vectors of a model that was removed since.
            registry::find_held(name)?;
            let model = EmbeddingModel::load_in_company(name, &store, compute, &company)?;
            options.check(model.card())?;
            let precision = model.compute().precision;
            if precision != compute.precision {
                printer.warning(&format!("{name} computes in {precision}, which is what is used"));
            }
            if let Some(sent) = model.sent() {
                printer.note(&format!("{name} is hosted: sound is sent to {}", sent.to));
            }
            models.push(model);
        }
        let compute = compute.resolve()?;
        if models.len() > ModelSet::MOST {
            return Err(Error::Usage {
                problem: "more than 32 models at once",
                hint: "index with some of them, and then with the others",
            });
        }
        if !compute.is_fast_here() {
            printer.warning(&format!(
                "{} has no instructions for {}: networks take longer by it here, some ten times as long",
                compute.device, compute.precision,
            ));
        }
        let library = Library::open_or_create(&self.settings.library)?;
        let cancel = cancel_on_interrupt();
        printer.detail(&format!(
            "{} into {} with {} on {} in {}, files decoded {}",
            self.command,
            self.settings.library.display(),
            names.join(", "),
            compute.device,
            compute.precision,
            if self.decoders.are_isolated() { "in processes of their own" } else { "on threads" },
        ));
        Ok(Session {
            library,
            models,
            decoders: self.decoders,
            options,
            cancel,
            progress: Progress::new(self.settings),
            settings: self.settings,
            lock: None,
        })
    }

    /// The models that are meant: a library goes on with those that it has.
    fn model_names(&self) -> Result<Vec<String>> {
        if !self.args.model.is_empty() {
            for name in &self.args.model {
                registry::find(name)?;
            }
            return Ok(self.args.model.clone());
        }
        match Library::open_if_any(&self.settings.library)? {
            Some(library) => search::held_models(&library),
            None => Ok(vec![search::first_model().to_owned()]),
        }
    }
}

impl Session<'_> {
    /// Looks at what there is to do.
    pub(super) fn plan(&mut self, selection: &Selection, options: PlanOptions) -> Result<Plan> {
        let indexer =
            indexer(&self.models, &self.decoders, &self.options, &self.cancel, &self.progress);
        indexer.plan(&self.library, selection, options)
    }

    /// Does what `plan` says.
    pub(super) fn carry_out(&mut self, plan: Plan, printer: &Printer) -> Result<Report> {
        let indexer =
            indexer(&self.models, &self.decoders, &self.options, &self.cancel, &self.progress);
        let report = indexer.carry_out(&mut self.library, plan);
        self.progress.clear();
        // Whatever became of it.
        for sent in self.models.iter().filter_map(EmbeddingModel::sent) {
            tell_of_sent(&sent, printer);
        }
        if report.as_ref().is_ok_and(|report| report.indexed > 0) {
            self.library.checkpoint()?;
        }
        report
    }

    /// Renews the index where enough has changed.
    pub(super) fn refresh(&self, command: &str, printer: &Printer) {
        refresh(&self.library, command, &self.cancel, self.settings, printer);
    }

    /// Plans, and does what is planned.
    pub(super) fn index(
        &mut self,
        selection: &Selection,
        options: PlanOptions,
        printer: &Printer,
    ) -> Result<Report> {
        let plan = self.plan(selection, options)?;
        self.carry_out(plan, printer)
    }

    /// Whether it was asked to stop.
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Whether somebody can be asked.
    pub(super) fn can_ask(&self) -> bool {
        self.settings.can_ask()
    }
}

fn indexer<'a>(
    models: &'a [EmbeddingModel],
    decoders: &'a Decoders,
    options: &'a IndexOptions,
    cancel: &'a Cancel,
    progress: &'a Progress,
) -> Indexer<'a> {
    Indexer { models, decoders, options, cancel, observer: progress }
}

/// What computes, and how exactly.
pub(super) fn compute_of(args: &WorkArgs) -> Compute {
    Compute {
        device: device_of(args.device),
        precision: match args.precision {
            PrecisionName::F32 => compute::Precision::Float32,
            PrecisionName::Bf16 => compute::Precision::Bfloat16,
        },
    }
}

/// The device that a word names.
pub(super) fn device_of(name: DeviceName) -> Device {
    match name {
        DeviceName::Auto => Device::Auto,
        DeviceName::Cpu => Device::Cpu,
        DeviceName::Cuda => Device::Cuda,
        DeviceName::Mps => Device::Mps,
    }
}

/// Gives account of what left this machine.
pub(super) fn tell_of_sent(sent: &Sent, printer: &Printer) {
    let again = match sent.retries {
        0 => String::new(),
        retries => format!(", {retries} of them once more"),
    };
    printer.note(&format!(
        "sent to {}: {:.1} s of sound, {}, in {}{again}; {} came back",
        sent.to,
        sent.audio_s,
        readable_bytes(sent.sent_bytes),
        counted(sent.requests, "request"),
        readable_bytes(sent.received_bytes),
    ));
}

/// How the work is done.
pub(super) fn options_of(args: &WorkArgs, vectors: Vectors) -> IndexOptions {
    let default = IndexOptions::default();
    IndexOptions {
        jobs: args.jobs.map_or(default.jobs, usize::from),
        memory_bytes: args.max_memory,
        vectors: match vectors {
            Vectors::F16 => Precision::Half,
            Vectors::F32 => Precision::Single,
        },
        scores: usize::from(args.scores),
        segments: args
            .segment
            .map(|segment_s| Segmentation { segment_s, hop_s: args.hop.unwrap_or(segment_s) }),
        time_limit: args.time_limit.map(Duration::from_secs_f64),
    }
}

/// Waits for the lock of `library`, and says who has it.
pub(super) fn take_lock(
    library: &Library,
    command: &str,
    cancel: &Cancel,
    printer: &Printer,
) -> Result<WriterLock> {
    let mut told = false;
    loop {
        let holder = match WriterLock::try_take(&library.cache_folder(), command)? {
            Ok(lock) => return Ok(lock),
            Err(holder) => holder,
        };
        if cancel.is_cancelled() {
            return Err(Error::LibraryBusy { path: library.path().to_owned() });
        }
        if !told {
            let holder = holder.map_or("another process".to_owned(), |holder| holder.to_string());
            printer.note(&format!(
                "waiting for {holder}, which is at work on {}",
                library.path().display()
            ));
            told = true;
        }
        sleep(TRY_LOCK_EVERY);
    }
}

/// The first Ctrl-C asks to stop after what is in hand, a second one ends the process: what was
/// acknowledged is on the disk either way.
pub(super) fn cancel_on_interrupt() -> Cancel {
    static INTERRUPTS: AtomicU32 = AtomicU32::new(0);
    let cancel = Cancel::default();
    let asked = cancel.clone();
    // Without a handler Ctrl-C ends the process at once, which loses nothing either.
    let _ = ctrlc::set_handler(move || {
        if INTERRUPTS.fetch_add(1, Ordering::Relaxed) > 0 {
            interrupt::stop_at_once();
        }
        asked.cancel();
        say(format_args!(
            "\nstopping; files that are not done begin anew next time; Ctrl-C again stops at once"
        ));
    });
    cancel
}

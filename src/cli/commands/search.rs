//! `sonoteca search`: the most similar recordings, events or segments.

mod examples;
mod fused;
mod head;
mod labels;
mod rows;
mod stored;
mod words;

use sonoteca::filter::Filter;
use sonoteca::index::scope::Allowed;
use sonoteca::search::collection::CollectionOptions;
use sonoteca::search::copying::copy_hits;
use sonoteca::search::{self, Among, Explanation, Hit, Level, Scope, SearchOptions, Searcher};
use sonoteca::store::Library;
use sonoteca::store::models::StoredModel;
use sonoteca::{Error, Result};

use crate::cli::Status;
use crate::cli::args::{Format, SearchArgs};
use crate::cli::interrupt;
use crate::cli::printer::{Printer, counted};
use crate::cli::settings::Settings;
use examples::Examples;
use rows::HitRow;

pub(crate) fn run(args: &SearchArgs, settings: &Settings, printer: &mut Printer) -> Result<Status> {
    let level = args.by.level();
    check(args, settings.format, level)?;
    let filter = args.filter.as_deref().map(Filter::parse).transpose()?;
    if let Some(store) = &args.store {
        let found = stored::find(args, store, (filter.as_ref(), level), printer)?;
        return print(found, args, None, (settings, level, filter.as_ref()), printer);
    }
    let library = Library::open(&settings.library)?;
    if library.totals()?.recordings == 0 {
        printer.note("The library holds no recordings yet: sonoteca index FOLDER");
        return Ok(Status::NothingFound);
    }
    if args.model.len() > 1 {
        return fused::run(args, &library, (filter.as_ref(), level), settings, printer);
    }
    let asked =
        args.ranking.head.as_deref().map(|name| head::Asked::new(&library, name)).transpose()?;
    let model = match &asked {
        Some(asked) => asked.model.clone(),
        None => search::choose_model(&library, args.model.first().map(String::as_str))?,
    };
    let allowed = search::allowed(&library, filter.as_ref(), &model, level)?;
    let options = options_of(args, allowed);
    let found = if let Some(asked) = &asked {
        head::find(args, &library, asked, (level, &options), printer)?
    } else if args.class.is_some() || args.text.is_some() {
        let among = Among { library: &library, model: &model, level, options };
        words::find(args, &among, printer)?
    } else {
        similar(args, &library, &model, (level, &options), printer)?
    };
    print(found, args, Some(&library), (settings, level, filter.as_ref()), printer)
}

/// What was found, and why, where that was asked for.
type Found = Vec<(Hit, Option<Explanation>)>;

/// Prints what was found, in the format that was asked for, and copies it; in `library`, if in one.
fn print(
    found: Found,
    args: &SearchArgs,
    library: Option<&Library>,
    (settings, level, filter): (&Settings, Level, Option<&Filter>),
    printer: &mut Printer,
) -> Result<Status> {
    if found.is_empty() {
        return nothing_found(args, (library, filter), printer);
    }
    let (hits, explanations): (Vec<Hit>, Vec<_>) = found.into_iter().unzip();
    let rows = hits.iter().zip(explanations).map(|(hit, why)| HitRow::new(hit, level, why));
    let rows: Vec<HitRow> = rows.collect();
    match settings.format {
        Format::Audacity | Format::Raven => {
            labels::write(&hits, settings.format, args.output.out.as_deref(), printer)?;
        }
        Format::Json => printer.rows(&rows)?,
        Format::Csv => rows::print_csv(&rows, args.explain, printer)?,
        Format::Table => rows::print_table(&rows, printer)?,
    }
    copy(library, &hits, args, printer)
}

fn options_of(args: &SearchArgs, allowed: Allowed) -> SearchOptions {
    SearchOptions {
        count: args.count as usize,
        least_score: args.min_score,
        per_recording: args.per_recording.map(|most| most as usize),
        single_segments: args.raw,
        scope: Scope { allowed, ..Scope::default() },
    }
}

fn nothing_found(
    args: &SearchArgs,
    (library, filter): (Option<&Library>, Option<&Filter>),
    printer: &Printer,
) -> Result<Status> {
    printer.note(match (filter, args.min_score) {
        (Some(_), _) => "Nothing that passes the filter was found.",
        (None, Some(_)) => "Nothing was found that scores as much.",
        (None, None) => "Nothing was found.",
    });
    if let Some(library) = library {
        tell_of_unmet(library, filter, printer)?;
    }
    Ok(Status::NothingFound)
}

/// Says which tests of a filter nothing in the library meets, and what there is instead.
pub(super) fn tell_of_unmet(
    library: &Library,
    filter: Option<&Filter>,
    printer: &Printer,
) -> Result<()> {
    for unmet in filter.map_or(Ok(Vec::new()), |filter| library.unmet(filter))? {
        let there = match unmet.there.as_slice() {
            [] => String::new(),
            there => format!("; there is {}", there.join(", ")),
        };
        printer.note(&format!("No recording has {}{there}.", unmet.test));
    }
    Ok(())
}

/// What is like the examples, and why, where that was asked for.
fn similar(
    args: &SearchArgs,
    library: &Library,
    model: &StoredModel,
    (level, options): (Level, &SearchOptions),
    printer: &Printer,
) -> Result<Found> {
    let examples = Examples::typed(args)?;
    let question = examples.question(library, model, level, printer)?;
    let searcher = open(args, library, model, level, printer)?;
    let hits = searcher.search(&question, options)?;
    if let Some(warning) = searcher.warning() {
        printer.warning(&warning.to_string());
    }
    if !args.explain || hits.is_empty() {
        return Ok(hits.into_iter().map(|hit| (hit, None)).collect());
    }
    let near = args.min_score.map_or_else(|| searcher.usual_near(&question), Ok)?;
    let explain = |hit: Hit| {
        let why = searcher.explain(&question, &hit, near)?;
        Ok((hit, Some(why)))
    };
    hits.into_iter().map(explain).collect()
}

/// Opens the vectors of `model` at `level`, and says what of them is left out.
fn open<'a>(
    args: &SearchArgs,
    library: &'a Library,
    model: &StoredModel,
    level: Level,
    printer: &Printer,
) -> Result<Searcher<'a>> {
    warn_of_other_versions(library, model, printer)?;
    let exact = CollectionOptions { exact: args.exact };
    let searcher = Searcher::open_with(library, model.clone(), level, exact)?;
    let silent = searcher.without_direction() as u64;
    if silent > 0 {
        printer.detail(&format!("left out, being all zeros: {}", counted(silent, "vector")));
    }
    Ok(searcher)
}

/// Refuses options that do nothing together.
fn check(args: &SearchArgs, format: Format, level: Level) -> Result<()> {
    let usage = |problem, hint| Err(Error::Usage { problem, hint });
    let is_asked = args.query.is_some()
        || !args.like.is_empty()
        || args.class.is_some()
        || args.text.is_some()
        || args.ranking.head.is_some();
    if !is_asked {
        return usage(
            "nothing says what to look for",
            "give an example (QUERY or --like: a file, or id:N), or --class, --text or --head",
        );
    }
    if level == Level::Recording {
        let hint = "search for moments in recordings: --by segment";
        if args.raw {
            return usage("--raw is about segments, and whole recordings are compared", hint);
        }
        if args.per_recording.is_some() {
            return usage(
                "--per-recording counts moments, and whole recordings are compared",
                hint,
            );
        }
    }
    if args.model.len() > 1 && (args.class.is_some() || args.text.is_some()) {
        return usage(
            "--class and --text ask one model, and several are named",
            "name one --model; to join the rankings of several, give an example: a file or id:N",
        );
    }
    // Not by clap's `requires`, which is silent where the query excludes --head.
    if args.ranking.head.is_none() && (args.ranking.near.is_some() || args.ranking.spread) {
        return usage(
            "--near and --spread are about what a head says, and none is named",
            "name it with --head NAME, in place of an example",
        );
    }
    if args.output.out.is_some() && !matches!(format, Format::Audacity | Format::Raven) {
        return usage(
            "--out is for labels",
            "name their format: --format audacity, or --format raven",
        );
    }
    Ok(())
}

/// Copies the sound of hits where that was asked for.
fn copy(
    library: Option<&Library>,
    hits: &[Hit],
    args: &SearchArgs,
    printer: &mut Printer,
) -> Result<Status> {
    let Some(folder) = &args.output.copy_to else { return Ok(Status::Done) };
    // What was found is told before copying fails.
    printer.flush()?;
    interrupt::clean_up();
    let copies = copy_hits(library, hits, folder, args.output.padding)?;
    for error in &copies.failed {
        printer.error(error);
    }
    let written = counted(copies.written.len() as u64, "stretch");
    printer.note(&format!(
        "Copied to {}: {}",
        folder.display(),
        written.replace("stretchs", "stretches")
    ));
    Ok(if copies.failed.is_empty() { Status::Done } else { Status::Failed })
}

/// Says when recordings were indexed with another version of the model only.
fn warn_of_other_versions(library: &Library, model: &StoredModel, printer: &Printer) -> Result<()> {
    let others = library.models()?.into_iter().filter(|other| {
        other.id != model.id && other.identity.name == model.identity.name && other.recordings > 0
    });
    let others: Vec<i64> = others.map(|other| other.id).collect();
    // Those that were embedded again are in.
    let recordings = library.recordings_of_models(&others, Some(model.id))?;
    if recordings > 0 {
        printer.warning(&format!(
            "{} with vectors of another version of {name} only left out; to include them: sonoteca \
             index FOLDER --model {name}",
            counted(recordings, "recording"),
            name = model.identity.name
        ));
    }
    Ok(())
}

//! `sonoteca search` with several `--model`: their rankings in one, and what each says.
//!
//! In: names of models. Out: hits as rows, with a score and a rank by each model. Refuses a model
//! that is named twice.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use sonoteca::filter::Filter;
use sonoteca::index::scope::Allowed;
use sonoteca::search::{self, FusedHit, Hit, Level, Voice, fuse};
use sonoteca::store::Library;
use sonoteca::store::models::StoredModel;
use sonoteca::{Error, Result};

use super::examples::Examples;
use super::rows::{EXPLAIN_COLUMNS, ExplainRow, HitRow, ROOM_FOR_BARS, bar};
use crate::cli::Status;
use crate::cli::args::{Format, SearchArgs};
use crate::cli::printer::{Printer, Row, counted, grouped};
use crate::cli::settings::Settings;

/// What all models of `args` find together.
pub(super) fn run(
    args: &SearchArgs,
    library: &Library,
    (filter, level): (Option<&Filter>, Level),
    settings: &Settings,
    printer: &mut Printer,
) -> Result<Status> {
    let names = &args.model;
    if names.iter().enumerate().any(|(index, name)| names[..index].contains(name)) {
        return Err(Error::Usage {
            problem: "--model names one network twice",
            hint: "name each once: a ranking joined with itself is the same ranking",
        });
    }
    let models = names
        .iter()
        .map(|name| search::choose_model(library, Some(name)))
        .collect::<Result<Vec<StoredModel>>>()?;
    let all = library.totals()?.recordings;
    for model in models.iter().filter(|model| model.recordings < all) {
        printer.note(&format!(
            "{} has heard {} of {}; what it has not counts 0 in its ranking.",
            model.identity.name,
            grouped(model.recordings),
            counted(all, "recording"),
        ));
    }
    let examples = Examples::typed(args)?;
    let allowed = search::allowed_together(library, filter, &models, level)?;
    let mut voices = Vec::with_capacity(models.len());
    for (model, allowed) in models.iter().zip(allowed) {
        let question = examples.question(library, model, level, printer)?;
        let searcher = super::open(args, library, model, level, printer)?;
        voices.push(Voice { searcher, question, allowed });
    }
    let options = super::options_of(args, Allowed::All);
    let found = fuse(&voices, &options)?;
    for warning in voices.iter().filter_map(|voice| voice.searcher.warning()) {
        printer.warning(&warning.to_string());
    }
    if found.is_empty() {
        return super::nothing_found(args, (Some(library), filter), printer);
    }
    let hits: Vec<Hit> = found.iter().map(|fused| fused.hit.clone()).collect();
    match settings.format {
        Format::Audacity | Format::Raven => {
            let folder = args.output.out.as_deref();
            super::labels::write(&hits, settings.format, folder, printer)?;
        }
        Format::Table | Format::Json | Format::Csv => {
            // Not --min-score, which is about the joined ranks.
            let usual_near = |voice: &Voice<'_>| voice.searcher.usual_near(&voice.question);
            let near = args
                .explain
                .then(|| voices.iter().map(usual_near).collect::<Result<Vec<f32>>>())
                .transpose()?;
            let rows = found
                .iter()
                .map(|fused| FusedRow::new(fused, level, (names, &voices), near.as_deref()))
                .collect::<Result<Vec<FusedRow>>>()?;
            match settings.format {
                Format::Json => rows.iter().try_for_each(|row| printer.object(row))?,
                Format::Csv => print_csv(&rows, names, args.explain, printer)?,
                _ => print_table(&rows, names, printer)?,
            }
        }
    }
    super::copy(Some(library), &hits, args, printer)
}

/// A value by each model, in the order in which the models were named.
#[derive(Debug)]
struct ByModel<T>(Vec<(String, T)>);

impl<T: Serialize> Serialize for ByModel<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<T> ByModel<T> {
    fn new(names: &[String], values: impl Iterator<Item = T>) -> Self {
        Self(names.iter().cloned().zip(values).collect())
    }
}

/// A hit of several models as it is printed.
#[derive(Debug, Serialize)]
struct FusedRow {
    #[serde(flatten)]
    hit: HitRow,
    /// Each model's own score: a cosine.
    scores: ByModel<Option<f32>>,
    /// Its place in each model's ranking.
    ranks: ByModel<Option<usize>>,
    #[serde(rename = "explain", skip_serializing_if = "Option::is_none")]
    explained: Option<ByModel<ExplainRow>>,
    #[serde(skip)]
    fused: f32,
}

impl FusedRow {
    fn new(
        fused: &FusedHit,
        level: Level,
        (names, voices): (&[String], &[Voice<'_>]),
        near: Option<&[f32]>,
    ) -> Result<Self> {
        let FusedHit { hit, standings } = fused;
        let explained = if let Some(near) = near {
            let each = voices
                .iter()
                .zip(standings)
                .zip(near)
                .map(|((voice, standing), &near)| {
                    Ok(ExplainRow::new(voice.explain(hit, standing, near)?))
                })
                .collect::<Result<Vec<ExplainRow>>>()?;
            Some(ByModel::new(names, each.into_iter()))
        } else {
            None
        };
        Ok(Self {
            hit: HitRow::new(hit, level, None),
            scores: ByModel::new(names, standings.iter().map(|standing| standing.score)),
            ranks: ByModel::new(names, standings.iter().map(|standing| standing.rank)),
            explained,
            fused: hit.score,
        })
    }

    fn each(&self) -> impl Iterator<Item = (Option<f32>, Option<usize>)> {
        self.scores.0.iter().zip(&self.ranks.0).map(|((_, score), (_, rank))| (*score, *rank))
    }

    /// What each model says of why, a line each.
    fn lines(&self) -> Option<String> {
        let each = self.explained.as_ref()?.0.iter();
        let lines: Vec<String> =
            each.map(|(name, explained)| format!("{name}: {}", explained.line())).collect();
        Some(lines.join("\n      "))
    }
}

/// Prints `rows` for spreadsheets: a score and a rank by each model are columns.
fn print_csv(
    rows: &[FusedRow],
    names: &[String],
    explain: bool,
    printer: &mut Printer,
) -> Result<()> {
    let mut columns: Vec<String> = HitRow::COLUMNS.iter().map(|name| (*name).to_owned()).collect();
    for name in names {
        columns.extend([format!("score_{name}"), format!("rank_{name}")]);
    }
    if explain {
        for name in names {
            columns.extend(EXPLAIN_COLUMNS.iter().map(|column| format!("{column}_{name}")));
        }
    }
    let cells = |row: &FusedRow| {
        let mut cells = row.hit.cells();
        for (score, rank) in row.each() {
            cells.push(score.map(|score| score.to_string()).unwrap_or_default());
            cells.push(rank.map(|rank| rank.to_string()).unwrap_or_default());
        }
        let explained = row.explained.iter().flat_map(|each| &each.0);
        cells.extend(explained.flat_map(|(_, explained)| explained.cells()));
        cells
    };
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    printer.sheet(&columns, rows.iter().map(cells))
}

/// Prints `rows` for people: after the score those of each model, with its rank in brackets.
fn print_table(rows: &[FusedRow], names: &[String], printer: &mut Printer) -> Result<()> {
    let with_bars = printer.terminal_width().is_some_and(|width| width >= ROOM_FOR_BARS);
    // Rank and score come first.
    let (first, rest) = HitRow::HEADINGS.split_at(2);
    let mut headings: Vec<&str> = first.to_vec();
    headings.extend(with_bars.then_some(""));
    headings.extend(names.iter().map(String::as_str));
    headings.extend(rest);
    let cells = |row: &FusedRow| {
        let mut cells = row.hit.readable();
        let rest = cells.split_off(2);
        cells.extend(with_bars.then(|| bar(row.fused)));
        cells.extend(row.each().map(|(score, rank)| match (score, rank) {
            (Some(score), Some(rank)) => format!("{score:.3} ({rank})"),
            (Some(score), None) => format!("{score:.3} (–)"),
            (None, _) => "–".to_owned(),
        }));
        cells.extend(rest);
        cells
    };
    let notes: Vec<String> = rows.iter().filter_map(FusedRow::lines).collect();
    printer.annotated_table(&headings, rows.iter().map(cells).collect(), &notes)
}

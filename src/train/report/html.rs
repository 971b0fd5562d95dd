//! A report as one HTML file.
//!
//! In: a report. Out: a page with its style and plots inside, that runs no script and loads
//! nothing. Names are users' text, and escaped wherever they stand.

// Writing to a string does not fail, so that results are dropped.
use std::fmt::Write as _;

use super::numbers::{self, Table};
use super::{Report, plots};

/// Classes whose curves are drawn; of more, those of the least average precision.
const MOST_CURVES: usize = 24;
/// Pairs and mistakes that are listed.
const LISTED: usize = 20;

/// Light and dark by what the reader's system says; numbers below one another.
const STYLE: &str = "\
:root{color-scheme:light dark;--paper:#fff;--ink:#1a1c20;--faint:#5c6370;--line:#d5d8de}
@media(prefers-color-scheme:dark){:root{--paper:#15171b;--ink:#e8e8ea;--faint:#a2a8b4;--line:#3a3f48}}
body{background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif;margin:2rem auto;\
max-width:64rem;padding:0 1rem}
h1{line-height:1.2;margin-bottom:.3rem;overflow-wrap:anywhere}
h2{margin:2.2rem 0 .6rem}
p{max-width:46rem}
.faint,figcaption{color:var(--faint)}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--faint);padding-bottom:.3rem}
th,td{border-bottom:1px solid var(--line);padding:.25rem 1.1rem .25rem 0;text-align:right;\
vertical-align:top}
th{font-weight:600}
tbody th{font-weight:400}
.words{text-align:left;overflow-wrap:anywhere;min-width:6rem}
svg{max-width:100%;height:auto}
figure{margin:0}
.curves{display:grid;grid-template-columns:repeat(auto-fill,minmax(14rem,1fr));gap:1rem}
.curves figcaption{overflow-wrap:anywhere}
";

/// Text without what HTML would take for something else.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            _ if character.is_control() => escaped.push('\u{fffd}'),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// Words as a sentence, escaped.
fn sentence(words: &str) -> String {
    let mut characters = words.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string());
    format!("{}{}.", escaped(&first.unwrap_or_default()), escaped(characters.as_str()))
}

/// The report as a page.
pub(super) fn page(report: &Report) -> String {
    let title = if report.name.is_empty() { "A head" } else { report.name.as_str() };
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"generator\" content=\"sonoteca\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'\">\n\
         <title>{title}: how well it does</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <main>\n<h1>{title}</h1>\n",
        title = escaped(title)
    );
    let sentences =
        [Some(report.what_it_is()), report.what_it_learnt_from(), Some(report.judged_by())];
    let sentences: Vec<String> =
        sentences.into_iter().flatten().map(|text| sentence(&text)).collect();
    let _ = writeln!(page, "<p>{}</p>", sentences.join("<br>"));
    page += &table(&numbers::overall(report), "What it gets on rows that it has not learnt from");
    let scores = &report.scores;
    if !scores.baseline.says.is_empty() {
        let says = format!("without hearing: {}", scores.baseline.says);
        let _ = writeln!(page, "<p class=\"faint\">{}</p>", sentence(&says));
    }
    if !scores.notes.is_empty() {
        page += "<h2>Notes</h2>\n<ul>\n";
        for note in &scores.notes {
            let _ = writeln!(page, "<li>{}</li>", sentence(note));
        }
        page += "</ul>\n";
    }
    for part in [classes(report), curves(report), confusion(report), reliability(report)] {
        page += &part;
    }
    page += &said_over_true(report);
    if !report.mistakes.is_empty() {
        let _ = writeln!(
            page,
            "<h2>{}</h2>\n<p>Listen to these: often it is the label that is wrong.</p>",
            numbers::mistakes_heading(report)
        );
        page += &table(&numbers::mistakes(report, LISTED), "Held-out rows, the worst first");
    }
    page += &settings(report);
    page += "</main>\n</body>\n</html>\n";
    page
}

fn classes(report: &Report) -> String {
    if report.scores.classes.is_empty() {
        return String::new();
    }
    let wanted = report.scores.wanted_precision;
    let mut part = "<h2>Classes</h2>\n".to_owned();
    part += &table(&numbers::by_class(report), "Each class against the rest, held out");
    let _ = writeln!(
        part,
        "<h2>Thresholds</h2>\n<p>From which probability on a class may be said to be there: for a \
         precision of {wanted}, and for the greatest F1; where that is the same one, it stands once. \
         What a threshold reaches elsewhere was measured on rows that it was not chosen by.</p>"
    );
    part + &table(&numbers::thresholds(report), "Thresholds by class")
}

fn curves(report: &Report) -> String {
    let classes = &report.scores.classes;
    let mut drawn: Vec<_> = classes
        .iter()
        .zip(&report.curves.precision_recall)
        .filter(|(_, curve)| !curve.points.is_empty())
        .collect();
    if drawn.is_empty() {
        return String::new();
    }
    let precision = |class: &crate::train::score::ClassScores| class.average_precision;
    drawn.sort_by(|a, b| {
        precision(a.0).partial_cmp(&precision(b.0)).unwrap_or(std::cmp::Ordering::Equal)
    });
    let which = if drawn.len() > MOST_CURVES {
        format!("The {MOST_CURVES} classes of the least average precision, the least first.")
    } else {
        "The class of the least average precision first.".to_owned()
    };
    let mut part = format!(
        "<h2>Precision over recall</h2>\n<p>{which} Dashed: what any order would get. Triangle: the \
         threshold for a precision of {}.</p>\n<div class=\"curves\">\n",
        report.scores.wanted_precision
    );
    for (class, curve) in drawn.into_iter().take(MOST_CURVES) {
        let _ = writeln!(
            part,
            "<figure>{}<figcaption>{}, AP {}</figcaption></figure>",
            plots::precision_recall(curve, class.thresholds.for_precision),
            escaped(&class.class),
            numbers::share(class.average_precision)
        );
    }
    part + "</div>\n"
}

fn confusion(report: &Report) -> String {
    let Some(confusion) = &report.scores.confusion else { return String::new() };
    let mut part = "<h2>What is taken for what</h2>\n".to_owned();
    let names: Vec<String> =
        report.scores.classes.iter().map(|class| class.class.clone()).collect();
    if let Some(svg) = plots::confusion(confusion, &names) {
        let _ = writeln!(
            part,
            "<figure class=\"wide\">{svg}<figcaption>Held-out rows, shaded by their share of what \
             they are.</figcaption></figure>"
        );
    }
    let pairs = numbers::confused(report, LISTED);
    if pairs.rows.is_empty() {
        return part + "<p>Nothing was taken for anything else.</p>\n";
    }
    part + &table(&pairs, "The pairs that are confused most often")
}

fn reliability(report: &Report) -> String {
    let Some(calibration) = &report.scores.calibration else { return String::new() };
    if calibration.bins_before.is_empty() {
        return String::new();
    }
    let mut part = "<h2>How far probabilities can be believed</h2>\n".to_owned();
    if let Some(temperature) = numbers::temperature(report) {
        let _ = writeln!(part, "<p>{}</p>", sentence(&temperature));
    }
    let _ = writeln!(
        part,
        "<figure>{}<figcaption>Circles, dashed: without the temperature. Triangles, solid: with \
         temperatures from other rows. Each mark stands for about as many \
         rows.</figcaption></figure>",
        plots::reliability(&calibration.bins_before, &calibration.bins_after)
    );
    part + &table(&numbers::reliability(calibration), "Probability and share that is true, by bin")
}

fn said_over_true(report: &Report) -> String {
    let name = report.number_name();
    let plot = plots::numbers(name, &report.curves.numbers);
    plot.map_or_else(String::new, |svg| {
        format!(
            "<h2>Said over true</h2>\n<figure>{svg}<figcaption>A dot a held-out row; on the line \
             what was said is true.</figcaption></figure>\n"
        )
    })
}

fn settings(report: &Report) -> String {
    if report.settings.is_empty() {
        return String::new();
    }
    let mut rows = String::new();
    for (name, value) in &report.settings {
        let _ = writeln!(
            rows,
            "<tr><th scope=\"row\" class=\"words\">{}</th><td class=\"words\">{}</td></tr>",
            escaped(name),
            escaped(&value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        );
    }
    format!("<h2>Settings</h2>\n<div class=\"wide\"><table><tbody>\n{rows}</tbody></table></div>\n")
}

fn table(table: &Table, caption: &str) -> String {
    let class = |column| if table.is_words(column) { " class=\"words\"" } else { "" };
    let mut html = format!(
        "<div class=\"wide\"><table>\n<caption>{}</caption>\n<thead><tr>",
        escaped(caption)
    );
    for (column, heading) in table.headings.iter().enumerate() {
        let _ = write!(html, "<th scope=\"col\"{}>{}</th>", class(column), escaped(heading));
    }
    html += "</tr></thead>\n<tbody>\n";
    for row in &table.rows {
        html += "<tr>";
        for (column, cell) in row.iter().enumerate() {
            let (cell, class) = (escaped(cell), class(column));
            if column == 0 {
                let _ = write!(html, "<th scope=\"row\"{class}>{cell}</th>");
            } else {
                let _ = write!(html, "<td{class}>{cell}</td>");
            }
        }
        html += "</tr>\n";
    }
    html + "</tbody>\n</table></div>\n"
}

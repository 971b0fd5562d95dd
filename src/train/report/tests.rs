//! Reports of anything are whole and harmless.

use super::*;
use crate::train::held_out::RowPlace;
use crate::train::score::{ScoreOptions, score};
use crate::train::task::{Known, Targets};

/// Names that would be more than names where they are not escaped.
const NAMES: [&str; 3] =
    ["<script>alert(1)</script>", "a\"#000000\" onload='x' &amp;", "</svg>]]>"];

fn report_of(classes: &[&str], outputs: Vec<f32>, targets: Targets) -> Report {
    let rows = u32::try_from(outputs.len() / classes.len()).unwrap();
    let held_out = HeldOut {
        classes: classes.iter().map(|&class| class.to_owned()).collect(),
        outputs,
        targets,
        groups: (0..rows).collect(),
        folds: (0..rows).map(|row| row % 5).collect(),
        rows: (0..i64::from(rows)).map(|recording| RowPlace { recording, range: None }).collect(),
    };
    let mut report = Report::new(score(&held_out, &ScoreOptions::default()), &held_out);
    classes[0].clone_into(&mut report.name);
    classes[0].clone_into(&mut report.kind);
    report.learnt_from.rows = 60;
    classes[0].clone_into(&mut report.learnt_from.grouped_by);
    report.settings.insert(classes[0].to_owned(), classes[0].into());
    for mistake in &mut report.mistakes {
        mistake.path = Some(classes[0].to_owned());
    }
    report
}

/// Sixty rows, of which some are wrong.
fn reports(names: &[&str]) -> [Report; 3] {
    let classes = names.len();
    let outputs: Vec<f32> =
        (0..60 * classes).map(|at| ((at * 7919) % 101) as f32 / 25.0 - 2.0).collect();
    let truths = (0..60).map(|row| u32::try_from(row % classes).unwrap()).collect();
    let known = (0..60 * classes).map(|at| [Known::Yes, Known::No, Known::Unknown][at % 7 % 3]);
    let numbers: Vec<f32> = (0..60_u8).map(f32::from).collect();
    [
        report_of(names, outputs.clone(), Targets::Single(truths)),
        report_of(names, outputs.clone(), Targets::Multi(known.collect())),
        report_of(&names[..1], outputs[..60].to_vec(), Targets::Numbers(numbers)),
    ]
}

#[test]
fn names_are_names_wherever_they_stand() {
    for report in reports(&NAMES) {
        let page = report.as_html();
        let (style, body) = page.split_once("</style>").unwrap();
        for harmful in ["<script", "onload='", "onload=\"", "</svg>]]"] {
            assert!(!page.contains(harmful), "{harmful}");
        }
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
        // Every `<` begins an element that is ours.
        for piece in body.split('<').skip(1) {
            let name: String =
                piece.chars().take_while(|c| c.is_alphanumeric() || "/!".contains(*c)).collect();
            let known = "h1 h2 p br table caption thead tbody tr th td div figure figcaption svg \
                         title desc rect text line polyline polygon circle ul li main body html head";
            assert!(known.split(' ').any(|known| known == name.trim_start_matches('/')), "<{name}");
        }
        // Nothing is loaded: the only addresses are names of SVG.
        let addresses = page.matches("http").count();
        assert_eq!(addresses, page.matches("http://www.w3.org/2000/svg").count() + 1, "{style}");
        assert!(!page.contains("url(") && !page.contains("src=") && !page.contains("href="));
    }
}

#[test]
fn plots_and_tables_are_there_and_say_what_they_are() {
    let [single, multi, number] = reports(&["rain", "wind", "sea"]);
    for (report, plots) in [(&single, 5), (&multi, 4), (&number, 1)] {
        let page = report.as_html();
        assert_eq!(page.matches("<svg").count(), plots);
        assert_eq!(page.matches("role=\"img\"><title>").count(), plots);
        assert!(page.matches("<caption>").count() >= 2);
        // Ink takes the colour of the text.
        assert!(page.contains("\"currentColor\"") && !page.contains("\"#000000\""));
        for unclosed in ["svg", "table", "figure", "div", "tr", "p"] {
            let closed = page.matches(&format!("</{unclosed}>")).count();
            let opened = page.matches(&format!("<{unclosed} ")).count()
                + page.matches(&format!("<{unclosed}>")).count();
            assert_eq!(opened, closed, "{unclosed}");
        }
    }
}

/// Five of each class, told apart without a mistake: one threshold has the precision and the best F1.
#[test]
fn a_threshold_that_is_both_stands_once() {
    let truths: Vec<u32> = (0..10).map(|row| row % 2).collect();
    let outputs = truths.iter().zip(0_u8..).flat_map(|(&truth, row)| {
        let sure = 2.0 + f32::from(row) / 10.0;
        if truth == 0 { [sure, -sure] } else { [-sure, sure] }
    });
    let report = report_of(&["rain", "wind"], outputs.collect(), Targets::Single(truths));
    for row in numbers::thresholds(&report).rows {
        assert_eq!(row[4..], ["the same", "", ""], "{row:?}");
        assert!(row[1].parse::<f64>().is_ok(), "{row:?}");
    }
    assert!(report.as_text().contains("the same") && report.as_html().contains("the same"));
    // Nowhere the same number twice, with two results.
    let [single, multi, _] = reports(&["rain", "wind", "sea"]);
    for row in [single, multi].iter().flat_map(|report| numbers::thresholds(report).rows) {
        assert!(row[1] != row[4] || row[1] == "–", "{row:?}");
    }
}

#[test]
fn text_is_aligned_and_obeys_no_name() {
    let [single, ..] = reports(&["rain\u{1b}[31m\n", "wind", "sea"]);
    let text = single.as_text();
    assert!(!text.contains('\u{1b}'), "{text}");
    assert!(text.contains("held out: 5 folds by "), "{text}");
    let ends: Vec<usize> = text
        .lines()
        .skip_while(|line| !line.contains("held out  "))
        .take(4)
        .map(|line| line.chars().count())
        .collect();
    assert!(ends.len() == 4 && ends.iter().all(|&end| end == ends[0]), "{text}");
}

#[test]
fn in_json_accuracy_is_the_held_out_number() {
    let [single, multi, number] = reports(&["rain", "wind", "sea"]);
    let written = serde_json::to_value(&single).unwrap();
    let accuracy = &single.scores.accuracy;
    for (name, value) in [
        ("accuracy", accuracy.value),
        ("accuracy_low", accuracy.low),
        ("accuracy_high", accuracy.high),
    ] {
        assert!(value.is_some() && written[name].as_f64() == value, "{name}");
    }
    assert_eq!(serde_json::to_value(&number).unwrap()["accuracy"], serde_json::Value::Null);
    assert!(serde_json::to_value(&multi).unwrap()["macro_f1_low"].is_number());
}

#[test]
fn a_report_of_nothing_is_one() {
    let nothing = report_of(&["rain"], Vec::new(), Targets::Single(Vec::new()));
    assert!(nothing.as_text().contains("nothing was held out"));
    assert!(!nothing.as_html().contains("<svg"));
    let constant = report_of(&["tempo"], vec![5.0; 3], Targets::Numbers(vec![5.0; 3]));
    assert!(constant.as_html().contains("<svg"));
    let huge = report_of(&["tempo"], vec![f32::MAX, f32::MIN], Targets::Numbers(vec![0.0, 1e-30]));
    assert!(huge.as_html().ends_with("</html>\n"));
}

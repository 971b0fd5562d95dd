//! Retrieval on ESC-10 is as good as with the reference pipeline.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

use sonoteca::search::choose_model;
use sonoteca::store::Library;
use sonoteca::store::labels::{Judgement, NewLabel};
use sonoteca::store::metadata::MetadataValue;
use sonoteca::train::report::retrieval_as_text;
use sonoteca::train::retrieval::{RetrievalOptions, evaluate_retrieval};

mod common;
#[path = "common/retrieval.rs"]
mod retrieval;

/// TensorFlow's module, libsndfile and soxr give 0.963, 0.931 and 0.766; the bounds leave room for
/// another resampler and for float16, not for a wrong front end.
///
/// `evaluate retrieval` computes the same numbers from the labels.
#[test]
fn esc_10_neighbours_are_of_the_same_class() {
    let Some(esc10) = common::shared("data/esc10") else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = common::yamnet();
    let (mut library, report) = retrieval::index(&esc10, &folder.path().join("esc10.db"), &model);
    assert_eq!(report.indexed, 400);
    let quality = retrieval::leave_one_out(&library);
    eprintln!("{quality:?}");
    assert_eq!(quality.queries, 400);
    assert!(quality.precision_at_1 >= 0.955, "{quality:?}");
    assert!(quality.precision_at_5 >= 0.925, "{quality:?}");
    assert!(quality.mean_average_precision >= 0.755, "{quality:?}");
    label_by_folder(&mut library);
    evaluated_from_labels(&library, &quality);
}

/// Every recording is of its folder's class, as people said, and of another one, as a machine did;
/// the first digit of its name is its fold.
fn label_by_folder(library: &mut Library) {
    let model = choose_model(library, None).unwrap();
    let mut ids = Vec::new();
    library
        .for_each_recording(model.id, model.identity.dimension, |id, _| {
            ids.push(id);
            Ok(())
        })
        .unwrap();
    let paths: Vec<_> =
        ids.iter().map(|&id| library.recording(id).unwrap().unwrap().path).collect();
    let writer = library.begin().unwrap();
    for (&recording, path) in ids.iter().zip(&paths) {
        let class = path.parent().unwrap().file_name().unwrap().to_string_lossy();
        for (class, source) in [(class.as_ref(), "ada"), ("sound", "head:any")] {
            let label = NewLabel {
                recording,
                class,
                range: None,
                judgement: Judgement::Positive,
                source,
                score: None,
                band_hz: None,
            };
            writer.add_label(&label).unwrap();
        }
        let name = path.file_name().unwrap().to_string_lossy();
        let fold = MetadataValue::of_cell(&name[..1]);
        writer.put_metadata(recording, "fold", &fold).unwrap();
    }
    writer.commit().unwrap();
}

/// Where two others are as near, either may come first.
const TIES: f64 = 1e-4;
/// One query of 400, which another processor's rounding may decide otherwise.
const ONE_QUERY: f64 = 0.003;

fn evaluated_from_labels(library: &Library, quality: &retrieval::Quality) {
    let model = choose_model(library, None).unwrap();
    let evaluate = |group_by| {
        let options = RetrievalOptions { group_by, ..RetrievalOptions::default() };
        evaluate_retrieval(library, &model, &options).unwrap()
    };
    let all = evaluate(None);
    eprintln!("{}", retrieval_as_text(&all));
    assert_eq!((all.queries, all.groups, all.classes.len()), (400, 400, 10));
    for (estimate, expected) in [
        (all.overall.precision_at_1, quality.precision_at_1),
        (all.overall.precision_at_5, quality.precision_at_5),
        (all.overall.mean_average_precision, quality.mean_average_precision),
    ] {
        assert!((estimate.value.unwrap() - expected).abs() < TIES, "{estimate:?} {expected}");
        assert!(estimate.low.unwrap() < expected && expected < estimate.high.unwrap());
    }
    // 39 others of the class among 399.
    assert!((all.chance.unwrap() - 39.0 / 399.0).abs() < 1e-12);
    // Without the own fold, in which clips of one recording are; NumPy, on exported vectors.
    let apart = evaluate(Some("fold"));
    eprintln!("{}", retrieval_as_text(&apart));
    assert_eq!((apart.queries, apart.groups), (400, 5));
    for (estimate, expected) in [
        (apart.overall.precision_at_1, 0.9625),
        (apart.overall.precision_at_5, 0.9230),
        (apart.overall.precision_at_10, 0.8898),
        (apart.overall.mean_average_precision, 0.7667),
    ] {
        assert!((estimate.value.unwrap() - expected).abs() < ONE_QUERY, "{estimate:?} {expected}");
    }
    assert!((apart.chance.unwrap() - 0.1).abs() < 1e-12);
}

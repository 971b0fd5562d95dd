//! Retrieval on ESC-10 is as good as with the reference pipeline.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

mod common;
#[path = "common/retrieval.rs"]
mod retrieval;

/// TensorFlow's module, libsndfile and soxr give 0.963, 0.931 and 0.766; the bounds leave room for
/// another resampler and for float16, not for a wrong front end.
#[test]
fn esc_10_neighbours_are_of_the_same_class() {
    let Some(esc10) = common::shared("data/esc10") else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = common::yamnet();
    let (library, report) = retrieval::index(&esc10, &folder.path().join("esc10.db"), &model);
    assert_eq!(report.indexed, 400);
    let quality = retrieval::leave_one_out(&library);
    eprintln!("{quality:?}");
    assert_eq!(quality.queries, 400);
    assert!(quality.precision_at_1 >= 0.955, "{quality:?}");
    assert!(quality.precision_at_5 >= 0.925, "{quality:?}");
    assert!(quality.mean_average_precision >= 0.755, "{quality:?}");
}

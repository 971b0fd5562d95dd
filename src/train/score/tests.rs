//! Scores against scikit-learn's and `SciPy`'s, and what must hold of any.

use std::path::Path;

use proptest::prelude::*;
use serde_json::Value;

use super::super::held_out::{HeldOut, RowPlace};
use super::super::task::{Known, Targets, Task};
use super::*;

/// Rows of their own groups, in five folds.
fn held_out(classes: usize, outputs: Vec<f32>, targets: Targets) -> HeldOut {
    let rows = outputs.len() / classes;
    let count = u32::try_from(rows).unwrap();
    HeldOut {
        classes: (0..classes).map(|class| format!("class {class}")).collect(),
        outputs,
        targets,
        groups: (0..count).collect(),
        folds: (0..count).map(|row| row % 5).collect(),
        rows: (0..i64::from(count)).map(|recording| RowPlace { recording, range: None }).collect(),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "written as multiples of a quarter")]
fn floats(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32).collect()
}

fn of_case(case: &Value) -> HeldOut {
    let classes = usize::try_from(case["classes"].as_u64().unwrap()).unwrap();
    let integers =
        || case["targets"].as_array().unwrap().iter().map(|value| value.as_i64().unwrap());
    let targets = match case["task"].as_str().unwrap() {
        "single" => {
            Targets::Single(integers().map(|value| u32::try_from(value).unwrap()).collect())
        }
        "multi" => Targets::Multi(
            integers()
                .map(|value| match value {
                    0 => Known::No,
                    1 => Known::Yes,
                    _ => Known::Unknown,
                })
                .collect(),
        ),
        _ => Targets::Numbers(floats(&case["targets"])),
    };
    held_out(classes, floats(&case["outputs"]), targets)
}

/// Sums of some hundred float64 numbers in another order.
const ROUNDING: f64 = 1e-12;
/// How far golden section's temperature may be from `SciPy`'s: at the minimum the loss is flat, and
/// float64 cannot tell apart what lies within the square root of its precision.
const TEMPERATURE: f64 = 1e-6;

fn assert_near(what: &str, value: Option<f64>, expected: &Value, tolerance: f64) {
    let expected = expected.as_f64();
    assert_eq!(value.is_some(), expected.is_some(), "{what}: {value:?}, expected {expected:?}");
    let difference = value.unwrap_or_default() - expected.unwrap_or_default();
    assert!(difference.abs() <= tolerance, "{what}: {value:?}, expected {expected:?}");
}

#[test]
fn scores_are_those_of_scikit_learn() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/scores/scores.json");
    let golden: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 7);
    for (at, case) in cases.iter().enumerate() {
        let held_out = of_case(case);
        let scores = score(&held_out, &ScoreOptions { resamples: 50, ..ScoreOptions::default() });
        let written = serde_json::to_value(&scores).unwrap();
        let about = |name: &str| format!("{name} of case {at}");
        let near = |name: &str, value: &Value| {
            assert_near(&about(name), value.as_f64(), &case[name], ROUNDING);
        };
        if scores.task == Task::Regression {
            let numbers = &written["numbers"];
            for name in [
                "mean_absolute_error",
                "root_mean_square_error",
                "r_squared",
                "spearman",
                "pearson",
            ] {
                near(name, &numbers[name]);
            }
            near("baseline_mean_absolute_error", &written["baseline"]["mean_absolute_error"]);
            continue;
        }
        for name in
            ["accuracy", "balanced_accuracy", "macro_f1", "macro_roc_auc", "mean_average_precision"]
        {
            near(name, &written[name]);
        }
        let calibration = scores.calibration.as_ref().unwrap();
        assert_near(&about("log loss"), calibration.log_loss_before, &case["log_loss"], ROUNDING);
        let temperature = calibration::fitted(&Rows::new(&held_out).unwrap());
        let expected = case["temperature"].as_f64().unwrap().ln().into();
        assert_near(&about("temperature"), temperature.map(f64::ln), &expected, TEMPERATURE);
        let (before, after) = (calibration.log_loss_before, calibration.log_loss_after);
        let is_used = calibration.temperature.to_bits() == temperature.unwrap().to_bits();
        assert_eq!(is_used, after.is_none_or(|after| after <= before.unwrap()), "case {at}");
        assert!(is_used || calibration.temperature.to_bits() == 1.0_f64.to_bits(), "case {at}");
        if scores.task == Task::Single {
            assert_eq!(written["confusion"]["matrix"], case["confusion"], "case {at}");
        }
        for (class, expected) in scores.classes.iter().zip(case["by_class"].as_array().unwrap()) {
            let class = serde_json::to_value(class).unwrap();
            for (name, expected) in expected.as_object().unwrap() {
                assert_near(&about(name), class[name].as_f64(), expected, ROUNDING);
            }
        }
    }
}

#[test]
fn written_scores_read_back() {
    let outputs = vec![2.0, 0.0, 0.5, 1.0, 0.0, 3.0, 1.0, 0.0];
    let scores =
        score(&held_out(2, outputs, Targets::Single(vec![0, 1, 1, 1])), &ScoreOptions::default());
    let text = serde_json::to_string(&scores).unwrap();
    for name in
        ["\"accuracy\":0.75,", "\"accuracy_low\":", "\"accuracy_high\":", "\"macro_f1_low\":"]
    {
        assert!(text.contains(name), "{name} in {text}");
    }
    let read: Scores = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), text);
}

#[test]
fn a_perfect_head_is_not_certain() {
    let outputs: Vec<f32> =
        (0..30).flat_map(|row| if row % 2 == 0 { [3.0, 0.0] } else { [0.0, 3.0] }).collect();
    let targets = Targets::Single((0..30).map(|row| row % 2).collect());
    let scores = score(&held_out(2, outputs, targets), &ScoreOptions::default());
    // Clopper and Pearson's limit for 30 of 30, from their tables: 0.8843.
    let Estimate { value, low, high } = scores.accuracy;
    assert_eq!((value, high), (Some(1.0), Some(1.0)));
    assert!((low.unwrap() - 0.8843).abs() < 5e-5, "{low:?}");
    assert_eq!(scores.macro_f1, Estimate::bare(Some(1.0)));
    assert_eq!(scores.calibration.unwrap().temperature.to_bits(), 1.0_f64.to_bits());
}

/// A recording of a hundred windows that are all right or all wrong together is one observation.
#[test]
fn intervals_are_as_wide_as_groups_are_few() {
    let rows = 1000;
    let outputs: Vec<f32> = (0..rows)
        .flat_map(|row| if row / 100 % 2 == 0 { [1.0, 0.0] } else { [0.0, 1.0] })
        .collect();
    let mut held = held_out(2, outputs, Targets::Single(vec![0; rows]));
    let width = |held: &HeldOut| {
        let Estimate { low, high, .. } = score(held, &ScoreOptions::default()).accuracy;
        high.unwrap() - low.unwrap()
    };
    let by_row = width(&held);
    held.groups = (0..1000).map(|row| row / 100).collect();
    let by_recording = width(&held);
    // 1.96 standard errors on each side of a half: 0.062 with 1,000 groups, 0.62 with 10.
    assert!((by_row - 0.062).abs() < 0.01, "{by_row}");
    assert!((by_recording - 0.62).abs() < 0.1, "{by_recording}");
    held.groups = vec![7; rows];
    let scores = score(&held, &ScoreOptions::default());
    assert_eq!(scores.accuracy, Estimate::bare(Some(0.5)));
    assert!(scores.notes.iter().any(|note| note.contains("one group")), "{:?}", scores.notes);
}

/// 95 of 100 intervals hold the truth, give or take.
#[test]
fn intervals_hold_the_truth_as_often_as_they_say() {
    let (rows, chance, draws) = (200, 0.8, 200);
    let mut random = resample::Random::new(3);
    let held = (0..draws).filter(|_| {
        let outputs: Vec<f32> = (0..rows)
            .flat_map(|_| if random.below(10) < 8 { [1.0, 0.0] } else { [0.0, 1.0] })
            .collect();
        let options = ScoreOptions { resamples: 400, ..ScoreOptions::default() };
        let Estimate { low, high, .. } =
            score(&held_out(2, outputs, Targets::Single(vec![0; rows])), &options).accuracy;
        low.unwrap() <= chance && chance <= high.unwrap()
    });
    let held = held.count();
    // 190 are expected; three standard errors (3.1) less, and a little for the percentile method.
    assert!((178..=199).contains(&held), "{held} of {draws}");
}

#[test]
fn what_is_not_there_is_said() {
    let no_rows = held_out(2, vec![], Targets::Single(vec![]));
    let scores = score(&no_rows, &ScoreOptions::default());
    assert_eq!(scores.accuracy, Estimate::default());
    assert_eq!(scores.notes, ["nothing was held out, so there are no scores"]);
    let absent = held_out(3, vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0], Targets::Single(vec![0, 1]));
    let scores = score(&absent, &ScoreOptions::default());
    assert_eq!(scores.classes[2].roc_auc, None);
    assert_eq!((scores.classes[2].recall, scores.classes[2].f1), (None, None));
    assert_eq!(scores.balanced_accuracy.value, Some(1.0));
    assert!(scores.notes.iter().any(|note| note.ends_with("of these classes: class 2")));
    let mut broken = absent.clone();
    broken.groups.pop();
    assert!(score(&broken, &ScoreOptions::default()).notes[0].contains("do not fit together"));
    broken = absent;
    broken.targets = Targets::Single(vec![0, 3]);
    assert!(score(&broken, &ScoreOptions::default()).notes[0].contains("class 3"));
}

#[test]
fn the_surest_mistakes_come_first() {
    let outputs = vec![3.0, 0.0, 0.0, 0.1, 9.0, 0.0, 1.0, 0.0];
    let mut held = held_out(2, outputs, Targets::Single(vec![0, 0, 1, 1]));
    held.rows[2].range = Some(crate::audio::segment::TimeRange { start_s: 1.0, end_s: 2.0 });
    let found = mistakes(&held, 1.0, 2);
    assert_eq!(found.iter().map(|mistake| mistake.recording).collect::<Vec<_>>(), [2, 3]);
    assert_eq!((found[0].truth.as_str(), found[0].said.as_str()), ("class 1", "class 0"));
    assert_eq!((found[0].start_s, found[0].end_s), (Some(1.0), Some(2.0)));
    assert!(found[0].probability > found[1].probability);
    assert!(mistakes(&held, 1.0, 0).is_empty());
    held.targets = Targets::Multi(vec![Known::Unknown; 8]);
    assert!(mistakes(&held, 1.0, 5).is_empty());
}

fn any_targets(rows: usize, classes: usize) -> impl Strategy<Value = (usize, Targets)> {
    let known = prop::sample::select(vec![Known::Yes, Known::No, Known::Unknown]);
    prop_oneof![
        prop::collection::vec(0..u32::try_from(classes).unwrap(), rows)
            .prop_map(move |truths| (classes, Targets::Single(truths))),
        prop::collection::vec(known, rows * classes)
            .prop_map(move |known| (classes, Targets::Multi(known))),
        prop::collection::vec(any::<f32>(), rows)
            .prop_map(|numbers| (1, Targets::Numbers(numbers))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever is said of whatever, nothing panics, and every number is one.
    #[test]
    fn scores_of_anything_are_numbers_or_nothing(
        ((classes, targets), outputs, groups) in (0_usize..12, 1_usize..4).prop_flat_map(|(rows, classes)| (
            any_targets(rows, classes),
            prop::collection::vec(any::<f32>(), rows * classes),
            prop::collection::vec(0_u32..5, rows),
        )),
    ) {
        let outputs = outputs[..groups.len() * classes].to_vec();
        let held = HeldOut { groups, ..held_out(classes, outputs, targets) };
        let scores = score(&held, &ScoreOptions { resamples: 20, ..ScoreOptions::default() });
        let text = serde_json::to_string(&scores).unwrap();
        let read: Scores = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&read.notes, &scores.notes);
        if let (Some(value), Some(low), Some(high)) =
            (scores.accuracy.value, scores.accuracy.low, scores.accuracy.high)
        {
            prop_assert!(low <= high && (0.0..=1.0).contains(&value));
        }
        let temperature = scores.calibration.map_or(1.0, |calibration| calibration.temperature);
        prop_assert!(temperature.is_finite() && temperature > 0.0);
        prop_assert!(mistakes(&held, temperature, 5).len() <= 5);
    }
}

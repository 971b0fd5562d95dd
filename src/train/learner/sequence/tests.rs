use std::ops::Range;

use super::*;
use crate::train::held_out::RowPlace;
use crate::train::learner::{Augmentation, ClassWeights};
use crate::train::network::{Network, SequenceHead};
use crate::train::sequences::Sequences;
use crate::train::task::{Known, Targets};

/// Numbers between −1 and 1 that look like chance.
fn noise(seed: u32) -> impl FnMut() -> f32 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// `count` sequences of `width` bands: something goes up in the even ones, and down in the odd
/// ones, so that their means say nothing. Lengths differ.
fn rising_and_falling(count: usize, width: usize) -> Sequences {
    let (mut values, mut spans, mut noise) = (Vec::new(), Vec::<Range<usize>>::new(), noise(7));
    for row in 0..count {
        let length = width + row % 3;
        let first = values.len() / width;
        for step in 0..length {
            let place = step.min(width - 1);
            let place = if row % 2 == 0 { place } else { width - 1 - place };
            values.extend((0..width).map(|band| {
                let is_there = if band.abs_diff(place) < width / 6 { 2.0 } else { 0.0 };
                is_there + 0.3 * noise()
            }));
        }
        spans.push(first..first + length);
    }
    Sequences::new(Rows::of(values, width), spans)
}

struct Class {
    rows: Rows,
    sequences: Sequences,
    targets: Targets,
    groups: Vec<u32>,
    places: Vec<RowPlace>,
    folds: Vec<Option<u32>>,
}

impl Class {
    fn new(sequences: Sequences, rows: Rows, targets: Targets) -> Self {
        let count = rows.len();
        Self {
            sequences,
            rows,
            targets,
            groups: (0..count).map(|row| u32::try_from(row).unwrap()).collect(),
            places: vec![RowPlace { recording: 1, range: None }; count],
            folds: (0..count).map(|row| Some(u32::try_from(row / 2 % 2).unwrap())).collect(),
        }
    }

    fn lesson(&self, classes: usize) -> Lesson<'_> {
        Lesson {
            rows: &self.rows,
            sequences: Some(&self.sequences),
            class_count: classes,
            targets: &self.targets,
            groups: &self.groups,
            places: &self.places,
            folds: &self.folds,
            fold_count: 2,
            class_weights: ClassWeights::Balanced,
            augmentation: Augmentation::None,
            seed: 3,
            watch: None,
        }
    }
}

/// Vectors whose first value is the class, or number, of a row.
fn vectors(count: usize) -> (Rows, Vec<f32>) {
    let mut noise = noise(1);
    let wanted: Vec<f32> = (0..count).map(|row| if row % 2 == 0 { 1.0 } else { -1.0 }).collect();
    let values = wanted.iter().flat_map(|wanted| [5.0 + 3.0 * wanted, noise(), noise()]).collect();
    (Rows::of(values, 3), wanted)
}

fn nothing() -> Sequences {
    Sequences::new(Rows::of(vec![0.0], 1), Vec::new())
}

fn single(count: usize) -> Targets {
    Targets::Single((0..count).map(|row| u32::try_from(row % 2).unwrap()).collect())
}

/// The share of rows of which the right one of two classes was said.
fn right(said: &[f32]) -> f64 {
    let right = said
        .chunks_exact(2)
        .enumerate()
        .filter(|(row, said)| (said[0] > said[1]) == (row % 2 == 0));
    right.count() as f64 / (said.len() / 2) as f64
}

#[test]
fn rows_that_are_changed_teach_the_same_and_other_numbers() {
    let (count, width) = (48, 12);
    let rows = Rows::of(vec![0.0; count * 2], 2);
    let class = Class::new(rising_and_falling(count, width), rows, single(count));
    let taught = |augmentation| {
        let lesson = Lesson { augmentation, ..class.lesson(2) };
        learn(HeadKind::Lstm, &lesson).unwrap()
    };
    let plain = taught(Augmentation::None);
    let mut seen = vec![plain.tensors];
    for augmentation in [Augmentation::Mixup, Augmentation::Masks, Augmentation::Both] {
        let learnt = taught(augmentation);
        let share = right(&learnt.held_out);
        assert!(share > 0.9, "{augmentation:?}: {share} of what was held out");
        assert_eq!(learnt, taught(augmentation), "{augmentation:?}");
        assert!(!seen.contains(&learnt.tensors), "{augmentation:?} changed nothing");
        seen.push(learnt.tensors);
    }
    for kind in [HeadKind::Logistic, HeadKind::Prototype, HeadKind::Ridge] {
        assert!(kind.require_augmentable(Augmentation::None).is_ok());
        assert!(kind.require_augmentable(Augmentation::Masks).is_err());
    }
}

#[test]
fn sequence_heads_hear_what_comes_first_and_give_the_same_bits_again() {
    for (kind, width) in [(HeadKind::Lstm, 12), (HeadKind::Crnn, 32), (HeadKind::TfLstm, 16)] {
        let count = 48;
        let rows = Rows::of(vec![0.0; count * 2], 2);
        let class = Class::new(rising_and_falling(count, width), rows, single(count));
        let learnt = learn(kind, &class.lesson(2)).unwrap();
        let share = right(&learnt.held_out);
        assert!(share > 0.9, "{}: {share} of what was held out", kind.as_str());
        assert_eq!(learnt, learn(kind, &class.lesson(2)).unwrap(), "{}", kind.as_str());
        // The head is what its tensors say, and each sequence is heard by itself.
        let head = SequenceHead::new("h", kind, learnt.tensors, (width, 2)).unwrap();
        let said = head.apply(&class.sequences).unwrap();
        assert!(right(&said) > 0.9);
        for row in [0, 1, 2] {
            let span = class.sequences.span(row);
            let mut steps = vec![0.0; span.len() * width];
            class.sequences.steps().read_range(span.start, &mut steps).unwrap();
            let count = span.len();
            let alone = Sequences::new(Rows::of(steps, width), vec![0..count, 0..0]);
            let alone = head.apply(&alone).unwrap();
            for (alone, said) in alone[..2].iter().zip(&said[row * 2..]) {
                // Float noise of sums in another order.
                assert!((alone - said).abs() < 1e-4, "{}: {alone}, {said}", kind.as_str());
            }
            assert!(alone[2].is_nan());
        }
        assert_eq!(head.hidden(&class.sequences).unwrap().len(), count * head.hidden_units());
    }
}

#[test]
fn a_perceptron_learns_classes_cells_and_numbers() {
    let count = 60;
    let (rows, wanted) = vectors(count);
    let class = Class::new(nothing(), rows, single(count));
    let learnt = learn(HeadKind::Mlp, &class.lesson(2)).unwrap();
    assert!(right(&learnt.held_out) > 0.95);
    assert_eq!(learnt, learn(HeadKind::Mlp, &class.lesson(2)).unwrap());
    let network = Network::new("h", HeadKind::Mlp, learnt.tensors, (3, 2)).unwrap();
    let Network::Perceptron(network) = network else { panic!("a perceptron") };
    assert!(right(&network.apply(class.rows.in_memory().unwrap())) > 0.95);

    // Of every second row nothing is known about the second class.
    let cell = |wanted: &f32| if *wanted > 0.0 { Known::Yes } else { Known::No };
    let cells = wanted.iter().enumerate().flat_map(|(row, wanted)| {
        [cell(wanted), if row / 2 % 3 == 0 { Known::Unknown } else { cell(&-wanted) }]
    });
    let class = Class::new(nothing(), vectors(count).0, Targets::Multi(cells.collect()));
    let learnt = learn(HeadKind::Mlp, &class.lesson(2)).unwrap();
    assert!(
        learnt
            .held_out
            .chunks_exact(2)
            .zip(&wanted)
            .all(|(said, wanted)| { said[0] * wanted > 0.0 && said[1] * wanted < 0.0 })
    );

    let numbers = wanted.iter().map(|wanted| 100.0 + 20.0 * wanted).collect();
    let class = Class::new(nothing(), vectors(count).0, Targets::Numbers(numbers));
    let learnt = learn(HeadKind::Mlp, &class.lesson(1)).unwrap();
    // Numbers lie 20 around 100: half of that is halfway to knowing nothing.
    let near = |(said, wanted): (&f32, &f32)| (said - 100.0 - 20.0 * wanted).abs() < 10.0;
    assert!(learnt.held_out.iter().zip(&wanted).all(near), "{:?}", learnt.held_out);
}

#[test]
fn what_cannot_be_learnt_is_an_error() {
    let class = Class::new(nothing(), vectors(8).0, single(8));
    let error = learn(HeadKind::Lstm, &class.lesson(2)).unwrap_err().to_string();
    assert!(error.contains("sequences"), "{error}");
    let stop = |_: f64| false;
    let lesson = Lesson { watch: Some(crate::train::learner::Watch(&stop)), ..class.lesson(2) };
    let error = learn(HeadKind::Mlp, &lesson).unwrap_err().to_string();
    assert!(error.contains("stopped"), "{error}");
    let infinite = Rows::of(vec![f32::MAX; 24], 3);
    let mut values = infinite.in_memory().unwrap().to_vec();
    values[0] = f32::NAN;
    let class = Class::new(nothing(), Rows::of(values, 3), single(8));
    let error = learn(HeadKind::Mlp, &class.lesson(2)).unwrap_err().to_string();
    assert!(error.contains("not finite"), "{error}");
}

#[test]
fn tensors_of_another_kind_are_refused() {
    let form = Form::usual(HeadKind::Lstm, 4).unwrap();
    let tensors: Tensors = form
        .entries(2)
        .into_iter()
        .map(|entry| {
            let count = entry.shape.iter().product();
            (entry.name, (entry.shape, vec![1.0; count]))
        })
        .collect();
    let error = |kind, tensors, dimension| {
        SequenceHead::new("h", kind, tensors, (dimension, 2)).unwrap_err().to_string()
    };
    assert!(SequenceHead::new("h", HeadKind::Lstm, tensors.clone(), (4, 2)).is_ok());
    assert!(error(HeadKind::Lstm, tensors.clone(), 5).contains("expected 5"));
    assert!(error(HeadKind::Crnn, tensors.clone(), 4).contains("crnn"));
    let mut missing = tensors.clone();
    missing.remove("lstm.bias");
    assert!(error(HeadKind::Lstm, missing, 4).contains("lstm.bias is missing"));
    let mut zero = tensors;
    zero.insert("scale".to_owned(), (vec![4], vec![0.0; 4]));
    assert!(error(HeadKind::Lstm, zero, 4).contains("scale"));
}

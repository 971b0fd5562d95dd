use std::path::PathBuf;
use std::time::Instant;

use super::*;
use crate::audio::decode::Integrity;
use crate::store::recordings::FileStamp;
use crate::store::vector::decode;
use crate::store::worklist::FileState;
use crate::units::SampleRate;

const WHOLE: Sound = Sound { health: Health::SOUND, share: 1.0 };

/// Steps as `YAMNet`'s patches are.
fn assembly(segments: Option<Segmentation>) -> Assembly {
    assembly_of(Segmentation { segment_s: 0.96, hop_s: 0.48 }, segments)
}

fn assembly_of(patch: Segmentation, segments: Option<Segmentation>) -> Assembly {
    let file = FoundFile {
        path: PathBuf::from("/a.wav"),
        stamp: FileStamp { size_bytes: 1, modified_ns: 1 },
        state: FileState::New,
        known: None,
    };
    let format = StreamFormat {
        sample_rate: SampleRate::new(16_000).unwrap(),
        channels: 1,
        codec: "flac".to_owned(),
    };
    let plan = AssemblyPlan {
        dimension: 2,
        classes: 3,
        patch,
        segments,
        vectors: Precision::Single,
        scores: 2,
        folder: std::env::temp_dir(),
    };
    Assembly::new(file, [0; 32], format, &plan)
}

/// Embeds `patches` patches in `order`: patch n is `[n, 1]`.
fn assemble(
    assembly: &Assembly,
    order: impl Iterator<Item = usize>,
    patches: usize,
    duration_s: f64,
) -> Vec<(TimeRange, Vec<f32>)> {
    assemble_last(assembly, order, patches, duration_s, 1.0).0
}

/// The same, and the pooled vector, where the last patch has `last_share` of sound.
fn assemble_last(
    assembly: &Assembly,
    order: impl Iterator<Item = usize>,
    patches: usize,
    duration_s: f64,
    last_share: f32,
) -> (Vec<(TimeRange, Vec<f32>)>, Vec<f32>) {
    let sound = |index: usize| {
        let share = if index + 1 == patches { last_share } else { 1.0 };
        Sound { health: Health::SILENT, share }
    };
    let values_of = |vector: &[u8]| {
        let mut values = Vec::new();
        decode(vector, 2, &mut values).unwrap();
        values
    };
    let end = RecordingEnd { duration_s, integrity: Integrity::Ok };
    assert!(assembly.end(patches, end).unwrap().is_none());
    let mut finished = None;
    for index in order {
        assert!(finished.is_none(), "only the last patch completes it");
        let scores = [0.1, 0.2, 0.3];
        let embedding = [index as f32, 1.0];
        finished = assembly.take(index, &embedding, &scores, sound(index)).unwrap();
    }
    let finished = finished.expect("all patches are there");
    assert_eq!(finished.scores.iter().map(|score| score.0).collect::<Vec<_>>(), [2, 1, 0]);
    let pooled = values_of(&finished.pooled);
    let segments = finished.segments.map(|segment| {
        let segment = segment.unwrap();
        assert_eq!((segment.classes.len(), segment.health), (8, Health::SILENT));
        (segment.range, values_of(&segment.vector))
    });
    (segments.collect(), pooled)
}

#[test]
fn a_last_step_weighs_what_it_has_of_sound() {
    let step = Segmentation { segment_s: 0.5, hop_s: 0.5 };
    for layout in [Segmentation { segment_s: 1.0, hop_s: 0.5 }, step] {
        let overlap = layout.segment_s - layout.hop_s;
        // Three steps, of which the last has 10 ms, and no segment of its own.
        let assembly = assembly_of(step, Some(layout));
        let (segments, pooled) = assemble_last(&assembly, 0..3, 3, 1.01, 0.02);
        let last = segments.last().unwrap();
        assert_eq!(segments.len(), 2, "{segments:?}");
        assert_eq!(last.0, TimeRange { start_s: 0.5, end_s: 1.01 });
        let expected = if overlap > 0.0 { (1.0 + 0.02 * 2.0) / 1.02 } else { 1.0 };
        assert!((last.1[0] - expected).abs() < 1e-6, "{last:?}");
        assert!((pooled[0] - (1.0 + 0.02 * 2.0) / 2.02).abs() < 1e-6, "{pooled:?}");
        // With more than half of a step it has one.
        let assembly = assembly_of(step, Some(layout));
        let (segments, _) = assemble_last(&assembly, (0..3).rev(), 3, 1.3, 0.6);
        assert_eq!(segments.len(), 3, "{segments:?}");
        assert_eq!(segments[2], (TimeRange { start_s: 1.0, end_s: 1.3 }, vec![2.0, 1.0]));
        // A recording always has one.
        let assembly = assembly_of(step, Some(layout));
        assert_eq!(assemble_last(&assembly, 0..1, 1, 0.01, 0.02).0.len(), 1);
    }
}

#[test]
fn order_does_not_matter() {
    // Two seconds are four patches.
    let forward = assemble(&assembly(None), 0..4, 4, 2.0);
    let backward = assemble(&assembly(None), (0..4).rev(), 4, 2.0);
    assert_eq!(forward, backward);
    assert_eq!(forward.len(), 4);
    assert_eq!(forward[3].1, [3.0, 1.0]);
    assert!((forward[3].0.start_s - 1.44).abs() < 1e-12);
    assert!((forward[3].0.end_s - 2.0).abs() < 1e-12);
}

#[test]
fn long_recordings_wait_on_the_disk() {
    let assembly = assembly(None);
    let segments = assemble(&assembly, 0..200_000, 200_000, 96_000.5);
    assert_eq!(segments.len(), 200_000);
    assert_eq!(segments[199_999].1, [199_999.0, 1.0]);
}

#[test]
fn longer_segments_are_means_of_the_patches_in_their_middle() {
    // Eleven seconds are 22 patches; their middles are at 0.48, 0.96, … 10.56 s.
    let five = Segmentation { segment_s: 5.0, hop_s: 5.0 };
    let segments = assemble(&assembly(Some(five)), (0..22).rev(), 22, 11.0);
    let ranges: Vec<_> = segments.iter().map(|(range, _)| (range.start_s, range.end_s)).collect();
    assert_eq!(ranges, [(0.0, 5.0), (5.0, 10.0), (10.0, 11.0)]);
    // Middles below 5 s: patches 0 to 9, mean 4.5; below 10 s: 10 to 19; then 20 and 21.
    let means: Vec<f32> = segments.iter().map(|(_, values)| values[0]).collect();
    assert_eq!(means, [4.5, 14.5, 20.5]);
}

#[test]
fn overlapping_segments_share_patches_and_none_begins_past_the_end() {
    let overlapping = Segmentation { segment_s: 2.0, hop_s: 1.0 };
    let segments = assemble(&assembly(Some(overlapping)), 0..8, 8, 4.2);
    let ranges: Vec<_> = segments.iter().map(|(range, _)| (range.start_s, range.end_s)).collect();
    assert_eq!(ranges, [(0.0, 2.0), (1.0, 3.0), (2.0, 4.0), (3.0, 4.2)]);
    // Patches 0 to 3 have their middles before 2 s, 2 to 5 between 1 and 3 s.
    assert_eq!((segments[0].1[0], segments[1].1[0]), (1.5, 3.5));

    // One padded patch of a short recording: its middle lies past the end.
    let short = Segmentation { segment_s: 0.96, hop_s: 0.48 };
    let segments = assemble(&assembly(Some(short)), 0..1, 1, 0.3);
    assert_eq!(segments.len(), 1);
    assert_eq!(segments[0].0, TimeRange { start_s: 0.0, end_s: 0.3 });
    // Its middle is where a second segment would begin, which has nothing of its own.
    assert_eq!(assemble(&assembly(Some(short)), 0..1, 1, 0.7).len(), 1);
    // Segments like patches are patches.
    let alike = assemble(&assembly(Some(short)), 0..9, 9, 4.8);
    let values: Vec<f32> = alike.iter().map(|(_, values)| values[0]).collect();
    assert_eq!(values, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
}

#[test]
fn a_failure_is_settled_once() {
    let assembly = assembly(None);
    assert!(assembly.fail());
    assert!(!assembly.fail());
    assert!(assembly.take(0, &[0.0, 1.0], &[0.0; 3], WHOLE).unwrap().is_none());
}

#[test]
fn an_embedding_that_is_no_number_is_refused() {
    let error = assembly(None).take(0, &[f32::NAN, 1.0], &[0.0; 3], WHOLE).unwrap_err();
    assert!(error.to_string().contains("/a.wav"), "{error}");
}

#[test]
fn what_is_far_ahead_waits_for_what_is_missing() {
    let assembly = assembly(None);
    // Two values and three scores a step.
    let ahead = EARLY_BYTES / 20;
    assembly.wait_for_turn(ahead, || panic!("it is near enough"));
    let (sender, receiver) = std::sync::mpsc::channel();
    let minute = Duration::from_mins(1);
    let deadline = Instant::now() + minute;
    let is_late = || Instant::now() > deadline;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            sender.send("waits").unwrap();
            assembly.wait_for_turn(ahead + 2, is_late);
            sender.send("its turn").unwrap();
            assembly.wait_for_turn(ahead + 9, is_late);
            sender.send("in vain").unwrap();
        });
        let take = |index| assembly.take(index, &[0.0, 1.0], &[0.0; 3], WHOLE).unwrap();
        assert_eq!(receiver.recv_timeout(minute).unwrap(), "waits");
        assert!(take(0).is_none());
        assert!(receiver.recv_timeout(LOOK_AGAIN * 2).is_err());
        assert!(take(1).is_none());
        assert_eq!(receiver.recv_timeout(minute / 2).unwrap(), "its turn");
        assembly.fail();
        assert_eq!(receiver.recv_timeout(minute / 2).unwrap(), "in vain");
    });
    let other = self::assembly(None);
    other.wait_for_turn(ahead + 1, || true);
}

//! A second model in a library, made of the first one's vectors, for tests of living together.
//!
//! Its windows are 1.92 s every 0.96 s: the means of three of YAMNet's. Its vectors are 64 sums of
//! YAMNet's values, so that it ranks otherwise, and compares with nothing else. It has no classes
//! and no network: files cannot be embedded with it.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "shared by test programs, each of which uses a part of it"
)]

use std::path::Path;

use sonoteca::audio::health::Health;
use sonoteca::audio::segment::{Segmentation, TimeRange};
use sonoteca::model::{ModelIdentity, registry};
use sonoteca::search::choose_model;
use sonoteca::store::Library;
use sonoteca::store::runs::NewRun;
use sonoteca::store::segments::{NewSegment, VectorsOf};
use sonoteca::store::stretches::StoredSegment;
use sonoteca::store::vector::{Precision, encode};

/// What it is called.
pub const SECOND: &str = "second";

const DIMENSION: usize = 64;
/// YAMNet's windows in one of its own, and from one to the next.
const WINDOWS: usize = 3;
const HOP: usize = 2;

/// Gives the library at `path` the second model, over those of YAMNet's recordings whose paths
/// `wanted` holds of.
pub fn add(path: &Path, wanted: impl Fn(&Path) -> bool) {
    let mut library = Library::open(path).unwrap();
    let yamnet = choose_model(&library, Some("yamnet")).unwrap();
    let mut recordings = Vec::new();
    library
        .for_each_recording(yamnet.id, yamnet.identity.dimension, |id, vector| {
            recordings.push((id, vector.to_vec()));
            Ok(())
        })
        .unwrap();
    recordings.retain(|(id, _)| wanted(&library.recording(*id).unwrap().unwrap().path));
    let mut all = Vec::new();
    for (id, pooled) in recordings {
        let mut segments: Vec<(StoredSegment, Vec<f32>)> = Vec::new();
        library
            .for_each_segment_of(id, yamnet.id, yamnet.identity.dimension, |segment, vector| {
                segments.push((segment, vector.to_vec()));
                Ok(())
            })
            .unwrap();
        all.push((id, pooled, segments));
    }
    let writer = library.begin().unwrap();
    let identity = ModelIdentity {
        name: SECOND.to_owned(),
        weights_sha256: [2; 32],
        front_end_version: 1,
        dimension: DIMENSION,
    };
    let model = writer.model_id(&identity, registry::find("yamnet").unwrap(), &[]).unwrap();
    let windows = Segmentation { segment_s: 1.92, hop_s: 0.96 };
    writer.segmentation(model, Some(windows)).unwrap();
    let run = writer.begin_run(&NewRun { model, device: "cpu", precision: "f32" }).unwrap();
    for (recording, pooled, segments) in all {
        let windows = segments.windows(WINDOWS.min(segments.len())).step_by(HOP).map(|windows| {
            let (first, last) = (windows.first().unwrap().0, windows.last().unwrap().0);
            let mut mean = vec![0.0; pooled.len()];
            for (_, vector) in windows {
                mean.iter_mut().zip(vector).for_each(|(sum, value)| *sum += value);
            }
            let is_sound = windows.iter().all(|(window, _)| window.health == Health::SOUND);
            Ok(NewSegment {
                range: TimeRange { start_s: first.range.start_s, end_s: last.range.end_s },
                vector: encode(&sums(&mean), Precision::Half).unwrap(),
                classes: Vec::new(),
                health: if is_sound { Health::SOUND } else { Health::SILENT },
            })
        });
        let pooled = encode(&sums(&pooled), Precision::Half).unwrap();
        writer.put_vectors(VectorsOf { recording, model, run }, windows, &pooled).unwrap();
    }
    writer.finish_run(run).unwrap();
    writer.commit().unwrap();
}

/// Of values that lie apart, so that it hears something else than their order.
fn sums(vector: &[f32]) -> Vec<f32> {
    (0..DIMENSION)
        .map(|index| vector.iter().skip(index).step_by(DIMENSION).sum::<f32>() / 16.0)
        .collect()
}

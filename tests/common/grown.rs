//! Libraries of any size with vectors like `YAMNet`'s: ESC-10's segments, mixed with their
//! neighbours.
//!
//! Recipe: pick a segment at random, one of its ten nearest, and a weight a in [0, 1); the new
//! vector is max(0, (a·x + (1 − a)·y) · (1 + 0.1·N(0, 1))), at length one. Queries are a random
//! segment times (1 + 0.1·N(0, 1)), floored at zero.

#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "each program uses a part of it, and fails by panicking"
)]

use std::f32::consts::TAU;
use std::path::{Path, PathBuf};

use sonoteca::audio::decode::{Integrity, StreamFormat};
use sonoteca::audio::health::Health;
use sonoteca::audio::segment::TimeRange;
use sonoteca::index::NeighbourIndex;
use sonoteca::index::exact::ExactIndex;
use sonoteca::index::metric::normalise;
use sonoteca::model::{identity_of, registry};
use sonoteca::search::choose_model;
use sonoteca::store::Library;
use sonoteca::store::recordings::{FileStamp, NewRecording};
use sonoteca::store::runs::NewRun;
use sonoteca::store::segments::{NewSegment, VectorsOf};
use sonoteca::store::vector::{Precision, encode};
use sonoteca::units::SampleRate;

/// Segments of each made recording.
pub const SEGMENTS: usize = 10;
const NEIGHBOURS: usize = 10;

/// Numbers by a fixed seed.
pub struct Random(pub u64);

impl Random {
    /// In [0, 1).
    pub fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1_u64 << 24) as f32
    }

    pub fn below(&mut self, count: usize) -> usize {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below count")]
        let number = (self.next() * count as f32) as usize;
        number
    }

    fn normal(&mut self) -> f32 {
        (-2.0 * (1.0 - self.next()).ln()).sqrt() * (TAU * self.next()).cos()
    }
}

/// Where vectors grow from.
pub struct Seeds {
    vectors: ExactIndex,
    units: Vec<Vec<f32>>,
    /// Of each, once it was asked for.
    nearest: Vec<Option<Vec<usize>>>,
    pub random: Random,
}

impl Seeds {
    /// The segments of `library`.
    pub fn new(library: &Library) -> Self {
        let model = choose_model(library, None).unwrap();
        let mut vectors = ExactIndex::new(model.identity.dimension);
        library
            .for_each_segment(model.id, model.identity.dimension, |id, vector| {
                let _ = vectors.add(id, vector);
                Ok(())
            })
            .unwrap();
        let units: Vec<Vec<f32>> = vectors.iter().map(|(_, unit)| unit.to_vec()).collect();
        let nearest = vec![None; units.len()];
        Self { vectors, units, nearest, random: Random(0x2545_f491_4f6c_dd1d) }
    }

    /// The ids of the segments.
    pub fn ids(&self) -> Vec<i64> {
        self.vectors.iter().map(|(id, _)| id).collect()
    }

    /// A new vector.
    pub fn grow(&mut self) -> Vec<f32> {
        let first = self.random.below(self.units.len());
        self.grow_from(first)
    }

    /// A new vector, grown from the segment at this place.
    pub fn grow_from(&mut self, first: usize) -> Vec<f32> {
        if self.nearest[first].is_none() {
            let ids = self.ids();
            let found = self
                .vectors
                .search(&self.units[first], NEIGHBOURS + 1, &|id| id != ids[first])
                .unwrap();
            let place = |id| ids.iter().position(|&other| other == id).unwrap();
            self.nearest[first] =
                Some(found.iter().take(NEIGHBOURS).map(|found| place(found.id)).collect());
        }
        let near = self.nearest[first].as_ref().unwrap();
        let second = near[self.random.below(near.len())];
        let weight = self.random.next();
        let mixed: Vec<f32> = self.units[first]
            .iter()
            .zip(&self.units[second])
            .map(|(x, y)| weight * x + (1.0 - weight) * y)
            .collect();
        self.shaken(&mixed)
    }

    /// A question.
    pub fn query(&mut self) -> Vec<f32> {
        let number = self.random.below(self.units.len());
        let unit = self.units[number].clone();
        self.shaken(&unit)
    }

    fn shaken(&mut self, vector: &[f32]) -> Vec<f32> {
        let mut shaken: Vec<f32> = vector
            .iter()
            .map(
                |&x| if x == 0.0 { 0.0 } else { (x * (1.0 + 0.1 * self.random.normal())).max(0.0) },
            )
            .collect();
        normalise(&mut shaken, vector.len()).unwrap();
        shaken
    }
}

/// Adds `count` segments, grown from `seeds`, to `library`, in recordings of [`SEGMENTS`].
pub fn add(library: &mut Library, seeds: &mut Seeds, count: usize) {
    add_by(library, count, &mut |_| seeds.grow());
}

/// The same; the vectors are what `grow` says for the recording's number.
pub fn add_by(library: &mut Library, count: usize, grow: &mut dyn FnMut(u64) -> Vec<f32>) {
    let card = registry::find("yamnet").unwrap();
    let classes = registry::class_names("yamnet").unwrap();
    let format = StreamFormat {
        sample_rate: SampleRate::new(16_000).unwrap(),
        channels: 1,
        codec: "flac".to_owned(),
    };
    let before = library.totals().unwrap().recordings;
    let recordings = count.div_ceil(SEGMENTS) as u64;
    for batch in (0..recordings).collect::<Vec<_>>().chunks(1_000) {
        let writer = library.begin().unwrap();
        let model = writer.model_id(&identity_of(card), card, &classes).unwrap();
        let run = writer.begin_run(&NewRun { model, device: "cpu", precision: "f32" }).unwrap();
        for number in batch {
            let recording = writer
                .put_recording(&NewRecording {
                    path: Path::new(&format!("/grown/{}.flac", before + number)),
                    stamp: FileStamp { size_bytes: 1, modified_ns: 1 },
                    content_hash: hash(before + number),
                    format: &format,
                    duration_s: 5.28,
                    integrity: Integrity::Ok,
                })
                .unwrap();
            let mut mean = vec![0.0; card.embedding_dimension];
            let segments: Vec<_> = (0..SEGMENTS)
                .map(|place| {
                    let vector = grow(*number);
                    mean.iter_mut().zip(&vector).for_each(|(sum, x)| *sum += x / SEGMENTS as f32);
                    let start_s = 0.48 * place as f64;
                    Ok(NewSegment {
                        range: TimeRange { start_s, end_s: start_s + 0.96 },
                        vector: encode(&vector, Precision::Half).unwrap(),
                        classes: Vec::new(),
                        health: Health::SOUND,
                    })
                })
                .collect();
            let pooled = encode(&mean, Precision::Half).unwrap();
            writer.put_vectors(VectorsOf { recording, model, run }, segments, &pooled).unwrap();
        }
        writer.commit().unwrap();
    }
    library.checkpoint().unwrap();
}

/// Another "hash" for every number.
fn hash(number: u64) -> [u8; 32] {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&number.to_le_bytes());
    hash
}

/// The most memory that this process ever held, in bytes; elsewhere than on Linux nothing.
pub fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1_024)
}

/// What `SEEDS.db ROWS FOLDER` say, the folder made; nothing where they are not all there: `cargo bench`
/// runs such programs too, without a library to grow from.
pub fn arguments() -> Option<(PathBuf, usize, PathBuf)> {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let [seeds, rows, folder] = &arguments[..] else { return None };
    std::fs::create_dir_all(folder).unwrap();
    Some((seeds.into(), rows.parse().unwrap(), folder.into()))
}

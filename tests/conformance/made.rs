//! Datasets that are made up: of a few recordings with everything that a filter can ask about.

use std::path::{Path, PathBuf};

use sonoteca::audio::decode::{Integrity, StreamFormat};
use sonoteca::audio::health::Health;
use sonoteca::audio::segment::TimeRange;
use sonoteca::dataset::folder::DatasetWriter;
use sonoteca::dataset::header::Header;
use sonoteca::dataset::rows::{RecordingRow, RowWriter, SegmentRow};
use sonoteca::model::ModelIdentity;
use sonoteca::store::metadata::MetadataValue;
use sonoteca::store::recordings::FileStamp;
use sonoteca::store::vector::Precision;
use sonoteca::units::SampleRate;

/// Numbers of a vector: few, so that thousands are written in no time.
pub(crate) const DIMENSION: usize = 8;
const HOP_S: f64 = 0.48;

pub(crate) fn header() -> Header {
    Header {
        identity: ModelIdentity {
            name: "made-up".to_owned(),
            weights_sha256: [5; 32],
            front_end_version: 1,
            dimension: DIMENSION,
        },
        window_s: 0.96,
        hop_s: HOP_S,
        segmentation: None,
        vectors: Precision::Single,
        device: "cpu".to_owned(),
        precision: "f32".to_owned(),
        classes: ["Speech", "Dog", "Bird", "Water, tap", "Engine"].map(str::to_owned).to_vec(),
    }
}

/// A sequence of numbers in [0, 1) that are the same each time.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn next(&mut self) -> f32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1_u64 << 24) as f32
    }

    /// A vector around `centre`, which shares its direction more or less.
    pub(crate) fn vector(&mut self, spread: f32, centre: &[f32]) -> Vec<f32> {
        centre.iter().map(|value| 3.0 * (value + spread * (self.next() - 0.5))).collect()
    }
}

/// A recording and its segments.
pub(crate) type Whole = (RecordingRow, Vec<SegmentRow>);

/// Recording number `number`, of `segments` segments, whose content is `content`.
pub(crate) fn recording(number: u32, segments: u32, content: u8) -> Whole {
    let mut chance = Chance::new(u64::from(number) * 1_000 + u64::from(content));
    let centre: Vec<f32> = (0..DIMENSION).map(|_| chance.next() - 0.4).collect();
    let site = ["Am See", "garden", "a_b%c"][number as usize % 3];
    let duration_s = f64::from(segments + 1) * HOP_S;
    let mut metadata = vec![
        ("site".to_owned(), MetadataValue::Text(site.to_owned())),
        ("depth".to_owned(), MetadataValue::Integer(i64::from(number % 5))),
    ];
    if number.is_multiple_of(2) {
        metadata.push(("odd \"name\"".to_owned(), MetadataValue::Real(f64::from(number) / 4.0)));
        metadata
            .push(("Set".to_owned(), MetadataValue::Text(format!("2024-0{}-15", 1 + number % 9))));
    }
    if number.is_multiple_of(7) {
        metadata.push(("depth_text".to_owned(), MetadataValue::Text("3".to_owned())));
    }
    let mut row = RecordingRow {
        path: PathBuf::from(format!(
            "/data/{}/{}_{number:03}_202{}0501_0630{:02}.{}",
            site.replace(' ', "_"),
            ["wren", "Wren"][number as usize % 2],
            number % 5,
            number % 60,
            ["wav", "flac"][number as usize % 2]
        )),
        content_hash: {
            let mut hash = [content; 32];
            hash[..4].copy_from_slice(&number.to_le_bytes());
            hash
        },
        stamp: FileStamp { size_bytes: 1_000, modified_ns: 1_700_000_000_000_000_000 },
        format: StreamFormat {
            sample_rate: SampleRate::new([16_000, 44_100, 48_000][number as usize % 3]).unwrap(),
            channels: 1 + u16::try_from(number % 2).unwrap(),
            codec: ["pcm_s16le", "flac"][number as usize % 2].to_owned(),
        },
        duration_s,
        integrity: if number % 11 == 3 { Integrity::Truncated } else { Integrity::Ok },
        recorded: None,
        metadata,
        segments,
        vector: chance.vector(0.4, &centre),
        scores: scores(&mut chance),
    };
    let segments: Vec<SegmentRow> = (0..segments)
        .map(|index| SegmentRow {
            index,
            range: TimeRange {
                start_s: f64::from(index) * HOP_S,
                end_s: f64::from(index) * HOP_S + 0.96,
            },
            vector: if number % 13 == 5 && index == 1 {
                vec![0.0; DIMENSION]
            } else {
                chance.vector(0.8, &centre)
            },
            scores: scores(&mut chance),
            health: match (number % 10, index) {
                (9, _) => Health::SILENT,
                (4, 2) => Health::CLIPPED,
                (6, 0) => Health::SILENT.and(Health::CONSTANT),
                _ => Health::SOUND,
            },
        })
        .collect();
    if let [only] = segments.as_slice() {
        // The mean over all patches is that of the only one.
        row.vector.clone_from(&only.vector);
    }
    (row, segments)
}

/// Some classes and their scores, as a network's are kept: highest first, in steps of a 65,535th.
fn scores(chance: &mut Chance) -> Vec<(u32, f32)> {
    let mut scores: Vec<(u32, f32)> = Vec::new();
    for class in 0..5 {
        let (is_kept, score) = (chance.next() < 0.7, chance.next());
        if is_kept {
            scores.push((class, (score * 65_535.0).round() / 65_535.0));
        }
    }
    scores.sort_by(|a, b| b.1.total_cmp(&a.1));
    scores
}

/// Writes a dataset of these recordings into `folder`.
pub(crate) fn write(folder: &Path, header: &Header, recordings: &[Whole], part_bytes: u64) {
    let (mut writer, _) =
        DatasetWriter::in_folder(folder, header.clone(), part_bytes, "test").unwrap();
    for (row, segments) in recordings {
        writer.write_recording(row, &mut segments.iter().cloned().map(Ok)).unwrap();
    }
    writer.finish(true).unwrap();
}

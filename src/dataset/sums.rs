//! How much was written, and a checksum that does not depend on the order of rows.
//!
//! In: rows. Out: [`Sums`]. Two processes that extract the same files in another order, or in other
//! parts, come to the same sums.

use blake3::Hasher;

use super::ids::recording_id;
use super::rows::{FailureRow, RecordingRow, Scores, SegmentRow, metadata_text};

/// Counts of rows, and their checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Recordings.
    pub recordings: u64,
    /// Segments.
    pub segments: u64,
    /// Failures.
    pub failures: u64,
    /// The sum over all rows, modulo 2¹²⁸, of the first 128 bits of a row's BLAKE3 hash.
    pub checksum: u128,
}

impl Sums {
    /// Of both. What no dataset can have is no count, whatever a file's metadata say.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            recordings: self.recordings.saturating_add(other.recordings),
            segments: self.segments.saturating_add(other.segments),
            failures: self.failures.saturating_add(other.failures),
            checksum: self.checksum.wrapping_add(other.checksum),
        }
    }

    /// The checksum in hexadecimal.
    pub fn checksum_text(&self) -> String {
        format!("{:032x}", self.checksum)
    }

    /// The checksum that `text` says.
    pub(super) fn checksum_of(text: &str) -> Option<u128> {
        (text.len() == 32).then(|| u128::from_str_radix(text, 16).ok())?
    }

    /// Adds a recording.
    pub(super) fn add_recording(&mut self, row: &RecordingRow) {
        let mut hash = RowHash::new(b"recording");
        hash.bytes(row.path.as_os_str().as_encoded_bytes());
        hash.bytes(&row.content_hash);
        hash.number(row.stamp.size_bytes);
        hash.number(row.stamp.modified_ns.cast_unsigned());
        hash.number(u64::from(row.format.sample_rate.hertz()));
        hash.number(u64::from(row.format.channels));
        hash.bytes(row.format.codec.as_bytes());
        hash.number(row.duration_s.to_bits());
        hash.bytes(row.integrity.to_string().as_bytes());
        let recorded = row.recorded.map(|said| format!("{} {}", said.at, said.from.as_str()));
        hash.bytes(recorded.unwrap_or_default().as_bytes());
        hash.bytes(metadata_text(&row.metadata).unwrap_or_default().as_bytes());
        hash.number(u64::from(row.segments));
        hash.vector(&row.vector, &row.scores);
        self.recordings += 1;
        self.add(&hash);
    }

    /// Adds a segment of `recording`.
    pub(super) fn add_segment(&mut self, recording: &RecordingRow, row: &SegmentRow) {
        let mut hash = RowHash::new(b"segment");
        // The same content may lie under several paths.
        hash.bytes(recording.path.as_os_str().as_encoded_bytes());
        hash.number(recording_id(&recording.content_hash).cast_unsigned());
        hash.number(u64::from(row.index));
        hash.number(row.range.start_s.to_bits());
        hash.number(row.range.end_s.to_bits());
        hash.number(u64::from(row.health.bits()));
        hash.vector(&row.vector, &row.scores);
        self.segments += 1;
        self.add(&hash);
    }

    /// Adds a failure.
    pub(super) fn add_failure(&mut self, row: &FailureRow) {
        let mut hash = RowHash::new(b"failure");
        hash.bytes(row.path.as_os_str().as_encoded_bytes());
        hash.bytes(row.stage.as_bytes());
        hash.bytes(row.reason.as_bytes());
        hash.bytes(metadata_text(&row.metadata).unwrap_or_default().as_bytes());
        self.failures += 1;
        self.add(&hash);
    }

    fn add(&mut self, hash: &RowHash) {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.0.finalize().as_bytes()[..16]);
        self.checksum = self.checksum.wrapping_add(u128::from_le_bytes(bytes));
    }
}

struct RowHash(Hasher);

impl RowHash {
    fn new(kind: &[u8]) -> Self {
        let mut hash = Self(Hasher::new());
        hash.bytes(kind);
        hash
    }

    /// With their length, so that nothing moves from one part to the next.
    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
    }

    fn number(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }

    fn vector(&mut self, vector: &[f32], scores: &Scores) {
        self.number(vector.len() as u64);
        // All at once: a call costs more than a value.
        let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.0.update(&bytes);
        self.number(scores.len() as u64);
        for (class, score) in scores {
            self.0.update(&class.to_le_bytes());
            self.0.update(&score.to_le_bytes());
        }
    }
}

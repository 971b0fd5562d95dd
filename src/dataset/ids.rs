//! Numbers for recordings and segments that are the same wherever and whenever they are made.
//!
//! In: a content's hash, a model, a place. Out: 64 bits. Two files of the same content have the
//! same ids. Among *n* ids the odds that any two are the same by chance are about *n*²/2⁶⁵: one in
//! 37 for 10⁹, and once in 10⁷ cases for 10⁶.

use blake3::Hasher;

use super::header::Header;

/// The id of the recording whose content has the BLAKE3 hash `content_hash`.
pub fn recording_id(content_hash: &[u8; 32]) -> i64 {
    let mut hasher = Hasher::new_derive_key("sonoteca 1: recording");
    hasher.update(content_hash);
    first_64_bits(&hasher)
}

/// The ids of one recording's segments.
#[derive(Clone, Debug)]
pub struct SegmentIds {
    hasher: Hasher,
}

impl SegmentIds {
    /// Those of the content with the BLAKE3 hash `content_hash`, by the model and in the segments
    /// that `header` says. How vectors are kept is no part of them.
    pub fn new(header: &Header, content_hash: &[u8; 32]) -> Self {
        let mut hasher = Hasher::new_derive_key("sonoteca 1: segment");
        hasher.update(content_hash);
        hasher.update(&header.identity.weights_sha256);
        hasher.update(&header.identity.front_end_version.to_le_bytes());
        let layout = header.layout();
        hasher.update(&layout.segment_s.to_le_bytes());
        hasher.update(&layout.hop_s.to_le_bytes());
        // The only part without a length of its own comes last but for the segment's number.
        hasher.update(header.identity.name.as_bytes());
        Self { hasher }
    }

    /// The id of segment number `index`, counted from 0.
    pub fn id(&self, index: u32) -> i64 {
        let mut hasher = self.hasher.clone();
        hasher.update(&index.to_le_bytes());
        first_64_bits(&hasher)
    }
}

fn first_64_bits(hasher: &Hasher) -> i64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    i64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::segment::Segmentation;

    #[test]
    fn ids_are_what_they_were_and_differ_where_something_does() {
        let header = Header::example();
        let hash = [7; 32];
        let id = |header: &Header, index| SegmentIds::new(header, &hash).id(index);
        // Written down: datasets of different years are to agree.
        assert_eq!(recording_id(&hash), RECORDING);
        assert_eq!(id(&header, 3), SEGMENT);
        let mut other = header.clone();
        other.identity.front_end_version += 1;
        assert_ne!(id(&other, 3), SEGMENT);
        other = header.clone();
        other.segmentation = Some(Segmentation { segment_s: 10.0, hop_s: 10.0 });
        assert_ne!(id(&other, 3), SEGMENT);
        other = header.clone();
        other.vectors = crate::store::vector::Precision::Half;
        assert_eq!(id(&other, 3), SEGMENT, "how vectors are kept does not matter");
        assert_ne!(id(&header, 4), SEGMENT);
        assert_ne!(recording_id(&[8; 32]), RECORDING);
    }

    /// As the reference implementation has it, by the same steps.
    const RECORDING: i64 = -6218108751267685754;
    const SEGMENT: i64 = -7403445778628877355;
}

//! How a segment's class scores lie in the library.
//!
//! In: classes and scores in [0, 1]. Out: four bytes each, and back. Refuses nothing: scores are
//! kept to a 65,535th, and bytes that are no whole entry are dropped.

/// Encodes `scores`, as `(class, score)`; classes past 65,535 are left out.
pub fn encode(scores: &[(usize, f32)]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4 * scores.len());
    for &(class, score) in scores {
        let Ok(class) = u16::try_from(class) else { continue };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and 65,535"
        )]
        let level = (f64::from(score.clamp(0.0, 1.0)) * f64::from(u16::MAX)).round() as u16;
        bytes.extend(class.to_le_bytes());
        bytes.extend(level.to_le_bytes());
    }
    bytes
}

/// The scores that `bytes` hold, as `(class, score)`.
pub fn decode(bytes: &[u8]) -> impl Iterator<Item = (i64, f64)> {
    bytes.as_chunks::<4>().0.iter().map(|&[class_low, class_high, low, high]| {
        let class = u16::from_le_bytes([class_low, class_high]);
        let level = u16::from_le_bytes([low, high]);
        (i64::from(class), f64::from(level) / f64::from(u16::MAX))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_come_back_within_half_a_step() {
        let scores = [(520, 1.0), (0, 0.25), (77, 0.0), (3, 2.0)];
        let bytes = encode(&scores);
        assert_eq!(bytes.len(), 16);
        for ((class, score), (stored_class, stored)) in scores.into_iter().zip(decode(&bytes)) {
            assert_eq!(usize::try_from(stored_class).unwrap(), class);
            assert!((stored - f64::from(score.min(1.0))).abs() <= 0.5 / 65_535.0);
        }
        assert_eq!(decode(&bytes[..7]).count(), 1);
    }
}

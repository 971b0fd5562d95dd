//! What is wrong with a vector.

/// Why a vector cannot be stored or compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VectorProblem {
    /// NaN or an infinity.
    #[error("it has a value that is not a finite number")]
    NonFinite,
    /// More than float16 holds.
    #[error("it has a value beyond 65,504, the largest that 16 bits hold")]
    TooLarge,
    /// Length zero has no direction to compare.
    #[error("all its values are zero, so it has no direction to compare")]
    Zero,
    /// Another dimension than the model's.
    #[error("it has {found} values, expected {expected}")]
    Dimension {
        /// The model's.
        expected: usize,
        /// The vector's.
        found: usize,
    },
    /// Bytes that are no vector.
    #[error("its stored bytes are damaged")]
    Encoding,
    /// More than rows in memory can hold.
    #[error("there are more vectors than one search can hold (32 GiB of rows)")]
    TooMany,
}

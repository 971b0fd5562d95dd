//! What a head is to say: one class of several, any of them, or a number.
//!
//! In: words. Out: [`Task`], and what is known of the classes of each row, [`Targets`].

use serde::{Deserialize, Serialize};

/// What a head says of a sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// One of its classes.
    Single,
    /// Each of its classes or not, by itself.
    Multi,
    /// A number.
    Regression,
}

/// What is known of a class in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Known {
    /// It is there.
    Yes,
    /// It is not.
    No,
    /// Nobody said, or could say.
    Unknown,
}

/// What is known of rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// The class of each row, an index, `[rows]`.
    Single(Vec<u32>),
    /// Every class in every row, `[rows, classes]`.
    Multi(Vec<Known>),
    /// The number of each row, `[rows]`.
    Numbers(Vec<f32>),
}

impl Targets {
    /// The task that these are targets of.
    pub fn task(&self) -> Task {
        match self {
            Self::Single(_) => Task::Single,
            Self::Multi(_) => Task::Multi,
            Self::Numbers(_) => Task::Regression,
        }
    }
}

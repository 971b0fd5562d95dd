//! Labels and embeddings into heads, honest numbers about them, and what they say of sounds.
//!
//! In: a library with labels. Out: heads. Refuses to learn from too few examples, and to speak of
//! vectors of another model than a head was trained on.

pub mod examples;
pub mod head;
pub mod held_out;
pub mod hidden;
pub mod learner;
pub mod network;
pub mod predict;
pub mod rank;
pub mod report;
pub mod retrieval;
pub mod rows;
pub mod score;
pub mod sequences;
pub mod split;
pub mod task;
pub mod training;
pub mod unseen;

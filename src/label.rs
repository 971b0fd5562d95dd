//! Labels in files that people have, in and out.
//!
//! In: tables, label tracks, selection tables, folders. Out: labels of recordings, and the same
//! files again. Refuses single rows, by their line, and nothing else for their sake.

//! Audio files under a folder, for those who only want to listen to them.
//!
//! In: a path. Out: files whose names say that they are audio, in the order of their names; of a path
//! that is no folder, itself. What cannot be looked at is an error of its own, and stops nothing else.

use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::plan::io_error;
use crate::audio::sniff::{FileKind, by_extension};
use crate::error::{Error, Result};

/// The audio files at `path` and below; links are followed.
pub fn audio_files(path: &Path) -> impl Iterator<Item = Result<PathBuf>> {
    let is_folder = path.is_dir();
    let root = path.to_owned();
    let itself = (!is_folder).then(|| Ok(path.to_owned()));
    let walk = is_folder.then(|| WalkDir::new(path).follow_links(true).sort_by_file_name());
    let below = walk.into_iter().flatten().filter_map(move |entry| match entry {
        Ok(entry) if entry.file_type().is_file() => {
            let path = entry.into_path();
            // Files that are audio of a kind that is not read are told, not passed over.
            (by_extension(&path) != FileKind::Other).then_some(Ok(path))
        }
        Ok(_) => None,
        // A link to a folder above it, whose files are visited anyway.
        Err(error) if error.loop_ancestor().is_some() => None,
        Err(error) => {
            let path = error.path().unwrap_or(&root).to_owned();
            Some(Err(Error::Io { action: "read", path, source: io_error(error) }))
        }
    });
    itself.into_iter().chain(below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audio_is_found_in_folders_and_files_are_themselves() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("deeper")).unwrap();
        for name in ["b.wav", "a.flac", "notes.txt", "deeper/c.wma"] {
            std::fs::write(at(name), b"x").unwrap();
        }
        std::os::unix::fs::symlink(folder.path(), at("deeper/up")).unwrap();
        let found: Vec<PathBuf> = audio_files(folder.path()).map(Result::unwrap).collect();
        assert_eq!(found, [at("a.flac"), at("b.wav"), at("deeper/c.wma")]);
        let named: Vec<PathBuf> = audio_files(&at("notes.txt")).map(Result::unwrap).collect();
        assert_eq!(named, [at("notes.txt")]);
        // Whoever opens it says that it is not there.
        assert_eq!(audio_files(&at("nothing")).count(), 1);
    }
}

//! A folder a class.
//!
//! In: a folder whose sub-folders are named after what is heard in them. Out: a label of each
//! recording of the library that lies below them. Refuses recordings beside the sub-folders, and
//! names sub-folders of which the library has nothing.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use super::ReadLabel;
use super::places::Places;
use super::problem::{Refusal, RowProblem, RowResult};
use crate::error::{Error, Result};

/// What is called with each recording: its label, or why it has none.
pub type Visit<'a> = dyn FnMut(std::result::Result<ReadLabel, Refusal>) -> Result<()> + 'a;

/// Calls `visit` with a label of each recording below `folder`, in the order of their paths: its
/// class is the name of the sub-folder of `folder` that it lies below. Where they are all of one class, in
/// sub-folders of that which may be the classes, it is told which folder may have been meant.
///
/// # Errors
/// [`Error::Io`] when `folder` cannot be read, and what `visit` fails with.
pub fn read(folder: &Path, places: &Places, visit: &mut Visit<'_>) -> Result<Option<PathBuf>> {
    let failed = |source| Error::Io { action: "read", path: folder.to_owned(), source };
    let real = folder.canonicalize().map_err(failed)?;
    let mut empty = BTreeSet::new();
    for entry in real.read_dir().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        // Hidden ones belong to programs.
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if entry.path().is_dir() && !is_hidden {
            empty.insert(entry.file_name());
        }
    }
    let mut below: Vec<(PathBuf, i64)> = places
        .paths()
        .filter_map(|(path, id)| Some((path.strip_prefix(&real).ok()?.to_owned(), id)))
        .collect();
    below.sort();
    let meant = deeper(below.iter().map(|(path, _)| path.as_path()));
    let meant = meant.map(|class| folder.join(class));
    for (path, recording) in below {
        let label = match class_of(&path) {
            Ok(class) => {
                empty.remove(&OsString::from(&class));
                Ok(ReadLabel {
                    line: 0,
                    recording,
                    class: class.trim().to_owned(),
                    range: None,
                    judgement: None,
                    source: None,
                    score: None,
                    band_hz: None,
                })
            }
            Err(problem) => Err(Refusal { line: 0, problem }),
        };
        visit(label)?;
    }
    for name in empty {
        let name = name.to_string_lossy().into_owned();
        visit(Err(Refusal { line: 0, problem: RowProblem::EmptyFolder { name } }))?;
    }
    Ok(meant)
}

/// The one class of all `paths`, if they lie in at least two folders of its own.
fn deeper<'a>(paths: impl Iterator<Item = &'a Path>) -> Option<&'a OsStr> {
    let (mut class, mut folders) = (None, BTreeSet::new());
    for path in paths {
        let mut parts = path.components().map(Component::as_os_str);
        let (first, second) = (parts.next()?, parts.next()?);
        parts.next()?;
        if *class.get_or_insert(first) != first {
            return None;
        }
        folders.insert(second);
    }
    class.filter(|_| folders.len() > 1)
}

/// The first part of `path`, if others are behind it.
fn class_of(path: &Path) -> RowResult<String> {
    let mut parts = path.components();
    let (Some(Component::Normal(class)), Some(_)) = (parts.next(), parts.next()) else {
        return Err(RowProblem::NoFolder { name: path.to_string_lossy().into_owned() });
    };
    match class.to_str().filter(|class| !class.trim().is_empty()) {
        Some(class) => Ok(class.to_owned()),
        None => Err(RowProblem::NotUtf8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_too_high_is_noticed() {
        let deeper_of = |paths: &[&str]| {
            deeper(paths.iter().map(Path::new)).map(|class| class.to_string_lossy().into_owned())
        };
        assert_eq!(deeper_of(&["birds/wren/1.wav", "birds/tit/2.wav"]), Some("birds".to_owned()));
        assert_eq!(deeper_of(&["birds/wren/1.wav", "birds/wren/2.wav"]), None, "one place");
        assert_eq!(deeper_of(&["birds/wren/1.wav", "birds/2.wav"]), None, "also beside");
        assert_eq!(deeper_of(&["birds/wren/1.wav", "frogs/pond/2.wav"]), None, "two classes");
        assert_eq!(deeper_of(&[]), None);
    }
}

//! Making a library: whole, or not at all.
//!
//! In: a path where there is nothing yet. Out: a library there, at the newest version. It is made in a
//! folder beside that path and then linked into its place, so that no other process ever finds a half of
//! it, whatever becomes of this one; of two processes that make the same, one does, and both use it.

use std::fs::File;
use std::io;
use std::path::Path;

use super::Library;
use crate::files::remove_if_interrupted;

/// Makes a library at `path`, where there is none and the disk can do it this way: one that knows no hard
/// links (FAT) cannot. Then it is made where it stands, as when something is wrong with the folder, which
/// is told best by what opens it there.
pub(super) fn make_whole(path: &Path) {
    if std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        let _ = make_beside(path);
    }
}

fn make_beside(path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // A folder, not a file: SQLite gives the file the rights that the user's mask leaves it.
    let scratch = tempfile::Builder::new().prefix(".new-library-").tempdir_in(folder)?;
    remove_if_interrupted(scratch.path());
    let made = scratch.path().join("library");
    // Closing it folds its journal into it: what is linked is all of it.
    drop(Library::open_in_place(&made)?);
    std::fs::hard_link(&made, path)?;
    File::open(folder)?.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::thread;

    use crate::store::Library;
    use crate::store::migrate::{newest_version, version};
    use crate::store::tests::folder;

    #[test]
    fn a_library_is_never_seen_half_made() {
        for _ in 0..20 {
            let folder = folder();
            let path = folder.path().join("sonoteca.db");
            let look = || {
                while Library::open_if_any(&path).unwrap().is_none() {}
            };
            let make = || {
                let library = Library::open_or_create(&path).unwrap();
                assert_eq!(version(&library).unwrap(), newest_version());
            };
            thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(look);
                    scope.spawn(make);
                }
            });
            let left: Vec<_> =
                folder.path().read_dir().unwrap().map(|file| file.unwrap()).collect();
            assert_eq!(left.len(), 1, "{left:?}");
        }
    }

    #[test]
    fn an_empty_file_is_made_a_library() {
        let folder = folder();
        let path = folder.path().join("touched.db");
        std::fs::write(&path, "").unwrap();
        assert!(Library::open_if_any(&path).unwrap().is_none());
        Library::open_or_create(&path).unwrap();
        assert!(Library::open_if_any(&path).unwrap().is_some());
    }

    #[cfg(unix)]
    #[test]
    fn a_library_has_the_rights_of_any_file_and_is_made_where_a_link_leads() {
        use std::os::unix::fs::{MetadataExt, symlink};
        let folder = folder();
        let [usual, target, link] =
            ["usual", "target.db", "link.db"].map(|name| folder.path().join(name));
        std::fs::write(&usual, "").unwrap();
        symlink(&target, &link).unwrap();
        drop(Library::open_or_create(&link).unwrap());
        let mode = |path| std::fs::metadata(path).unwrap().mode();
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        let made = folder.path().join("made.db");
        drop(Library::open_or_create(&made).unwrap());
        assert_eq!([mode(&target), mode(&made)], [mode(&usual); 2]);
    }
}

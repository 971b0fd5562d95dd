//! Making a library: whole, or not at all.
//!
//! In: a path where there is nothing yet. Out: a library there, at the newest version. It is made in a
//! folder beside that path and then linked into its place, so that no other process ever finds a half of
//! it, whatever becomes of this one; of two processes that make the same, one does, and both use it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::Library;
use crate::files::temporary_folder_beside;

/// Makes a library at `path`, where there is none and the disk can do it this way: one that knows no hard
/// links (FAT) cannot. Then it is made where it stands, as when something is wrong with the folder, which
/// is told best by what opens it there. So also beside the journal of a library that was removed: SQLite
/// drops that where the file is empty, and would play it back into one that is not.
pub(super) fn make_whole(path: &Path) {
    let is_missing = |path: &Path| {
        std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    };
    if is_missing(path) && journals(path).iter().all(|journal| is_missing(journal)) {
        let _ = make_beside(path);
    }
}

/// What SQLite keeps beside a file that was not closed.
fn journals(path: &Path) -> [PathBuf; 2] {
    ["-wal", "-journal"].map(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    })
}

fn make_beside(path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    // A folder, not a file: SQLite gives the file the rights that it gives every one.
    let scratch = temporary_folder_beside(path)?;
    let made = scratch.path().join("library");
    // What is linked is all of it: closing alone would not say that its journal could not be folded in.
    let library = Library::open_in_place(&made)?;
    library.checkpoint()?;
    drop(library);
    if journals(&made).iter().any(|journal| journal.exists()) {
        return Err("it was not closed".into());
    }
    std::fs::hard_link(&made, path)?;
    if let Some(folder) = scratch.path().parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::thread;
    use std::time::{Duration, Instant};

    use crate::store::Library;
    use crate::store::migrate::{newest_version, version};
    use crate::store::tests::{add, folder};

    #[test]
    fn a_library_is_never_seen_half_made() {
        for _ in 0..20 {
            let folder = folder();
            let path = folder.path().join("sonoteca.db");
            let look = || {
                let deadline = Instant::now() + Duration::from_mins(1);
                while Library::open_if_any(&path).unwrap().is_none() {
                    assert!(Instant::now() < deadline, "nobody makes it");
                }
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
            for file in folder.path().read_dir().unwrap() {
                // Two that close at the same moment may leave an empty journal, which is none.
                let name = file.unwrap().file_name().into_string().unwrap();
                assert!(name.starts_with("sonoteca.db"), "{name}");
            }
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
    fn a_library_has_the_rights_of_any_other_and_is_made_where_a_link_leads() {
        use std::os::unix::fs::{MetadataExt, symlink};
        let folder = folder();
        let [target, link, made] =
            ["target.db", "link.db", "made.db"].map(|name| folder.path().join(name));
        symlink(&target, &link).unwrap();
        drop(Library::open_or_create(&link).unwrap());
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        drop(Library::open_or_create(&made).unwrap());
        // The first is made where it stands, the second beside its place.
        let [in_place, beside] = [target, made].map(|path| std::fs::metadata(path).unwrap().mode());
        assert_eq!(in_place, beside);
    }

    /// As when a library was killed, and only its file was removed.
    #[test]
    fn a_journal_that_was_left_is_not_played_into_a_new_library() {
        let folder = folder();
        let path = folder.path().join("sonoteca.db");
        let mut old = Library::open_or_create(&path).unwrap();
        add(&mut old, Path::new("/a.wav"), 1, 3, 0.5);
        let [wal, _] = super::journals(&path);
        let left = std::fs::read(&wal).unwrap();
        assert!(!left.is_empty());
        drop(old);
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&wal, left).unwrap();
        let new = Library::open_or_create(&path).unwrap();
        assert_eq!(version(&new).unwrap(), newest_version());
        assert_eq!(new.totals().unwrap().recordings, 0);
        let sound: String =
            new.connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(sound, "ok");
    }
}

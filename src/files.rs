//! Files that appear when they are whole.
//!
//! In: the path that a file will have. Out: a file under a temporary name beside it. Refuses what
//! the folder refuses.

use std::io;
use std::path::Path;

use tempfile::{Builder, NamedTempFile};

/// A new file in the folder of `path`, which goes away unless it is given a name. Whoever may read
/// other new files may read it.
///
/// # Errors
/// What making it fails with.
pub fn temporary_beside(path: &Path) -> io::Result<NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As for any new file; the system takes from it what the user's mask says.
        let permissions = std::fs::Permissions::from_mode(0o666);
        Builder::new().permissions(permissions).tempfile_in(folder)
    }
    #[cfg(not(unix))]
    Builder::new().tempfile_in(folder)
}

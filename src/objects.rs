//! Files that lie on object storage or on the web: addresses instead of paths.
//!
//! In: an address, such as `s3://bucket/a.wav`. Out: a temporary file with its content, and what the
//! store says of it. It comes in ranges of a bounded length, each asked for again by itself when it
//! fails, and all of one version of the object. The only importer of `object_store`. Without the
//! feature `objects` every address is refused with the reason.
//!
//! A whole file, rather than reads as a decoder makes them: the content's hash needs every byte
//! anyway, some containers keep what is needed first at their end, and a decoder that waits for a
//! network cannot be told from one that hangs.

#[cfg(feature = "objects")]
mod fetching;
#[cfg(not(feature = "objects"))]
mod refusing;

use std::path::{Path, PathBuf};

use tempfile::TempPath;

use crate::store::recordings::FileStamp;

#[cfg(feature = "objects")]
pub use fetching::Objects;
#[cfg(not(feature = "objects"))]
pub use refusing::Objects;

/// Bytes of a request: what is in memory for each file that is being fetched.
pub const RANGE_BYTES: u64 = 8 << 20;

/// What failed where the next object would fare no better: the disk, or the way into the store.
pub const KEEP_COPY: &str = "write copies of objects into";
/// The same, of a store that nobody is let into with what the environment says.
pub const GET_ACCESS: &str = "get access to";
/// The same, of a store that does not answer.
pub const REACH_STORE: &str = "reach the store of";

/// An object that was fetched.
#[derive(Debug)]
pub struct Fetched {
    /// The copy, which goes away with this. Its name ends as the object's does.
    pub file: TempPath,
    /// Its length, and when the store says that it was last changed; 0, where it says nothing.
    pub stamp: FileStamp,
}

/// The scheme of an address; nothing, where `path` is a path.
pub fn scheme_of(path: &Path) -> Option<&str> {
    let (scheme, _) = path.to_str()?.split_once("://")?;
    let is_one = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_one.then_some(scheme)
}

/// Why the address `path` is not fetched as it stands; nothing, where it is, and of paths.
pub fn fault_of(path: &Path) -> Option<&'static str> {
    let (_, name) = place_and_name(path)?;
    if user_in(path).is_some() {
        return Some(
            "it holds a user's name or password, which would be stored with each row: say who \
             may read in the environment of the store's own tools",
        );
    }
    // A name with one of these in it would be cut there, and another object be taken for it.
    match name.find(['?', '#']).and_then(|at| name[at..].chars().next()) {
        Some('?') => Some(
            "queries are not sent: what follows `?` would be lost. Write %3F where it belongs to \
             the name, and copy what needs a query to a place with a name",
        ),
        Some(_) => Some("what follows `#` would be lost: write %23 where it belongs to the name"),
        None => None,
    }
}

/// The address `path` without a user's name and password: as it may be stored and shown.
pub fn without_user(path: &Path) -> Option<PathBuf> {
    let (text, user) = (path.to_str()?, user_in(path)?);
    Some(PathBuf::from(text.replacen(&format!("//{user}@"), "//", 1)))
}

/// The user's name and password in an address.
fn user_in(path: &Path) -> Option<&str> {
    let scheme = scheme_of(path)?;
    let (user, _) = place_and_name(path)?.0.rsplit_once('@')?;
    // Azure's own addresses are of a container at an account.
    let is_container = scheme.starts_with("abfs") && !user.contains(':');
    (!is_container).then_some(user)
}

/// An address's host or bucket, and what follows it.
fn place_and_name(path: &Path) -> Option<(&str, &str)> {
    scheme_of(path)?;
    let (_, rest) = path.to_str()?.split_once("://")?;
    Some(rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_would_fetch_something_else_are_refused() {
        for (path, fault) in [
            ("s3://bucket/a b.wav", None),
            ("https://host:80/a@b.wav", None),
            ("abfss://container@account.dfs.core.windows.net/a.wav", None),
            ("a?b#c.wav", None),
            ("https://host/get?id=1", Some("%3F")),
            ("https://host?id=1", Some("%3F")),
            ("s3://bucket/take#2.wav", Some("%23")),
            ("https://user:word@host/a.wav", Some("password")),
            ("https://user@host/a.wav?b", Some("password")),
        ] {
            let found = fault_of(Path::new(path));
            assert_eq!(found.is_some(), fault.is_some(), "{path}");
            assert!(found.unwrap_or_default().contains(fault.unwrap_or_default()), "{path}");
        }
        let shown = without_user(Path::new("https://user:word@host/a@b.wav"));
        assert_eq!(shown, Some(PathBuf::from("https://host/a@b.wav")));
        assert_eq!(without_user(Path::new("https://host/a@b.wav")), None);
    }

    #[test]
    fn addresses_are_told_from_paths() {
        for (path, scheme) in [
            ("s3://bucket/a b.wav", Some("s3")),
            ("https://host/a.wav", Some("https")),
            ("/a/b.wav", None),
            ("a.wav", None),
            ("a//b.wav", None),
            ("1x://a", None),
            ("a b://c", None),
            ("://a", None),
        ] {
            assert_eq!(scheme_of(Path::new(path)), scheme, "{path}");
        }
    }
}

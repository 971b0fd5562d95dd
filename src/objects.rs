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

use std::path::Path;

use tempfile::TempPath;

use crate::store::recordings::FileStamp;

#[cfg(feature = "objects")]
pub use fetching::Objects;
#[cfg(not(feature = "objects"))]
pub use refusing::Objects;

/// Bytes of a request: what is in memory for each file that is being fetched.
pub const RANGE_BYTES: u64 = 8 << 20;

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

#[cfg(test)]
mod tests {
    use super::*;

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

//! Lists of what to extract, line by line.
//!
//! In: text: a path or an address a line, or an object of JSON with a path and metadata. Out:
//! [`Entry`]s, one at a time, so that a list of millions needs no memory. A line that says nothing
//! usable costs itself only.

use std::io::{self, BufRead, Read};
use std::path::PathBuf;

use serde::Deserialize;

use crate::dataset::rows::{Metadata, metadata_of};
use crate::error::Error;

/// Longest line, in bytes: what is longer is no list.
const MAX_LINE_BYTES: u64 = 1 << 20;

/// Characters of an unusable line that stand for it.
const LONGEST_SHOWN: usize = 200;

/// What a line names.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// A path, or an address such as `s3://bucket/a.wav`.
    pub path: PathBuf,
    /// What people know of it.
    pub metadata: Metadata,
}

/// A line in JSON.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    path: String,
    /// For whoever shares work out by length; extracting finds it out.
    #[serde(default, rename = "duration_s")]
    _duration_s: Option<f64>,
    #[serde(default)]
    metadata: serde_json::Map<String, serde_json::Value>,
}

/// The entries of a list.
#[derive(Debug)]
pub struct Entries<R> {
    input: R,
    line: u64,
}

impl<R: BufRead> Entries<R> {
    /// Those that `input` lists.
    pub fn new(input: R) -> Self {
        Self { input, line: 0 }
    }

    /// The next line that is not empty; `None` at the end. A line that says nothing usable is an
    /// error beside its own text, and the next one follows.
    ///
    /// # Errors
    /// When the list cannot be read on.
    pub fn next_entry(&mut self) -> io::Result<Option<Result<Entry, (PathBuf, Error)>>> {
        loop {
            let mut line = Vec::new();
            self.line += 1;
            let read = (&mut self.input).take(MAX_LINE_BYTES).read_until(b'\n', &mut line)?;
            if read == 0 {
                return Ok(None);
            }
            let is_cut = read as u64 == MAX_LINE_BYTES && line.last() != Some(&b'\n');
            if is_cut {
                self.skip_line()?;
            }
            let text = line.strip_suffix(b"\n").unwrap_or(&line);
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            // Where a program put the mark of its encoding first.
            let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
            if text.is_empty() {
                continue;
            }
            if is_cut {
                let problem = format!("it has more than {MAX_LINE_BYTES} bytes");
                return Ok(Some(Err(self.failed(text, problem))));
            }
            let entry = if text.starts_with(b"{") { read_object(text) } else { read_path(text) };
            return Ok(Some(entry.map_err(|problem| self.failed(text, problem))));
        }
    }

    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let mut rest = Vec::new();
            let read = (&mut self.input).take(MAX_LINE_BYTES).read_until(b'\n', &mut rest)?;
            if read == 0 || rest.last() == Some(&b'\n') {
                return Ok(());
            }
        }
    }

    fn failed(&self, text: &[u8], problem: String) -> (PathBuf, Error) {
        let text = String::from_utf8_lossy(text);
        let mut shown: String = text.chars().take(LONGEST_SHOWN).collect();
        if shown.len() < text.len() {
            // Others may begin so too.
            shown = format!("{shown}… (line {})", self.line);
        }
        (PathBuf::from(shown), Error::Manifest { line: self.line, problem })
    }
}

fn read_object(text: &[u8]) -> Result<Entry, String> {
    let line: Line = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if line.path.is_empty() {
        return Err("`path` is empty".to_owned());
    }
    Ok(Entry { path: PathBuf::from(line.path), metadata: metadata_of(&line.metadata)? })
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "fails on other systems")]
fn read_path(text: &[u8]) -> Result<Entry, String> {
    use std::os::unix::ffi::OsStrExt;
    let path = PathBuf::from(std::ffi::OsStr::from_bytes(text));
    Ok(Entry { path, metadata: Metadata::new() })
}

#[cfg(not(unix))]
fn read_path(text: &[u8]) -> Result<Entry, String> {
    let path = str::from_utf8(text).map_err(|error| error.to_string())?;
    Ok(Entry { path: PathBuf::from(path), metadata: Metadata::new() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::metadata::MetadataValue;

    fn all(text: &[u8]) -> Vec<Result<Entry, String>> {
        let mut entries = Entries::new(text);
        let mut found = Vec::new();
        while let Some(entry) = entries.next_entry().unwrap() {
            found.push(entry.map_err(|(path, error)| format!("{} {error}", path.display())));
        }
        found
    }

    #[test]
    fn lines_are_paths_addresses_and_objects() {
        let text = "\u{feff}a b.wav\r\n\n s3://b/c.flac\n\
            {\"path\": \"d.wav\", \"duration_s\": 3, \"metadata\": {\"site\": \"A\", \"n\": 2}}\nlast";
        let found = all(text.as_bytes());
        let path = |name: &str| Entry { path: name.into(), metadata: Vec::new() };
        assert_eq!(found[0], Ok(path("a b.wav")));
        assert_eq!(found[1], Ok(path(" s3://b/c.flac")), "spaces belong to names");
        let metadata = vec![
            ("n".to_owned(), MetadataValue::Integer(2)),
            ("site".to_owned(), MetadataValue::Text("A".to_owned())),
        ];
        assert_eq!(found[2], Ok(Entry { path: "d.wav".into(), metadata }));
        assert_eq!(found[3], Ok(path("last")));
        assert_eq!(found.len(), 4);
    }

    #[test]
    fn long_lines_that_begin_alike_are_told_apart() {
        let long = format!("{{\"path\": \"{}", "a".repeat(300));
        let text = format!("{long}1\n{long}2\n");
        let mut entries = Entries::new(text.as_bytes());
        let mut names = Vec::new();
        while let Some(entry) = entries.next_entry().unwrap() {
            names.push(entry.unwrap_err().0.display().to_string());
        }
        assert!(names[0].ends_with("… (line 1)") && names[1].ends_with("… (line 2)"), "{names:?}");
        assert_eq!(names[0].chars().count(), LONGEST_SHOWN + "… (line 1)".chars().count());
    }

    #[test]
    fn a_bad_line_costs_itself_only() {
        let mut text = b"{\"path\": 3}\n{\"path\": \"a\", \"site\": \"A\"}\n{\n".to_vec();
        text.extend(vec![b'x'; 3 << 20]);
        text.extend(b"\nb.wav\n{\"path\": \"\"}\n");
        let found = all(&text);
        for (index, expected) in [
            (0, "line 1"),
            (1, "unknown field `site`"),
            (2, "line 3"),
            (3, "line 4"),
            (5, "`path` is empty"),
        ] {
            let error = found[index].as_ref().unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        assert_eq!(found[4].as_ref().unwrap().path, PathBuf::from("b.wav"));
        assert_eq!(found.len(), 6);
    }
}

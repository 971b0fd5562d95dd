//! Which recording a file of labels means.
//!
//! In: a name in it, or its own. Out: a recording of the library. Refuses to choose.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::store::Library;
use crate::store::endings::{Endings, Extent, Meant};

/// Endings of names that programs put behind a recording's, in lower case.
const ADDED: [&str; 9] =
    ["txt", "csv", "tsv", "selections", "selection", "table", "results", "birdnet", "labels"];

/// Paths and ids of recordings, by their names with their ending and without.
type Stems = HashMap<Vec<u8>, Vec<(PathBuf, i64)>>;

/// All recordings of a library, by what files of labels call them.
#[derive(Debug)]
pub struct Places {
    endings: Endings,
    extents: HashMap<i64, Extent>,
    /// Names without their last ending, which label tracks have.
    stems: OnceCell<Stems>,
}

impl Places {
    /// Reads the paths of `library`.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn read(library: &Library) -> Result<Self> {
        let (endings, extents) = (library.endings()?, library.extents()?);
        Ok(Self { endings, extents, stems: OnceCell::new() })
    }

    /// How far recording `id` reaches.
    pub fn extent(&self, id: i64) -> Option<Extent> {
        self.extents.get(&id).copied()
    }

    /// All paths and the ids of their recordings, in no order.
    pub fn paths(&self) -> impl Iterator<Item = (&Path, i64)> {
        self.endings.paths()
    }

    /// The recording that `name` means: `id:N`, a path, absolute or relative to one of `folders`,
    /// or the end of one. Paths may have another system's separators.
    pub fn find(&self, name: &Path, folders: &[PathBuf]) -> Meant {
        let id = name.to_str().and_then(|text| text.strip_prefix("id:")?.parse().ok());
        if let Some(id) = id {
            return if self.extents.contains_key(&id) { Meant::One(id) } else { Meant::None };
        }
        let found = self.endings.find(name, folders);
        if found != Meant::None {
            return found;
        }
        if let Some(text) = name.to_str().filter(|text| text.contains('\\')) {
            return self.endings.find(Path::new(&text.replace('\\', "/")), folders);
        }
        // A link's name: the library has the file's own.
        name.canonicalize().map_or(Meant::None, |real| self.endings.find(&real, folders))
    }

    /// The recording whose name the file of labels at `path` has: `bark.txt`, `bark.wav.txt`,
    /// `bark-id12.txt` and `bark.Table.1.selections.txt` are about `bark.wav`. Of several, one in
    /// the same folder.
    pub fn of_label_file(&self, path: &Path) -> Meant {
        let Some(name) = path.file_name() else { return Meant::None };
        let mut name = name.as_encoded_bytes();
        while let Some(shorter) = without_addition(name) {
            name = shorter;
            let found = self.with_stem(name, path.parent());
            if found != Meant::None {
                return found;
            }
        }
        Meant::None
    }

    /// The recording that is called `name`, with its ending or without.
    fn with_stem(&self, name: &[u8], folder: Option<&Path>) -> Meant {
        let stems = self.stems.get_or_init(|| {
            let mut stems = Stems::new();
            let bytes = |name: Option<&OsStr>| name.map(|name| name.as_encoded_bytes().to_vec());
            for (path, id) in self.endings.paths() {
                let names = [bytes(path.file_stem()), bytes(path.file_name())];
                for name in names.into_iter().flatten() {
                    let same = stems.entry(name).or_default();
                    if same.last().is_none_or(|(_, last)| *last != id) {
                        same.push((path.to_owned(), id));
                    }
                }
            }
            stems
        });
        // As `writing::file_name` has it: the id tells recordings of one name apart.
        let with_id = str::from_utf8(name).ok().and_then(|name| name.rsplit_once("-id"));
        if let Some((stem, id)) = with_id
            && let Some(id) = id.parse::<i64>().ok().filter(|_| !stems.contains_key(name))
        {
            let same = stems.get(stem.as_bytes()).map_or(&[][..], Vec::as_slice);
            return match same {
                _ if same.iter().any(|(_, found)| *found == id) => Meant::One(id),
                [] => Meant::None,
                [(_, only)] => Meant::One(*only),
                several => Meant::Several(several.len()),
            };
        }
        match stems.get(name).map_or(&[][..], Vec::as_slice) {
            [] => Meant::None,
            [(_, id)] => Meant::One(*id),
            several => {
                let folder = folder.and_then(|folder| folder.canonicalize().ok());
                let mut near =
                    several.iter().filter(|(path, _)| path.parent() == folder.as_deref());
                match (near.next(), near.next()) {
                    (Some((_, id)), None) => Meant::One(*id),
                    _ => Meant::Several(several.len()),
                }
            }
        }
    }
}

/// `name` without the last ending, if a program may have put that behind a recording's name.
fn without_addition(name: &[u8]) -> Option<&[u8]> {
    let place = name.iter().rposition(|&byte| byte == b'.').filter(|&place| place > 0)?;
    let (shorter, ending) = (&name[..place], str::from_utf8(&name[place + 1..]).ok()?);
    let is_added = ADDED.iter().any(|added| ending.eq_ignore_ascii_case(added));
    let is_number = !ending.is_empty() && ending.bytes().all(|byte| byte.is_ascii_digit());
    let of_table = shorter.to_ascii_lowercase().ends_with(b".table");
    (is_added || is_number && of_table).then_some(shorter)
}

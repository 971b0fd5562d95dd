//! Heads as files: safetensors beside a card in JSON.
//!
//! In: a head. Out: two files, or their bytes. Refuses to overwrite, and tensors of other types.
//! The tensors are float32; `recordings` (`[recordings, 32]`, bytes) are the BLAKE3 hashes of the
//! contents that the head learnt from, and `groups` (`[groups, 32]`) those of the values of the
//! metadata that kept them together, so that it is never evaluated on these, whatever library it is
//! in. Heads that were stored before there were groups have none of the latter.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};

use super::Head;
use super::card::HeadCard;
use crate::error::{Error, Result, TrainingProblem};
use crate::files::NewFile;
use crate::store::metadata::MetadataValue;
use crate::train::network::Tensors;

/// The tensors of what was learnt from.
const RECORDINGS: &str = "recordings";
const GROUPS: &str = "groups";

/// The numbers of a head.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Saved {
    /// Its tensors by name.
    pub tensors: Tensors,
    /// BLAKE3 of the content of every recording that it learnt from.
    pub recordings: Vec<[u8; 32]>,
    /// [`group_hash`] of every value of the metadata that recordings were kept together by, which a
    /// recording that it learnt from has; `None` where nobody noted them.
    pub groups: Option<Vec<[u8; 32]>>,
}

/// What a value of metadata is known by in a head: BLAKE3 of its text, since names of speakers and
/// places are nobody's business where a head travels.
pub fn group_hash(value: &MetadataValue) -> [u8; 32] {
    *blake3::hash(value.to_string().as_bytes()).as_bytes()
}

impl Saved {
    /// A safetensors file; the same numbers give the same bytes.
    ///
    /// # Errors
    /// [`TrainingProblem::Damaged`] when the shapes are not the values'.
    pub fn encode(&self, card: &HeadCard) -> Result<Vec<u8>> {
        let damaged = |error: safetensors::SafeTensorError| TrainingProblem::Damaged {
            head: card.name.clone(),
            problem: error.to_string(),
        };
        let mut bytes: Vec<(&str, Dtype, Vec<usize>, Vec<u8>)> = self
            .tensors
            .iter()
            .map(|(name, (shape, values))| {
                let values = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                (name.as_str(), Dtype::F32, shape.clone(), values)
            })
            .collect();
        for (name, hashes) in [(RECORDINGS, Some(&self.recordings)), (GROUPS, self.groups.as_ref())]
        {
            if let Some(hashes) = hashes {
                bytes.push((name, Dtype::U8, vec![hashes.len(), 32], hashes.concat()));
            }
        }
        let mut views = Vec::with_capacity(bytes.len());
        for (name, dtype, shape, bytes) in &bytes {
            let view = TensorView::new(*dtype, shape.clone(), bytes).map_err(damaged)?;
            views.push((*name, view));
        }
        Ok(serialize(views, None).map_err(damaged)?)
    }

    /// Reads a safetensors file of head `name`.
    ///
    /// # Errors
    /// [`TrainingProblem::Damaged`].
    pub fn decode(name: &str, bytes: &[u8]) -> Result<Self> {
        let damaged = |problem: String| TrainingProblem::Damaged { head: name.to_owned(), problem };
        let file = SafeTensors::deserialize(bytes)
            .map_err(|error| damaged(format!("its tensors do not read: {error}")))?;
        let mut saved = Self::default();
        for (tensor, view) in file.tensors() {
            match (tensor.as_str(), view.dtype(), view.shape()) {
                (RECORDINGS, Dtype::U8, [_, 32]) => {
                    saved.recordings = view.data().as_chunks::<32>().0.to_vec();
                }
                (GROUPS, Dtype::U8, [_, 32]) => {
                    saved.groups = Some(view.data().as_chunks::<32>().0.to_vec());
                }
                (_, Dtype::F32, shape) => {
                    let values = view.data().as_chunks::<4>().0;
                    let values = values.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
                    saved.tensors.insert(tensor, (shape.to_vec(), values));
                }
                (_, dtype, shape) => {
                    return Err(damaged(format!("tensor {tensor} is {dtype:?} {shape:?}")).into());
                }
            }
        }
        Ok(saved)
    }
}

/// Writes `NAME.json` and `NAME.safetensors` of a head into `folder`, in place of those that are there if
/// `replace` says so; returns their paths.
///
/// # Errors
/// [`Error::Exists`] when one is there, [`Error::Io`].
pub fn write_files(head: &Head, folder: &Path, replace: bool) -> Result<[PathBuf; 2]> {
    let name = file_name(&head.card().name);
    let paths = ["json", "safetensors"].map(|extension| folder.join(format!("{name}.{extension}")));
    let mut json = head.card().json();
    json.push('\n');
    let contents = [json.into_bytes(), head.saved().encode(head.card())?];
    for path in &paths {
        if !replace && path.symlink_metadata().is_ok() {
            let options = "name another folder with --out DIR, or take its place: --replace";
            return Err(Error::Exists { path: path.clone(), options });
        }
    }
    fs::create_dir_all(folder).map_err(|source| Error::Io {
        action: "make",
        path: folder.to_owned(),
        source,
    })?;
    for (path, contents) in paths.iter().zip(contents) {
        NewFile::beside(path)
            .and_then(|mut file| {
                file.write_all(&contents)?;
                file.sync()?;
                file.publish(path, replace)
            })
            .map_err(|source| Error::Io { action: "write", path: path.clone(), source })?;
    }
    Ok(paths)
}

/// Reads a head from `path`, the one or the other of its two files.
///
/// # Errors
/// [`Error::Io`], [`TrainingProblem::Damaged`].
pub fn read_files(path: &Path) -> Result<Head> {
    let read = |path: PathBuf| {
        fs::read(&path).map_err(|source| Error::Io { action: "read", path, source })
    };
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let json = String::from_utf8_lossy(&read(path.with_extension("json"))?).into_owned();
    let card = HeadCard::parse(&name, &json)?;
    let saved = Saved::decode(&name, &read(path.with_extension("safetensors"))?)?;
    Head::new(card, saved)
}

/// A name that every file system takes.
fn file_name(name: &str) -> String {
    let safe = |c: char| if c.is_alphanumeric() || "-_. ".contains(c) { c } else { '_' };
    let name: String = name.chars().map(safe).collect();
    if name.starts_with('.') { format!("_{name}") } else { name }
}

//! Where a checkpoint's storages lie.
//!
//! In: a file of either layout. Out: its pickle, and the bytes of every storage that this names.
//! Refuses compressed members, big-endian files, storages that are missing or of another length
//! than the pickle says, and in the older layout anything besides.

use std::collections::BTreeMap;
use std::io::Cursor;

use zip::{CompressionMethod, ZipArchive};

use super::super::Problem;
use super::pickle::Pickle;
use super::value::{Storage, Value};

/// `MAGIC_NUMBER` of `torch/serialization.py`.
const LEGACY_MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;
/// `PROTOCOL_VERSION` of the same.
const LEGACY_PROTOCOL: i128 = 1001;

/// The bytes of each storage, by its name.
#[derive(Debug)]
pub(super) struct Storages<'a>(BTreeMap<&'a str, &'a [u8]>);

impl<'a> Storages<'a> {
    /// The bytes of `storage`, as many as it says.
    pub(super) fn bytes(&self, storage: Storage<'_>) -> Result<&'a [u8], Problem> {
        match self.0.get(storage.key) {
            Some(bytes) if storage.bytes() == Some(bytes.len()) => Ok(*bytes),
            Some(bytes) => Err(format!(
                "storage {} has {} bytes, expected {} values of {}",
                storage.key,
                bytes.len(),
                storage.count,
                storage.kind.name()
            )),
            None => Err(format!("the file has no storage {}", storage.key)),
        }
    }
}

/// Opens a zip archive. Its checksums are not looked at: the whole file is checked by hash.
pub(super) fn open_zip(file: &[u8]) -> Result<(Pickle<'_>, Storages<'_>), Problem> {
    let archive = ZipArchive::new(Cursor::new(file)).map_err(|error| error.to_string())?;
    let mut folders = archive.file_names_raw().filter_map(|name| name.strip_suffix(b"/data.pkl"));
    let (Some(folder), None) = (folders.next(), folders.next()) else {
        return Err("the archive has not one data.pkl".to_owned());
    };
    let folder = folder.to_vec();
    drop(folders);
    let mut members = Members { file, archive, folder };
    match members.find("byteorder")? {
        None | Some(b"little") => {}
        Some(_) => return Err("it is not little-endian".to_owned()),
    }
    let program = members.find("data.pkl")?.ok_or("the archive has no data.pkl")?;
    let (pickle, length) = Pickle::read(program)?;
    if length != program.len() {
        return Err("something follows the end of its data.pkl".to_owned());
    }
    let mut storages = BTreeMap::new();
    for key in declared(&pickle)?.into_keys() {
        if let Some(bytes) = members.find(&format!("data/{key}"))? {
            storages.insert(key, bytes);
        }
    }
    Ok((pickle, Storages(storages)))
}

/// The members of an archive, all in one folder.
struct Members<'a> {
    file: &'a [u8],
    archive: ZipArchive<Cursor<&'a [u8]>>,
    folder: Vec<u8>,
}

impl<'a> Members<'a> {
    /// The bytes of a member, which must be stored as they are.
    fn find(&mut self, name: &str) -> Result<Option<&'a [u8]>, Problem> {
        let path = [&self.folder, &b"/"[..], name.as_bytes()].concat();
        let Some(index) = self.archive.index_for_name_raw(&path) else { return Ok(None) };
        let member = self.archive.by_index_raw(index).map_err(|error| error.to_string())?;
        if member.compression() != CompressionMethod::Stored || member.encrypted() {
            return Err(format!("{name} is compressed or encrypted"));
        }
        let place = || {
            let start = usize::try_from(member.data_start()?).ok()?;
            self.file.get(start..)?.get(..usize::try_from(member.size()).ok()?)
        };
        place().map(Some).ok_or_else(|| format!("{name} lies outside the file"))
    }
}

/// Opens a file of the layout of before PyTorch 1.6: a magic number, a version, the writer's
/// system, the object, the names of its storages, then for each its count and its values.
pub(super) fn open_legacy(file: &[u8]) -> Result<(Pickle<'_>, Storages<'_>), Problem> {
    const NOT_OURS: &str = "it is neither a zip archive nor PyTorch's older layout";
    let mut rest = file;
    let mut next = || {
        let (pickle, length) = Pickle::read(rest)?;
        rest = &rest[length..];
        Ok::<_, Problem>(pickle)
    };
    for expected in [LEGACY_MAGIC, LEGACY_PROTOCOL] {
        let pickle = next()?;
        if !matches!(pickle.value(pickle.root()), Value::Integer(found) if *found == expected) {
            return Err(NOT_OURS.to_owned());
        }
    }
    if !is_little_endian(&next()?) {
        return Err("it does not say that it is little-endian".to_owned());
    }
    let (pickle, names) = (next()?, next()?);
    let Value::List(order) = names.value(names.root()) else {
        return Err("the list of its storages is none".to_owned());
    };
    let declared = declared(&pickle)?;
    let mut storages = BTreeMap::new();
    for &key in order {
        let Value::Text(key) = names.value(key) else {
            return Err("the name of a storage is no text".to_owned());
        };
        let storage = declared.get(key).ok_or_else(|| format!("nothing uses storage {key:?}"))?;
        let bytes = legacy_storage(&mut rest, *storage)
            .ok_or_else(|| format!("storage {key} is truncated or has another length"))?;
        if storages.insert(storage.key, bytes).is_some() {
            return Err(format!("it has storage {key} twice"));
        }
    }
    if !rest.is_empty() {
        return Err(format!("{} bytes follow its last storage", rest.len()));
    }
    Ok((pickle, Storages(storages)))
}

/// Takes a storage from the front of `rest`: how many values, then these.
fn legacy_storage<'a>(rest: &mut &'a [u8], storage: Storage<'_>) -> Option<&'a [u8]> {
    let (count, behind) = rest.split_first_chunk()?;
    if u64::from_le_bytes(*count) != storage.count as u64 {
        return None;
    }
    let (bytes, behind) = behind.split_at_checked(storage.bytes()?)?;
    *rest = behind;
    Some(bytes)
}

/// Whether the description of the writer's system says so.
fn is_little_endian(system: &Pickle<'_>) -> bool {
    let Value::Dict(entries) = system.value(system.root()) else { return false };
    entries.iter().any(|&(key, value)| {
        matches!(system.value(key), Value::Text("little_endian"))
            && matches!(system.value(value), Value::Bool(true))
    })
}

/// The storages that a pickle names, each described in one way.
fn declared<'a>(pickle: &Pickle<'a>) -> Result<BTreeMap<&'a str, Storage<'a>>, Problem> {
    let mut storages = BTreeMap::new();
    for storage in pickle.storages() {
        let known = storages.insert(storage.key, storage);
        if known.is_some_and(|known| known != storage) {
            return Err(format!("storage {} is described in two ways", storage.key));
        }
    }
    Ok(storages)
}

//! What kind of file this is, by its first bytes and then by its name.
//!
//! In: a path. Out: [`FileKind`]. Refuses nothing: a file that is not audio is an answer.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::error::{Error, Result};

/// What the first bytes of a file, or else its name, say it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// RIFF/WAVE, and its forms for long files, RF64 and BW64.
    Wav,
    /// AIFF and AIFF-C.
    Aiff,
    /// Native FLAC.
    Flac,
    /// An Ogg stream, whatever codec it carries.
    Ogg,
    /// MPEG-1, 2 or 2.5 audio, layers I to III, with or without an ID3 tag.
    Mpeg,
    /// Wave64, RIFF/WAVE's form with lengths of 64 bits.
    Wave64,
    /// Core Audio Format.
    Caf,
    /// Sun's and `NeXT`'s `.au` and `.snd`.
    Au,
    /// AAC in an audio data transport stream.
    Aac,
    /// MP4 and `QuickTime`, with pictures or without.
    Mp4,
    /// Matroska and `WebM`, with pictures or without.
    Matroska,
    /// Audio in a container that is not read yet, by its usual name.
    NotReadYet(&'static str),
    /// No audio.
    Other,
}

/// Bytes that [`kind_of`] looks at.
const HEAD_BYTES: usize = 16;

/// Tells what `path` holds.
///
/// # Errors
/// [`Error::Io`] when the file cannot be opened or read.
pub fn kind_of(path: &Path) -> Result<FileKind> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    File::open(path)
        .and_then(|file| file.take(HEAD_BYTES as u64).read_to_end(&mut head))
        .map_err(|source| Error::Io { action: "read", path: path.to_owned(), source })?;
    // macOS leaves a small "._name" companion beside each file on foreign disks.
    if head.starts_with(&[0x00, 0x05, 0x16, 0x07]) {
        return Ok(FileKind::Other);
    }
    let name = by_extension(path);
    Ok(match by_content(&head) {
        // A tag of MPEG audio, which some programs put in front of other streams.
        Some(FileKind::Mpeg) if matches!(name, FileKind::Aac | FileKind::Flac) => name,
        Some(kind) => kind,
        None => name,
    })
}

fn by_content(head: &[u8]) -> Option<FileKind> {
    let form = head.get(8..12).unwrap_or_default();
    // A box of MP4 has its length in front of its name.
    if matches!(head.get(4..8), Some(b"ftyp" | b"moov" | b"mdat" | b"wide")) {
        return Some(FileKind::Mp4);
    }
    match head.get(..4)? {
        b"RIFF" | b"RF64" | b"BW64" if form == b"WAVE" => Some(FileKind::Wav),
        b"RIFX" => Some(FileKind::NotReadYet("big-endian RIFX")),
        b"riff" => Some(FileKind::Wave64),
        b"fLaC" => Some(FileKind::Flac),
        b"OggS" => Some(FileKind::Ogg),
        b"FORM" if form == b"AIFF" || form == b"AIFC" => Some(FileKind::Aiff),
        b"caff" => Some(FileKind::Caf),
        b".snd" => Some(FileKind::Au),
        b"wvpk" => Some(FileKind::NotReadYet("WavPack")),
        b"MAC " => Some(FileKind::NotReadYet("Monkey's Audio")),
        b"RIFF" if form == b"AVI " => Some(FileKind::NotReadYet("AVI")),
        b"TTA1" => Some(FileKind::NotReadYet("True Audio")),
        b".SoX" => Some(FileKind::NotReadYet("SoX")),
        b"Crea" => Some(FileKind::NotReadYet("Creative Voice")),
        b"ADIF" => Some(FileKind::NotReadYet("ADIF")),
        [0x1a, 0x45, 0xdf, 0xa3] => Some(FileKind::Matroska),
        [b'I', b'D', b'3', _] => Some(FileKind::Mpeg),
        // ADTS: MPEG audio's mark, but of layer zero.
        [0xff, 0xf0 | 0xf1 | 0xf8 | 0xf9, ..] => Some(FileKind::Aac),
        _ => None,
    }
}

/// What the name alone says, for audio files whose first bytes do not tell: MPEG audio has no magic number, and a
/// damaged file of any kind should be reported rather than passed over.
pub fn by_extension(path: &Path) -> FileKind {
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    match extension.to_str().unwrap_or_default() {
        "wav" | "wave" | "bwf" | "rf64" => FileKind::Wav,
        "flac" => FileKind::Flac,
        "ogg" | "oga" | "opus" | "spx" => FileKind::Ogg,
        "mp1" | "mp2" | "mp3" | "mpga" => FileKind::Mpeg,
        "aif" | "aiff" | "aifc" => FileKind::Aiff,
        "caf" => FileKind::Caf,
        "aac" | "adts" => FileKind::Aac,
        "m4a" | "m4b" | "m4r" | "m4v" | "mp4" | "mov" | "3gp" | "3g2" => FileKind::Mp4,
        "mka" | "mkv" | "weba" | "webm" => FileKind::Matroska,
        "w64" => FileKind::Wave64,
        "au" | "snd" => FileKind::Au,
        "wma" => FileKind::NotReadYet("WMA"),
        "wv" => FileKind::NotReadYet("WavPack"),
        "ape" => FileKind::NotReadYet("Monkey's Audio"),
        "ac3" | "eac3" => FileKind::NotReadYet("AC-3"),
        "amr" | "awb" => FileKind::NotReadYet("AMR"),
        "asf" | "wmv" => FileKind::NotReadYet("ASF"),
        "avi" => FileKind::NotReadYet("AVI"),
        "dff" | "dsf" => FileKind::NotReadYet("DSD"),
        "dts" => FileKind::NotReadYet("DTS"),
        "flv" => FileKind::NotReadYet("Flash video"),
        "m2ts" | "mpeg" | "mpg" | "mts" | "vob" => FileKind::NotReadYet("MPEG stream"),
        "mpc" => FileKind::NotReadYet("Musepack"),
        "ra" | "rm" => FileKind::NotReadYet("RealAudio"),
        "shn" => FileKind::NotReadYet("Shorten"),
        "sox" => FileKind::NotReadYet("SoX"),
        "tta" => FileKind::NotReadYet("True Audio"),
        "voc" => FileKind::NotReadYet("Creative Voice"),
        _ => FileKind::Other,
    }
}

/// The usual extension of what `file` holds, where its first bytes do not tell without a name:
/// MPEG audio, and streams behind a tag of ID3. `None` where they tell, or it is no audio.
///
/// # Errors
/// What reading fails with.
pub fn extension_of(file: &mut (impl Read + Seek)) -> io::Result<Option<&'static str>> {
    let head = read_head(file, 0)?;
    let behind_tag = if head.starts_with(b"ID3") {
        // ID3v2, 3.1: the tag's length without its header, seven bits a byte.
        let length = head.get(6..10).unwrap_or_default();
        let length = length.iter().fold(0, |sum, &byte| (sum << 7) | u64::from(byte & 0x7f));
        read_head(file, 10 + length)?
    } else {
        head
    };
    Ok(match behind_tag.as_slice() {
        [b'f', b'L', b'a', b'C', ..] => Some("flac"),
        [0xff, 0xf0 | 0xf1 | 0xf8 | 0xf9, ..] => Some("aac"),
        // MPEG audio's mark: eleven bits that are set, and a layer that there is.
        [0xff, second, ..] if second & 0xe0 == 0xe0 && second & 0x06 != 0 => Some("mp3"),
        _ => None,
    })
}

fn read_head(file: &mut (impl Read + Seek), at: u64) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    file.seek(SeekFrom::Start(at))?;
    file.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(name: &str, content: &[u8]) -> FileKind {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        kind_of(&path).unwrap()
    }

    #[test]
    fn content_goes_before_the_name() {
        assert_eq!(kind("a.txt", b"RIFF\0\0\0\0WAVEfmt "), FileKind::Wav);
        assert_eq!(kind("take.wav", b"OggS\0\x02"), FileKind::Ogg);
        assert_eq!(kind("a.aif", b"FORM\0\0\0\0AIFF"), FileKind::Aiff);
        assert_eq!(kind("a.wav", b"RF64\xff\xff\xff\xffWAVEds64"), FileKind::Wav);
        assert_eq!(kind("a.wav", b"riff\x2e\x91\xcf\x11"), FileKind::Wave64);
        assert_eq!(kind("a", b"\0\0\0\x20ftypM4A "), FileKind::Mp4);
        assert_eq!(kind("a", b"\x1a\x45\xdf\xa3\x9f"), FileKind::Matroska);
        assert_eq!(kind("a.mp3", b"\xff\xf1\x50\x80"), FileKind::Aac);
        assert_eq!(kind("a.aac", b"ID3\x04\0\0"), FileKind::Aac);
        assert_eq!(kind("a", b"caff\0\x01\0\0desc"), FileKind::Caf);
        assert_eq!(kind("a", b".snd\0\0\0\x20"), FileKind::Au);
    }

    #[test]
    fn the_name_decides_where_content_is_silent() {
        assert_eq!(kind("a.MP3", &[0xff, 0xfb, 0x90, 0x00]), FileKind::Mpeg);
        assert_eq!(kind("broken.flac", b""), FileKind::Flac);
        assert_eq!(kind("a.M4V", b""), FileKind::Mp4);
        assert_eq!(kind("a.webm", b""), FileKind::Matroska);
        assert_eq!(kind("a.opus", b""), FileKind::Ogg);
        assert_eq!(kind("notes.txt", b"hello, world, and more"), FileKind::Other);
        assert_eq!(kind("._take.wav", &[0, 5, 0x16, 7, 0, 2, 0, 0]), FileKind::Other);
    }
}

//! Dates that files hold: chunks and tags put into real files, byte by byte.

use super::*;
use crate::dates::{Recorded, Witness};

/// When `bytes` say that they were recorded, and what in them says so. Their sound stays.
fn recorded(name: &str, bytes: &[u8]) -> Option<(String, Witness)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let decoding = decode_file(&path).unwrap();
    assert!(!decoding.samples.is_empty());
    assert_eq!(decoding.integrity, Integrity::Ok, "{name}");
    let recorded = Decoder::open(&path).unwrap().recorded();
    recorded.map(|Recorded { at, from }| (at.to_string(), from))
}

#[expect(clippy::unnecessary_wraps, reason = "what it is compared with is wrapped")]
fn said(at: &str, from: Witness) -> Option<(String, Witness)> {
    Some((at.to_owned(), from))
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).unwrap()
}

fn bext(date: &str, time: &str) -> Vec<u8> {
    let mut body = vec![0; 602];
    body[320..320 + date.len()].copy_from_slice(date.as_bytes());
    body[330..330 + time.len()].copy_from_slice(time.as_bytes());
    body
}

fn info(date: &str) -> Vec<u8> {
    let mut body = b"INFOISFT\x05\0\0\0Lavf\0\0ICRD".to_vec();
    body.extend(u32::try_from(date.len()).unwrap().to_le_bytes());
    body.extend(date.as_bytes());
    body
}

fn wav() -> Wav {
    Wav::new().format(1, 1, 16_000, 16)
}

#[test]
fn chunks_say_when_before_and_behind_the_samples() {
    let data = pcm16(&[100; 1_001]);
    let guano = b"GUANO|Version: 1.0\nMake: X\nTimestamp:  2017-04-22T22:15:00.5-05:00\nNote: a\n";
    let all = wav()
        .chunk(*b"LIST", &info("2001-01-01"))
        .data(&data)
        .chunk(*b"guan", guano)
        .chunk(*b"bext", &bext("2024-05-01", "06:30:15"));
    assert_eq!(recorded("a.wav", &all.bytes), said("2024-05-01T06:30:15", Witness::Bext));
    let bat = wav().chunk(*b"LIST", &info("2001-01-01")).data(&data).chunk(*b"guan", guano);
    assert_eq!(recorded("a.wav", &bat.bytes), said("2017-04-22T22:15:00", Witness::Guano));
    let tagged = wav().data(&data).chunk(*b"LIST", &info("2001-02-03"));
    assert_eq!(recorded("a.wav", &tagged.bytes), said("2001-02-03T00:00:00", Witness::Tag));
    assert_eq!(recorded("a.wav", &wav().data(&data).bytes), None);
    // Other separators, which the standard allows.
    let other = wav().chunk(*b"bext", &bext("2024:05:01", "06-30-15")).data(&data);
    assert_eq!(recorded("a.wav", &other.bytes), said("2024-05-01T06:30:15", Witness::Bext));
}

#[test]
fn nonsense_leaves_the_word_to_the_next() {
    let data = pcm16(&[100; 1_000]);
    for date in ["0000-00-00", "2024-13-01", "1601-01-01", "", "yesterday."] {
        let wav = wav()
            .chunk(*b"bext", &bext(date, "00:00:00"))
            .chunk(*b"guan", b"Timestamp: soon")
            .chunk(*b"LIST", &info("2001-02-03"))
            .data(&data);
        assert_eq!(recorded("a.wav", &wav.bytes), said("2001-02-03T00:00:00", Witness::Tag));
    }
    // Cut off in the middle, or far too long.
    let short = wav().chunk(*b"bext", &bext("2024-05-01", "")[..325]).data(&data);
    assert_eq!(recorded("a.wav", &short.bytes), None);
    let list = wav().chunk(*b"LIST", b"INFOICRD\xff\xff\xff\xff2001").data(&data);
    assert_eq!(recorded("a.wav", &list.bytes), said("2001-01-01T00:00:00", Witness::Tag));
}

fn id3(version: u8, frames: &[(&[u8; 4], &str)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, text) in frames {
        body.extend(*name);
        body.extend(u32::try_from(text.len() + 1).unwrap().to_be_bytes());
        // No flags; ISO 8859-1.
        body.extend([0, 0, 0]);
        body.extend(text.as_bytes());
    }
    let mut tag = vec![b'I', b'D', b'3', version, 0, 0, 0, 0];
    let length = u16::try_from(body.len()).unwrap();
    tag.extend([u8::try_from(length >> 7).unwrap(), u8::try_from(length & 0x7f).unwrap()]);
    tag.extend(body);
    tag
}

#[test]
fn id3_says_when_by_one_frame_or_by_three() {
    // The fixture has a tag of its own, of 20 bytes.
    let sound = read("chirp.mp3").split_off(20);
    for (version, frames, at) in [
        (4, vec![(b"TDRC", "2024-05-01T06:30:15")], "2024-05-01T06:30:15"),
        (4, vec![(b"TDRC", "2024-05")], "2024-05-01T00:00:00"),
        (3, vec![(b"TYER", "2003")], "2003-01-01T00:00:00"),
        (3, vec![(b"TDAT", "0105"), (b"TIME", "0630"), (b"TYER", "2003")], "2003-05-01T06:30:00"),
        (3, vec![(b"TDAT", "3113"), (b"TYER", "2003")], "2003-01-01T00:00:00"),
    ] {
        let bytes = [id3(version, &frames), sound.clone()].concat();
        assert_eq!(recorded("a.mp3", &bytes), said(at, Witness::Tag), "{frames:?}");
    }
    assert_eq!(recorded("a.mp3", &[id3(4, &[(b"TDRC", "0000")]), sound].concat()), None);
}

fn comments(date: &str) -> Vec<u8> {
    let comment = format!("date={date}");
    let mut body = vec![0, 0, 0, 0, 1, 0, 0, 0];
    body.extend(u32::try_from(comment.len()).unwrap().to_le_bytes());
    body.extend(comment.as_bytes());
    body
}

#[test]
fn vorbis_comments_say_when_in_flac() {
    let flac = read("chirp.flac");
    // Behind the stream's description, which is first and has 34 bytes.
    let comments = comments("2024-05-01 06:30");
    let mut bytes = flac[..42].to_vec();
    let length = u32::try_from(comments.len()).unwrap().to_be_bytes();
    bytes.extend([4, length[1], length[2], length[3]]);
    bytes.extend(comments);
    bytes.extend(&flac[42..]);
    // The file's own comments have no date.
    assert_eq!(recorded("a.flac", &bytes), said("2024-05-01T06:30:00", Witness::Tag));
    assert_eq!(recorded("a.flac", &flac), None);
}

/// Ogg's checksum: the polynomial 0x04c11db7, from 0, nothing mirrored.
fn ogg_checksum(page: &[u8]) -> u32 {
    page.iter().fold(0_u32, |sum, &byte| {
        (0..8).fold(sum ^ (u32::from(byte) << 24), |sum, _| {
            if sum & 0x8000_0000 == 0 { sum << 1 } else { (sum << 1) ^ 0x04c1_1db7 }
        })
    })
}

#[test]
fn vorbis_comments_say_when_in_ogg() {
    let ogg = read("chirp.ogg");
    let starts: Vec<usize> =
        (0..ogg.len()).filter(|&place| ogg[place..].starts_with(b"OggS")).take(3).collect();
    let [_, start, end] = starts[..] else { panic!("three pages") };
    // The second page: the comments' packet, then the setup.
    let page = &ogg[start..end];
    let lacing = &page[27..27 + usize::from(page[26])];
    let first = lacing.iter().position(|&length| length < 255).unwrap() + 1;
    let own: usize = lacing[..first].iter().map(|&length| usize::from(length)).sum();
    let setup = &page[27 + lacing.len() + own..];
    let packet = [b"\x03vorbis".to_vec(), comments("2024-05-01"), vec![1]].concat();
    let mut tagged = page[..22].to_vec();
    tagged.extend([0; 4]);
    tagged.push(u8::try_from(lacing.len() - first + 1).unwrap());
    tagged.push(u8::try_from(packet.len()).unwrap());
    tagged.extend(&lacing[first..]);
    tagged.extend(packet);
    tagged.extend(setup);
    let sum = ogg_checksum(&tagged);
    tagged[22..26].copy_from_slice(&sum.to_le_bytes());
    let bytes = [&ogg[..start], &tagged, &ogg[end..]].concat();
    assert_eq!(recorded("a.ogg", &bytes), said("2024-05-01T00:00:00", Witness::Tag));
}

fn atom(name: [u8; 4], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 8).unwrap();
    [&length.to_be_bytes()[..], &name, body].concat()
}

#[test]
fn mp4_says_when() {
    let mut bytes = read("chirp_index_last.m4a");
    let data = atom(*b"data", &[&[0, 0, 0, 1, 0, 0, 0, 0], &b"2024-05-01T06:30:15Z"[..]].concat());
    let list = atom(*b"ilst", &atom(*b"\xa9day", &data));
    let handler = atom(*b"hdlr", b"\0\0\0\0\0\0\0\0mdirappl\0\0\0\0\0\0\0\0\0");
    let meta = atom(*b"meta", &[&[0; 4][..], &handler, &list].concat());
    // In place of the file's own, which is the last in the index, as that is in the file.
    let find = |bytes: &[u8], name: &[u8]| bytes.windows(4).rposition(|w| w == name).unwrap() - 4;
    let (index, own) = (find(&bytes, b"moov"), find(&bytes, b"udta"));
    bytes.truncate(own);
    bytes.extend(atom(*b"udta", &meta));
    let length = u32::try_from(bytes.len() - index).unwrap();
    bytes[index..index + 4].copy_from_slice(&length.to_be_bytes());
    assert_eq!(recorded("a.m4a", &bytes), said("2024-05-01T06:30:15", Witness::Tag));
}

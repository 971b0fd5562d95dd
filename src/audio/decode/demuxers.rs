//! symphonia's demuxers, opened, and the track of theirs that is read.
//!
//! In: a part of a file. Out: a demuxer, a track and its codec. Refuses what no demuxer
//! recognises, and containers without an audio track that somebody here decodes.

use std::io::ErrorKind;

use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions, ReadBytes, ReadOnlySource};
use symphonia::core::meta::MetadataOptions;
use symphonia::default::formats::{IsoMp4Reader, MkvReader};

use super::Decoded;
use super::codec::Codec;
use super::packet_reader::{audio_parameters, media_stream};
use super::window::Window;
use crate::error::DecodeProblem;

/// The default audio track, or else the first one, that somebody here decodes.
pub(super) fn choose_track(demuxer: &dyn FormatReader) -> Decoded<(u32, Codec)> {
    let default = demuxer.default_track(TrackType::Audio);
    let mut problem = None;
    for track in default.into_iter().chain(demuxer.tracks()) {
        let Some(parameters) = audio_parameters(track) else { continue };
        match Codec::open(parameters) {
            Ok(codec) => return Ok((track.id, codec)),
            Err(error) => {
                problem.get_or_insert(error);
            }
        }
    }
    Err(problem.unwrap_or(DecodeProblem::NotAudio))
}

pub(super) fn probe(source: Window, extension: &str) -> Decoded<Box<dyn FormatReader>> {
    let mut hint = Hint::new();
    hint.with_extension(extension);
    symphonia::default::get_probe()
        .probe(&hint, media_stream(source), FormatOptions::default(), MetadataOptions::default())
        .map_err(not_recognised)
}

/// Opens MP4 without the probe, which looks for tags at the end, where a cut off file has nothing.
pub(super) fn open_mp4(source: Window) -> Decoded<Box<dyn FormatReader>> {
    /// The reader expects to stand where the probe found the word `ftyp`.
    const TO_TYPE: u64 = 4;
    let mut stream = media_stream(source);
    stream.ignore_bytes(TO_TYPE)?;
    let reader = IsoMp4Reader::try_new(stream, FormatOptions::default());
    Ok(Box::new(reader.map_err(not_recognised)?))
}

/// Opens Matroska without the probe, likewise; and without its index, which a cut off file has
/// not.
pub(super) fn open_matroska(source: Window, cut_off: bool) -> Decoded<Box<dyn FormatReader>> {
    let stream = if cut_off {
        let source = Box::new(ReadOnlySource::new(source));
        MediaSourceStream::new(source, MediaSourceStreamOptions::default())
    } else {
        media_stream(source)
    };
    let reader = MkvReader::try_new(stream, FormatOptions::default());
    Ok(Box::new(reader.map_err(not_recognised)?))
}

pub(super) fn not_recognised(error: SymphoniaError) -> DecodeProblem {
    match error {
        // The probe read to the end, or as far as it looks, and found no stream.
        SymphoniaError::Unsupported(_) => DecodeProblem::NotAudio,
        SymphoniaError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            DecodeProblem::NotAudio
        }
        SymphoniaError::IoError(error) => DecodeProblem::Io(error),
        error => DecodeProblem::decoder(error),
    }
}

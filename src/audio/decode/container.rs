//! FLAC, Ogg and MPEG audio, by symphonia's demuxers and codecs.
//!
//! In: a file, or the `data` chunk of a WAV that carries MPEG audio. Out: mono blocks. Packets
//! that do not decode become as much silence as they should have been sound, so that times hold.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};

use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::well_known::{CODEC_ID_AAC, CODEC_ID_FLAC, CODEC_ID_OPUS};
use symphonia::core::codecs::audio::{
    AudioCodecId, AudioCodecParameters, AudioDecoder, AudioDecoderOptions,
};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{
    MediaSource, MediaSourceStream, MediaSourceStreamOptions, ReadOnlySource,
};
use symphonia::core::meta::MetadataOptions;
use symphonia::default::formats::MpaReader;

use super::declared::{self, Declared};
use super::packets::copy_interleaved;
use super::wav::WavLayout;
use super::{BlockSource, Decoded, Integrity, StreamFormat, mix_down};
use crate::audio::sniff::FileKind;
use crate::error::DecodeProblem;

/// Longest silence, in frames, that stands for what could not be decoded at once: 16 of FLAC's
/// largest blocks. What is said to be longer is damage too.
const MAX_GAP_FRAMES: u64 = 16 * 65_536;

/// Packets without a single frame in a row after which a stream counts as broken. Headers and the
/// first Vorbis packet have none; no sound stream has this many.
const MAX_EMPTY_PACKETS: u32 = 10_000;

/// Frames by which MPEG audio may fall short of its tag and still be whole: encoders disagree on
/// whether the tag's own frame counts, and decoders on the last one.
pub(super) const MPEG_SLACK_FRAMES: u64 = 2 * 1_152;

/// Mono blocks of a demuxed stream.
pub(super) struct ContainerSource {
    demuxer: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track: u32,
    format: StreamFormat,
    declared: Declared,
    frames: u64,
    truncated: bool,
    damaged: bool,
    interleaved: Vec<f32>,
}

impl ContainerSource {
    pub(super) fn open(
        mut file: File,
        kind: FileKind,
    ) -> Decoded<(StreamFormat, Box<dyn BlockSource>)> {
        let said = match kind {
            FileKind::Ogg => declared::of_ogg(&mut file)?,
            FileKind::Mpeg => declared::of_mpeg(&mut file)?,
            _ => Declared::FrameCount { slack: 0 },
        };
        file.seek(SeekFrom::Start(0))?;
        let mut hint = Hint::new();
        hint.with_extension(match kind {
            FileKind::Flac => "flac",
            FileKind::Ogg => "ogg",
            _ => "mp3",
        });
        let stream = MediaSourceStream::new(Box::new(file), MediaSourceStreamOptions::default());
        let demuxer = symphonia::default::get_probe()
            .probe(&hint, stream, FormatOptions::default(), MetadataOptions::default())
            .map_err(not_recognised)?;
        Self::with_demuxer(demuxer, said, false)
    }

    pub(super) fn open_mpeg_in_wav(
        mut file: File,
        layout: &WavLayout,
    ) -> Decoded<(StreamFormat, Box<dyn BlockSource>)> {
        file.seek(SeekFrom::Start(layout.data_start))?;
        let data: Box<dyn MediaSource> =
            Box::new(ReadOnlySource::new(file.take(layout.data_bytes)));
        let stream = MediaSourceStream::new(data, MediaSourceStreamOptions::default());
        let demuxer =
            MpaReader::try_new(stream, FormatOptions::default()).map_err(not_recognised)?;
        Self::with_demuxer(Box::new(demuxer), Declared::Nothing, layout.truncated)
    }

    fn with_demuxer(
        demuxer: Box<dyn FormatReader>,
        said: Declared,
        truncated: bool,
    ) -> Decoded<(StreamFormat, Box<dyn BlockSource>)> {
        let track = demuxer.default_track(TrackType::Audio).ok_or(DecodeProblem::Malformed {
            what: "container",
            expected: "an audio track of a known codec",
            found: "none".to_owned(),
        })?;
        let parameters = track
            .codec_params
            .as_ref()
            .and_then(|parameters| parameters.audio())
            .ok_or(DecodeProblem::UnknownCodec { codec: "unnamed codec".to_owned() })?;
        let decoder = make_decoder(parameters)?;
        let format = StreamFormat::new(
            parameters.sample_rate.unwrap_or(0),
            parameters.channels.as_ref().map_or(0, Channels::count),
            decoder.codec_info().short_name,
        )?;
        let said = match said {
            Declared::FrameCount { slack } => match track.num_frames {
                Some(frames) if frames > 0 => Declared::Frames(frames.saturating_sub(slack)),
                _ => Declared::Nothing,
            },
            other => other,
        };
        let source = Self {
            track: track.id,
            decoder,
            demuxer,
            format: format.clone(),
            declared: said,
            frames: 0,
            truncated,
            damaged: false,
            interleaved: Vec::new(),
        };
        Ok((format, Box::new(source)))
    }

    /// A new logical stream begins, as in chained Ogg files: go on if it has the same rate.
    fn restart(&mut self) -> Decoded<bool> {
        let Some(track) = self.demuxer.default_track(TrackType::Audio) else {
            return Ok(false);
        };
        let Some(parameters) = track.codec_params.as_ref().and_then(|all| all.audio()) else {
            return Ok(false);
        };
        if parameters.sample_rate != Some(self.format.sample_rate.hertz()) {
            self.damaged = true;
            return Ok(false);
        }
        self.decoder = make_decoder(parameters)?;
        self.track = track.id;
        Ok(true)
    }

    /// Appends silence for `packet_frames` frames that are damaged.
    fn push_silence(&mut self, packet_frames: u64, mono: &mut Vec<f32>) {
        self.damaged = true;
        let frames = packet_frames.min(MAX_GAP_FRAMES);
        mono.resize(mono.len() + usize::try_from(frames).unwrap_or(0), 0.0);
        self.frames += frames;
    }

    /// Puts silence where the demuxer passed over frames that it could not make out. Only FLAC's
    /// packets know their position in the stream.
    fn fill_gap(&mut self, position: i64, mono: &mut Vec<f32>) {
        if self.format.codec != "flac" {
            return;
        }
        let missing = u64::try_from(position).unwrap_or(0).saturating_sub(self.frames);
        // A damaged position could lie anywhere.
        if (1..=MAX_GAP_FRAMES).contains(&missing) {
            self.push_silence(missing, mono);
        }
    }

    fn finish(&mut self) {
        self.damaged |= self.decoder.finalize().verify_ok == Some(false);
        self.truncated |= match self.declared {
            Declared::Frames(frames) => self.frames < frames,
            Declared::CutOff => true,
            Declared::FrameCount { .. } | Declared::Nothing => false,
        };
    }
}

impl BlockSource for ContainerSource {
    fn next_block(&mut self, mono: &mut Vec<f32>) -> Decoded<bool> {
        for _ in 0..MAX_EMPTY_PACKETS {
            let packet = match self.demuxer.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => {
                    self.finish();
                    return Ok(false);
                }
                Err(SymphoniaError::ResetRequired) => {
                    if self.restart()? {
                        continue;
                    }
                    return Ok(false);
                }
                Err(SymphoniaError::IoError(error)) if error.kind() == ErrorKind::UnexpectedEof => {
                    self.truncated = true;
                    return Ok(false);
                }
                Err(SymphoniaError::IoError(error)) => return Err(DecodeProblem::Io(error)),
                Err(error) if self.frames == 0 => return Err(DecodeProblem::decoder(error)),
                Err(_) => {
                    self.damaged = true;
                    return Ok(false);
                }
            };
            if packet.track_id != self.track {
                continue;
            }
            self.fill_gap(packet.pts.get(), mono);
            match self.decoder.decode(&packet) {
                Ok(decoded) => {
                    let spec = decoded.spec();
                    let channels = spec.channels().count();
                    if spec.rate() != self.format.sample_rate.hertz() || channels == 0 {
                        self.push_silence(packet.dur.get(), mono);
                    } else {
                        copy_interleaved(&decoded, &mut self.interleaved);
                        mix_down(&self.interleaved, channels, mono);
                        self.frames += decoded.frames() as u64;
                    }
                }
                Err(SymphoniaError::IoError(error)) if error.kind() != ErrorKind::UnexpectedEof => {
                    return Err(DecodeProblem::Io(error));
                }
                Err(_) => self.push_silence(packet.dur.get(), mono),
            }
            if !mono.is_empty() {
                return Ok(true);
            }
        }
        self.damaged = true;
        Ok(false)
    }

    fn integrity(&self) -> Integrity {
        match (self.truncated, self.damaged) {
            // Truncated first: it also makes the checksum wrong, and says more.
            (true, _) => Integrity::Truncated,
            (false, true) => Integrity::Damaged,
            (false, false) => Integrity::Ok,
        }
    }
}

fn make_decoder(parameters: &AudioCodecParameters) -> Decoded<Box<dyn AudioDecoder>> {
    // FLAC carries an MD5 of its samples, and the decoder does not look at the frames' own
    // checksums: without this, damage passes for sound.
    let options = AudioDecoderOptions::default().verify(parameters.codec == CODEC_ID_FLAC);
    symphonia::default::get_codecs().make_audio_decoder(parameters, &options).map_err(|error| {
        match error {
            SymphoniaError::Unsupported(_) => {
                DecodeProblem::UnknownCodec { codec: codec_name(parameters.codec).to_owned() }
            }
            error => DecodeProblem::decoder(error),
        }
    })
}

fn not_recognised(error: SymphoniaError) -> DecodeProblem {
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

/// Names of codecs that containers carry and nobody here decodes.
fn codec_name(codec: AudioCodecId) -> &'static str {
    match codec {
        CODEC_ID_OPUS => "Opus",
        CODEC_ID_AAC => "AAC",
        _ => "an unknown codec",
    }
}

//! Packets of one audio track, whatever container they come from.
//!
//! In: a symphonia demuxer. Out: [`Step`]s: packets of the track, whose times count its frames,
//! and how the stream ends. Refuses containers without an audio track.

use std::collections::VecDeque;
use std::fs::File;
use std::io::ErrorKind;
use std::ops::Range;

use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::well_known::FORMAT_ID_FLAC;
use symphonia::core::formats::{FormatOptions, FormatReader, SeekMode, SeekTo, Track, TrackType};
use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, TimeBase, Timestamp};
use symphonia::default::formats::MpaReader;

use super::Decoded;
use super::window::Window;
use crate::error::DecodeProblem;

/// What comes next in a track.
pub(super) enum Step {
    /// A packet whose times count frames of the track.
    Packet(Packet),
    /// The same track goes on as another stream, and how many frames that one is said to have.
    NewStream(Box<AudioCodecParameters>, Option<u64>),
    /// The end, as far as the container can tell.
    End,
    /// The file ends in the middle of a packet.
    CutOff,
    /// The container makes no more sense.
    Broken(SymphoniaError),
}

/// Packets of a track, one after another.
pub(super) trait PacketReader: Send {
    /// The next packet, or how the track ends.
    fn next(&mut self) -> Decoded<Step>;

    /// Goes to the packet that holds `frame`; the frame that it begins with, as it says itself. That is a
    /// later one where the packet is damaged. Nothing, where packets have to be read one after another.
    fn go_to(&mut self, _frame: u64) -> Decoded<Option<u64>> {
        Ok(None)
    }
}

/// Packets of one track of a symphonia demuxer.
pub(super) struct Demuxed {
    demuxer: Box<dyn FormatReader>,
    track: u32,
    clock: Option<Clock>,
    /// Files that were joined to this one, still to be read.
    joined: VecDeque<(File, Range<u64>)>,
    /// Whether the demuxer finds times by itself, and they are frames.
    finds: bool,
}

impl Demuxed {
    pub(super) fn new(
        demuxer: Box<dyn FormatReader>,
        track: u32,
        sample_rate: u32,
        joined: VecDeque<(File, Range<u64>)>,
    ) -> Self {
        let clock = demuxer
            .tracks()
            .iter()
            .find(|found| found.id == track)
            .and_then(|track| Clock::unless_frames(track.time_base, sample_rate));
        // Others read all packets up to there, or pages, whose times are rounded.
        let finds = clock.is_none() && demuxer.format_info().format == FORMAT_ID_FLAC;
        Self { demuxer, track, clock, joined, finds }
    }

    /// A new logical stream begins, as in chained Ogg files.
    fn new_stream(&mut self) -> Step {
        let Some(track) = self.demuxer.default_track(TrackType::Audio) else {
            return Step::End;
        };
        let Some(parameters) = audio_parameters(track) else {
            return Step::End;
        };
        self.track = track.id;
        Step::NewStream(Box::new(parameters.clone()), None)
    }

    /// The next of the MPEG files that were joined to one.
    fn next_joined(&mut self) -> Decoded<Step> {
        let Some((file, part)) = self.joined.pop_front() else {
            return Ok(Step::End);
        };
        let stream = media_stream(Window::new(file, part)?);
        match MpaReader::try_new(stream, FormatOptions::default()) {
            Ok(demuxer) => self.demuxer = Box::new(demuxer),
            Err(error) => return Ok(Step::Broken(error)),
        }
        let frames = self.demuxer.tracks().first().and_then(|track| track.num_frames);
        Ok(match self.new_stream() {
            Step::NewStream(parameters, _) => Step::NewStream(parameters, frames),
            other => other,
        })
    }
}

impl PacketReader for Demuxed {
    fn go_to(&mut self, frame: u64) -> Decoded<Option<u64>> {
        let Ok(time) = i64::try_from(frame) else { return Ok(None) };
        if !self.finds {
            return Ok(None);
        }
        let to = SeekTo::Timestamp { ts: Timestamp::new(time), track_id: self.track };
        let found = self.demuxer.seek(SeekMode::Accurate, to).map_err(DecodeProblem::decoder)?;
        Ok(Some(u64::try_from(found.actual_ts.get()).unwrap_or(0)))
    }

    fn next(&mut self) -> Decoded<Step> {
        loop {
            return match self.demuxer.next_packet() {
                Ok(Some(packet)) if packet.track_id != self.track => continue,
                Ok(Some(mut packet)) => {
                    if let Some(clock) = self.clock {
                        packet.pts = clock.timestamp(packet.pts);
                        packet.dur = clock.duration(packet.dur);
                    }
                    Ok(Step::Packet(packet))
                }
                Ok(None) => self.next_joined(),
                Err(SymphoniaError::ResetRequired) => Ok(self.new_stream()),
                Err(SymphoniaError::IoError(error)) if error.kind() == ErrorKind::UnexpectedEof => {
                    Ok(Step::CutOff)
                }
                Err(SymphoniaError::IoError(error)) => Err(DecodeProblem::Io(error)),
                Err(error) => Ok(Step::Broken(error)),
            };
        }
    }
}

/// The way from a track's ticks to its frames.
#[derive(Clone, Copy)]
struct Clock {
    frames: i128,
    ticks: i128,
}

impl Clock {
    /// Nothing where ticks are frames already.
    fn unless_frames(time_base: Option<TimeBase>, sample_rate: u32) -> Option<Self> {
        let time_base = time_base?;
        let frames = i128::from(time_base.numer.get()) * i128::from(sample_rate);
        let ticks = i128::from(time_base.denom.get());
        (frames != ticks).then_some(Self { frames, ticks })
    }

    fn convert(self, ticks: i128) -> i128 {
        (ticks * self.frames + self.ticks / 2).div_euclid(self.ticks)
    }

    fn timestamp(self, ticks: Timestamp) -> Timestamp {
        Timestamp::new(i64::try_from(self.convert(ticks.get().into())).unwrap_or(0))
    }

    fn duration(self, ticks: Duration) -> Duration {
        Duration::new(u64::try_from(self.convert(ticks.get().into())).unwrap_or(0))
    }
}

/// The audio parameters of a track, if it is an audio track.
pub(super) fn audio_parameters(track: &Track) -> Option<&AudioCodecParameters> {
    track.codec_params.as_ref().and_then(|parameters| parameters.audio())
}

/// A source as symphonia's readers take it.
pub(super) fn media_stream(source: Window) -> MediaSourceStream<'static> {
    MediaSourceStream::new(Box::new(source), MediaSourceStreamOptions::default())
}

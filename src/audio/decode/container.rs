//! Packets of a container into mono blocks, at the times where they belong.
//!
//! In: a file whose container symphonia or this room takes apart (FLAC, Ogg, MPEG audio, MP4,
//! Matroska, ADTS, CAF). Out: mono blocks. Packets that do not decode become as much silence as
//! they should have been sound, so that times hold; what the container says an encoder added at
//! the beginning and the end is dropped. Refuses containers without an audio track that somebody
//! here decodes.

mod passing;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::formats::{FormatOptions, FormatReader};
use symphonia::core::io::{
    MediaSource, MediaSourceStream, MediaSourceStreamOptions, ReadOnlySource,
};
use symphonia::core::packet::Packet;
use symphonia::default::formats::MpaReader;

use super::aac::{self, Profile};
use super::adts::AdtsReader;
use super::bytes::read_up_to;
use super::caf::CafTrack;
use super::codec::{Codec, Samples};
use super::declared::{self, Declared};
use super::demuxers::{choose_track, not_recognised, open_matroska, open_mp4, probe};
use super::flac;
use super::matroska::Outline;
use super::mix::Frames;
use super::mp4::Movie;
use super::packet_reader::{Demuxed, PacketReader, Step};
use super::recorded;
use super::wav::WavLayout;
use super::window::Window;
use super::{BlockSource, Decoded, Integrity, StreamFormat};
use crate::audio::sniff::FileKind;
use crate::dates::Recorded;
use crate::error::DecodeProblem;

/// Longest silence, in frames, that stands for what could not be decoded at once: 16 of FLAC's
/// largest blocks. What is said to be longer is damage too.
const MAX_GAP_FRAMES: u64 = 16 * 65_536;

/// Packets without a single frame in a row after which a stream counts as broken. Headers and the
/// first Vorbis packet have none; no sound stream has this many.
const MAX_EMPTY_PACKETS: u32 = 10_000;

/// Packets that are asked whether they hold HE-AAC, where the header does not say.
const PACKETS_TO_ASK: usize = 12;

/// Frames by which MPEG audio may fall short of its tag and still be whole: encoders disagree on
/// whether the tag's own frame counts, and decoders on the last one.
pub(super) const MPEG_SLACK_FRAMES: u64 = 2 * 1_152;

/// What a container says of a track.
#[derive(Clone, Copy, Default)]
struct Said {
    declared: Option<Declared>,
    truncated: bool,
    /// Frames to drop at the beginning.
    skip: Option<u64>,
    /// Frames that are played after these.
    played: Option<u64>,
    /// Frames to drop at the end.
    padding: u64,
    clock: Option<Clock>,
    recorded: Option<Recorded>,
    /// Whether packets say exactly how many frames they hold: neither rounded nor not at all.
    counts: bool,
}

/// How packets' times show that some are missing.
#[derive(Clone, Copy)]
struct Clock {
    /// The time of the beginning; none before the first packet with sound has said it.
    start: Option<i64>,
    /// Frames by which times may be ahead without a packet missing.
    tolerance: u64,
}

impl Clock {
    /// Times that are exact and begin with the file.
    const EXACT: Self = Self { start: Some(0), tolerance: 0 };

    /// Times that a container rounds: to the millisecond, or to whole pages.
    fn rounded(sample_rate: u32) -> Self {
        Self { start: None, tolerance: u64::from(sample_rate / 20) }
    }
}

/// What becomes of the beginning of a track.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beginning {
    /// It has to be decoded, like the rest.
    Decoded,
    /// It may be passed over: packets say exactly how many frames they hold.
    Countable,
    /// Some of it was.
    PassedOver,
}

/// Mono blocks of a track.
pub(super) struct ContainerSource {
    reader: Box<dyn PacketReader>,
    /// Steps that were looked at already.
    ahead: VecDeque<Step>,
    codec: Codec,
    declared: Declared,
    clock: Option<Clock>,
    /// Frames of the present stream decoded or filled in, dropped ones too.
    elapsed: u64,
    /// Frames given.
    frames: u64,
    /// Frames still to drop.
    skip: u64,
    /// Frames still to give, where the container says when to stop.
    left: Option<u64>,
    /// Frames to drop from the last packet.
    padding: u64,
    recorded: Option<Recorded>,
    truncated: bool,
    damaged: bool,
    beginning: Beginning,
    interleaved: Vec<f32>,
}

type Opened = (StreamFormat, Box<dyn BlockSource>);

impl ContainerSource {
    pub(super) fn open(mut file: File, kind: FileKind) -> Decoded<Opened> {
        let file_bytes = file.seek(SeekFrom::End(0))?;
        match kind {
            FileKind::Aac => {
                let (reader, parameters) = AdtsReader::open(file)?;
                let said = Said { clock: Some(Clock::EXACT), ..Said::default() };
                Self::with_reader(Box::new(reader), Codec::open(&parameters)?, said)
            }
            FileKind::Ogg => {
                let (declared, end) = declared::of_ogg(&mut file)?;
                let said = Said { declared: Some(declared), counts: true, ..Said::default() };
                let first = read_up_to(&mut file, 0, 256)?;
                let demuxer = probe(Window::new(file, 0..end)?, "ogg")
                    .map_err(|problem| declared::undecoded_in_ogg(&first).unwrap_or(problem))?;
                let (track, codec) = choose_track(&*demuxer)?;
                let clock = if codec.format.codec == "flac" {
                    Clock::EXACT
                } else {
                    Clock::rounded(codec.format.sample_rate.hertz())
                };
                let said = Said { clock: Some(clock), ..said };
                Self::with_demuxer(demuxer, track, codec, said, VecDeque::new())
            }
            FileKind::Mp4 => {
                let movie = Movie::read(&mut file)?;
                let demuxer = open_mp4(Window::new(file, 0..movie.end.max(file_bytes))?)?;
                let (track, codec) = choose_track(&*demuxer)?;
                let said = movie_said(&movie, track, &codec);
                Self::with_demuxer(demuxer, track, codec, said, VecDeque::new())
            }
            FileKind::Matroska => {
                let outline = Outline::read(&mut file)?;
                let demuxer = open_matroska(Window::new(file, 0..outline.end)?, outline.cut_off)?;
                let (track, codec) = choose_track(&*demuxer)?;
                let rate = codec.format.sample_rate.hertz();
                let said = Said {
                    truncated: outline.cut_off,
                    skip: Some(outline.delay(track, rate)),
                    padding: outline.padding(track, rate),
                    clock: Some(Clock::rounded(rate)),
                    ..Said::default()
                };
                Self::with_demuxer(demuxer, track, codec, said, VecDeque::new())
            }
            FileKind::Mpeg => {
                let declared = declared::of_mpeg(&mut file)?;
                let mut parts = declared::mpeg_parts(&mut file)?;
                let first = parts.pop_front().unwrap_or(0..file_bytes);
                let joined = parts
                    .into_iter()
                    .map(|part| Ok((file.try_clone()?, part)))
                    .collect::<Decoded<VecDeque<_>>>()?;
                let demuxer = probe(Window::new(file, first)?, "mp3")?;
                let said = Said { declared: Some(declared), counts: true, ..Said::default() };
                let (track, codec) = choose_track(&*demuxer)?;
                Self::with_demuxer(demuxer, track, codec, said, joined)
            }
            _ => {
                let wrong = flac::wrong_table(&mut file, file_bytes)?;
                let source = Window::new(file, 0..file_bytes)?.with(wrong);
                let demuxer = probe(source, "flac")?;
                let said = Said {
                    declared: Some(Declared::FrameCount { slack: 0 }),
                    clock: Some(Clock::EXACT),
                    counts: true,
                    ..Said::default()
                };
                let (track, codec) = choose_track(&*demuxer)?;
                Self::with_demuxer(demuxer, track, codec, said, VecDeque::new())
            }
        }
    }

    pub(super) fn open_mpeg_in_wav(mut file: File, layout: &WavLayout) -> Decoded<Opened> {
        file.seek(SeekFrom::Start(layout.data_start))?;
        let data: Box<dyn MediaSource> =
            Box::new(ReadOnlySource::new(file.take(layout.data_bytes)));
        let stream = MediaSourceStream::new(data, MediaSourceStreamOptions::default());
        let demuxer =
            MpaReader::try_new(stream, FormatOptions::default()).map_err(not_recognised)?;
        let demuxer: Box<dyn FormatReader> = Box::new(demuxer);
        let said = Said { truncated: layout.truncated, counts: true, ..Said::default() };
        let (track, codec) = choose_track(&*demuxer)?;
        Self::with_demuxer(demuxer, track, codec, said, VecDeque::new())
    }

    pub(super) fn open_caf(track: CafTrack) -> Decoded<Opened> {
        let (skip, played) = track.edit;
        let said = Said { truncated: track.truncated, skip, played, ..Said::default() };
        Self::with_reader(Box::new(track.reader), Codec::open(&track.parameters)?, said)
    }

    fn with_demuxer(
        mut demuxer: Box<dyn FormatReader>,
        track: u32,
        codec: Codec,
        mut said: Said,
        joined: VecDeque<(File, std::ops::Range<u64>)>,
    ) -> Decoded<Opened> {
        if let Some(Declared::FrameCount { slack }) = said.declared {
            let found = demuxer.tracks().iter().find(|found| found.id == track);
            said.declared = Some(match found.and_then(|track| track.num_frames) {
                Some(frames) if frames > 0 => Declared::Frames(frames.saturating_sub(slack)),
                _ => Declared::Nothing,
            });
        }
        said.recorded = recorded::of_tags(&mut *demuxer);
        let rate = codec.format.sample_rate.hertz();
        let reader = Demuxed::new(demuxer, track, rate, joined);
        Self::with_reader(Box::new(reader), codec, said)
    }

    fn with_reader(reader: Box<dyn PacketReader>, codec: Codec, said: Said) -> Decoded<Opened> {
        let mut source = Self {
            reader,
            ahead: VecDeque::new(),
            // An Opus header's word holds wherever it stands.
            skip: said.skip.unwrap_or(0).max(codec.pre_skip),
            codec,
            beginning: if said.counts { Beginning::Countable } else { Beginning::Decoded },
            declared: said.declared.unwrap_or(Declared::Nothing),
            clock: said.clock,
            elapsed: 0,
            frames: 0,
            left: said.played,
            padding: said.padding,
            recorded: said.recorded,
            truncated: said.truncated,
            damaged: false,
            interleaved: Vec::new(),
        };
        source.look_for_he_aac()?;
        source.look_for_channels()?;
        Ok((source.codec.format.clone(), Box::new(source)))
    }

    /// Names HE-AAC whose header keeps silent about it: it says that for the sake of old decoders,
    /// and ADTS cannot say otherwise.
    fn look_for_he_aac(&mut self) -> Decoded<()> {
        if self.codec.format.codec != Profile::LowComplexity.codec_name() {
            return Ok(());
        }
        while self.ahead.len() < PACKETS_TO_ASK {
            let step = self.reader.next()?;
            let is_packet = matches!(step, Step::Packet(_));
            self.ahead.push_back(step);
            if !is_packet {
                break;
            }
        }
        let yes =
            |step: &&Step| matches!(step, Step::Packet(packet) if aac::ends_with_sbr(&packet.data));
        let found = self.ahead.iter().filter(yes).count();
        if found > 0 && 2 * found >= self.ahead.len() {
            self.codec.mark_he_aac();
        }
        Ok(())
    }

    /// Asks the first packet for the number of channels, where the header does not say.
    fn look_for_channels(&mut self) -> Decoded<()> {
        if self.codec.packets_say_channels && self.ahead.is_empty() {
            let step = self.reader.next()?;
            if let Step::Packet(packet) = &step {
                self.codec.take_channels(&packet.data);
            }
            self.ahead.push_back(step);
        }
        Ok(())
    }

    /// The same track goes on as another stream, if that one has the same rate.
    fn restart(&mut self, parameters: &AudioCodecParameters, frames: Option<u64>) -> Decoded<bool> {
        let codec = Codec::open(parameters)?;
        if codec.format.sample_rate != self.codec.format.sample_rate {
            self.damaged = true;
            return Ok(false);
        }
        if let (Declared::Frames(declared), Some(frames)) = (&mut self.declared, frames) {
            *declared += frames.saturating_sub(MPEG_SLACK_FRAMES);
        }
        self.codec = codec;
        self.skip = self.codec.pre_skip;
        self.elapsed = 0;
        if let Some(clock) = &mut self.clock {
            clock.start = None;
        }
        Ok(true)
    }

    fn decode(&mut self, packet: &Packet, block: &mut Frames) -> Decoded<()> {
        let time = packet.pts.get();
        self.fill_gap(time, block);
        if let Some(mut samples) = self.codec.decode(packet, &mut self.interleaved) {
            if self.padding > 0 && self.is_last()? {
                let padding = usize::try_from(self.padding).unwrap_or(usize::MAX);
                samples.frames = samples.frames.saturating_sub(padding);
            }
            self.give(samples, block);
        } else {
            let frames = self.codec.frames_of(packet).unwrap_or(0);
            self.push_silence(frames, block);
        }
        // The first packet of Vorbis has a time but no frames.
        if let Some(clock) = self.clock.as_mut().filter(|_| self.elapsed > 0) {
            clock.start.get_or_insert(time);
        }
        Ok(())
    }

    /// Whether no packet follows.
    fn is_last(&mut self) -> Decoded<bool> {
        if self.ahead.is_empty() {
            let step = self.reader.next()?;
            self.ahead.push_back(step);
        }
        Ok(matches!(self.ahead.front(), Some(Step::End)))
    }

    /// Appends what `self.interleaved` holds, less what is to be dropped.
    fn give(&mut self, samples: Samples, block: &mut Frames) {
        let frames = samples.frames as u64;
        self.elapsed += frames;
        let dropped = self.skip.min(frames);
        self.skip -= dropped;
        let kept = self.left.map_or(frames - dropped, |left| left.min(frames - dropped));
        if let Some(left) = &mut self.left {
            *left -= kept;
        }
        self.frames += kept;
        let place = |frames: u64| usize::try_from(frames).unwrap_or(0) * samples.channels;
        let played = self.interleaved.get(place(dropped)..place(dropped + kept));
        block.push(played.unwrap_or_default(), samples.channels);
    }

    /// Appends silence for `frames` frames that are damaged.
    fn push_silence(&mut self, frames: u64, block: &mut Frames) {
        self.damaged = true;
        let frames = usize::try_from(frames.min(MAX_GAP_FRAMES)).unwrap_or(0);
        self.interleaved.clear();
        self.interleaved.resize(frames, 0.0);
        self.give(Samples { frames, channels: 1 }, block);
    }

    /// Puts silence where the demuxer passed over packets that it could not make out.
    fn fill_gap(&mut self, time: i64, block: &mut Frames) {
        let Some(Clock { start: Some(start), tolerance }) = self.clock else { return };
        let position = u64::try_from(time.saturating_sub(start)).unwrap_or(0);
        let missing = position.saturating_sub(self.elapsed);
        let surplus = self.elapsed.saturating_sub(position);
        // A damaged time could lie anywhere.
        if missing > tolerance && missing <= MAX_GAP_FRAMES {
            self.push_silence(missing, block);
        } else if self.damaged && surplus > self.rounding() && surplus <= MAX_GAP_FRAMES {
            // What came out of damaged packets was too long.
            self.elapsed = position;
            self.skip += surplus;
        }
    }

    /// Frames that a container's rounding of times may amount to: two milliseconds.
    fn rounding(&self) -> u64 {
        u64::from(self.codec.format.sample_rate.hertz() / 500)
    }

    fn finish(&mut self) {
        // It is of all samples.
        self.damaged |= self.beginning != Beginning::PassedOver && self.codec.checksum_is_wrong();
        self.truncated |= match self.declared {
            Declared::Frames(frames) => self.frames < frames,
            Declared::CutOff => true,
            Declared::FrameCount { .. } | Declared::Nothing => false,
        };
    }

    fn next_step(&mut self) -> Decoded<Step> {
        match self.ahead.pop_front() {
            Some(step) => Ok(step),
            None => self.reader.next(),
        }
    }
}

impl BlockSource for ContainerSource {
    fn next_block(&mut self, block: &mut Frames) -> Decoded<bool> {
        for _ in 0..MAX_EMPTY_PACKETS {
            if self.left == Some(0) {
                self.finish();
                return Ok(false);
            }
            match self.next_step()? {
                Step::Packet(packet) => self.decode(&packet, block)?,
                Step::NewStream(parameters, frames) => {
                    if !self.restart(&parameters, frames)? {
                        return Ok(false);
                    }
                }
                Step::End => {
                    self.finish();
                    return Ok(false);
                }
                Step::CutOff => {
                    self.truncated = true;
                    return Ok(false);
                }
                Step::Broken(error) if self.frames == 0 => {
                    return Err(DecodeProblem::decoder(error));
                }
                Step::Broken(_) => {
                    self.damaged = true;
                    return Ok(false);
                }
            }
            if !block.is_empty() {
                return Ok(true);
            }
        }
        self.damaged = true;
        Ok(false)
    }

    fn pass_over(&mut self, most: u64) -> Decoded<u64> {
        self.pass_over_frames(most)
    }

    fn recorded(&self) -> Option<Recorded> {
        self.recorded
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

/// What an MP4 file says of one of its tracks.
fn movie_said(movie: &Movie, track: u32, codec: &Codec) -> Said {
    let rate = codec.format.sample_rate.hertz();
    let (skip, edited) = movie.edit(track, rate);
    let skip = skip.unwrap_or(0).max(codec.pre_skip);
    // The packets' own times: the last one's is often shorter than what it decodes to.
    let timed = movie.frames(track, rate);
    // An edit that would drop everything is damaged.
    let skip = if timed.is_some_and(|frames| frames <= skip) { codec.pre_skip } else { skip };
    let timed = timed.map(|frames| frames.saturating_sub(skip));
    let played = match (edited, timed) {
        (Some(edited), Some(timed)) => Some(edited.min(timed)),
        (one, other) => one.or(other),
    };
    Said {
        declared: Some(if movie.cut_off { Declared::CutOff } else { Declared::Nothing }),
        truncated: false,
        skip: Some(skip),
        padding: 0,
        played: played.filter(|&frames| frames > 0),
        clock: Some(Clock::rounded(rate)),
        recorded: None,
        counts: false,
    }
}

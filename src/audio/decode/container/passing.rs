//! The beginning of a track, without decoding it.
//!
//! In: a track of which nothing was read, and how many frames are not wanted. Out: the same track, so
//! many frames later. Passes over nothing where packets do not say exactly how many frames they hold,
//! and where what a codec gives depends on everything before.

use std::collections::VecDeque;

use symphonia::core::packet::Packet;

use super::{Beginning, ContainerSource, Declared, MAX_GAP_FRAMES, Samples, Step};
use crate::audio::decode::Decoded;
use crate::audio::decode::mix::{Frames, Mix};
use crate::audio::decode::preroll::Preroll;
use crate::error::DecodeProblem;

impl ContainerSource {
    /// As [`pass_over`](crate::audio::decode::BlockSource::pass_over).
    pub(super) fn pass_over_frames(&mut self, most: u64) -> Decoded<u64> {
        let may_be = self.beginning == Beginning::Countable;
        let preroll = self.codec.preroll().filter(|_| may_be);
        let Some(preroll) = preroll else { return Ok(0) };
        let declared = match self.declared {
            Declared::Frames(frames) => frames,
            _ => u64::MAX,
        };
        // Who asks for what is behind the end is told how long all of it is.
        if most == 0 || most >= declared {
            return Ok(0);
        }
        match self.go_to(most)? {
            Some(frame) => (self.elapsed, self.frames) = (frame, frame),
            None => self.pass_over_packets(most, preroll)?,
        }
        self.beginning = Beginning::PassedOver;
        Ok(self.frames)
    }

    /// Goes to the packet that holds frame `most`, where packets can be found by their own numbers; the
    /// frame that it begins with. Nothing, where they have to be counted.
    ///
    /// # Errors
    /// [`DecodeProblem::Malformed`] when what was found is no packet of that number: the stream has to be
    /// read from the beginning then.
    fn go_to(&mut self, most: u64) -> Decoded<Option<u64>> {
        if !self.ahead.is_empty() {
            return Ok(None);
        }
        // A stream that was cut out of a longer one keeps its numbers: times are counted there, without
        // as much silence as would be missing.
        let first = self.reader.next()?;
        let is_counted = time_of(&first).is_none_or(|time| time > MAX_GAP_FRAMES);
        let found = if is_counted { None } else { self.reader.go_to(most)? };
        if found.is_none() {
            self.ahead.push_back(first);
            return Ok(None);
        }
        // What looks like a packet's head may stand anywhere.
        let next = self.reader.next()?;
        let time = time_of(&next);
        self.ahead.push_back(next);
        if time != found || found.is_some_and(|frame| frame > most) {
            return Err(DecodeProblem::Malformed {
                what: "stream of packets",
                expected: "the packet of the frame that was sought",
                found: match time {
                    Some(frame) => format!("one of frame {frame} instead of {most}"),
                    None => "none".to_owned(),
                },
            });
        }
        Ok(found)
    }

    /// Counts the frames of a packet without decoding it.
    fn count(&mut self, packet: &Packet, nowhere: &mut Frames) {
        let time = packet.pts.get();
        self.fill_gap(time, nowhere);
        let trimmed = packet.trim_start.get() + packet.trim_end.get() > 0;
        // Whether the packet's duration has what is trimmed in it, demuxers do not agree on.
        let decoded = if trimmed { self.codec.decode(packet, &mut self.interleaved) } else { None };
        let frames = usize::try_from(packet.dur.get()).unwrap_or(0);
        let samples = decoded.unwrap_or(Samples { frames, channels: 1 });
        self.interleaved.clear();
        self.give(samples, nowhere);
        nowhere.samples.clear();
        if let Some(clock) = self.clock.as_mut().filter(|_| self.elapsed > 0) {
            clock.start.get_or_insert(time);
        }
    }

    /// Reads packets up to the one that ends behind frame `until`, and decodes only the last ones of
    /// them, for what the codec has to know.
    fn pass_over_packets(&mut self, until: u64, preroll: Preroll) -> Decoded<()> {
        let mut nowhere = Frames::new(Mix::Mean, 1);
        let mut last: VecDeque<Packet> = VecDeque::new();
        loop {
            match self.next_step()? {
                Step::Packet(packet) if self.frames + packet.dur.get() <= until => {
                    self.count(&packet, &mut nowhere);
                    last.push_back(packet);
                    if last.len() > preroll.most_packets() {
                        keep_latest(&mut last, preroll);
                    }
                }
                other => {
                    self.ahead.push_front(other);
                    break;
                }
            }
        }
        keep_latest(&mut last, preroll);
        for packet in last {
            // What comes out belongs to what was passed over.
            let _ = self.codec.decode(&packet, &mut self.interleaved);
        }
        Ok(())
    }
}

/// Lets go of what need not be decoded.
fn keep_latest(packets: &mut VecDeque<Packet>, preroll: Preroll) {
    let surplus = packets.len() - preroll.packets(packets);
    packets.drain(..surplus);
}

/// The frame with which a packet says that it begins.
fn time_of(step: &Step) -> Option<u64> {
    match step {
        Step::Packet(packet) => u64::try_from(packet.pts.get()).ok(),
        _ => None,
    }
}

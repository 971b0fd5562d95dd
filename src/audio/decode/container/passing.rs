//! The beginning of a track, without decoding it.
//!
//! In: a track of which nothing was read, and how many frames are not wanted. Out: the same track, so
//! many frames later. Passes over nothing where packets do not say exactly how many frames they hold,
//! and where what a codec gives depends on everything before.

use std::collections::VecDeque;

use symphonia::core::packet::Packet;

use super::{Beginning, ContainerSource, Declared, Samples, Step};
use crate::audio::decode::Decoded;
use crate::audio::decode::mix::{Frames, Mix};

impl ContainerSource {
    /// As [`pass_over`](crate::audio::decode::BlockSource::pass_over).
    pub(super) fn pass_over_frames(&mut self, most: u64) -> Decoded<u64> {
        let may_be = self.beginning == Beginning::Countable;
        let preroll = self.codec.preroll_packets().filter(|_| may_be);
        let Some(preroll) = preroll else { return Ok(0) };
        let declared = match self.declared {
            Declared::Frames(frames) => frames,
            _ => u64::MAX,
        };
        // Who asks for what is behind the end is told how long all of it is.
        if most == 0 || most >= declared {
            return Ok(0);
        }
        let found = if self.ahead.is_empty() { self.reader.go_to(most)? } else { None };
        match found {
            Some(frame) => (self.elapsed, self.frames) = (frame, frame),
            None => self.pass_over_packets(most, preroll)?,
        }
        self.beginning = Beginning::PassedOver;
        Ok(self.frames)
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
    fn pass_over_packets(&mut self, until: u64, preroll: usize) -> Decoded<()> {
        let mut nowhere = Frames::new(Mix::Mean, 1);
        let mut last: VecDeque<Packet> = VecDeque::new();
        loop {
            match self.next_step()? {
                Step::Packet(packet) if self.frames + packet.dur.get() <= until => {
                    self.count(&packet, &mut nowhere);
                    last.push_back(packet);
                    if last.len() > preroll {
                        last.pop_front();
                    }
                }
                other => {
                    self.ahead.push_front(other);
                    break;
                }
            }
        }
        for packet in last {
            // What comes out belongs to what was passed over.
            let _ = self.codec.decode(&packet, &mut self.interleaved);
        }
        Ok(())
    }
}

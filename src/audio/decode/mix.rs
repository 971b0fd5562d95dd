//! Interleaved channels into what was asked for: their mean, one of them, or all.
//!
//! In: interleaved frames, as codecs give them. Out: frames of [`Mix::width`] samples. Refuses
//! nothing: whether a channel exists is checked where the file is opened. Packets of one stream
//! need not agree on their channels, and silence that stands for damage has one.

/// What becomes of a recording's channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mix {
    /// One sample a frame: the mean over channels.
    #[default]
    Mean,
    /// One sample a frame: that channel's, counted from 0.
    Channel(u16),
    /// A sample a channel, interleaved.
    All,
}

/// Frames that were decoded, in the shape that was asked for.
#[derive(Debug)]
pub(super) struct Frames {
    mix: Mix,
    /// Channels of the stream, as its header says.
    channels: usize,
    pub(super) samples: Vec<f32>,
}

impl Frames {
    pub(super) fn new(mix: Mix, channels: u16) -> Self {
        Self { mix, channels: channels.into(), samples: Vec::new() }
    }

    /// What becomes of channels.
    pub(super) fn mix(&self) -> Mix {
        self.mix
    }

    /// Samples of a frame.
    pub(super) fn width(&self) -> usize {
        if self.mix == Mix::All { self.channels } else { 1 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Appends interleaved frames, `[frames * channels]`.
    pub(super) fn push(&mut self, interleaved: &[f32], channels: usize) {
        match self.mix {
            Mix::Mean => mean(interleaved, channels, &mut self.samples),
            Mix::Channel(_) | Mix::All if channels == 0 => {}
            Mix::Channel(channel) => {
                let channel = usize::from(channel);
                // A single channel stands for all of them: silence, or a packet of another kind.
                let place = if channels == 1 { 0 } else { channel };
                let frames = interleaved.chunks_exact(channels);
                self.samples.extend(frames.map(|frame| frame.get(place).copied().unwrap_or(0.0)));
            }
            Mix::All if channels == self.channels => self.samples.extend_from_slice(interleaved),
            Mix::All => {
                for frame in interleaved.chunks_exact(channels) {
                    self.samples.extend((0..self.channels).map(|channel| {
                        let place = if channels == 1 { 0 } else { channel };
                        frame.get(place).copied().unwrap_or(0.0)
                    }));
                }
            }
        }
    }
}

/// Appends the mean over channels of interleaved frames to `mono`.
#[expect(clippy::cast_possible_truncation, reason = "a mean lies between what it is the mean of")]
fn mean(interleaved: &[f32], channels: usize, mono: &mut Vec<f32>) {
    match channels {
        0 => {}
        1 => mono.extend_from_slice(interleaved),
        2 => mono.extend(interleaved.chunks_exact(2).map(|frame| 0.5 * frame[0] + 0.5 * frame[1])),
        _ => mono.extend(interleaved.chunks_exact(channels).map(|frame| {
            (frame.iter().map(|&x| f64::from(x)).sum::<f64>() / channels as f64) as f32
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mixed(mix: Mix, pushes: &[(&[f32], usize)]) -> Vec<f32> {
        let mut frames = Frames::new(mix, 2);
        for (interleaved, channels) in pushes {
            frames.push(interleaved, *channels);
        }
        frames.samples
    }

    #[test]
    fn each_shape_and_packets_that_disagree() {
        let packets: [(&[f32], usize); 3] =
            [(&[1.0, 3.0, 2.0, 4.0], 2), (&[7.0], 1), (&[1.0, 2.0, 6.0], 3)];
        assert_eq!(mixed(Mix::Mean, &packets), [2.0, 3.0, 7.0, 3.0]);
        assert_eq!(mixed(Mix::Channel(0), &packets), [1.0, 2.0, 7.0, 1.0]);
        assert_eq!(mixed(Mix::Channel(1), &packets), [3.0, 4.0, 7.0, 2.0]);
        assert_eq!(mixed(Mix::All, &packets), [1.0, 3.0, 2.0, 4.0, 7.0, 7.0, 1.0, 2.0]);
    }
}

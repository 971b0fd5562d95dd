//! What can be typed after `sonoteca describe`.

use std::ffi::OsString;
use std::path::PathBuf;

/// `sonoteca describe`
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Say what is heard in a recording along time, and draw it

A class is heard in a segment (yamnet: 0.96 s, every 0.48 s) when its score there is at least --threshold \
                  and among the --top highest of that segment. Segments in which one class is heard \
                  are one event as long as no more than half a hop lies between them: of segments \
                  that overlap by half, a single one in which the class falls short is no gap. An \
                  event's score is that of its best segment, beside their mean. Classes are listed \
                  by how long they are heard. Segments of silence, and of one constant value, are \
                  left out and counted.

Scores are those of the network, and no probabilities: what a good threshold is differs from class to \
                  class.

--model crepe or crepe-tiny tells the pitch instead, every 10 ms: where its confidence is at least \
                  --pitch-confidence. What follows one another within 50 ms, and moves by less than a \
                  semitone at a time, is one stretch; stretches below 50 ms are left out. It is made \
                  for one voice or instrument, from 32 to 2,000 Hz.

Any recording can be described, whether the library has it or not; times \
                  count from the recording's beginning, also with --start.

--plot draws the waveform, the spectrogram up to half the recording's sample rate, the classes that are \
                  heard longest, and the pitch, along one axis of time. It takes half a second as well as a day. \
                  Darker is more, also in grey. What it shows of a column is the highest score in it.",
    after_help = "Examples:
  sonoteca describe bark.wav
  sonoteca describe walk.wav --plot walk.png
  sonoteca describe id:17 --start 60 --end 90 --plot minute.svg
  sonoteca describe night.flac --threshold 0.5 --format audacity > night.txt
  sonoteca describe walk.wav --segments --format csv
  sonoteca describe song.wav --model crepe --plot song.png
  ffmpeg -i talk.mp4 -f wav - | sonoteca describe -"
)]
pub(crate) struct DescribeArgs {
    /// An audio file, id:N for recording N of the library, or - for audio on standard input
    #[arg(value_name = "FILE|id:N")]
    pub(crate) recording: OsString,
    /// Where the part of it begins that counts: seconds, or such as 9m, 1h2m3s or 1:02:03.5
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = super::time)]
    pub(crate) start: Option<f64>,
    /// Where it ends
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = super::time)]
    pub(crate) end: Option<f64>,
    /// The channel that counts, from 1 [default: the mean over all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) channel: Option<u16>,
    /// The network whose classes, or whose pitch, are said; may be given several times
    #[arg(long, value_name = "NAME", default_value = "yamnet")]
    pub(crate) model: Vec<String>,
    /// From which score on a class is heard
    #[arg(long, value_name = "SCORE", default_value_t = 0.2, value_parser = score)]
    pub(crate) threshold: f32,
    /// Classes of a segment that are heard at most, lanes of a plot, and classes that are listed
    #[arg(
        long,
        value_name = "N",
        default_value_t = 8,
        value_parser = clap::value_parser!(u16).range(1..=100)
    )]
    pub(crate) top: u16,
    /// From which confidence on a pitch is heard
    #[arg(long, value_name = "SHARE", default_value_t = 0.5, value_parser = score)]
    pub(crate) pitch_confidence: f32,
    /// List the highest classes of every segment, and the pitch of every frame, instead of events
    #[arg(long)]
    pub(crate) segments: bool,
    /// Draw it into FILE, a .png or .svg; nothing is overwritten
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) plot: Option<PathBuf>,
}

fn score(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(score) if (0.0..=1.0).contains(&score) => Ok(score),
        _ => Err("expected a score from 0 to 1, such as 0.2".to_owned()),
    }
}

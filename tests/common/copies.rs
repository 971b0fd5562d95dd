//! Copies of real recordings, altered in ways that people's are, and what is known about each.

#![allow(unreachable_pub, dead_code, clippy::unwrap_used, reason = "shared by test programs")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use shine_rs::{Mp3EncoderConfig, StereoMode, encode_pcm_to_mp3};
use sonoteca::audio::decode::Decoder;
use sonoteca::audio::resample::{ResampleFilter, Resampler};
use sonoteca::units::SampleRate;

/// Ways in which a copy differs from its original.
pub const KINDS: [&str; 6] = ["mp3", "cut", "gain", "half", "pasted", "resampled"];

/// Rate of all originals, in Hz.
const RATE: u32 = 44_100;

/// A copy, and where in it the original is.
#[derive(Clone, Debug)]
pub struct Copy {
    pub kind: &'static str,
    pub path: PathBuf,
    /// File name of the original.
    pub original: String,
    /// Time in the original less the time in the copy, in seconds.
    pub shift_s: f64,
}

/// The samples of the recording at `path`, mono at 44.1 kHz.
pub fn samples(path: &Path) -> Vec<f32> {
    let mut decoder = Decoder::open(path).unwrap();
    assert_eq!(decoder.format().sample_rate.hertz(), RATE);
    let (mut all, mut block) = (Vec::new(), Vec::new());
    while decoder.next_block(&mut block).unwrap() {
        all.extend_from_slice(&block);
    }
    all
}

/// Writes 16-bit WAV.
#[expect(clippy::cast_possible_truncation, reason = "16 bits are what is written")]
pub fn write_wav(path: &Path, sample_rate: u32, samples: &[f32]) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    for sample in samples {
        writer.write_sample((sample * 32_767.0).clamp(-32_768.0, 32_767.0).round() as i16).unwrap();
    }
    writer.finalize().unwrap();
}

/// Writes MP3 at 64 kbit/s.
#[expect(clippy::cast_possible_truncation, reason = "the encoder takes 16 bits")]
pub fn write_mp3(path: &Path, samples: &[f32]) {
    let pcm: Vec<i16> = samples
        .iter()
        .map(|sample| (sample * 32_767.0).clamp(-32_768.0, 32_767.0).round() as i16)
        .collect();
    let config = Mp3EncoderConfig::new()
        .sample_rate(RATE)
        .bitrate(64)
        .channels(1)
        .stereo_mode(StereoMode::Mono);
    fs::write(path, encode_pcm_to_mp3(config, &pcm).unwrap()).unwrap();
}

/// How much later a sound is in an MP3 file than in what was encoded, in seconds: encoder and
/// decoder together, measured with a click.
#[expect(clippy::cast_precision_loss, reason = "a second's samples")]
pub fn mp3_delay_s(folder: &Path) -> f64 {
    let path = folder.join("click.mp3");
    let mut click = vec![0.0; RATE as usize];
    click[20_000] = 0.9;
    write_mp3(&path, &click);
    let decoded = samples(&path);
    fs::remove_file(&path).unwrap();
    let loudest = (0..decoded.len()).max_by(|&a, &b| decoded[a].abs().total_cmp(&decoded[b].abs()));
    (loudest.unwrap() as f64 - 20_000.0) / f64::from(RATE)
}

/// Makes a copy of every kind of each original; `hosts`, two for each, are what clips are pasted
/// into.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positions in a recording of seconds"
)]
pub fn make(originals: &[PathBuf], hosts: &[PathBuf], folder: &Path) -> Vec<Copy> {
    let mut random = Random(1);
    let at = |seconds: f64| (seconds * f64::from(RATE)) as usize;
    let mp3_delay_s = mp3_delay_s(folder);
    let mut copies = Vec::new();
    for (index, path) in originals.iter().enumerate() {
        let original = path.file_name().unwrap().to_str().unwrap().to_owned();
        let sound = samples(path);
        let length_s = sound.len() as f64 / f64::from(RATE);
        let mut add = |kind: &'static str, extension: &str, shift_s: f64| {
            let stem = original.trim_end_matches(".ogg");
            let path = folder.join(format!("{kind}-{stem}.{extension}"));
            copies.push(Copy { kind, path: path.clone(), original: original.clone(), shift_s });
            path
        };
        write_mp3(&add("mp3", "mp3", -mp3_delay_s), &sound);

        let (start, loudest) = (random.between(0.1, 1.5), loudest_s(&sound));
        // What is left holds the loudest half second, so that there is something to recognise.
        let start = start.min((loudest - 0.05).max(0.0));
        let end = (start + random.between(2.0, 3.3)).max(loudest + 0.55).min(length_s);
        let start_s = at(start) as f64 / f64::from(RATE);
        write_wav(&add("cut", "wav", start_s), RATE, &sound[at(start)..at(end)]);

        let quiet: Vec<f32> = sound.iter().map(|sample| 0.25 * sample).collect();
        write_wav(&add("gain", "wav", 0.0), RATE, &quiet);

        let start = (loudest - random.between(0.0, 0.2)).clamp(0.0, length_s - 0.5);
        let start_s = at(start) as f64 / f64::from(RATE);
        let half = &sound[at(start)..][..at(0.5)];
        write_wav(&add("half", "wav", start_s), RATE, half);

        let mut long = Vec::new();
        // Each host once, else the hosts would be duplicates themselves.
        for host in &hosts[2 * index..2 * index + 2] {
            long.extend(samples(host));
        }
        let clip_s = random.between(1.0, 2.0).min(length_s - 0.01);
        let start = (loudest - random.between(0.0, 0.5)).clamp(0.0, length_s - clip_s);
        let place = random.between(1.0, long.len() as f64 / f64::from(RATE) - 2.5);
        long[at(place)..][..at(clip_s)].copy_from_slice(&sound[at(start)..][..at(clip_s)]);
        let shift_s = (at(start) as f64 - at(place) as f64) / f64::from(RATE);
        write_wav(&add("pasted", "wav", shift_s), RATE, &long);

        let rates = [SampleRate::new(RATE).unwrap(), SampleRate::new(22_050).unwrap()];
        let mut resampler = Resampler::new(Arc::new(ResampleFilter::new(rates[0], rates[1])));
        let mut slow = Vec::new();
        resampler.push(&sound, &mut slow);
        resampler.finish(&mut slow);
        write_wav(&add("resampled", "wav", 0.0), 22_050, &slow);
    }
    copies
}

/// Where the loudest half second begins, in seconds.
fn loudest_s(sound: &[f32]) -> f64 {
    let (half, step) = (RATE as usize / 2, RATE as usize / 100);
    let power = |start: usize| -> f64 {
        sound[start..][..half].iter().map(|&sample| f64::from(sample).powi(2)).sum()
    };
    let starts = (0..sound.len().saturating_sub(half).max(1)).step_by(step);
    let loudest = starts.max_by(|&a, &b| power(a).total_cmp(&power(b)));
    loudest.unwrap() as f64 / f64::from(RATE)
}

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn between(&mut self, low: f64, high: f64) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        low + (high - low) * ((self.0 >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

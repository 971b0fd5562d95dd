//! A folder with sounds and a way to run the command in it, for the tests of the binary.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::must_use_candidate,
    reason = "each test program uses a part of it"
)]

use std::f64::consts::PI;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// A folder of sounds, a library in it, and a way to run the command there.
pub struct Bench {
    pub folder: TempDir,
}

/// What a run of the command answered.
pub struct Answer {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Bench {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// One with three kinds of sound, two of each, in a folder `sounds`.
    pub fn with_sounds() -> Self {
        let bench = Self::new();
        fs::create_dir(bench.path("sounds")).unwrap();
        for take in 0..2 {
            let pitch = 440.0 + 10.0 * f64::from(take);
            bench.tone(&format!("sounds/tone-{take}.wav"), pitch);
            bench.noise(&format!("sounds/noise-{take}.wav"), 7 + take);
            bench.clicks(&format!("sounds/clicks-{take}.wav"), 6 + take);
        }
        fs::write(bench.path("sounds/notes.txt"), "not a sound").unwrap();
        bench
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sonoteca"));
        command.current_dir(self.folder.path()).env_remove("SONOTECA_LIBRARY");
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Answer {
        Answer::of(&self.command().args(arguments).output().unwrap())
    }

    pub fn wav(&self, name: &str, samples: impl Iterator<Item = f64>) {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 22_050,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(self.path(name), spec).unwrap();
        for sample in samples {
            #[expect(clippy::cast_possible_truncation, reason = "16 bits are what is written")]
            writer.write_sample((sample * 32_000.0) as i16).unwrap();
        }
        writer.finalize().unwrap();
    }

    pub fn tone(&self, name: &str, hertz: f64) {
        self.wav(
            name,
            (0..44_100).map(|n| 0.4 * (2.0 * PI * hertz * f64::from(n) / 22_050.0).sin()),
        );
    }

    pub fn noise(&self, name: &str, seed: u32) {
        let mut state = seed;
        self.wav(
            name,
            (0..44_100).map(move |_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                f64::from(state) / f64::from(u32::MAX) * 0.6 - 0.3
            }),
        );
    }

    pub fn clicks(&self, name: &str, a_second: u32) {
        let gap = 22_050 / a_second;
        self.wav(name, (0..44_100_u32).map(move |n| if n % gap < 8 { 0.9 } else { 0.0 }));
    }
}

impl Answer {
    pub fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().expect("no signal"),
            out: String::from_utf8(output.stdout.clone()).unwrap(),
            err: String::from_utf8(output.stderr.clone()).unwrap(),
        }
    }

    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "out: {}\nerr: {}", self.out, self.err);
        self
    }

    pub fn json(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

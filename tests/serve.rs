//! `sonoteca serve`, from outside: a real server on a port of its own, real sounds, real weights.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

#[path = "common/bench.rs"]
mod bench;
mod common;

#[path = "serve/asking.rs"]
mod asking;
#[path = "serve/hosting.rs"]
mod hosting;
#[path = "serve/models.rs"]
mod models;
#[path = "serve/process.rs"]
mod process;
#[path = "serve/refusals.rs"]
mod refusals;
#[path = "serve/served.rs"]
mod served;
#[path = "serve/sounds.rs"]
mod sounds;
#[path = "serve/training.rs"]
mod training;

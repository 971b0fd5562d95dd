//! The page as its users meet it: the real binary with real recordings, in headless Chromium.
//!
//! Needs Chromium and its driver (`scripts/setup_chromium.sh`), `ESC-10` in the shared folder, and
//! YAMNet's weights. Where a browser or the recordings are missing, every test says so and does nothing. Pictures of
//! the pages are kept in `target/screenshots`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::must_use_candidate,
    unreachable_pub,
    reason = "a test fails by panicking"
)]

mod browser;
#[path = "../common/mod.rs"]
mod common;
mod map;
mod models;
mod pictures;
mod recording;
mod searching;
mod site;
mod training;

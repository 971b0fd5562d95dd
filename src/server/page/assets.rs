//! The files of the page, as they are in the binary.
//!
//! In: a name. Out: its content, its type, and a tag that changes with it. Other names have none:
//! nothing is read from a disk.

use axum::http::HeaderValue;

/// A file of the page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asset {
    /// What it is called under `/static/`.
    pub(super) name: &'static str,
    /// What it holds.
    pub(super) content: &'static str,
}

macro_rules! assets {
    ($($name:literal),+ $(,)?) => {
        /// All of them.
        pub(super) const ASSETS: &[Asset] =
            &[$(Asset { name: $name, content: include_str!(concat!("static/", $name)) }),+];
    };
}

assets![
    "api.js",
    "base.css",
    "card.js",
    "dom.js",
    "icon.svg",
    "judge.js",
    "lanes.js",
    "library.js",
    "map.css",
    "map.js",
    "microphone.js",
    "nearest.js",
    "palette.js",
    "picker.js",
    "plane.js",
    "player.js",
    "points.js",
    "question.js",
    "recording.css",
    "recording.js",
    "scores.js",
    "search.css",
    "search.js",
    "timeline.js",
    "train.css",
    "train.js",
    "wav.js",
];

impl Asset {
    /// The file of that name.
    pub(super) fn named(name: &str) -> Option<Self> {
        ASSETS.iter().find(|asset| asset.name == name).copied()
    }

    /// Its media type.
    pub(super) fn content_type(self) -> &'static str {
        match self.name.rsplit_once('.') {
            Some((_, "css")) => "text/css; charset=utf-8",
            Some((_, "js")) => "text/javascript; charset=utf-8",
            Some((_, "svg")) => "image/svg+xml",
            _ => "text/plain; charset=utf-8",
        }
    }

    /// A tag of this content.
    pub(super) fn tag(self) -> HeaderValue {
        let hash = blake3::hash(self.content.as_bytes()).to_hex();
        HeaderValue::from_str(&format!("\"{}\"", &hash[..32]))
            .unwrap_or(HeaderValue::from_static("\"\""))
    }
}

//! Hits as labels for sound editors.
//!
//! In: hits. Out: label tracks of Audacity, or selection tables of Raven, on standard output or in
//! a file per recording. Refuses to overwrite, and to put the events of several recordings into
//! one label track, which has no column for that.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use sonoteca::label::LabelFormat;
use sonoteca::label::writing::{RavenRow, RavenSpec, RavenTable, file_name, track_line};
use sonoteca::search::Hit;
use sonoteca::{Error, Result};

use super::rows::shown_classes;
use crate::cli::args::Format;
use crate::cli::printer::{Printer, counted};

/// What a selection says besides where it is.
const FURTHER: [&str; 2] = ["Score", "Sounds Like"];

/// The hits of one recording, in the order of time.
struct Track<'a> {
    hits: Vec<&'a Hit>,
}

/// Writes the labels of `hits`: to `folder`, a file per recording, or else to standard output.
pub(super) fn write(
    hits: &[Hit],
    format: Format,
    folder: Option<&Path>,
    printer: &mut Printer,
) -> Result<()> {
    let tracks = tracks(hits);
    let text = |tracks: &[Track<'_>]| match format {
        Format::Raven => raven(tracks),
        _ => audacity(tracks),
    };
    let Some(folder) = folder else {
        if format != Format::Raven && tracks.len() > 1 {
            return Err(Error::SeveralRecordings { recordings: tracks.len() });
        }
        return printer.text(&text(&tracks));
    };
    let failed = |action, path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io { action, path, source }
    };
    fs::create_dir_all(folder).map_err(failed("make", folder))?;
    let paths: Vec<PathBuf> = tracks.iter().map(|track| folder.join(track.name(format))).collect();
    for path in &paths {
        if path.symlink_metadata().is_ok() {
            let options = "name another folder with --out DIR";
            return Err(Error::Exists { path: path.clone(), options });
        }
    }
    for (track, path) in tracks.iter().zip(&paths) {
        let text = text(std::slice::from_ref(track));
        File::create_new(path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(failed("write", path))?;
    }
    let files = counted(tracks.len() as u64, "file");
    printer.note(&format!("Labels written to {}: {files}", folder.display()));
    Ok(())
}

/// The hits of each recording; the recording of the best hit first.
fn tracks(hits: &[Hit]) -> Vec<Track<'_>> {
    let mut tracks: Vec<Track<'_>> = Vec::new();
    for hit in hits {
        match tracks.iter_mut().find(|track| track.hits[0].recording.id == hit.recording.id) {
            Some(track) => track.hits.push(hit),
            None => tracks.push(Track { hits: vec![hit] }),
        }
    }
    for track in &mut tracks {
        track.hits.sort_by(|a, b| a.range.start_s.total_cmp(&b.range.start_s));
    }
    tracks
}

impl Track<'_> {
    fn name(&self, format: Format) -> String {
        let recording = &self.hits[0].recording;
        let format =
            if format == Format::Raven { LabelFormat::Raven } else { LabelFormat::Audacity };
        file_name(&recording.path, recording.id, format)
    }
}

fn audacity(tracks: &[Track<'_>]) -> String {
    let mut text = String::new();
    for hit in tracks.iter().flat_map(|track| &track.hits) {
        let label = format!("{:.3} {}", hit.score, class_names(hit));
        track_line(&mut text, hit.range, label.trim_end(), None);
    }
    text
}

fn raven(tracks: &[Track<'_>]) -> String {
    let mut text = String::new();
    let spec = RavenSpec { several: true, further: &FURTHER, precise: false };
    let mut table = RavenTable::new(spec, &mut text);
    for track in tracks {
        let recording = &track.hits[0].recording;
        for hit in &track.hits {
            let row = RavenRow {
                range: hit.range,
                band: None,
                sample_rate: recording.sample_rate,
                path: &recording.path,
                further: &[format!("{:.4}", hit.score), class_names(hit)],
            };
            table.row(&row, &mut text);
        }
        table.next_file(recording.duration_s);
    }
    text
}

fn class_names(hit: &Hit) -> String {
    let names: Vec<&str> = shown_classes(hit).map(|(name, _)| name).collect();
    names.join("; ")
}

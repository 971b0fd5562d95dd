//! Hits as labels for sound editors.
//!
//! In: hits. Out: label tracks of Audacity, or selection tables of Raven, on standard output or in
//! a file per recording. Refuses to overwrite, and to put the events of several recordings into
//! one label track, which has no column for that.
//!
//! A label track is text: start, end and label in columns parted by tabs, times in seconds, no
//! header (Audacity's manual, "Importing and Exporting Labels"). A selection table has a header and
//! one line a selection, parted by tabs (Raven Pro's manual, chapter 6). Raven reads several files
//! as one sequence: `Begin Time (s)` and `End Time (s)` count from the beginning of the first,
//! `File Offset (s)` from that of the file in `Begin Path`. In a table of one file both are equal.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use sonoteca::search::Hit;
use sonoteca::{Error, Result};

use super::rows::shown_classes;
use crate::cli::args::Format;
use crate::cli::printer::{Printer, counted};

/// The columns of a selection table: those that Raven writes itself, those by which it finds the
/// files again, and ours.
const RAVEN_COLUMNS: [&str; 11] = [
    "Selection",
    "View",
    "Channel",
    "Begin Time (s)",
    "End Time (s)",
    "Low Freq (Hz)",
    "High Freq (Hz)",
    "Begin Path",
    "File Offset (s)",
    "Score",
    "Sounds Like",
];

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
    /// A name that no other recording has: recordings of one name lie in different folders.
    fn name(&self, format: Format) -> String {
        let recording = &self.hits[0].recording;
        let stem = recording.path.file_stem().unwrap_or_default().to_string_lossy();
        let stem: String = stem.chars().map(|c| if c.is_control() { '_' } else { c }).collect();
        let extension = if format == Format::Raven { "Table.1.selections.txt" } else { "txt" };
        format!("{stem}-id{}.{extension}", recording.id)
    }
}

fn audacity(tracks: &[Track<'_>]) -> String {
    let line = |hit: &&Hit| {
        let label = format!("{:.3} {}", hit.score, class_names(hit));
        let (start_s, end_s) = (hit.range.start_s, hit.range.end_s);
        format!("{start_s:.6}\t{end_s:.6}\t{}\n", label.trim_end())
    };
    tracks.iter().flat_map(|track| &track.hits).map(line).collect()
}

fn raven(tracks: &[Track<'_>]) -> String {
    let mut text = RAVEN_COLUMNS.join("\t") + "\n";
    let (mut selection, mut before_s) = (0, 0.0);
    for track in tracks {
        for hit in &track.hits {
            selection += 1;
            let cells = [
                selection.to_string(),
                "Spectrogram 1".to_owned(),
                "1".to_owned(),
                format!("{:.6}", before_s + hit.range.start_s),
                format!("{:.6}", before_s + hit.range.end_s),
                "0".to_owned(),
                (f64::from(hit.recording.sample_rate) / 2.0).to_string(),
                one_cell(&hit.recording.path.to_string_lossy()),
                format!("{:.6}", hit.range.start_s),
                format!("{:.4}", hit.score),
                class_names(hit),
            ];
            text += &(cells.join("\t") + "\n");
        }
        before_s += track.hits[0].recording.duration_s;
    }
    text
}

fn class_names(hit: &Hit) -> String {
    let names: Vec<&str> = shown_classes(hit).map(|(name, _)| name).collect();
    one_cell(&names.join("; "))
}

/// Text without what would end a cell or a line.
fn one_cell(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

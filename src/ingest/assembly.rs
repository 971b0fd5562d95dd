//! The embeddings of one recording, put together again.
//!
//! In: embedded patches, in whatever order batches are done. Out: [`Finished`], once all are
//! there: segments, encoded, and the pooled vector. Patches count in their own order, so that the
//! sums do not depend on which batch was faster. Segments of long recordings wait on the disk.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use tempfile::SpooledTempFile;

use crate::audio::decode::StreamFormat;
use crate::audio::health::Health;
use crate::audio::segment::{LEAST_SHARE, Segmentation, TimeRange};
use crate::dates::Recorded;
use crate::error::{Error, Result};
use crate::extract::RecordingEnd;
use crate::model::pool::{Mean, top_scores};
use crate::store::scores;
use crate::store::segments::NewSegment;
use crate::store::vector::{Precision, encode};
use crate::store::worklist::FoundFile;

/// Bytes of encoded segments that a recording keeps in memory: some ten minutes of YAMNet's.
const BYTES_IN_MEMORY: usize = 1 << 20;

/// Bytes of embeddings that may wait for an earlier one of their recording: a network that waits for
/// another machine keeps one batch for minutes, while the others go on.
const EARLY_BYTES: usize = 16 << 20;

/// How often who waits looks whether it is in vain.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// What failed when segments could not be put aside.
pub(super) const KEEP_SEGMENTS: &str = "keep the segments of";

/// Float noise of times, in seconds: far less than a sample.
const TIME_NOISE_S: f64 = 1e-9;

/// What holds for every recording of a run.
#[derive(Clone, Debug)]
pub(super) struct AssemblyPlan {
    pub(super) dimension: usize,
    pub(super) classes: usize,
    /// Length and hop of a patch.
    pub(super) patch: Segmentation,
    /// Longer segments, if they are wanted.
    pub(super) segments: Option<Segmentation>,
    pub(super) vectors: Precision,
    /// Class scores that are kept of each segment; of a recording, twice as many.
    pub(super) scores: usize,
    /// Where long recordings wait.
    pub(super) folder: PathBuf,
}

/// A recording whose patches are being embedded.
#[derive(Debug)]
pub(super) struct Assembly {
    pub(super) file: FoundFile,
    content_hash: [u8; 32],
    format: StreamFormat,
    recorded: Option<Recorded>,
    plan: AssemblyPlan,
    state: Mutex<State>,
    /// Signals that the sums went on, or that nothing is wanted any more.
    advanced: Condvar,
}

#[derive(Debug)]
struct State {
    /// Patches before this one are in the sums.
    next: usize,
    /// Patches that came too early.
    early: BTreeMap<usize, EmbeddedPatch>,
    /// The number of patches and the recording's end, once it was read.
    end: Option<(usize, RecordingEnd)>,
    pooled: Mean,
    scores: Mean,
    open: VecDeque<OpenSegment>,
    opened: usize,
    segments: usize,
    encoded: SpooledTempFile,
    /// Whether its outcome is settled: what still comes is in vain.
    is_settled: bool,
}

/// What the network and the meter say of a patch.
#[derive(Debug)]
struct EmbeddedPatch {
    embedding: Vec<f32>,
    scores: Vec<f32>,
    sound: Sound,
}

/// What is known of a patch's sound.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sound {
    pub(super) health: Health,
    /// How much of the patch it fills: what the embedding weighs.
    pub(super) share: f32,
}

/// A segment that further patches may belong to.
#[derive(Debug)]
struct OpenSegment {
    start_s: f64,
    end_s: f64,
    embedding: Mean,
    scores: Mean,
    health: Health,
}

/// A recording that is ready to be stored.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) file: FoundFile,
    pub(super) content_hash: [u8; 32],
    pub(super) format: StreamFormat,
    pub(super) recorded: Option<Recorded>,
    pub(super) end: RecordingEnd,
    /// Encoded.
    pub(super) pooled: Vec<u8>,
    /// Highest first.
    pub(super) scores: Vec<(usize, f32)>,
    pub(super) segments: Segments,
}

/// The segments of a recording, in order.
#[derive(Debug)]
pub(super) struct Segments {
    encoded: BufReader<SpooledTempFile>,
    path: PathBuf,
    count: usize,
    next: usize,
    layout: Segmentation,
    /// Whether the last one reaches to the end, however little of it is left.
    last_reaches_end: bool,
    duration_s: f64,
}

impl Assembly {
    pub(super) fn new(
        file: FoundFile,
        content_hash: [u8; 32],
        format: StreamFormat,
        plan: &AssemblyPlan,
    ) -> Self {
        let state = State {
            next: 0,
            early: BTreeMap::new(),
            end: None,
            pooled: Mean::new(plan.dimension),
            scores: Mean::new(plan.classes),
            open: VecDeque::new(),
            opened: 0,
            segments: 0,
            encoded: tempfile::spooled_tempfile_in(BYTES_IN_MEMORY, &plan.folder),
            is_settled: false,
        };
        let (plan, state) = (plan.clone(), Mutex::new(state));
        let advanced = Condvar::new();
        Self { file, content_hash, format, recorded: None, plan, state, advanced }
    }

    /// The same recording, made when its file says.
    pub(super) fn recorded(self, recorded: Option<Recorded>) -> Self {
        Self { recorded, ..self }
    }

    /// Takes the embedding of patch number `index`; the finished recording, when it was the last
    /// one missing.
    ///
    /// # Errors
    /// [`Error::Vector`] when an embedding cannot be stored, [`Error::Io`] when the disk is full.
    pub(super) fn take(
        &self,
        index: usize,
        embedding: &[f32],
        scores: &[f32],
        sound: Sound,
    ) -> Result<Option<Finished>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_settled {
            return Ok(None);
        }
        if index != state.next {
            let early =
                EmbeddedPatch { embedding: embedding.to_vec(), scores: scores.to_vec(), sound };
            state.early.insert(index, early);
            return Ok(None);
        }
        self.add(&mut state, embedding, scores, sound)?;
        loop {
            let next = state.next;
            let Some(patch) = state.early.remove(&next) else { break };
            self.add(&mut state, &patch.embedding, &patch.scores, patch.sound)?;
        }
        self.advanced.notify_all();
        self.finish(&mut state)
    }

    /// Waits until patch number `first` may be embedded: until not too many of those before it are
    /// missing. Waits no longer when nothing is wanted any more, or `give_up` says so.
    pub(super) fn wait_for_turn(&self, first: usize, give_up: impl Fn() -> bool) {
        let bytes = size_of::<f32>() * (self.plan.dimension + self.plan.classes);
        let ahead = EARLY_BYTES / bytes.max(1);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while first > state.next + ahead && !state.is_settled && !give_up() {
            let waited = self.advanced.wait_timeout(state, LOOK_AGAIN);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Takes the number of patches and the end of the recording; the finished recording, when all
    /// of its patches are embedded already.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub(super) fn end(&self, patches: usize, end: RecordingEnd) -> Result<Option<Finished>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.end = Some((patches, end));
        self.finish(&mut state)
    }

    /// Settles the recording as failed; whether it was not settled yet.
    pub(super) fn fail(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.early.clear();
        self.advanced.notify_all();
        !std::mem::replace(&mut state.is_settled, true)
    }

    fn add(
        &self,
        state: &mut State,
        embedding: &[f32],
        scores: &[f32],
        Sound { health, share }: Sound,
    ) -> Result<()> {
        state.pooled.add_weighted(embedding, share);
        state.scores.add_weighted(scores, share);
        let index = state.next;
        state.next += 1;
        let Some(segments) = self.plan.segments else {
            return self.write(state, embedding, scores, health);
        };
        // A patch belongs to the segments that its middle lies in. On the edge between two it
        // belongs to the second, or, where they overlap, to neither: others have it whole.
        let middle_s = index as f64 * self.plan.patch.hop_s + self.plan.patch.segment_s / 2.0;
        while let Some(open) = state.open.pop_front_if(|open| open.end_s <= middle_s + TIME_NOISE_S)
        {
            self.close(state, &open)?;
        }
        let overlap = segments.hop_s < segments.segment_s;
        let reach_s = middle_s + if overlap { -TIME_NOISE_S } else { TIME_NOISE_S };
        while state.opened as f64 * segments.hop_s <= reach_s {
            let start_s = state.opened as f64 * segments.hop_s;
            state.open.push_back(OpenSegment {
                start_s,
                end_s: start_s + segments.segment_s,
                embedding: Mean::new(self.plan.dimension),
                scores: Mean::new(self.plan.classes),
                // What all of its patches have in common.
                health: Health::from_bits(u8::MAX),
            });
            state.opened += 1;
        }
        for open in &mut state.open {
            open.embedding.add_weighted(embedding, share);
            open.scores.add_weighted(scores, share);
            open.health = open.health.in_common(health);
        }
        Ok(())
    }

    fn close(&self, state: &mut State, open: &OpenSegment) -> Result<()> {
        self.write(state, &open.embedding.mean(), &open.scores.mean(), open.health)
    }

    /// Encodes the next segment.
    fn write(
        &self,
        state: &mut State,
        embedding: &[f32],
        class_scores: &[f32],
        health: Health,
    ) -> Result<()> {
        let vector = self.encode(embedding, "an embedding")?;
        let classes = scores::encode(&top_scores(class_scores, self.plan.scores));
        state.segments += 1;
        write_parts(&mut state.encoded, &vector, &classes, health)
            .map_err(|source| self.io_error(KEEP_SEGMENTS, source))
    }

    fn finish(&self, state: &mut State) -> Result<Option<Finished>> {
        let Some((patches, end)) = state.end else { return Ok(None) };
        if state.is_settled || state.next < patches {
            return Ok(None);
        }
        // The middle of the last patch may lie in its padding, and a segment begin there.
        for open in std::mem::take(&mut state.open) {
            let is_much = open.embedding.weight() >= LEAST_SHARE || state.segments == 0;
            if open.start_s < end.duration_s && is_much {
                self.close(state, &open)?;
            }
        }
        state.is_settled = true;
        let mut encoded = std::mem::replace(&mut state.encoded, SpooledTempFile::new(0));
        encoded.rewind().map_err(|source| self.io_error(KEEP_SEGMENTS, source))?;
        Ok(Some(Finished {
            file: self.file.clone(),
            content_hash: self.content_hash,
            format: self.format.clone(),
            recorded: self.recorded,
            end,
            pooled: self.encode(&state.pooled.mean(), "the pooled embedding")?,
            scores: top_scores(&state.scores.mean(), 2 * self.plan.scores),
            segments: Segments {
                encoded: BufReader::new(encoded),
                path: self.file.path.clone(),
                count: state.segments,
                next: 0,
                layout: self.plan.segments.unwrap_or(self.plan.patch),
                last_reaches_end: self.plan.segments.is_some(),
                duration_s: end.duration_s,
            },
        }))
    }

    fn encode(&self, vector: &[f32], what: &str) -> Result<Vec<u8>> {
        encode(vector, self.plan.vectors).map_err(|problem| Error::Vector {
            what: format!("{what} of {}", self.file.path.display()),
            problem,
        })
    }

    fn io_error(&self, action: &'static str, source: std::io::Error) -> Error {
        io_error(action, &self.file.path, source)
    }
}

fn io_error(action: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::Io { action, path: path.to_owned(), source }
}

/// The lengths of vector and classes, four bytes each; health, one; the two.
fn write_parts(
    file: &mut impl Write,
    vector: &[u8],
    classes: &[u8],
    health: Health,
) -> std::io::Result<()> {
    let length = |bytes: &[u8]| {
        u32::try_from(bytes.len()).map(u32::to_le_bytes).map_err(std::io::Error::other)
    };
    file.write_all(&length(vector)?)?;
    file.write_all(&length(classes)?)?;
    file.write_all(&[health.bits()])?;
    file.write_all(vector)?;
    file.write_all(classes)
}

fn read_parts(file: &mut impl Read) -> std::io::Result<(Vec<u8>, Vec<u8>, Health)> {
    let mut head = [0; 9];
    file.read_exact(&mut head)?;
    let [a, b, c, d, e, f, g, h, health] = head;
    let mut part = |length: [u8; 4]| {
        let mut bytes = vec![0; u32::from_le_bytes(length) as usize];
        file.read_exact(&mut bytes).map(|()| bytes)
    };
    Ok((part([a, b, c, d])?, part([e, f, g, h])?, Health::from_bits(health)))
}

impl Segments {
    /// How many there are.
    pub(super) fn total(&self) -> usize {
        self.count
    }

    fn range(&self, index: usize) -> TimeRange {
        let start_s = (index as f64 * self.layout.hop_s).min(self.duration_s);
        let is_last = index + 1 == self.count;
        let end_s = if is_last && self.last_reaches_end {
            self.duration_s
        } else {
            (start_s + self.layout.segment_s).min(self.duration_s)
        };
        TimeRange { start_s, end_s }
    }
}

impl Iterator for Segments {
    type Item = Result<NewSegment>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next == self.count {
            return None;
        }
        let range = self.range(self.next);
        self.next += 1;
        Some(
            read_parts(&mut self.encoded)
                .map(|(vector, classes, health)| NewSegment { range, vector, classes, health })
                .map_err(|source| io_error("read back the segments of", &self.path, source)),
        )
    }
}

#[cfg(test)]
mod tests;

//! Some recordings on their way to a server.
//!
//! In: recordings with their segments. Out: rows, written where they are not there yet, and what has to
//! be counted once they are on the disk.

use std::collections::HashMap;
use std::path::Path;

use super::super::address::Consistency;
use super::super::client::Write;
use super::super::columns::{Columns, KEY, Partition, RECORDING, RECORDING_ID, SEGMENTS};
use super::super::filtering::one_of;
use super::super::rows::{Shared, Unit, partition_of};
use super::super::{MOST_KEYS, Store};
use super::{MESSAGE_BYTES, too_long};
use crate::audio::health::Health;
use crate::dataset::ids::recording_id;
use crate::dataset::rows::{RecordingRow, SegmentRow};
use crate::error::{MilvusProblem, Result};

/// Rows that one answer of a server may have.
const MOST_ROWS: usize = 16_384;

/// The health of a recording of which no segment was seen: nothing is to be heard in it.
const NOTHING: Health = Health::SILENT.and(Health::CONSTANT);

/// The health of a recording with one more segment: what is wrong with all of them.
fn quieter(recording: Health, segment: Health) -> Health {
    // To heads a recording is silent where each segment is one or the other.
    let is_heard = !segment.has(Health::SILENT) && !segment.has(Health::CONSTANT);
    match (is_heard, segment.has(Health::SILENT)) {
        (true, _) => Health::SOUND,
        (false, true) => recording,
        (false, false) if recording == Health::SOUND => recording,
        (false, false) => Health::CONSTANT,
    }
}

/// Recordings that are looked up together.
#[derive(Default)]
pub(super) struct Group {
    recordings: Vec<(RecordingRow, Vec<SegmentRow>)>,
    rows: usize,
}

/// What is there of a recording.
#[derive(Clone, Copy, Debug, Default)]
struct There {
    /// The content and the number of segments that its own row says.
    row: Option<(i64, u32)>,
    /// How many segments there are.
    segments: usize,
    /// Of these, those of another content than is asked about.
    others: usize,
}

/// What to do with a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    /// Nothing: all of it is there.
    Leave,
    /// Write its rows.
    Write(Write),
    /// Remove what is there, and write its rows.
    Replace,
}

impl There {
    /// What to do with a recording of this content and so many segments.
    fn plan(self, wanted: (i64, u32)) -> Plan {
        let expected = wanted.1 as usize;
        match self.row {
            Some(row) if row == wanted && self.segments == expected && self.others == 0 => {
                Plan::Leave
            }
            None if self.segments == 0 => Plan::Write(Write::New),
            Some(row) if row != wanted => Plan::Replace,
            _ if self.others > 0 || self.segments > expected => Plan::Replace,
            // A run that was stopped in the middle wrote some of it.
            _ => Plan::Write(Write::Over),
        }
    }
}

/// What is there of the recordings with these keys, whose contents have these ids.
fn there(store: &Store, wanted: &[(i64, i64)]) -> Result<HashMap<i64, There>> {
    let mut found: HashMap<i64, There> =
        wanted.iter().map(|&(key, _)| (key, There::default())).collect();
    let contents: HashMap<i64, i64> = wanted.iter().copied().collect();
    for wanted in wanted.chunks(MOST_KEYS) {
        let keys: Vec<i64> = wanted.iter().map(|&(key, _)| key).collect();
        let (columns, how) = ([KEY, RECORDING_ID, SEGMENTS], (keys.len(), Consistency::Strong));
        let test = one_of(KEY, &keys);
        let rows = store.client.query(&Partition::OF_RECORDINGS, &test, &columns, how)?;
        let ids = store.told(rows.longs(RECORDING_ID))?;
        let counts = store.told(rows.ints(SEGMENTS))?;
        for ((key, &id), &count) in store.told(rows.longs(KEY))?.iter().zip(ids).zip(counts) {
            if let Some(there) = found.get_mut(key) {
                there.row = Some((id, count.max(0).cast_unsigned()));
            }
        }
        let (columns, how) = ([KEY, RECORDING, RECORDING_ID], (MOST_ROWS, Consistency::Strong));
        let test = one_of(RECORDING, &keys);
        let rows = store.client.query(&Partition::OF_SEGMENTS, &test, &columns, how)?;
        let of = store.told(rows.longs(RECORDING))?;
        if of.len() >= MOST_ROWS {
            // More than what is to be written, or than one answer holds: each by itself.
            for key in &keys {
                let there = found.entry(*key).or_default();
                let count = |test: &str| store.client.count(&Partition::OF_SEGMENTS, test);
                let whole = one_of(RECORDING, &[*key]);
                there.segments = usize::try_from(count(&whole)?).unwrap_or(usize::MAX);
                let id = contents.get(key).copied().unwrap_or_default();
                let others = count(&format!("{whole} and {RECORDING_ID} != {id}"))?;
                there.others = usize::try_from(others).unwrap_or(usize::MAX);
            }
            continue;
        }
        for (key, id) in of.iter().zip(store.told(rows.longs(RECORDING_ID))?) {
            let there = found.entry(*key).or_default();
            there.segments += 1;
            there.others += usize::from(contents.get(key) != Some(id));
        }
    }
    Ok(found)
}

impl Group {
    pub(super) fn add(&mut self, recording: RecordingRow, segments: Vec<SegmentRow>) {
        self.rows += 1 + segments.len();
        self.recordings.push((recording, segments));
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn is_empty(&self) -> bool {
        self.recordings.is_empty()
    }

    /// Whether there is a recording at `path`.
    pub(super) fn has(&self, path: &Path) -> bool {
        self.recordings.iter().any(|(recording, _)| recording.path == path)
    }

    /// Writes what is not there; how many recordings were.
    pub(super) fn write(self, store: &Store, written: &mut Written) -> Result<u64> {
        let shared = self.recordings.iter().map(|(recording, _)| shared(recording));
        let shared: Vec<Shared> = shared.collect::<Result<_>>()?;
        let wanted: Vec<(i64, i64)> = shared
            .iter()
            .zip(&self.recordings)
            .map(|(shared, (recording, _))| (shared.key, recording_id(&recording.content_hash)))
            .collect();
        let there = there(store, &wanted)?;
        let (mut new, mut over) = (Sink::new(store, Write::New), Sink::new(store, Write::Over));
        let (mut unchanged, mut owed) = (0, Vec::new());
        for (shared, (recording, segments)) in shared.iter().zip(&self.recordings) {
            let how = match there
                .get(&shared.key)
                .copied()
                .unwrap_or_default()
                .plan(wanted_of(recording))
            {
                Plan::Leave => {
                    unchanged += 1;
                    continue;
                }
                Plan::Replace => {
                    store.remove_rows(shared.key)?;
                    Write::Over
                }
                Plan::Write(how) => how,
            };
            let sink = if how == Write::New { &mut new } else { &mut over };
            let mut health = NOTHING;
            for segment in segments {
                sink.put_segment(shared, recording, segment)?;
                health = quieter(health, segment.health);
            }
            owed.push((shared, recording, how, health));
        }
        // All segments first: a recording's own row says that they are there.
        new.send_all()?;
        over.send_all()?;
        for (shared, recording, how, health) in owed {
            let sink = if how == Write::New { &mut new } else { &mut over };
            sink.put_recording(shared, recording, health)?;
            written.add(shared.key, u64::from(recording.segments));
        }
        new.send_all()?;
        over.send_all()?;
        Ok(unchanged)
    }
}

/// A recording whose segments come in portions.
pub(super) struct Long<'a> {
    recording: &'a RecordingRow,
    shared: Shared,
    plan: Plan,
    sink: Sink<'a>,
    health: Health,
}

impl<'a> Long<'a> {
    pub(super) fn begin(store: &'a Store, recording: &'a RecordingRow) -> Result<Self> {
        let shared = shared(recording)?;
        let wanted = [(shared.key, recording_id(&recording.content_hash))];
        let there = there(store, &wanted)?.remove(&shared.key).unwrap_or_default();
        let plan = there.plan(wanted_of(recording));
        if plan == Plan::Replace {
            store.remove_rows(shared.key)?;
        }
        let how = if plan == Plan::Write(Write::New) { Write::New } else { Write::Over };
        Ok(Self { recording, shared, plan, sink: Sink::new(store, how), health: NOTHING })
    }

    /// Whether nothing has to be written.
    pub(super) fn is_there(&self) -> bool {
        self.plan == Plan::Leave
    }

    pub(super) fn put(&mut self, segments: &[SegmentRow]) -> Result<()> {
        for segment in segments {
            self.sink.put_segment(&self.shared, self.recording, segment)?;
            self.health = quieter(self.health, segment.health);
        }
        self.sink.send_all()
    }

    pub(super) fn end(mut self, written: &mut Written) -> Result<()> {
        self.sink.put_recording(&self.shared, self.recording, self.health)?;
        self.sink.send_all()?;
        written.add(self.shared.key, u64::from(self.recording.segments));
        Ok(())
    }
}

/// Whether all that is to be written of a recording has a form that the store takes.
pub(super) fn fits(store: &Store, recording: &RecordingRow, segments: &[SegmentRow]) -> bool {
    let is_unit = |vector: &[f32]| Unit::new(vector, store.dimension(), String::new).is_ok();
    shared(recording).is_ok()
        && is_unit(&recording.vector)
        && segments.iter().all(|segment| is_unit(&segment.vector))
}

fn wanted_of(recording: &RecordingRow) -> (i64, u32) {
    (recording_id(&recording.content_hash), recording.segments)
}

fn shared(recording: &RecordingRow) -> Result<Shared> {
    let shared = Shared::new(recording);
    match shared.too_long() {
        Some(length) => Err(too_long(recording, length)),
        None => Ok(shared),
    }
}

/// Rows for each partition, sent when they fill a message.
struct Sink<'a> {
    store: &'a Store,
    how: Write,
    waiting: HashMap<Partition, Columns>,
}

impl<'a> Sink<'a> {
    fn new(store: &'a Store, how: Write) -> Self {
        Self { store, how, waiting: HashMap::new() }
    }

    fn put_segment(
        &mut self,
        shared: &Shared,
        recording: &RecordingRow,
        segment: &SegmentRow,
    ) -> Result<()> {
        let unit = Unit::new(&segment.vector, self.store.dimension(), || {
            format!("segment {} of {}", segment.index, recording.path.display())
        })?;
        let partition = partition_of(segment.health, &unit);
        shared.put_segment(segment, &unit, self.waiting.entry(partition).or_default());
        self.send_full(partition)
    }

    fn put_recording(
        &mut self,
        shared: &Shared,
        recording: &RecordingRow,
        health: Health,
    ) -> Result<()> {
        let unit = Unit::new(&recording.vector, self.store.dimension(), || {
            recording.path.display().to_string()
        })?;
        let is_searched = !health.has(Health::SILENT) && unit.length > 0.0;
        let partition =
            if is_searched { Partition::Recordings } else { Partition::SilentRecordings };
        let waiting = self.waiting.entry(partition).or_default();
        shared.put_recording(recording, (&unit, health), waiting);
        self.send_full(partition)
    }

    fn send_full(&mut self, partition: Partition) -> Result<()> {
        let Some(columns) = self.waiting.get_mut(&partition) else { return Ok(()) };
        if 4 * columns.vectors.len() < MESSAGE_BYTES {
            return Ok(());
        }
        let columns = std::mem::take(columns);
        self.store.client.write(partition, columns, self.how)
    }

    fn send_all(&mut self) -> Result<()> {
        for (partition, columns) in self.waiting.drain() {
            self.store.client.write(partition, columns, self.how)?;
        }
        Ok(())
    }
}

/// What was written and is not on the disk yet.
#[derive(Default)]
pub(super) struct Written {
    /// The segments of each recording, by its key: written twice, it is there once.
    segments_of: HashMap<i64, u64>,
    recordings: u64,
    segments: u64,
}

impl Written {
    fn add(&mut self, recording: i64, segments: u64) {
        self.segments_of.insert(recording, segments);
        self.recordings += 1;
        self.segments += segments;
    }

    pub(super) fn rows(&self) -> u64 {
        self.recordings + self.segments
    }

    pub(super) fn recordings(&self) -> u64 {
        self.recordings
    }

    pub(super) fn segments(&self) -> u64 {
        self.segments
    }

    /// Refuses a server that has not all of it.
    pub(super) fn check(&self, store: &Store) -> Result<()> {
        let all: Vec<(i64, u64)> =
            self.segments_of.iter().map(|(&key, &count)| (key, count)).collect();
        for some in all.chunks(MOST_KEYS) {
            let keys: Vec<i64> = some.iter().map(|&(key, _)| key).collect();
            let counts = [
                ("recordings", &Partition::OF_RECORDINGS, KEY, keys.len() as u64),
                (
                    "segments",
                    &Partition::OF_SEGMENTS,
                    RECORDING,
                    some.iter().map(|some| some.1).sum(),
                ),
            ];
            for (what, partitions, column, expected) in counts {
                let found = store.client.count(partitions, &one_of(column, &keys))?;
                if found != expected {
                    return Err(store.failed(MilvusProblem::Lost { what, found, expected }));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_decides_what_is_done() {
        let id = 7;
        let of = |row, segments, others| There { row, segments, others }.plan((id, 3));
        assert_eq!(of(None, 0, 0), Plan::Write(Write::New));
        assert_eq!(of(None, 2, 0), Plan::Write(Write::Over));
        assert_eq!(of(None, 2, 1), Plan::Replace);
        assert_eq!(of(Some((id, 3)), 3, 0), Plan::Leave);
        assert_eq!(of(Some((id, 3)), 2, 0), Plan::Write(Write::Over));
        assert_eq!(of(Some((id, 3)), 4, 0), Plan::Replace);
        assert_eq!(of(Some((id, 2)), 3, 0), Plan::Replace);
        assert_eq!(of(Some((id + 1, 3)), 3, 3), Plan::Replace);
    }
}

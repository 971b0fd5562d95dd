-- Segment ids that are never given twice, and a short history of the vectors: what the cache of
-- vectors beside the library is held against. Reads no vector, so that a library of millions is
-- migrated in seconds.

-- The next segment's id. An AUTOINCREMENT would do the same, but no table can be given one
-- without being copied.
CREATE TABLE segment_counter (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    next INTEGER NOT NULL CHECK (next > 0)
) STRICT;
INSERT INTO segment_counter (id, next) SELECT 1, coalesce(max(id), 0) + 1 FROM segments;

-- A recording's segments have the ids first_segment up to first_segment + segment_count - 1; they
-- always had, being written one after the other by the only writer.
ALTER TABLE recording_vectors ADD COLUMN first_segment INTEGER CHECK (first_segment > 0);
UPDATE recording_vectors SET first_segment = (
    SELECT min(segments.id) FROM segments
    WHERE segments.recording_id = recording_vectors.recording_id
      AND segments.model_id = recording_vectors.model_id);
-- The recordings that came after a segment; with the counts beside, sums need not read vectors.
CREATE INDEX recordings_by_segment
    ON recording_vectors (model_id, first_segment, segment_count);

-- What was added (a row for each transaction and model) and what was removed (a row for each
-- recording), by segment ids. Serials are never given twice. A copy of the library that went
-- another way, such as a backup that was restored, may give the same serial, but not with the
-- same nonce.
CREATE TABLE vector_changes (
    serial        INTEGER PRIMARY KEY AUTOINCREMENT,
    model_id      INTEGER NOT NULL, -- outlives the model: its cache must not
    added         INTEGER NOT NULL CHECK (added IN (0, 1)),
    first_segment INTEGER NOT NULL,
    last_segment  INTEGER NOT NULL CHECK (last_segment >= first_segment),
    nonce         BLOB    NOT NULL DEFAULT (randomblob(8)) CHECK (length(nonce) = 8)
) STRICT;
INSERT INTO vector_changes (model_id, added, first_segment, last_segment)
    SELECT model_id, 1, min(first_segment), max(first_segment + segment_count - 1)
    FROM recording_vectors WHERE first_segment IS NOT NULL GROUP BY model_id;

-- By triggers, so that removals by foreign keys and by hand count too.
CREATE TRIGGER recording_vectors_removed AFTER DELETE ON recording_vectors
WHEN OLD.first_segment IS NOT NULL
BEGIN
    INSERT INTO vector_changes (model_id, added, first_segment, last_segment)
    VALUES (OLD.model_id, 0, OLD.first_segment, OLD.first_segment + OLD.segment_count - 1);
END;

-- Rows by hand, or by an older sonoteca that was at work when the library was migrated.
CREATE TRIGGER recording_vectors_added AFTER INSERT ON recording_vectors
WHEN NEW.first_segment IS NULL
BEGIN
    UPDATE recording_vectors SET first_segment = (
        SELECT min(id) FROM segments
        WHERE recording_id = NEW.recording_id AND model_id = NEW.model_id)
    WHERE recording_id = NEW.recording_id AND model_id = NEW.model_id;
END;

-- We write vectors once. Whoever changes one by hand ends the history: every cache is out of date.
CREATE TRIGGER segments_changed
AFTER UPDATE OF id, recording_id, model_id, vector, health ON segments
BEGIN
    DELETE FROM vector_changes;
    INSERT INTO vector_changes (model_id, added, first_segment, last_segment)
    VALUES (NEW.model_id, 1, NEW.id, NEW.id);
END;
CREATE TRIGGER recording_vectors_changed
AFTER UPDATE OF recording_id, model_id, segment_count, vector, first_segment ON recording_vectors
BEGIN
    DELETE FROM vector_changes;
    INSERT INTO vector_changes (model_id, added, first_segment, last_segment)
    VALUES (NEW.model_id, 1, coalesce(NEW.first_segment, 0), coalesce(NEW.first_segment, 0));
END;

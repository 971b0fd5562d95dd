-- Heads, and what they say of recordings.

-- How sure the source is, where it is a machine; and the band of frequencies that a label of a
-- spectrogram has. NULL: nothing was said.
ALTER TABLE labels ADD COLUMN score REAL;
ALTER TABLE labels ADD COLUMN low_hz REAL CHECK (low_hz >= 0);
ALTER TABLE labels ADD COLUMN high_hz REAL CHECK (high_hz >= 0);
CREATE INDEX labels_of_source ON labels (source);
-- A label that is there already is found by its recording and its beginning, also where one
-- recording has a million of them.
DROP INDEX labels_of_recording;
CREATE INDEX labels_of_recording ON labels (recording_id, start_s);

-- A small model that was trained on embeddings. It names the embeddings' model by what tells models
-- apart, not by a row: a head that was imported may be here before the model's first vector.
CREATE TABLE heads (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    name              TEXT    NOT NULL COLLATE NOCASE UNIQUE CHECK (name <> ''),
    model_name        TEXT    NOT NULL,
    weights_sha256    BLOB    NOT NULL CHECK (length(weights_sha256) = 32), -- the model's
    front_end_version INTEGER NOT NULL,
    dimension         INTEGER NOT NULL CHECK (dimension > 0),
    card              TEXT    NOT NULL CHECK (json_valid(card)), -- classes, thresholds, scores
    tensors           BLOB    NOT NULL, -- safetensors
    created_at        TEXT    NOT NULL  -- RFC 3339, UTC
) STRICT;

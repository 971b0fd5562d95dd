-- The first schema. The page size, the journal mode and the application id are set before it runs
-- (src/store.rs): no migration can.

-- A model that vectors were made by. Vectors are compared only within one row of this table.
CREATE TABLE models (
    id                INTEGER PRIMARY KEY,
    name              TEXT    NOT NULL,
    weights_sha256    BLOB    NOT NULL CHECK (length(weights_sha256) = 32),
    front_end_version INTEGER NOT NULL,
    dimension         INTEGER NOT NULL CHECK (dimension > 0),
    window_s          REAL    NOT NULL CHECK (window_s > 0),
    hop_s             REAL    NOT NULL CHECK (hop_s > 0),
    UNIQUE (name, weights_sha256, front_end_version)
) STRICT;

-- The classes that a model scores.
CREATE TABLE classes (
    model_id    INTEGER NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    class_index INTEGER NOT NULL,
    name        TEXT    NOT NULL,
    PRIMARY KEY (model_id, class_index)
) STRICT, WITHOUT ROWID;

-- A file. AUTOINCREMENT: people write ids down, so none is given twice.
CREATE TABLE recordings (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    path         TEXT    NOT NULL UNIQUE, -- absolute; the file system's bytes, UTF-8 or not
    content_hash BLOB    NOT NULL CHECK (length(content_hash) = 32), -- BLAKE3 of the file
    size_bytes   INTEGER NOT NULL CHECK (size_bytes >= 0),
    modified_ns  INTEGER NOT NULL, -- since 1970
    duration_s   REAL    NOT NULL CHECK (duration_s > 0),
    sample_rate  INTEGER NOT NULL CHECK (sample_rate > 0),
    channels     INTEGER NOT NULL CHECK (channels > 0),
    codec        TEXT    NOT NULL,
    status       TEXT    NOT NULL CHECK (status IN ('ok', 'truncated', 'damaged'))
) STRICT;

-- A stretch of a recording with one vector of one model. How a vector's bytes read:
-- src/store/vector.rs.
CREATE TABLE segments (
    id           INTEGER PRIMARY KEY,
    recording_id INTEGER NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,
    model_id     INTEGER NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    start_s      REAL    NOT NULL CHECK (start_s >= 0),
    end_s        REAL    NOT NULL CHECK (end_s > start_s),
    vector       BLOB    NOT NULL
) STRICT;
CREATE INDEX segments_of_recording ON segments (recording_id, model_id);

-- A recording's vector of one model: the mean over all its patches. Its presence says that the
-- recording is indexed with that model. NULL stands for the vector of its only segment.
CREATE TABLE recording_vectors (
    recording_id  INTEGER NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,
    model_id      INTEGER NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    segment_count INTEGER NOT NULL CHECK (segment_count > 0),
    vector        BLOB,
    PRIMARY KEY (recording_id, model_id),
    CHECK (vector IS NOT NULL OR segment_count = 1)
) STRICT, WITHOUT ROWID;

-- A recording's highest class scores, each the mean over its patches.
CREATE TABLE recording_classes (
    recording_id INTEGER NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,
    model_id     INTEGER NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    class_index  INTEGER NOT NULL,
    score        REAL    NOT NULL CHECK (score BETWEEN 0 AND 1),
    PRIMARY KEY (recording_id, model_id, class_index)
) STRICT, WITHOUT ROWID;

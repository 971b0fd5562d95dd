-- Runs, the ledger of failures, the health and classes of segments, and longer segments.

-- What embedded recordings, and how: the precision of a run is no part of a model's identity.
CREATE TABLE runs (
    id               INTEGER PRIMARY KEY,
    model_id         INTEGER NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    started_at       TEXT    NOT NULL, -- RFC 3339, UTC
    finished_at      TEXT,             -- NULL while it goes on, and for good when it was killed
    sonoteca_version TEXT    NOT NULL,
    device           TEXT    NOT NULL,
    precision        TEXT    NOT NULL
) STRICT;

ALTER TABLE recording_vectors ADD COLUMN run_id INTEGER REFERENCES runs (id) ON DELETE SET NULL;

-- Length and hop of the model's segments where they are longer than its patches; set when its
-- first recording is indexed. NULL: a segment is a patch.
ALTER TABLE models ADD COLUMN segment_s REAL CHECK (segment_s > 0);
ALTER TABLE models ADD COLUMN segment_hop_s REAL CHECK (segment_hop_s > 0);

-- Why a segment is left out of the search of segments, as bits: 1 silent, 2 constant, 4 with
-- samples that are no numbers, 8 clipped. 0: it is not.
ALTER TABLE segments ADD COLUMN health INTEGER NOT NULL DEFAULT 0
    CHECK (health BETWEEN 0 AND 15);
CREATE INDEX segments_left_out ON segments (model_id, health) WHERE health <> 0;

-- The segment's highest class scores, highest first, four bytes each: the class's index and
-- 65,535 times its score, both little-endian.
ALTER TABLE segments ADD COLUMN classes BLOB;

-- Files that could not be indexed. A row goes when its file is indexed after all, or removed.
CREATE TABLE failures (
    path             TEXT    NOT NULL PRIMARY KEY, -- absolute; the file system's bytes
    size_bytes       INTEGER, -- NULL, as the date, where the file could not even be looked at
    modified_ns      INTEGER,
    stage            TEXT    NOT NULL,
    reason           TEXT    NOT NULL,
    hint             TEXT,
    attempts         INTEGER NOT NULL DEFAULT 1 CHECK (attempts > 0),
    first_at         TEXT    NOT NULL, -- RFC 3339, UTC
    last_at          TEXT    NOT NULL,
    sonoteca_version TEXT    NOT NULL -- a newer one may read what this one could not
) STRICT, WITHOUT ROWID;

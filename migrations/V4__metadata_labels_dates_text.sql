-- When recordings were made, what people know of them, and words to find them by.

-- Local wall time, YYYY-MM-DDTHH:MM:SS, without a zone, and what says so. NULL: nothing in the
-- file does, and its name may or may not (src/store/dates.rs); so for all that was indexed before.
ALTER TABLE recordings ADD COLUMN recorded_at TEXT;
ALTER TABLE recordings ADD COLUMN recorded_from TEXT
    CHECK (recorded_from IN ('bext', 'guano', 'tag', 'name'));

-- What was imported. Keys are the same in upper and lower case.
CREATE TABLE metadata (
    recording_id INTEGER NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,
    key          TEXT    NOT NULL COLLATE NOCASE CHECK (key <> ''),
    value        ANY     NOT NULL CHECK (typeof(value) IN ('integer', 'real', 'text')),
    PRIMARY KEY (recording_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX metadata_of_key ON metadata (key, value);

-- What somebody heard, in a stretch or, where that is NULL, in the whole recording.
CREATE TABLE labels (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    recording_id INTEGER NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,
    class        TEXT    NOT NULL COLLATE NOCASE CHECK (class <> ''),
    start_s      REAL    CHECK (start_s >= 0),
    end_s        REAL    CHECK (end_s > start_s),
    judgement    TEXT    NOT NULL CHECK (judgement IN ('positive', 'negative', 'unsure')),
    source       TEXT    NOT NULL, -- who or what says so
    created_at   TEXT    NOT NULL, -- RFC 3339, UTC
    CHECK ((start_s IS NULL) = (end_s IS NULL))
) STRICT;
CREATE INDEX labels_of_recording ON labels (recording_id);
CREATE INDEX labels_of_class ON labels (class, judgement);

-- The words of each recording's path, labels and metadata; the texts themselves are in the other
-- tables. The row id is the recording's.
CREATE VIRTUAL TABLE texts USING fts5 (
    path, labels, metadata,
    content = '', contentless_delete = 1, tokenize = 'porter unicode61 remove_diacritics 2'
);

-- Recordings whose row in `texts` is to be made, made again or removed. Whatever program changes
-- the library notes it here; who commits, or searches by words, catches up (src/store/text.rs).
CREATE TABLE texts_stale (recording_id INTEGER PRIMARY KEY) STRICT;
CREATE TRIGGER texts_recording_added AFTER INSERT ON recordings BEGIN
    INSERT OR IGNORE INTO texts_stale VALUES (NEW.id);
END;
CREATE TRIGGER texts_recording_moved AFTER UPDATE OF path ON recordings BEGIN
    INSERT OR IGNORE INTO texts_stale VALUES (NEW.id);
END;
CREATE TRIGGER texts_recording_removed AFTER DELETE ON recordings BEGIN
    INSERT OR IGNORE INTO texts_stale VALUES (OLD.id);
END;
CREATE TRIGGER texts_metadata_added AFTER INSERT ON metadata BEGIN
    INSERT OR IGNORE INTO texts_stale VALUES (NEW.recording_id);
END;
CREATE TRIGGER texts_metadata_changed AFTER UPDATE ON metadata BEGIN
    INSERT OR IGNORE INTO texts_stale VALUES (OLD.recording_id);
    INSERT OR IGNORE INTO texts_stale VALUES (NEW.recording_id);
END;
CREATE TRIGGER texts_metadata_removed AFTER DELETE ON metadata BEGIN
    INSERT OR IGNORE INTO texts_stale VALUES (OLD.recording_id);
END;
CREATE TRIGGER texts_label_added AFTER INSERT ON labels BEGIN
    INSERT OR IGNORE INTO texts_stale VALUES (NEW.recording_id);
END;
CREATE TRIGGER texts_label_changed AFTER UPDATE ON labels BEGIN
    INSERT OR IGNORE INTO texts_stale VALUES (OLD.recording_id);
    INSERT OR IGNORE INTO texts_stale VALUES (NEW.recording_id);
END;
CREATE TRIGGER texts_label_removed AFTER DELETE ON labels BEGIN
    INSERT OR IGNORE INTO texts_stale VALUES (OLD.recording_id);
END;
INSERT INTO texts_stale SELECT id FROM recordings;

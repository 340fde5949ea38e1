"""Schema of the registry's database: one script for each version, in order. A landed script never changes."""

from typing import Final

# `..._at` are UTC, RFC 3339, for people; `..._s` are seconds of the node's clock (`clock.py`), which all decisions use.
# Ids are never used again, also after `forget`: UIDs derive from them.
MIGRATIONS: Final[tuple[str, ...]] = (
    """
    CREATE TABLE node (id TEXT NOT NULL) STRICT;

    CREATE TABLE clock (seconds REAL NOT NULL, reading TEXT NOT NULL) STRICT;  -- `common/elapsed.py` has readings

    CREATE TABLE transfers (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        peer TEXT NOT NULL,
        began_at TEXT NOT NULL,
        ended_at TEXT,
        outcome TEXT CHECK (outcome IN ('released', 'aborted')), -- NULL while it is open
        last_begun INTEGER                                       -- at its end, the latest transfer that had begun
    ) STRICT;
    CREATE INDEX open_transfers ON transfers (id) WHERE outcome IS NULL;

    CREATE TABLE series (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        study_uid TEXT NOT NULL,
        series_uid TEXT NOT NULL,
        header TEXT,                                             -- InstanceHeader of the first instance, in JSON
        expected INTEGER,                                        -- NumberOfSeriesRelatedInstances at its PACS
        conflicts INTEGER NOT NULL DEFAULT 0,                    -- refused instances with the UID of another
        ours INTEGER,                                            -- verdict of the selection; NULL before it
        reasons TEXT NOT NULL DEFAULT '[]',                      -- of the verdict, in JSON
        waiting INTEGER NOT NULL DEFAULT 0,                      -- whether it has instances that no assessment covers
        first_received_at TEXT,
        last_received_at TEXT,
        last_received_s REAL,
        other_patients INTEGER NOT NULL DEFAULT 0,               -- instances of another than the first one
        derived INTEGER NOT NULL DEFAULT 0,                      -- instances of computed images, not localizers
        UNIQUE (study_uid, series_uid)
    ) STRICT;
    CREATE INDEX waiting_series ON series (id) WHERE waiting;
    CREATE INDEX series_by_uid ON series (series_uid);

    CREATE TABLE instances (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        series INTEGER NOT NULL REFERENCES series ON DELETE CASCADE,
        sop_instance_uid TEXT NOT NULL,
        sop_class_uid TEXT NOT NULL,
        transfer_syntax_uid TEXT NOT NULL,
        instance_number INTEGER,
        frames INTEGER NOT NULL,
        path TEXT,                                               -- below the data folder; NULL after its removal
        bytes INTEGER NOT NULL,
        digest BLOB NOT NULL,
        received_at TEXT NOT NULL,
        transfer INTEGER NOT NULL REFERENCES transfers,
        UNIQUE (series, sop_instance_uid)
    ) STRICT;
    CREATE INDEX stored_instances ON instances (series) WHERE path IS NOT NULL;

    CREATE TABLE series_transfers (                              -- transfers that sent instances of a series
        series INTEGER NOT NULL REFERENCES series ON DELETE CASCADE,
        transfer INTEGER NOT NULL REFERENCES transfers,
        sent INTEGER NOT NULL,                                   -- instances, also repeated ones
        PRIMARY KEY (series, transfer)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE assessments (                                   -- each covers the instances up to `last_instance`
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        series INTEGER NOT NULL REFERENCES series ON DELETE CASCADE,
        number INTEGER NOT NULL,
        last_instance INTEGER NOT NULL,
        step TEXT NOT NULL CHECK (step IN (
            'complete', 'submitted', 'reported', 'built', 'sent', 'committed', 'dead', 'passed_over', 'superseded'
        )),
        warnings TEXT NOT NULL DEFAULT '[]',                     -- Reason values in JSON
        refused INTEGER NOT NULL DEFAULT 0,                      -- not assessed, for one of them: no gateway is asked
        attempts INTEGER NOT NULL DEFAULT 0,                     -- of the present step, that failed
        faults INTEGER NOT NULL DEFAULT 0,                       -- jobs that ended by a fault of the gateway's parts
        next_attempt_s REAL NOT NULL DEFAULT 0,
        job_id TEXT,
        error_code TEXT,                                         -- of the latest failure
        created_at TEXT NOT NULL,
        step_at TEXT NOT NULL,
        finished_s REAL,                                         -- when the sweep first saw nothing left to do
        UNIQUE (series, number)
    ) STRICT;
    CREATE INDEX assessments_in_work ON assessments (id) WHERE step IN ('complete', 'submitted', 'reported');
    CREATE INDEX assessments_by_step ON assessments (step);

    CREATE TABLE jobs_to_delete (                                -- at the gateway: not kept, superseded or forgotten
        job_id TEXT PRIMARY KEY
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE objects (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        assessment INTEGER NOT NULL REFERENCES assessments ON DELETE CASCADE,
        kind TEXT NOT NULL,
        sop_class_uid TEXT NOT NULL,                             -- empty for FHIR
        sop_instance_uid TEXT NOT NULL,
        series_uid TEXT NOT NULL,
        path TEXT NOT NULL,                                      -- below the data folder
        UNIQUE (assessment, path)
    ) STRICT;
    CREATE INDEX objects_by_uid ON objects (sop_instance_uid);

    CREATE TABLE failed_kinds (                                  -- kinds of objects that could not be built
        assessment INTEGER NOT NULL REFERENCES assessments ON DELETE CASCADE,
        kind TEXT NOT NULL,
        error_code TEXT NOT NULL,
        PRIMARY KEY (assessment, kind)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE deliveries (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        object INTEGER NOT NULL REFERENCES objects ON DELETE CASCADE,
        destination TEXT NOT NULL,                               -- name of a peer
        commitment INTEGER NOT NULL,                             -- whether `sent` is followed by `committed`
        step TEXT NOT NULL DEFAULT 'pending' CHECK (step IN ('pending', 'sent', 'committed', 'dead', 'superseded')),
        attempts INTEGER NOT NULL DEFAULT 0,                     -- counted before each attempt
        next_attempt_s REAL NOT NULL DEFAULT 0,
        transaction_uid TEXT,
        error_code TEXT,
        created_at TEXT NOT NULL,
        step_at TEXT NOT NULL,
        refusals INTEGER NOT NULL DEFAULT 0,                     -- permanent answers of the destination
        tried_since_s REAL,                                      -- the first attempt, or failure to reach the peer
        UNIQUE (object, destination)
    ) STRICT;
    CREATE INDEX unfinished_deliveries ON deliveries (destination, step) WHERE step IN ('pending', 'sent');
    CREATE INDEX deliveries_by_step ON deliveries (step);
    CREATE INDEX deliveries_by_transaction ON deliveries (transaction_uid) WHERE transaction_uid IS NOT NULL;

    CREATE TABLE commitment_requests (                           -- a report may come after a later request was made
        transaction_uid TEXT PRIMARY KEY,
        destination TEXT NOT NULL,
        requested_at TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX commitment_requests_by_age ON commitment_requests (requested_at);

    CREATE TABLE pulls (
        id TEXT PRIMARY KEY,                                     -- random
        sender TEXT NOT NULL,                                    -- of the request
        peer TEXT NOT NULL,
        study_uid TEXT NOT NULL,
        series_uid TEXT NOT NULL,                                -- empty for all series of the study
        status TEXT NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'running', 'finished', 'failed')),
        attempts INTEGER NOT NULL DEFAULT 0,                     -- counted before each attempt
        next_attempt_s REAL NOT NULL DEFAULT 0,
        error_code TEXT,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        asked_s REAL NOT NULL DEFAULT 0
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX open_pulls ON pulls (peer, sender, study_uid, series_uid) WHERE status IN ('queued', 'running');
    CREATE INDEX pulls_by_age ON pulls (created_at);

    CREATE TABLE pulled_series (
        pull TEXT NOT NULL REFERENCES pulls ON DELETE CASCADE,
        series_uid TEXT NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('found', 'passed_over', 'retrieved', 'failed')),
        instances INTEGER,                                       -- at the peer; NULL where it does not count
        reasons TEXT NOT NULL DEFAULT '[]',                      -- of the selection, in JSON
        error_code TEXT,
        PRIMARY KEY (pull, series_uid)
    ) STRICT, WITHOUT ROWID;
    """,
)

-- Times are milliseconds since 1970 UTC. JSON is TEXT. Digests are BLOBs.
CREATE TABLE machines (
    id           TEXT PRIMARY KEY,
    state        TEXT NOT NULL,
    history_seq  INTEGER NOT NULL,
    deadline     INTEGER,
    enrolled_at  INTEGER NOT NULL,
    last_seen    INTEGER,
    network      TEXT,
    ip           TEXT,
    manufacturer TEXT,
    product      TEXT,
    serial       TEXT,
    uuid         TEXT,
    hostname     TEXT
) STRICT;
CREATE INDEX machines_serial ON machines (serial);
CREATE INDEX machines_deadline ON machines (deadline);

-- rank 0 is the NIC that booted last.
CREATE TABLE macs (
    mac     TEXT PRIMARY KEY,
    machine TEXT NOT NULL REFERENCES machines (id),
    rank    INTEGER NOT NULL
) STRICT;
CREATE INDEX macs_machine ON macs (machine);

CREATE TABLE history (
    machine  TEXT NOT NULL REFERENCES machines (id),
    seq      INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    actor    TEXT NOT NULL,
    event    TEXT NOT NULL,
    limits   TEXT NOT NULL,
    state    TEXT NOT NULL,
    sentence TEXT NOT NULL,
    PRIMARY KEY (machine, seq)
) STRICT;

CREATE TABLE reports (
    machine  TEXT NOT NULL REFERENCES machines (id),
    at       INTEGER NOT NULL,
    nonce    TEXT NOT NULL,
    digest   BLOB NOT NULL,
    report   TEXT,
    answer   TEXT,
    PRIMARY KEY (machine, nonce)
) STRICT;
CREATE INDEX reports_newest ON reports (machine, at);

CREATE TABLE checks (
    machine TEXT PRIMARY KEY REFERENCES machines (id),
    at      INTEGER NOT NULL,
    result  TEXT NOT NULL
) STRICT;

CREATE TABLE requests (
    machine TEXT PRIMARY KEY REFERENCES machines (id),
    at      INTEGER NOT NULL,
    request TEXT NOT NULL
) STRICT;

CREATE TABLE plans (
    id      TEXT PRIMARY KEY,
    machine TEXT NOT NULL REFERENCES machines (id),
    at      INTEGER NOT NULL,
    plan    TEXT NOT NULL
) STRICT;
CREATE INDEX plans_machine ON plans (machine, at);

CREATE TABLE verifications (
    machine      TEXT PRIMARY KEY REFERENCES machines (id),
    at           INTEGER NOT NULL,
    verification TEXT NOT NULL
) STRICT;

-- Only the digest of a ticket is kept.
CREATE TABLE tickets (
    digest      BLOB PRIMARY KEY,
    machine     TEXT NOT NULL REFERENCES machines (id),
    mac         TEXT NOT NULL,
    ip          TEXT NOT NULL,
    minted_at   INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    void        INTEGER NOT NULL DEFAULT 0,
    alarmed     INTEGER NOT NULL DEFAULT 0,
    key_digest  BLOB,
    certificate TEXT
) STRICT;
CREATE INDEX tickets_machine ON tickets (machine, minted_at);

CREATE TABLE certificates (
    serial     TEXT PRIMARY KEY,
    machine    TEXT NOT NULL REFERENCES machines (id),
    issued_at  INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    pem        TEXT NOT NULL,
    revoked    INTEGER NOT NULL DEFAULT 0,
    superseded INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX certificates_machine ON certificates (machine);

CREATE TABLE tokens (
    name    TEXT PRIMARY KEY,
    digest  BLOB NOT NULL UNIQUE,
    made_at INTEGER NOT NULL
) STRICT;

-- Rescue systems that were booted: one row a boot script. Only the digest of its ticket is kept.
CREATE TABLE rescues (
    ticket     BLOB PRIMARY KEY,
    machine    TEXT NOT NULL REFERENCES machines (id),
    mac        TEXT NOT NULL,
    ip         TEXT NOT NULL,
    made_at    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    opened_at  INTEGER,
    ended_at   INTEGER
) STRICT;
CREATE INDEX rescues_machine ON rescues (machine, made_at);

-- The password that opens the next rescue of a machine. `used_by`: the ticket that it opened.
CREATE TABLE rescue_passwords (
    machine    TEXT PRIMARY KEY REFERENCES machines (id),
    digest     BLOB NOT NULL,
    actor      TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    used_by    BLOB,
    wrong      INTEGER NOT NULL DEFAULT 0,
    wrong_at   INTEGER NOT NULL DEFAULT 0
) STRICT;

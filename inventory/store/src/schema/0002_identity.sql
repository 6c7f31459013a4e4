-- Who machines say they are, and who claims to be whom.
ALTER TABLE machines ADD COLUMN booted_at INTEGER;
-- The machine that this enrolment was found to be.
ALTER TABLE machines ADD COLUMN folded_into TEXT REFERENCES machines (id);
CREATE INDEX machines_folded ON machines (folded_into);

CREATE TABLE identities (
    machine  TEXT PRIMARY KEY REFERENCES machines (id),
    at       INTEGER NOT NULL,
    identity TEXT NOT NULL
) STRICT;

-- The values of an identity one by one, to find who shares them.
CREATE TABLE identity_values (
    field   TEXT NOT NULL,
    value   TEXT NOT NULL,
    machine TEXT NOT NULL REFERENCES machines (id),
    PRIMARY KEY (field, value, machine)
) STRICT, WITHOUT ROWID;
CREATE INDEX identity_values_machine ON identity_values (machine);

-- Values that a person found on different machines: they count no more.
CREATE TABLE shared_values (
    field TEXT NOT NULL,
    value TEXT NOT NULL,
    at    INTEGER NOT NULL,
    actor TEXT NOT NULL,
    PRIMARY KEY (field, value)
) STRICT, WITHOUT ROWID;

-- machine sent a report that claims to be other; machine = other: it contradicts what it had said before.
CREATE TABLE conflicts (
    id          INTEGER PRIMARY KEY,
    machine     TEXT NOT NULL REFERENCES machines (id),
    other       TEXT NOT NULL REFERENCES machines (id),
    at          INTEGER NOT NULL,
    sentence    TEXT NOT NULL,
    boot_mac    TEXT,
    seen        TEXT NOT NULL,
    known       TEXT NOT NULL,
    resolved_at INTEGER,
    resolution  TEXT,
    actor       TEXT
) STRICT;
CREATE INDEX conflicts_machine ON conflicts (machine);
CREATE INDEX conflicts_other ON conflicts (other);

-- Orders, rack plan, hardware profiles, part lives, tasks, notes. `*_key` columns are trimmed and lower case.
CREATE TABLE orders (
    number     TEXT PRIMARY KEY,
    changed_at INTEGER NOT NULL,
    body       TEXT NOT NULL
) STRICT;

CREATE TABLE hardware_profiles (
    name       TEXT PRIMARY KEY,
    changed_at INTEGER NOT NULL,
    body       TEXT NOT NULL
) STRICT;

CREATE TABLE placements (
    room         TEXT NOT NULL,
    rack         TEXT NOT NULL,
    unit         INTEGER NOT NULL,
    serial_key   TEXT UNIQUE,
    tag_key      TEXT UNIQUE,
    order_number TEXT,
    item         TEXT,
    profile      TEXT,
    changed_at   INTEGER NOT NULL,
    body         TEXT NOT NULL,
    PRIMARY KEY (room, rack, unit)
) STRICT;
CREATE INDEX placements_order ON placements (order_number, item);
CREATE INDEX placements_profile ON placements (profile);

-- The names by which the rack plan knows a machine, from its newest report. kind: 'serial' or 'tag'.
CREATE TABLE machine_names (
    machine TEXT NOT NULL REFERENCES machines (id),
    kind    TEXT NOT NULL,
    value   TEXT NOT NULL,
    PRIMARY KEY (machine, kind, value)
) STRICT;
CREATE INDEX machine_names_value ON machine_names (value, kind);

ALTER TABLE checks ADD COLUMN verdict TEXT;
ALTER TABLE checks ADD COLUMN expected_from TEXT;
-- Name of the hardware profile that was used, to find its machines.
ALTER TABLE checks ADD COLUMN profile TEXT;
UPDATE checks SET verdict = json_extract(result, '$.verdict');
CREATE INDEX checks_profile ON checks (profile);

-- Height of its chassis in rack units, from its newest report.
ALTER TABLE machines ADD COLUMN height_u INTEGER;

CREATE TABLE parts (
    key          TEXT PRIMARY KEY,
    kind         TEXT NOT NULL,
    serial       TEXT NOT NULL,
    serial_key   TEXT NOT NULL,
    manufacturer TEXT,
    model        TEXT
) STRICT;
CREATE INDEX parts_serial ON parts (serial_key);

-- Where a part is by the newest report of each machine.
CREATE TABLE part_places (
    part    TEXT NOT NULL REFERENCES parts (key),
    machine TEXT NOT NULL REFERENCES machines (id),
    place   TEXT NOT NULL,
    since   INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    alarmed INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (part, machine)
) STRICT;
CREATE INDEX part_places_machine ON part_places (machine);

CREATE TABLE part_events (
    id           INTEGER PRIMARY KEY,
    part         TEXT NOT NULL REFERENCES parts (key),
    at           INTEGER NOT NULL,
    machine      TEXT NOT NULL REFERENCES machines (id),
    what         TEXT NOT NULL,
    place        TEXT NOT NULL,
    from_place   TEXT,
    from_machine TEXT,
    report       TEXT NOT NULL
) STRICT;
CREATE INDEX part_events_part ON part_events (part, id);
CREATE INDEX part_events_machine ON part_events (machine, id);

CREATE TABLE tasks (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    machine    TEXT NOT NULL REFERENCES machines (id),
    task       TEXT NOT NULL,
    actor      TEXT NOT NULL,
    asked_at   INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    outcome    TEXT,
    -- 1: the agent shall still do it, or does it.
    open       INTEGER NOT NULL,
    expired    INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX tasks_machine ON tasks (machine, id);

CREATE TABLE notes (
    id      INTEGER PRIMARY KEY,
    machine TEXT NOT NULL REFERENCES machines (id),
    at      INTEGER NOT NULL,
    actor   TEXT NOT NULL,
    text    TEXT NOT NULL
) STRICT;
CREATE INDEX notes_machine ON notes (machine, id);

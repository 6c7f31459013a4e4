-- Several machines in one height unit: the node tells them apart; empty where a unit has one machine.
CREATE TABLE new_placements (
    room         TEXT NOT NULL,
    rack         TEXT NOT NULL,
    unit         INTEGER NOT NULL,
    node         TEXT NOT NULL DEFAULT '',
    serial_key   TEXT UNIQUE,
    tag_key      TEXT UNIQUE,
    order_number TEXT,
    item         TEXT,
    profile      TEXT,
    changed_at   INTEGER NOT NULL,
    body         TEXT NOT NULL,
    PRIMARY KEY (room, rack, unit, node)
) STRICT;
INSERT INTO new_placements (room, rack, unit, serial_key, tag_key, order_number, item, profile, changed_at, body)
    SELECT room, rack, unit, serial_key, tag_key, order_number, item, profile, changed_at, body FROM placements;
DROP TABLE placements;
ALTER TABLE new_placements RENAME TO placements;
CREATE INDEX placements_order ON placements (order_number, item);
CREATE INDEX placements_profile ON placements (profile);

-- Lists of machines are made in SQL. `phase_since`: when the state or its phase began. `search`: in lower case, all that a machine
-- is searched by except its state. `Store::open` fills state_name, phase, phase_since and search of older rows.
ALTER TABLE machines ADD COLUMN state_name TEXT NOT NULL DEFAULT '';
ALTER TABLE machines ADD COLUMN phase TEXT;
ALTER TABLE machines ADD COLUMN phase_since INTEGER NOT NULL DEFAULT 0;
ALTER TABLE machines ADD COLUMN search TEXT NOT NULL DEFAULT '';
ALTER TABLE machines ADD COLUMN verdict TEXT;
UPDATE machines SET verdict = (SELECT verdict FROM checks WHERE checks.machine = machines.id);
ALTER TABLE checks DROP COLUMN verdict;
CREATE INDEX machines_listed ON machines (enrolled_at, id);
CREATE INDEX machines_by_state ON machines (state_name, enrolled_at, id);
CREATE INDEX machines_by_verdict ON machines (verdict, enrolled_at, id);
CREATE INDEX conflicts_open ON conflicts (machine, other) WHERE resolved_at IS NULL;

ALTER TABLE history ADD COLUMN event_name TEXT;
UPDATE history SET event_name = json_extract(event, '$.event');

ALTER TABLE tasks ADD COLUMN kind TEXT NOT NULL DEFAULT '';
UPDATE tasks SET kind = json_extract(task, '$.kind');

-- The order in which rows of a machine were written. Reports are large: of those from before only the newest of each system and the
-- newest of all are numbered, and the others are ordered by `at`.
ALTER TABLE reports ADD COLUMN seq INTEGER NOT NULL DEFAULT 0;
UPDATE reports SET seq = 1
    WHERE rowid IN (SELECT max(rowid) FROM reports WHERE report IS NOT NULL GROUP BY machine, runs_on);
UPDATE reports SET seq = 2 WHERE rowid IN (SELECT max(rowid) FROM reports GROUP BY machine);
DROP INDEX reports_newest;
CREATE INDEX reports_newest ON reports (machine, seq, at);
ALTER TABLE plans ADD COLUMN seq INTEGER NOT NULL DEFAULT 0;
UPDATE plans SET seq = rowid;
DROP INDEX plans_machine;
CREATE INDEX plans_machine ON plans (machine, seq);
ALTER TABLE tickets ADD COLUMN seq INTEGER NOT NULL DEFAULT 0;
UPDATE tickets SET seq = rowid;
ALTER TABLE certificates ADD COLUMN seq INTEGER NOT NULL DEFAULT 0;
UPDATE certificates SET seq = rowid;
ALTER TABLE rescues ADD COLUMN seq INTEGER NOT NULL DEFAULT 0;
UPDATE rescues SET seq = rowid;

-- The items of orders one by one, to find the orders of a profile.
CREATE TABLE order_items (
    number  TEXT NOT NULL REFERENCES orders (number),
    item    TEXT NOT NULL,
    profile TEXT NOT NULL,
    PRIMARY KEY (number, item)
) STRICT;
CREATE INDEX order_items_profile ON order_items (profile);
INSERT OR IGNORE INTO order_items (number, item, profile)
    SELECT orders.number, json_extract(value, '$.item'), json_extract(value, '$.profile')
    FROM orders, json_each(orders.body, '$.items')
    WHERE json_extract(value, '$.item') IS NOT NULL AND json_extract(value, '$.profile') IS NOT NULL;

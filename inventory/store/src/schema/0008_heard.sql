-- From now on `macs` has only MACs by which a boot script was fetched: they decide whose script it is. What a report lists is a
-- claim and stands in `reported_macs`: it tells who may be one machine, and opens nothing.
CREATE TABLE reported_macs (
    machine TEXT NOT NULL REFERENCES machines (id),
    mac     TEXT NOT NULL,
    PRIMARY KEY (machine, mac)
) STRICT, WITHOUT ROWID;
CREATE INDEX reported_macs_mac ON reported_macs (mac);

INSERT INTO reported_macs (machine, mac)
    SELECT machine, mac FROM macs WHERE machine IN (SELECT machine FROM reports WHERE report IS NOT NULL);

-- Heard: the NIC that booted last, and every NIC that a kept ticket or rescue was made for, also before a fold.
DELETE FROM macs WHERE rank <> 0
    AND NOT EXISTS (SELECT 1 FROM tickets JOIN machines ON machines.id = tickets.machine
        WHERE tickets.mac = macs.mac AND (machines.id = macs.machine OR machines.folded_into = macs.machine))
    AND NOT EXISTS (SELECT 1 FROM rescues JOIN machines ON machines.id = rescues.machine
        WHERE rescues.mac = macs.mac AND (machines.id = macs.machine OR machines.folded_into = macs.machine));

-- 1: it claimed and reported, or a person asked for it. Only then are addresses and its names kept for it.
ALTER TABLE machines ADD COLUMN known INTEGER NOT NULL DEFAULT 0;
UPDATE machines SET known = 1
    WHERE id IN (SELECT machine FROM identities) OR id IN (SELECT machine FROM certificates)
       OR id IN (SELECT machine FROM requests);

-- How often the pair of events that this row stands for came.
ALTER TABLE history ADD COLUMN repeats INTEGER NOT NULL DEFAULT 1;
CREATE INDEX machines_enrolled ON machines (network, enrolled_at);

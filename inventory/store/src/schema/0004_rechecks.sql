-- Machines whose newest report is to be checked again, because what is expected of them changed. A machine that is asked
-- for again while it is looked at gets a new id, and stays.
CREATE TABLE rechecks (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    machine TEXT NOT NULL UNIQUE REFERENCES machines (id),
    actor   TEXT NOT NULL
) STRICT;

-- What became of the loaders that the firmware of a NIC was given.
CREATE TABLE loader_trials (
    mac   TEXT PRIMARY KEY,
    trial TEXT NOT NULL
) STRICT;

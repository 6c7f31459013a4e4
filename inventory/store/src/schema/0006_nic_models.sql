-- PCI vendor and device of NICs, from reports: loaders are remembered by it.
CREATE TABLE nic_models (
    mac   TEXT PRIMARY KEY,
    model TEXT NOT NULL
) STRICT;

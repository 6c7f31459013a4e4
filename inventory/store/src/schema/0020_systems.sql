-- Which system sent a report: 'mini-os' or 'installed'. Of older ones those of the mini-os know the boot NIC.
ALTER TABLE reports ADD COLUMN runs_on TEXT NOT NULL DEFAULT 'mini-os';
UPDATE reports SET runs_on = 'installed'
    WHERE report IS NOT NULL AND json_extract(report, '$.boot.boot_mac') IS NULL
    AND EXISTS (SELECT 1 FROM reports AS other WHERE other.machine = reports.machine
        AND json_extract(other.report, '$.boot.boot_mac') IS NOT NULL);

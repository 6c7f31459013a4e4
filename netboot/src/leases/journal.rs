//! The durable lease journal: one line per change, appended and synced before the ACK goes out.
//!
//! A line is `v1 NETWORK MAC IP EXPIRES_MS STATE CHECKSUM`. The last line for an address wins, separately for
//! leases and reservations. At start the file is read and compacted; torn or damaged lines are skipped, since
//! their ACK was never sent. It is also compacted when it has grown by [`GROWTH`], so the pools bound its
//! size.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use inventory_api::UnixMs;
use netboot_protocol::{Lease, LeaseState, fnv};

/// Bytes appended before the journal is compacted.
const GROWTH: u64 = 8 << 20;
/// Longest journal read at start.
const MAX_BYTES: u64 = 256 << 20;
/// Longest line; a network name has at most 64 characters.
const MAX_LINE: usize = 256;

/// One change of one network's leases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) network: String,
    /// The lease from now on.
    pub(crate) lease: Lease<IpAddr>,
}

impl Record {
    fn to_line(&self) -> String {
        let Lease {
            mac,
            ip,
            expires,
            state,
        } = self.lease;
        let body = format!("v1 {} {mac} {ip} {} {state}", self.network, expires.0);
        format!("{body} {:08x}\n", fnv(body.as_bytes()))
    }

    fn parse(line: &str) -> Option<Record> {
        let (body, sum) = line.strip_suffix('\n')?.rsplit_once(' ')?;
        if u32::from_str_radix(sum, 16).ok()? != fnv(body.as_bytes()) {
            return None;
        }
        let words: Vec<&str> = body.split(' ').collect();
        let ["v1", network, mac, ip, expires, state, ..] = words[..] else {
            return None;
        };
        let expires = UnixMs(expires.parse().ok()?);
        Some(Record {
            network: network.to_owned(),
            lease: Lease::new(mac.parse().ok()?, ip.parse().ok()?, state.parse().ok()?, expires),
        })
    }
}

/// What a journal held.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    /// The last record of each address.
    pub(crate) records: Vec<Record>,
    /// Lines that could not be read.
    pub(crate) damaged: u64,
}

pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    appended: u64,
    growth: u64,
}

impl Journal {
    /// Reads the journal at `path` (missing means empty), compacts it and opens it for appending. `keep`
    /// selects the records still needed.
    pub(crate) fn open(path: &Path, keep: impl Fn(&Record) -> bool) -> io::Result<(Journal, Replayed)> {
        let mut replayed = replay(path)?;
        replayed.records.retain(keep);
        let file = rewrite(path, &replayed.records)?;
        Ok((
            Journal {
                path: path.to_owned(),
                file,
                appended: 0,
                growth: GROWTH,
            },
            replayed,
        ))
    }

    /// Appends records and waits until they are on disk.
    pub(crate) fn append(&mut self, records: &[Record]) -> io::Result<()> {
        let text: String = records.iter().map(Record::to_line).collect();
        let before = self.file.metadata()?.len();
        let written = self.file.write_all(text.as_bytes());
        let written = written.and_then(|()| self.file.sync_data());
        if written.is_err() {
            // A partial line must not spoil the next one.
            let _ = self.file.set_len(before);
        }
        written?;
        self.appended += text.len() as u64;
        Ok(())
    }

    /// Whether it is time for [`Journal::compact`].
    pub(crate) fn has_grown(&self) -> bool {
        self.appended > self.growth
    }

    /// Rewrites the journal with the last record of each address.
    pub(crate) fn compact(&mut self) -> io::Result<()> {
        let replayed = replay(&self.path)?;
        self.file = rewrite(&self.path, &replayed.records)?;
        self.appended = 0;
        Ok(())
    }
}

fn replay(path: &Path) -> io::Result<Replayed> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Replayed::default()),
        Err(error) => return Err(error),
    };
    if file.metadata()?.len() > MAX_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!(
                "{} is larger than {MAX_BYTES} bytes: not a lease journal",
                path.display()
            ),
        ));
    }
    let mut last: BTreeMap<(String, IpAddr, bool), Record> = BTreeMap::new();
    let mut damaged = 0;
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader
            .by_ref()
            .take(MAX_LINE as u64)
            .read_until(b'\n', &mut line)?
            == 0
        {
            break;
        }
        match std::str::from_utf8(&line).ok().and_then(Record::parse) {
            Some(record) => {
                // An address can have a reservation and a lease. An ended reservation needs no line.
                let reserved = record.lease.state == LeaseState::Reserved;
                let place = (record.network.clone(), record.lease.ip, reserved);
                if reserved && record.lease.expires == UnixMs(0) {
                    last.remove(&place);
                } else {
                    last.insert(place, record);
                }
            }
            None => damaged += 1,
        }
    }
    Ok(Replayed {
        records: last.into_values().collect(),
        damaged,
    })
}

fn rewrite(path: &Path, records: &[Record]) -> io::Result<File> {
    let text: String = records.iter().map(Record::to_line).collect();
    replace(path, &text)?;
    OpenOptions::new().append(true).open(path)
}

/// Writes a complete new file and renames it over the old one; a power cut leaves one of the two.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    let directory = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use inventory_api::Mac;

    fn record(n: u8, expires: i64) -> Record {
        Record {
            network: "lab".into(),
            lease: Lease {
                mac: Mac([2, 0, 0, 0, 0, n]),
                ip: [10, 0, 0, n].into(),
                expires: UnixMs(expires),
                state: LeaseState::Bound,
            },
        }
    }

    fn open(path: &Path) -> (Journal, Replayed) {
        Journal::open(path, |_| true).unwrap()
    }

    #[test]
    fn a_cut_at_any_byte_loses_nothing_synced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("leases");
        let (mut journal, _) = open(&path);
        let synced = [record(1, 10), record(2, 20)];
        journal.append(&synced).unwrap();
        let good = std::fs::read(&path).unwrap();
        journal.append(&[record(3, 30)]).unwrap();
        let all = std::fs::read(&path).unwrap();
        for cut in good.len()..=all.len() {
            let torn = dir.path().join("torn");
            std::fs::write(&torn, &all[..cut]).unwrap();
            let (mut journal, replayed) = open(&torn);
            let expected = if cut == all.len() { 3 } else { 2 };
            assert_eq!(replayed.records.len(), expected, "cut at {cut}");
            assert_eq!(replayed.records[..2], synced);
            assert_eq!(replayed.damaged, u64::from(cut != good.len() && cut != all.len()));
            journal.append(&[record(4, 40)]).unwrap();
            let (_, again) = open(&torn);
            assert_eq!(
                (again.records.len(), again.damaged),
                (expected + 1, 0),
                "the next line is intact"
            );
        }
    }

    #[test]
    fn a_reservation_coexists_with_a_lease_and_can_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("leases");
        let (mut journal, _) = open(&path);
        let mut reserved = record(1, i64::MAX);
        reserved.lease.state = LeaseState::Reserved;
        let lease = record(1, 10);
        journal.append(&[lease.clone(), reserved.clone()]).unwrap();
        assert_eq!(open(&path).1.records, [lease.clone(), reserved.clone()]);
        let (mut journal, _) = open(&path);
        reserved.lease.expires = UnixMs(0);
        journal.append(&[reserved]).unwrap();
        assert_eq!(open(&path).1.records, [lease]);
    }

    #[test]
    fn both_protocols_are_journalled() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("leases");
        let (mut journal, _) = open(&path);
        let mut six = record(1, 10);
        six.lease.ip = "fd00:7::100".parse().unwrap();
        let all = [record(1, 10), six];
        journal.append(&all).unwrap();
        assert_eq!(open(&path).1.records, all);
    }

    #[test]
    fn damage_in_the_middle_costs_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("leases");
        let (mut journal, _) = open(&path);
        journal
            .append(&[record(1, 10), record(2, 20), record(3, 30)])
            .unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let second = bytes.iter().position(|&b| b == b'\n').unwrap() + 10;
        bytes[second] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let (_, replayed) = open(&path);
        assert_eq!(replayed.records, [record(1, 10), record(3, 30)]);
        assert_eq!(replayed.damaged, 1);
        std::fs::write(&path, vec![0xff; 100_000]).unwrap();
        let (_, replayed) = open(&path);
        assert!(replayed.records.is_empty() && replayed.damaged > 0);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    }

    #[test]
    fn the_journal_stays_bounded_and_the_last_line_wins() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("leases");
        let (mut journal, _) = open(&path);
        journal.growth = 10_000;
        for round in 0..1000 {
            journal.append(&[record((round % 3) as u8, round)]).unwrap();
            if journal.has_grown() {
                journal.compact().unwrap();
            }
        }
        assert!(std::fs::metadata(&path).unwrap().len() < 11_000);
        drop(journal);
        let (_, replayed) = open(&path);
        assert_eq!(replayed.records, [record(0, 999), record(1, 997), record(2, 998)]);
        let (_, kept) = Journal::open(&path, |record| record.lease.expires.0 > 997).unwrap();
        assert_eq!(kept.records.len(), 2);
    }
}

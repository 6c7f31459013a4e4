//! What a BMC stores about the machine: sensor records and states, FRU inventories, the event log. Requests
//! are bounded in number and time; the pure decoders beside this file interpret the answers.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use inventory_api::report::{AssetReport, BmcEvent, BmcFacts, PowerSupply};

use super::super::Problems;
use super::fru::{self, Fru};
use super::ipmi::Requests;
use super::sdr::{self, FruLocator, Reading, Records, Sensor};
use super::sel;

/// Time limit for everything: a slow BMC takes 20 ms per request, and the collectors end after 20 s.
pub(super) const TIME: Duration = Duration::from_secs(12);
/// Maximum number of sensor records; the largest servers have about 400.
const RECORDS: usize = 1024;
const INVENTORIES: usize = 48;
/// Number of newest event log entries kept.
const EVENTS: usize = 32;
/// A log with up to this many entries is walked from its start; in a longer one the newest are found by
/// number.
const WALKED: u16 = 256;
/// Bytes per partial read; some BMCs have 32-byte buffers including the header.
const PIECE: u8 = 16;

const SENSOR: u8 = 0x04;
const STORAGE: u8 = 0x0a;
/// Sensor type 08h and entity 0Ah (tables 42-3 and 43-13).
const POWER_SUPPLY: u8 = 0x08;
const POWER_SUPPLY_ENTITY: u8 = 0x0a;

/// Makes requests until a deadline.
struct Until<'a, B> {
    bmc: &'a mut B,
    end: Instant,
}

impl<B: Requests> Requests for Until<'_, B> {
    fn ask(&mut self, netfn: u8, command: u8, data: &[u8]) -> io::Result<Vec<u8>> {
        if Instant::now() >= self.end {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the BMC is too slow, the rest is skipped",
            ));
        }
        self.bmc.ask(netfn, command, data)
    }
}

/// Adds sensors, inventories, power supplies and events to the report.
pub(super) fn add(bmc: &mut impl Requests, report: &mut AssetReport, end: Instant, problems: &mut Problems) {
    let mut bmc = Until { bmc, end };
    let mut records = Records::default();
    if let Err(error) = read_records(&mut bmc, &mut records) {
        problems.note(format_args!(
            "IPMI sensor data repository, after {} records: {error}",
            records.sensors.len() + records.inventories.len()
        ));
    }
    let Records { sensors, inventories } = records;
    let facts = report.bmc.get_or_insert_with(BmcFacts::default);
    // First the most valuable, last the slowest.
    if let Err(error) = events(&mut bmc, &sensors, facts) {
        problems.note(format_args!("IPMI system event log: {error}"));
    }
    let units = units(&mut bmc, &inventories);
    facts.fru = units.iter().map(|(_, unit)| unit.facts.clone()).collect();
    let told: Vec<(&Sensor, Option<Reading>)> = sensors
        .iter()
        .map(|sensor| (sensor, reading(&mut bmc, sensor)))
        .collect();
    let values = told
        .iter()
        .filter_map(|(sensor, reading)| sdr::facts(sensor, (*reading)?));
    report.sensors.extend(values);
    report.power_supplies = power_supplies(&told, units);
    if Instant::now() >= end {
        problems.note(format_args!(
            "IPMI: not finished after {} s, the rest is skipped",
            TIME.as_secs()
        ));
    }
}

/// Reserve SDR Repository and Get SDR (33.11, 33.12).
fn read_records(bmc: &mut impl Requests, records: &mut Records) -> io::Result<()> {
    let mut id = 0_u16;
    let mut reservation = [0; 2];
    for _ in 0..RECORDS {
        let (next, bytes) = record(bmc, reservation, id).or_else(|_| {
            // The reservation is lost if the repository changes.
            reservation = match bmc.ask(STORAGE, 0x22, &[]).as_deref() {
                Ok([low, high, ..]) => [*low, *high],
                _ => [0; 2],
            };
            record(bmc, reservation, id)
        })?;
        records.add(&bytes);
        if next == 0xffff || next == id {
            break;
        }
        id = next;
    }
    Ok(())
}

/// One record and the number of the next: read whole, or in pieces if the BMC cannot do that.
fn record(bmc: &mut impl Requests, reservation: [u8; 2], id: u16) -> io::Result<(u16, Vec<u8>)> {
    let short = || io::Error::new(io::ErrorKind::InvalidData, "the answer is too short");
    let [low, high] = id.to_le_bytes();
    let mut piece = |offset: u8, count: u8| {
        let answer = bmc.ask(
            STORAGE,
            0x23,
            &[reservation[0], reservation[1], low, high, offset, count],
        )?;
        let [next_low, next_high, bytes @ ..] = answer.as_slice() else {
            return Err(short());
        };
        Ok((u16::from_le_bytes([*next_low, *next_high]), bytes.to_vec()))
    };
    if let Ok((next, bytes)) = piece(0, 0xff)
        && bytes.len() > 5
    {
        return Ok((next, bytes));
    }
    let (next, mut bytes) = piece(0, 5)?;
    let whole = 5 + usize::from(*bytes.get(4).ok_or_else(short)?);
    while let Some(left) = whole.checked_sub(bytes.len()).filter(|left| *left > 0) {
        let (Ok(offset), count) = (u8::try_from(bytes.len()), left.min(PIECE.into()) as u8) else {
            break;
        };
        let (_, more) = piece(offset, count)?;
        if more.is_empty() {
            return Err(short());
        }
        bytes.extend(more);
    }
    Ok((next, bytes))
}

/// Get Sensor Reading (35.14).
fn reading(bmc: &mut impl Requests, sensor: &Sensor) -> Option<Reading> {
    if !sensor.can_be_asked || !(sensor.scale.is_some() || is_supply(sensor)) {
        return None;
    }
    Reading::parse(&bmc.ask(SENSOR, 0x2d, &[sensor.number]).ok()?)
}

/// The BMC's own inventory, and those named by records.
fn units(bmc: &mut impl Requests, named: &[FruLocator]) -> Vec<(Option<(u8, u8)>, Fru)> {
    let mut all = BTreeMap::from([(0, ("FRU 0", None))]);
    all.extend(
        named
            .iter()
            .map(|unit| (unit.id, (unit.name.as_str(), Some(unit.entity)))),
    );
    let read = |(id, (name, entity)): (u8, (&str, _))| {
        let mut unit = fru::parse(&inventory(bmc, id)?)?;
        unit.facts.name = name.to_owned();
        Some((entity, unit))
    };
    all.into_iter().take(INVENTORIES).filter_map(read).collect()
}

/// Get FRU Inventory Area Info and Read FRU Data (34.1, 34.2), up to the limit.
fn inventory(bmc: &mut impl Requests, id: u8) -> Option<Vec<u8>> {
    let info = bmc.ask(STORAGE, 0x10, &[id]).ok()?;
    let [low, high, access, ..] = info.as_slice() else {
        return None;
    };
    // Some devices are addressed in words.
    let unit = if access & 1 == 1 { 2 } else { 1 };
    let size = (usize::from(u16::from_le_bytes([*low, *high])) * unit).min(fru::LIMIT);
    let mut bytes = Vec::new();
    let mut piece = 2 * PIECE;
    while bytes.len() < size {
        let [offset_low, offset_high] = ((bytes.len() / unit) as u16).to_le_bytes();
        let count = (size - bytes.len()).min(piece.into()) / unit;
        let answer = bmc.ask(STORAGE, 0x11, &[id, offset_low, offset_high, count as u8]);
        match answer.as_deref() {
            Ok([_, data @ ..]) if !data.is_empty() => bytes.extend(data.iter().take(size - bytes.len())),
            // Too many bytes at once for this device.
            Err(_) if piece > PIECE => piece = PIECE,
            _ => break,
        }
        // Do not read an empty EEPROM to its end.
        if bytes.len() >= usize::from(piece) && bytes.iter().all(|b| *b == 0xff) {
            return None;
        }
    }
    Some(bytes)
}

/// Get SEL Info and Get SEL Entry (31.2, 31.5): the number of entries, and the newest ones, newest first.
fn events(bmc: &mut impl Requests, sensors: &[Sensor], facts: &mut BmcFacts) -> io::Result<()> {
    let info = bmc.ask(STORAGE, 0x40, &[])?;
    let [_, low, high, ..] = info.as_slice() else {
        return Ok(());
    };
    let count = u16::from_le_bytes([*low, *high]);
    facts.event_count = Some(count.into());
    let names: BTreeMap<u8, String> = sensors
        .iter()
        .map(|sensor| (sensor.number, sensor.name.clone()))
        .collect();
    // The number of the next entry, then the entry.
    let mut entry = |id: u16| {
        let [low, high] = id.to_le_bytes();
        let answer = bmc.ask(STORAGE, 0x43, &[0, 0, low, high, 0, 0xff])?;
        let next = answer
            .get(..2)
            .map_or(0xffff, |next| u16::from_le_bytes([next[0], next[1]]));
        io::Result::Ok((next, answer.get(2..).unwrap_or_default().to_vec()))
    };
    let mut newest: Vec<BmcEvent> = Vec::new();
    if count <= WALKED {
        let mut id = 0;
        for _ in 0..count {
            let (next, bytes) = entry(id)?;
            newest.extend(sel::parse(&bytes, &names));
            if next == 0xffff || next == id {
                break;
            }
            id = next;
        }
        newest.reverse();
    } else {
        let (_, last) = entry(0xffff)?;
        newest.extend(sel::parse(&last, &names));
        let mut id = last.get(..2).map_or(0, |id| u16::from_le_bytes([id[0], id[1]]));
        // Numbers increase; those of deleted entries are missing.
        for _ in 0..2 * EVENTS {
            id = id.saturating_sub(1);
            if id == 0 || newest.len() == EVENTS {
                break;
            }
            match entry(id) {
                Ok((_, bytes)) => newest.extend(sel::parse(&bytes, &names)),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(error),
                Err(_) => {}
            }
        }
    }
    newest.truncate(EVENTS);
    facts.events = newest;
    Ok(())
}

fn is_supply(sensor: &Sensor) -> bool {
    (sensor.kind, sensor.reading) == (POWER_SUPPLY, sdr::SENSOR_SPECIFIC)
}

/// Power supplies from status sensors and inventories, one per entity instance. For machines whose SMBIOS
/// lists none.
fn power_supplies(
    sensors: &[(&Sensor, Option<Reading>)],
    units: Vec<(Option<(u8, u8)>, Fru)>,
) -> Vec<PowerSupply> {
    let mut supplies: BTreeMap<(u8, u8), PowerSupply> = BTreeMap::new();
    for (sensor, reading) in sensors.iter().filter(|(sensor, _)| is_supply(sensor)) {
        let supply = supplies.entry(sensor.entity).or_default();
        supply.location.get_or_insert_with(|| place(&sensor.name));
        let Some(states) = reading.map(|reading| reading.states) else {
            continue;
        };
        // Table 42-3, type 08h: 0 present, 1 failed, 2 about to fail, 3 to 5 input lost or out of range, 6
        // wrong configuration.
        let can_tell = sensor.states & 1 == 1;
        let present = (can_tell || states & 1 == 1 || states & 0x7e != 0).then_some(states & 0x7f != 0);
        supply.present = supply.present.max(present);
        if present == Some(true) {
            supply.plugged = Some(states & 0x18 == 0);
            let status = match states {
                states if states & 0x02 != 0 => "Critical",
                states if states & 0x7c != 0 => "Non-critical",
                _ => "OK",
            };
            supply.status = Some(status.to_owned());
        }
    }
    for (entity, unit) in units {
        let Some(entity) =
            entity.filter(|entity| entity.0 == POWER_SUPPLY_ENTITY || supplies.contains_key(entity))
        else {
            continue;
        };
        let supply = supplies.entry(entity).or_default();
        let facts = unit.facts;
        supply.location.get_or_insert_with(|| place(&facts.name));
        supply.name = facts.product;
        supply.manufacturer = facts.manufacturer;
        supply.part = facts.part;
        supply.serial = facts.serial;
        supply.asset_tag = facts.asset_tag;
        supply.max_watts = unit.watts;
        // The BMC's own memory was read.
        supply.present.get_or_insert(true);
    }
    supplies.into_values().collect()
}

/// "PS1 Status" and "PSU1 FRU" become PS1 and PSU1.
fn place(name: &str) -> String {
    let bare = ["status", "state", "fru"].iter().find_map(|word| {
        let (start, end) = name.split_at_checked(name.len().checked_sub(word.len())?)?;
        end.eq_ignore_ascii_case(word)
            .then(|| start.trim_end_matches([' ', '_', '-']))
    });
    bare.filter(|bare| !bare.is_empty()).unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::fru::tests::supply;
    use super::super::sdr::tests::{full, locator, status};
    use super::*;

    /// A BMC with two power supply bays, one empty, a fan, and a log. `whole`: it returns whole records.
    struct Bmc {
        whole: bool,
        log: u16,
        requests: usize,
    }

    impl Requests for Bmc {
        fn ask(&mut self, netfn: u8, command: u8, data: &[u8]) -> io::Result<Vec<u8>> {
            self.requests += 1;
            let refused = || io::Error::other("completion code cah");
            let records = [
                full(0x41, "FAN1", 18, 100, 0),
                status(0x61, 1, "PS1 Status"),
                status(0x62, 2, "PS2 Status"),
                locator(1, (10, 1), "PSU1 FRU"),
                locator(2, (10, 2), "PSU2 FRU"),
            ];
            match (netfn, command, data) {
                (STORAGE, 0x22, []) => Ok(vec![7, 0]),
                (STORAGE, 0x23, [reservation, 0, id, 0, offset, count]) => {
                    if !self.whole && (*count > PIECE || (*offset > 0 && *reservation != 7)) {
                        return Err(refused());
                    }
                    let record = &records[usize::from(*id)];
                    let next = if usize::from(*id) + 1 < records.len() {
                        [id + 1, 0]
                    } else {
                        [0xff, 0xff]
                    };
                    let bytes = record.iter().skip((*offset).into()).take((*count).into());
                    Ok(next.into_iter().chain(bytes.copied()).collect())
                }
                (STORAGE, 0x10, [0 | 1, ..]) => Ok(vec![0, 1, 0]),
                (STORAGE, 0x11, [1, low, high, count]) => {
                    let mut memory = supply("P920A1");
                    memory.resize(256, 0);
                    let from = usize::from(u16::from_le_bytes([*low, *high]));
                    let bytes = &memory[from..][..usize::from(*count)];
                    Ok([&[*count][..], bytes].concat())
                }
                (STORAGE, 0x11, [0, _, _, count]) => Ok(vec![0xff; usize::from(*count) + 1]),
                (SENSOR, 0x2d, [0x41]) => Ok(vec![0, 0xc0, 0x04, 0]),
                (SENSOR, 0x2d, [0x61]) => Ok(vec![0, 0xc0, 0x09, 0x80]),
                (SENSOR, 0x2d, [0x62]) => Ok(vec![0, 0xc0, 0x00, 0x80]),
                (STORAGE, 0x40, []) => {
                    let [low, high] = self.log.to_le_bytes();
                    Ok(vec![0x51, low, high, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
                }
                (STORAGE, 0x43, [0, 0, low, high, 0, 0xff]) => {
                    let id = match u16::from_le_bytes([*low, *high]) {
                        0 => 1,
                        0xffff => self.log,
                        id => id,
                    };
                    let next = if id == self.log { 0xffff } else { id + 1 };
                    let stamp = (1_700_000_000 + u32::from(id)).to_le_bytes();
                    let mut entry = next.to_le_bytes().to_vec();
                    entry.extend(id.to_le_bytes());
                    entry.push(2);
                    entry.extend(stamp);
                    entry.extend([0x20, 0, 4, 0x08, 0x61, 0x6f, 0x03, 0xff, 0xff]);
                    Ok(entry)
                }
                _ => Err(refused()),
            }
        }
    }

    fn ask(bmc: &mut Bmc, time: Duration) -> (AssetReport, Problems) {
        let mut report = AssetReport::default();
        let mut problems = Problems::new("bmc");
        add(bmc, &mut report, Instant::now() + time, &mut problems);
        (report, problems)
    }

    #[test]
    fn power_supplies_of_a_machine_without_type_39() {
        for whole in [true, false] {
            let mut bmc = Bmc {
                whole,
                log: 3,
                requests: 0,
            };
            let (report, problems) = ask(&mut bmc, Duration::from_secs(60));
            let one = PowerSupply {
                location: Some("PS1".to_owned()),
                name: Some("PWS-920P-SQ".to_owned()),
                manufacturer: Some("SUPERMICRO".to_owned()),
                part: Some("PWS-920P".to_owned()),
                serial: Some("P920A1".to_owned()),
                max_watts: Some(920),
                present: Some(true),
                // It lost its input.
                plugged: Some(false),
                status: Some("Non-critical".to_owned()),
                ..PowerSupply::default()
            };
            let two = PowerSupply {
                location: Some("PS2".to_owned()),
                present: Some(false),
                ..PowerSupply::default()
            };
            assert_eq!(report.power_supplies, [one, two], "whole: {whole}");
            let fan = &report.sensors[0];
            assert_eq!(
                (fan.chip.as_str(), fan.value, fan.alarm),
                ("bmc", 0.0, Some(true))
            );
            let bmc = report.bmc.unwrap();
            assert_eq!(
                bmc.fru.iter().map(|unit| unit.name.as_str()).collect::<Vec<_>>(),
                ["PSU1 FRU"]
            );
            assert_eq!((bmc.event_count, bmc.events.len()), (Some(3), 3));
            assert_eq!(bmc.events[0].at.map(|at| at.0), Some(1_700_000_003_000));
            assert_eq!(bmc.events[0].sensor, "PS1 Status");
            assert!(problems.found.is_empty(), "{problems:?}");
        }
    }

    #[test]
    fn the_newest_events_of_a_long_log_and_no_request_after_the_time() {
        let mut bmc = Bmc {
            whole: true,
            log: 4000,
            requests: 0,
        };
        let (report, _) = ask(&mut bmc, Duration::from_secs(60));
        let facts = report.bmc.unwrap();
        assert_eq!((facts.event_count, facts.events.len()), (Some(4000), EVENTS));
        assert_eq!(facts.events[31].at.map(|at| at.0), Some(1_700_003_969_000));
        assert!(bmc.requests < 120, "{}", bmc.requests);
        let mut slow = Bmc {
            whole: true,
            log: 1,
            requests: 0,
        };
        let (_, problems) = ask(&mut slow, Duration::ZERO);
        assert_eq!((slow.requests, problems.found.len()), (0, 3), "{problems:?}");
    }

    #[test]
    fn a_power_supplys_place_is_its_name_without_status_or_fru() {
        for (name, expected) in [
            ("PS1 Status", "PS1"),
            ("PSU2_STATUS", "PSU2"),
            ("PSU1 FRU", "PSU1"),
            ("Status", "Status"),
            ("PS é", "PS é"),
        ] {
            assert_eq!(place(name), expected);
        }
    }
}

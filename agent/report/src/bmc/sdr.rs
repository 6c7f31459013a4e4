//! Records of the sensor data repository (IPMI 2.0, chapter 43) and readings of sensors. Pure.
//!
//! ipmi-rs-core parses such records too, but panics on a short locator and on a reserved name modifier.

use inventory_api::report::SensorFacts;

use super::super::clean;
use super::fru::text;

/// The BMC itself, as owner of a sensor or of an inventory.
const BMC_ADDRESS: u8 = 0x20;
/// Event/Reading Type Codes (table 42-1).
const THRESHOLD: u8 = 0x01;
pub(super) const SENSOR_SPECIFIC: u8 = 0x6f;

/// The useful content of the records.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// Types 01h, 02h and 03h.
    pub sensors: Vec<Sensor>,
    /// Type 11h: inventories that the BMC provides.
    pub inventories: Vec<FruLocator>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sensor {
    pub name: String,
    /// Whether it can be read here: only the BMC's own sensors, and not those that only send events.
    pub can_be_asked: bool,
    pub number: u8,
    /// Entity and instance: what it measures (table 43-13).
    pub entity: (u8, u8),
    /// Sensor type (table 42-3).
    pub kind: u8,
    /// Event/Reading Type Code.
    pub reading: u8,
    /// States that a discrete sensor can report.
    pub states: u16,
    pub scale: Option<Scale>,
}

/// Converts a raw reading into a value (36.3).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    unit: &'static str,
    /// 0: unsigned, 1: ones' complement, 2: two's complement.
    format: u8,
    inverse: bool,
    m: f64,
    b: f64,
    power: i32,
}

/// Where an inventory is, and of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FruLocator {
    pub id: u8,
    pub name: String,
    pub entity: (u8, u8),
}

impl Records {
    /// Adds one record, including its five-byte header: one sensor, or several that share it. Useless or
    /// short records are ignored.
    pub fn add(&mut self, record: &[u8]) {
        let found = match record.get(3) {
            Some(0x01) => sensors(record, 0x01, [12, 13, 18, 47]),
            Some(0x02) => sensors(record, 0x02, [12, 13, 18, 31]),
            Some(0x03) => sensors(record, 0x03, [10, 11, record.len(), 16]),
            Some(0x11) => return self.inventories.extend(inventory(record)),
            _ => None,
        };
        self.sensors.extend(found.into_iter().flatten());
    }
}

/// A name, by its type/length byte (43.15).
fn name(record: &[u8], at: usize) -> Option<String> {
    let kind = *record.get(at)?;
    let rest = &record[at + 1..];
    clean::text(&text(kind, &rest[..usize::from(kind & 0x1f).min(rest.len())]))
}

/// `offsets`: sensor type, reading type, mask of states, name.
fn sensors(record: &[u8], record_kind: u8, offsets: [usize; 4]) -> Option<Vec<Sensor>> {
    let byte = |at: usize| record.get(at).copied();
    let word = |at: usize| Some(u16::from_le_bytes([byte(at)?, byte(at + 1)?]));
    let [kind, reading, states, name_at] = offsets;
    let first = Sensor {
        name: name(record, name_at)?,
        can_be_asked: record_kind != 0x03 && byte(5)? == BMC_ADDRESS && byte(6)? & 0x03 == 0,
        number: byte(7)?,
        entity: (byte(8)?, byte(9)?),
        kind: byte(kind)?,
        reading: byte(reading)?,
        states: word(states).unwrap_or(0),
        scale: (record_kind == 0x01).then(|| scale(record)).flatten(),
    };
    // Types 02h and 03h: one record for several sensors with numbered names (43.2, bytes 24 and 25).
    let (share, modifier) = match record_kind {
        0x02 => (byte(23)?, byte(24)?),
        0x03 => (byte(12)?, byte(13)?),
        _ => (0, 0),
    };
    let count = (share & 0x0f).max(1);
    let sensor = |n: u8| {
        let mut sensor = first.clone();
        sensor.number = sensor.number.wrapping_add(n);
        if modifier & 0x80 != 0 {
            sensor.entity.1 = sensor.entity.1.wrapping_add(n);
        }
        if count > 1 {
            let index = u32::from(modifier & 0x7f) + u32::from(n);
            let alpha = char::from_u32(u32::from(b'A') + index).filter(char::is_ascii_uppercase);
            match (share >> 4 & 0x3, alpha) {
                (1, Some(letter)) => sensor.name.push(letter),
                _ => sensor.name.push_str(&index.to_string()),
            }
        }
        sensor
    };
    Some((0..count).map(sensor).collect())
}

/// The scale of a full record, for units known in a report.
fn scale(record: &[u8]) -> Option<Scale> {
    let byte = |at: usize| record.get(at).copied();
    let units = byte(20)?;
    // Table 43-15. Percentages and rates are not among these.
    let unit = match (units & 0x3f, byte(21)?) {
        (0, 1) => "C",
        (0, 4) => "V",
        (0, 5) => "A",
        (0, 6) => "W",
        (0, 18) => "rpm",
        _ => return None,
    };
    let inverse = match byte(23)? & 0x7f {
        0 => false,
        7 => true,
        _ => return None,
    };
    // Ten bits with sign: the low eight, and the upper two of the next byte.
    let ten =
        |at: usize| Some(((u16::from(byte(at)?) | u16::from(byte(at + 1)? & 0xc0) << 2) << 6) as i16 >> 6);
    let exponents = byte(29)?;
    let b_power = i32::from((exponents << 4) as i8 >> 4);
    Some(Scale {
        unit,
        format: units >> 6,
        inverse,
        m: f64::from(ten(24)?),
        b: f64::from(ten(26)?) * 10_f64.powi(b_power),
        power: i32::from(exponents as i8 >> 4),
    })
}

impl Scale {
    fn value(&self, raw: u8) -> Option<f64> {
        let x = match self.format {
            0 => f64::from(raw),
            1 if raw & 0x80 != 0 => -f64::from(!raw),
            1 => f64::from(raw),
            2 => f64::from(raw as i8),
            _ => return None,
        };
        let linear = (self.m * x + self.b) * 10_f64.powi(self.power);
        let value = if self.inverse { 1.0 / linear } else { linear };
        value.is_finite().then_some(value)
    }
}

/// A sensor's answer to Get Sensor Reading (35.14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    raw: u8,
    /// Comparisons with thresholds, or discrete states 0 to 14.
    pub states: u16,
}

impl Reading {
    /// None if there is no reading now.
    pub fn parse(answer: &[u8]) -> Option<Reading> {
        let [raw, flags, states @ ..] = answer else {
            return None;
        };
        // Bit 6: scanning is enabled; bit 5: no reading (yet).
        (flags & 0x60 == 0x40).then(|| Reading {
            raw: *raw,
            states: u16::from_le_bytes([
                states.first().copied().unwrap_or(0),
                states.get(1).copied().unwrap_or(0) & 0x7f,
            ]),
        })
    }
}

/// A value for the report. None for a sensor without a value or with another unit.
pub(super) fn facts(sensor: &Sensor, reading: Reading) -> Option<SensorFacts> {
    let scale = sensor.scale.filter(|_| sensor.reading == THRESHOLD)?;
    Some(SensorFacts {
        chip: "bmc".to_owned(),
        label: sensor.name.clone(),
        unit: scale.unit.to_owned(),
        // Eight bits do not justify more than three digits.
        value: (scale.value(reading.raw)? * 1000.0).round() / 1000.0,
        critical: None,
        // Bits 1, 2: lower critical and non-recoverable; 4, 5: upper (35.14).
        alarm: Some(reading.states & 0b11_0110 != 0),
    })
}

fn inventory(record: &[u8]) -> Option<FruLocator> {
    let byte = |at: usize| record.get(at).copied();
    // A logical FRU device: readable by Read FRU Data.
    if byte(5)? != BMC_ADDRESS || byte(7)? & 0x80 == 0 {
        return None;
    }
    Some(FruLocator {
        id: byte(6)?,
        name: name(record, 15)?,
        entity: (byte(12)?, byte(13)?),
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn record(kind: u8, body: &[u8], name: &str) -> Vec<u8> {
        let mut record = vec![1, 0, 0x51, kind, (body.len() + 1 + name.len()) as u8];
        record.extend(body);
        record.push(0xc0 | name.len() as u8);
        record.extend(name.bytes());
        record
    }

    /// A full record of a fan: 25 to 28 are M, B and their upper bits, 29 the exponents.
    pub fn full(number: u8, name: &str, unit: u8, m: u8, exponents: u8) -> Vec<u8> {
        let mut body = vec![0; 42];
        (body[0], body[2], body[3], body[4]) = (0x20, number, 29, number);
        (body[7], body[8], body[16], body[19], body[24]) = (0x04, THRESHOLD, unit, m, exponents);
        record(0x01, &body, name)
    }

    /// A compact record of a power supply's status.
    pub fn status(number: u8, instance: u8, name: &str) -> Vec<u8> {
        let mut body = vec![0; 26];
        (body[0], body[2], body[3], body[4]) = (0x20, number, 10, instance);
        (body[7], body[8], body[13]) = (0x08, SENSOR_SPECIFIC, 0x0b);
        record(0x02, &body, name)
    }

    pub fn locator(id: u8, entity: (u8, u8), name: &str) -> Vec<u8> {
        let body = [0x20, id, 0x80, 0, 0, 0x10, 0, entity.0, entity.1, 0];
        record(0x11, &body, name)
    }

    fn parse(record: &[u8]) -> Records {
        let mut records = Records::default();
        records.add(record);
        records
    }

    fn only(record: &[u8]) -> Sensor {
        match parse(record) {
            Records { sensors, inventories } if sensors.len() == 1 && inventories.is_empty() => {
                sensors[0].clone()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn values_by_the_specifications_formula() {
        let value = |record: &[u8], answer: &[u8]| facts(&only(record), Reading::parse(answer)?);
        let fan = full(0x30, "FAN1", 18, 100, 0x00);
        let told = value(&fan, &[56, 0xc0, 0, 0]).unwrap();
        assert_eq!(
            (told.label.as_str(), told.unit.as_str(), told.value, told.alarm),
            ("FAN1", "rpm", 5600.0, Some(false))
        );
        // At or below the lower critical threshold.
        assert_eq!(value(&fan, &[0, 0xc0, 0x02, 0]).unwrap().alarm, Some(true));
        // Scanning disabled, or without a reading.
        assert_eq!((value(&fan, &[56, 0x80]), value(&fan, &[56, 0xe0])), (None, None));
        // 12 V: M 60, R exponent -3.
        assert_eq!(
            value(&full(1, "12V", 4, 60, 0xd0), &[201, 0xc0]).unwrap().value,
            12.06
        );
        assert_eq!(value(&full(1, "Humidity", 7, 1, 0), &[1, 0xc0]), None);
    }

    #[test]
    fn factor_and_offset_of_a_sensor_are_signed() {
        let mut record = full(1, "Temp", 1, 0xff, 0);
        // M = -1 in ten bits, B = 100.
        (record[25], record[26]) = (0xc0, 100);
        let told = facts(&only(&record), Reading::parse(&[30, 0x40]).unwrap());
        assert_eq!(told.unwrap().value, 70.0);
        record[20] = 0x80;
        let told = facts(&only(&record), Reading::parse(&[0xfe, 0x40]).unwrap());
        assert_eq!(told.unwrap().value, 102.0);
    }

    #[test]
    fn one_record_of_several_sensors() {
        let mut shared = status(0x50, 1, "PS");
        (shared[23], shared[24]) = (0x02, 0x81);
        let found: Vec<(u8, u8, String)> = parse(&shared)
            .sensors
            .into_iter()
            .map(|sensor| (sensor.number, sensor.entity.1, sensor.name))
            .collect();
        assert_eq!(found, [(0x50, 1, "PS1".to_owned()), (0x51, 2, "PS2".to_owned())]);
    }

    #[test]
    fn only_inventories_of_the_bmc_itself_are_located() {
        let psu = locator(3, (10, 1), "PSU1 FRU");
        let expected = FruLocator {
            id: 3,
            name: "PSU1 FRU".to_owned(),
            entity: (10, 1),
        };
        assert_eq!(parse(&psu).inventories, [expected]);
        let mut other = psu.clone();
        other[5] = 0x2c;
        assert_eq!(parse(&other).inventories, []);
        for end in 0..psu.len() {
            parse(&psu[..end]);
        }
    }
}

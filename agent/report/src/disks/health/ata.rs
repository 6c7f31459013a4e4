//! SMART of ATA disks: READ DATA, READ THRESHOLDS, RETURN STATUS (ATA8-ACS 7.53; the attribute table is a
//! convention documented by smartmontools).

use inventory_api::report::DiskHealth;

use super::super::super::parse::{little_endian, sum};

/// Entries in the attribute and threshold tables.
const ENTRIES: usize = 30;
const ENTRY_BYTES: usize = 12;
const PAGE: usize = 512;

/// One attribute: the vendor's normalised value, and the raw value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Attribute {
    id: u8,
    /// A failing pre-failure attribute predicts a failure soon.
    prefailure: bool,
    /// 253 and above mean no value.
    value: u8,
    raw: u64,
}

/// The attribute table of SMART READ DATA.
#[derive(Clone, Debug, Default)]
pub(crate) struct Smart {
    attributes: Vec<Attribute>,
    /// Self-test execution status, byte 363.
    self_test: u8,
}

impl Smart {
    /// From the 512 bytes of READ DATA. None if too short, empty, or with a wrong checksum: no fact is better
    /// than a wrong one.
    pub fn parse(data: &[u8]) -> Option<Smart> {
        let data = checked(data)?;
        let attributes = entries(data)
            .filter(|entry| entry[0] != 0)
            .map(|entry| Attribute {
                id: entry[0],
                prefailure: entry[1] & 1 == 1,
                value: entry[3],
                raw: little_endian(&entry[5..11]),
            })
            .collect();
        Some(Smart {
            attributes,
            self_test: data[363],
        })
    }

    fn raw(&self, id: u8) -> Option<u64> {
        Some(self.attribute(id)?.raw)
    }

    /// A count: the low 32 bits; some makers store other data above.
    fn count(&self, id: u8) -> Option<u64> {
        Some(self.raw(id)? & 0xffff_ffff)
    }

    fn attribute(&self, id: u8) -> Option<&Attribute> {
        self.attributes.iter().find(|a| a.id == id)
    }

    /// The facts. `model` decides where makers differ. Fields from the disk's logs stay empty.
    pub fn health(&self, model: &str) -> DiskHealth {
        let maker = Maker::of(model);
        let bytes = |id: u8, unit: u64| self.raw(id).and_then(|count| count.checked_mul(unit));
        let (written, read) = match maker {
            // "Host_Writes_32MiB".
            Maker::Intel => (bytes(241, 32 << 20), bytes(242, 32 << 20)),
            Maker::Kingston => (bytes(241, 1 << 30), bytes(242, 1 << 30)),
            Maker::Micron => (bytes(246, 512), None),
            Maker::Samsung | Maker::Seagate => (bytes(241, 512), bytes(242, 512)),
            Maker::Dell | Maker::SandForce | Maker::Transcend | Maker::Other => (None, None),
        };
        DiskHealth {
            temperature_c: self.temperature(),
            // Some makers store minutes or milliseconds in the upper bytes.
            power_on_hours: self.raw(9).map(|raw| raw & 0xff_ffff),
            power_cycles: self.count(12),
            used_percent: self.used(maker),
            reallocated_sectors: self.count(5),
            pending_sectors: self.count(197),
            uncorrectable_errors: self.count(198).max(self.count(187)),
            link_errors: self.count(199),
            written_bytes: written,
            read_bytes: read,
            self_test: self.running(),
            ..DiskHealth::default()
        }
    }

    /// The low byte of 194, else of 190; other bytes are minimum and maximum.
    fn temperature(&self) -> Option<i32> {
        [194, 190]
            .into_iter()
            .filter_map(|id| self.raw(id))
            .map(|raw| i32::from(raw as u8 as i8))
            .find(|degrees| (-40..=120).contains(degrees) && *degrees != 0)
    }

    /// Life used in percent, inverted where the maker counts remaining life.
    fn used(&self, maker: Maker) -> Option<u32> {
        let left = |value: u64| (value <= 100).then(|| 100 - value as u32);
        let normalised = |id: u8| self.attribute(id).and_then(|a| left(u64::from(a.value)));
        match maker {
            Maker::Intel => normalised(233),
            Maker::Dell => self.raw(245).and_then(left),
            Maker::Samsung => normalised(177),
            // The raw value is the used life, although the name says "remain".
            Maker::Micron => self.raw(202).filter(|used| *used <= 255).map(|used| used as u32),
            Maker::Kingston => self.raw(231).and_then(left),
            // Here the raw value is specific to the controller.
            Maker::SandForce => normalised(231),
            Maker::Transcend => self.raw(169).and_then(left),
            Maker::Seagate | Maker::Other => None,
        }
    }

    /// A running self-test; the result of the last one is in the log.
    fn running(&self) -> Option<String> {
        (self.self_test >> 4 == 15)
            .then(|| format!("running {} %", 100 - 10 * u32::from(self.self_test & 0xf).min(10)))
    }

    /// The verdict from READ THRESHOLDS, for disks without RETURN STATUS. None without thresholds.
    pub fn passed(&self, thresholds: &[u8]) -> Option<bool> {
        let thresholds = checked(thresholds)?;
        let failed = self.attributes.iter().any(|attribute| {
            let threshold = entries(thresholds)
                .find(|entry| entry[0] == attribute.id)
                .map_or(0, |entry| entry[1]);
            // 00h always passes; FEh and FFh are for factory tests.
            attribute.prefailure
                && (1..=253).contains(&threshold)
                && (1..=253).contains(&attribute.value)
                && attribute.value <= threshold
        });
        Some(!failed)
    }
}

/// The attribute set: the same number means different things by maker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Maker {
    Intel,
    /// Intel's and Micron's disks with Dell's firmware and Dell's numbers.
    Dell,
    Samsung,
    Micron,
    Kingston,
    /// Kingston's disks with SandForce controllers.
    SandForce,
    Transcend,
    Seagate,
    Other,
}

impl Maker {
    fn of(model: &str) -> Maker {
        let is = |prefix: &str| model.starts_with(prefix);
        let any = |prefixes: &[&str]| prefixes.iter().any(|prefix| is(prefix));
        if any(&["INTEL SSDSC", "INTEL SSDSA", "SOLIDIGM SSDSC"]) {
            Maker::Intel
        } else if any(&["SSDSC", "MTFDDA"]) {
            Maker::Dell
        } else if any(&["SAMSUNG MZ", "Samsung SSD"]) {
            Maker::Samsung
        } else if any(&["Micron_", "Crucial_CT"])
            || (is("CT") && (model.contains("MX") || model.contains("BX")))
        {
            Maker::Micron
        } else if any(&[
            "KINGSTON SV300",
            "KINGSTON SKC300",
            "KINGSTON SVP200",
            "KINGSTON SH103",
            "KINGSTON SMS200",
        ]) {
            Maker::SandForce
        } else if is("KINGSTON S") {
            Maker::Kingston
        } else if is("TS") && model.contains("GMTS") {
            Maker::Transcend
        } else if is("ST") && model.as_bytes().get(2).is_some_and(u8::is_ascii_digit) {
            Maker::Seagate
        } else {
            Maker::Other
        }
    }
}

/// A page whose bytes sum to zero, through its last byte.
fn checked(data: &[u8]) -> Option<&[u8]> {
    let data = data.get(..PAGE)?;
    (sum(data) == 0 && data.iter().any(|b| *b != 0)).then_some(data)
}

fn entries(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    data[2..].chunks_exact(ENTRY_BYTES).take(ENTRIES)
}

/// SMART RETURN STATUS from the sense data of a command with CK_COND (SAT-4, 12.2.2.6): LBA C24Fh is good,
/// 2CF4h is failing.
pub(crate) fn return_status(sense: &[u8]) -> Option<bool> {
    let (middle, high) = match sense.first()? & 0x7f {
        // Descriptor format: look for the ATA Status Return descriptor.
        0x72 => {
            let mut rest = sense.get(8..)?;
            loop {
                let length = usize::from(*rest.get(1)?);
                if rest[0] == 9 && length >= 12 {
                    break (*rest.get(9)?, *rest.get(11)?);
                }
                rest = rest.get(2 + length..)?;
            }
        }
        // Fixed format: command-specific information.
        0x70 => (*sense.get(10)?, *sense.get(11)?),
        _ => return None,
    };
    match (middle, high) {
        (0x4f, 0xc2) => Some(true),
        (0xf4, 0x2c) => Some(false),
        _ => None,
    }
}

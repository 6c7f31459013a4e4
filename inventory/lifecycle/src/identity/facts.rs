//! The facts of a report that identify a machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use inventory_api::Mac;
use inventory_api::report::AssetReport;
use inventory_api::serial::{bare, counts_as_serial, says_something};
use serde::{Deserialize, Serialize};

use super::junk::{SERIES_UUIDS, counts_as_mac, is_filling, is_usb_nic};

/// Maximum number of NICs considered per report; a machine has fewer.
const MAX_NICS: usize = 64;

/// One kind of fact, with its weight: see [`Field::weight`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Field {
    /// Hash of the TPM's endorsement key.
    Tpm,
    /// Serial number of the system (SMBIOS type 1).
    System,
    /// Serial number of the board (type 2).
    Board,
    /// SMBIOS UUID.
    Uuid,
    /// MAC of the BMC.
    Bmc,
    /// Permanent MACs of the NICs.
    Nics,
    /// Serial number of the chassis (type 3).
    Chassis,
}

impl Field {
    /// All of them, heaviest first.
    pub const ALL: [Field; 7] = [
        Field::Tpm,
        Field::System,
        Field::Board,
        Field::Uuid,
        Field::Bmc,
        Field::Nics,
        Field::Chassis,
    ];

    /// Its weight if it agrees. A sum of 60 ([`super::CLAIM`]) from two fields claims an identity.
    ///
    /// | field | weight | why |
    /// | --- | --- | --- |
    /// | TPM key | 55 | made in the chip and unique; but a module can be moved, and virtual ones are copied |
    /// | system serial | 45 | on the label; rewritten by service after a board swap; nodes of an enclosure can share one |
    /// | board serial | 40 | stored on the board; some makers omit it or use a placeholder |
    /// | UUID | 40 | meant to be unique; changed by firmware updates, shared by some series |
    /// | BMC MAC | 40 | on the board; can be changed by hand on a few BMCs |
    /// | NIC MACs | 35 | unique, but cards move: one common MAC counts as much as four, which can be on one card |
    /// | chassis serial | 15 | shared by all blades of an enclosure: just enough together with the system serial |
    pub fn weight(self) -> u32 {
        self.row().0
    }

    /// Stable short name.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// Name for people.
    pub fn words(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> (u32, &'static str, &'static str) {
        match self {
            Field::Tpm => (55, "tpm", "TPM endorsement key"),
            Field::System => (45, "system", "system serial"),
            Field::Board => (40, "board", "board serial"),
            Field::Uuid => (40, "uuid", "SMBIOS UUID"),
            Field::Bmc => (40, "bmc", "BMC MAC"),
            Field::Nics => (35, "nics", "NIC MACs"),
            Field::Chassis => (15, "chassis", "chassis serial"),
        }
    }
}

/// A serial number with its maker. Without the maker it identifies nothing: every maker starts at 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Serial {
    /// Maker, as compared.
    maker: String,
    /// Serial number, as compared.
    bare: String,
    /// As reported, for people.
    shown: String,
}

impl Serial {
    /// `None` if the number or its maker is a placeholder.
    pub fn new(maker: Option<&str>, serial: Option<&str>) -> Option<Serial> {
        let (maker, serial) = (maker?.trim(), serial?.trim());
        if maker.len() > 256 || !counts_as_serial(serial) {
            return None;
        }
        let maker = maker_name(maker);
        says_something(&maker).then(|| Serial {
            maker,
            bare: bare(serial),
            shown: serial.to_owned(),
        })
    }
}

/// Firmware updates change how makers write their name: "HP" and "HPE", "Dell" and "Dell Inc.".
fn maker_name(text: &str) -> String {
    const TAILS: &[&str] = &[
        "corporation",
        "computer",
        "international",
        "incorporated",
        "company",
        "limited",
        "corp",
        "gmbh",
        "inc",
        "ltd",
        "llc",
        "co",
        "ag",
    ];
    let mut words: Vec<String> = text
        .split(|c: char| !c.is_alphanumeric())
        .map(bare)
        .filter(|w| !w.is_empty())
        .collect();
    while words.len() > 1 && words.last().is_some_and(|w| TAILS.contains(&w.as_str())) {
        words.pop();
    }
    let name = words.concat();
    match name.as_str() {
        "hewlettpackard" | "hewlettpackardenterprise" | "hpe" => "hp".to_owned(),
        _ => name,
    }
}

/// A UUID independent of byte order. DHCP option 97, raw SMBIOS, dmidecode before and since 2.6, and iPXE
/// write the first three fields in one order or the other (ipxe issue 542), and IPMI sends all sixteen bytes
/// backwards (IPMI 2.0, 20.8).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "String")]
pub struct Uuid {
    /// The smallest value of all byte orders.
    canonical: [u8; 16],
    /// As reported.
    shown: [u8; 16],
}

impl Uuid {
    /// `None`: not a UUID, or a placeholder.
    pub fn parse(text: &str) -> Option<Uuid> {
        let shown = uuid_bytes(text)?;
        let canonical = canonical(shown);
        let series = SERIES_UUIDS
            .iter()
            .any(|known| uuid_bytes(known).is_some_and(|known| self::canonical(known) == canonical));
        (!is_filling(&shown) && !series).then_some(Uuid { canonical, shown })
    }
}

fn uuid_bytes(text: &str) -> Option<[u8; 16]> {
    let text = text.trim().trim_start_matches('{').trim_end_matches('}');
    let mut bytes = [0; 16];
    hex::decode_to_slice(text.replace('-', ""), &mut bytes).ok()?;
    Some(bytes)
}

fn canonical(bytes: [u8; 16]) -> [u8; 16] {
    let swapped = |mut b: [u8; 16]| {
        b[..4].reverse();
        b[4..6].reverse();
        b[6..8].reverse();
        b
    };
    let backwards = |mut b: [u8; 16]| {
        b.reverse();
        b
    };
    // Both together generate eight orders; the smallest represents them all.
    let mut orders = BTreeSet::from([bytes]);
    for _ in 0..4 {
        let more: Vec<_> = orders.iter().flat_map(|b| [swapped(*b), backwards(*b)]).collect();
        orders.extend(more);
    }
    orders.into_iter().next().unwrap_or(bytes)
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.shown).fmt(f)
    }
}

/// Drops a stored UUID that is now known to be shared by a series.
fn uuid_or_none<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Uuid>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.as_deref().and_then(Uuid::parse))
}

impl From<Uuid> for String {
    fn from(uuid: Uuid) -> String {
        uuid.to_string()
    }
}

/// The identity that a machine reports, reduced to usable facts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Identity {
    /// Hash of the TPM's endorsement key.
    pub tpm: Option<String>,
    /// System serial.
    pub system: Option<Serial>,
    /// Board serial.
    pub board: Option<Serial>,
    /// Chassis serial.
    pub chassis: Option<Serial>,
    /// SMBIOS UUID.
    #[serde(deserialize_with = "uuid_or_none")]
    pub uuid: Option<Uuid>,
    /// MAC of the BMC.
    pub bmc: Option<Mac>,
    /// Permanent MACs of its NICs.
    pub nics: BTreeSet<Mac>,
}

impl Identity {
    /// The identity in a report.
    pub fn of(report: &AssetReport) -> Identity {
        let serial = |maker: &Option<String>, serial: &Option<String>| {
            Serial::new(maker.as_deref(), serial.as_deref())
        };
        let (system, board, chassis) = (&report.system, &report.board, &report.chassis);
        let (tpm, bmc) = (report.tpm.as_ref(), report.bmc.as_ref());
        let digest = |text: &String| {
            let good = text.len() == 64 && text.bytes().all(|c| c.is_ascii_hexdigit());
            (good && text.bytes().any(|c| c != b'0')).then(|| text.to_ascii_lowercase())
        };
        let uuid = system.as_ref().and_then(|s| s.uuid.as_deref());
        Identity {
            tpm: tpm.and_then(|t| digest(t.endorsement_key_sha256.as_ref()?)),
            system: system.as_ref().and_then(|s| serial(&s.manufacturer, &s.serial)),
            board: board.as_ref().and_then(|b| serial(&b.manufacturer, &b.serial)),
            chassis: chassis.as_ref().and_then(|c| serial(&c.manufacturer, &c.serial)),
            uuid: uuid.and_then(Uuid::parse),
            bmc: bmc.and_then(|b| b.mac).filter(|mac| counts_as_mac(*mac)),
            nics: report
                .nics
                .iter()
                .take(MAX_NICS)
                .filter(|nic| !is_usb_nic(nic))
                .filter_map(|nic| nic.permanent_mac.or(nic.mac))
                .filter(|mac| counts_as_mac(*mac))
                .collect(),
        }
    }

    /// Whether it has no usable fact.
    pub fn is_empty(&self) -> bool {
        *self == Identity::default()
    }

    /// Its value of a field that is a serial number.
    fn serial(&self, field: Field) -> Option<&Serial> {
        match field {
            Field::System => self.system.as_ref(),
            Field::Board => self.board.as_ref(),
            Field::Chassis => self.chassis.as_ref(),
            Field::Tpm | Field::Uuid | Field::Bmc | Field::Nics => None,
        }
    }

    /// Its values of a field as they are compared; machines that share one are found by them.
    pub fn keys(&self, field: Field) -> Vec<String> {
        match field {
            Field::Tpm => self.tpm.iter().cloned().collect(),
            Field::System | Field::Board | Field::Chassis => {
                let serial = self.serial(field).map(|s| format!("{} {}", s.maker, s.bare));
                serial.into_iter().collect()
            }
            Field::Uuid => self.uuid.iter().map(|u| hex::encode(u.canonical)).collect(),
            Field::Bmc => self.bmc.iter().map(Mac::to_string).collect(),
            Field::Nics => self.nics.iter().map(Mac::to_string).collect(),
        }
    }

    /// Its value of a field, for people.
    pub fn shown(&self, field: Field) -> Option<String> {
        match field {
            Field::System | Field::Board | Field::Chassis => self.serial(field).map(|s| s.shown.clone()),
            Field::Uuid => self.uuid.as_ref().map(Uuid::to_string),
            Field::Tpm | Field::Bmc | Field::Nics => {
                let keys = self.keys(field);
                (!keys.is_empty()).then(|| keys.join(", "))
            }
        }
    }

    /// Removes values that a user declared to be shared by different machines.
    #[must_use]
    pub fn without(&self, shared: &BTreeMap<Field, BTreeSet<String>>) -> Identity {
        let is_shared = |field, key: &String| shared.get(&field).is_some_and(|keys| keys.contains(key));
        let is_own = |field: Field| !self.keys(field).iter().any(|key| is_shared(field, key));
        let nics = self.nics.iter().copied();
        Identity {
            tpm: self.tpm.clone().filter(|_| is_own(Field::Tpm)),
            system: self.system.clone().filter(|_| is_own(Field::System)),
            board: self.board.clone().filter(|_| is_own(Field::Board)),
            chassis: self.chassis.clone().filter(|_| is_own(Field::Chassis)),
            uuid: self.uuid.clone().filter(|_| is_own(Field::Uuid)),
            bmc: self.bmc.filter(|_| is_own(Field::Bmc)),
            nics: nics
                .filter(|mac| !is_shared(Field::Nics, &mac.to_string()))
                .collect(),
        }
    }

    /// Applies a newer report. Missing facts are kept, because a collector may fail.
    #[must_use]
    pub fn updated(self, newer: &Identity) -> Identity {
        Identity {
            tpm: newer.tpm.clone().or(self.tpm),
            system: newer.system.clone().or(self.system),
            board: newer.board.clone().or(self.board),
            chassis: newer.chassis.clone().or(self.chassis),
            uuid: newer.uuid.clone().or(self.uuid),
            bmc: newer.bmc.or(self.bmc),
            nics: if newer.nics.is_empty() {
                self.nics
            } else {
                newer.nics.clone()
            },
        }
    }

    /// Whether a field that both have is equal; `None` if one lacks it. NICs are equal if they have one in
    /// common.
    pub(super) fn agrees(&self, other: &Identity, field: Field) -> Option<bool> {
        let (own, others) = (self.keys(field), other.keys(field));
        let both = !own.is_empty() && !others.is_empty();
        both.then(|| own.iter().any(|key| others.contains(key)))
    }

    /// Whether two of its fields hold the same text: Dell's service tag is in system and chassis, and is one
    /// fact.
    pub(super) fn same_text(&self, a: Field, b: Field) -> bool {
        matches!((self.serial(a), self.serial(b)), (Some(a), Some(b)) if a.bare == b.bare)
    }
}

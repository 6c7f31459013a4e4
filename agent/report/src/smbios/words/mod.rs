//! The specification's enumerations in dmidecode's words. Other, Unknown and unspecified values are None,
//! because they cannot be compared.

pub(super) mod memory;
pub(super) mod processor;
pub(super) mod slot;

/// The term for a code, where `first` is the code of the first term; None if it is empty.
fn term(words: &[&'static str], first: u8, code: u8) -> Option<&'static str> {
    let at = code.checked_sub(first)?;
    words
        .get(usize::from(at))
        .copied()
        .filter(|word| !word.is_empty())
}

/// As [`term`], for an enumeration in which 1 is Other and 2 is Unknown.
fn known(words: &[&'static str], code: u8) -> Option<&'static str> {
    term(words, 3, code)
}

/// 7.4.1, System enclosure or chassis types, from 3.
const CHASSIS: &[&str] = &[
    "Desktop",
    "Low Profile Desktop",
    "Pizza Box",
    "Mini Tower",
    "Tower",
    "Portable",
    "Laptop",
    "Notebook",
    "Hand Held",
    "Docking Station",
    "All In One",
    "Sub Notebook",
    "Space-saving",
    "Lunch Box",
    "Main Server Chassis",
    "Expansion Chassis",
    "Sub Chassis",
    "Bus Expansion Chassis",
    "Peripheral Chassis",
    "RAID Chassis",
    "Rack Mount Chassis",
    "Sealed-case PC",
    "Multi-system",
    "CompactPCI",
    "AdvancedTCA",
    "Blade",
    "Blade Enclosing",
    "Tablet",
    "Convertible",
    "Detachable",
    "IoT Gateway",
    "Embedded PC",
    "Mini PC",
    "Stick PC",
];

/// 7.4.1; bit 7 is the lock.
pub(super) fn chassis(byte: u8) -> Option<&'static str> {
    known(CHASSIS, byte & 0x7f)
}

/// 7.4.2, System enclosure or chassis states.
pub(super) fn chassis_state(code: u8) -> Option<&'static str> {
    known(&["Safe", "Warning", "Critical", "Non-recoverable"], code)
}

/// 7.8.3 and 7.17.3, Error correction type; "None" is a fact.
pub(super) fn error_correction(code: u8) -> Option<&'static str> {
    known(
        &["None", "Parity", "Single-bit ECC", "Multi-bit ECC", "CRC"],
        code,
    )
}

/// 7.8.3, Error correction type of a cache.
pub(super) fn cache_error_correction(code: u8) -> Option<&'static str> {
    // CRC applies only to memory arrays.
    error_correction(code).filter(|_| code < 7)
}

/// 7.8.4, System cache type.
pub(super) fn cache_kind(code: u8) -> Option<&'static str> {
    known(&["Instruction", "Data", "Unified"], code)
}

/// 7.8.5, Associativity.
pub(super) fn associativity(code: u8) -> Option<&'static str> {
    known(
        &[
            "Direct Mapped",
            "2-way Set-associative",
            "4-way Set-associative",
            "Fully Associative",
            "8-way Set-associative",
            "16-way Set-associative",
            "12-way Set-associative",
            "24-way Set-associative",
            "32-way Set-associative",
            "48-way Set-associative",
            "64-way Set-associative",
            "20-way Set-associative",
        ],
        code,
    )
}

/// 7.40.1, power supply characteristics, bits 9:7.
pub(super) fn power_supply_status(code: u8) -> Option<&'static str> {
    known(&["OK", "Non-critical", "Critical"], code)
}

/// 7.39.1, BMC interface type.
pub(super) fn bmc_interface(code: u8) -> Option<&'static str> {
    term(&["KCS", "SMIC", "BT", "SSIF"], 1, code)
}

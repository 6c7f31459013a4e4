//! Types 16 and 17: memory arrays and the slots in them.

use inventory_api::report::{MemoryArray, MemoryFacts, MemorySlot};

use super::super::Problems;
use super::structure::Structure;
use super::table::Table;
use super::words;

const SLOT_LIMIT: usize = 1024;
const ARRAY_LIMIT: usize = 256;
/// 7.17.2, Use.
const USE_SYSTEM_MEMORY: u8 = 3;
const KIB: u64 = 1024;
const MIB: u64 = 1024 * 1024;

/// Every array used as system memory, and all its slots: two arrays with two processors (seen in the field),
/// but not the firmware's flash chip (seen in the field). A slot whose array is missing counts as system
/// memory: VMware's slots point to a missing array. [`inventory_api::report::distinct`] decides what counts
/// as memory, and sums it.
pub(super) fn memory(table: &Table, problems: &mut Problems) -> MemoryFacts {
    let arrays = table.all(16, 0x0f, problems);
    let of_the_system = |array: &&Structure| array.byte(0x05) == Some(USE_SYSTEM_MEMORY);
    let mut devices = table.all(17, 0x15, problems);
    devices.retain(|device| {
        let handle = device.word(0x04);
        let mut mine = arrays.iter().filter(|a| Some(a.handle()) == handle).peekable();
        mine.peek().is_none() || mine.any(&of_the_system)
    });
    problems.keep(&mut devices, SLOT_LIMIT, "type 17", "slots");
    let slots: Vec<MemorySlot> = devices.into_iter().map(|s| slot(s, problems)).collect();
    let arrays = arrays.iter().filter(|a| of_the_system(a)).take(ARRAY_LIMIT);
    MemoryFacts {
        slots,
        arrays: arrays.map(|s| array(s)).collect(),
        ..MemoryFacts::default()
    }
}

fn array(s: &Structure) -> MemoryArray {
    // 7.17: in KiB; 0x80000000 refers to the extended field in bytes (2.7).
    let max_bytes = match s.dword(0x07) {
        Some(0x8000_0000) => s.qword(0x0f),
        kib => kib.map(|kib| u64::from(kib) * KIB),
    };
    MemoryArray {
        location: s.named(0x04, words::memory::location),
        error_correction: s.named(0x06, words::error_correction),
        max_bytes: max_bytes.filter(|bytes| *bytes != 0),
        slots: s.word(0x0d).map(u32::from),
    }
}

fn slot(s: &Structure, problems: &mut Problems) -> MemorySlot {
    let size = Size::of(s);
    let slot = MemorySlot {
        slot: s.place(0x10, problems),
        bank: s.place(0x11, problems),
        form: s.named(0x0e, words::memory::form),
        kind: s.named(0x12, words::memory::kind),
        detail: s.word(0x13).and_then(words::memory::detail),
        total_width: width(s, 0x08),
        data_width: width(s, 0x0a),
        ..MemorySlot::default()
    };
    if size == Some(Size::Empty) {
        // Other fields of an empty slot are leftovers or defaults.
        return MemorySlot {
            populated: Some(false),
            ..slot
        };
    }
    // Fields introduced together are present together (table 3 of the specification); checked as dmidecode
    // does.
    let mut code = |offset| s.since(0x1b)?.fact(offset, problems);
    let module = MemorySlot {
        speed_mts: s.since(0x17).and_then(|s| speed(s, 0x15, 0x54)),
        manufacturer: code(0x17),
        serial: code(0x18),
        asset_tag: code(0x19),
        part: code(0x1a),
        rank: s
            .byte(0x1b)
            .map(|bits| u32::from(bits & 0x0f))
            .filter(|rank| *rank != 0),
        configured_mts: s.since(0x22).and_then(|s| speed(s, 0x20, 0x58)),
        voltage: s.since(0x28).and_then(|s| voltage(s.word(0x26))),
        technology: s
            .since(0x34)
            .and_then(|s| s.named(0x28, words::memory::technology)),
        firmware: s.since(0x34).and_then(|s| s.fact(0x2b, problems)),
        ..slot
    };
    let module = portions(s, module);
    match size {
        Some(Size::Bytes(bytes)) => MemorySlot {
            size_bytes: Some(bytes),
            populated: Some(true),
            ..module
        },
        // Size unknown: a serial or part number proves a module.
        _ => MemorySlot {
            populated: (module.serial.is_some() || module.part.is_some()).then_some(true),
            ..module
        },
    }
}

/// 7.18, non-volatile, volatile and cache size (3.2): all ones are unknown; if all portions are zero, the
/// firmware left the fields empty.
fn portions(s: &Structure, module: MemorySlot) -> MemorySlot {
    let portion = |offset| s.qword(offset).filter(|bytes| *bytes != u64::MAX);
    let fields = [portion(0x34), portion(0x3c), portion(0x44)];
    if fields.iter().all(|field| field.is_none_or(|bytes| bytes == 0)) {
        return module;
    }
    let [non_volatile_bytes, volatile_bytes, cache_bytes] = fields;
    MemorySlot {
        non_volatile_bytes,
        volatile_bytes,
        cache_bytes,
        ..module
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    Empty,
    Unknown,
    Bytes(u64),
}

impl Size {
    fn of(s: &Structure) -> Option<Size> {
        Some(Size::decode(s.word(0x0c)?, s.dword(0x1c)))
    }

    /// 7.18.1 Size, 7.18.5 Extended Size.
    fn decode(size: u16, extended: Option<u32>) -> Size {
        match (size, extended) {
            (0, _) => Size::Empty,
            (0xffff, _) => Size::Unknown,
            (0x7fff, Some(extended)) => match u64::from(extended & 0x7fff_ffff) {
                0 => Size::Unknown,
                mib => Size::Bytes(mib * MIB),
            },
            (size, _) => match (size & 0x8000 != 0, u64::from(size & 0x7fff)) {
                (_, 0) => Size::Unknown,
                (true, kib) => Size::Bytes(kib * KIB),
                (false, mib) => Size::Bytes(mib * MIB),
            },
        }
    }
}

/// MT/s; 0 is unknown, 0xffff refers to the extended field (3.3).
fn speed(s: &Structure, word: usize, extended: usize) -> Option<u32> {
    let speed = match s.word(word)? {
        0xffff if s.length() >= 0x5c => s.dword(extended)? & 0x7fff_ffff,
        0xffff => 0,
        speed => u32::from(speed),
    };
    (speed != 0).then_some(speed)
}

/// Bits; 0 and 0xffff are unknown.
fn width(s: &Structure, offset: usize) -> Option<u32> {
    s.word(offset)
        .filter(|bits| !matches!(bits, 0 | 0xffff))
        .map(u32::from)
}

/// From millivolts; zero is unknown.
fn voltage(millivolts: Option<u16>) -> Option<f64> {
    millivolts.filter(|mv| *mv != 0).map(|mv| f64::from(mv) / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_in_both_granularities_and_extended() {
        assert_eq!(Size::decode(0, Some(5)), Size::Empty);
        assert_eq!(Size::decode(0xffff, None), Size::Unknown);
        assert_eq!(Size::decode(16384, None), Size::Bytes(16 << 30));
        assert_eq!(Size::decode(0x9000, None), Size::Bytes(4 << 20));
        assert_eq!(Size::decode(0x7fff, Some(0x8002_0000)), Size::Bytes(128 << 30));
        assert_eq!(Size::decode(0x7fff, Some(0)), Size::Unknown);
        assert_eq!(Size::decode(0x7fff, None), Size::Bytes(32767 << 20));
        assert_eq!(Size::decode(0x8000, None), Size::Unknown);
    }

    #[test]
    fn speeds_above_65534_are_read_from_the_extended_field() {
        let device = |length: u8, word: u16, extended: u32| {
            let mut bytes = vec![0; usize::from(length) + 2];
            (bytes[0], bytes[1]) = (17, length);
            bytes[0x15..0x17].copy_from_slice(&word.to_le_bytes());
            if length >= 0x5c {
                bytes[0x54..0x58].copy_from_slice(&extended.to_le_bytes());
            }
            speed(&Structure::new(&bytes), 0x15, 0x54)
        };
        assert_eq!(device(0x22, 3200, 0), Some(3200));
        assert_eq!(device(0x5c, 0xffff, 70_000), Some(70_000));
        assert_eq!(device(0x5c, 0xffff, 0), None);
        assert_eq!(device(0x22, 0xffff, 0), None);
        assert_eq!(device(0x22, 0, 0), None);
    }

    #[test]
    fn voltages_are_in_volts() {
        assert_eq!(voltage(Some(1200)), Some(1.2));
        assert_eq!(voltage(Some(1350)), Some(1.35));
        assert_eq!(voltage(Some(0)), None);
    }
}

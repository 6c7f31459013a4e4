//! Types 16 and 17: memory arrays and the slots in them.

use inventory_api::report::MemorySlot;
use smbioslib::{SMBiosMemoryDevice, SMBiosPhysicalMemoryArray, SMBiosStruct, UndefinedStruct};

use super::super::Problems;
use super::table::{Table, code, name, place};
use super::words;

/// Slots kept.
const SLOT_LIMIT: usize = 1024;
/// 7.17.2, Use.
const USE_SYSTEM_MEMORY: u8 = 3;
const KIB: u64 = 1024;
const MIB: u64 = 1024 * 1024;

/// Every slot of every array whose use is system memory: two arrays where there are two processors (field report 18),
/// and not the flash chip of the firmware (field report 17). A slot whose array is missing counts as system memory.
pub(super) fn slots(table: &Table, problems: &mut Problems) -> Vec<MemorySlot> {
    let arrays: Vec<SMBiosPhysicalMemoryArray> = table.all(problems);
    let devices: Vec<SMBiosMemoryDevice> = table.all(problems);
    let of_the_system: Vec<&SMBiosMemoryDevice> = devices
        .iter()
        .filter(|device| {
            let Some(handle) = device.physical_memory_array_handle() else {
                return true;
            };
            let array = arrays
                .iter()
                .find(|array| array.parts().header.handle() == handle);
            array
                .and_then(|array| array.parts().get_field_byte(0x05))
                .is_none_or(|usage| usage == USE_SYSTEM_MEMORY)
        })
        .collect();
    if of_the_system.len() > SLOT_LIMIT {
        problems.note(format_args!(
            "type 17: {} slots, the first {SLOT_LIMIT} are kept",
            of_the_system.len()
        ));
    }
    of_the_system
        .into_iter()
        .take(SLOT_LIMIT)
        .map(|device| slot(device, problems))
        .collect()
}

fn slot(device: &SMBiosMemoryDevice, problems: &mut Problems) -> MemorySlot {
    let parts = device.parts();
    let empty = MemorySlot {
        slot: place(parts, device.device_locator(), problems),
        bank: place(parts, device.bank_locator(), problems),
        form: parts
            .get_field_byte(0x0e)
            .and_then(words::memory_form)
            .map(str::to_owned),
        kind: parts
            .get_field_byte(0x12)
            .and_then(words::memory_kind)
            .map(str::to_owned),
        ..MemorySlot::default()
    };
    let size = Size::of(parts);
    if size == Some(Size::Empty) {
        // What else stands there is left over or a default.
        return MemorySlot {
            populated: Some(false),
            ..empty
        };
    }
    let module = MemorySlot {
        speed_mts: speed(parts, 0x15, 0x54),
        configured_mts: speed(parts, 0x20, 0x58),
        manufacturer: name(parts, device.manufacturer(), problems),
        part: code(parts, device.part_number(), problems),
        serial: code(parts, device.serial_number(), problems),
        asset_tag: code(parts, device.asset_tag(), problems),
        ..empty
    };
    match size {
        Some(Size::Bytes(bytes)) => MemorySlot {
            size_bytes: Some(bytes),
            populated: Some(true),
            ..module
        },
        // Size unknown: a serial or a part number is a module.
        _ => MemorySlot {
            populated: (module.serial.is_some() || module.part.is_some()).then_some(true),
            ..module
        },
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    Empty,
    Unknown,
    Bytes(u64),
}

impl Size {
    fn of(parts: &UndefinedStruct) -> Option<Size> {
        Some(Size::decode(
            parts.get_field_word(0x0c)?,
            parts.get_field_dword(0x1c),
        ))
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

/// MT/s; 0 is unknown, 0xffff points to the extended field (3.3).
fn speed(parts: &UndefinedStruct, word: usize, extended: usize) -> Option<u32> {
    let speed = match parts.get_field_word(word)? {
        0xffff => parts.get_field_dword(extended)? & 0x7fff_ffff,
        speed => u32::from(speed),
    };
    (speed != 0).then_some(speed)
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
}

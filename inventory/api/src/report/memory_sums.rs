//! How much of the modules is memory.

use super::{MemoryClass, MemoryFacts, MemorySlot, makers};

/// Types of SMBIOS 7.18.2 that hold firmware or settings.
const CHIPS: [&str; 5] = ["ROM", "Flash", "EEPROM", "FEPROM", "EPROM"];
/// Part numbers of three generations of Intel's persistent memory.
const OPTANE_PARTS: [&str; 3] = ["NMA1X", "NMB1X", "NMC1X"];
/// No module of a machine that boots from a network is smaller; the firmware chip is.
const LEAST_MODULE: u64 = 64 << 20;

/// Sets the class of each slot, drops flash chips, decodes makers and part numbers in hex, and sums up. The
/// sums stay if no slot tells a size.
pub(super) fn complete(memory: &mut MemoryFacts) {
    for slot in &mut memory.slots {
        slot.class = slot.class.or_else(|| class_of(slot));
        if let Some(maker) = slot.manufacturer.as_deref().and_then(makers::by_jedec) {
            slot.manufacturer = Some(maker.to_owned());
        }
        if let Some(part) = slot.part.as_deref().and_then(makers::part_in_hex) {
            slot.part = Some(part);
        }
    }
    memory.slots.retain(|slot| slot.class != Some(MemoryClass::Flash));
    if memory.slots.iter().all(|slot| slot.size_bytes.is_none()) {
        return;
    }
    split(memory);
    let persistent = sum(memory.slots.iter().map(kept));
    (memory.installed_bytes, memory.persistent_bytes) = match memory.slots.iter().all(known) {
        true => (
            Some(sum(memory.slots.iter().map(volatile))),
            (persistent > 0).then_some(persistent),
        ),
        false => (None, None),
    };
}

/// The kind of a module, from type, technology and part number. `None`: empty, or the table does not say.
pub(super) fn class_of(slot: &MemorySlot) -> Option<MemoryClass> {
    let says = |text: &Option<String>, part: &str| text.as_deref().is_some_and(|text| text.contains(part));
    let kind = slot.kind.as_deref().unwrap_or_default();
    let is_small = slot.size_bytes.is_some_and(|bytes| bytes < LEAST_MODULE);
    if CHIPS.contains(&kind) || (is_small && (says(&slot.bank, "ROM") || says(&slot.detail, "Non-Volatile")))
    {
        return Some(MemoryClass::Flash);
    }
    let is_persistent = kind == "Logical non-volatile device"
        || says(&slot.technology, "NVDIMM")
        || is_optane(slot)
        // Before SMBIOS 3.2, an NVDIMM-N is DRAM with that name.
        || (slot.technology.is_none() && says(&slot.detail, "Non-Volatile"));
    if is_persistent {
        return Some(MemoryClass::Persistent);
    }
    if kind.starts_with("HBM") {
        return Some(MemoryClass::Hbm);
    }
    let is_dram = says(&slot.technology, "DRAM") || says(&slot.technology, "MRDIMM") || kind.contains("DRAM");
    (is_dram || kind.contains("DDR") || matches!(kind, "FBD2" | "MRDIMM" | "RAM"))
        .then_some(MemoryClass::Dram)
}

fn is_optane(slot: &MemorySlot) -> bool {
    let technology = slot
        .technology
        .as_deref()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let part = slot.part.as_deref().unwrap_or_default().to_ascii_uppercase();
    technology.contains("persistent memory") || OPTANE_PARTS.iter().any(|start| part.starts_with(start))
}

/// Sets how much of each module is memory if the table does not say: firmware before SMBIOS 3.2 has no fields
/// for it, and the cache field is often empty in Memory Mode. Then the memory that the kernel sees shows the
/// mode.
fn split(memory: &mut MemoryFacts) {
    let usable = memory.usable_bytes;
    let total = |of: &dyn Fn(&MemorySlot) -> bool| {
        let slots = memory.slots.iter().filter(|slot| of(slot));
        sum(slots.filter_map(|slot| slot.size_bytes))
    };
    let dram = total(&|slot| matches!(slot.class, Some(MemoryClass::Dram) | None));
    let hbm = total(&|slot| slot.class == Some(MemoryClass::Hbm));
    let optane = total(&|slot| is_persistent(slot) && is_optane(slot));
    // More memory than DRAM: the persistent modules are memory, and the DRAM caches them.
    let memory_mode = usable.is_some_and(|usable| usable > dram);
    // Firmware and kernel reserve a part; far less than all is a mixture of both modes.
    let all_of_it = memory_mode && usable.is_some_and(|usable| usable <= optane && usable >= optane / 10 * 9);
    for slot in memory.slots.iter_mut().filter(|slot| is_persistent(slot)) {
        let untold = slot.volatile_bytes.is_none() && slot.non_volatile_bytes.is_none();
        if !untold {
            continue;
        }
        if !is_optane(slot) || !memory_mode {
            (slot.volatile_bytes, slot.non_volatile_bytes) = (Some(0), slot.size_bytes);
        } else if all_of_it {
            (slot.volatile_bytes, slot.non_volatile_bytes) = (slot.size_bytes, Some(0));
        }
    }
    let optanes = memory
        .slots
        .iter()
        .filter(|slot| is_persistent(slot) && is_optane(slot));
    let optane_memory = sum(optanes.filter_map(|slot| slot.volatile_bytes));
    let below = |bytes: u64| usable.is_none_or(|usable| usable <= bytes);
    let dram_caches = optane_memory > 0 && below(optane_memory);
    // HBM next to DRAM is either a cache or memory: the memory that the kernel sees tells.
    let hbm_caches = hbm > 0 && dram > 0 && usable.is_some() && below(dram);
    for slot in &mut memory.slots {
        let caches = match slot.class {
            Some(MemoryClass::Dram) | None => dram_caches,
            Some(MemoryClass::Hbm) => hbm_caches,
            Some(MemoryClass::Persistent | MemoryClass::Flash | MemoryClass::Unknown) => false,
        };
        if caches && slot.size_bytes.is_some() && slot.cache_bytes.unwrap_or(0) == 0 {
            slot.cache_bytes = slot.size_bytes;
            slot.volatile_bytes = slot.volatile_bytes.and(Some(0));
        }
    }
}

fn sum(bytes: impl Iterator<Item = u64>) -> u64 {
    bytes.fold(0, u64::saturating_add)
}

fn is_persistent(slot: &MemorySlot) -> bool {
    slot.class == Some(MemoryClass::Persistent)
}

/// Whether it is known how much of the module is memory.
fn known(slot: &MemorySlot) -> bool {
    !is_persistent(slot)
        || slot.size_bytes.is_none()
        || slot.volatile_bytes.or(slot.non_volatile_bytes).is_some()
}

/// Bytes that are memory.
fn volatile(slot: &MemorySlot) -> u64 {
    let size = slot.size_bytes.unwrap_or(0);
    if is_persistent(slot) {
        let kept = slot.non_volatile_bytes.unwrap_or(size);
        return slot.volatile_bytes.unwrap_or(size.saturating_sub(kept)).min(size);
    }
    size.saturating_sub(slot.cache_bytes.unwrap_or(0))
}

/// Bytes that survive a power cut.
fn kept(slot: &MemorySlot) -> u64 {
    if !is_persistent(slot) {
        return 0;
    }
    let size = slot.size_bytes.unwrap_or(0);
    let rest = || size.saturating_sub(slot.volatile_bytes.unwrap_or(0));
    slot.non_volatile_bytes.unwrap_or_else(rest).min(size)
}

#[cfg(test)]
mod tests;

use super::super::{AssetReport, distinct};
use super::*;

const GIB: u64 = 1 << 30;

fn memory(name: &str) -> MemoryFacts {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../../tests/cases/03-persistent-memory/{name}.json"));
    let report: AssetReport = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    distinct(report).memory
}

#[test]
fn persistent_memory_counts_by_its_mode() {
    let (modules, dram) = (12 * 135_694_123_008, 12 * 32 * GIB);
    let app = memory("optane-app");
    assert_eq!(
        (app.installed_bytes, app.persistent_bytes),
        (Some(dram), Some(modules))
    );
    let mode = memory("optane-mem");
    assert_eq!(
        (mode.installed_bytes, mode.persistent_bytes),
        (Some(modules), None)
    );
    let class = |class| app.slots.iter().filter(|slot| slot.class == Some(class)).count();
    assert_eq!(
        (class(MemoryClass::Dram), class(MemoryClass::Persistent)),
        (12, 12)
    );
    // A mixture that the table does not split: nobody knows.
    let mut mixed = app.clone();
    for slot in &mut mixed.slots {
        (slot.volatile_bytes, slot.non_volatile_bytes) = (None, None);
    }
    mixed.usable_bytes = Some(750 * GIB);
    complete(&mut mixed);
    assert_eq!((mixed.installed_bytes, mixed.persistent_bytes), (None, None));
}

fn slot(kind: &str, gib: u64) -> MemorySlot {
    MemorySlot {
        kind: Some(kind.to_owned()),
        size_bytes: Some(gib * GIB),
        ..MemorySlot::default()
    }
}

#[test]
fn kinds_of_modules() {
    let with = |kind: &str, technology: Option<&str>, detail: Option<&str>, part: Option<&str>| {
        let mut slot = slot(kind, 16);
        slot.technology = technology.map(str::to_owned);
        slot.detail = detail.map(str::to_owned);
        slot.part = part.map(str::to_owned);
        class_of(&slot)
    };
    use MemoryClass::{Dram, Flash, Hbm, Persistent};
    for (kind, technology, detail, part, expected) in [
        ("DDR4", Some("DRAM"), None, None, Some(Dram)),
        (
            "DDR5",
            None,
            Some("Synchronous Registered (Buffered)"),
            None,
            Some(Dram),
        ),
        ("LPDDR5", None, None, None, Some(Dram)),
        ("DDR5", Some("MRDIMM"), None, None, Some(Dram)),
        ("DDR2 FB-DIMM", None, None, None, Some(Dram)),
        ("DDR4", Some("NVDIMM-N"), None, None, Some(Persistent)),
        ("DDR4", Some("NVDIMM-P"), None, None, Some(Persistent)),
        (
            "DDR4",
            None,
            Some("Synchronous Non-Volatile"),
            None,
            Some(Persistent),
        ),
        ("Logical non-volatile device", None, None, None, Some(Persistent)),
        (
            "DDR4",
            Some("Intel Optane DC persistent memory"),
            None,
            None,
            Some(Persistent),
        ),
        ("DDR4", None, None, Some("NMB1XXD256GPSU4"), Some(Persistent)),
        ("HBM2", Some("DRAM"), None, None, Some(Hbm)),
        ("HBM3", None, None, None, Some(Hbm)),
        ("Flash", None, Some("Non-Volatile"), None, Some(Flash)),
        ("ROM", None, None, None, Some(Flash)),
        ("EEPROM", None, None, None, Some(Flash)),
        ("", None, None, None, None),
    ] {
        assert_eq!(
            with(kind, technology, detail, part),
            expected,
            "{kind} {technology:?}"
        );
    }
}

#[test]
fn flash_is_no_slot_and_hbm_is_memory_unless_it_caches() {
    let sums = |usable: u64, slots: Vec<MemorySlot>| {
        let mut memory = MemoryFacts {
            usable_bytes: Some(usable * GIB),
            slots,
            ..MemoryFacts::default()
        };
        complete(&mut memory);
        (
            memory.slots.len(),
            memory.installed_bytes.map(|bytes| bytes / GIB),
            memory.persistent_bytes,
        )
    };
    let chip = MemorySlot {
        size_bytes: Some(16 << 20),
        bank: Some("ROM0".into()),
        ..MemorySlot::default()
    };
    assert_eq!(
        sums(31, vec![slot("DDR4", 32), slot("Flash", 0), chip]),
        (1, Some(32), None)
    );
    assert_eq!(sums(60, vec![slot("HBM2", 64)]), (1, Some(64), None));
    assert_eq!(
        sums(300, vec![slot("DDR5", 256), slot("HBM2", 64)]),
        (2, Some(320), None)
    );
    assert_eq!(
        sums(250, vec![slot("DDR5", 256), slot("HBM2", 64)]),
        (2, Some(256), None)
    );
    // Half memory, half App Direct, as SMBIOS 3.2 says it.
    let mut optane = slot("Logical non-volatile device", 128);
    optane.technology = Some("Intel Optane DC persistent memory".into());
    (optane.volatile_bytes, optane.non_volatile_bytes) = (Some(64 * GIB), Some(62 * GIB));
    assert_eq!(
        sums(63, vec![slot("DDR4", 16), optane]),
        (2, Some(64), Some(62 * GIB))
    );
    let mut nvdimm = slot("DDR4", 16);
    nvdimm.technology = Some("NVDIMM-N".into());
    assert_eq!(
        sums(31, vec![slot("DDR4", 32), nvdimm]),
        (2, Some(32), Some(16 * GIB))
    );
}

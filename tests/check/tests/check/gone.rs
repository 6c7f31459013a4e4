//! One part of each kind is missing, and something of another kind could fill the count.

use inventory_api::Mac;
use inventory_api::check::{HardwareProfile, Severity};
use inventory_api::report::*;

use crate::server::server;
use check_tests::against;

type Plant = fn(&mut AssetReport);

fn usual_disk(r: &AssetReport) -> DiskFacts {
    DiskFacts {
        name: "sdx".into(),
        serial: Some("OTHER777".into()),
        bay: None,
        path: None,
        ..r.disks[0].clone()
    }
}

fn disk_by(r: &mut AssetReport, transport: Transport) {
    let disk = usual_disk(r);
    r.disks.push(DiskFacts {
        transport: Some(transport),
        ..disk
    });
}

/// Kind, profile, what could fill the count, and how to remove one.
const TABLE: &[(&str, &str, &str, Plant, Plant)] = &[
    (
        "another path",
        "disks = [{ count = 4 }]",
        "disk-missing",
        |r| {
            let mut path = r.disks[1].clone();
            path.name = "sdk".into();
            path.pci = Some("0000:86:00.0".into());
            r.disks.push(path);
        },
        gone_disk,
    ),
    (
        "a USB disk",
        "disks = [{ count = 4 }]",
        "disk-missing",
        |r| disk_by(r, Transport::Usb),
        gone_disk,
    ),
    (
        "an SD card",
        "disks = [{ count = 4 }]",
        "disk-missing",
        |r| disk_by(r, Transport::Sd),
        gone_disk,
    ),
    (
        "an eMMC",
        "disks = [{ count = 4 }]",
        "disk-missing",
        |r| disk_by(r, Transport::Mmc),
        gone_disk,
    ),
    (
        "a LUN by Fibre Channel",
        "disks = [{ count = 4 }]",
        "disk-missing",
        |r| disk_by(r, Transport::FibreChannel),
        gone_disk,
    ),
    (
        "a LUN that an older agent calls SCSI",
        "disks = [{ count = 4 }]",
        "disk-missing",
        |r| {
            disk_by(r, Transport::Scsi);
            r.disks.last_mut().unwrap().path = Some("pci-0000:5e:00.0-fc-0x500a098180000001-lun-0".into());
        },
        gone_disk,
    ),
    (
        "a virtual function with the driver of the card",
        "nics = [{ count = 4 }]",
        "nic-missing",
        |r| {
            r.nics[0].sriov_vfs = Some(8);
            r.nics.push(NicFacts {
                name: "eth9".into(),
                driver: Some("mlx5_core".into()),
                pci_id: Some("15b3:101e".into()),
                ..Default::default()
            });
        },
        gone_nic,
    ),
    (
        "a LUN by iSCSI",
        "disks = [{ count = 4 }]",
        "disk-missing",
        |r| disk_by(r, Transport::Iscsi),
        gone_disk,
    ),
    (
        "a namespace of another machine",
        "disks = [{ count = 4 }]",
        "disk-missing",
        |r| disk_by(r, Transport::NvmeOf),
        gone_disk,
    ),
    (
        "persistent memory as a disk",
        "disks = [{ count = 4 }]",
        "disk-missing",
        |r| disk_by(r, Transport::Pmem),
        gone_disk,
    ),
    (
        "a removable medium",
        "disks = [{ count = 4 }]",
        "disk-missing",
        |r| {
            let disk = usual_disk(r);
            r.disks.push(DiskFacts {
                removable: Some(true),
                ..disk
            });
        },
        gone_disk,
    ),
    (
        "an area of an eMMC",
        "disks = [{ count = 4 }]",
        "disk-missing",
        |r| {
            r.disks.push(DiskFacts {
                name: "mmcblk0boot0".into(),
                ..Default::default()
            });
            r.disks.push(DiskFacts {
                name: "mmcblk0rpmb".into(),
                ..Default::default()
            });
        },
        gone_disk,
    ),
    (
        "a second namespace",
        "disks = [{ count = 5 }]",
        "disk-missing",
        |r| {
            for name in ["nvme0n1", "nvme0n2"] {
                r.disks.push(DiskFacts {
                    name: name.into(),
                    serial: Some("S6CX0001".into()),
                    model: Some("PM9A3".into()),
                    transport: Some(Transport::Nvme),
                    size_bytes: Some(960_000_000_000),
                    ..Default::default()
                });
            }
        },
        gone_disk,
    ),
    (
        "a representor",
        "nics = [{ count = 4 }]",
        "nic-missing",
        |r| {
            let mut port = r.nics[0].clone();
            port.name = "eth9".into();
            port.port = Some("pf0vf1".into());
            r.nics.push(port);
        },
        gone_nic,
    ),
    (
        "a virtual function",
        "nics = [{ count = 4 }]",
        "nic-missing",
        |r| {
            r.nics[0].sriov_vfs = Some(64);
            r.nics.push(NicFacts {
                name: "eth9".into(),
                driver: Some("iavf".into()),
                mac: Some(Mac([6, 0, 0, 0, 0, 1])),
                pci: Some("0000:3b:02.0".into()),
                ..Default::default()
            });
        },
        gone_nic,
    ),
    (
        "an InfiniBand port",
        "nics = [{ count = 4 }]",
        "nic-missing",
        |r| {
            r.nics.push(NicFacts {
                name: "ibp178s0".into(),
                pci: Some("0000:b2:00.0".into()),
                ..Default::default()
            });
            r.nics.push(NicFacts {
                name: "mlx5_3/1".into(),
                link_layer: Some(LinkLayer::Infiniband),
                guid: Some("b8cef6030031333e".into()),
                ..Default::default()
            });
        },
        gone_nic,
    ),
    (
        "an adapter by USB",
        "nics = [{ count = 4 }]",
        "nic-missing",
        |r| {
            r.nics.push(NicFacts {
                name: "usb0".into(),
                driver: Some("cdc_ether".into()),
                ..Default::default()
            });
        },
        gone_nic,
    ),
    (
        "flash chips",
        "memory.modules = 16",
        "dimm-missing",
        flash,
        gone_dimm,
    ),
    (
        "flash chips in a group",
        "memory.dimms = [{ count = 16 }]",
        "dimm-missing",
        flash,
        gone_dimm,
    ),
    (
        "persistent memory",
        "memory.dimms = [{ count = 16, size = '64 GB' }]",
        "dimm-missing",
        |r| {
            r.memory.slots.push(MemorySlot {
                slot: Some("P1".into()),
                technology: Some("NVDIMM-N".into()),
                kind: Some("DDR4".into()),
                ..r.memory.slots[0].clone()
            });
        },
        gone_dimm,
    ),
    (
        "high-bandwidth memory",
        "memory.dimms = [{ count = 16, size = '64 GB' }]",
        "dimm-missing",
        |r| {
            r.memory.slots.push(MemorySlot {
                slot: Some("HBM0".into()),
                kind: Some("HBM2".into()),
                size_bytes: Some(64 << 30),
                populated: Some(true),
                ..Default::default()
            });
        },
        gone_dimm,
    ),
    (
        "a coprocessor",
        "cpu.processors = [{ socket = 'CPU1' }, { socket = 'CPU2' }]",
        "cpu-missing",
        |r| {
            let cpu = r.cpu.as_mut().unwrap();
            cpu.processors.push(ProcessorFacts {
                socket: Some("CPU2".into()),
                kind: Some("Math Processor".into()),
                populated: Some(true),
                ..Default::default()
            });
        },
        |r| r.cpu.as_mut().unwrap().processors[1].populated = Some(false),
    ),
    (
        "a virtual function of an accelerator",
        "gpus = [{ count = 2 }]",
        "gpu-missing",
        |r| {
            let gpu = r.gpus[0].clone();
            r.gpus.push(GpuFacts {
                pci: "0000:86:00.4".into(),
                ..gpu
            });
        },
        |r| drop(r.gpus.remove(1)),
    ),
    (
        "an entry that stands twice",
        "psus = [{ count = 2 }]",
        "psu-missing",
        |r| {
            r.power_supplies[0].serial = Some("CN7161567A".into());
            r.power_supplies.push(r.power_supplies[0].clone());
        },
        |r| drop(r.power_supplies.remove(1)),
    ),
    (
        "an empty bay",
        "psus = [{ count = 2 }]",
        "psu-missing",
        |r| {
            r.power_supplies.push(PowerSupply {
                location: Some("PSU3".into()),
                present: Some(false),
                ..Default::default()
            });
        },
        |r| drop(r.power_supplies.remove(1)),
    ),
    (
        "another device",
        "pci = [{ id = '1000:005d' }]",
        "pci-missing",
        |r| {
            r.pci.push(PciDevice {
                address: "0000:19:00.0".into(),
                device: Some("005e".into()),
                ..r.pci[0].clone()
            });
        },
        |r| drop(r.pci.remove(0)),
    ),
];

fn gone_disk(r: &mut AssetReport) {
    drop(r.disks.remove(0));
}

fn gone_nic(r: &mut AssetReport) {
    drop(r.nics.remove(3));
}

fn gone_dimm(r: &mut AssetReport) {
    r.memory.slots[0].populated = Some(false);
    r.memory.slots[0].size_bytes = None;
}

fn flash(r: &mut AssetReport) {
    r.memory.slots.push(MemorySlot {
        slot: Some("SYSTEM ROM".into()),
        kind: Some("Flash".into()),
        size_bytes: Some(32 << 20),
        populated: Some(true),
        ..Default::default()
    });
}

#[test]
fn a_missing_part_is_not_replaced_by_another_kind_of_part() {
    for (what, order, code, fill, gone) in TABLE {
        let profile: HardwareProfile = toml::from_str(order).unwrap_or_else(|e| panic!("{what}: {e}"));
        let grave = |report: &AssetReport| -> Vec<String> {
            let found = against(&profile, report).findings.into_iter();
            found
                .filter(|f| f.severity == Severity::Error)
                .map(|f| f.code)
                .collect()
        };
        let mut report = server();
        fill(&mut report);
        assert_eq!(grave(&report), Vec::<String>::new(), "{what}, none gone");
        gone(&mut report);
        assert_eq!(grave(&report), [*code], "{what}, one gone");
    }
}

#[test]
fn a_raid_volume_does_not_replace_a_missing_physical_disk() {
    let mut report = server();
    report.disks.truncate(1);
    report.disks[0].raid_volume = Some(true);
    report.controllers = vec![StorageController {
        disks: (0..2)
            .map(|n| DiskFacts {
                name: format!("enclosure 32 slot {n}"),
                bay: Some(format!("32:{n}")),
                serial: Some(format!("PHYS7{n}X")),
                size_bytes: Some(960_197_124_096),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    }];
    let codes = |profile: &HardwareProfile, report: &AssetReport| -> Vec<String> {
        against(profile, report)
            .findings
            .into_iter()
            .map(|f| f.code)
            .collect()
    };
    let order = |count: u32| {
        toml::from_str(&format!("disks = [{{ count = {count}, min_size = '960 GB' }}]")).unwrap()
    };
    let golden = lifecycle::check::golden(&report);
    assert_eq!(golden.disks.len(), 2);
    for profile in [order(1), order(2), golden.clone()] {
        assert_eq!(codes(&profile, &report), Vec::<String>::new());
    }
    report.controllers[0].disks.pop();
    assert_eq!(codes(&order(2), &report), ["disk-missing"]);
    assert_eq!(codes(&golden, &report), ["disk-missing"]);
}

#[test]
fn a_disk_that_is_not_built_in_matches_only_an_entry_that_names_its_transport() {
    let mut report = server();
    disk_by(&mut report, Transport::Usb);
    let check = |text: &str| -> Vec<String> {
        let profile: HardwareProfile = toml::from_str(text).unwrap();
        against(&profile, &report)
            .findings
            .into_iter()
            .map(|f| f.code)
            .collect()
    };
    assert_eq!(check("disks = [{ count = 4 }]"), Vec::<String>::new());
    assert_eq!(
        check("disks = [{ count = 4 }, { transport = 'usb' }]"),
        Vec::<String>::new()
    );
    assert_eq!(
        check("disks = [{ count = 4 }, { count = 3, transport = 'usb' }]"),
        ["disk-missing"]
    );
}

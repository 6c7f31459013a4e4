//! An artificial server with everything a report can contain, and a difference planted into each part.

use inventory_api::Mac;
use inventory_api::check::{Severity, Verdict};
use inventory_api::report::*;
use lifecycle::check::golden;

use check_tests::{against, told};

const GIB: u64 = 1 << 30;

/// Two sockets, sixteen modules of 32 slots, four disks and a USB stick, four ports, two accelerators, two
/// power supplies.
pub fn server() -> AssetReport {
    let slot = |n: usize| {
        let module = n.is_multiple_of(2);
        MemorySlot {
            slot: Some(format!("{}{}", if n < 16 { "A" } else { "B" }, n % 16 + 1)),
            populated: Some(module),
            size_bytes: module.then_some(64 * GIB),
            kind: Some("DDR4".into()),
            manufacturer: module.then(|| "Micron".into()),
            part: module.then(|| "MTA36ASF8G72PZ".into()),
            serial: module.then(|| format!("F00D{n:04}")),
            speed_mts: module.then_some(3200),
            configured_mts: module.then_some(2933),
            rank: module.then_some(2),
            total_width: module.then_some(72),
            ..Default::default()
        }
    };
    let processor = |n: u32| ProcessorFacts {
        socket: Some(format!("CPU{n}")),
        populated: Some(true),
        enabled: Some(true),
        model: Some("Intel(R) Xeon(R) Gold 6130 CPU @ 2.10GHz".into()),
        cores: Some(16),
        cores_enabled: Some(16),
        threads: Some(32),
        max_mhz: Some(4000),
        ..Default::default()
    };
    let disk = |n: u8, transport: Transport| DiskFacts {
        name: format!("sd{}", char::from(b'a' + n)),
        model: Some("MZ7LH960HAJR".into()),
        serial: Some(format!("S45NNA0{n}")),
        size_bytes: Some(960_197_124_096),
        transport: Some(transport),
        rotational: Some(false),
        firmware: Some("HXT7904Q".into()),
        bay: Some(format!("Bay {n}")),
        path: Some(format!("pci-0000:00:11.5-ata-{n}")),
        removable: Some(false),
        health: Some(DiskHealth {
            passed: Some(true),
            used_percent: Some(1),
            ..Default::default()
        }),
        ..Default::default()
    };
    let nic = |n: u8| NicFacts {
        name: format!("eno{n}"),
        mac: Some(Mac([0x52, 0x54, 0, 0, 0, n])),
        driver: Some("i40e".into()),
        pci: Some(format!("0000:3b:00.{n}")),
        pci_id: Some("8086:1572".into()),
        link: Some(true),
        speed_mbps: Some(10_000),
        firmware: Some("9.20 0x8000d95e 1.3353.0".into()),
        slot: Some("Slot 2".into()),
        port: Some(format!("p{n}")),
        ..Default::default()
    };
    let device = |address: &str, class: &str, vendor: &str, device: &str, driver: &str| PciDevice {
        address: address.into(),
        class: Some(class.into()),
        vendor: Some(vendor.into()),
        device: Some(device.into()),
        driver: Some(driver.into()).filter(|d: &String| !d.is_empty()),
        ..Default::default()
    };
    let mut pci = vec![device("0000:18:00.0", "010400", "1000", "005d", "megaraid_sas")];
    pci.extend((0..4).map(|n| device(&format!("0000:3b:00.{n}"), "020000", "8086", "1572", "i40e")));
    pci.extend((0..2).map(|n| device(&format!("0000:{}:00.0", 86 + n), "030200", "10de", "2330", "")));
    let mut disks: Vec<DiskFacts> = (0..4).map(|n| disk(n, Transport::Sata)).collect();
    disks.push(DiskFacts {
        name: "sde".into(),
        removable: Some(true),
        transport: Some(Transport::Usb),
        ..Default::default()
    });
    AssetReport {
        system: Some(SystemFacts {
            manufacturer: Some("Dell Inc.".into()),
            product: Some("PowerEdge R640".into()),
            sku: Some("SKU=0716".into()),
            serial: Some("ABC1234".into()),
            ..Default::default()
        }),
        board: Some(BoardFacts {
            manufacturer: Some("Dell Inc.".into()),
            product: Some("0H28RR".into()),
            version: Some("A04".into()),
            ..Default::default()
        }),
        firmware: Some(FirmwareFacts {
            version: Some("2.10.2".into()),
            date: Some("02/24/2021".into()),
            revision: Some("2.10".into()),
            ..Default::default()
        }),
        bmc: Some(BmcFacts {
            firmware: Some("4.40".into()),
            ..Default::default()
        }),
        cpu: Some(CpuFacts {
            sockets: Some(2),
            model: Some("Intel(R) Xeon(R) Gold 6130 CPU @ 2.10GHz".into()),
            cores: Some(32),
            threads: Some(64),
            stepping: Some(4),
            microcode: Some("0x2006a08".into()),
            processors: vec![processor(1), processor(2)],
            flags: vec!["aes".into(), "vmx".into()],
            threads_per_core: Some(2),
            ..Default::default()
        }),
        memory: MemoryFacts {
            usable_bytes: Some(1008 * GIB),
            installed_bytes: Some(1024 * GIB),
            slots: (0..32).map(slot).collect(),
            edac: vec![EdacCounter {
                controller: "mc0".into(),
                label: Some("CPU_SrcID#0_MC#0_Chan#0_DIMM#0".into()),
                corrected: Some(2),
                uncorrected: Some(0),
            }],
            ..Default::default()
        },
        disks,
        nics: (0..4).map(nic).collect(),
        pci,
        gpus: (0..2)
            .map(|n| GpuFacts {
                pci: format!("0000:{}:00.0", 86 + n),
                pci_id: Some("10de:2330".into()),
                memory_bytes: Some(80 * GIB),
                ..Default::default()
            })
            .collect(),
        power_supplies: (1..3)
            .map(|n| PowerSupply {
                location: Some(format!("PSU{n}")),
                manufacturer: Some("DELL".into()),
                part: Some("0PJMDNA01".into()),
                max_watts: Some(1100),
                present: Some(true),
                plugged: Some(true),
                status: Some("OK".into()),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    }
}

type Plant = fn(&mut AssetReport);

/// Code, place, severity and what to do.
const PLANTED: &[(&str, &str, Severity, Plant)] = {
    use Severity::{Error, Warning};
    &[
        ("system-other-model", "system", Error, |r| {
            r.system.as_mut().unwrap().product = Some("PowerEdge R440".into());
            r.system.as_mut().unwrap().sku = Some("SKU=0715".into());
        }),
        ("system-other-model", "system", Warning, |r| r.system = None),
        ("system-other-sku", "system", Error, |r| {
            r.system.as_mut().unwrap().sku = Some("SKU=0717".into())
        }),
        ("board-other", "board", Error, |r| {
            r.board.as_mut().unwrap().product = Some("0W23H8".into())
        }),
        ("firmware-older", "firmware", Error, |r| {
            let firmware = r.firmware.as_mut().unwrap();
            firmware.version = Some("2.9.4".into());
            firmware.date = Some("11/10/2020".into());
            firmware.revision = Some("2.9".into());
        }),
        ("firmware-other", "firmware", Error, |r| {
            r.firmware.as_mut().unwrap().version = Some("2.11.0".into())
        }),
        ("bmc-firmware-older", "BMC", Error, |r| {
            r.bmc.as_mut().unwrap().firmware = Some("3.36".into())
        }),
        ("bmc-missing", "BMC", Error, |r| r.bmc = None),
        ("cpu-missing", "CPU2", Error, |r| {
            let cpu = r.cpu.as_mut().unwrap();
            cpu.processors[1] = ProcessorFacts {
                socket: Some("CPU2".into()),
                populated: Some(false),
                ..Default::default()
            };
            (cpu.sockets, cpu.cores, cpu.threads) = (Some(1), Some(16), Some(32));
        }),
        ("cpu-disabled", "CPU2", Error, |r| {
            r.cpu.as_mut().unwrap().processors[1].enabled = Some(false)
        }),
        ("cores-disabled", "CPU1", Error, |r| {
            let cpu = r.cpu.as_mut().unwrap();
            cpu.processors[0].cores_enabled = Some(8);
            cpu.processors[0].threads = Some(16);
            (cpu.cores, cpu.threads) = (Some(24), Some(48));
        }),
        ("cores-disabled", "CPU", Error, |r| {
            r.cpu.as_mut().unwrap().cores = Some(31)
        }),
        ("cpu-threads", "CPU", Error, |r| {
            r.cpu.as_mut().unwrap().threads = Some(32)
        }),
        ("cpu-other-stepping", "CPU", Warning, |r| {
            let cpu = r.cpu.as_mut().unwrap();
            (cpu.stepping, cpu.microcode) = (Some(7), Some("0x5003303".into()));
        }),
        ("microcode-older", "CPU", Error, |r| {
            r.cpu.as_mut().unwrap().microcode = Some("0x2006906".into())
        }),
        ("microcode-other", "CPU", Warning, |r| {
            r.cpu.as_mut().unwrap().microcode = Some("0x2006e05".into())
        }),
        ("memory-slow", "memory", Error, |r| {
            r.memory.slots.iter_mut().for_each(|s| {
                s.configured_mts = s.configured_mts.map(|_| 2666);
            })
        }),
        ("dimm-slow", "B3", Error, |r| {
            // One slower module slows all of them down.
            r.memory.slots[18].speed_mts = Some(2666);
            r.memory.slots[18].part = None;
            r.memory.slots.iter_mut().for_each(|s| {
                s.configured_mts = s.configured_mts.map(|_| 2666);
            })
        }),
        ("dimm-other-kind", "A1", Error, |r| {
            r.memory.slots[0].total_width = Some(64)
        }),
        ("memory-lost", "memory", Warning, |r| {
            r.memory.usable_bytes = Some(820 * GIB)
        }),
        ("memory-errors", "CPU_SrcID#0_MC#0_Chan#0_DIMM#0", Error, |r| {
            r.memory.edac[0].uncorrected = Some(1)
        }),
        ("disk-missing", "Bay 1", Error, |r| drop(r.disks.remove(1))),
        ("disk-smaller", "Bay 2", Error, |r| {
            r.disks[2].size_bytes = Some(480_103_981_056)
        }),
        ("disk-smaller", "Bay 2", Error, |r| {
            r.disks[2].size_bytes = Some(480_103_981_056);
            r.disks[2].model = Some("MZ7LH480HAHQ".into());
        }),
        ("disk-larger", "Bay 2", Warning, |r| {
            r.disks[2].size_bytes = Some(1_920_383_410_176)
        }),
        ("disk-other-model", "Bay 0", Error, |r| {
            r.disks[0].model = Some("ST960FX".into())
        }),
        ("disk-other-model", "Bay 0", Error, |r| {
            r.disks[0].rotational = Some(true)
        }),
        ("disk-firmware-older", "Bay 3", Error, |r| {
            r.disks[3].firmware = Some("HXT7804Q".into())
        }),
        ("disk-moved", "Bay 3", Warning, |r| {
            r.disks[3].bay = Some("Bay 7".into());
            r.disks[3].path = Some("pci-0000:00:11.5-ata-7".into());
        }),
        ("disk-extra", "Bay 5", Warning, |r| {
            let mut disk = r.disks[0].clone();
            disk.bay = Some("Bay 5".into());
            disk.serial = Some("S45NNA05".into());
            disk.path = None;
            r.disks.push(disk);
        }),
        ("disk-failed", "Bay 1", Error, |r| {
            r.disks[1].health.as_mut().unwrap().passed = Some(false)
        }),
        ("disk-failed", "Bay 1", Error, |r| {
            r.disks[1].health.as_mut().unwrap().critical_warning = Some(4)
        }),
        ("disk-worn", "Bay 1", Warning, |r| {
            r.disks[1].health.as_mut().unwrap().used_percent = Some(97)
        }),
        ("nic-missing", "Slot 2 p3", Error, |r| {
            drop(r.nics.pop());
            r.pci.retain(|d| d.address != "0000:3b:00.3");
        }),
        // No driver claimed the port: it is missing, and the finding says why.
        ("nic-missing", "Slot 2 p1", Error, |r| {
            drop(r.nics.remove(1));
            r.pci[2].driver = None;
        }),
        ("nic-other", "Slot 2 p0", Error, |r| {
            r.nics[0].pci_id = Some("8086:1521".into());
            r.nics[0].driver = Some("igb".into());
            r.nics[0].firmware = None;
            r.pci[1].device = Some("1521".into());
        }),
        ("nic-extra", "Slot 3", Warning, |r| {
            r.nics.push(NicFacts {
                name: "ens3".into(),
                slot: Some("Slot 3".into()),
                pci: Some("0000:5e:00.0".into()),
                pci_id: Some("15b3:1017".into()),
                ..Default::default()
            });
        }),
        ("nic-firmware-older", "Slot 2 p2", Error, |r| {
            r.nics[2].firmware = Some("8.30 0x8000a49d 1.2926.0".into())
        }),
        ("gpu-missing", "0000:87:00.0", Error, |r| {
            drop(r.gpus.pop());
            r.pci.retain(|d| d.address != "0000:87:00.0");
        }),
        ("gpu-other", "0000:86:00.0", Error, |r| {
            r.gpus[0].memory_bytes = Some(40 * GIB)
        }),
        ("gpu-extra", "0000:af:00.0", Warning, |r| {
            let mut gpu = r.gpus[0].clone();
            gpu.pci = "0000:af:00.0".into();
            r.gpus.push(gpu);
        }),
        ("psu-missing", "PSU2", Error, |r| {
            let psu = &mut r.power_supplies[1];
            *psu = PowerSupply {
                location: psu.location.clone(),
                present: Some(false),
                ..Default::default()
            };
        }),
        ("psu-missing", "PSU2", Error, |r| drop(r.power_supplies.pop())),
        ("psu-unplugged", "PSU1", Warning, |r| {
            r.power_supplies[0].plugged = Some(false);
            r.power_supplies[0].status = Some("Critical".into());
        }),
        ("psu-failed", "PSU1", Error, |r| {
            r.power_supplies[0].status = Some("Critical".into())
        }),
        ("psu-other", "PSU1", Error, |r| {
            r.power_supplies[0].max_watts = Some(750);
            r.power_supplies[0].part = Some("0X750".into());
        }),
        ("pci-missing", "1000:005d", Error, |r| drop(r.pci.remove(0))),
        ("pci-extra", "1000:005d", Warning, |r| {
            let mut controller = r.pci[0].clone();
            controller.address = "0000:19:00.0".into();
            r.pci.push(controller);
        }),
        ("no-driver", "0000:18:00.0", Warning, |r| r.pci[0].driver = None),
    ]
};

#[test]
fn one_difference_is_one_finding_at_its_place() {
    let profile = golden(&server());
    for (code, place, severity, plant) in PLANTED {
        let mut report = server();
        plant(&mut report);
        let result = against(&profile, &report);
        assert_eq!(
            told(&result),
            [((*code).to_owned(), (*place).to_owned())],
            "{result:#?}"
        );
        let finding = &result.findings[0];
        assert_eq!(finding.severity, *severity, "{code}");
        let verdict = match severity {
            Severity::Error => Verdict::Fail,
            Severity::Warning => Verdict::Warn,
            Severity::Info => Verdict::Pass,
        };
        assert_eq!(result.verdict, verdict, "{code}");
        println!("{code}: {}", finding.sentence);
        assert!(finding.sentence.ends_with('.'), "{}", finding.sentence);
    }
}

#[test]
fn two_differences_are_two_findings() {
    let profile = golden(&server());
    // Every pair that affects different parts.
    for (n, (code, place, _, plant)) in PLANTED.iter().enumerate() {
        for (other, there, _, more) in &PLANTED[n + 1..] {
            let kind = |code: &str| code.split('-').next().unwrap().to_owned();
            let (one, two) = (kind(code), kind(other));
            let memory = |kind: &str| matches!(kind, "dimm" | "memory");
            let processors = |kind: &str| matches!(kind, "cpu" | "cores" | "microcode");
            let bus = |kind: &str| matches!(kind, "nic" | "gpu" | "pci" | "no");
            if one == two
                || memory(&one) && memory(&two)
                || processors(&one) && processors(&two)
                || bus(&one) && bus(&two)
            {
                continue;
            }
            let mut report = server();
            plant(&mut report);
            more(&mut report);
            let mut found = told(&against(&profile, &report));
            found.sort();
            let mut expected = [(*code, *place), (*other, *there)].map(|(c, p)| (c.to_owned(), p.to_owned()));
            expected.sort();
            assert_eq!(found, expected);
        }
    }
}

#[test]
fn shifted_pci_addresses_are_not_a_finding() {
    let profile = golden(&server());
    let mut report = server();
    for nic in &mut report.nics {
        nic.pci = nic.pci.as_ref().map(|pci| pci.replace("3b", "5e"));
    }
    for gpu in &mut report.gpus {
        gpu.pci = gpu.pci.replace("86", "af").replace("87", "b0");
    }
    assert_eq!(told(&against(&profile, &report)), []);
    for nic in &mut report.nics {
        nic.slot = Some("Slot 5".into());
    }
    let result = against(&profile, &report);
    assert!(
        result.findings.iter().all(|f| f.code == "nic-moved"),
        "{result:#?}"
    );
}

#[test]
fn a_missing_port_of_a_present_card_is_not_reported_as_a_missing_card() {
    let profile = golden(&server());
    let said = |change: fn(&mut AssetReport)| {
        let mut report = server();
        change(&mut report);
        let found = against(&profile, &report);
        let missing = found.findings.iter().filter(|f| f.code == "nic-missing");
        missing.map(|f| f.sentence.clone()).collect::<Vec<_>>()
    };
    let port = said(|r| {
        drop(r.nics.pop());
        r.pci.retain(|d| d.address != "0000:3b:00.3");
    });
    assert!(
        port.len() == 1 && port[0].contains("Other ports of its card are seen"),
        "{port:?}"
    );
    let card = said(|r| {
        r.nics.retain(|n| n.slot.as_deref() != Some("Slot 2"));
        r.pci.retain(|d| !d.address.starts_with("0000:3b:00"));
    });
    assert!(
        !card.is_empty() && card.iter().all(|s| s.contains("The card is missing")),
        "{card:?}"
    );
}

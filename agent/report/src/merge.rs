//! Merges the collectors' parts into one report.

use super::cpu;
use inventory_api::report::{
    AssetReport, BmcFacts, BootFacts, CpuFacts, MemoryFacts, StorageController, TpmFacts,
};

/// Adds one collector's part. If two collectors report the same fact, the part merged first wins: the
/// kernel's count of sockets over SMBIOS's.
pub(super) fn merge(report: &mut AssetReport, part: AssetReport) {
    // Every field is named, so that a forgotten new one does not compile.
    let AssetReport {
        schema: _,
        agent_version: _,
        collected_at: _,
        collect_ms: _,
        boot,
        system,
        board,
        chassis,
        firmware,
        cpu,
        memory,
        disks,
        nics,
        controllers,
        pci,
        gpus,
        power_supplies,
        slots,
        onboard,
        oem_strings,
        bmc,
        tpm,
        sensors,
        firmware_components,
        batteries,
        problems,
    } = part;
    if boot != BootFacts::default() {
        report.boot = boot;
    }
    report.system = report.system.take().or(system);
    report.board = report.board.take().or(board);
    report.chassis = report.chassis.take().or(chassis);
    report.firmware = report.firmware.take().or(firmware);
    report.cpu = both(report.cpu.take(), cpu, merge_cpu);
    merge_memory(&mut report.memory, memory);
    report.disks.extend(disks);
    report.nics.extend(nics);
    for controller in controllers {
        merge_controller(&mut report.controllers, controller);
    }
    report.pci.extend(pci);
    report.gpus.extend(gpus);
    report.power_supplies = filled(std::mem::take(&mut report.power_supplies), power_supplies);
    report.slots.extend(slots);
    report.onboard.extend(onboard);
    report.oem_strings.extend(oem_strings);
    report.bmc = both(report.bmc.take(), bmc, merge_bmc);
    report.tpm = both(report.tpm.take(), tpm, merge_tpm);
    report.sensors.extend(sensors);
    report.firmware_components.extend(firmware_components);
    report.batteries.extend(batteries);
    report.problems.extend(problems);
}

fn both<T>(first: Option<T>, second: Option<T>, join: fn(T, T) -> T) -> Option<T> {
    match (first, second) {
        (Some(first), Some(second)) => Some(join(first, second)),
        (first, second) => first.or(second),
    }
}

fn filled<T>(first: Vec<T>, second: Vec<T>) -> Vec<T> {
    if first.is_empty() { second } else { first }
}

/// The disks behind a controller come from another collector than its PCI facts.
fn merge_controller(controllers: &mut Vec<StorageController>, part: StorageController) {
    match controllers.iter_mut().find(|known| known.pci == part.pci) {
        Some(known) => known.disks.extend(part.disks),
        None => controllers.push(part),
    }
}

/// The TPM's own answers win over SMBIOS; only the TPM has the key.
fn merge_tpm(first: TpmFacts, second: TpmFacts) -> TpmFacts {
    let (asked, told) = if first.endorsement_key_sha256.is_some() {
        (first, second)
    } else {
        (second, first)
    };
    TpmFacts {
        version: asked.version.or(told.version),
        manufacturer: asked.manufacturer.or(told.manufacturer),
        firmware: asked.firmware.or(told.firmware),
        endorsement_key_sha256: asked.endorsement_key_sha256.or(told.endorsement_key_sha256),
    }
}

/// The kernel's part comes first. Each field is named, so that a forgotten new one does not compile.
fn merge_cpu(first: CpuFacts, second: CpuFacts) -> CpuFacts {
    CpuFacts {
        sockets: first.sockets.or(second.sockets),
        vendor: first.vendor.or(second.vendor),
        // A product name ("Ampere(R) Altra(R)") says more than the name of the core.
        model: match first.model {
            Some(core) if cpu::is_core_name(&core) => second.model.or(Some(core)),
            model => model.or(second.model),
        },
        cores: first.cores.or(second.cores),
        threads: first.threads.or(second.threads),
        flags: filled(first.flags, second.flags),
        processors: filled(first.processors, second.processors),
        family: first.family.or(second.family),
        model_number: first.model_number.or(second.model_number),
        stepping: first.stepping.or(second.stepping),
        microcode: first.microcode.or(second.microcode),
        numa_nodes: first.numa_nodes.or(second.numa_nodes),
        threads_per_core: first.threads_per_core.or(second.threads_per_core),
        min_mhz: first.min_mhz.or(second.min_mhz),
        max_mhz: first.max_mhz.or(second.max_mhz),
        caches: filled(first.caches, second.caches),
        smbios_caches: filled(first.smbios_caches, second.smbios_caches),
        vulnerabilities: if first.vulnerabilities.is_empty() {
            second.vulnerabilities
        } else {
            first.vulnerabilities
        },
    }
}

fn merge_memory(report: &mut MemoryFacts, part: MemoryFacts) {
    let MemoryFacts {
        usable_bytes,
        slots,
        installed_bytes,
        persistent_bytes,
        arrays,
        edac,
    } = part;
    report.usable_bytes = report.usable_bytes.or(usable_bytes);
    report.slots.extend(slots);
    report.installed_bytes = report.installed_bytes.or(installed_bytes);
    report.persistent_bytes = report.persistent_bytes.or(persistent_bytes);
    report.arrays.extend(arrays);
    report.edac.extend(edac);
}

/// The BMC's own answers win over SMBIOS in either order; only SMBIOS has the interfaces.
fn merge_bmc(first: BmcFacts, second: BmcFacts) -> BmcFacts {
    let (asked, told) = if first.firmware.is_some() || first.mac.is_some() || first.ip.is_some() {
        (first, second)
    } else {
        (second, first)
    };
    BmcFacts {
        interface: told.interface.or(asked.interface),
        ipmi_version: asked.ipmi_version.or(told.ipmi_version),
        firmware: asked.firmware.or(told.firmware),
        manufacturer_id: asked.manufacturer_id.or(told.manufacturer_id),
        vendor: asked.vendor.or(told.vendor),
        ip: asked.ip.or(told.ip),
        ip_source: asked.ip_source.or(told.ip_source),
        mac: asked.mac.or(told.mac),
        redfish_host_interface: told.redfish_host_interface.or(asked.redfish_host_interface),
        fru: filled(asked.fru, told.fru),
        events: filled(asked.events, told.events),
        event_count: asked.event_count.or(told.event_count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bmc_is_what_smbios_and_ipmi_say_together_in_either_order() {
        let smbios = || AssetReport {
            bmc: Some(BmcFacts {
                interface: Some("KCS".to_owned()),
                ipmi_version: Some("2.0".to_owned()),
                redfish_host_interface: Some(true),
                ..BmcFacts::default()
            }),
            ..AssetReport::default()
        };
        let ipmi = || AssetReport {
            bmc: Some(BmcFacts {
                ipmi_version: Some("1.5".to_owned()),
                firmware: Some("2.86".to_owned()),
                ..BmcFacts::default()
            }),
            ..AssetReport::default()
        };
        let expected = BmcFacts {
            interface: Some("KCS".to_owned()),
            ipmi_version: Some("1.5".to_owned()),
            firmware: Some("2.86".to_owned()),
            redfish_host_interface: Some(true),
            ..BmcFacts::default()
        };
        for parts in [[smbios(), ipmi()], [ipmi(), smbios()]] {
            let mut report = AssetReport::default();
            for part in parts {
                merge(&mut report, part);
            }
            assert_eq!(report.bmc.as_ref(), Some(&expected));
        }
    }

    #[test]
    fn the_kernel_goes_before_smbios_and_each_fills_what_the_other_lacks() {
        let part = |cores, stepping, socket: Option<u32>| AssetReport {
            cpu: Some(CpuFacts {
                cores,
                stepping,
                sockets: socket,
                ..CpuFacts::default()
            }),
            ..AssetReport::default()
        };
        let mut report = AssetReport::default();
        merge(&mut report, part(Some(8), Some(7), None));
        merge(&mut report, part(Some(16), None, Some(2)));
        let cpu = report.cpu.unwrap();
        assert_eq!(
            (cpu.cores, cpu.stepping, cpu.sockets),
            (Some(8), Some(7), Some(2))
        );
    }
}

//! Merges the collectors' parts into one report.

use std::collections::BTreeMap;

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
    report.power_supplies = std::mem::take(&mut report.power_supplies).or_else_of(power_supplies);
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

/// A fact or a list of facts that may be missing.
trait Fact {
    fn or_else_of(self, second: Self) -> Self;
}

impl<T> Fact for Option<T> {
    fn or_else_of(self, second: Self) -> Self {
        self.or(second)
    }
}

impl<T> Fact for Vec<T> {
    fn or_else_of(self, second: Self) -> Self {
        if self.is_empty() { second } else { self }
    }
}

impl<K, V> Fact for BTreeMap<K, V> {
    fn or_else_of(self, second: Self) -> Self {
        if self.is_empty() { second } else { self }
    }
}

/// Each fact from the first part that has it. Every field is named, so that a forgotten new one does not
/// compile.
macro_rules! joined {
    ($kind:ident, $first:ident, $second:ident: $($field:ident)*) => {
        $kind { $($field: $first.$field.or_else_of($second.$field),)* }
    };
}

fn both<T>(first: Option<T>, second: Option<T>, join: fn(T, T) -> T) -> Option<T> {
    match (first, second) {
        (Some(first), Some(second)) => Some(join(first, second)),
        (first, second) => first.or(second),
    }
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
    joined!(TpmFacts, asked, told: version manufacturer firmware endorsement_key_sha256)
}

/// The kernel's part comes first.
fn merge_cpu(mut first: CpuFacts, mut second: CpuFacts) -> CpuFacts {
    // A product name ("Ampere(R) Altra(R)") says more than the name of the core.
    if first.model.as_deref().is_some_and(cpu::is_core_name) {
        std::mem::swap(&mut first.model, &mut second.model);
    }
    joined!(CpuFacts, first, second: sockets vendor model cores threads flags processors family model_number
            stepping microcode numa_nodes threads_per_core min_mhz max_mhz caches smbios_caches vulnerabilities)
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
    joined!(BmcFacts, asked, told: interface ipmi_version firmware manufacturer_id vendor ip ip_source mac
            redfish_host_interface fru events event_count)
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

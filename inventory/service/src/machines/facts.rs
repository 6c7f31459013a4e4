//! What rules, identity and lists read of a machine and its report.

use inventory_api::Mac;
use inventory_api::report::AssetReport;
use lifecycle::MachineFacts;
use netboot_protocol::NicModel;

use store::{MachineRow, SmbiosNames};

/// NICs of one report that are used.
const MAX_MACS: usize = 64;

/// Facts for the rules. Only MACs that fetched a boot script count.
pub(crate) fn facts_of(row: &MachineRow, names: SmbiosNames) -> MachineFacts {
    MachineFacts {
        serial: names.serial,
        manufacturer: names.manufacturer,
        product: names.product,
        macs: row.macs.clone(),
        network: row.network.clone(),
    }
}

pub(crate) fn smbios_names_of(report: &AssetReport) -> SmbiosNames {
    // No real name is that long.
    let short = |text: &Option<String>| text.clone().filter(|t| !t.is_empty() && t.len() <= 256);
    report
        .system
        .as_ref()
        .map_or_else(SmbiosNames::default, |system| SmbiosNames {
            manufacturer: short(&system.manufacturer),
            product: short(&system.product),
            serial: short(&system.serial),
            uuid: short(&system.uuid),
        })
}

/// MACs that a report lists. Locally administered ones count: simulated and virtual machines boot from them.
pub(crate) fn macs_of(report: &AssetReport) -> Vec<Mac> {
    nics_of(report).map(|(mac, _)| mac).collect()
}

/// The same with each NIC's model, if known.
pub(crate) fn nics_of(report: &AssetReport) -> impl Iterator<Item = (Mac, Option<NicModel>)> + '_ {
    let nics = report.nics.iter().take(MAX_MACS);
    nics.filter_map(|nic| {
        let mac = nic.permanent_mac.or(nic.mac).filter(|mac| !mac.is_junk())?;
        Some((mac, nic.pci_id.as_deref().and_then(|id| id.parse().ok())))
    })
}

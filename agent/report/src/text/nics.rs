use inventory_api::report::{LinkLayer, NicFacts};

use super::{Page, named, when};

impl Page {
    pub(super) fn nic(&mut self, n: &NicFacts) {
        let link = n.link.map(|up| match (up, n.speed_mbps) {
            (true, Some(mbps)) => format!("link {mbps} Mbit/s"),
            (true, None) => "link".to_owned(),
            (false, _) => "no link".to_owned(),
        });
        let permanent = n
            .permanent_mac
            .filter(|permanent| n.mac.is_some_and(|mac| mac != *permanent));
        let facts = [
            Some(n.name.clone()),
            n.mac.map(|mac| mac.to_string()),
            when(n.link_layer == Some(LinkLayer::Infiniband), "InfiniBand"),
            named("GUID", &n.guid),
            named("permanent", &permanent),
            n.driver.clone(),
            n.pci.clone(),
            n.pci_id.clone(),
            n.slot.clone(),
            named("port", &n.port),
            link,
            named("firmware", &n.firmware),
            when(n.lldp_in_firmware == Some(true), "handles LLDP itself"),
            n.sriov_vfs
                .map(|count| format!("up to {count} virtual functions")),
        ];
        self.line("NIC", facts);
        if let Some(optic) = &n.optic {
            let facts = [
                optic.kind.clone(),
                optic.manufacturer.clone(),
                optic.part.clone(),
                named("serial", &optic.serial),
            ];
            self.line("  module", facts);
        }
        if let Some(peer) = &n.lldp {
            let facts = [
                peer.system.clone().or_else(|| peer.chassis.clone()),
                named("port", &peer.port),
                peer.port_description.clone(),
                named("VLAN", &peer.vlan),
                named("at", &peer.management),
            ];
            self.line("  switch", facts);
        }
    }
}

//! Physical network interfaces, from sysfs, and on the running system also from ethtool.

use std::path::{Path, PathBuf};
use std::time::Instant;

use inventory_api::Mac;
use inventory_api::report::NicFacts;

use super::roots::{Roots, flag, is_numbered, link_name, number, text};
use super::{Problems, ethtool, infiniband, lldp, pci};

const NIC_LIMIT: usize = 256;
/// More than any link, in Mbit/s. The kernel's unknown is -1, which some drivers turn into 4294967295.
const SPEED_LIMIT: u32 = 10_000_000;

/// Every physical interface and every InfiniBand port: no bonds, bridges, VLANs, tunnels or SR-IOV virtual
/// functions.
pub(super) fn collect(roots: &Roots, problems: &mut Problems) -> Vec<NicFacts> {
    let folder = roots.sys("class/net");
    let mut physical = problems.names(&folder);
    physical.retain(|name| is_physical(&folder.join(name)));
    problems.keep(&mut physical, NIC_LIMIT, folder.display(), "NICs");
    let mut nics: Vec<NicFacts> = physical
        .into_iter()
        .map(|name| nic(roots, name, problems))
        .collect();
    infiniband::add_ports(roots, &mut nics);
    nics.truncate(NIC_LIMIT);
    nics
}

fn is_physical(interface: &Path) -> bool {
    let device = interface.join("device");
    // A partition of an InfiniBand port has a device too, and names its parent.
    device.exists() && !device.join("physfn").exists() && !interface.join("parent").exists()
}

/// Adds the switches' LLDP data, waiting for it until `deadline`. Only on the running system.
pub(super) fn add_neighbours(roots: &Roots, nics: &mut [NicFacts], deadline: Instant) {
    if !roots.is_live() {
        return;
    }
    let index = |nic: &NicFacts| number(&roots.sys("class/net").join(&nic.name).join("ifindex"));
    let linked: Vec<i32> = nics
        .iter()
        .filter(|nic| nic.link == Some(true))
        .filter_map(index)
        .collect();
    lldp::wait(&linked, deadline);
    for nic in nics {
        nic.lldp = index(nic).and_then(lldp::neighbour);
    }
}

fn nic(roots: &Roots, name: String, problems: &mut Problems) -> NicFacts {
    let folder = roots.sys("class/net").join(&name);
    let device: Option<PathBuf> = roots.device(&folder.join("device"));
    // For USB the nearest PCI function is the USB controller, not the NIC.
    let card = device.as_deref().filter(|path| !is_usb(path));
    let mac = address(&folder.join("address"));
    // addr_assign_type 0 is NET_ADDR_PERM: the address was not changed. A bond records the original.
    let permanent_mac = match number::<u8>(&folder.join("addr_assign_type")) {
        Some(0) => mac,
        _ => address(&folder.join("bonding_slave/perm_hwaddr")),
    };
    // Reading fails while the interface is down; the state is then unknown.
    let link = flag(&folder.join("carrier"));
    let mut nic = NicFacts {
        mac,
        permanent_mac,
        driver: link_name(&folder.join("device/driver")),
        pci: card.and_then(pci::address),
        pci_id: card.and_then(|device| pci::id(roots, device)),
        link,
        speed_mbps: speed(&folder.join("speed")).filter(|_| link == Some(true)),
        port: text(&folder.join("phys_port_name")),
        sriov_vfs: number(&folder.join("device/sriov_totalvfs")).filter(|count| *count > 0),
        name,
        ..NicFacts::default()
    };
    if roots.is_live()
        && let Err(e) = ethtool::add(&mut nic)
    {
        problems.note(format_args!("{}: ethtool: {e}", nic.name));
    }
    nic
}

fn is_usb(device: &Path) -> bool {
    let mut parts = device.iter().filter_map(|part| part.to_str());
    parts.any(|part| is_numbered(part, "usb"))
}

fn speed(path: &Path) -> Option<u32> {
    number(path).filter(|mbps| (1..=SPEED_LIMIT).contains(mbps))
}

/// An Ethernet address; not InfiniBand's 20 bytes.
fn address(path: &Path) -> Option<Mac> {
    number(path).filter(|mac: &Mac| !mac.is_junk())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_card_is_reported_with_its_facts_and_a_bond_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let sys = dir.path().join("sys");
        let device = sys.join("devices/pci0000:00/0000:00:1c.0/0000:03:00.0");
        let net = device.join("net/eno1");
        for folder in [
            &net,
            &sys.join("class/net/bond0"),
            &sys.join("bus/pci/drivers/ixgbe"),
        ] {
            fs::create_dir_all(folder).unwrap();
        }
        fs::create_dir_all(sys.join("class/net/vf0/device/physfn")).unwrap();
        symlink(
            "../../devices/pci0000:00/0000:00:1c.0/0000:03:00.0/net/eno1",
            sys.join("class/net/eno1"),
        )
        .unwrap();
        symlink("../../../0000:03:00.0", net.join("device")).unwrap();
        symlink("../../../../bus/pci/drivers/ixgbe", device.join("driver")).unwrap();
        for (file, text) in [
            (device.join("vendor"), "0x8086\n"),
            (device.join("device"), "0x10FB\n"),
            (net.join("address"), "a0:36:9f:00:11:22\n"),
            (net.join("addr_assign_type"), "0\n"),
            (net.join("carrier"), "1\n"),
            (net.join("speed"), "10000\n"),
            (net.join("phys_port_name"), "p0\n"),
            (device.join("sriov_totalvfs"), "63\n"),
        ] {
            fs::write(file, text).unwrap();
        }
        let mut problems = Problems::new("nics");
        let mac = Some("a0:36:9f:00:11:22".parse().unwrap());
        let expected = NicFacts {
            name: "eno1".to_owned(),
            mac,
            permanent_mac: mac,
            driver: Some("ixgbe".to_owned()),
            pci: Some("0000:03:00.0".to_owned()),
            pci_id: Some("8086:10fb".to_owned()),
            link: Some(true),
            speed_mbps: Some(10_000),
            port: Some("p0".to_owned()),
            sriov_vfs: Some(63),
            ..Default::default()
        };
        assert_eq!(collect(&Roots::under(dir.path()), &mut problems), [expected]);
        assert!(problems.found.is_empty(), "{problems:?}");
    }

    #[test]
    fn unknown_speed_is_none() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let read = |text: &str| {
            std::fs::write(&file, text).unwrap();
            speed(file.path())
        };
        for unknown in ["", "-1\n", "0\n", "4294967295\n"] {
            assert_eq!(read(unknown), None);
        }
        assert_eq!(read("400000\n"), Some(400_000));
    }
}

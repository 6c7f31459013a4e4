//! InfiniBand ports from /sys/class/infiniband: a port adds its GUID to its network interface, or is a NIC of
//! its own if it has none. Attributes as in the kernel's Documentation/ABI/stable/sysfs-class-infiniband.

use std::path::Path;

use inventory_api::report::{LinkLayer, NicFacts};

use super::roots::{Roots, attribute, link_name, names, number, text};
use super::{clean, pci};

/// Maximum number of devices, and of ports of each.
const DEVICE_LIMIT: usize = 64;
const PORT_LIMIT: usize = 8;
/// ARPHRD_INFINIBAND of linux/if_arp.h.
const ARP_TYPE: u32 = 32;

/// Adds link layer, GUID and speed to the interfaces of InfiniBand ports, and an entry for each port without
/// an interface.
pub(super) fn add_ports(roots: &Roots, nics: &mut Vec<NicFacts>) {
    for nic in nics.iter_mut() {
        let folder = roots.sys("class/net").join(&nic.name);
        if number(&folder.join("type")) == Some(ARP_TYPE) {
            nic.link_layer = Some(LinkLayer::Infiniband);
            nic.guid = attribute(&folder.join("address")).and_then(|text| guid(&text));
        }
    }
    let class = roots.sys("class/infiniband");
    for device in names(&class).into_iter().take(DEVICE_LIMIT) {
        let folder = class.join(&device);
        let ports = names(&folder.join("ports"));
        for port in ports.into_iter().take(PORT_LIMIT) {
            let Some(found) = port_of(roots, &folder, &device, &port) else {
                continue;
            };
            match nics.iter_mut().find(|nic| is_of(roots, nic, &found, &port)) {
                Some(nic) => {
                    nic.speed_mbps = nic.speed_mbps.or(found.speed_mbps);
                    nic.firmware = nic.firmware.take().or(found.firmware);
                    nic.guid = nic.guid.take().or(found.guid);
                }
                None => nics.push(found),
            }
        }
    }
}

/// Whether an interface belongs to this port: same GUID, or else same function and, if it has two ports, same
/// number.
fn is_of(roots: &Roots, nic: &NicFacts, port: &NicFacts, number_of: &str) -> bool {
    if nic.link_layer != Some(LinkLayer::Infiniband) {
        return false;
    }
    if nic.guid.is_some() && port.guid.is_some() {
        return nic.guid == port.guid;
    }
    let dev_port = number::<u32>(&roots.sys("class/net").join(&nic.name).join("dev_port"));
    nic.pci.is_some()
        && nic.pci == port.pci
        && dev_port.is_none_or(|index| Some(index + 1) == number_of.parse().ok())
}

/// One port, unless it is an Ethernet port (RoCE, iWARP), which has a network interface, or belongs to a
/// virtual function.
fn port_of(roots: &Roots, folder: &Path, device: &str, port: &str) -> Option<NicFacts> {
    let path = roots.device(folder);
    let function = path.as_deref().and_then(pci::address);
    let hardware = match &function {
        Some(address) => roots.sys("bus/pci/devices").join(address),
        None => folder.join("device"),
    };
    if hardware.join("physfn").exists() {
        return None;
    }
    let at = folder.join("ports").join(port);
    let said = |file: &str| text(&at.join(file));
    let is_ethernet = match said("link_layer") {
        Some(layer) => layer != "InfiniBand",
        // Missing in kernels before 2.6.36 and some captures.
        None => hardware.join("net").exists(),
    };
    if is_ethernet {
        return None;
    }
    // "4: ACTIVE"; INIT and ARMED wait for the subnet manager.
    let state = said("state").and_then(|text| text.split(':').next()?.trim().parse::<u8>().ok());
    let link = state.map(|state| state == 4);
    let own_guid = || attribute(&folder.join("node_guid")).and_then(|text| guid(&text));
    Some(NicFacts {
        name: clean::text(&format!("{device}/{port}"))?,
        link_layer: Some(LinkLayer::Infiniband),
        guid: said("gids/0").and_then(|gid| guid(&gid)).or_else(own_guid),
        driver: link_name(&hardware.join("driver")),
        pci_id: path.as_deref().and_then(|path| pci::id(roots, path)),
        pci: function,
        link,
        speed_mbps: said("rate")
            .filter(|_| link == Some(true))
            .and_then(|rate| speed(&rate)),
        firmware: attribute(&folder.join("fw_ver")).and_then(|text| clean::fact(&text)),
        ..NicFacts::default()
    })
}

/// The last eight bytes of a GID, a GUID or an interface's hardware address, "b8cef6030031333e".
fn guid(text: &str) -> Option<String> {
    let digits = text.replace(':', "").to_lowercase();
    let last = digits.get(digits.len().checked_sub(16)?..)?;
    let sound = last.bytes().all(|b| b.is_ascii_hexdigit()) && last.bytes().any(|b| b != b'0');
    sound.then(|| last.to_owned())
}

/// "200 Gb/sec (4X HDR)" and "2.5 Gb/sec (1X SDR)" in Mbit/s.
fn speed(rate: &str) -> Option<u32> {
    let gigabits: f64 = rate.split_once(" Gb/sec")?.0.trim().parse().ok()?;
    (0.1..=10_000.0)
        .contains(&gigabits)
        .then(|| (gigabits * 1000.0).round() as u32)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// A card with two ports on one function, only the first with an interface; a RoCE card.
    fn machine() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let sys = dir.path().join("sys");
        let write = |path: &str, text: &str| {
            let path = sys.join("devices/pci0000:00").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let port = |path: &str, layer: &str, state: &str, rate: &str, gid: &str| {
            write(&format!("{path}/link_layer"), layer);
            write(&format!("{path}/state"), state);
            write(&format!("{path}/rate"), rate);
            write(&format!("{path}/gids/0"), gid);
        };
        let card = "0000:4b:00.0/infiniband/mlx5_0";
        port(
            &format!("{card}/ports/1"),
            "InfiniBand\n",
            "4: ACTIVE\n",
            "200 Gb/sec (4X HDR)\n",
            "fe80:0000:0000:0000:b8ce:f603:0031:333e\n",
        );
        port(
            &format!("{card}/ports/2"),
            "InfiniBand\n",
            "1: DOWN\n",
            "2.5 Gb/sec (1X SDR)\n",
            "fe80:0000:0000:0000:b8ce:f603:0031:333f\n",
        );
        write(&format!("{card}/fw_ver"), "20.31.1014\n");
        write("0000:4b:00.0/vendor", "0x15b3\n");
        write("0000:4b:00.0/device", "0x101b\n");
        write("0000:4b:00.0/net/ibs1/type", "32\n");
        write(
            "0000:4b:00.0/net/ibs1/address",
            "00:00:10:29:fe:80:00:00:00:00:00:00:b8:ce:f6:03:00:31:33:3e\n",
        );
        write("0000:4b:00.0/net/ibs1/carrier", "1\n");
        // Some captures have no link layer and no GIDs.
        write(
            "0000:5b:00.0/infiniband/mlx5_2/node_guid",
            "0c42:a103:0020:68e6\n",
        );
        write("0000:5b:00.0/infiniband/mlx5_2/ports/1/state", "4: ACTIVE\n");
        write(
            "0000:5b:00.0/infiniband/mlx5_2/ports/1/rate",
            "400 Gb/sec (4X NDR)\n",
        );
        port(
            "0000:6b:00.0/infiniband/mlx5_3/ports/1",
            "Ethernet\n",
            "4: ACTIVE\n",
            "100 Gb/sec (4X EDR)\n",
            "fe80::1\n",
        );
        for (class, name, at) in [
            ("infiniband", "mlx5_0", "0000:4b:00.0/infiniband/mlx5_0"),
            ("infiniband", "mlx5_2", "0000:5b:00.0/infiniband/mlx5_2"),
            ("infiniband", "mlx5_3", "0000:6b:00.0/infiniband/mlx5_3"),
            ("net", "ibs1", "0000:4b:00.0/net/ibs1"),
        ] {
            fs::create_dir_all(sys.join("class").join(class)).unwrap();
            symlink(
                Path::new("../../devices/pci0000:00").join(at),
                sys.join("class").join(class).join(name),
            )
            .unwrap();
        }
        symlink(
            "../../../0000:4b:00.0",
            sys.join("devices/pci0000:00/0000:4b:00.0/net/ibs1/device"),
        )
        .unwrap();
        dir
    }

    #[test]
    fn ports_with_and_without_an_interface() {
        let dir = machine();
        let mut problems = super::super::Problems::new("nics");
        let nics = super::super::nics::collect(&Roots::under(dir.path()), &mut problems);
        let short: Vec<_> = nics
            .iter()
            .map(|n| {
                (
                    n.name.as_str(),
                    n.guid.as_deref(),
                    n.link,
                    n.speed_mbps,
                    n.pci.as_deref(),
                )
            })
            .collect();
        let (first, third) = (Some("0000:4b:00.0"), Some("0000:5b:00.0"));
        assert_eq!(
            short,
            [
                ("ibs1", Some("b8cef6030031333e"), Some(true), Some(200_000), first),
                ("mlx5_0/2", Some("b8cef6030031333f"), Some(false), None, first),
                (
                    "mlx5_2/1",
                    Some("0c42a103002068e6"),
                    Some(true),
                    Some(400_000),
                    third
                ),
            ]
        );
        assert!(nics.iter().all(|n| n.link_layer == Some(LinkLayer::Infiniband)));
        assert_eq!(nics[0].firmware.as_deref(), Some("20.31.1014"));
        assert_eq!(nics[1].pci_id.as_deref(), Some("15b3:101b"));
    }

    #[test]
    fn invalid_guids_and_rates_are_absent() {
        assert_eq!(guid("0000:0000:0000:0000"), None);
        assert_eq!(guid("b8:ce"), None);
        assert_eq!(guid("zzzz:zzzz:zzzz:zzzz"), None);
        assert_eq!(guid("ü:ce:f6:03:00:31:33:3e:ß"), None);
        assert_eq!(
            (
                speed("2.5 Gb/sec (1X SDR)"),
                speed("-1 Gb/sec"),
                speed("NaN Gb/sec"),
                speed("")
            ),
            (Some(2500), None, None, None)
        );
    }
}

//! systemd-networkd: one file per NIC, matched by MAC, so that interface names do not matter.

use inventory_api::deploy::NicConfig;

use super::super::error::StepError;
use super::super::root::Root;
use super::{HEADER, enable, write_text};

/// A systemd.network(5) file. With `first`, the system counts as online when this NIC is.
fn text(nic: &NicConfig, first: bool) -> Option<String> {
    let mac = nic.mac?;
    // Kind=!* excludes bridges, VLANs and bonds that take over the MAC.
    let online = if first { "yes" } else { "no" };
    let mut text = format!(
        "{HEADER}[Match]\nMACAddress={mac}\nKind=!*\n\n[Link]\nRequiredForOnline={online}\n\n[Network]\n"
    );
    if nic.addresses.is_empty() {
        text += "DHCP=yes\n";
    }
    for address in &nic.addresses {
        text += &format!("Address={address}\n");
    }
    if let Some(gateway) = &nic.gateway {
        text += &format!("Gateway={gateway}\n");
    }
    for dns in &nic.dns {
        text += &format!("DNS={dns}\n");
    }
    if nic.addresses.is_empty() {
        // Field report 14: a different client identifier per boot stage means a different address.
        text += "\n[DHCPv4]\nClientIdentifier=mac\n";
    }
    Some(text)
}

pub(crate) fn apply(root: &Root, nics: &[NicConfig]) -> Result<(), StepError> {
    for (i, nic) in nics.iter().enumerate() {
        if let (Some(text), Some(mac)) = (text(nic, i == 0), nic.mac) {
            let name = mac.to_string().replace(':', "");
            let path = format!("/etc/systemd/network/10-slipway-{name}.network");
            write_text(root, &path, &text)?;
        }
    }
    enable(root, "systemd-networkd.service", "multi-user")?;
    enable(root, "systemd-networkd.socket", "sockets")?;
    enable(root, "systemd-networkd-wait-online.service", "network-online")?;
    if enable(root, "systemd-resolved.service", "sysinit")? {
        return root.symlink("/run/systemd/resolve/stub-resolv.conf", "/etc/resolv.conf");
    }
    let servers = nics.iter().flat_map(|nic| &nic.dns);
    let text: String = servers.map(|dns| format!("nameserver {dns}\n")).collect();
    match text.is_empty() {
        true => Ok(()),
        false => write_text(root, "/etc/resolv.conf", &text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inventory_api::valid::nics as check;

    fn nic(addresses: &[&str]) -> NicConfig {
        let text = |s: &&str| (*s).to_owned();
        let addresses = addresses.iter().map(text).collect();
        NicConfig {
            mac: "52:54:00:12:34:56".parse().ok(),
            addresses,
            gateway: None,
            dns: vec!["10.0.0.1".into()],
        }
    }

    #[test]
    fn dhcp_and_static_texts() {
        let dhcp = text(&nic(&[]), true).expect("has a MAC");
        assert!(
            dhcp.contains("MACAddress=52:54:00:12:34:56\n") && dhcp.contains("DHCP=yes\n"),
            "{dhcp}"
        );
        assert!(dhcp.contains("ClientIdentifier=mac"), "{dhcp}");
        let fixed = NicConfig {
            gateway: Some("10.0.0.254".into()),
            ..nic(&["10.0.0.7/24", "fd00::7/64"])
        };
        let expected = "[Link]\nRequiredForOnline=no\n\n[Network]\nAddress=10.0.0.7/24\nAddress=fd00::7/64\n\
            Gateway=10.0.0.254\nDNS=10.0.0.1\n";
        assert!(text(&fixed, false).expect("has a MAC").ends_with(expected));
    }

    #[test]
    fn invalid_addresses_are_refused() {
        for bad in [
            "10.0.0.7",
            "10.0.0.7/33",
            "10.0.0.7/+8",
            "x/24",
            "10.0.0.7/24\nDNS=1.1.1.1",
            "fd00::1/129",
        ] {
            assert!(check(&[nic(&[bad])]).is_err(), "{bad}");
        }
        assert_eq!(check(&[nic(&["10.0.0.7/24", "fd00::7/64"])]), Ok(()));
        assert!(check(&[nic(&[]), nic(&[])]).is_err());
    }
}

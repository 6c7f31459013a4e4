//! Lets only root on the installed system reach the boot service: an unprivileged process must not be able to
//! ask in the machine's name. Uses nftables if the image has it; otherwise the verification says so.

use std::net::SocketAddr;

use super::super::error::StepError;
use super::super::link::Credentials;
use super::super::root::Root;
use super::{enable, write_text};

/// The rules on the installed system.
pub const GUARD_PATH: &str = "/etc/slipway/guard.nft";
/// Exists while the rules are in force.
pub const GUARD_MARK: &str = "/run/slipway-guard";
/// The unit that loads the rules.
pub const NFT: &str = "/usr/sbin/nft";

/// Runs after Debian's own unit, which begins with `flush ruleset`.
const UNIT: &str = "\
[Unit]
Description=Only root reaches the Slipway boot service
DefaultDependencies=no
Conflicts=shutdown.target
After=local-fs.target nftables.service
Before=network-pre.target shutdown.target
Wants=network-pre.target
ConditionPathExists=/usr/sbin/nft

[Service]
Type=oneshot
RemainAfterExit=yes
RuntimeDirectory=slipway-guard
ExecStart=/usr/sbin/nft -f /etc/slipway/guard.nft

[Install]
WantedBy=multi-user.target
";

/// The rules: only root reaches the server's boot service and agent port, and DHCP and TFTP need a privileged
/// source port. Traffic of containers is forwarded and has the machine's address, so it is covered too.
/// `None` if the server's URL has no IP address.
pub(super) fn rules(server: &str, boot_url: &str) -> Option<String> {
    let (api, boot) = (socket_of(server, 443)?, socket_of(boot_url, 80)?);
    let mut lines = String::new();
    for (hook, who) in [("output", "meta skuid != 0 "), ("forward", "")] {
        lines.push_str(&format!(
            "    chain {hook} {{\n        type filter hook {hook} priority filter; policy accept;\n"
        ));
        for address in [api, boot] {
            let family = if address.is_ipv4() { "ip" } else { "ip6" };
            let (ip, port) = (address.ip(), address.port());
            lines.push_str(&format!(
                "        {who}{family} daddr {ip} tcp dport {port} reject\n"
            ));
        }
        // systemd-networkd renews its lease as its own user, from port 68.
        lines.push_str(&format!(
            "        {who}udp sport >= 1024 udp dport {{ 67, 69, 547, 4011 }} reject\n    }}\n"
        ));
    }
    Some(format!(
        "# Written by Slipway: only root may ask the boot service in this machine's name.\n\
         table inet slipway\ndelete table inet slipway\ntable inet slipway {{\n{lines}}}\n"
    ))
}

/// The address and port of a URL.
fn socket_of(url: &str, default: u16) -> Option<SocketAddr> {
    let (_, rest) = url.split_once("://")?;
    let host = rest.split('/').next()?;
    let without_port = || {
        Some(SocketAddr::new(
            host.trim_matches(['[', ']']).parse().ok()?,
            default,
        ))
    };
    host.parse().ok().or_else(without_port)
}

pub(crate) fn apply(root: &Root, credentials: &Credentials) -> Result<(), StepError> {
    let Some(rules) = rules(&credentials.server, &credentials.boot_url) else {
        return Ok(());
    };
    write_text(root, GUARD_PATH, &rules)?;
    write_text(root, "/etc/systemd/system/slipway-guard.service", UNIT)?;
    enable(root, "slipway-guard.service", "multi-user").map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_reaches_the_boot_service() {
        let rules = rules("https://10.0.0.1:8443", "http://10.0.0.1:8067").unwrap();
        for line in [
            "meta skuid != 0 ip daddr 10.0.0.1 tcp dport 8443 reject",
            "meta skuid != 0 ip daddr 10.0.0.1 tcp dport 8067 reject",
            "meta skuid != 0 udp sport >= 1024 udp dport { 67, 69, 547, 4011 } reject",
            "\n        ip daddr 10.0.0.1 tcp dport 8067 reject",
        ] {
            assert!(rules.contains(line), "{line}: {rules}");
        }
        assert!(
            super::rules("https://[fd00::1]:8443", "http://[fd00::1]:8067")
                .unwrap()
                .contains("ip6 daddr fd00::1")
        );
        assert_eq!(
            super::rules("https://boot.example:8443", "http://10.0.0.1:8067"),
            None
        );
        assert_eq!(
            super::rules("https://10.0.0.1:8443 } evil", "http://10.0.0.1"),
            None
        );
    }
}

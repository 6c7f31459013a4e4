//! Other people's daemons in the lab's network, each in its own namespace with a cable to it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::child::Owned;
use crate::lab::{BRIDGE, Lab, SERVER};
use crate::netns::{NetNs, ip};
use crate::wait;

/// A dnsmasq that gives addresses and no boot data, like a LAN's DHCP server.
pub struct AddressServer {
    _process: Owned,
    _place: NetNs,
}

impl AddressServer {
    /// Starts one at `SUBNET.2` (`subnet` has three numbers, e.g. `10.77.0`) on a bridge of the lab; it gives
    /// .50 to .60. Its files go into `directory`.
    pub fn start(lab: &Lab, bridge: &str, subnet: &str, directory: &Path) -> Result<AddressServer> {
        let name = format!("dnsmasq-{subnet}");
        let number = subnet.split('.').nth(1).unwrap_or_default();
        let place = lab.client_on(bridge, &format!("02:00:00:00:{number}:02"))?;
        place.run(|| ip(&format!("addr add {subnet}.2/24 dev eth0")))?;
        let mut command = place.command("dnsmasq");
        command.args([
            "-k",
            "-C",
            "/dev/null",
            "-p",
            "0",
            "--no-ping",
            "--user=root",
            "--pid-file=",
        ]);
        command.arg(format!("--dhcp-range={subnet}.50,{subnet}.60,1h"));
        command.arg(format!("--dhcp-leasefile={}", directory.join(&name).display()));
        let process = started(
            command,
            &place,
            "dnsmasq-base",
            &directory.join(name).with_extension("log"),
        )?;
        Ok(AddressServer {
            _process: process,
            _place: place,
        })
    }
}

/// ISC's relay on a router between the lab's network and another one, [`Relay::BRIDGE`]. It adds option 82
/// and drops an answer that does not return it unchanged.
pub struct Relay {
    _process: Owned,
    _place: NetNs,
}

impl Relay {
    /// The network behind it, which has no server.
    pub const BRIDGE: &str = "behind0";
    /// That network in the server's configuration; the router passes TFTP like a firewall that does not know
    /// it.
    pub const NETWORK: &str = r#"
[[network]]
name = "behind"
server = "10.77.0.1"
subnet = "10.88.0.0/24"
mode = "server"
look_seconds = 0
router = "10.88.0.1"
tftp_single_port = true
tftp_blksize_max = 1024
pools = [{ first = "10.88.0.100", last = "10.88.0.109" }]
"#;

    /// Starts it, and adds a route to the network behind it.
    pub fn start(lab: &Lab, directory: &Path) -> Result<Relay> {
        lab.plain_bridge(Relay::BRIDGE)?;
        let place = lab.client_on(BRIDGE, "02:00:00:00:77:02")?;
        lab.cable(&place, Relay::BRIDGE, "eth1", "02:00:00:00:88:01")?;
        place.run(|| {
            ip("addr add 10.77.0.2/24 dev eth0")?;
            ip("addr add 10.88.0.1/24 dev eth1")?;
            // The namespace file of the writing thread.
            std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").context("switching on forwarding")
        })?;
        lab.inside().run(|| ip("route add 10.88.0.0/24 via 10.77.0.2"))?;
        let mut command = place.command("dhcrelay");
        command.args(["-4", "-d", "--no-pid", "-a", "-D", "-iu", "eth0", "-id", "eth1"]);
        command.arg(SERVER.to_string());
        let process = started(command, &place, "isc-dhcp-relay", &directory.join("dhcrelay.log"))?;
        Ok(Relay {
            _process: process,
            _place: place,
        })
    }
}

/// Starts a daemon and waits until it listens for DHCP messages.
fn started(command: Command, place: &NetNs, package: &str, log: &Path) -> Result<Owned> {
    let process =
        Owned::start(command, log).with_context(|| format!("is the package {package} installed?"))?;
    let what = format!("a daemon of {package} to listen on port 67 ({})", log.display());
    wait::until_blocking(&what, Duration::from_secs(10), || {
        let sockets = place.run(|| Ok(std::fs::read_to_string("/proc/thread-self/net/udp")?))?;
        // isc-dhcp uses a packet socket, and opens a UDP socket on the port too.
        Ok(sockets.contains(":0043 ").then_some(()))
    })?;
    Ok(process)
}

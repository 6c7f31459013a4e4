//! An isolated provisioning network: the calling thread moves into a new network namespace with a bridge.

use std::cell::Cell;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Result;
use inventory_api::Mac;
use nix::sched::{CloneFlags, unshare};

use crate::netns::{NetNs, ip};
use crate::wait;

/// The bridge; it is the provisioning network.
pub const BRIDGE: &str = "br0";
/// The server's address on the bridge.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// An isolated network. Everything the calling thread starts from now on is in it; it vanishes with the last
/// of them.
pub struct Lab {
    inside: NetNs,
    outside: NetNs,
    taps: Cell<u32>,
}

impl Lab {
    /// Moves the calling thread into a new namespace with the bridge [`BRIDGE`] and [`SERVER`] on it.
    pub fn enter() -> Result<Lab> {
        let outside = NetNs::of_this_thread()?;
        unshare(CloneFlags::CLONE_NEWNET)?;
        let lab = Lab {
            inside: NetNs::of_this_thread()?,
            outside,
            taps: Cell::new(0),
        };
        ip("link set lo up")?;
        // stp_state 0 and no forward delay: a port lets the first DISCOVER through.
        ip(&format!(
            "link add {BRIDGE} type bridge stp_state 0 forward_delay 0"
        ))?;
        ip(&format!("addr add {SERVER}/24 dev {BRIDGE}"))?;
        ip(&format!("link set {BRIDGE} up"))?;
        Ok(lab)
    }

    pub fn inside(&self) -> &NetNs {
        &self.inside
    }

    /// The namespace the calling thread came from.
    pub fn outside(&self) -> &NetNs {
        &self.outside
    }

    /// Adds a tap device to the bridge, for QEMU.
    pub fn tap(&self) -> Result<String> {
        self.tap_on(BRIDGE)
    }

    /// As [`Lab::tap`], on another bridge of the lab.
    pub fn tap_on(&self, bridge: &str) -> Result<String> {
        let name = format!("tap{}", self.taps.replace(self.taps.get() + 1));
        ip(&format!("tuntap add dev {name} mode tap"))?;
        ip(&format!("link set {name} master {bridge} up"))?;
        Ok(name)
    }

    /// Adds a client with a cable to the bridge: a namespace whose `eth0` has this MAC and no address.
    pub fn client(&self, mac: &str) -> Result<NetNs> {
        self.client_on(BRIDGE, mac)
    }

    /// As [`Lab::client`], on another bridge of the lab.
    pub fn client_on(&self, bridge: &str, mac: &str) -> Result<NetNs> {
        let client = NetNs::new()?;
        self.cable(&client, bridge, "eth0", mac)?;
        Ok(client)
    }

    /// Runs a cable from a namespace to a bridge; its interface in the namespace gets this name and MAC.
    pub fn cable(&self, client: &NetNs, bridge: &str, interface: &str, mac: &str) -> Result<()> {
        let name = format!("port{}", self.taps.replace(self.taps.get() + 1));
        ip(&format!(
            "link add {name} type veth peer name {interface} address {mac} netns {}",
            client.path()
        ))?;
        ip(&format!("link set {name} master {bridge} up"))?;
        client.run(|| ip(&format!("link set {interface} up")).map(drop))?;
        // It takes up to a second until the kernel considers the carrier up; what is sent until then is lost.
        wait::until_blocking("the cable to carry packets", Duration::from_secs(10), || {
            let port = ip(&format!("-d link show dev {name}"))?;
            let up = port.contains("state forwarding")
                && ip(&format!("link show dev {bridge}"))?.contains("state UP")
                && client
                    .run(|| ip(&format!("link show dev {interface}")))?
                    .contains("state UP");
            Ok(up.then_some(()))
        })
    }

    /// The MAC of an interface of the lab itself.
    pub fn mac_of(&self, name: &str) -> Result<Mac> {
        let text = ip(&format!("-br link show dev {name}"))?;
        let word = text.split_ascii_whitespace().nth(2).unwrap_or_default();
        word.parse().map_err(|e| anyhow::anyhow!("{name}: {word:?}: {e}"))
    }

    /// Adds a bridge with this address, e.g. `10.78.0.1/24`: a network that is not configured.
    pub fn bridge(&self, name: &str, address: &str) -> Result<()> {
        ip(&format!(
            "link add {name} type bridge stp_state 0 forward_delay 0"
        ))?;
        ip(&format!("addr add {address} dev {name}"))?;
        ip(&format!("link set {name} up"))?;
        Ok(())
    }

    /// Adds a bridge that only connects: the lab's kernel sends nothing on it, not even ARP for its own
    /// addresses.
    pub fn plain_bridge(&self, name: &str) -> Result<()> {
        ip(&format!(
            "link add {name} type bridge stp_state 0 forward_delay 0 mcast_snooping 0"
        ))?;
        ip(&format!("link set {name} addrgenmode none"))?;
        ip(&format!("link set {name} arp off up"))?;
        Ok(())
    }
}

impl Drop for Lab {
    /// The thread returns to its old namespace; processes that are still inside keep the namespace alive.
    fn drop(&mut self) {
        if let Err(error) = self.outside.enter() {
            eprintln!("leaving the lab's network namespace: {error:#}");
        }
    }
}

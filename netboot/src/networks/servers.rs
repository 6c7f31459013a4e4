//! Other DHCP servers in a network: what is heard of them, and what the operator is told.

use std::net::IpAddr;

use inventory_api::Mac;
use inventory_api::network::{Gives, OtherServer};
use netboot_protocol::dhcp4::foreign::{ServerReply, Sighting};
use netboot_protocol::{ForeignServers, Mode, Network, OnForeignServer, dhcp6};

use super::{Family, Networks};
use crate::now;

impl Networks {
    /// From now on we listen for other servers in this network.
    pub(crate) fn watched(&self, network: &Network, family: Family) {
        let Some(mode) = mode_of(network, family) else {
            return;
        };
        let servers = ForeignServers::new(mode, network.settings(), now());
        self.side(network.name(), family, |known| *known = servers);
    }

    /// Records another server's reply. `None`: it is our own, or too many servers are known already. If the
    /// result says `unproven`, probe the server by ARP and call [`Networks::proven`].
    pub(crate) fn heard(
        &self,
        network: &Network,
        family: Family,
        reply: &ServerReply,
        link: Mac,
    ) -> Option<Sighting> {
        if self.is_ours(reply.server) {
            return None;
        }
        let hear = |servers: &mut ForeignServers| servers.heard(reply, link, now());
        let heard = self.side(network.name(), family, hear)??;
        if heard.new || heard.closes {
            self.record_server(network, family, &heard.server, heard.closes);
        }
        Some(heard)
    }

    /// A server is a real host: `link` answered ARP for it.
    pub(crate) fn proven(&self, network: &Network, family: Family, server: IpAddr, link: Mac) {
        let prove = |servers: &mut ForeignServers| servers.proven(server, link, now());
        if let Some(server) = self.side(network.name(), family, prove).flatten() {
            self.record_server(network, family, &server, true);
        }
    }

    fn record_server(&self, network: &Network, family: Family, server: &OtherServer, closes: bool) {
        let addresses = server.gives == Gives::Addresses;
        let refuses = network.settings().on_foreign_server == OnForeignServer::Refuse;
        let (boot_data, closed, open) = match family {
            Family::V4 => (
                "gives out boot data (proxyDHCP)",
                "Switch it off, set mode = \"proxy\", or on_foreign_server = \"warn\"",
                "and ARP confirms its link address, we",
            ),
            Family::V6 => (
                "gives out boot data",
                "Switch it off, or set on_foreign_server = \"warn\"",
                "we",
            ),
        };
        let what = if addresses {
            "gives out addresses"
        } else {
            boot_data
        };
        let so = if !addresses || mode_of(network, family) != Some(Mode::Server) {
            String::new()
        } else if !refuses {
            ": machines may take its offers, and an address may be given out twice".to_owned()
        } else if closes {
            format!(": we have stopped offering addresses. {closed}")
        } else {
            format!(": if it answers again, {open} stop offering addresses")
        };
        let file = server.boot_file.as_ref();
        let file = file.map_or(String::new(), |file| format!(" and the boot file {file}"));
        let (name, address, mac) = (server_name(family), server.address, server.mac);
        let detail = format!("another {name}, {address} ({mac}), {what}{file}{so}");
        self.record(network.name(), "foreign-server", detail);
    }

    pub(crate) fn expire(&self, network: &str, family: Family) {
        let gone = self.side(network, family, |servers| servers.expire(now()));
        for OtherServer { address, mac, .. } in gone.into_iter().flatten() {
            let name = server_name(family);
            let detail = format!("the {name} {address} ({mac}) is no longer heard");
            self.record(network, "foreign-server-gone", detail);
        }
    }
}

fn server_name(family: Family) -> &'static str {
    match family {
        Family::V4 => "DHCP server",
        Family::V6 => "DHCPv6 server",
    }
}

fn mode_of(network: &Network, family: Family) -> Option<Mode> {
    match family {
        Family::V4 => Some(network.mode()),
        Family::V6 => network.v6().map(dhcp6::Network::mode),
    }
}

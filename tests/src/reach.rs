//! How a machine reaches the server when the server is not the network's DHCP server.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use anyhow::Result;
use inventory_api::machine::Journey;

use crate::daemons::{AddressServer, Relay};
use crate::lab::{BRIDGE, Lab};
use crate::server::ServerSpec;

/// The addresses that dnsmasq gives in the lab's network.
const FOREIGN: std::ops::RangeInclusive<IpAddr> =
    IpAddr::V4(Ipv4Addr::new(10, 77, 0, 50))..=IpAddr::V4(Ipv4Addr::new(10, 77, 0, 60));

/// Somebody else's daemon between a machine and the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// dnsmasq gives the addresses; the server is a proxy beside it.
    Proxy,
    /// The machine is in another network, behind a relay and a router.
    Relay,
}

/// The daemon, which stops on drop.
pub enum Between {
    AddressServer(AddressServer),
    Relay(Relay),
}

impl Reach {
    /// Changes the server's configuration accordingly.
    pub(crate) fn configure(self, spec: &mut ServerSpec) {
        match self {
            Reach::Proxy => spec.network = "mode = \"proxy\"\n".to_owned(),
            Reach::Relay => spec.more.insert_str(0, Relay::NETWORK),
        }
    }

    /// The bridge that the machine is connected to.
    pub(crate) fn bridge(self) -> &'static str {
        match self {
            Reach::Proxy => BRIDGE,
            Reach::Relay => Relay::BRIDGE,
        }
    }

    pub(crate) fn start(self, lab: &Lab, directory: &Path) -> Result<Between> {
        Ok(match self {
            Reach::Proxy => Between::AddressServer(AddressServer::start(lab, BRIDGE, "10.77.0", directory)?),
            Reach::Relay => Between::Relay(Relay::start(lab, directory)?),
        })
    }

    /// Whether everything heard came this way: with dnsmasq's address, or from the network behind the relay.
    /// The relay drops an answer that does not return its option 82 unchanged, so any answer that firmware
    /// gets proves the echo.
    pub fn was_taken(self, journey: &Journey) -> bool {
        let events = journey.events.iter();
        match self {
            Reach::Proxy => {
                let mut given = events
                    .filter_map(|event| event.ip)
                    .filter(|ip| !ip.is_unspecified())
                    .peekable();
                given.peek().is_some() && given.all(|ip| FOREIGN.contains(&ip))
            }
            Reach::Relay => {
                let mut networks = events.filter_map(|event| event.network.as_deref()).peekable();
                networks.peek().is_some() && networks.all(|network| network == "behind")
            }
        }
    }
}

//! Listens for other DHCP servers on one of our networks, and looks for them actively unless the network is
//! only observed.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use inventory_api::Mac;
use netboot_protocol::dhcp4::foreign::{self, ASK_SECONDS, ServerReply};
use netboot_protocol::frame::{client_broadcast, datagram_to, datagram6_to};
use netboot_protocol::{Mode, Network, dhcp6};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::dhcp::probe::Prober;
use crate::error::NetbootError;
use crate::link::LinkSocket;
use crate::networks::{Family, Networks};
use crate::socket::Interface;
use crate::socket6::ask_all;
use crate::tasks::panicked;

/// Seconds between the first questions; later ones are [`ASK_SECONDS`] apart.
const FIRST_ASKS: [u64; 6] = [0, 1, 1, 2, 2, 4];
/// A newly seen server is asked again after this time.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The protocol, and what it needs.
pub(crate) enum Protocol {
    V4 {
        /// Our own address.
        server: Ipv4Addr,
    },
    V6 {
        /// Our own address and DUID.
        server: Ipv6Addr,
        duid: Arc<Vec<u8>>,
        /// Questions go out through a UDP socket here, because the kernel knows our link-local address.
        interface: Interface,
    },
}

impl Protocol {
    fn family(&self) -> Family {
        match self {
            Protocol::V4 { .. } => Family::V4,
            Protocol::V6 { .. } => Family::V6,
        }
    }
}

/// The listener of a network for one protocol.
pub(crate) struct ServerListener {
    pub(crate) link: LinkSocket,
    pub(crate) protocol: Protocol,
    pub(crate) network: Network,
    pub(crate) networks: Networks,
    /// ARP probe of a server's address; `None`: not possible, so every server counts as proven.
    pub(crate) arp: Option<Arc<Prober>>,
}

impl ServerListener {
    pub(crate) async fn serve(self, cancel: CancellationToken) -> Result<(), NetbootError> {
        let (name, family) = (self.network.name(), self.protocol.family());
        let (mut asked, mut probes) = (0usize, JoinSet::new());
        let mut buffer = [0u8; 2048];
        let mut next = tokio::time::Instant::now();
        loop {
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                error = panicked(&mut probes, "ARP probes of DHCP servers") => return Err(error),
                () = tokio::time::sleep_until(next) => {
                    if let Err(error) = self.ask(asked) {
                        tracing::debug!(%error, network = name, ?family, "cannot probe for other DHCP servers");
                    }
                    self.networks.expire(name, family);
                    asked += 1;
                    let wait = FIRST_ASKS.get(asked).copied().unwrap_or(ASK_SECONDS);
                    next = tokio::time::Instant::now() + Duration::from_secs(wait);
                }
                received = self.link.receive(&mut buffer) => match received {
                    Ok(len) => {
                        if let Some((link, neighbour, reply)) = self.read(&buffer[..len])
                            && let Some(heard) = self.networks.heard(&self.network, family, &reply, link)
                        {
                            if heard.new {
                                // Believing a server takes two answers: ask for addresses next, without
                                // waiting a minute.
                                asked = asked.next_multiple_of(3);
                                next = next.min(tokio::time::Instant::now() + ASK_AGAIN);
                            }
                            if heard.unproven {
                                self.prove(&mut probes, reply, link, neighbour);
                            }
                        }
                    }
                    Err(error) => {
                        tracing::debug!(%error, network = name, ?family, "cannot hear other DHCP servers");
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                },
            }
        }
    }

    /// Probes whether the sender of the packet, the server or a relay in front of it, is a host with that
    /// link address.
    fn prove(&self, probes: &mut JoinSet<()>, reply: ServerReply, link: Mac, neighbour: Option<Ipv4Addr>) {
        let (networks, network) = (self.networks.clone(), self.network.clone());
        let family = self.protocol.family();
        let (Some(arp), Some(neighbour)) = (self.arp.clone(), neighbour) else {
            return networks.proven(&network, family, reply.server, link);
        };
        probes.spawn(async move {
            if arp.users_of(neighbour).await.contains(&Some(link)) {
                networks.proven(&network, family, reply.server, link);
            }
        });
    }

    /// A server's reply in a frame, its link-layer sender, and for IPv4 the packet's source address.
    fn read(&self, frame: &[u8]) -> Option<(Mac, Option<Ipv4Addr>, ServerReply)> {
        match &self.protocol {
            Protocol::V4 { .. } => {
                let (link, neighbour, bytes) = datagram_to(frame, 68)?;
                Some((link, Some(neighbour), foreign::read_reply(bytes)?))
            }
            Protocol::V6 { duid, .. } => {
                let (link, from, bytes) = datagram6_to(frame, 546)?;
                Some((link, None, dhcp6::foreign::read_reply(bytes, from, duid)?))
            }
        }
    }

    fn ask(&self, asked: usize) -> io::Result<()> {
        let Some(mac) = self.link.mac() else {
            return Ok(());
        };
        // Ask for addresses twice before asking for boot data: believing a server takes two answers, and the
        // first question can be lost while an interface comes up.
        let boots = asked % 3 == 2;
        // The transaction id makes our questions recognisable in a capture; nothing depends on it.
        match &self.protocol {
            Protocol::V4 { .. } if self.network.mode() == Mode::Observe => Ok(()),
            Protocol::V4 { server } => {
                let xid = u32::from(*server) ^ asked as u32;
                let question = foreign::question(mac, xid, boots);
                self.link.send(&client_broadcast(mac, &question))
            }
            Protocol::V6 {
                server, interface, ..
            } => {
                let [.., a, b, c] = server.octets();
                let question = dhcp6::foreign::question(mac, [a, b, c ^ asked as u8], boots);
                ask_all(interface, &question)
            }
        }
    }
}

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
use tokio_util::sync::CancellationToken;

use crate::link::LinkSocket;
use crate::probe::Prober;
use crate::server::NetbootError;
use crate::socket::Interface;
use crate::socket6::ask_all;
use crate::watch::{Family, NetworkBook};

/// Seconds between the first questions; later ones are [`ASK_SECONDS`] apart.
const FIRST_ASKS: [u64; 6] = [0, 1, 1, 2, 2, 4];
/// A newly seen server is asked again after this time.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The protocol, and what it needs.
pub(crate) enum By {
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

impl By {
    fn family(&self) -> Family {
        match self {
            By::V4 { .. } => Family::V4,
            By::V6 { .. } => Family::V6,
        }
    }
}

/// The listener of a network for one protocol.
pub(crate) struct Watcher {
    pub(crate) link: LinkSocket,
    pub(crate) by: By,
    pub(crate) network: Network,
    pub(crate) book: NetworkBook,
    /// ARP probe of a server's address; `None`: not possible, so every server counts as proven.
    pub(crate) arp: Option<Arc<Prober>>,
}

impl Watcher {
    pub(crate) async fn serve(self, cancel: CancellationToken) -> Result<(), NetbootError> {
        let (name, family) = (self.network.name(), self.by.family());
        let mut asked = 0usize;
        let mut buffer = [0u8; 2048];
        let mut next = tokio::time::Instant::now();
        loop {
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                () = tokio::time::sleep_until(next) => {
                    if let Err(error) = self.ask(asked) {
                        tracing::debug!(%error, network = name, ?family, "cannot probe for other DHCP servers");
                    }
                    self.book.expire(name, family);
                    asked += 1;
                    let wait = FIRST_ASKS.get(asked).copied().unwrap_or(ASK_SECONDS);
                    next = tokio::time::Instant::now() + Duration::from_secs(wait);
                }
                received = self.link.receive(&mut buffer) => match received {
                    Ok(len) => {
                        if let Some((link, neighbour, reply)) = self.read(&buffer[..len])
                            && let Some(heard) = self.book.heard(&self.network, family, &reply, link)
                        {
                            if heard.new {
                                // Believing a server takes two answers: ask for addresses next, without
                                // waiting a minute.
                                asked = asked.next_multiple_of(3);
                                next = next.min(tokio::time::Instant::now() + ASK_AGAIN);
                            }
                            if heard.unproven {
                                self.prove(reply, link, neighbour);
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
    fn prove(&self, reply: ServerReply, link: Mac, neighbour: Option<Ipv4Addr>) {
        let (book, network, family) = (self.book.clone(), self.network.clone(), self.by.family());
        let (Some(arp), Some(neighbour)) = (self.arp.clone(), neighbour) else {
            return book.proven(&network, family, reply.server, link);
        };
        tokio::spawn(async move {
            if arp.users_of(neighbour).await.contains(&Some(link)) {
                book.proven(&network, family, reply.server, link);
            }
        });
    }

    /// A server's reply in a frame, its link-layer sender, and for IPv4 the packet's source address.
    fn read(&self, frame: &[u8]) -> Option<(Mac, Option<Ipv4Addr>, ServerReply)> {
        match &self.by {
            By::V4 { .. } => {
                let (link, neighbour, bytes) = datagram_to(frame, 68)?;
                Some((link, Some(neighbour), foreign::read_reply(bytes)?))
            }
            By::V6 { duid, .. } => {
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
        match &self.by {
            By::V4 { .. } if self.network.mode() == Mode::Observe => Ok(()),
            By::V4 { server } => {
                let xid = u32::from(*server) ^ asked as u32;
                let question = foreign::question(mac, xid, boots);
                self.link.send(&client_broadcast(mac, &question))
            }
            By::V6 {
                server, interface, ..
            } => {
                let [.., a, b, c] = server.octets();
                let question = dhcp6::foreign::question(mac, [a, b, c ^ asked as u8], boots);
                ask_all(interface, &question)
            }
        }
    }
}

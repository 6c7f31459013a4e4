//! Listens for other DHCP servers in a network of ours, and asks for them unless it only observes.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use inventory_api::Mac;
use netboot_protocol::foreign::{self, ASK_SECONDS, ServerReply};
use netboot_protocol::frame::{client_broadcast, datagram_to, datagram6_to};
use netboot_protocol::{Mode, Network, v6};
use tokio_util::sync::CancellationToken;

use crate::link::LinkSocket;
use crate::probe::Prober;
use crate::server::NetbootError;
use crate::socket::Interface;
use crate::socket6::ask_all;
use crate::watch::{Family, NetworkBook};

/// Seconds between the questions at the start; then it is [`ASK_SECONDS`].
const FIRST_ASKS: [u64; 6] = [0, 1, 1, 2, 2, 4];
/// A server that is new is asked again after this time.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// By which protocol, and what that needs.
pub(crate) enum By {
    V4 {
        /// Our own address.
        server: Ipv4Addr,
    },
    V6 {
        /// Our own address and identifier.
        server: Ipv6Addr,
        duid: Arc<Vec<u8>>,
        /// Where it is: it asks by a socket, since the kernel knows our link-local address.
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
    /// Asks by ARP whether a server is a host that is there; `None`: that cannot be asked, and each server is taken for one.
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
                        tracing::debug!(%error, network = name, ?family, "cannot ask for other DHCP servers");
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
                                // It takes two answers: the next question is for addresses, and does not wait for the next minute.
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

    /// Asks whether the neighbour whose packet it was, the server or a relay before it, is a host with that link address.
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

    /// A server's reply in a frame, with who sent that, and by IPv4 who sent the packet.
    fn read(&self, frame: &[u8]) -> Option<(Mac, Option<Ipv4Addr>, ServerReply)> {
        match &self.by {
            By::V4 { .. } => {
                let (link, neighbour, bytes) = datagram_to(frame, 68)?;
                Some((link, Some(neighbour), foreign::read_reply(bytes)?))
            }
            By::V6 { duid, .. } => {
                let (link, from, bytes) = datagram6_to(frame, 546)?;
                Some((link, None, v6::foreign::read_reply(bytes, from, duid)?))
            }
        }
    }

    fn ask(&self, asked: usize) -> io::Result<()> {
        let Some(mac) = self.link.mac() else {
            return Ok(());
        };
        // Addresses are asked for twice before boot data: it takes two answers to believe in a server, and the very first question
        // can be lost while an interface comes up.
        let boots = asked % 3 == 2;
        // Transactions are ours to recognise in a capture; nothing depends on them.
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
                let question = v6::foreign::question(mac, [a, b, c ^ asked as u8], boots);
                ask_all(interface, &question)
            }
        }
    }
}

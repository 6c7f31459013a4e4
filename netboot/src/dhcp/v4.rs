//! DHCPv4.

mod takeaway;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use inventory_api::boot::BootTarget;
use inventory_api::dhcp::{DhcpAnswer, DhcpReply};
use netboot_protocol::dhcp4::claims::Claims;
use netboot_protocol::dhcp4::foreign::pass;
use netboot_protocol::sender::Relays;
use netboot_protocol::{
    BootUrls, Decision, Destination, Mode, Network, Probe, PxeClient, ReplyContent, Unanswered, classify,
    decide, destination, encode, is_host_name, needs_probe, outsider, refused_elsewhere, select_network,
    would_answer,
};
use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::Shell;
use super::admission::WorkPermit;
use super::probe::Prober;
use super::release_frames::ReleaseFrames;
use crate::error::NetbootError;
use crate::networks::Family;
use crate::now;
use crate::shared::Shared;
use crate::socket::DhcpSocket;
use crate::source::BootSource;
use crate::tasks::{cannot_receive, panicked};

/// Addresses tried for one DISCOVER when probes find others in use. After that the machine asks again by
/// itself.
const TRIES: usize = 3;

/// The sockets of DHCP on one of our addresses.
pub(crate) struct Sockets {
    pub(crate) main: DhcpSocket,
    /// Port 4011.
    pub(crate) boot_server: DhcpSocket,
    /// `None`: ARP probes are not possible.
    pub(crate) arp: Option<Arc<Prober>>,
    pub(crate) echo: Option<Arc<Prober>>,
    /// `None`: the frame a message came in cannot be seen.
    pub(crate) release_frames: Option<ReleaseFrames>,
}

/// DHCP for the networks reached through one of our addresses.
pub(crate) struct DhcpV4<S> {
    pub(crate) shell: Shell<S, Ipv4Addr>,
    pub(crate) sockets: Sockets,
    pub(crate) networks: Vec<Network>,
    pub(crate) http_port: u16,
    pub(crate) relays: Mutex<Relays>,
    /// Who answered for which addresses, by network.
    pub(crate) claims: Mutex<BTreeMap<String, Claims>>,
}

impl<S: BootSource> DhcpV4<S> {
    pub(crate) async fn serve(self) -> Result<(), NetbootError> {
        let service = Arc::new(self);
        let (shell, shared) = (&service.shell, &*service.shell.shared);
        let any_port = shared.config.reply_to_source;
        let mut tasks = JoinSet::new();
        let (mut buffer, mut other) = ([0u8; 2048], [0u8; 2048]);
        loop {
            let (received, bytes, to_boot_server) = tokio::select! {
                () = shared.cancel.cancelled() => return Ok(()),
                error = panicked(&mut tasks, "DHCP") => return Err(error),
                received = service.sockets.main.receive(&mut buffer) => (received, &buffer, false),
                received = service.sockets.boot_server.receive(&mut other) => (received, &other, true),
            };
            let (len, from) = match received {
                Ok(received) => received,
                Err(error) => {
                    cannot_receive("DHCP", error).await;
                    continue;
                }
            };
            let bytes = &bytes[..len];
            let mut client = match classify(bytes) {
                Ok(client) => client,
                Err(why) => {
                    shell.ignored(from, why, outsider(bytes, now()));
                    continue;
                }
            };
            client.to_boot_server = to_boot_server;
            client.known = shared.source.known(client.mac);
            client.from = Some(from).filter(|_| !any_port);
            shared.firmware.heard_v4(&client, from.port(), any_port, now());
            let network = select_network(&service.networks, &client).ok();
            let network = network.map(|network| (network.name(), network.addresses()));
            let circuit = client.circuit();
            if let Some(permit) = shell.admit(client.mac, client.known, network, circuit, || client.asker()) {
                client.loader = shared.loader(client.mac, client.kind, client.restarts());
                let service = service.clone();
                tasks.spawn(async move { service.answer(client, from, permit).await });
            }
        }
    }

    async fn answer(&self, client: PxeClient, from: SocketAddrV4, permit: WorkPermit) {
        let (shell, asker) = (&self.shell, client.asker());
        let network = match select_network(&self.networks, &client) {
            Ok(network) => network,
            Err(why) => {
                if let Some((home, refusal)) = self.elsewhere(&client) {
                    // There may be no route to that relay. Then nothing is sent, as if we had not answered.
                    let sent = self.send(&client, home, &refusal, from).await;
                    tracing::debug!(mac = %client.mac, relay = %client.giaddr, ?sent, "refused behind an unknown relay");
                }
                return shell.unanswered(asker, None, why, detail(&client, None, why));
            }
        };
        let (shared, name) = (&shell.shared, network.name());
        let ip = shell.leases.address_of(name, client.mac, now());
        let asks = shared.target(client.mac, client.kind, name, network.server(), ip);
        let target = asks.await;
        let urls = BootUrls {
            server: network.server(),
            http_port: self.http_port,
        };
        if network.mode() == Mode::Observe {
            let would = shell.leases.look(name, |leases| {
                would_answer(&client, network, leases, target, &urls, now())
            });
            return shell.observed(asker, name, would.map(|content| (content.kind, content.boot)));
        }
        match self.decide(&client, network, target, &urls, permit).await {
            Err(why) => {
                let detail = detail(&client, Some(network), why);
                shell.unanswered(asker, Some((name, network.addresses())), why, detail);
            }
            Ok(mut content) => {
                let host_name = shared.source.host_name(client.mac);
                content.host_name = host_name.filter(|name| is_host_name(name));
                let sent = self.send(&client, network, &content, from).await;
                let answer = DhcpAnswer::Sent(content.kind);
                let ip = Some(content.address).filter(|ip| !ip.is_unspecified());
                shell.answered(asker, name, sent, answer, ip, &content.boot);
            }
        }
    }

    /// Decides, makes the lease durable and checks that nobody else uses the address.
    async fn decide(
        &self,
        client: &PxeClient,
        network: &Network,
        target: BootTarget,
        urls: &BootUrls,
        mut permit: WorkPermit,
    ) -> Result<ReplyContent, Unanswered> {
        let Shared { networks, queue, .. } = &*self.shell.shared;
        let leases = &self.shell.leases;
        let name = network.name();
        self.believe(client, network, &mut permit).await?;
        for _ in 0..TRIES {
            let at = now();
            let gate = networks.gate(name, Family::V4, at);
            let ((answer, before, reserved), durable) = leases.update(name, queue, client.known, |leases| {
                let before = leases.of(client.mac);
                let reserved = leases.reserved(network.addresses(), client.mac).is_some();
                let Decision { answer, change } = match pass(gate, client, leases, at) {
                    Ok(()) => decide(client, network, leases, target, urls, at),
                    Err(why) => Err(why).into(),
                };
                ((answer, before, reserved), change)
            });
            durable.wait().await?;
            let content = answer?;
            let address = content.address;
            let prober = self.prober(needs_probe(network, reserved, before, &content));
            let user = match prober {
                // A probe takes hundreds of milliseconds: give the work permit back meanwhile.
                Some(prober) => match permit.wait() {
                    Some(_waiting) => prober.user_of(address, client.mac).await,
                    None => return Err(Unanswered::TooMany),
                },
                None => None,
            };
            match user {
                Some(user) if self.is_taken(client, network, address, user) => {}
                _ => {
                    if content.kind == DhcpReply::Ack {
                        self.relays.lock().learn(client);
                    }
                    return Ok(content);
                }
            }
        }
        Err(Unanswered::AddressInUse)
    }

    fn prober(&self, way: Option<Probe>) -> Option<&Arc<Prober>> {
        match way? {
            Probe::Arp => self.sockets.arp.as_ref(),
            Probe::Echo => self.sockets.echo.as_ref(),
        }
    }

    /// A NAK for a client that accepts our offer behind an unknown relay, and the network in whose name it is
    /// sent: the first one in server mode.
    fn elsewhere(&self, client: &PxeClient) -> Option<(&Network, ReplyContent)> {
        let home = self
            .networks
            .iter()
            .find(|network| network.mode() == Mode::Server)?;
        Some((home, refused_elsewhere(client, home.server())?))
    }

    async fn send(
        &self,
        client: &PxeClient,
        network: &Network,
        content: &ReplyContent,
        from: SocketAddrV4,
    ) -> std::io::Result<()> {
        let bytes = &encode(client, network, content)[..];
        if client.to_boot_server {
            // EDK2 asks from port 4011, iPXE from 68: both expect the answer on the port they asked from
            // (measured, 2.1).
            return self.sockets.boot_server.send(bytes, from).await;
        }
        if self.shell.shared.config.reply_to_source {
            return self.sockets.main.send(bytes, from).await;
        }
        let to = match destination(client, network, content) {
            Destination::Relay(relay) => {
                let sent = self.sockets.main.send(bytes, SocketAddrV4::new(relay, 67)).await;
                // We may have no route to giaddr, the relay's client-side address. Its source address is
                // reachable.
                return match sent {
                    Err(error) if from.port() == 67 => {
                        tracing::debug!(%error, %relay, %from, "cannot reach the relay's giaddr: replying to its source address");
                        self.sockets.main.send(bytes, from).await
                    }
                    sent => sent,
                };
            }
            Destination::Unicast(ip) => SocketAddrV4::new(ip, 68),
            Destination::Broadcast => SocketAddrV4::new(Ipv4Addr::BROADCAST, 68),
            Destination::Link(ip) => match self.sockets.main.learn(ip, client.chaddr) {
                Ok(()) => SocketAddrV4::new(ip, 68),
                Err(error) => {
                    // CAP_NET_ADMIN is missing. Every client accepts a broadcast too.
                    tracing::debug!(%error, %ip, "cannot set an ARP entry: broadcasting the reply");
                    SocketAddrV4::new(Ipv4Addr::BROADCAST, 68)
                }
            },
        };
        self.sockets.main.send(bytes, to).await
    }
}

/// What to tell the operator when a reason concerns the whole network, not one machine.
fn detail(client: &PxeClient, network: Option<&Network>, why: Unanswered) -> Option<String> {
    match (why, network) {
        (Unanswered::UnknownRelay, None) => Some(format!(
            "the relay {} forwards DHCP messages from a subnet that matches no [[network]]: they are not answered",
            client.giaddr
        )),
        (Unanswered::Declined, Some(network)) => Some(format!(
            "{} was declined by {}: another host uses it; quarantined for {} s",
            client.requested?,
            client.mac,
            network.settings().decline_seconds
        )),
        _ => None,
    }
}

//! The DHCP loop: receive, decode, look up, decide, make durable, send, tell.

mod belief;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use inventory_api::boot::{BootEvent, BootEventKind, BootTarget};
use inventory_api::{Mac, UnixMs};
use netboot_protocol::claims::Claims;
use netboot_protocol::custom::is_host_name;
use netboot_protocol::foreign::pass;
use netboot_protocol::sender::Relays;
use netboot_protocol::shares::Standing;
use netboot_protocol::{
    BootUrls, ClientKind, Destination, Loader, MessageKind, Mode, Network, Probe, PxeClient, Rates,
    ReplyContent, ReplyKind, Silence, Unanswered, classify, decide, destination, encode, needs_probe,
    no_network, outsider, refused_elsewhere, select_network, would_answer,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::farewell::Farewells;
use crate::files::Files;
use crate::firmware::FirmwareBook;
use crate::leases::{JournalQueue, LeaseBook, lock};
use crate::log;
use crate::now;
use crate::probe::Prober;
use crate::room::{Room, Working};
use crate::server::NetbootError;
use crate::socket::DhcpSocket;
use crate::source::{BootClient, BootSource};
use crate::watch::{Family, NetworkBook};

/// Addresses that are tried for one DISCOVER when others are found to use them; the machine asks again anyway.
const TRIES: usize = 3;

/// DHCP for the networks that are reached through one of our addresses.
pub(crate) struct DhcpService<S> {
    pub(crate) socket: DhcpSocket,
    /// Port 4011.
    pub(crate) boot_server: DhcpSocket,
    pub(crate) networks: Vec<Network>,
    pub(crate) http_port: u16,
    pub(crate) files: Arc<Files>,
    pub(crate) book: LeaseBook,
    pub(crate) queue: JournalQueue,
    pub(crate) watch: NetworkBook,
    /// `None`: nobody can be asked whether an address is in use.
    pub(crate) arp: Option<Arc<Prober>>,
    pub(crate) echo: Option<Arc<Prober>>,
    /// `None`: nobody can be told by the frame that a message came in.
    pub(crate) farewells: Option<Farewells>,
    pub(crate) relays: Mutex<Relays>,
    /// Who has answered for addresses, by network.
    pub(crate) claims: Mutex<BTreeMap<String, Claims>>,
    pub(crate) source: Arc<S>,
    pub(crate) firmware: FirmwareBook,
    pub(crate) reply_to_source: bool,
}

impl<S: BootSource> DhcpService<S> {
    pub(crate) async fn serve(self, cancel: CancellationToken) -> Result<(), NetbootError> {
        let service = Arc::new(self);
        let room = Room::default();
        let mut tasks = JoinSet::new();
        let mut rates = Rates::default();
        let mut dropped = None;
        let (mut buffer, mut other) = ([0u8; 2048], [0u8; 2048]);
        loop {
            let (received, to_boot_server) = tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                Some(ended) = tasks.join_next() => match ended {
                    Ok(()) => continue,
                    Err(error) => return Err(NetbootError::Panicked(format!("DHCP: {error}"))),
                },
                received = service.socket.receive(&mut buffer) => (received, false),
                received = service.boot_server.receive(&mut other) => (received, true),
            };
            let (len, from) = match received {
                Ok(received) => received,
                Err(error) => {
                    // The interface is down for a moment, or a reply could not be delivered.
                    log::paced!(warn; "dhcp", "receive", false; %error, "cannot receive DHCP messages");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let bytes = if to_boot_server {
                &other[..len]
            } else {
                &buffer[..len]
            };
            let mut client = match classify(bytes) {
                Ok(client) => client,
                Err(reason) => {
                    tracing::debug!(%from, reason = reason.code(), "datagram ignored");
                    service
                        .watch
                        .silent(service.home(), reason, outsider(bytes, now()));
                    continue;
                }
            };
            client.to_boot_server = to_boot_server;
            client.known = service.source.known(client.mac);
            client.from = service.believable(from);
            service
                .firmware
                .heard_v4(&client, from, service.reply_to_source, now());
            let standing = service.standing(&client);
            if !rates.admit(&client, standing == Standing::Known, now()) {
                // Not a line or an event each: a flood must not fill anything.
                tracing::debug!(mac = %client.mac, reason = Silence::TooMany.code(), "dhcp");
                service.drop_early(&client, Silence::TooMany.into(), &mut dropped);
                continue;
            }
            let anew =
                client.message == MessageKind::Discover && !matches!(client.kind, ClientKind::Ipxe { .. });
            client.loader = loader_for(&*service.source, &service.files, client.mac, client.kind, anew);
            let Some(place) = room.enter(standing) else {
                log::paced!(warn; "dhcp", "busy", client.known; mac = %client.mac, "too many DHCP messages at once: one is dropped");
                service.drop_early(&client, Unanswered::Busy, &mut dropped);
                continue;
            };
            let service = service.clone();
            tasks.spawn(async move { service.answer(client, from, place).await });
        }
    }

    /// Where a message came from, if that says something.
    fn believable(&self, from: SocketAddr) -> Option<SocketAddrV4> {
        match from {
            SocketAddr::V4(from) if !self.reply_to_source => Some(from),
            SocketAddr::V4(_) | SocketAddr::V6(_) => None,
        }
    }

    /// What speaks for a machine when there is little room.
    fn standing(&self, client: &PxeClient) -> Standing {
        let Some(network) = select_network(&self.networks, client) else {
            return Standing::Stranger;
        };
        if client.known || network.reservation(client.mac).is_some() {
            return Standing::Known;
        }
        self.book.standing(network.name(), client.mac, now())
    }

    /// A message is dropped before it is looked at: counted, and in the journey of its machine once a second. `last`: who was told
    /// of last, and in which second.
    fn drop_early(&self, client: &PxeClient, why: Unanswered, last: &mut Option<(Mac, i64)>) {
        let network = select_network(&self.networks, client);
        self.watch
            .silent(network.map_or_else(|| self.home(), Network::name), why, None);
        let this = Some((client.mac, now().0 / 1000));
        if *last != this {
            *last = this;
            self.heard(client, network, None, why.code(), None);
        }
    }

    async fn answer(&self, client: PxeClient, from: SocketAddr, place: Working) {
        let Some(network) = select_network(&self.networks, &client) else {
            if let Some((home, refusal)) = self.elsewhere(&client) {
                let bytes = encode(&client, home, &refusal);
                // To a relay that we may have no route to: then it is as if we had been silent.
                let sent = self.send(&client, home, &refusal, &bytes, from).await;
                tracing::debug!(mac = %client.mac, relay = %client.giaddr, ?sent, "refused behind an unknown relay");
            }
            let silence = no_network(&client);
            if silence == Silence::UnknownRelay {
                let detail = format!(
                    "a relay, {}, passes on DHCP messages of a subnet that no [[network]] has: they are not answered",
                    client.giaddr
                );
                self.watch.note(self.home(), silence.code(), detail);
            }
            self.watch.silent(self.home(), silence, None);
            return self.tell(&client, None, None, silence.code(), None);
        };
        let target = self.target(&client, network).await;
        let urls = BootUrls {
            server: network.server(),
            http_port: self.http_port,
        };
        if network.mode() == Mode::Observe {
            let at = now();
            let (would, _) = self
                .book
                .with(network.name(), &self.queue, client.known, |leases| {
                    (would_answer(&client, network, leases, target, &urls, at), None)
                });
            let (word, boot) = match &would {
                Ok(content) => (format!("would-{}", content.kind.name()), content.boot.name()),
                Err(silence) => (format!("would-not: {}", silence.code()), None),
            };
            return self.tell(&client, Some(network), None, &word, boot);
        }
        let answer = match self.decide(&client, network, target, &urls, place).await {
            Some(answer) => answer,
            None => {
                self.watch.silent(network.name(), Unanswered::JournalFailed, None);
                return self.tell(
                    &client,
                    Some(network),
                    None,
                    Unanswered::JournalFailed.code(),
                    None,
                );
            }
        };
        match answer {
            Err(silence) => {
                self.note(&client, network, silence);
                self.watch.silent(network.name(), silence, None);
                self.tell(&client, Some(network), None, silence.code(), None);
            }
            Ok(mut content) => {
                content.host_name = self
                    .source
                    .host_name(client.mac)
                    .filter(|name| is_host_name(name));
                let bytes = encode(&client, network, &content);
                let word = match self.send(&client, network, &content, &bytes, from).await {
                    Ok(()) => content.kind.name(),
                    Err(error) => {
                        log::paced!(warn; "dhcp", "send", client.known; mac = %client.mac, %error, "cannot send a DHCP reply");
                        Unanswered::SendFailed.code()
                    }
                };
                let ip = Some(content.address).filter(|ip| !ip.is_unspecified());
                self.tell(&client, Some(network), ip, word, content.boot.name());
            }
        }
    }

    /// Decides, makes it durable and makes sure that nobody else has the address. `None`: it could not be made durable.
    async fn decide(
        &self,
        client: &PxeClient,
        network: &Network,
        target: BootTarget,
        urls: &BootUrls,
        mut place: Working,
    ) -> Option<Result<ReplyContent, Silence>> {
        let (name, queue, known) = (network.name(), &self.queue, client.known);
        if let Err(silence) = self.believe(client, network, &mut place).await {
            return Some(Err(silence));
        }
        for _ in 0..TRIES {
            let at = now();
            let gate = self.watch.gate(name, Family::V4, at);
            let ((answer, before, reserved), durable) = self.book.with(name, queue, known, |leases| {
                let before = leases.of(client.mac);
                let reserved = network.reservation(client.mac).or(leases.reservation(client.mac));
                let reserved = reserved.is_some();
                match pass(gate, client, leases, at) {
                    Ok(()) => {
                        let decision = decide(client, network, leases, target, urls, at);
                        ((decision.answer, before, reserved), decision.change)
                    }
                    Err(silence) => ((Err(silence), before, reserved), None),
                }
            });
            if let Some(durable) = durable
                && !durable.wait().await
            {
                return None;
            }
            let Ok(content) = &answer else {
                return Some(answer);
            };
            let address = content.address;
            let prober = self.prober(needs_probe(network, reserved, before, content));
            let user = match prober {
                // Hundreds of milliseconds in which nothing is done: no place for work is held meanwhile.
                Some(prober) => match place.wait() {
                    Some(_waiting) => prober.user_of(address, client.mac).await,
                    None => return Some(Err(Silence::TooMany)),
                },
                None => None,
            };
            match user {
                Some(user) if self.is_taken(client, network, address, user) => {}
                _ => {
                    if content.kind == ReplyKind::Ack {
                        lock(&self.relays).learn(client);
                    }
                    return Some(answer);
                }
            }
        }
        Some(Err(Silence::AddressInUse))
    }

    fn prober(&self, way: Option<Probe>) -> Option<&Arc<Prober>> {
        match way? {
            Probe::Arp => self.arp.as_ref(),
            Probe::Echo => self.echo.as_ref(),
        }
    }

    /// The refusal of who takes an offer of ours behind a relay of no network, and the network in whose name it is given: one that
    /// we are the DHCP server of.
    fn elsewhere(&self, client: &PxeClient) -> Option<(&Network, ReplyContent)> {
        let home = self
            .networks
            .iter()
            .find(|network| network.mode() == Mode::Server)?;
        Some((home, refused_elsewhere(client, home.server())?))
    }

    /// The network under whose name stands what belongs to none: the one of this address of ours.
    fn home(&self) -> &str {
        let local = self.networks.iter().find(|network| network.is_local());
        local.or(self.networks.first()).map_or("", Network::name)
    }

    /// What concerns the network and not this machine alone.
    fn note(&self, client: &PxeClient, network: &Network, silence: Silence) {
        let detail = match silence {
            Silence::Exhausted(exhausted) => format!("{exhausted}: a machine got none"),
            Silence::KeptForKnown => format!(
                "machines that are not enrolled hold {} % of the pool (unknown_share): the rest is kept for those that are",
                network.settings().unknown_share
            ),
            Silence::Declined => match client.requested {
                Some(ip) => format!(
                    "{ip} was declined by {}: somebody else uses it; out of use for {} s",
                    client.mac,
                    network.settings().decline_seconds
                ),
                None => return,
            },
            _ => return,
        };
        self.watch.note(network.name(), silence.code(), detail);
    }

    async fn target(&self, client: &PxeClient, network: &Network) -> BootTarget {
        let asks = BootClient {
            mac: client.mac,
            ip: self.book.address_of(network.name(), client.mac, now()),
            network: network.name().to_owned(),
            server: network.server(),
            firmware_asked: self.firmware.of(client.mac),
        };
        target_of(&*self.source, client.kind, &asks).await
    }

    async fn send(
        &self,
        client: &PxeClient,
        network: &Network,
        content: &ReplyContent,
        bytes: &[u8],
        from: SocketAddr,
    ) -> std::io::Result<()> {
        if self.reply_to_source {
            let SocketAddr::V4(from) = from else { return Ok(()) };
            return self.socket_for(client).send(bytes, from).await;
        }
        if client.to_boot_server {
            // EDK2 asks from port 4011, iPXE from 68: each wants the answer where it asked from (measured, 2.1).
            let SocketAddr::V4(from) = from else { return Ok(()) };
            return self.boot_server.send(bytes, from).await;
        }
        let to = match destination(client, network, content) {
            Destination::Relay(relay) => {
                let sent = self.socket.send(bytes, SocketAddrV4::new(relay, 67)).await;
                // Its address on the machines' side may be one that we have no way to; the one it sends from is.
                return match (sent, from) {
                    (Err(error), SocketAddr::V4(from)) if from.port() == 67 => {
                        tracing::debug!(%error, %relay, %from, "no way to the relay's address: the reply goes to where it sends from");
                        self.socket.send(bytes, from).await
                    }
                    (sent, _) => sent,
                };
            }
            Destination::Unicast(ip) => SocketAddrV4::new(ip, 68),
            Destination::Broadcast => SocketAddrV4::new(Ipv4Addr::BROADCAST, 68),
            Destination::Link(ip) => match self.socket.learn(ip, client.chaddr) {
                Ok(()) => SocketAddrV4::new(ip, 68),
                Err(error) => {
                    // Without CAP_NET_ADMIN. Every client takes a broadcast too.
                    tracing::debug!(%error, %ip, "cannot set an ARP entry: the reply is broadcast");
                    SocketAddrV4::new(Ipv4Addr::BROADCAST, 68)
                }
            },
        };
        self.socket.send(bytes, to).await
    }

    fn socket_for(&self, client: &PxeClient) -> &DhcpSocket {
        if client.to_boot_server {
            &self.boot_server
        } else {
            &self.socket
        }
    }

    fn tell(
        &self,
        client: &PxeClient,
        network: Option<&Network>,
        ip: Option<Ipv4Addr>,
        answer: &str,
        boot_file: Option<&str>,
    ) {
        let reason = format!("{} {answer}", client.message.name());
        log::paced!(info; "dhcp", &reason, client.known;
            mac = %client.mac, network = network.map(Network::name), message = client.message.name(), client = client.code(),
            answer, ip = ip.map(tracing::field::display), boot_file, "dhcp"
        );
        self.heard(client, network, ip, answer, boot_file);
    }

    /// Tells who keeps journeys, and who keeps the networks.
    fn heard(
        &self,
        client: &PxeClient,
        network: Option<&Network>,
        ip: Option<Ipv4Addr>,
        answer: &str,
        boot_file: Option<&str>,
    ) {
        let at: UnixMs = now();
        let known = network.and_then(|network| self.book.address_of(network.name(), client.mac, at));
        let ip = ip.or(known).map(IpAddr::V4);
        let facts = client.facts();
        if let (Some(IpAddr::V4(ip)), Some(server)) = (facts.wants, facts.server)
            && client.message == MessageKind::Request
            && self
                .networks
                .iter()
                .all(|ours| IpAddr::V4(ours.server()) != server)
        {
            self.watch.elsewhere().put(ip, client.mac);
        }
        let visitor = facts.who.clone().filter(|_| !client.known);
        let home = network.map_or_else(|| self.home(), Network::name);
        self.watch.asked(home, client.mac, ip, visitor);
        self.source.heard(BootEvent {
            at,
            mac: client.mac,
            ip,
            network: network.map(|network| network.name().to_owned()),
            what: BootEventKind::Dhcp {
                message: client.message.name().to_owned(),
                client: client.code().to_owned(),
                answer: answer.to_owned(),
                boot_file: boot_file.map(str::to_owned),
                facts,
            },
        });
    }
}

/// The loader whose turn it is for firmware of this kind; `None`: we have none for it. `anew`: it has begun to ask again.
pub(crate) fn loader_for<S: BootSource>(
    source: &S,
    files: &Files,
    mac: Mac,
    kind: ClientKind,
    anew: bool,
) -> Option<Loader> {
    if Loader::list(kind).is_empty() {
        return None;
    }
    let by_http = matches!(kind, ClientKind::UefiX64Http | ClientKind::UefiArm64Http);
    source.loader(mac, kind, anew, &|loader| files.has(loader, by_http))
}

/// What a machine boots now; of who does not boot it is not asked.
pub(crate) async fn target_of<S: BootSource>(source: &S, kind: ClientKind, asks: &BootClient) -> BootTarget {
    if kind.boots() {
        source.target(asks).await
    } else {
        BootTarget::LocalDisk
    }
}

//! The DHCP loop: receive, decode, look up, decide, make durable, send, tell.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use inventory_api::boot::{BootEvent, BootEventKind, BootTarget};
use inventory_api::{Mac, UnixMs};
use netboot_protocol::custom::is_host_name;
use netboot_protocol::foreign::pass;
use netboot_protocol::{
    BootUrls, ClientKind, Destination, Loader, MessageKind, Mode, Network, Probe, PxeClient, Rates,
    ReplyContent, Silence, classify, decide, destination, encode, needs_probe, no_network, quarantine,
    select_network, would_answer,
};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::files::Files;
use crate::leases::{JournalQueue, LeaseBook};
use crate::now;
use crate::probe::{Prober, User};
use crate::server::NetbootError;
use crate::socket::DhcpSocket;
use crate::source::{BootClient, BootSource};
use crate::watch::{Family, NetworkBook};

/// Messages that are worked on at once; more are dropped, and the machines ask again.
const IN_FLIGHT: usize = 1024;
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
    pub(crate) source: Arc<S>,
    pub(crate) reply_to_source: bool,
}

impl<S: BootSource> DhcpService<S> {
    pub(crate) async fn serve(self, cancel: CancellationToken) -> Result<(), NetbootError> {
        let service = Arc::new(self);
        let room = Arc::new(Semaphore::new(IN_FLIGHT));
        let mut tasks = JoinSet::new();
        let mut rates = Rates::default();
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
                    tracing::warn!(%error, "cannot receive DHCP messages");
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
                    service.watch.silent(service.home(), reason.code());
                    continue;
                }
            };
            client.to_boot_server = to_boot_server;
            client.known = service.source.known(client.mac);
            if !rates.admit(&client, now()) {
                // Not a line or an event each: a flood must not fill anything.
                tracing::debug!(mac = %client.mac, reason = Silence::TooMany.code(), "dhcp");
                let network = select_network(&service.networks, &client);
                let network = network.map_or_else(|| service.home(), Network::name);
                service.watch.silent(network, Silence::TooMany.code());
                continue;
            }
            let anew =
                client.message == MessageKind::Discover && !matches!(client.kind, ClientKind::Ipxe { .. });
            client.loader = loader_for(&*service.source, &service.files, client.mac, client.kind, anew);
            let Ok(permit) = room.clone().try_acquire_owned() else {
                tracing::warn!(mac = %client.mac, "too many DHCP messages at once: one is dropped");
                continue;
            };
            let service = service.clone();
            tasks.spawn(async move {
                service.answer(client, from).await;
                drop(permit);
            });
        }
    }

    async fn answer(&self, client: PxeClient, from: SocketAddr) {
        let Some(network) = select_network(&self.networks, &client) else {
            let silence = no_network(&client);
            if silence == Silence::UnknownRelay {
                let detail = format!(
                    "a relay, {}, passes on DHCP messages of a subnet that no [[network]] has: they are not answered",
                    client.giaddr
                );
                self.watch.note(self.home(), silence.code(), detail);
            }
            self.watch.silent(self.home(), silence.code());
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
        let answer = match self.decide(&client, network, target, &urls).await {
            Some(answer) => answer,
            None => {
                self.watch.silent(network.name(), "journal-failed");
                return self.tell(&client, Some(network), None, "journal-failed", None);
            }
        };
        match answer {
            Err(silence) => {
                self.note(&client, network, silence);
                self.watch.silent(network.name(), silence.code());
                self.tell(&client, Some(network), None, silence.code(), None);
            }
            Ok(mut content) => {
                content.host_name = self
                    .source
                    .host_name(client.mac)
                    .filter(|name| is_host_name(name));
                let bytes = encode(&client, network, &content);
                let word = match self.send(&client, &content, &bytes, from).await {
                    Ok(()) => content.kind.name(),
                    Err(error) => {
                        tracing::warn!(mac = %client.mac, %error, "cannot send a DHCP reply");
                        "send-failed"
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
    ) -> Option<Result<ReplyContent, Silence>> {
        let (name, queue, known) = (network.name(), &self.queue, client.known);
        for _ in 0..TRIES {
            let at = now();
            let gate = self.watch.gate(name, Family::V4, at);
            let ((answer, before), durable) = self.book.with(name, queue, known, |leases| {
                let before = leases.of(client.mac);
                match pass(gate, client, leases, at) {
                    Ok(()) => {
                        let decision = decide(client, network, leases, target, urls, at);
                        ((decision.answer, before), decision.change)
                    }
                    Err(silence) => ((Err(silence), before), None),
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
            let prober = match needs_probe(client, network, before, content) {
                None => None,
                Some(Probe::Arp) => self.arp.as_ref(),
                Some(Probe::Echo) => self.echo.as_ref(),
            };
            let address = content.address;
            let user = match prober {
                Some(prober) => prober.user_of(address, client.mac).await,
                None => None,
            };
            let (who, what) = match user {
                None => return Some(answer),
                Some(User::Machine(mac)) => (mac, format!("is used by {mac}, who did not get it here")),
                // Whose it is cannot be known: it stands under the name of who was to get it, as after a DECLINE.
                Some(User::Somebody) => (client.mac, "answers a ping, and nobody got it here".to_owned()),
            };
            let detail = format!("{address} of the pool {what}: out of use for an hour");
            self.watch.note(name, "address-in-use", detail);
            // Durable sooner or later: were it lost, the address would be asked for again.
            let _ = self.book.with(name, queue, false, |_| {
                ((), Some(quarantine(who, address, now())))
            });
        }
        Some(Err(Silence::AddressInUse))
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
                    "{ip} was declined by {}: somebody else uses it; out of use for an hour",
                    client.mac
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
        };
        target_of(&*self.source, client.kind, &asks).await
    }

    async fn send(
        &self,
        client: &PxeClient,
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
        let to = match destination(client, content) {
            Destination::Relay(relay) => SocketAddrV4::new(relay, 67),
            Destination::Unicast(ip) => SocketAddrV4::new(ip, 68),
            Destination::Broadcast => SocketAddrV4::new(Ipv4Addr::BROADCAST, 68),
            Destination::Link(ip) => match self.socket.learn(ip, client.mac) {
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
        let at: UnixMs = now();
        let known = network.and_then(|network| self.book.address_of(network.name(), client.mac, at));
        let network = network.map(|network| network.name().to_owned());
        tracing::info!(
            mac = %client.mac, network, message = client.message.name(), client = client.kind.code(), answer,
            ip = ip.map(tracing::field::display), boot_file, "dhcp"
        );
        self.source.heard(BootEvent {
            at,
            mac: client.mac,
            ip: ip.or(known).map(IpAddr::V4),
            network,
            what: BootEventKind::Dhcp {
                message: client.message.name().to_owned(),
                client: client.kind.code().to_owned(),
                answer: answer.to_owned(),
                boot_file: boot_file.map(str::to_owned),
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

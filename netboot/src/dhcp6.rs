//! The DHCPv6 loop: receive, decode, look up, decide, make durable, send, tell.

use std::net::{IpAddr, Ipv6Addr, SocketAddrV6};
use std::sync::Arc;
use std::time::Duration;

use inventory_api::boot::{BootEvent, BootEventKind};
use netboot_protocol::sender::believe_v6;
use netboot_protocol::shares::Standing;
use netboot_protocol::v6::foreign::pass;
use netboot_protocol::v6::{
    BootUrls, Client, MessageKind, Network, classify, decide, encode, select_network, would_answer,
};
use netboot_protocol::{AddressPool, Mode, Network as AnyNetwork, Rates, Silence, Unanswered};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::dhcp::{loader_for, target_of};
use crate::files::Files;
use crate::firmware::FirmwareBook;
use crate::leases::{JournalQueue, LeaseBook};
use crate::log;
use crate::now;
use crate::room::Room;
use crate::server::NetbootError;
use crate::socket6::Dhcp6Socket;
use crate::source::{BootClient, BootSource};
use crate::watch::{Family, NetworkBook};

/// DHCPv6 for the networks that are reached through one of our addresses.
pub(crate) struct Dhcp6Service<S> {
    pub(crate) socket: Dhcp6Socket,
    /// The networks, each with DHCPv6.
    pub(crate) networks: Vec<AnyNetwork>,
    pub(crate) http_port: u16,
    pub(crate) duid: Arc<Vec<u8>>,
    pub(crate) files: Arc<Files>,
    pub(crate) book: LeaseBook<Ipv6Addr>,
    pub(crate) queue: JournalQueue,
    pub(crate) watch: NetworkBook,
    pub(crate) source: Arc<S>,
    pub(crate) firmware: FirmwareBook,
    pub(crate) reply_to_source: bool,
}

struct Desk<S> {
    service: Dhcp6Service<S>,
    networks: Vec<Network>,
}

impl<S: BootSource> Dhcp6Service<S> {
    pub(crate) async fn serve(self, cancel: CancellationToken) -> Result<(), NetbootError> {
        let networks = self.networks.iter().filter_map(|n| n.v6().cloned()).collect();
        let desk = Arc::new(Desk {
            service: self,
            networks,
        });
        let room = Room::default();
        let mut tasks = JoinSet::new();
        let mut rates = Rates::default();
        let mut buffer = [0u8; 2048];
        loop {
            let received = tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                Some(ended) = tasks.join_next() => match ended {
                    Ok(()) => continue,
                    Err(error) => return Err(NetbootError::Panicked(format!("DHCPv6: {error}"))),
                },
                received = desk.service.socket.receive(&mut buffer) => received,
            };
            let (len, from, unicast) = match received {
                Ok(received) => received,
                Err(error) => {
                    log::paced!(warn; "dhcp6", "receive", false; %error, "cannot receive DHCPv6 messages");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let mut client = match classify(&buffer[..len], *from.ip()) {
                Ok(client) => client,
                Err(reason) => {
                    tracing::debug!(%from, reason = reason.code(), "datagram ignored");
                    desk.service.watch.silent(desk.home(), reason, None);
                    continue;
                }
            };
            let source = &desk.service.source;
            client.known = source.known(client.mac);
            // Relays send to us alone.
            client.unicast = unicast && client.relays.is_empty();
            let any_port = desk.service.reply_to_source;
            desk.service
                .firmware
                .heard_v6(&client, from.into(), any_port, now());
            // The outermost relay and the name of the port there, as option 82 in IPv4.
            let circuit = client
                .relays
                .first()
                .and_then(|relay| relay.interface_id.as_ref());
            let circuit = circuit.map(|circuit| (IpAddr::V6(*from.ip()), circuit));
            let standing = desk.standing(&client);
            if !rates.admit_from(client.mac, standing == Standing::Known, circuit, now()) {
                tracing::debug!(mac = %client.mac, reason = Silence::TooMany.code(), "dhcp6");
                let network = select_network(&desk.networks, &client);
                let network = network.map_or_else(|_| desk.home(), Network::name);
                desk.service.watch.silent(network, Silence::TooMany, None);
                continue;
            }
            let anew = client.begins_anew();
            client.loader = loader_for(&**source, &desk.service.files, client.mac, client.kind, anew);
            let Some(place) = room.enter(standing) else {
                let network = select_network(&desk.networks, &client);
                let network = network.map_or_else(|_| desk.home(), Network::name);
                desk.service.watch.silent(network, Unanswered::Busy, None);
                log::paced!(warn; "dhcp6", "busy", client.known; mac = %client.mac, "too many DHCPv6 messages at once: one is dropped");
                continue;
            };
            let desk = desk.clone();
            tasks.spawn(async move {
                desk.answer(client, from).await;
                drop(place);
            });
        }
    }
}

impl<S: BootSource> Desk<S> {
    /// What speaks for a machine when there is little room.
    fn standing(&self, client: &Client) -> Standing {
        let Ok(network) = select_network(&self.networks, client) else {
            return Standing::Stranger;
        };
        if client.known || network.reservation(client.mac).is_some() {
            return Standing::Known;
        }
        self.service.book.standing(network.name(), client.mac, now())
    }

    async fn answer(&self, client: Client, from: SocketAddrV6) {
        let service = &self.service;
        let network = match select_network(&self.networks, &client) {
            Ok(network) => network,
            Err(silence) => {
                if silence == Silence::UnknownRelay {
                    let detail = format!(
                        "a relay, {}, passes on DHCPv6 messages of a link that no [network.v6] has: they are not answered",
                        client.link().unwrap_or(*from.ip())
                    );
                    service.watch.note(self.home(), silence.code(), detail);
                }
                service.watch.silent(self.home(), silence, None);
                return self.tell(&client, None, None, silence.code(), None);
            }
        };
        // Only networks with an IPv4 part are configured: by that name and address the rules know them.
        let Some(whole) = service.networks.iter().find(|n| n.name() == network.name()) else {
            return;
        };
        let asks = BootClient {
            mac: client.mac,
            ip: None,
            network: network.name().to_owned(),
            server: whole.server(),
            firmware_asked: service.firmware.of(client.mac),
        };
        let target = target_of(&*service.source, client.kind, &asks).await;
        let urls = BootUrls {
            server: network.server(),
            http_port: service.http_port,
        };
        let (name, duid, known, at) = (network.name(), &service.duid, client.known, now());
        if network.mode() == Mode::Observe {
            let (would, _) = service.book.with(name, &service.queue, known, |leases| {
                (
                    would_answer(&client, network, duid, leases, target, &urls, at),
                    None,
                )
            });
            let (word, boot) = match &would {
                Ok(content) => (format!("would-{}", content.kind.name()), content.boot.url()),
                Err(silence) => (format!("would-not: {}", silence.code()), None),
            };
            return self.tell(&client, Some(network), None, &word, boot);
        }
        let believed = match service.reply_to_source {
            // Simulated machines have neither that port nor a link-local address.
            true => Ok(()),
            false => believe_v6(client.message, !client.relays.is_empty(), from),
        };
        let gate = service.watch.gate(name, Family::V6, at);
        let ((answer, changed), durable) = service.book.with(name, &service.queue, known, |leases| {
            match believed.and_then(|()| pass(gate, &client, leases, at)) {
                Ok(()) => {
                    let decision = decide(&client, network, duid, leases, target, &urls, at);
                    ((decision.answer, decision.change.is_some()), decision.change)
                }
                Err(silence) => ((Err(silence), false), None),
            }
        });
        if let Some(durable) = durable
            && !durable.wait().await
        {
            service.watch.silent(name, Unanswered::JournalFailed, None);
            return self.tell(
                &client,
                Some(network),
                None,
                Unanswered::JournalFailed.code(),
                None,
            );
        }
        match answer {
            Err(silence) => {
                self.note(network, silence);
                service.watch.silent(name, silence, None);
                self.tell(&client, Some(network), None, silence.code(), None);
            }
            Ok(content) => {
                if client.message == MessageKind::Decline && changed {
                    let detail = format!(
                        "an IPv6 address was declined by {}: somebody else uses it; out of use for an hour",
                        client.mac
                    );
                    service.watch.note(name, Silence::Declined.code(), detail);
                }
                let bytes = encode(&client, network, duid, &content);
                let to = destination(&client, from, service.reply_to_source);
                let word = match service.socket.send(&bytes, to).await {
                    Ok(()) => match content.status {
                        Some(status) if status.code() != 0 => {
                            format!("{}: {}", content.kind.name(), status.name())
                        }
                        _ => content.kind.name().to_owned(),
                    },
                    Err(error) => {
                        log::paced!(warn; "dhcp6", "send", client.known; mac = %client.mac, %error, "cannot send a DHCPv6 reply");
                        Unanswered::SendFailed.code().to_owned()
                    }
                };
                self.tell(
                    &client,
                    Some(network),
                    content.address(),
                    &word,
                    content.boot.url(),
                );
            }
        }
    }

    /// The network under whose name stands what belongs to none: the one of this address of ours.
    fn home(&self) -> &str {
        let local = self.networks.iter().find(|network| network.is_local());
        local.or(self.networks.first()).map_or("", Network::name)
    }

    /// What concerns the network and not this machine alone.
    fn note(&self, network: &Network, silence: Silence) {
        let detail = match silence {
            Silence::Exhausted(exhausted) => format!("IPv6: {exhausted}: a machine got none"),
            Silence::KeptForKnown => {
                "IPv6: machines that are not enrolled hold their share of the pool (unknown_share)".to_owned()
            }
            _ => return,
        };
        self.service.watch.note(network.name(), silence.code(), detail);
    }

    fn tell(
        &self,
        client: &Client,
        network: Option<&Network>,
        ip: Option<Ipv6Addr>,
        answer: &str,
        boot_file: Option<&str>,
    ) {
        let at = now();
        let known = || self.service.book.address_of(network?.name(), client.mac, at);
        let network_name = network.map(|network| network.name().to_owned());
        let (message, kind) = (client.message.name(), client.code());
        let reason = format!("{message} {answer}");
        log::paced!(info; "dhcp6", &reason, client.known;
            mac = %client.mac, network = network_name, message, client = kind, answer,
            ip = ip.map(tracing::field::display), boot_file, "dhcp6"
        );
        let (ip, facts) = (ip.or_else(known).map(IpAddr::V6), client.facts());
        let visitor = facts.who.clone().filter(|_| !client.known);
        let home = network_name.as_deref().unwrap_or_else(|| self.home());
        self.service.watch.asked(home, client.mac, ip, visitor);
        self.service.source.heard(BootEvent {
            at,
            mac: client.mac,
            ip,
            network: network_name,
            what: BootEventKind::Dhcp {
                message: message.to_owned(),
                client: kind,
                answer: answer.to_owned(),
                boot_file: boot_file.map(str::to_owned),
                facts,
            },
        });
    }
}

/// To the client's port or the relay's (RFC 8415, 7.2), whatever port it came from.
fn destination(client: &Client, from: SocketAddrV6, reply_to_source: bool) -> SocketAddrV6 {
    let port = match (reply_to_source, client.relays.is_empty()) {
        (true, _) => from.port(),
        (false, true) => 546,
        (false, false) => 547,
    };
    SocketAddrV6::new(*from.ip(), port, 0, from.scope_id())
}

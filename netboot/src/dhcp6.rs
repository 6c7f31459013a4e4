//! The DHCPv6 loop: receive, decode, look up, decide, make durable, send, report.

use std::net::{IpAddr, Ipv6Addr, SocketAddrV6};
use std::sync::Arc;

use inventory_api::boot::{BootEvent, BootEventKind};
use netboot_protocol::dhcp6::foreign::pass;
use netboot_protocol::dhcp6::{
    BootUrls, Client, Content, Decision, MessageKind, Network, Status, classify, decide, encode,
    select_network, would_decide,
};
use netboot_protocol::sender::believe_v6;
use netboot_protocol::{Mode, Unanswered};
use tokio::task::JoinSet;

use crate::door::Shared;
use crate::now;
use crate::reception::{Entrance, cannot_receive};
use crate::server::{NetbootError, panicked};
use crate::socket6::Dhcp6Socket;
use crate::source::BootSource;
use crate::watch::Family;

/// DHCPv6 for the networks reached through one of our addresses.
pub(crate) struct Dhcp6Service<S> {
    pub(crate) socket: Dhcp6Socket,
    pub(crate) networks: Vec<Network>,
    pub(crate) http_port: u16,
    pub(crate) duid: Arc<Vec<u8>>,
    pub(crate) shared: Arc<Shared<S>>,
}

impl<S: BootSource> Dhcp6Service<S> {
    pub(crate) async fn serve(self) -> Result<(), NetbootError> {
        let shared = self.shared.clone();
        let service = Arc::new(self);
        let mut entrance = Entrance::new("DHCPv6");
        let mut tasks = JoinSet::new();
        let mut buffer = [0u8; 2048];
        loop {
            let received = tokio::select! {
                () = shared.cancel.cancelled() => return Ok(()),
                error = panicked(&mut tasks, "DHCPv6") => return Err(error),
                received = service.socket.receive(&mut buffer) => received,
            };
            let (len, from, unicast) = match received {
                Ok(received) => received,
                Err(error) => {
                    cannot_receive("DHCPv6", error).await;
                    continue;
                }
            };
            let mut client = match classify(&buffer[..len], *from.ip()) {
                Ok(client) => client,
                Err(reason) => {
                    tracing::debug!(%from, reason = reason.code(), "datagram ignored");
                    shared.watch.silent(service.home(None), reason, None);
                    continue;
                }
            };
            client.known = shared.source.known(client.mac);
            // Relays always send unicast.
            client.unicast = unicast && client.relays.is_empty();
            let any_port = shared.config.reply_to_source;
            shared.firmware.heard_v6(&client, from.port(), any_port, now());
            let network = select_network(&service.networks, &client).ok();
            let place = network.map(|network| (network.name(), network.addresses()));
            let standing = shared.book6.standing(place, client.mac, client.known, now());
            match entrance.admit(client.mac, standing, client.circuit(*from.ip())) {
                Ok(place) => {
                    client.loader = shared.loader(client.mac, client.kind, client.begins_anew());
                    let service = service.clone();
                    tasks.spawn(async move {
                        service.answer(client, from).await;
                        drop(place);
                    });
                }
                Err(why) => {
                    shared.watch.silent(service.home(network), why, None);
                    if entrance.tells_of(client.mac, client.known, why) {
                        service.heard(&client, network, None, why.code(), None, false);
                    }
                }
            }
        }
    }

    async fn answer(&self, client: Client, from: SocketAddrV6) {
        let shared = &self.shared;
        let network = match select_network(&self.networks, &client) {
            Ok(network) => network,
            Err(why) => {
                if why == Unanswered::UnknownRelay {
                    let detail = format!(
                        "the relay {} forwards DHCPv6 messages from a link that matches no [network.v6]: they are not answered",
                        client.link().unwrap_or(*from.ip())
                    );
                    shared.watch.note(self.home(None), why.code(), detail);
                }
                return self.silent(&client, None, why);
            }
        };
        let name = network.name();
        // Policy rules match networks by this name and IPv4 address.
        let target = shared.target(client.mac, client.kind, name, network.all().server, None);
        let target = target.await;
        let urls = BootUrls {
            server: network.server(),
            http_port: self.http_port,
        };
        let (duid, at) = (&self.duid, now());
        let (book, queue, gate) = (
            &shared.book6,
            &shared.queue,
            shared.watch.gate(name, Family::V6, at),
        );
        let observes = network.mode() == Mode::Observe;
        // Simulated machines have neither port 546 nor a link-local address.
        let believed = if observes || shared.config.reply_to_source {
            Ok(())
        } else {
            believe_v6(client.message, !client.relays.is_empty(), from)
        };
        let ((answer, changed), durable) = book.with(name, queue, client.known, |leases| {
            if observes {
                let would = would_decide(&client, network, duid, leases, target, &urls, at);
                return ((would.answer, false), None);
            }
            let Decision { answer, change } = match believed.and_then(|()| pass(gate, &client, leases, at)) {
                Ok(()) => decide(&client, network, duid, leases, target, &urls, at),
                Err(why) => Err(why).into(),
            };
            ((answer, change.is_some()), change)
        });
        if observes {
            let (word, boot) = match &answer {
                Ok(content) => (format!("would-{}", content.kind.name()), content.boot.name()),
                Err(why) => (format!("would-not: {}", why.code()), None),
            };
            return self.heard(&client, Some(network), None, &word, boot, true);
        }
        match durable.wait().await.and(answer) {
            Err(why) => self.silent(&client, Some(network), why),
            Ok(content) => {
                if client.message == MessageKind::Decline && changed {
                    let detail = format!(
                        "an IPv6 address was declined by {}: another host uses it; quarantined for {} s",
                        client.mac,
                        network.all().decline_seconds
                    );
                    shared.watch.note(name, Unanswered::Declined.code(), detail);
                }
                let bytes = encode(&client, network, duid, &content);
                let to = destination(&client, from, shared.config.reply_to_source);
                let word = match self.socket.send(&bytes, to).await {
                    Ok(()) => word_of(&content),
                    Err(error) => shared
                        .cannot_send("DHCPv6", client.mac, client.known, &error)
                        .code()
                        .to_owned(),
                };
                let (ip, boot) = (content.address(), content.boot.name());
                self.heard(&client, Some(network), ip, &word, boot, true);
            }
        }
    }

    /// The network a message is counted for: its own, else the local one of this server address.
    fn home<'a>(&'a self, network: Option<&'a Network>) -> &'a str {
        let local = self.networks.iter().find(|network| network.is_local());
        let home = network.or(local).or(self.networks.first());
        home.map_or("", Network::name)
    }

    /// Counts and reports a message that is not answered.
    fn silent(&self, client: &Client, network: Option<&Network>, why: Unanswered) {
        let home = self.home(network);
        // Silences that concern the whole network, not one machine.
        let detail = match (why, network) {
            (Unanswered::Exhausted, Some(network)) => Some(format!(
                "IPv6: all {} pool addresses are in use: a machine got none",
                network.addresses().pool().len()
            )),
            (Unanswered::KeptForKnown, _) => Some(
                "IPv6: machines that are not enrolled have used up their share of the pool (unknown_share)"
                    .to_owned(),
            ),
            _ => None,
        };
        if let Some(detail) = detail {
            self.shared.watch.note(home, why.code(), detail);
        }
        self.shared.watch.silent(home, why, None);
        self.heard(client, network, None, why.code(), None, true);
    }

    /// Reports the outcome of a message. `line`: also log it.
    fn heard(
        &self,
        client: &Client,
        network: Option<&Network>,
        ip: Option<Ipv6Addr>,
        answer: &str,
        boot_file: Option<&str>,
        line: bool,
    ) {
        let (at, book) = (now(), &self.shared.book6);
        let ip = ip.or_else(|| book.address_of(network?.name(), client.mac, at));
        let home = self.home(network);
        let event = BootEvent {
            at,
            mac: client.mac,
            ip: ip.map(IpAddr::V6),
            network: network.map(|network| network.name().to_owned()),
            what: BootEventKind::Dhcp {
                message: client.message.name().to_owned(),
                client: client.code(),
                answer: answer.to_owned(),
                boot_file: boot_file.map(str::to_owned),
                facts: client.facts(),
            },
        };
        self.shared.heard(home, client.known, line, event);
    }
}

/// A reply in one word, or with what is wrong.
fn word_of(content: &Content) -> String {
    match content.status {
        Some(status) if status != Status::Success => format!("{}: {}", content.kind.name(), status.name()),
        _ => content.kind.name().to_owned(),
    }
}

/// The client's or relay's port (RFC 8415, 7.2), whatever port the message came from.
fn destination(client: &Client, from: SocketAddrV6, reply_to_source: bool) -> SocketAddrV6 {
    let port = match (reply_to_source, client.relays.is_empty()) {
        (true, _) => from.port(),
        (false, true) => 546,
        (false, false) => 547,
    };
    SocketAddrV6::new(*from.ip(), port, 0, from.scope_id())
}

//! The DHCPv6 loop: receive, decode, look up, decide, make durable, send, report.

use std::net::{IpAddr, Ipv6Addr, SocketAddrV6};
use std::sync::Arc;

use inventory_api::boot::{BootEvent, BootEventKind};
use inventory_api::dhcp::DhcpAnswer;
use netboot_protocol::dhcp6::foreign::pass;
use netboot_protocol::dhcp6::{
    BootUrls, Client, Decision, MessageKind, Network, classify, decide, encode, select_network, would_decide,
};
use netboot_protocol::sender::believe_v6;
use netboot_protocol::{Mode, Unanswered};
use tokio::task::JoinSet;

use crate::endpoint::Shared;
use crate::networks::Family;
use crate::now;
use crate::reception::{Admission, cannot_receive};
use crate::server::{NetbootError, panicked};
use crate::socket6::Dhcp6Socket;
use crate::source::BootSource;

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
        let mut admission = Admission::new("DHCPv6");
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
                    shared.networks.count_unanswered(service.home(None), reason, None);
                    continue;
                }
            };
            client.known = shared.source.known(client.mac);
            // Relays always send unicast.
            client.unicast = unicast && client.relays.is_empty();
            let any_port = shared.config.reply_to_source;
            shared.firmware.heard_v6(&client, from.port(), any_port, now());
            let network = select_network(&service.networks, &client).ok();
            let pools = network.map(|network| (network.name(), network.addresses()));
            let standing = shared.leases6.standing(pools, client.mac, client.known, now());
            match admission.admit(client.mac, standing, client.circuit(*from.ip())) {
                Ok(permit) => {
                    client.loader = shared.loader(client.mac, client.kind, client.restarts());
                    let service = service.clone();
                    tasks.spawn(async move {
                        service.answer(client, from).await;
                        drop(permit);
                    });
                }
                Err(why) => {
                    shared.networks.count_unanswered(service.home(network), why, None);
                    if admission.should_record(client.mac, client.known, why) {
                        service.report(&client, network, None, why.into(), None, false);
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
                    shared.networks.record(self.home(None), why.code(), detail);
                }
                return self.unanswered(&client, None, why);
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
        let (leases, queue, gate) = (
            &shared.leases6,
            &shared.queue,
            shared.networks.gate(name, Family::V6, at),
        );
        let observes = network.mode() == Mode::Observe;
        // Simulated machines have neither port 546 nor a link-local address.
        let believed = if observes || shared.config.reply_to_source {
            Ok(())
        } else {
            believe_v6(client.message, !client.relays.is_empty(), from)
        };
        let ((answer, changed), durable) = leases.update(name, queue, client.known, |leases| {
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
            let (answer, boot) = match &answer {
                Ok(content) => (DhcpAnswer::Would(content.kind.into()), content.boot.name()),
                Err(why) => (DhcpAnswer::WouldNot(why.code().to_owned()), None),
            };
            return self.report(&client, Some(network), None, answer, boot, true);
        }
        match durable.wait().await.and(answer) {
            Err(why) => self.unanswered(&client, Some(network), why),
            Ok(content) => {
                if client.message == MessageKind::Decline && changed {
                    let detail = format!(
                        "an IPv6 address was declined by {}: another host uses it; quarantined for {} s",
                        client.mac,
                        network.all().decline_seconds
                    );
                    shared.networks.record(name, Unanswered::Declined.code(), detail);
                }
                let bytes = encode(&client, network, duid, &content);
                let to = destination(&client, from, shared.config.reply_to_source);
                let answer = match self.socket.send(&bytes, to).await {
                    Ok(()) => content.answer(),
                    Err(error) => shared
                        .cannot_send("DHCPv6", client.mac, client.known, &error)
                        .into(),
                };
                let (ip, boot) = (content.address(), content.boot.name());
                self.report(&client, Some(network), ip, answer, boot, true);
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
    fn unanswered(&self, client: &Client, network: Option<&Network>, why: Unanswered) {
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
            self.shared.networks.record(home, why.code(), detail);
        }
        self.shared.networks.count_unanswered(home, why, None);
        self.report(client, network, None, why.into(), None, true);
    }

    /// Reports the outcome of a message. `line`: also log it.
    fn report(
        &self,
        client: &Client,
        network: Option<&Network>,
        ip: Option<Ipv6Addr>,
        answer: DhcpAnswer,
        boot_file: Option<&str>,
        line: bool,
    ) {
        let (at, leases) = (now(), &self.shared.leases6);
        let ip = ip.or_else(|| leases.address_of(network?.name(), client.mac, at));
        let home = self.home(network);
        let event = BootEvent {
            at,
            mac: client.mac,
            ip: ip.map(IpAddr::V6),
            network: network.map(|network| network.name().to_owned()),
            what: BootEventKind::Dhcp {
                message: client.message.into(),
                client: client.code(),
                answer,
                boot_file: boot_file.map(str::to_owned),
                facts: client.facts(),
            },
        };
        self.shared.report(home, client.known, line, event);
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

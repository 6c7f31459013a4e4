//! DHCPv6.

use std::net::{Ipv6Addr, SocketAddrV6};
use std::sync::Arc;

use netboot_protocol::dhcp6::foreign::pass;
use netboot_protocol::dhcp6::{
    BootUrls, Client, Decision, MessageKind, Network, classify, decide, encode, select_network, would_decide,
};
use netboot_protocol::sender::believe_v6;
use netboot_protocol::{Mode, Unanswered};
use tokio::task::JoinSet;

use super::Shell;
use super::admission::WorkPermit;
use crate::error::NetbootError;
use crate::networks::Family;
use crate::now;
use crate::socket6::Dhcp6Socket;
use crate::source::BootSource;
use crate::tasks::{cannot_receive, panicked};

/// DHCPv6 for the networks reached through one of our addresses.
pub(crate) struct DhcpV6<S> {
    pub(crate) shell: Shell<S, Ipv6Addr>,
    pub(crate) socket: Dhcp6Socket,
    pub(crate) networks: Vec<Network>,
    pub(crate) http_port: u16,
    pub(crate) duid: Arc<Vec<u8>>,
}

impl<S: BootSource> DhcpV6<S> {
    pub(crate) async fn serve(self) -> Result<(), NetbootError> {
        let service = Arc::new(self);
        let (shell, shared) = (&service.shell, &*service.shell.shared);
        let any_port = shared.config.reply_to_source;
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
                Err(why) => {
                    shell.ignored(from, why, None);
                    continue;
                }
            };
            client.known = shared.source.known(client.mac);
            // Relays always send unicast.
            client.unicast = unicast && client.relays.is_empty();
            shared.firmware.heard_v6(&client, from.port(), any_port, now());
            let network = select_network(&service.networks, &client).ok();
            let network = network.map(|network| (network.name(), network.addresses()));
            let circuit = client.circuit(*from.ip());
            if let Some(permit) = shell.admit(client.mac, client.known, network, circuit, || client.asker()) {
                client.loader = shared.loader(client.mac, client.kind, client.restarts());
                let service = service.clone();
                tasks.spawn(async move { service.answer(client, from, permit).await });
            }
        }
    }

    async fn answer(&self, client: Client, from: SocketAddrV6, _permit: WorkPermit) {
        let (shell, asker) = (&self.shell, client.asker());
        let network = match select_network(&self.networks, &client) {
            Ok(network) => network,
            Err(why) => {
                let detail = (why == Unanswered::UnknownRelay).then(|| {
                    format!(
                        "the relay {} forwards DHCPv6 messages from a link that matches no [network.v6]: they are not answered",
                        client.link().unwrap_or(*from.ip())
                    )
                });
                return shell.unanswered(asker, None, why, detail);
            }
        };
        let (shared, name) = (&shell.shared, network.name());
        // Policy rules match networks by this name and IPv4 address.
        let asks = shared.target(client.mac, client.kind, name, network.all().server, None);
        let target = asks.await;
        let urls = BootUrls {
            server: network.server(),
            http_port: self.http_port,
        };
        let (duid, at) = (&self.duid, now());
        if network.mode() == Mode::Observe {
            let would = shell.leases.look(name, |leases| {
                would_decide(&client, network, duid, leases, target, &urls, at).answer
            });
            return shell.observed(asker, name, would.map(|content| (content.kind, content.boot)));
        }
        let gate = shared.networks.gate(name, Family::V6, at);
        let simulated = shared.config.reply_to_source;
        let relayed = !client.relays.is_empty();
        let ((answer, changed), durable) = shell.leases.update(name, &shared.queue, client.known, |leases| {
            // Simulated machines have neither port 546 nor a link-local address.
            let believed = if simulated {
                Ok(())
            } else {
                believe_v6(client.message, relayed, from)
            };
            let Decision { answer, change } = match believed.and_then(|()| pass(gate, &client, leases, at)) {
                Ok(()) => decide(&client, network, duid, leases, target, &urls, at),
                Err(why) => Err(why).into(),
            };
            ((answer, change.is_some()), change)
        });
        match durable.wait().await.and(answer) {
            Err(why) => shell.unanswered(asker, Some((name, network.addresses())), why, None),
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
                let sent = self.socket.send(&bytes, destination(&client, from, simulated));
                let (sent, ip) = (sent.await, content.address());
                shell.answered(asker, name, sent, content.answer(), ip, &content.boot);
            }
        }
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

//! What is known of each network: other DHCP servers, what happened, how many addresses are in use.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use inventory_api::UnixMs;
use inventory_api::network::{Gives as ApiGives, NetworkEvent, NetworkState, NetworkStatus, OtherServer};
use netboot_protocol::foreign::{ASK_SECONDS, question, read_reply};
use netboot_protocol::frame::{client_broadcast, datagram_to};
use netboot_protocol::{ForeignServer, Gate, Gives, Mode, Network, OnForeignServer, Watch};
use tokio_util::sync::CancellationToken;

use crate::leases::LeaseBook;
use crate::link::LinkSocket;
use crate::now;
use crate::server::NetbootError;

/// Events kept for each network.
const EVENTS: usize = 100;
/// An event of the same kind about the same is not said again within this time.
const AGAIN_SECONDS: u64 = 60;
/// Seconds between the questions at the start; then it is [`ASK_SECONDS`].
const FIRST_ASKS: [u64; 4] = [0, 1, 1, 2];

/// A view of the networks, for pages and the API.
#[derive(Clone)]
pub struct NetworkBook(Arc<Inner>);

struct Inner {
    networks: Vec<Network>,
    states: Mutex<BTreeMap<String, State>>,
    leases: LeaseBook,
}

struct State {
    watch: Watch,
    /// Whether frames can be heard there.
    watched: bool,
    events: VecDeque<NetworkEvent>,
}

impl NetworkBook {
    pub(crate) fn new(networks: &[Network], leases: LeaseBook) -> NetworkBook {
        let at = now();
        let state = |network: &Network| State {
            watch: Watch::new(network, at),
            watched: false,
            events: VecDeque::new(),
        };
        NetworkBook(Arc::new(Inner {
            networks: networks.to_vec(),
            states: Mutex::new(networks.iter().map(|n| (n.name().to_owned(), state(n))).collect()),
            leases,
        }))
    }

    /// Each network as it stands, in the order of the configuration.
    pub fn status(&self) -> Vec<NetworkStatus> {
        let at = now();
        let states = self.lock();
        let one = |network: &Network| {
            let state = states.get(network.name())?;
            let counts = self.0.leases.counts(network.name(), at);
            Some(NetworkStatus {
                name: network.name().to_owned(),
                server: network.server(),
                subnet: network.subnet().to_string(),
                mode: network.mode().name().to_owned(),
                state: match (network.mode(), state.watch.gate(at)) {
                    (Mode::Observe, _) => NetworkState::Observing,
                    (Mode::Proxy, _) => NetworkState::Proxying,
                    (Mode::Server, Gate::Open) => NetworkState::Serving,
                    (Mode::Server, Gate::Looking) => NetworkState::Looking,
                    (Mode::Server, Gate::Refused) => NetworkState::Refusing,
                },
                watched: state.watched,
                pool: network.pool().len() as u64,
                held: counts.held,
                bound: counts.bound,
                quarantined: counts.quarantined,
                servers: state.watch.servers().map(other_server).collect(),
                events: state.events.iter().cloned().collect(),
            })
        };
        self.0.networks.iter().filter_map(one).collect()
    }

    pub(crate) fn gate(&self, network: &str, at: UnixMs) -> Gate {
        self.lock()
            .get(network)
            .map_or(Gate::Open, |state| state.watch.gate(at))
    }

    pub(crate) fn watched(&self, network: &str) {
        if let Some(state) = self.lock().get_mut(network) {
            state.watched = true;
        }
    }

    /// Notes what happened, unless the same was said a moment ago.
    pub(crate) fn note(&self, network: &str, kind: &str, detail: String) {
        let at = now();
        let mut states = self.lock();
        let Some(state) = states.get_mut(network) else {
            return;
        };
        let again = state.events.iter().rev().any(|event| {
            event.kind == kind && event.detail == detail && at.since(event.at) < AGAIN_SECONDS * 1000
        });
        if again {
            return;
        }
        tracing::warn!(network, kind, "{detail}");
        if state.events.len() >= EVENTS {
            state.events.pop_front();
        }
        state.events.push_back(NetworkEvent {
            at,
            kind: kind.to_owned(),
            detail,
        });
    }

    /// Somebody else's reply was heard in a network.
    fn heard(&self, network: &Network, bytes: &[u8], link: inventory_api::Mac) {
        let Some(reply) = read_reply(bytes) else { return };
        if self.0.networks.iter().any(|ours| ours.server() == reply.server) {
            return;
        }
        let new = self
            .lock()
            .get_mut(network.name())
            .and_then(|state| state.watch.heard(&reply, link, now()));
        if let Some(server) = new {
            let what = match server.gives {
                Gives::Addresses => "gives out addresses",
                Gives::BootData => "gives out boot data (proxyDHCP)",
            };
            let settings = network.settings();
            let so = match (settings.mode, settings.on_foreign_server, server.gives) {
                (Mode::Server, OnForeignServer::Refuse, Gives::Addresses) => {
                    ": no address is offered beside it. Switch it off, set mode = \"proxy\", or on_foreign_server = \"warn\""
                }
                (Mode::Server, OnForeignServer::Warn, Gives::Addresses) => {
                    ": machines may take its offers, and an address may be given out twice"
                }
                _ => "",
            };
            let detail = format!(
                "another DHCP server, {} ({}), {what}{so}",
                server.address, server.link
            );
            self.note(network.name(), "foreign-server", detail);
        }
    }

    fn expire(&self, network: &str) {
        let gone = match self.lock().get_mut(network) {
            Some(state) => state.watch.expire(now()),
            None => return,
        };
        for server in gone {
            let detail = format!(
                "the DHCP server {} ({}) is not heard any more",
                server.address, server.link
            );
            self.note(network, "foreign-server-gone", detail);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, State>> {
        // Each critical section leaves the map whole at every point.
        self.0.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn other_server(server: &ForeignServer) -> OtherServer {
    OtherServer {
        address: server.address,
        mac: server.link,
        gives: match server.gives {
            Gives::Addresses => ApiGives::Addresses,
            Gives::BootData => ApiGives::BootData,
        },
        first_seen: server.first,
        last_seen: server.last,
    }
}

/// Listens for other DHCP servers in a network of ours, and asks for them unless it only observes.
pub(crate) struct Watcher {
    pub(crate) socket: LinkSocket,
    pub(crate) network: Network,
    pub(crate) book: NetworkBook,
}

impl Watcher {
    pub(crate) async fn serve(self, cancel: CancellationToken) -> Result<(), NetbootError> {
        let name = self.network.name();
        let mut asked = 0usize;
        let mut buffer = [0u8; 2048];
        let mut next = tokio::time::Instant::now();
        loop {
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                () = tokio::time::sleep_until(next) => {
                    self.ask(asked);
                    self.book.expire(name);
                    asked += 1;
                    let wait = FIRST_ASKS.get(asked).copied().unwrap_or(ASK_SECONDS);
                    next = tokio::time::Instant::now() + Duration::from_secs(wait);
                }
                received = self.socket.receive(&mut buffer) => match received {
                    Ok(len) => {
                        if let Some((link, bytes)) = datagram_to(&buffer[..len], 68) {
                            self.book.heard(&self.network, bytes, link);
                        }
                    }
                    Err(error) => {
                        tracing::debug!(%error, network = name, "cannot hear other DHCP servers");
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                },
            }
        }
    }

    fn ask(&self, asked: usize) {
        if self.network.mode() == Mode::Observe {
            return;
        }
        let mac = self.socket.mac();
        // Ours to recognise in a capture; nothing depends on it.
        let xid = u32::from(self.network.server()) ^ asked as u32;
        let frame = client_broadcast(mac, &question(mac, xid, asked % 2 == 1));
        if let Err(error) = self.socket.send(&frame) {
            tracing::debug!(%error, network = self.network.name(), "cannot ask for other DHCP servers");
        }
    }
}

//! What is known of each network: other DHCP servers, what happened, how many addresses are in use.

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use inventory_api::network::{
    Gives as ApiGives, NetworkEvent, NetworkState, NetworkStatus, OtherServer, QuarantinedAddress,
    Reservation, SilenceCount,
};
use inventory_api::{Mac, UnixMs};
use netboot_protocol::foreign::{ASK_SECONDS, question, read_reply};
use netboot_protocol::frame::{client_broadcast, datagram_to};
use netboot_protocol::reserve::{end_quarantine, reserve, unreserve};
use netboot_protocol::{
    ForeignServer, Gate, Gives, LeaseChange, Leases, Mode, Network, OnForeignServer, ReserveError, Watch,
    strangers_most,
};
use tokio_util::sync::CancellationToken;

use crate::leases::{LeaseBook, WeakQueue};
use crate::link::LinkSocket;
use crate::now;
use crate::server::NetbootError;

/// Events kept for each network.
const EVENTS: usize = 100;
/// Events of one kind kept for each network: what a stranger can make happen must not push out the rest.
const EVENTS_OF_A_KIND: usize = 30;
/// Addresses out of use that are named.
const QUARANTINED: usize = 100;
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
    queue: WeakQueue,
}

/// Why a reservation was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ReservationError {
    /// There is no such network.
    #[error("there is no network {0:?} in the configuration")]
    Network(String),
    /// The rules do not allow it.
    #[error(transparent)]
    Refused(#[from] ReserveError),
    /// The journal could not be written: nothing has changed for good.
    #[error("the lease journal cannot be written; see the server's log")]
    Journal,
}

struct State {
    watch: Watch,
    /// Whether frames can be heard there.
    watched: bool,
    events: VecDeque<NetworkEvent>,
    /// Messages that were not answered, and the last time, by reason: there are only so many reasons.
    silences: BTreeMap<&'static str, (u64, UnixMs)>,
}

impl NetworkBook {
    pub(crate) fn new(networks: &[Network], leases: LeaseBook, queue: WeakQueue) -> NetworkBook {
        let state = |network: &Network| State {
            watch: Watch::deaf(network),
            watched: false,
            events: VecDeque::new(),
            silences: BTreeMap::new(),
        };
        NetworkBook(Arc::new(Inner {
            networks: networks.to_vec(),
            states: Mutex::new(networks.iter().map(|n| (n.name().to_owned(), state(n))).collect()),
            leases,
            queue,
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
                quarantined_addresses: self.quarantined(network, at),
                strangers: counts.strangers,
                strangers_most: strangers_most(network).map(|most| most as u64),
                reservations: self.reservations(network),
                servers: state.watch.servers().map(other_server).collect(),
                silences: state.silences.iter().map(silence_count).collect(),
                events: state.events.iter().cloned().collect(),
            })
        };
        self.0.networks.iter().filter_map(one).collect()
    }

    /// Reserves an address of a network for a machine, durably, in place of what was reserved for it before.
    pub async fn reserve(&self, network: &str, mac: Mac, ip: Ipv4Addr) -> Result<(), ReservationError> {
        let at = now();
        self.change(network, |network, leases| reserve(network, leases, mac, ip, at))
            .await
    }

    /// Ends the reservation of a machine, durably.
    pub async fn unreserve(&self, network: &str, mac: Mac) -> Result<(), ReservationError> {
        self.change(network, |_, leases| unreserve(leases, mac)).await
    }

    /// Puts an address that somebody was found to use back into use, durably.
    pub async fn end_quarantine(&self, network: &str, ip: Ipv4Addr) -> Result<(), ReservationError> {
        let at = now();
        self.change(network, |_, leases| end_quarantine(leases, ip, at))
            .await
    }

    /// Ends what was reserved at run time for any of these NICs, in every network; says where it did.
    pub async fn unreserve_all(&self, macs: &[Mac]) -> Result<Vec<(String, Mac)>, ReservationError> {
        let mut ended = Vec::new();
        for network in &self.0.networks {
            let reserved = self.0.leases.reservations(network.name());
            for mac in macs.iter().filter(|mac| reserved.contains_key(mac)) {
                self.unreserve(network.name(), *mac).await?;
                ended.push((network.name().to_owned(), *mac));
            }
        }
        Ok(ended)
    }

    async fn change(
        &self,
        name: &str,
        decide: impl FnOnce(&Network, &Leases) -> Result<LeaseChange, ReserveError>,
    ) -> Result<(), ReservationError> {
        let network = self.0.networks.iter().find(|network| network.name() == name);
        let network = network.ok_or_else(|| ReservationError::Network(name.chars().take(80).collect()))?;
        let queue = self.0.queue.upgrade().ok_or(ReservationError::Journal)?;
        let (result, durable) =
            self.0
                .leases
                .with(name, &queue, true, |leases| match decide(network, leases) {
                    Ok(change) => (Ok(()), Some(change)),
                    Err(error) => (Err(error), None),
                });
        result?;
        if let Some(durable) = durable
            && !durable.wait().await
        {
            return Err(ReservationError::Journal);
        }
        Ok(())
    }

    pub(crate) fn gate(&self, network: &str, at: UnixMs) -> Gate {
        self.lock()
            .get(network)
            .map_or(Gate::Open, |state| state.watch.gate(at))
    }

    /// A network is listened to from now on.
    pub(crate) fn watched(&self, network: &Network) {
        if let Some(state) = self.lock().get_mut(network.name()) {
            (state.watched, state.watch) = (true, Watch::new(network, now()));
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
        let same = state.events.iter().filter(|event| event.kind == kind).count();
        let oldest = state.events.iter().position(|event| event.kind == kind);
        if let Some(oldest) = oldest.filter(|_| same >= EVENTS_OF_A_KIND) {
            state.events.remove(oldest);
        } else if state.events.len() >= EVENTS {
            state.events.pop_front();
        }
        state.events.push_back(NetworkEvent {
            at,
            kind: kind.to_owned(),
            detail,
        });
    }

    /// Counts a message that was not answered.
    pub(crate) fn silent(&self, network: &str, reason: &'static str) {
        let at = now();
        if let Some(state) = self.lock().get_mut(network) {
            let (count, last) = state.silences.entry(reason).or_insert((0, at));
            (*count, *last) = (*count + 1, at);
        }
    }

    /// Somebody else's reply was heard in a network.
    fn heard(&self, network: &Network, bytes: &[u8], link: Mac) {
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

    fn reservations(&self, network: &Network) -> Vec<Reservation> {
        let configured = network.settings().reservations.iter().map(|pair| (pair, true));
        let made = self.0.leases.reservations(network.name());
        configured
            .chain(made.iter().map(|pair| (pair, false)))
            .map(|((&mac, &address), configured)| Reservation {
                mac,
                address,
                configured,
            })
            .collect()
    }

    fn quarantined(&self, network: &Network, at: UnixMs) -> Vec<QuarantinedAddress> {
        let named = |lease: netboot_protocol::Lease| QuarantinedAddress {
            address: lease.ip,
            mac: lease.mac,
            until: lease.expires,
        };
        let leases = self.0.leases.quarantined(network.name(), at, QUARANTINED);
        leases.into_iter().map(named).collect()
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

fn silence_count((reason, (count, last)): (&&'static str, &(u64, UnixMs))) -> SilenceCount {
    SilenceCount {
        reason: (*reason).to_owned(),
        count: *count,
        last: *last,
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
        let Some(mac) = self.socket.mac() else { return };
        // Ours to recognise in a capture; nothing depends on it.
        let xid = u32::from(self.network.server()) ^ asked as u32;
        let frame = client_broadcast(mac, &question(mac, xid, asked % 2 == 1));
        if let Err(error) = self.socket.send(&frame) {
            tracing::debug!(%error, network = self.network.name(), "cannot ask for other DHCP servers");
        }
    }
}

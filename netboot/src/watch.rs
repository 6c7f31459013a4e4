//! What is known of each network: other DHCP servers, what happened, how many addresses are in use.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use inventory_api::boot::RunningTransfer;
use inventory_api::network::{
    Gives as ApiGives, NetworkEvent, NetworkState, NetworkStatus, NetworkV6Status, OtherServer,
    QuarantinedAddress, Reservation, Sender, Visitor,
};
use inventory_api::{Mac, UnixMs};
use netboot_protocol::foreign::{self, ServerReply};
use netboot_protocol::reserve::{end_quarantine, reserve, unreserve};
use netboot_protocol::{
    AddressPool, ForeignServer, Gate, Gives, LeaseChange, Leases, Mode, Network, OnForeignServer,
    ReserveError, Unanswered, Watch, strangers_most, v6,
};

use crate::leases::{LeaseBook, WeakQueue};
use crate::log;
use crate::now;
use crate::running::{Elsewhere, Transfers};
use crate::visitors::Heard;

/// Events kept for each network.
const EVENTS: usize = 100;
/// Events of one kind kept for each network: what a stranger can make happen must not push out the rest.
const EVENTS_OF_A_KIND: usize = 30;
/// Addresses out of use that are named.
const QUARANTINED: usize = 100;
/// An event of the same kind about the same is not said again within this time.
const AGAIN_SECONDS: u64 = 60;

/// Which DHCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

/// A view of the networks, for pages and the API.
#[derive(Clone)]
pub struct NetworkBook(Arc<Inner>);

struct Inner {
    networks: Vec<Network>,
    states: Mutex<BTreeMap<String, State>>,
    leases: LeaseBook,
    leases6: LeaseBook<Ipv6Addr>,
    queue: WeakQueue,
    transfers: Transfers,
    elsewhere: Elsewhere,
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

/// Other servers of one protocol.
struct Side {
    watch: Watch,
    /// Whether frames can be heard there.
    watched: bool,
}

impl Side {
    fn deaf(mode: Mode, network: &Network) -> Side {
        Side {
            watch: Watch::deaf(mode, network.settings()),
            watched: false,
        }
    }

    fn servers(&self) -> Vec<OtherServer> {
        self.watch.servers().map(other_server).collect()
    }
}

struct State {
    v4: Side,
    v6: Option<Side>,
    events: VecDeque<NetworkEvent>,
    heard: Heard,
}

impl State {
    fn side(&mut self, family: Family) -> Option<&mut Side> {
        match family {
            Family::V4 => Some(&mut self.v4),
            Family::V6 => self.v6.as_mut(),
        }
    }
}

impl NetworkBook {
    pub(crate) fn new(
        networks: &[Network],
        leases: LeaseBook,
        leases6: LeaseBook<Ipv6Addr>,
        queue: WeakQueue,
    ) -> NetworkBook {
        let state = |network: &Network| State {
            v4: Side::deaf(network.mode(), network),
            v6: network.v6().map(|v6| Side::deaf(v6.mode(), network)),
            events: VecDeque::new(),
            heard: Heard::default(),
        };
        NetworkBook(Arc::new(Inner {
            networks: networks.to_vec(),
            states: Mutex::new(networks.iter().map(|n| (n.name().to_owned(), state(n))).collect()),
            leases,
            leases6,
            queue,
            transfers: Transfers::default(),
            elsewhere: Elsewhere::default(),
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
                state: network_state(network.mode(), state.v4.watch.gate(at)),
                watched: state.v4.watched,
                pool: network.pool().len() as u64,
                held: counts.held,
                bound: counts.bound,
                quarantined: counts.quarantined,
                quarantined_addresses: self.quarantined(network, at),
                strangers: counts.strangers,
                strangers_most: strangers_most(network).map(|most| most as u64),
                reservations: self.reservations(network),
                servers: state.v4.servers(),
                silences: state.heard.silences(),
                heard_at: state.heard.last,
                visitors: state.heard.visitors(),
                missing: Vec::new(),
                events: state.events.iter().cloned().collect(),
                v6: network
                    .v6()
                    .zip(state.v6.as_ref())
                    .map(|(v6, side)| self.v6_status(v6, side, at)),
            })
        };
        self.0.networks.iter().filter_map(one).collect()
    }

    /// The transfers under way to these addresses.
    pub fn running(&self, addresses: &[IpAddr]) -> Vec<RunningTransfer> {
        self.0.transfers.to(addresses)
    }

    /// Whose NIC has this address now, and in which network: by our lease, else by what it said of another server's. Good for a
    /// journey, and for no right.
    pub fn whose(&self, ip: IpAddr) -> Option<(Option<String>, Mac)> {
        let by_lease = match ip.to_canonical() {
            IpAddr::V4(ip) => self.0.leases.holder_anywhere(ip, now()),
            IpAddr::V6(ip) => self.0.leases6.holder_anywhere(ip, now()),
        };
        let by_lease = by_lease.map(|(network, mac)| (Some(network), mac));
        by_lease.or_else(|| Some((None, self.0.elsewhere.get(ip.to_canonical())?)))
    }

    pub(crate) fn transfers(&self) -> &Transfers {
        &self.0.transfers
    }

    pub(crate) fn elsewhere(&self) -> &Elsewhere {
        &self.0.elsewhere
    }

    fn v6_status(&self, network: &v6::Network, side: &Side, at: UnixMs) -> NetworkV6Status {
        let counts = self.0.leases6.counts(network.name(), at);
        NetworkV6Status {
            server: network.server(),
            prefix: network.prefix().to_string(),
            mode: network.mode().name().to_owned(),
            state: network_state(network.mode(), side.watch.gate(at)),
            watched: side.watched,
            pool: network.pool().len() as u64,
            held: counts.held,
            bound: counts.bound,
            quarantined: counts.quarantined,
            servers: side.servers(),
        }
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

    pub(crate) fn gate(&self, network: &str, family: Family, at: UnixMs) -> Gate {
        let mut states = self.lock();
        let side = states.get_mut(network).and_then(|state| state.side(family));
        side.map_or(Gate::Open, |side| side.watch.gate(at))
    }

    /// A network is listened to from now on.
    pub(crate) fn watched(&self, network: &Network, family: Family) {
        let Some(mode) = mode_of(network, family) else {
            return;
        };
        let mut states = self.lock();
        if let Some(side) = states.get_mut(network.name()).and_then(|s| s.side(family)) {
            (side.watched, side.watch) = (true, Watch::new(mode, network.settings(), now()));
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
        log::paced!(warn; "network", kind, false; network, kind, "{detail}");
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

    /// Counts a message that was not answered. `sender`: who sent it, of one that is no machine's by its form.
    pub(crate) fn silent(&self, network: &str, reason: impl Into<Unanswered>, sender: Option<Sender>) {
        if let Some(state) = self.lock().get_mut(network) {
            state.heard.silent(reason.into(), sender, now());
        }
    }

    /// A DHCP message was heard in a network. `who`: what sent it, when it does not boot from the network and is not enrolled.
    pub(crate) fn asked(&self, network: &str, mac: Mac, address: Option<IpAddr>, who: Option<String>) {
        let last = now();
        if let Some(state) = self.lock().get_mut(network) {
            state.heard.last = Some(last);
            match who {
                None => state.heard.is_machine(mac),
                Some(who) => state.heard.visit(Visitor {
                    mac,
                    who,
                    address,
                    last,
                }),
            }
        }
    }

    /// A server's reply was heard in a network. Where it is to be asked for by ARP, [`NetworkBook::proven`] has to be told; `None`: it
    /// is our own, or one too many.
    pub(crate) fn heard(
        &self,
        network: &Network,
        family: Family,
        reply: &ServerReply,
        link: Mac,
    ) -> Option<foreign::Heard> {
        let ours = |ours: &Network| {
            let v6 = ours.v6().map(|v6| IpAddr::V6(v6.server()));
            reply.server == IpAddr::V4(ours.server()) || v6 == Some(reply.server)
        };
        if self.0.networks.iter().any(ours) {
            return None;
        }
        let heard = self
            .lock()
            .get_mut(network.name())
            .and_then(|state| state.side(family)?.watch.heard(reply, link, now()))?;
        if heard.new || heard.closes {
            self.note_server(network, family, &heard.server, heard.closes);
        }
        Some(heard)
    }

    /// A server is a host that is there: `link` answered ARP for it.
    pub(crate) fn proven(&self, network: &Network, family: Family, server: IpAddr, link: Mac) {
        let closes = self
            .lock()
            .get_mut(network.name())
            .and_then(|state| state.side(family)?.watch.proven(server, link, now()));
        if let Some(server) = closes {
            self.note_server(network, family, &server, true);
        }
    }

    fn note_server(&self, network: &Network, family: Family, server: &ForeignServer, closes: bool) {
        let what = match (server.gives, family) {
            (Gives::Addresses, _) => "gives out addresses",
            (Gives::BootData, Family::V4) => "gives out boot data (proxyDHCP)",
            (Gives::BootData, Family::V6) => "gives out boot data",
        };
        let refuses = network.settings().on_foreign_server == OnForeignServer::Refuse;
        let so = match (mode_of(network, family), refuses, server.gives) {
            (Some(Mode::Server), true, Gives::Addresses) if closes => match family {
                Family::V4 => {
                    ": no address is offered beside it. Switch it off, set mode = \"proxy\", or on_foreign_server = \"warn\""
                }
                Family::V6 => {
                    ": no address is offered beside it. Switch it off, or set on_foreign_server = \"warn\""
                }
            },
            (Some(Mode::Server), true, Gives::Addresses) => match family {
                Family::V4 => {
                    ": if it answers again, and ARP finds it where its answer came from, no address is offered beside it"
                }
                Family::V6 => ": if it answers again, no address is offered beside it",
            },
            (Some(Mode::Server), false, Gives::Addresses) => {
                ": machines may take its offers, and an address may be given out twice"
            }
            _ => "",
        };
        let file = server
            .boot_file
            .as_ref()
            .map_or(String::new(), |file| format!(" and the boot file {file}"));
        let detail = format!(
            "another {}, {} ({}), {what}{file}{so}",
            server_name(family),
            server.address,
            server.link
        );
        self.note(network.name(), "foreign-server", detail);
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

    pub(crate) fn expire(&self, network: &str, family: Family) {
        let gone = match self.lock().get_mut(network).and_then(|s| s.side(family)) {
            Some(side) => side.watch.expire(now()),
            None => return,
        };
        for server in gone {
            let detail = format!(
                "the {} {} ({}) is not heard any more",
                server_name(family),
                server.address,
                server.link
            );
            self.note(network, "foreign-server-gone", detail);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, State>> {
        // Each critical section leaves the map whole at every point.
        self.0.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn server_name(family: Family) -> &'static str {
    match family {
        Family::V4 => "DHCP server",
        Family::V6 => "DHCPv6 server",
    }
}

fn mode_of(network: &Network, family: Family) -> Option<Mode> {
    match family {
        Family::V4 => Some(network.mode()),
        Family::V6 => network.v6().map(v6::Network::mode),
    }
}

fn network_state(mode: Mode, gate: Gate) -> NetworkState {
    match (mode, gate) {
        (Mode::Observe, _) => NetworkState::Observing,
        (Mode::Proxy, _) => NetworkState::Proxying,
        (Mode::Server, Gate::Open | Gate::Beside) => NetworkState::Serving,
        (Mode::Server, Gate::Looking) => NetworkState::Looking,
        (Mode::Server, Gate::Refused) => NetworkState::Refusing,
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
        boot_file: server.boot_file.clone(),
        first_seen: server.first,
        last_seen: server.last,
    }
}

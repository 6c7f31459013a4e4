//! The state of each network: other DHCP servers, recent events, addresses in use.

mod servers;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use inventory_api::boot::RunningTransfer;
use inventory_api::network::{
    NetworkEvent, NetworkState, NetworkStatus, NetworkV6Status, QuarantinedAddress, Reservation, Sender,
    Visitor,
};
use inventory_api::{Mac, UnixMs};
use netboot_protocol::{
    ForeignServers, Gate, Lease, LeaseChange, Leases, Mode, Network, ReserveError, Unanswered, dhcp6,
    end_quarantine, reserve, unreserve,
};
use parking_lot::Mutex;
use tokio::sync::mpsc::WeakSender;

use crate::leases::{JournalQueue, LeaseTable, Pending};
use crate::log;
use crate::now;
use crate::running::{Elsewhere, Transfers};
use crate::visitors::Visitors;

/// Events kept per network.
const EVENTS: usize = 100;
/// Events of one kind kept per network: what a stranger can trigger must not push out the rest.
const EVENTS_OF_A_KIND: usize = 30;
/// Quarantined addresses listed by name.
const QUARANTINED: usize = 100;
/// The same event is not repeated within this time.
const AGAIN_SECONDS: u64 = 60;

/// DHCPv4 or DHCPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

/// The networks' state, for pages and the API.
#[derive(Clone)]
pub struct Networks(Arc<Inner>);

struct Inner {
    networks: Vec<Network>,
    states: Mutex<BTreeMap<String, State>>,
    leases: LeaseTable,
    leases6: LeaseTable<Ipv6Addr>,
    queue: WeakSender<Pending>,
    transfers: Transfers,
    elsewhere: Elsewhere,
}

/// Why a reservation was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ReservationError {
    /// No such network.
    #[error("there is no network {0:?} in the configuration")]
    Network(String),
    /// The rules do not allow it.
    #[error(transparent)]
    Refused(#[from] ReserveError),
    /// The journal could not be written: the change is not durable.
    #[error("the lease journal cannot be written; see the server's log")]
    Journal,
}

struct State {
    v4: ForeignServers,
    v6: Option<ForeignServers>,
    events: VecDeque<NetworkEvent>,
    visitors: Visitors,
}

impl State {
    fn side(&mut self, family: Family) -> Option<&mut ForeignServers> {
        match family {
            Family::V4 => Some(&mut self.v4),
            Family::V6 => self.v6.as_mut(),
        }
    }
}

impl Networks {
    pub(crate) fn new(
        networks: &[Network],
        leases: LeaseTable,
        leases6: LeaseTable<Ipv6Addr>,
        queue: WeakSender<Pending>,
    ) -> Networks {
        let state = |network: &Network| State {
            v4: ForeignServers::unheard(network.mode(), network.settings()),
            v6: network
                .v6()
                .map(|v6| ForeignServers::unheard(v6.mode(), network.settings())),
            events: VecDeque::new(),
            visitors: Visitors::default(),
        };
        Networks(Arc::new(Inner {
            networks: networks.to_vec(),
            states: Mutex::new(networks.iter().map(|n| (n.name().to_owned(), state(n))).collect()),
            leases,
            leases6,
            queue,
            transfers: Transfers::default(),
            elsewhere: Elsewhere::default(),
        }))
    }

    /// The status of each network, in configuration order.
    pub fn status(&self) -> Vec<NetworkStatus> {
        let at = now();
        let states = self.0.states.lock();
        let one = |network: &Network| {
            let state = states.get(network.name())?;
            let (leases, name) = (&self.0.leases, network.name());
            let counts = leases.counts(name, at);
            let configured = network.settings().reservations.clone();
            let configured = configured.into_iter().map(|pair| (pair, true));
            let made = leases.reservations(name).into_iter().map(|pair| (pair, false));
            let reservation = |((mac, address), configured)| Reservation {
                mac,
                address,
                configured,
            };
            let quarantined = |lease: Lease| QuarantinedAddress {
                address: lease.ip,
                mac: lease.mac,
                until: lease.expires,
            };
            let out_of_use = leases.quarantined(name, at, QUARANTINED);
            Some(NetworkStatus {
                name: network.name().to_owned(),
                server: network.server(),
                subnet: network.subnet().to_string(),
                mode: network.mode().to_string(),
                state: network_state(network.mode(), state.v4.gate(at)),
                watched: state.v4.listens,
                pool: network.addresses().pool().len() as u64,
                held: counts.held,
                bound: counts.bound,
                quarantined: counts.quarantined,
                quarantined_addresses: out_of_use.into_iter().map(quarantined).collect(),
                strangers: counts.strangers,
                strangers_most: network.addresses().strangers_most().map(|most| most as u64),
                reservations: configured.chain(made).map(reservation).collect(),
                servers: state.v4.servers().cloned().collect(),
                silences: state.visitors.silences(),
                heard_at: state.visitors.last,
                visitors: state.visitors.visitors(),
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

    /// Transfers in progress to these addresses.
    pub fn running(&self, addresses: &[IpAddr]) -> Vec<RunningTransfer> {
        self.0.transfers.to(addresses)
    }

    /// Which NIC uses this address now, and in which network: by our lease, else by what the client said
    /// about another server's lease. Good enough for a journey, never for granting rights.
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

    fn v6_status(&self, network: &dhcp6::Network, servers: &ForeignServers, at: UnixMs) -> NetworkV6Status {
        let counts = self.0.leases6.counts(network.name(), at);
        NetworkV6Status {
            server: network.server(),
            prefix: network.prefix().to_string(),
            mode: network.mode().to_string(),
            state: network_state(network.mode(), servers.gate(at)),
            watched: servers.listens,
            pool: network.addresses().pool().len() as u64,
            held: counts.held,
            bound: counts.bound,
            quarantined: counts.quarantined,
            servers: servers.servers().cloned().collect(),
        }
    }

    /// Durably reserves an address for a machine, replacing its earlier reservation.
    pub async fn reserve(&self, network: &str, mac: Mac, ip: Ipv4Addr) -> Result<(), ReservationError> {
        let at = now();
        self.change(network, |network, leases| reserve(network, leases, mac, ip, at))
            .await
    }

    /// Durably ends a machine's reservation.
    pub async fn unreserve(&self, network: &str, mac: Mac) -> Result<(), ReservationError> {
        self.change(network, |_, leases| unreserve(leases, mac)).await
    }

    /// Durably puts a quarantined address back into use.
    pub async fn end_quarantine(&self, network: &str, ip: Ipv4Addr) -> Result<(), ReservationError> {
        let at = now();
        self.change(network, |_, leases| end_quarantine(leases, ip, at))
            .await
    }

    /// Ends all run-time reservations of these NICs in every network and returns them.
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
        let queue = JournalQueue(queue);
        let decide = |leases: &Leases| match decide(network, leases) {
            Ok(change) => (Ok(()), Some(change)),
            Err(error) => (Err(error), None),
        };
        let (result, durable) = self.0.leases.update(name, &queue, true, decide);
        result?;
        durable.wait().await.map_err(|_| ReservationError::Journal)
    }

    /// Reads or updates what is known of other servers of one protocol in a network.
    fn side<T>(
        &self,
        network: &str,
        family: Family,
        look: impl FnOnce(&mut ForeignServers) -> T,
    ) -> Option<T> {
        self.0.states.lock().get_mut(network)?.side(family).map(look)
    }

    pub(crate) fn gate(&self, network: &str, family: Family, at: UnixMs) -> Gate {
        let gate = self.side(network, family, |servers| servers.gate(at));
        gate.unwrap_or(Gate::Open)
    }

    /// Records an event, unless the same one was recorded a moment ago.
    pub(crate) fn record(&self, network: &str, kind: &str, detail: String) {
        let at = now();
        let mut states = self.0.states.lock();
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

    /// Counts an unanswered message. `sender`: who sent it, if its format shows that it is not from a
    /// machine.
    pub(crate) fn count_unanswered(
        &self,
        network: &str,
        reason: impl Into<Unanswered>,
        sender: Option<Sender>,
    ) {
        if let Some(state) = self.0.states.lock().get_mut(network) {
            state.visitors.count_unanswered(reason.into(), sender, now());
        }
    }

    /// A DHCP message arrived in a network. `who`: what sent it, if it neither netboots nor is enrolled.
    pub(crate) fn asked(&self, network: &str, mac: Mac, address: Option<IpAddr>, who: Option<String>) {
        let last = now();
        if let Some(state) = self.0.states.lock().get_mut(network) {
            state.visitors.last = Some(last);
            match who {
                None => state.visitors.is_machine(mac),
                Some(who) => state.visitors.visit(Visitor {
                    mac,
                    who,
                    address,
                    last,
                }),
            }
        }
    }

    /// Whether a server's address is one of ours.
    pub(crate) fn is_ours(&self, server: IpAddr) -> bool {
        self.0.networks.iter().any(|ours| {
            let v6 = ours.v6().map(|v6| IpAddr::V6(v6.server()));
            server == IpAddr::V4(ours.server()) || v6 == Some(server)
        })
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

//! The answer to a DHCP message: a reply or a silence with its reason, and what becomes of the lease.

use std::net::Ipv4Addr;

use inventory_api::boot::BootTarget;
use inventory_api::{Mac, UnixMs};

use crate::boot::{BootFile, BootUrls, boot_file};
use crate::client::{MessageKind, PxeClient};
use crate::codes::Unanswered;
use crate::encode::{ReplyContent, ReplyKind};
use crate::lease::{
    DECLINE_SECONDS, Exhausted, Lease, LeaseState, Leases, OFFER_SECONDS, choose_address, is_admitted,
};
use crate::network::Network;
use crate::proxy;
use crate::settings::Mode;

/// Where a reply goes (RFC 2131, 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// To the relay, port 67.
    Relay(Ipv4Addr),
    /// To an address the client has, port 68.
    Unicast(Ipv4Addr),
    /// To 255.255.255.255 port 68 (not the subnet's broadcast address).
    Broadcast,
    /// To an address on our link, port 68: needs the link address `PxeClient::chaddr`, since the client does not have the
    /// address yet, or does not answer ARP.
    Link(Ipv4Addr),
}

/// Why there is no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// The machine is to be ignored.
    Ignored,
    /// No network is configured for the interface it comes in by.
    UnknownNetwork,
    /// It comes through a relay of which no configured network is.
    UnknownRelay,
    /// The network is only observed.
    Observing,
    /// Server mode still looks whether another DHCP server is there.
    Looking,
    /// Another DHCP server is there, and the network refuses to serve beside it.
    ForeignServer,
    /// The addresses that could be offered are used by somebody who did not get them from us.
    AddressInUse,
    /// Somebody sends more messages than any machine has to.
    TooMany,
    /// What is left of the pool is kept for machines that are enrolled.
    KeptForKnown,
    /// Addresses are another server's business in this network.
    AddressServer,
    /// It does not boot from the network, and boot data is all there is here.
    NotBooting,
    /// There is no boot file for its architecture.
    NoBootFile,
    /// It took another server's offer.
    OtherServer,
    /// It confirms or renews an address that we never gave it: not ours to refuse.
    UnknownBinding,
    /// No address is left.
    Exhausted(Exhausted),
    /// A REQUEST, DECLINE or INFORM without the address it is about.
    NoAddress,
    /// An INFORM from an address outside the network.
    ForeignAddress,
    /// By DHCPv6: sent to one of our addresses, where only all servers may be asked.
    Unicast,
    /// It gives up, refuses or prolongs a lease, and was not sent by who has that: wrong source port or address.
    WrongSender,
    /// A RELEASE or DECLINE of an address that its machine still answers for.
    StillInUse,
    /// A RELEASE: the address is free again.
    Released,
    /// A DECLINE: the address is out of use for an hour.
    Declined,
}

impl Silence {
    /// Stable short code.
    pub fn code(self) -> &'static str {
        Unanswered::from(self).code()
    }
}

/// What to do about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The answer.
    pub answer: Result<ReplyContent, Silence>,
    /// A change of the leases, to be made before anything else; a change that is not an offer has to be durable before
    /// the answer is sent.
    pub change: Option<LeaseChange>,
}

/// A change of the leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseChange<A = Ipv4Addr> {
    /// Takes this in.
    Insert(Lease<A>),
    /// Takes in an acknowledged lease, with the mark of the client identifier that took it.
    Bind(Lease<A>, Option<u32>),
    /// Forgets an offer that was not taken.
    Forget(A),
}

pub(crate) fn silent(reason: Silence) -> Decision {
    Decision {
        answer: Err(reason),
        change: None,
    }
}

/// The network a client is on: by [`PxeClient::selected`], unless the network there ignores that; else by the relay's address;
/// without a relay by the address it uses, since a machine behind one renews and releases past it (RFC 2131, 4.3.6); else the
/// local one among `networks` (those that are served through the interface the message came in by).
pub fn select_network<'a>(networks: &'a [Network], client: &PxeClient) -> Option<&'a Network> {
    let of = |ip| networks.iter().find(|network| network.subnet().contains(&ip));
    let local = || networks.iter().find(|network| network.is_local());
    let ignores = |ip| of(ip).is_some_and(|network| network.settings().ignore_subnet_selection);
    match client.selected().filter(|ip| !ignores(*ip)) {
        Some(selected) => of(selected),
        None if client.giaddr.is_unspecified() => client.uses().and_then(of).or_else(local),
        None => of(client.giaddr),
    }
}

/// The refusal of a REQUEST that takes an offer of `server`, ours, behind a relay of which no network is: the client shall begin
/// again at once.
pub fn refused_elsewhere(client: &PxeClient, server: Ipv4Addr) -> Option<ReplyContent> {
    let ours = client.message == MessageKind::Request && client.server_id == Some(server);
    (ours && !client.to_boot_server).then(nak)
}

/// Why no network was found for a client.
pub fn no_network(client: &PxeClient) -> Silence {
    if client.giaddr.is_unspecified() {
        Silence::UnknownNetwork
    } else {
        Silence::UnknownRelay
    }
}

/// Decides about one message. `target` is what the machine boots now; it counts only for clients that boot. A network
/// that is observed is never answered: [`would_answer`] tells what it would be.
pub fn decide(
    client: &PxeClient,
    network: &Network,
    leases: &Leases,
    target: BootTarget,
    urls: &BootUrls,
    now: UnixMs,
) -> Decision {
    if network.mode() == Mode::Observe {
        return silent(Silence::Observing);
    }
    decide_as(network.mode(), client, network, leases, target, urls, now)
}

/// What an observed network would answer as a server, or as a proxy when it has no addresses to give out.
pub fn would_answer(
    client: &PxeClient,
    network: &Network,
    leases: &Leases,
    target: BootTarget,
    urls: &BootUrls,
    now: UnixMs,
) -> Result<ReplyContent, Silence> {
    let addresses = !network.pool().is_empty() || network.reservation(client.mac).is_some();
    let mode = if addresses { Mode::Server } else { Mode::Proxy };
    decide_as(mode, client, network, leases, target, urls, now).answer
}

fn decide_as(
    mode: Mode,
    client: &PxeClient,
    network: &Network,
    leases: &Leases,
    target: BootTarget,
    urls: &BootUrls,
    now: UnixMs,
) -> Decision {
    if client.kind.boots() && target == BootTarget::Ignore {
        return silent(Silence::Ignored);
    }
    if mode == Mode::Proxy || client.to_boot_server {
        return proxy::decide(client, network, urls, now);
    }
    match client.message {
        MessageKind::Discover => discover(client, network, leases, urls, now),
        MessageKind::Request => request(client, network, leases, urls, now),
        MessageKind::Release => release(client, network, leases, now),
        MessageKind::Decline => decline(client, network, leases, now),
        MessageKind::Inform => inform(client, network, urls),
    }
}

fn admitted(client: &PxeClient, network: &Network, leases: &Leases, now: UnixMs) -> Result<(), Silence> {
    if is_admitted(network, leases, client.mac, client.known, now) {
        Ok(())
    } else {
        Err(Silence::KeptForKnown)
    }
}

fn discover(
    client: &PxeClient,
    network: &Network,
    leases: &Leases,
    urls: &BootUrls,
    now: UnixMs,
) -> Decision {
    let choice = admitted(client, network, leases, now).and_then(|()| {
        choose_address(network, leases, client.mac, client.known, client.requested, now)
            .map_err(Silence::Exhausted)
    });
    let ip = match choice {
        Ok(ip) => ip,
        Err(silence) => return silent(silence),
    };
    // A binding that is still running stays one: a repeated DISCOVER must not shorten it.
    let bound = leases
        .of(client.mac)
        .is_some_and(|lease| lease.ip == ip && lease.is_bound(now));
    let offer = Lease {
        mac: client.mac,
        ip,
        expires: now.plus_seconds(OFFER_SECONDS),
        state: LeaseState::Offered,
    };
    Decision {
        answer: Ok(content(client, network, urls, ReplyKind::Offer, ip)),
        change: (!bound).then_some(LeaseChange::Insert(offer)),
    }
}

fn request(client: &PxeClient, network: &Network, leases: &Leases, urls: &BootUrls, now: UnixMs) -> Decision {
    let ours = leases.of(client.mac);
    let selecting = client.server_id.is_some() && client.uses().is_none();
    if !for_us(client, network) {
        let offered = ours.filter(|lease| lease.state == LeaseState::Offered);
        return Decision {
            answer: Err(Silence::OtherServer),
            change: offered.map(|lease| LeaseChange::Forget(lease.ip)),
        };
    }
    // RENEWING and REBINDING: the address in use. SELECTING and INIT-REBOOT: option 50. A client that takes our offer without
    // saying which means the one it has; one that wants to go on with an address without saying which has to begin again.
    let wanted = client.uses().or(client.requested);
    if wanted.is_none() && !selecting {
        return refuse();
    }
    // An address of another subnet is wrong here whoever gave it (RFC 2131, 4.3.2). One of this subnet that we know nothing of
    // another server may have given.
    let moved = client.uses().is_none() && wanted.is_some_and(|ip| !network.subnet().contains(&ip));
    let known = ours.is_some()
        || network
            .reservation(client.mac)
            .or(leases.reservation(client.mac))
            .is_some();
    if !selecting && !known && !moved {
        return silent(Silence::UnknownBinding);
    }
    if moved {
        return refuse();
    }
    if let Err(silence) = admitted(client, network, leases, now) {
        return silent(silence);
    }
    match choose_address(network, leases, client.mac, client.known, wanted, now) {
        Ok(ip) if wanted.is_none_or(|wanted| wanted == ip) => {
            let content = content(client, network, urls, ReplyKind::Ack, ip);
            let seconds = u64::from(content.lease_seconds.unwrap_or(0));
            let lease = Lease {
                mac: client.mac,
                ip,
                expires: now.plus_seconds(seconds),
                state: LeaseState::Bound,
            };
            Decision {
                answer: Ok(content),
                change: Some(LeaseChange::Bind(lease, client.client_mark())),
            }
        }
        // It may not have that address: it shall begin again at once, not when its patience ends.
        Ok(_) | Err(_) => refuse(),
    }
}

fn refuse() -> Decision {
    Decision {
        answer: Ok(nak()),
        change: None,
    }
}

/// Whether the server it names, if it names one, is us, or the relay that stands for us (RFC 5107).
fn for_us(client: &PxeClient, network: &Network) -> bool {
    client
        .server_id
        .is_none_or(|server| server == network.server() || Some(server) == client.server_override())
}

fn release(client: &PxeClient, network: &Network, leases: &Leases, now: UnixMs) -> Decision {
    let theirs = leases
        .of(client.mac)
        .filter(|lease| lease.ip == client.ciaddr && lease.is_bound(now))
        .filter(|_| leases.took(client.mac, client.client_mark()));
    match theirs {
        Some(lease) if for_us(client, network) => Decision {
            answer: Err(Silence::Released),
            change: Some(LeaseChange::Insert(Lease {
                state: LeaseState::Released,
                ..lease
            })),
        },
        _ => silent(Silence::UnknownBinding),
    }
}

fn decline(client: &PxeClient, network: &Network, leases: &Leases, now: UnixMs) -> Decision {
    let Some(ip) = client.requested else {
        return silent(Silence::NoAddress);
    };
    // Which server is meant has to be said (RFC 2131, table 5).
    if client.server_id.is_none() || !for_us(client, network) {
        return silent(Silence::OtherServer);
    }
    // Only the machine that was given the address may take it out of use: no stranger empties the pool.
    match leases
        .of(client.mac)
        .filter(|lease| lease.ip == ip && lease.holds(now))
        .filter(|_| leases.took(client.mac, client.client_mark()))
    {
        Some(lease) => Decision {
            answer: Err(Silence::Declined),
            change: Some(LeaseChange::Insert(Lease {
                state: LeaseState::Declined,
                expires: now.plus_seconds(network.settings().decline_seconds.into()),
                ..lease
            })),
        },
        None => silent(Silence::UnknownBinding),
    }
}

fn inform(client: &PxeClient, network: &Network, urls: &BootUrls) -> Decision {
    match client.uses() {
        Some(ip) if !network.subnet().contains(&ip) => return silent(Silence::ForeignAddress),
        // The relay knows where it came from.
        None if client.giaddr.is_unspecified() => return silent(Silence::NoAddress),
        Some(_) | None => {}
    }
    let content = ReplyContent {
        kind: ReplyKind::Ack,
        address: Ipv4Addr::UNSPECIFIED,
        lease_seconds: None,
        boot: boot_file(client, urls),
        host_name: None,
        proxy: false,
    };
    Decision {
        answer: Ok(content),
        change: None,
    }
}

fn nak() -> ReplyContent {
    ReplyContent {
        kind: ReplyKind::Nak,
        address: Ipv4Addr::UNSPECIFIED,
        lease_seconds: None,
        boot: BootFile::None(crate::boot::NoBoot::NotBooting),
        host_name: None,
        proxy: false,
    }
}

fn content(
    client: &PxeClient,
    network: &Network,
    urls: &BootUrls,
    kind: ReplyKind,
    address: Ipv4Addr,
) -> ReplyContent {
    // OFFER and ACK carry the same boot data: EDK2 and iPXE read both.
    ReplyContent {
        kind,
        address,
        lease_seconds: Some(network.lease_seconds(client)),
        boot: boot_file(client, urls),
        host_name: None,
        proxy: false,
    }
}

/// How to ask who uses an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// On our own link: nobody can hide from it.
    Arp,
    /// Behind a relay, where no ARP reaches. A host may be told not to answer.
    Echo,
}

/// How to make sure that nobody else uses the address of an OFFER without our knowing, or that of an ACK which no OFFER went
/// before. Not at all when it is `reserved` for the machine, or the machine itself had it last. `before`: the machine's lease
/// before the answer.
pub fn needs_probe(
    network: &Network,
    reserved: bool,
    before: Option<Lease>,
    content: &ReplyContent,
) -> Option<Probe> {
    let theirs = before.is_some_and(|lease| {
        let asked_before = content.kind == ReplyKind::Ack && lease.state == LeaseState::Offered;
        let had = matches!(lease.state, LeaseState::Bound | LeaseState::Released);
        lease.ip == content.address && (had || asked_before)
    });
    let needed = !content.address.is_unspecified() && !content.proxy && !reserved && !theirs;
    needed.then(|| probe_of(network)).flatten()
}

/// How to ask who uses an address of a network; `None`: it is configured not to. An address on our own link is asked for by
/// ARP, even if its machine speaks through a relay there: a ping would first fill the kernel's table of neighbours.
pub fn probe_of(network: &Network) -> Option<Probe> {
    let way = if network.is_local() {
        Probe::Arp
    } else {
        Probe::Echo
    };
    network.settings().probe_addresses.then_some(way)
}

/// The bound address that a RELEASE or DECLINE is about, if the machine it names has it.
pub fn given_up(client: &PxeClient, leases: &Leases, now: UnixMs) -> Option<Lease> {
    let address = match client.message {
        MessageKind::Release => Some(client.ciaddr),
        MessageKind::Decline => client.requested,
        MessageKind::Discover | MessageKind::Request | MessageKind::Inform => None,
    };
    leases
        .of(client.mac)
        .filter(|lease| lease.is_bound(now) && Some(lease.ip) == address)
}

/// Takes an address out of use for an hour that somebody answered for although nobody was given it.
pub fn quarantine(mac: Mac, ip: Ipv4Addr, now: UnixMs) -> LeaseChange {
    LeaseChange::Insert(Lease {
        mac,
        ip,
        expires: now.plus_seconds(DECLINE_SECONDS),
        state: LeaseState::Declined,
    })
}

/// Where the reply goes. (From the boot server's port it goes to where the question came from.)
pub fn destination(client: &PxeClient, network: &Network, content: &ReplyContent) -> Destination {
    if !client.giaddr.is_unspecified() {
        return Destination::Relay(client.giaddr);
    }
    // On our own link, where a frame reaches it by its hardware address: one that answers no ARP, too.
    let on_link = |ip: &Ipv4Addr| network.is_local() && network.subnet().contains(ip) && client.has_nic();
    match client.uses() {
        _ if content.kind == ReplyKind::Nak => Destination::Broadcast,
        Some(ip) if content.address == ip && on_link(&ip) => Destination::Link(ip),
        Some(ip) => Destination::Unicast(ip),
        None if content.proxy || client.wants_broadcast() || !on_link(&content.address) => {
            Destination::Broadcast
        }
        None => Destination::Link(content.address),
    }
}

//! The answer to a DHCP message: a reply or a silence with its reason, and what becomes of the lease.

use std::net::Ipv4Addr;

use inventory_api::boot::BootTarget;
use inventory_api::{Mac, UnixMs};

use crate::boot::{BootFile, BootUrls};
use crate::codes::Unanswered;
use crate::dhcp4::Decision;
use crate::dhcp4::boot_file::boot_file;
use crate::dhcp4::client::{MessageKind, PxeClient};
use crate::dhcp4::encode::{ReplyContent, ReplyKind};
use crate::dhcp4::proxy;
use crate::network::Network;
use crate::network::lease::{
    DECLINE_SECONDS, Lease, LeaseChange, LeaseState, Leases, OFFER_SECONDS, choose_address,
};
use crate::network::settings::Mode;

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

/// The network a client is on: by [`PxeClient::selected`], unless the network there ignores that; else by the relay's address;
/// without a relay by the address it uses, since a machine behind one renews and releases past it (RFC 2131, 4.3.6); else the
/// local one among `networks` (those that are served through the interface the message came in by).
///
/// # Errors
/// [`Unanswered::UnknownNetwork`], or [`Unanswered::UnknownRelay`] behind one.
pub fn select_network<'a>(networks: &'a [Network], client: &PxeClient) -> Result<&'a Network, Unanswered> {
    let of = |ip| networks.iter().find(|network| network.subnet().contains(&ip));
    let local = || networks.iter().find(|network| network.is_local());
    let ignores = |ip| of(ip).is_some_and(|network| network.settings().ignore_subnet_selection);
    let direct = client.giaddr.is_unspecified();
    let found = match client.selected().filter(|ip| !ignores(*ip)) {
        Some(selected) => of(selected),
        None if direct => client.uses().and_then(of).or_else(local),
        None => of(client.giaddr),
    };
    found.ok_or(if direct {
        Unanswered::UnknownNetwork
    } else {
        Unanswered::UnknownRelay
    })
}

/// The refusal of a REQUEST that takes an offer of `server`, ours, behind a relay of which no network is: the client shall begin
/// again at once.
pub fn refused_elsewhere(client: &PxeClient, server: Ipv4Addr) -> Option<ReplyContent> {
    let ours = client.message == MessageKind::Request && client.server_id == Some(server);
    (ours && !client.to_boot_server).then(nak)
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
        return Err(Unanswered::Observing).into();
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
) -> Result<ReplyContent, Unanswered> {
    let addresses = network.addresses();
    let gives = !addresses.pool().is_empty() || addresses.reservation(client.mac).is_some();
    let mode = if gives { Mode::Server } else { Mode::Proxy };
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
        return Err(Unanswered::Ignored).into();
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

fn discover(
    client: &PxeClient,
    network: &Network,
    leases: &Leases,
    urls: &BootUrls,
    now: UnixMs,
) -> Decision {
    let (addresses, wish) = (network.addresses(), client.requested);
    let ip = match choose_address(addresses, leases, client.mac, client.known, wish, now) {
        Ok(ip) => ip,
        Err(why) => return Err(why).into(),
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
            answer: Err(Unanswered::OtherServer),
            change: offered.map(|lease| LeaseChange::Forget(lease.ip)),
        };
    }
    // RENEWING and REBINDING: the address in use. SELECTING and INIT-REBOOT: option 50. A client that takes our offer without
    // saying which means the one it has; one that wants to go on with an address without saying which has to begin again.
    let wanted = client.uses().or(client.requested);
    let unsaid = wanted.is_none() && !selecting;
    // An address of another subnet is wrong here whoever gave it (RFC 2131, 4.3.2). One of this subnet that we know nothing of
    // another server may have given.
    let moved = client.uses().is_none() && wanted.is_some_and(|ip| !network.subnet().contains(&ip));
    if unsaid || moved {
        return Ok(nak()).into();
    }
    let addresses = network.addresses();
    let reserved = addresses
        .reservation(client.mac)
        .or(leases.reservation(client.mac));
    if !selecting && ours.is_none() && reserved.is_none() {
        return Err(Unanswered::UnknownBinding).into();
    }
    match choose_address(addresses, leases, client.mac, client.known, wanted, now) {
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
        Err(Unanswered::KeptForKnown) => Err(Unanswered::KeptForKnown).into(),
        // It may not have that address: it shall begin again at once, not when its patience ends.
        Ok(_) | Err(_) => Ok(nak()).into(),
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
            answer: Err(Unanswered::Released),
            change: Some(LeaseChange::Insert(Lease {
                state: LeaseState::Released,
                ..lease
            })),
        },
        _ => Err(Unanswered::UnknownBinding).into(),
    }
}

fn decline(client: &PxeClient, network: &Network, leases: &Leases, now: UnixMs) -> Decision {
    let Some(ip) = client.requested else {
        return Err(Unanswered::NoAddress).into();
    };
    // Which server is meant has to be said (RFC 2131, table 5).
    if client.server_id.is_none() || !for_us(client, network) {
        return Err(Unanswered::OtherServer).into();
    }
    // Only the machine that was given the address may take it out of use: no stranger empties the pool.
    match leases
        .of(client.mac)
        .filter(|lease| lease.ip == ip && lease.holds(now))
        .filter(|_| leases.took(client.mac, client.client_mark()))
    {
        Some(lease) => Decision {
            answer: Err(Unanswered::Declined),
            change: Some(LeaseChange::Insert(Lease {
                state: LeaseState::Declined,
                expires: now.plus_seconds(network.settings().decline_seconds.into()),
                ..lease
            })),
        },
        None => Err(Unanswered::UnknownBinding).into(),
    }
}

fn inform(client: &PxeClient, network: &Network, urls: &BootUrls) -> Decision {
    match client.uses() {
        Some(ip) if !network.subnet().contains(&ip) => return Err(Unanswered::ForeignAddress).into(),
        // The relay knows where it came from.
        None if client.giaddr.is_unspecified() => return Err(Unanswered::NoAddress).into(),
        Some(_) | None => {}
    }
    Ok(ReplyContent::new(ReplyKind::Ack, boot_file(client, urls))).into()
}

fn nak() -> ReplyContent {
    ReplyContent::new(ReplyKind::Nak, BootFile::None)
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
        address,
        lease_seconds: Some(network.lease_seconds(client)),
        ..ReplyContent::new(kind, boot_file(client, urls))
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
    let on_link =
        |ip: &Ipv4Addr| network.is_local() && network.subnet().contains(ip) && !client.chaddr.is_junk();
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

//! The answer to a DHCP message: a reply, or the reason for silence, and the change of the lease.

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
    /// To an address on our link, port 68. Needs the link address `PxeClient::chaddr`, since the client does
    /// not have the address yet or does not answer ARP.
    Link(Ipv4Addr),
}

/// The network a client is on. By [`PxeClient::selected`], unless the network there ignores that; else by the
/// relay's address. Without a relay, by the address the client uses, since machines behind a relay renew and
/// release without it (RFC 2131, 4.3.6); else the local one of `networks`, which are those served through the
/// interface the message came in by.
///
/// # Errors
/// [`Unanswered::UnknownNetwork`], or behind a relay [`Unanswered::UnknownRelay`].
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

/// The NAK for a REQUEST that accepts an offer of `server`, ours, behind a relay that matches no network: the
/// client should start over at once.
pub fn refused_elsewhere(client: &PxeClient, server: Ipv4Addr) -> Option<ReplyContent> {
    let ours = client.message == MessageKind::Request && client.server_id == Some(server);
    (ours && !client.to_boot_server).then(nak)
}

/// Decides about one message. `target` is the boot target, which counts only for clients that netboot. An
/// observed network never answers: [`would_answer`] tells what it would.
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

/// What an observed network would answer as a server, or as a proxy if it has no addresses to hand out.
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
    // A binding that is still valid stays one: a repeated DISCOVER must not shorten it.
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
    // RENEWING and REBINDING: the address in use. SELECTING and INIT-REBOOT: option 50. A client that accepts
    // our offer without naming an address means the one it was offered; one that wants to keep an address
    // without naming it must start over.
    let wanted = client.uses().or(client.requested);
    let unsaid = wanted.is_none() && !selecting;
    // An address of another subnet is wrong here, whoever gave it (RFC 2131, 4.3.2). Another server may have
    // given an address of this subnet that we do not know.
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
        // It may not have that address. A NAK makes it start over at once instead of waiting for a timeout.
        Ok(_) | Err(_) => Ok(nak()).into(),
    }
}

/// Whether the message names no server, or us, or the relay that stands for us (RFC 5107).
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
    // A DECLINE must name its server (RFC 2131, table 5).
    if client.server_id.is_none() || !for_us(client, network) {
        return Err(Unanswered::OtherServer).into();
    }
    // Only the machine that was given the address may quarantine it: strangers must not empty the pool.
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

/// How to probe whether an address is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// On our own link: no host can hide from it.
    Arp,
    /// Behind a relay, where ARP does not reach. A host may be configured not to answer.
    Echo,
}

/// How to probe the address of an OFFER, or of an ACK without a previous OFFER. Not needed if it is
/// `reserved` for the machine, or if the machine had it last. `before`: the machine's lease before the
/// answer.
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

/// How to probe addresses of a network; `None`: probing is disabled. On our own link it is always ARP, even
/// if the machine uses a relay there: pings would first fill the kernel's neighbour table.
pub fn probe_of(network: &Network) -> Option<Probe> {
    let way = if network.is_local() {
        Probe::Arp
    } else {
        Probe::Echo
    };
    network.settings().probe_addresses.then_some(way)
}

/// The bound lease that a RELEASE or DECLINE is about, if the machine it names holds it.
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

/// Quarantines an address for an hour: a host answered for it although we gave it to nobody.
pub fn quarantine(mac: Mac, ip: Ipv4Addr, now: UnixMs) -> LeaseChange {
    LeaseChange::Insert(Lease {
        mac,
        ip,
        expires: now.plus_seconds(DECLINE_SECONDS),
        state: LeaseState::Declined,
    })
}

/// Where the reply goes. (From the boot server's port, it goes back to the sender.)
pub fn destination(client: &PxeClient, network: &Network, content: &ReplyContent) -> Destination {
    if !client.giaddr.is_unspecified() {
        return Destination::Relay(client.giaddr);
    }
    // On our own link a frame reaches the hardware address, even if the client does not answer ARP.
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

//! The answer to a DHCP message: a reply, or the reason for silence, and the change of the lease.

use std::net::Ipv4Addr;

use inventory_api::boot::BootTarget;
use inventory_api::dhcp::DhcpReply;
use inventory_api::{Mac, UnixMs};

use crate::boot::{BootFile, BootUrls};
use crate::codes::Unanswered;
use crate::dhcp4::Decision;
use crate::dhcp4::boot_file::boot_file;
use crate::dhcp4::client::{MessageKind, PxeClient};
use crate::dhcp4::encode::ReplyContent;
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
    match network.mode() {
        Mode::Observe => Err(Unanswered::Observing).into(),
        mode => decide_as(mode, client, network, leases, target, urls, now),
    }
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
    let exchange = Exchange {
        client,
        network,
        leases,
        urls,
        now,
    };
    let decided = exchange.decide(mode, target);
    decided.unwrap_or_else(|why| Err(why).into())
}

/// A message, and what its answer depends on.
struct Exchange<'a> {
    client: &'a PxeClient,
    network: &'a Network,
    leases: &'a Leases,
    urls: &'a BootUrls,
    now: UnixMs,
}

impl Exchange<'_> {
    fn decide(&self, mode: Mode, target: BootTarget) -> Result<Decision, Unanswered> {
        let client = self.client;
        if client.kind.boots() && target == BootTarget::Ignore {
            return Err(Unanswered::Ignored);
        }
        if mode == Mode::Proxy || client.to_boot_server {
            return Ok(proxy::decide(client, self.network, self.urls, self.now));
        }
        match client.message {
            MessageKind::Discover => self.discover(),
            MessageKind::Request => self.request(),
            MessageKind::Release => self.release(),
            MessageKind::Decline => self.decline(),
            MessageKind::Inform => self.inform(),
        }
    }

    fn choose(&self, wish: Option<Ipv4Addr>) -> Result<Ipv4Addr, Unanswered> {
        let (client, addresses) = (self.client, self.network.addresses());
        choose_address(addresses, self.leases, client.mac, client.known, wish, self.now)
    }

    /// OFFER or ACK. Both carry the same boot data: EDK2 and iPXE read both.
    fn give(&self, kind: DhcpReply, address: Ipv4Addr) -> ReplyContent {
        ReplyContent {
            address,
            lease_seconds: Some(self.network.lease_seconds(self.client)),
            ..ReplyContent::new(kind, boot_file(self.client, self.urls))
        }
    }

    fn discover(&self) -> Result<Decision, Unanswered> {
        let ip = self.choose(self.client.requested)?;
        let mac = self.client.mac;
        // A binding that is still valid stays one: a repeated DISCOVER must not shorten it.
        let bound = self.leases.holder(ip, self.now) == Some(mac);
        let until = self.now.plus_seconds(OFFER_SECONDS);
        let offer = Lease::new(mac, ip, LeaseState::Offered, until);
        Ok(Decision {
            answer: Ok(self.give(DhcpReply::Offer, ip)),
            change: (!bound).then_some(LeaseChange::Insert(offer)),
        })
    }

    fn request(&self) -> Result<Decision, Unanswered> {
        let (client, network) = (self.client, self.network);
        let ours = self.leases.of(client.mac);
        let selecting = client.server_id.is_some() && client.uses().is_none();
        if !self.is_for_us() {
            return Ok(Decision::took_another_offer(ours));
        }
        // RENEWING and REBINDING: the address in use. SELECTING and INIT-REBOOT: option 50. A client that
        // accepts our offer without naming an address means the one it was offered; one that wants to keep an
        // address without naming it must start over.
        let wanted = client.uses().or(client.requested);
        let unsaid = wanted.is_none() && !selecting;
        // An address of another subnet is wrong here, whoever gave it (RFC 2131, 4.3.2). Another server may
        // have given an address of this subnet that we do not know.
        let moved = client.uses().is_none() && wanted.is_some_and(|ip| !network.subnet().contains(&ip));
        if unsaid || moved {
            return Ok(Ok(nak()).into());
        }
        let reserved = self.leases.reserved(network.addresses(), client.mac);
        if !selecting && ours.is_none() && reserved.is_none() {
            return Err(Unanswered::UnknownBinding);
        }
        match self.choose(wanted) {
            Ok(ip) if wanted.is_none_or(|wanted| wanted == ip) => {
                let content = self.give(DhcpReply::Ack, ip);
                let until = self.now.plus_seconds(content.lease_seconds.unwrap_or(0).into());
                let lease = Lease::new(client.mac, ip, LeaseState::Bound, until);
                Ok(Decision {
                    answer: Ok(content),
                    change: Some(LeaseChange::Bind(lease, client.client_mark())),
                })
            }
            Err(Unanswered::KeptForKnown) => Err(Unanswered::KeptForKnown),
            // It may not have that address. A NAK makes it start over at once instead of waiting for a
            // timeout.
            Ok(_) | Err(_) => Ok(Ok(nak()).into()),
        }
    }

    /// Whether the message names no server, or us, or the relay that stands for us (RFC 5107).
    fn is_for_us(&self) -> bool {
        let (client, ours) = (self.client, self.network.server());
        client
            .server_id
            .is_none_or(|server| server == ours || Some(server) == client.server_override())
    }

    /// The client's lease of `ip`. Only the machine that was given an address may give it up: strangers must
    /// not empty the pool.
    fn own_lease(&self, ip: Ipv4Addr) -> Option<Lease> {
        let (mac, mark) = (self.client.mac, self.client.client_mark());
        let lease = self.leases.of(mac).filter(|lease| lease.ip == ip);
        lease.filter(|_| self.leases.took(mac, mark))
    }

    fn release(&self) -> Result<Decision, Unanswered> {
        let lease = self.own_lease(self.client.ciaddr);
        let ours = lease.filter(|lease| lease.is_bound(self.now) && self.is_for_us());
        let lease = ours.ok_or(Unanswered::UnknownBinding)?;
        Ok(Decision {
            answer: Err(Unanswered::Released),
            change: Some(lease.change_to(LeaseState::Released, lease.expires)),
        })
    }

    fn decline(&self) -> Result<Decision, Unanswered> {
        let ip = self.client.requested.ok_or(Unanswered::NoAddress)?;
        // A DECLINE must name its server (RFC 2131, table 5).
        if self.client.server_id.is_none() || !self.is_for_us() {
            return Err(Unanswered::OtherServer);
        }
        let lease = self.own_lease(ip).filter(|lease| lease.holds(self.now));
        let lease = lease.ok_or(Unanswered::UnknownBinding)?;
        let seconds = self.network.settings().decline_seconds;
        Ok(Decision {
            answer: Err(Unanswered::Declined),
            change: Some(lease.change_to(LeaseState::Declined, self.now.plus_seconds(seconds.into()))),
        })
    }

    fn inform(&self) -> Result<Decision, Unanswered> {
        let client = self.client;
        match client.uses() {
            Some(ip) if !self.network.subnet().contains(&ip) => Err(Unanswered::ForeignAddress),
            // The relay knows where it came from.
            None if client.giaddr.is_unspecified() => Err(Unanswered::NoAddress),
            Some(_) | None => {
                let boot = boot_file(client, self.urls);
                Ok(Ok(ReplyContent::new(DhcpReply::Ack, boot)).into())
            }
        }
    }
}

fn nak() -> ReplyContent {
    ReplyContent::new(DhcpReply::Nak, BootFile::None)
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
        let asked_before = content.kind == DhcpReply::Ack && lease.state == LeaseState::Offered;
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
    let until = now.plus_seconds(DECLINE_SECONDS);
    LeaseChange::Insert(Lease::new(mac, ip, LeaseState::Declined, until))
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
        _ if content.kind == DhcpReply::Nak => Destination::Broadcast,
        Some(ip) if content.address == ip && on_link(&ip) => Destination::Link(ip),
        Some(ip) => Destination::Unicast(ip),
        None if content.proxy || client.wants_broadcast() || !on_link(&content.address) => {
            Destination::Broadcast
        }
        None => Destination::Link(content.address),
    }
}

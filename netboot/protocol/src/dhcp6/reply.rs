//! The answer to a DHCPv6 message: a reply, or the reason for silence, and the change of the lease.
//!
//! A machine has one address, by the MAC of the asking NIC, through all stages of a boot: their DUIDs and
//! association numbers differ. The first association gets it; others are told that there is none for them.

use std::net::Ipv6Addr;

use inventory_api::UnixMs;
use inventory_api::boot::BootTarget;
use inventory_api::dhcp::{DhcpAnswer, DhcpReply};

use super::client::{Association, Client, MessageKind};
use super::network::Network;
use crate::boot::architecture::ClientKind;
use crate::boot::loader::Loader;
use crate::boot::{BootFile, BootUrls};
use crate::codes::Unanswered;
use crate::network::lease::{Lease, LeaseChange, LeaseState, Leases, OFFER_SECONDS, choose_address};
use crate::network::settings::Mode;

/// A status code (RFC 8415, 21.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Success = 0,
    /// No address for this association.
    NoAddress = 2,
    /// We do not know this association's address.
    NoBinding = 3,
    /// The address does not belong to this link.
    NotOnLink = 4,
    /// It was sent unicast, which we did not allow.
    UseMulticast = 5,
}

impl Status {
    /// The stable short code, as in `BootEventKind::Dhcp`, and the text for the client.
    pub(super) fn words(self) -> (&'static str, &'static str) {
        match self {
            Status::Success => ("success", "done"),
            Status::NoAddress => ("no-address", "no address is available"),
            Status::NoBinding => ("no-binding", "not given by this server"),
            Status::NotOnLink => ("not-on-link", "not an address of this link"),
            Status::UseMulticast => ("use-multicast", "ask all servers, not only this one"),
        }
    }
}

/// The answer for one association.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssociationAnswer {
    /// Its number.
    pub id: u32,
    /// Addresses with their lease time in seconds; 0: not to be used any more.
    pub addresses: Vec<(Ipv6Addr, u32)>,
    /// What is wrong with it.
    pub status: Option<Status>,
}

/// What a reply says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Reply type.
    pub kind: DhcpReply,
    /// Associations.
    pub associations: Vec<AssociationAnswer>,
    /// Status of the whole message.
    pub status: Option<Status>,
    /// It answers a SOLICIT with a binding at once (RFC 8415, 18.3.1).
    pub rapid_commit: bool,
    /// Boot data.
    pub boot: BootFile,
}

impl Content {
    /// Its type and what is wrong, for events.
    pub fn answer(&self) -> DhcpAnswer {
        match self.status {
            Some(status) if status != Status::Success => {
                DhcpAnswer::Status(self.kind, status.words().0.to_owned())
            }
            _ => DhcpAnswer::Sent(self.kind),
        }
    }

    /// The address it gives or confirms.
    pub fn address(&self) -> Option<Ipv6Addr> {
        let all = self.associations.iter().flat_map(|answer| &answer.addresses);
        { all }.find_map(|(address, seconds)| (*seconds > 0).then_some(*address))
    }
}

/// The decision about a DHCPv6 message.
pub type Decision = crate::decision::Decision<Content, Ipv6Addr>;

/// The network a client is on: by the link address of its relays, else the local one of `networks`.
pub fn select_network<'a>(networks: &'a [Network], client: &Client) -> Result<&'a Network, Unanswered> {
    if client.relays.is_empty() {
        let local = networks.iter().find(|network| network.is_local());
        return local.ok_or(Unanswered::UnknownNetwork);
    }
    let of = |link| networks.iter().find(|network| network.prefix().contains(&link));
    client.link().and_then(of).ok_or(Unanswered::UnknownRelay)
}

/// Decides about one message. `duid`: our server identifier. `target`: the boot target, which counts only for
/// clients that netboot. An observed network never answers: [`would_decide`] tells what it would.
pub fn decide(
    client: &Client,
    network: &Network,
    duid: &[u8],
    leases: &Leases<Ipv6Addr>,
    target: BootTarget,
    urls: &BootUrls<Ipv6Addr>,
    now: UnixMs,
) -> Decision {
    if network.mode() == Mode::Observe {
        return Err(Unanswered::Observing).into();
    }
    would_decide(client, network, duid, leases, target, urls, now)
}

/// What an observed network would decide if it were served.
pub fn would_decide(
    client: &Client,
    network: &Network,
    duid: &[u8],
    leases: &Leases<Ipv6Addr>,
    target: BootTarget,
    urls: &BootUrls<Ipv6Addr>,
    now: UnixMs,
) -> Decision {
    if client.kind.boots() && target == BootTarget::Ignore {
        return Err(Unanswered::Ignored).into();
    }
    let server = Server {
        network,
        leases,
        now,
        boot: boot_file(client, urls),
    };
    if client.server_id.as_deref().is_some_and(|id| id != duid) {
        let ours = leases.of(client.mac);
        return Decision::took_another_offer(ours.filter(|_| client.message == MessageKind::Request));
    }
    if client.unicast {
        return server.unicast(client);
    }
    match client.message {
        MessageKind::Solicit => server.give(client, client.rapid_commit),
        MessageKind::Request => server.give(client, true),
        MessageKind::Renew | MessageKind::Rebind => server.keep(client),
        MessageKind::Confirm => server.confirm(client),
        MessageKind::Release => server.end(client, LeaseState::Released),
        MessageKind::Decline => server.end(client, LeaseState::Declined),
        MessageKind::InformationRequest => Ok(server.content(DhcpReply::Reply, Vec::new())).into(),
    }
}

struct Server<'a> {
    network: &'a Network,
    leases: &'a Leases<Ipv6Addr>,
    now: UnixMs,
    boot: BootFile,
}

impl Server<'_> {
    fn content(&self, kind: DhcpReply, associations: Vec<AssociationAnswer>) -> Content {
        Content {
            kind,
            associations,
            status: None,
            rapid_commit: false,
            boot: self.boot.clone(),
        }
    }

    fn status(&self, status: Status, associations: Vec<AssociationAnswer>) -> Content {
        Content {
            status: Some(status),
            boot: BootFile::None,
            ..self.content(DhcpReply::Reply, associations)
        }
    }

    /// A unicast message: we never allow it, since relays on the way would not see it (RFC 8415, 16 and
    /// 18.4).
    fn unicast(&self, client: &Client) -> Decision {
        if client.message.names_server() == Some(true) {
            Ok(self.status(Status::UseMulticast, Vec::new())).into()
        } else {
            Err(Unanswered::Unicast).into()
        }
    }

    fn seconds(&self, client: &Client) -> u32 {
        self.network.all().lease_seconds(client.kind)
    }

    /// SOLICIT and REQUEST. `bind`: the address is leased now, not only advertised.
    fn give(&self, client: &Client, bind: bool) -> Decision {
        let [first, others @ ..] = &client.associations[..] else {
            return Err(Unanswered::NoAddress).into();
        };
        let (network, leases, mac, known) = (self.network, self.leases, client.mac, client.known);
        let elsewhere = |address: &Ipv6Addr| !network.prefix().contains(address);
        // The client continues with an address of another link (RFC 8415, 18.3.2). In a SOLICIT it is only a
        // wish.
        if client.message == MessageKind::Request && first.addresses.iter().any(elsewhere) {
            let all = without_address(&client.associations, Status::NotOnLink);
            return Ok(self.content(DhcpReply::Reply, all)).into();
        }
        let solicited = client.message == MessageKind::Solicit;
        let wish = first.addresses.first().copied();
        let ip = match choose_address(network.addresses(), leases, mac, known, wish, self.now) {
            Ok(ip) => ip,
            // Another server may have one for it.
            Err(silence) if solicited => return Err(silence).into(),
            Err(_) => {
                let all = without_address(&client.associations, Status::NoAddress);
                return Ok(self.content(DhcpReply::Reply, all)).into();
            }
        };
        let seconds = self.seconds(client);
        let mut associations = vec![AssociationAnswer {
            id: first.id,
            addresses: vec![(ip, seconds)],
            status: None,
        }];
        associations.extend(without_address(others, Status::NoAddress));
        let (kind, expires, state) = if bind {
            (DhcpReply::Reply, seconds, LeaseState::Bound)
        } else {
            (DhcpReply::Advertise, OFFER_SECONDS as u32, LeaseState::Offered)
        };
        let mut content = self.content(kind, associations);
        content.rapid_commit = bind && solicited;
        // A binding that is still valid stays one: a repeated SOLICIT must not shorten it.
        let bound = leases.holder(ip, self.now) == Some(mac);
        let lease = Lease::new(mac, ip, state, self.now.plus_seconds(expires.into()));
        Decision {
            answer: Ok(content),
            change: (bind || !bound).then_some(LeaseChange::Insert(lease)),
        }
    }

    /// RENEW and REBIND.
    fn keep(&self, client: &Client) -> Decision {
        let (network, leases, mac) = (self.network, self.leases, client.mac);
        let binding = leases.of(mac).map(|lease| lease.ip);
        let addresses = network.addresses();
        let ours = binding.or(addresses.reservation(mac));
        // Another server may have given it, and a REBIND goes to all servers (RFC 8415, 18.3.5).
        if ours.is_none() && client.message == MessageKind::Rebind {
            return Err(Unanswered::UnknownBinding).into();
        }
        let kept = ours
            .filter(|&ip| choose_address(addresses, leases, mac, client.known, Some(ip), self.now) == Ok(ip));
        let seconds = self.seconds(client);
        let mut given = false;
        let answer = |association: &Association| {
            let addresses: Vec<(Ipv6Addr, u32)> = association
                .addresses
                .iter()
                .map(|&address| {
                    let this = !given && kept == Some(address);
                    given |= this;
                    (address, if this { seconds } else { 0 })
                })
                .collect();
            AssociationAnswer {
                id: association.id,
                status: addresses.is_empty().then_some(Status::NoBinding),
                addresses,
            }
        };
        let associations: Vec<AssociationAnswer> = client.associations.iter().map(answer).collect();
        let until = self.now.plus_seconds(seconds.into());
        let change = kept
            .filter(|_| given)
            .map(|ip| LeaseChange::Insert(Lease::new(mac, ip, LeaseState::Bound, until)));
        Decision {
            answer: Ok(self.content(DhcpReply::Reply, associations)),
            change,
        }
    }

    /// CONFIRM: whether the addresses fit the link, nothing else (RFC 8415, 18.3.3).
    fn confirm(&self, client: &Client) -> Decision {
        let mut addresses = client.associations.iter().flat_map(|a| &a.addresses).peekable();
        if addresses.peek().is_none() {
            return Err(Unanswered::NoAddress).into();
        }
        let fit = addresses.all(|&address| self.network.prefix().contains(&address));
        let status = if fit { Status::Success } else { Status::NotOnLink };
        Ok(self.status(status, Vec::new())).into()
    }

    /// RELEASE and DECLINE: always answered (RFC 8415, 18.3.7 and 18.3.8).
    fn end(&self, client: &Client, state: LeaseState) -> Decision {
        let held = self.leases.of(client.mac).filter(|lease| lease.holds(self.now));
        // Only the machine that was given the address may quarantine it: strangers must not empty the pool.
        let named =
            |association: &&Association| held.is_some_and(|lease| association.addresses.contains(&lease.ip));
        let (theirs, unknown): (Vec<_>, Vec<_>) = client.associations.iter().partition(named);
        let lease = held.filter(|_| !theirs.is_empty());
        let until = |lease: Lease<Ipv6Addr>| match state {
            LeaseState::Declined => self.now.plus_seconds(self.network.all().decline_seconds.into()),
            _ => lease.expires,
        };
        Decision {
            answer: Ok(self.status(Status::Success, without_address(unknown, Status::NoBinding))),
            change: lease.map(|lease| lease.change_to(state, until(lease))),
        }
    }
}

/// The answer for associations that get no address.
fn without_address<'a>(
    associations: impl IntoIterator<Item = &'a Association>,
    why: Status,
) -> Vec<AssociationAnswer> {
    let answer = |association: &Association| AssociationAnswer {
        id: association.id,
        addresses: Vec::new(),
        status: Some(why),
    };
    associations.into_iter().map(answer).collect()
}

/// The boot file for a client. A script contains a ticket bound to the mini-os's IPv4 address, so iPXE gets
/// no script here and asks DHCPv4 too. GRUB would wait for one at its prompt, so the signed chain is given by
/// IPv4 only: that is the next boot entry of firmware that refuses the loader.
fn boot_file(client: &Client, urls: &BootUrls<Ipv6Addr>) -> BootFile {
    let unsigned = |loader: &Loader| matches!(loader, Loader::Snponly | Loader::IpxeEfi | Loader::IpxeArm64);
    let first = || Loader::list(client.kind).iter().copied().find(unsigned);
    // Not every server has one for ARM.
    let sure = matches!(client.kind, ClientKind::UefiX64 | ClientKind::UefiX64Http);
    let loader = client
        .loader
        .filter(unsigned)
        .or_else(|| first().filter(|_| sure));
    match (client.kind, loader) {
        (ClientKind::UefiX64 | ClientKind::UefiArm64, Some(loader)) => {
            BootFile::Tftp(format!("tftp://[{}]/{}", urls.server, loader.file()).into())
        }
        (ClientKind::UefiX64Http | ClientKind::UefiArm64Http, Some(loader)) => {
            BootFile::Http(urls.file(loader.file()))
        }
        _ => BootFile::None,
    }
}

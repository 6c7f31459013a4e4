//! Other DHCP servers in a network: how we look for them, tell them from us, remember them, and react to
//! them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use dhcproto::v4::MAGIC;
use inventory_api::dhcp::DhcpReply;
use inventory_api::network::{Gives, OtherServer};
use inventory_api::{Mac, UnixMs};

use crate::codes::Unanswered;
use crate::decision::wire_type;
use crate::dhcp4::client::{MessageKind, PxeClient};
use crate::dhcp4::code;
use crate::dhcp4::packet::RawOptions;
use crate::network::lease::Leases;
use crate::network::settings::{Mode, NetworkSettings, OnForeignServer};
use crate::stranger::printable;

/// Seconds between two questions, after the first few.
pub const ASK_SECONDS: u64 = 60;
/// Seconds after which a server counts as gone: three unanswered questions.
const GONE_SECONDS: u64 = 3 * ASK_SECONDS + 10;
/// Servers remembered per network.
const MOST: usize = 16;
/// Two consecutive answers of one server are at most this many ms apart, and at least [`APART_MS`].
const IN_TURN_MS: u64 = (ASK_SECONDS + 15) * 1000;
/// Messages closer together than this count as one answer.
const APART_MS: u64 = 500;

/// Message types of a server's replies.
const REPLIES: [u8; 3] = [
    wire_type(DhcpReply::Offer),
    wire_type(DhcpReply::Ack),
    wire_type(DhcpReply::Nak),
];

/// An answer that some server sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerReply {
    /// The sender: for IPv4 according to option 54, for IPv6 the source address.
    pub server: IpAddr,
    /// What it hands out.
    pub gives: Gives,
    /// The boot file it names, printable and bounded.
    pub boot_file: Option<String>,
}

/// Reads an OFFER, ACK or NAK; `None` for anything else.
pub fn read_reply(bytes: &[u8]) -> Option<ServerReply> {
    let fixed = bytes.get(..240)?;
    if fixed[..3] != [2, 1, 6] || fixed[236..] != MAGIC || bytes.len() > crate::dhcp4::packet::MAX_BYTES {
        return None;
    }
    let options = RawOptions::of(&bytes[240..]);
    let kind = options.get(code::MESSAGE_TYPE)?.first()?;
    let server = options
        .address(code::SERVER_ID)
        .filter(|_| REPLIES.contains(kind))?;
    // An ACK to an INFORM has no address either, but servers that hand out addresses send no option 60 in it.
    let boot_only = fixed[16..20] == [0; 4] && options.get(code::VENDOR_CLASS).is_some();
    // Option 67, or the header's `file` field.
    let named = options.get(code::BOOT_FILE).unwrap_or(&fixed[108..236]);
    let named = printable(named.split(|byte| *byte == 0).next().unwrap_or_default());
    Some(ServerReply {
        server: server.into(),
        boot_file: (!named.is_empty()).then_some(named),
        gives: if boot_only {
            Gives::BootData
        } else {
            Gives::Addresses
        },
    })
}

/// A DISCOVER that looks for servers. `boots`: sent as UEFI firmware would, so that proxyDHCP servers answer
/// too.
pub fn question(mac: Mac, xid: u32, boots: bool) -> Vec<u8> {
    let mut bytes = vec![0; 236];
    bytes[..3].copy_from_slice(&[1, 1, 6]);
    bytes[4..8].copy_from_slice(&xid.to_be_bytes());
    bytes[10] = 0x80; // broadcast: we want to hear the answer whatever its address
    bytes[28..34].copy_from_slice(&mac.0);
    bytes.extend(MAGIC);
    let wanted = [
        code::SUBNET_MASK,
        code::ROUTERS,
        code::SERVER_ID,
        code::VENDOR_CLASS,
    ];
    bytes.extend([code::MESSAGE_TYPE, 1, 1, code::PARAMETER_LIST, wanted.len() as u8]);
    bytes.extend(wanted);
    if boots {
        let class = b"PXEClient:Arch:00007:UNDI:003000";
        bytes.extend([code::VENDOR_CLASS, class.len() as u8]);
        bytes.extend(class);
        // Architecture 7, and network interface UNDI 3.0 (option 94).
        bytes.extend([code::ARCHITECTURE, 2, 0, 7, 94, 3, 1, 3, 0]);
    }
    bytes.push(255);
    bytes.resize(bytes.len().max(300), 0);
    bytes
}

/// Whether we may hand out addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Yes.
    Open,
    /// Yes, but another server does too: an address we did not give may be its.
    Beside,
    /// We are still checking whether another server does.
    Looking,
    /// Another server does.
    Refused,
}

impl Gate {
    /// # Errors
    /// Why no address is given out.
    pub(crate) fn is_open(self) -> Result<(), Unanswered> {
        match self {
            Gate::Open | Gate::Beside => Ok(()),
            Gate::Looking => Err(Unanswered::Looking),
            Gate::Refused => Err(Unanswered::ForeignServer),
        }
    }
}

/// What another server's message changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The server.
    pub server: OtherServer,
    /// It was not known before.
    pub new: bool,
    /// From now on we offer no addresses.
    pub closes: bool,
    /// Probe it by ARP, and tell [`ForeignServers::proven`] the result.
    pub unproven: bool,
}

/// A server and the evidence for it. A single packet is easily forged: only a server that answers two
/// consecutive questions, and whose host answers ARP with the same link address, stops us from handing out
/// addresses.
#[derive(Clone, Debug)]
struct Candidate {
    server: OtherServer,
    /// Its last answer that counts.
    answered: UnixMs,
    /// Until when its consecutive answers are evidence enough; 0: they are not.
    steady_until: UnixMs,
    /// The link address that answered ARP for it.
    proven: Option<Mac>,
    /// It has been reported that it closes the gate.
    reported: bool,
}

impl Candidate {
    fn counts(&self, now: UnixMs) -> bool {
        self.server.gives == Gives::Addresses && now < self.steady_until && self.proven.is_some()
    }
}

/// What is known of other servers in one network.
#[derive(Clone, Debug)]
pub struct ForeignServers {
    /// Whether we can receive their frames.
    pub listens: bool,
    mode: Mode,
    refuses: bool,
    look_until: UnixMs,
    servers: BTreeMap<IpAddr, Candidate>,
}

impl ForeignServers {
    /// A network where other servers cannot be heard: behind relays, or without the privilege. `mode`: that
    /// of the protocol in question.
    pub fn unheard(mode: Mode, settings: &NetworkSettings) -> ForeignServers {
        ForeignServers {
            listens: false,
            mode,
            refuses: settings.on_foreign_server == OnForeignServer::Refuse,
            look_until: UnixMs(0),
            servers: BTreeMap::new(),
        }
    }

    /// Starts to look for other servers now.
    pub fn new(mode: Mode, settings: &NetworkSettings, now: UnixMs) -> ForeignServers {
        ForeignServers {
            listens: true,
            look_until: now.plus_seconds(u64::from(settings.look_seconds)),
            ..ForeignServers::unheard(mode, settings)
        }
    }

    /// Records a message of another server; `None`: too many are known already.
    pub fn heard(&mut self, reply: &ServerReply, link: Mac, now: UnixMs) -> Option<Sighting> {
        let address = self.known_as(reply.server, link);
        let new = !self.servers.contains_key(&address);
        if new && self.servers.len() >= MOST {
            return None;
        }
        let first = OtherServer {
            address: reply.server,
            mac: link,
            gives: reply.gives,
            boot_file: reply.boot_file.clone(),
            first_seen: now,
            last_seen: now,
        };
        let known = self.servers.entry(address).or_insert(Candidate {
            server: first,
            answered: now,
            steady_until: UnixMs(0),
            proven: None,
            reported: false,
        });
        (known.server.mac, known.server.last_seen) = (link, now);
        if reply.gives == Gives::Addresses {
            known.server.gives = Gives::Addresses;
        }
        if reply.boot_file.is_some() {
            known.server.boot_file.clone_from(&reply.boot_file);
        }
        let apart = now.since(known.answered);
        if apart >= APART_MS && known.proven.is_none_or(|proven| proven == link) {
            if apart <= IN_TURN_MS {
                known.steady_until = now.plus_seconds(GONE_SECONDS);
            }
            known.answered = now;
        }
        let unproven = known.proven != Some(link);
        let server = known.server.clone();
        let closes = self.closes(address, now);
        Some(Sighting {
            server,
            new,
            closes,
            unproven,
        })
    }

    /// `link` answered ARP for a server. Returns the server if this closes the gate.
    pub fn proven(&mut self, address: IpAddr, link: Mac, now: UnixMs) -> Option<OtherServer> {
        let address = self.known_as(address, link);
        let known = self.servers.get_mut(&address)?;
        if known.server.mac == link {
            known.proven = Some(link);
        }
        let server = known.server.clone();
        self.closes(address, now).then_some(server)
    }

    /// The address a server is known by. An IPv6 server answers from several addresses of its NIC.
    fn known_as(&self, address: IpAddr, link: Mac) -> IpAddr {
        let same = |(known, one): &(&IpAddr, &Candidate)| known.is_ipv6() && one.server.mac == link;
        let other = self.servers.iter().find(same).filter(|_| address.is_ipv6());
        other.map_or(address, |(known, _)| *known)
    }

    /// Whether to report now that a server closes the gate.
    fn closes(&mut self, address: IpAddr, now: UnixMs) -> bool {
        let closes = self.mode == Mode::Server && self.refuses;
        match self.servers.get_mut(&address) {
            Some(known) if closes && known.counts(now) => !std::mem::replace(&mut known.reported, true),
            _ => false,
        }
    }

    /// Forgets and returns servers not heard for [`GONE_SECONDS`].
    pub fn expire(&mut self, now: UnixMs) -> Vec<OtherServer> {
        let gone = |known: &Candidate| known.server.last_seen.plus_seconds(GONE_SECONDS) <= now;
        let out: Vec<_> = self
            .servers
            .values()
            .filter(|known| gone(known))
            .map(|known| known.server.clone())
            .collect();
        self.servers.retain(|_, known| !gone(known));
        out
    }

    /// The current servers, by address.
    pub fn servers(&self) -> impl Iterator<Item = &OtherServer> {
        self.servers.values().map(|known| &known.server)
    }

    /// Whether we may hand out addresses now.
    pub fn gate(&self, now: UnixMs) -> Gate {
        let counts = self.servers.values().any(|known| known.counts(now));
        let gives = |known: &Candidate| known.server.gives == Gives::Addresses;
        let heard = self.servers.values().any(gives);
        if self.mode != Mode::Server {
            Gate::Open
        } else if counts && self.refuses {
            Gate::Refused
        } else if now < self.look_until {
            Gate::Looking
        } else if heard {
            Gate::Beside
        } else {
            Gate::Open
        }
    }
}

/// Whether a message may be answered in the gate's state. Addresses we gave stay given: their machines may
/// keep them, and start over with them while we look.
pub fn pass(gate: Gate, client: &PxeClient, leases: &Leases, now: UnixMs) -> Result<(), Unanswered> {
    // INIT-REBOOT: a NAK of ours would take the other server's clients off the network.
    let reboots =
        client.message == MessageKind::Request && client.server_id.is_none() && client.uses().is_none();
    if gate == Gate::Beside && reboots && leases.of(client.mac).is_none() {
        return Err(Unanswered::UnknownBinding);
    }
    let Err(closed) = gate.is_open() else {
        return Ok(());
    };
    let has = leases.of(client.mac).filter(|lease| lease.is_bound(now));
    let keeps = match client.message {
        MessageKind::Discover => has.is_some() && gate == Gate::Looking,
        MessageKind::Request => {
            has.is_some_and(|lease| client.requested == Some(lease.ip) || client.ciaddr == lease.ip)
        }
        // No answer, or one without an address.
        MessageKind::Release | MessageKind::Decline | MessageKind::Inform => true,
    };
    if keeps || client.to_boot_server {
        Ok(())
    } else {
        Err(closed)
    }
}

#[cfg(test)]
mod tests;

//! Who is asking by DHCPv6: from a datagram to a [`Client`].

use std::net::{IpAddr, Ipv6Addr};

use inventory_api::Mac;
use inventory_api::boot::DhcpFacts;

use super::wire::{Options, code, first_text};
use crate::boot::architecture::ClientKind;
use crate::boot::loader::Loader;
use crate::codes::Unanswered;
use crate::dhcp4::client::{SelfDescription, architectures, kind};
use crate::dhcp4::code as dhcp4;
use crate::dhcp4::packet::{MAX_BYTES, RawOptions};
use crate::message::message_kinds;
use crate::stranger::{Asker, Stranger, stranger};

/// RFC 8415, 7.6: HOP_COUNT_LIMIT.
const MOST_RELAYS: usize = 8;
/// Associations and addresses of one message that are read; firmware has one of each.
const MOST_ASSOCIATIONS: usize = 8;
const MOST_ADDRESSES: usize = 8;
/// RFC 8415, 11.1: a DUID has at most 128 bytes after its type.
const LONGEST_DUID: usize = 130;

message_kinds! {
    /// Is there a server?
    Solicit = 1;
    /// Take what was advertised.
    Request = 3;
    /// Is the address still right on this link?
    Confirm = 4;
    /// Keep the address; sent to its server.
    Renew = 5;
    /// Keep the address; sent to any server.
    Rebind = 6;
    /// The address is given back.
    Release = 8;
    /// The address is in use by another host.
    Decline = 9;
    /// Settings without an address.
    InformationRequest = 11;
}

impl MessageKind {
    /// Whether the message must name a server (RFC 8415, 16). The others must not, except
    /// INFORMATION-REQUEST, which may.
    pub(super) fn names_server(self) -> Option<bool> {
        match self {
            MessageKind::Request | MessageKind::Renew | MessageKind::Release | MessageKind::Decline => {
                Some(true)
            }
            MessageKind::Solicit | MessageKind::Confirm | MessageKind::Rebind => Some(false),
            MessageKind::InformationRequest => None,
        }
    }
}

/// One identity association for addresses (IA_NA).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Association {
    /// The client's number for it.
    pub id: u32,
    /// Addresses it has or would like.
    pub addresses: Vec<Ipv6Addr>,
}

/// A relay that the message came through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// Hop count.
    pub hops: u8,
    /// Its address on the client's link; unspecified if the interface identifier tells the link.
    pub link: Ipv6Addr,
    /// Where it received the message from.
    pub peer: Ipv6Addr,
    /// Option 18, echoed unchanged.
    pub interface_id: Option<Vec<u8>>,
}

/// A client and its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// MAC of the NIC that asks: the identity, as in DHCPv4.
    pub mac: Mac,
    /// The kind of program that asks.
    pub kind: ClientKind,
    /// What it asks for.
    pub message: MessageKind,
    /// The machine is enrolled. Set by the receiver.
    pub known: bool,
    /// The loader to give; `None`: the first for its kind. Set from the loader history.
    pub loader: Option<Loader>,
    /// Transaction id.
    pub xid: [u8; 3],
    /// Client identifier; only an INFORMATION-REQUEST may lack it.
    pub duid: Option<Vec<u8>>,
    /// Server identifier.
    pub server_id: Option<Vec<u8>>,
    /// It accepts a REPLY to its SOLICIT.
    pub rapid_commit: bool,
    /// It was sent to one of our addresses, without a relay. Set by the receiver.
    pub unicast: bool,
    /// Option 39 (RFC 4704): its name.
    pub fqdn: Option<Vec<u8>>,
    /// What it wants addresses for.
    pub associations: Vec<Association>,
    /// Option 61, at most 16 entries.
    pub architectures: Vec<u16>,
    /// First text of option 16.
    pub vendor_class: Vec<u8>,
    /// Relays, the nearest to us first.
    pub relays: Vec<Relay>,
}

impl Client {
    /// The address that identifies the client's link: that of the nearest relay to it that has one. `None`:
    /// our own link.
    pub fn link(&self) -> Option<Ipv6Addr> {
        let links = self.relays.iter().rev().map(|relay| relay.link);
        links.into_iter().find(|link| !link.is_unspecified())
    }

    /// Who asks and what the message says, for the log and the journey.
    pub fn asker(&self) -> Asker {
        let stranger = self.stranger();
        let relay = |relay: &Relay| IpAddr::V6(self.link().unwrap_or(relay.peer));
        let mut wants = self.associations.iter().flat_map(|one| &one.addresses);
        Asker {
            mac: self.mac,
            known: self.known,
            message: self.message.into(),
            // Firmware asks by both protocols, and they differ in what works.
            client: format!("{}-v6", stranger.client(self.kind)),
            facts: DhcpFacts {
                relay: self.relays.first().map(relay),
                wants: wants.next().map(|ip| IpAddr::V6(*ip)),
                ..stranger.facts(self.kind, &self.vendor_class, &self.architectures)
            },
        }
    }

    /// By vendor class and DUID, as in DHCPv4 by an option 61 that contains one (RFC 4361).
    fn stranger(&self) -> Stranger {
        let mut field = Vec::new();
        let id = [&[0xff, 0, 0, 0, 0][..], self.duid.as_deref().unwrap_or_default()].concat();
        for (code, value) in [(dhcp4::VENDOR_CLASS, &self.vendor_class), (dhcp4::CLIENT_ID, &id)] {
            let value = &value[..value.len().min(255)];
            field.extend([code, value.len() as u8]);
            field.extend(value);
        }
        stranger(&RawOptions::of(&field), &self.architectures)
    }

    /// The outermost relay, which sent us the message, and the port name on it: like option 82 in DHCPv4.
    pub fn circuit(&self, from: Ipv6Addr) -> Option<(IpAddr, &Vec<u8>)> {
        let relay = self.relays.first()?;
        Some((from.into(), relay.interface_id.as_ref()?))
    }

    /// Whether firmware starts to look for a loader with this message. iPXE, which also asks if routers say
    /// so, is a running loader.
    pub fn restarts(&self) -> bool {
        self.message == MessageKind::Solicit && !matches!(self.kind, ClientKind::Ipxe { .. })
    }
}

/// Who asks, or why we ignore the datagram. `from`: the sender's address.
pub fn classify(bytes: &[u8], from: Ipv6Addr) -> Result<Client, Unanswered> {
    if bytes.len() > MAX_BYTES {
        return Err(Unanswered::TooLong);
    }
    let inner = unwrap(bytes, from)?;
    let (head, rest) = inner
        .message
        .split_first_chunk::<4>()
        .ok_or(Unanswered::TooShort)?;
    let kind_of_message = MessageKind::of(head[0]).ok_or(Unanswered::MessageType)?;
    let options = Options(rest);
    let duid = options.get(code::CLIENT_ID);
    if duid.is_some_and(|duid| !(3..=LONGEST_DUID).contains(&duid.len()))
        || (duid.is_none() && kind_of_message != MessageKind::InformationRequest)
    {
        return Err(Unanswered::NoClientId);
    }
    let server_id = options.get(code::SERVER_ID);
    if kind_of_message
        .names_server()
        .is_some_and(|names| names != server_id.is_some())
    {
        return Err(Unanswered::ServerId);
    }
    if kind_of_message == MessageKind::InformationRequest && options.get(code::IA_NA).is_some() {
        return Err(Unanswered::Association);
    }
    let mac = inner
        .link_address
        .or(interface_mac(inner.peer))
        .or(duid.and_then(duid_mac));
    let mac = mac.filter(|mac| !mac.is_junk()).ok_or(Unanswered::NoMac)?;
    let architectures = architectures(options.get(code::ARCHITECTURE));
    // After the enterprise number, which does not matter: PXE firmware sends 343, Windows 311.
    let vendor = options.get(code::VENDOR_CLASS).and_then(|value| value.get(4..));
    let vendor = vendor.and_then(first_text).unwrap_or_default();
    let user_class = options.get(code::USER_CLASS).and_then(first_text);
    Ok(Client {
        mac,
        kind: kind(&SelfDescription {
            vendor,
            user_class: user_class.unwrap_or_default(),
            features: None,
            architectures: &architectures,
            mac,
        }),
        message: kind_of_message,
        known: false,
        loader: None,
        xid: [head[1], head[2], head[3]],
        duid: duid.map(<[u8]>::to_vec),
        server_id: server_id.map(<[u8]>::to_vec),
        rapid_commit: options.get(code::RAPID_COMMIT).is_some(),
        unicast: false,
        fqdn: options
            .get(code::FQDN)
            .filter(|name| name.len() <= 256)
            .map(<[u8]>::to_vec),
        associations: options
            .filter(|(code, _)| *code == code::IA_NA)
            .filter_map(|(_, value)| association(value))
            .take(MOST_ASSOCIATIONS)
            .collect(),
        vendor_class: vendor.to_vec(),
        architectures,
        relays: inner.relays,
    })
}

/// A message without the envelopes of its relays.
struct Unwrapped<'a> {
    message: &'a [u8],
    /// The sender of the message itself.
    peer: Ipv6Addr,
    relays: Vec<Relay>,
    /// The client's, if the relay nearest to it says so (RFC 6939).
    link_address: Option<Mac>,
}

fn unwrap(bytes: &[u8], from: Ipv6Addr) -> Result<Unwrapped<'_>, Unanswered> {
    let mut inner = Unwrapped {
        message: bytes,
        peer: from,
        relays: Vec::new(),
        link_address: None,
    };
    while let [12, ..] = inner.message {
        if inner.relays.len() == MOST_RELAYS {
            return Err(Unanswered::TooManyRelays);
        }
        let envelope = inner.message.split_first_chunk::<34>();
        let (head, rest) = envelope.ok_or(Unanswered::TooShort)?;
        let address = |at: usize| {
            let mut bytes = [0; 16];
            bytes.copy_from_slice(&head[at..at + 16]);
            Ipv6Addr::from(bytes)
        };
        let options = Options(rest);
        inner.peer = address(18);
        inner.link_address = options.get(code::CLIENT_LINK_ADDRESS).and_then(ethernet);
        inner.relays.push(Relay {
            hops: head[1],
            link: address(2),
            peer: inner.peer,
            interface_id: options.get(code::INTERFACE_ID).map(<[u8]>::to_vec),
        });
        inner.message = options
            .get(code::RELAY_MESSAGE)
            .ok_or(Unanswered::NothingRelayed)?;
    }
    Ok(inner)
}

/// IAID, T1 and T2, then options (RFC 8415, 21.4).
fn association(value: &[u8]) -> Option<Association> {
    let (head, rest) = value.split_first_chunk::<12>()?;
    let addresses = Options(rest)
        .filter(|(code, _)| *code == code::IA_ADDRESS)
        .filter_map(|(_, value)| value.first_chunk::<16>())
        .map(|bytes| Ipv6Addr::from(*bytes));
    Some(Association {
        id: u32::from_be_bytes([head[0], head[1], head[2], head[3]]),
        addresses: addresses.take(MOST_ADDRESSES).collect(),
    })
}

/// Hardware type 1 and six bytes.
fn ethernet(value: &[u8]) -> Option<Mac> {
    match value {
        [0, 1, mac @ ..] => Some(Mac(mac.try_into().ok()?)),
        _ => None,
    }
}

/// The MAC that a link-local address was made from (RFC 4291, appendix A). EDK2 and iPXE make theirs this
/// way, while their DUID is the system's UUID, which does not tell the NIC. If both tell one, this is the NIC
/// that asks: a DUID may have been made from another NIC of the machine (RFC 6939, 1).
fn interface_mac(address: Ipv6Addr) -> Option<Mac> {
    let bytes = address.octets();
    let [0xfe, 0x80, 0, 0, 0, 0, 0, 0, a, b, c, 0xff, 0xfe, d, e, f] = bytes else {
        return None;
    };
    Some(Mac([a ^ 2, b, c, d, e, f]))
}

/// The MAC in a DUID: link-layer address plus time (1), or link-layer address (3).
fn duid_mac(duid: &[u8]) -> Option<Mac> {
    match duid {
        [0, 1, hardware_type @ ..] => {
            let (kind, rest) = hardware_type.split_at_checked(2)?;
            ethernet(&[kind, rest.get(4..)?].concat())
        }
        [0, 3, rest @ ..] => ethernet(rest),
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod tests;

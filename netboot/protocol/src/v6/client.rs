//! Who is asking by DHCPv6: from a datagram to a [`Client`].

use std::net::{IpAddr, Ipv6Addr};

use inventory_api::Mac;
use inventory_api::boot::DhcpFacts;

use super::wire::{Options, code, first_text};
use crate::client::{ClientKind, Said, kind};
use crate::loader::Loader;
use crate::packet::{MAX_BYTES, RawOptions};
use crate::stranger::{Stranger, printable, stranger};

/// RFC 8415, 7.6: HOP_COUNT_LIMIT.
const MOST_RELAYS: usize = 8;
/// Associations and addresses of one message that are looked at; firmware has one of each.
const MOST_ASSOCIATIONS: usize = 8;
const MOST_ADDRESSES: usize = 8;
/// RFC 8415, 11.1: a DUID has at most 128 bytes behind its type.
const LONGEST_DUID: usize = 130;

/// What a message asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// Is there a server?
    Solicit,
    /// Take what was advertised.
    Request,
    /// Is the address still right on this link?
    Confirm,
    /// Keep the address, asked of its server.
    Renew,
    /// Keep the address, asked of any server.
    Rebind,
    /// The address is given back.
    Release,
    /// The address is in use by somebody else.
    Decline,
    /// Settings without an address.
    InformationRequest,
}

impl MessageKind {
    fn of(code: u8) -> Option<MessageKind> {
        Some(match code {
            1 => MessageKind::Solicit,
            3 => MessageKind::Request,
            4 => MessageKind::Confirm,
            5 => MessageKind::Renew,
            6 => MessageKind::Rebind,
            8 => MessageKind::Release,
            9 => MessageKind::Decline,
            11 => MessageKind::InformationRequest,
            _ => return None,
        })
    }

    /// Lower-case name, as in `BootEventKind::Dhcp`.
    pub fn name(self) -> &'static str {
        match self {
            MessageKind::Solicit => "solicit",
            MessageKind::Request => "request",
            MessageKind::Confirm => "confirm",
            MessageKind::Renew => "renew",
            MessageKind::Rebind => "rebind",
            MessageKind::Release => "release",
            MessageKind::Decline => "decline",
            MessageKind::InformationRequest => "information-request",
        }
    }

    /// Whether the message has to name a server (RFC 8415, 16); the others must not, but for INFORMATION-REQUEST, which may.
    fn names_server(self) -> Option<bool> {
        match self {
            MessageKind::Request | MessageKind::Renew | MessageKind::Release | MessageKind::Decline => {
                Some(true)
            }
            MessageKind::Solicit | MessageKind::Confirm | MessageKind::Rebind => Some(false),
            MessageKind::InformationRequest => None,
        }
    }
}

/// Why a datagram is not for us. Codes are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotForUs {
    /// Shorter than a header.
    TooShort,
    /// Longer than an Ethernet packet.
    TooLong,
    /// A message that no client or relay sends to a server, or that we do not serve.
    MessageType(u8),
    /// More relays than RFC 8415 allows.
    TooManyRelays,
    /// A relayed message without the message.
    NothingRelayed,
    /// Without a client identifier, or one that cannot be (RFC 8415, 16).
    NoClientId,
    /// It names a server and must not, or does not and has to (RFC 8415, 16).
    ServerId,
    /// It asks for settings alone and has an association (RFC 8415, 16.12).
    Association,
    /// Nothing in it tells the address of its NIC: a DUID without one, and a link-local address that was not made from one.
    NoMac,
}

impl NotForUs {
    /// Stable short code.
    pub fn code(self) -> &'static str {
        crate::codes::Unanswered::from(self).code()
    }
}

/// One identity association for addresses (IA_NA).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Association {
    /// The client's number of it.
    pub id: u32,
    /// Addresses that it has or wishes.
    pub addresses: Vec<Ipv6Addr>,
}

/// A relay that the message came through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// Hop count.
    pub hops: u8,
    /// Its address on the client's link; unspecified when it leaves that to the interface identifier.
    pub link: Ipv6Addr,
    /// Where it heard the message from.
    pub peer: Ipv6Addr,
    /// Option 18, to be given back as it is.
    pub interface_id: Option<Vec<u8>>,
}

/// A client and what it asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Address of the NIC that asks: the identity, as in DHCPv4.
    pub mac: Mac,
    /// What kind of program asks.
    pub kind: ClientKind,
    /// What it asks for.
    pub message: MessageKind,
    /// The machine is enrolled. Said by who knows the machines.
    pub known: bool,
    /// The loader whose turn it is; `None`: the first for its kind. Said by who remembers what became of the last.
    pub loader: Option<Loader>,
    /// Transaction.
    pub xid: [u8; 3],
    /// Client identifier; only an INFORMATION-REQUEST can have none.
    pub duid: Option<Vec<u8>>,
    /// Server identifier.
    pub server_id: Option<Vec<u8>>,
    /// It takes a REPLY to its SOLICIT.
    pub rapid_commit: bool,
    /// It was sent to an address of ours, past the relays. Said by who received it.
    pub unicast: bool,
    /// Option 39 (RFC 4704): the name it has.
    pub fqdn: Option<Vec<u8>>,
    /// What it wants addresses for.
    pub associations: Vec<Association>,
    /// Option 61, at most 16 entries.
    pub architectures: Vec<u16>,
    /// First text of option 16.
    pub vendor_class: Vec<u8>,
    /// Relays, the one nearest to us first.
    pub relays: Vec<Relay>,
}

impl Client {
    /// The address that says which link the client is on: that of the relay nearest to it which has one. `None`: our own link.
    pub fn link(&self) -> Option<Ipv6Addr> {
        let links = self.relays.iter().rev().map(|relay| relay.link);
        links.into_iter().find(|link| !link.is_unspecified())
    }

    /// Who asks, as a stable short code: `BootEventKind::Dhcp`.
    pub fn code(&self) -> String {
        match self.kind {
            ClientKind::Other => format!("{}-v6", self.stranger().code()),
            kind => client_name(kind),
        }
    }

    /// By the vendor class and the DUID, as in DHCPv4 by option 61 that has one (RFC 4361).
    fn stranger(&self) -> Stranger {
        let mut field = Vec::new();
        let id = [&[0xff, 0, 0, 0, 0][..], self.duid.as_deref().unwrap_or_default()].concat();
        for (code, value) in [(60, &self.vendor_class), (61, &id)] {
            let value = &value[..value.len().min(255)];
            field.extend([code, value.len() as u8]);
            field.extend(value);
        }
        stranger(&RawOptions::of(&field), &self.architectures)
    }

    /// What the message says beside its kind, for the journey.
    pub fn facts(&self) -> DhcpFacts {
        let wants = self
            .associations
            .iter()
            .flat_map(|association| &association.addresses);
        DhcpFacts {
            relay: self
                .relays
                .first()
                .map(|relay| IpAddr::V6(self.link().unwrap_or(relay.peer))),
            wants: wants.into_iter().next().map(|ip| IpAddr::V6(*ip)),
            architecture: self.architectures.first().copied(),
            who: (self.kind == ClientKind::Other).then(|| self.stranger().name()),
            vendor: (!self.vendor_class.is_empty()).then(|| printable(&self.vendor_class)),
            ..DhcpFacts::default()
        }
    }

    /// Whether firmware begins to look for a loader with this. iPXE, which asks too where the routers say so, is one that runs.
    pub fn begins_anew(&self) -> bool {
        self.message == MessageKind::Solicit && !matches!(self.kind, ClientKind::Ipxe { .. })
    }
}

/// The name of a kind of client in `BootEventKind::Dhcp`: firmware asks by both protocols, and they differ in what works.
pub fn client_name(kind: ClientKind) -> String {
    format!("{}-v6", kind.code())
}

/// Who asks, or why the datagram is none of our business. `from`: the sender's address.
pub fn classify(bytes: &[u8], from: Ipv6Addr) -> Result<Client, NotForUs> {
    if bytes.len() > MAX_BYTES {
        return Err(NotForUs::TooLong);
    }
    let (mut message, mut peer) = (bytes, from);
    let (mut relays, mut told) = (Vec::new(), None);
    while let [12, ..] = message {
        if relays.len() == MOST_RELAYS {
            return Err(NotForUs::TooManyRelays);
        }
        let (head, rest) = message.split_first_chunk::<34>().ok_or(NotForUs::TooShort)?;
        let address = |at: usize| {
            let mut bytes = [0; 16];
            bytes.copy_from_slice(&head[at..at + 16]);
            Ipv6Addr::from(bytes)
        };
        let options = Options(rest);
        peer = address(18);
        // The relay nearest to the client has heard its link address itself (RFC 6939).
        told = options.get(code::CLIENT_LINK_ADDRESS).and_then(ethernet);
        relays.push(Relay {
            hops: head[1],
            link: address(2),
            peer,
            interface_id: options.get(code::INTERFACE_ID).map(<[u8]>::to_vec),
        });
        message = options.get(code::RELAY_MESSAGE).ok_or(NotForUs::NothingRelayed)?;
    }
    let (head, rest) = message.split_first_chunk::<4>().ok_or(NotForUs::TooShort)?;
    let kind_of_message = MessageKind::of(head[0]).ok_or(NotForUs::MessageType(head[0]))?;
    let options = Options(rest);
    let duid = options.get(code::CLIENT_ID);
    if duid.is_some_and(|duid| !(3..=LONGEST_DUID).contains(&duid.len()))
        || (duid.is_none() && kind_of_message != MessageKind::InformationRequest)
    {
        return Err(NotForUs::NoClientId);
    }
    let server_id = options.get(code::SERVER_ID);
    if kind_of_message
        .names_server()
        .is_some_and(|names| names != server_id.is_some())
    {
        return Err(NotForUs::ServerId);
    }
    if kind_of_message == MessageKind::InformationRequest && options.get(code::IA_NA).is_some() {
        return Err(NotForUs::Association);
    }
    let mac = told.or(interface_mac(peer)).or(duid.and_then(duid_mac));
    let mac = mac.filter(|mac| !mac.is_junk()).ok_or(NotForUs::NoMac)?;
    let pairs = |code: u16, most: usize| -> Vec<u16> {
        let value = options.get(code).unwrap_or_default();
        let pairs = value.chunks_exact(2).take(most);
        pairs.map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
    };
    let architectures = pairs(code::ARCHITECTURE, 16);
    // Behind the enterprise number; its own does not matter: 343 of PXE firmware, 311 of Windows.
    let vendor = options.get(code::VENDOR_CLASS).and_then(|value| value.get(4..));
    let vendor = vendor.and_then(first_text).unwrap_or_default();
    let user_class = options.get(code::USER_CLASS).and_then(first_text);
    Ok(Client {
        mac,
        kind: kind(&Said {
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
        relays,
    })
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

/// The MAC that a link-local address was made from (RFC 4291, appendix A). EDK2 and iPXE make theirs so, and have a DUID of
/// the system's UUID, which says nothing about the NIC. Where both tell, this is the NIC that asks; a DUID may have been made
/// from another one of the machine (RFC 6939, 1).
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
pub(crate) mod tests {
    use super::*;
    use crate::v6::wire::put;
    use proptest::prelude::*;

    pub(crate) const MAC: Mac = Mac([0x52, 0x54, 0, 0, 0, 1]);

    /// The link-local address of a NIC.
    pub(crate) fn link_local(mac: Mac) -> Ipv6Addr {
        let [a, b, c, d, e, f] = mac.0;
        let mut bytes = [0; 16];
        bytes[..2].copy_from_slice(&[0xfe, 0x80]);
        bytes[8..].copy_from_slice(&[a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
        bytes.into()
    }

    /// A DUID of a UUID, as EDK2 has it.
    pub(crate) const DUID: &[u8] = &[0, 4, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9];

    /// A message with these options behind its client identifier.
    pub(crate) fn message(kind: u8, options: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = vec![kind, 0xab, 0xcd, 0xef];
        put(&mut bytes, code::CLIENT_ID, DUID);
        for (code, value) in options {
            put(&mut bytes, *code, value);
        }
        bytes
    }

    /// An IA_NA with these addresses.
    pub(crate) fn ia(id: u32, addresses: &[Ipv6Addr]) -> (u16, Vec<u8>) {
        let mut value = id.to_be_bytes().to_vec();
        value.extend([0; 8]);
        for address in addresses {
            put(
                &mut value,
                code::IA_ADDRESS,
                &[&address.octets()[..], &[0; 8]].concat(),
            );
        }
        (code::IA_NA, value)
    }

    /// What firmware of an architecture says about itself.
    pub(crate) fn firmware(class: &str, architecture: u16) -> Vec<(u16, Vec<u8>)> {
        let text = format!("{class}:Arch:{architecture:05}:UNDI:003016");
        let mut vendor = 343u32.to_be_bytes().to_vec();
        vendor.extend((text.len() as u16).to_be_bytes());
        vendor.extend(text.bytes());
        vec![
            (code::VENDOR_CLASS, vendor),
            (code::ARCHITECTURE, architecture.to_be_bytes().to_vec()),
        ]
    }

    /// Puts a message into a relay's.
    pub(crate) fn relayed(inner: &[u8], link: Ipv6Addr, peer: Ipv6Addr, more: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = vec![12, 0];
        bytes.extend(link.octets());
        bytes.extend(peer.octets());
        for (code, value) in more {
            put(&mut bytes, *code, value);
        }
        put(&mut bytes, code::RELAY_MESSAGE, inner);
        bytes
    }

    #[test]
    fn firmware_is_known_by_its_class_and_its_link_local_address() {
        for (class, architecture, expected) in [
            ("PXEClient", 7, ClientKind::UefiX64),
            ("HTTPClient", 16, ClientKind::UefiX64Http),
            ("PXEClient", 11, ClientKind::UefiArm64),
            ("HTTPClient", 19, ClientKind::UefiArm64Http),
        ] {
            let mut options = firmware(class, architecture);
            options.push(ia(7, &[]));
            let client = classify(&message(1, &options), link_local(MAC)).unwrap();
            assert_eq!((client.mac, client.kind), (MAC, expected));
            assert_eq!(
                (client.message, client.xid),
                (MessageKind::Solicit, [0xab, 0xcd, 0xef])
            );
            assert_eq!(client.associations[0].id, 7);
            assert!(client.begins_anew());
        }
        let ipxe = [
            (code::USER_CLASS, b"\0\x04iPXE".to_vec()),
            (code::ARCHITECTURE, vec![0, 7]),
        ];
        let client = classify(&message(1, &ipxe), link_local(MAC)).unwrap();
        assert!(
            matches!(client.kind, ClientKind::Ipxe { efi: true, .. }),
            "{:?}",
            client.kind
        );
        assert!(!client.begins_anew(), "it is the loader");
        assert_eq!(client_name(client.kind), "ipxe-v6");
        let system = classify(&message(1, &[]), link_local(MAC)).unwrap();
        assert_eq!(system.kind, ClientKind::Other);
    }

    #[test]
    fn the_nic_is_told_by_the_relay_the_link_local_address_or_the_duid() {
        let other = Mac([0x52, 0x54, 0, 0, 0, 2]);
        let random: Ipv6Addr = "fe80::1234:5678:9abc:def0".parse().unwrap();
        let with = |duid: &[u8]| {
            let mut bytes = vec![1, 0, 0, 1];
            put(&mut bytes, code::CLIENT_ID, duid);
            bytes
        };
        let llt = with(&[&[0, 1, 0, 1, 1, 2, 3, 4][..], &other.0].concat());
        let ll = with(&[&[0, 3, 0, 1][..], &other.0].concat());
        let mac_of = |bytes: &[u8], from| classify(bytes, from).map(|client| client.mac);
        assert_eq!(mac_of(&llt, link_local(MAC)), Ok(MAC), "the NIC that asks");
        assert_eq!(mac_of(&llt, random), Ok(other));
        assert_eq!(mac_of(&ll, random), Ok(other));
        assert_eq!(mac_of(&with(DUID), random), Err(NotForUs::NoMac));
        let infiniband = with(&[&[0, 3, 0, 32][..], &other.0].concat());
        assert_eq!(mac_of(&infiniband, random), Err(NotForUs::NoMac));

        let link: Ipv6Addr = "fd00:9::1".parse().unwrap();
        let told = [(code::CLIENT_LINK_ADDRESS, [&[0, 1][..], &other.0].concat())];
        let (plain, telling) = (
            relayed(&llt, link, random, &[]),
            relayed(&llt, link, link_local(MAC), &told),
        );
        assert_eq!(mac_of(&plain, link), Ok(other));
        assert_eq!(mac_of(&telling, link), Ok(other), "the relay has heard it");
        let junk = relayed(&ll, link, link_local(Mac([0xff; 6])), &[]);
        assert_eq!(mac_of(&junk, link), Err(NotForUs::NoMac));
    }

    #[test]
    fn relays_are_opened_from_the_outside() {
        let (near, far): (Ipv6Addr, Ipv6Addr) = ("fd00:9::1".parse().unwrap(), "fd00:8::1".parse().unwrap());
        let id = [(code::INTERFACE_ID, b"port 7".to_vec())];
        let inner = relayed(&message(1, &[]), near, link_local(MAC), &id);
        let outer = relayed(&inner, Ipv6Addr::UNSPECIFIED, near, &[]);
        let client = classify(&outer, far).unwrap();
        assert_eq!(
            (client.mac, client.link(), client.relays.len()),
            (MAC, Some(near), 2)
        );
        assert_eq!(client.relays[1].interface_id.as_deref(), Some(&b"port 7"[..]));
        let mut deep = message(1, &[]);
        for _ in 0..9 {
            deep = relayed(&deep, near, link_local(MAC), &[]);
        }
        assert_eq!(classify(&deep, far), Err(NotForUs::TooManyRelays));
        assert_eq!(classify(&outer[..30], far), Err(NotForUs::TooShort));
        assert_eq!(classify(&outer[..34], far), Err(NotForUs::NothingRelayed));
    }

    #[test]
    fn what_is_no_question_has_its_reason() {
        let from = link_local(MAC);
        let server = [(code::SERVER_ID, DUID.to_vec())];
        for (bytes, expected) in [
            (vec![], NotForUs::TooShort),
            (vec![1, 0, 0], NotForUs::TooShort),
            (vec![1; 1501], NotForUs::TooLong),
            (message(2, &[]), NotForUs::MessageType(2)),
            (message(13, &[]), NotForUs::MessageType(13)),
            (vec![1, 0, 0, 0], NotForUs::NoClientId),
            (message(1, &server), NotForUs::ServerId),
            (message(6, &server), NotForUs::ServerId),
            (message(3, &[]), NotForUs::ServerId),
            (message(8, &[]), NotForUs::ServerId),
            (message(11, &[ia(1, &[])]), NotForUs::Association),
        ] {
            assert_eq!(classify(&bytes, from), Err(expected), "{bytes:?}");
        }
        assert!(
            classify(&[11, 0, 0, 0], from).is_ok(),
            "who asks for settings need not say who it is"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(kind in 0u8..14, bytes in proptest::collection::vec(any::<u8>(), 0..700)) {
            let _ = classify(&[&[kind][..], &bytes].concat(), link_local(MAC));
            let mut with_head = message(kind, &[]);
            with_head.extend(bytes);
            let _ = classify(&with_head, link_local(MAC));
        }
    }
}

//! Who is asking: from a DHCP message to a [`PxeClient`].

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

use inventory_api::Mac;
use inventory_api::boot::DhcpFacts;

use crate::boot::architecture::{ClientKind, firmware, raspberry_pi};
use crate::boot::loader::Loader;
use crate::codes::Unanswered;
use crate::dhcp4::code;
use crate::dhcp4::packet::{RawOptions, parse};
use crate::hash::fnv;
use crate::message::message_kinds;
use crate::stranger::{Asker, Stranger, stranger};

/// User class of our own second stage (RFC 3004 or raw).
const SLIPWAY_USER_CLASS: &[u8] = b"slipway";

message_kinds! {
    /// Is there a server?
    Discover = 1;
    /// Accept, confirm or renew an address.
    Request = 3;
    /// The address is in use by another host.
    Decline = 4;
    /// The address is given back.
    Release = 7;
    /// Settings without an address.
    Inform = 8;
}

/// A client and its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PxeClient {
    /// MAC, the client's identity. Option 61 differs between the stages of one boot and is only echoed. A
    /// client without a valid hardware address (all zero, multicast) gets a locally administered MAC made
    /// from its option 61; it does not netboot.
    pub mac: Mac,
    /// The hardware address as sent, to be echoed.
    pub chaddr: Mac,
    /// The kind of program that asks.
    pub kind: ClientKind,
    /// What a client is that does not netboot.
    pub stranger: Stranger,
    /// What it asks for.
    pub message: MessageKind,
    /// It arrived on the boot server's port, 4011, instead of the DHCP server's. Set by the receiver.
    pub to_boot_server: bool,
    /// Where the datagram came from. Set by the receiver; `None`: the machine is simulated, and it does not
    /// matter.
    pub from: Option<SocketAddrV4>,
    /// The machine is enrolled. Set by the receiver.
    pub known: bool,
    /// The loader to give; `None`: the first for its kind. Set from the loader history.
    pub loader: Option<Loader>,
    /// SMBIOS UUID in printed order; `None` if missing, of wrong length, all zero or all one.
    pub guid: Option<[u8; 16]>,
    /// All of option 93, at most 16 entries.
    pub architectures: Vec<u16>,
    /// Transaction id.
    pub xid: u32,
    /// Relay hops.
    pub hops: u8,
    /// Flags as received.
    pub flags: u16,
    /// The address it already uses.
    pub ciaddr: Ipv4Addr,
    /// The relay's address; unspecified without a relay.
    pub giaddr: Ipv4Addr,
    /// Option 82, byte for byte.
    pub relay: Option<Vec<u8>>,
    /// Option 50.
    pub requested: Option<Ipv4Addr>,
    /// Option 54.
    pub server_id: Option<Ipv4Addr>,
    /// Option 57: the longest message it accepts. EDK2 says 65280 in a REQUEST.
    pub max_size: Option<u16>,
    /// Option 55, in the client's order of preference.
    pub wanted: Vec<u8>,
    /// Option 118 (RFC 3011): the subnet it wants an address from.
    pub subnet: Option<Ipv4Addr>,
    /// Option 81 (RFC 4702): its name.
    pub fqdn: Option<Vec<u8>>,
    /// Option 60.
    pub vendor_class: Vec<u8>,
    /// Option 77.
    pub user_class: Vec<u8>,
    /// Option 61.
    pub client_id: Option<Vec<u8>>,
    /// Option 97 as received.
    pub machine_id: Option<Vec<u8>>,
}

impl PxeClient {
    /// Who asks and what the message says, for the log and the journey.
    pub fn asker(&self) -> Asker {
        let address = |ip: Ipv4Addr| (!ip.is_unspecified()).then_some(IpAddr::V4(ip));
        let uuid = |guid: [u8; 16]| {
            let parts = [&guid[..4], &guid[4..6], &guid[6..8], &guid[8..10], &guid[10..]];
            parts.map(hex::encode).join("-")
        };
        Asker {
            mac: self.mac,
            known: self.known,
            message: self.message.into(),
            client: self.stranger.client(self.kind).to_owned(),
            facts: DhcpFacts {
                relay: address(self.giaddr),
                server: self.server_id.and_then(address),
                wants: self.requested.and_then(address).or_else(|| address(self.ciaddr)),
                uuid: self.guid.map(uuid),
                to_boot_server: self.to_boot_server,
                ..self
                    .stranger
                    .facts(self.kind, &self.vendor_class, &self.architectures)
            },
        }
    }

    /// The relay the message came through, and the port on it (option 82).
    pub fn circuit(&self) -> Option<(IpAddr, &Vec<u8>)> {
        let port = self.relay.as_ref().filter(|_| !self.giaddr.is_unspecified());
        port.map(|port| (self.giaddr.into(), port))
    }

    /// Whether replies must be broadcast.
    pub(crate) fn wants_broadcast(&self) -> bool {
        self.flags & 0x8000 != 0
    }

    /// An address that a relay puts into its option 82.
    fn relay_address(&self, code: u8) -> Option<Ipv4Addr> {
        let relay = self.relay.as_deref().filter(|_| !self.giaddr.is_unspecified())?;
        Some(<[u8; 4]>::try_from(RawOptions::of(relay).get(code)?).ok()?.into())
    }

    /// The subnet requested explicitly: the relay's link selection (RFC 3527, 82.5), else the client's own
    /// choice (RFC 3011, option 118).
    pub fn selected(&self) -> Option<Ipv4Addr> {
        self.relay_address(code::relay::LINK_SELECTION).or(self.subnet)
    }

    /// The address it already uses and renews, releases or asks about. In a DISCOVER, in a DECLINE, and in a
    /// REQUEST that accepts an offer, `ciaddr` must be zero (RFC 2131, table 5) and is ignored. A REQUEST
    /// that names a server but no address (option 50) is a renewal from a client that wrongly names the
    /// server.
    pub fn uses(&self) -> Option<Ipv4Addr> {
        let means = match self.message {
            MessageKind::Request => {
                self.server_id.is_none() || self.requested.is_none() || self.to_boot_server
            }
            MessageKind::Release | MessageKind::Inform => true,
            MessageKind::Discover | MessageKind::Decline => false,
        };
        (means && !self.ciaddr.is_unspecified()).then_some(self.ciaddr)
    }

    /// Whether firmware starts to look for a loader with this message. iPXE is a running loader.
    pub fn restarts(&self) -> bool {
        self.message == MessageKind::Discover && !matches!(self.kind, ClientKind::Ipxe { .. })
    }

    /// Whether it requests an option (55).
    pub fn wants(&self, code: u8) -> bool {
        self.wanted.contains(&code)
    }

    /// A hash of its client identifier, for comparison; `None` without one.
    pub(crate) fn client_mark(&self) -> Option<u32> {
        self.client_id.as_deref().map(fnv)
    }

    /// Server identifier override by the relay (RFC 5107, 82.11).
    pub(crate) fn server_override(&self) -> Option<Ipv4Addr> {
        self.relay_address(code::relay::SERVER_OVERRIDE)
    }
}

/// Who asks, or why we ignore the datagram.
pub fn classify(bytes: &[u8]) -> Result<PxeClient, Unanswered> {
    let (header, options) = parse(bytes)?;
    let number = options.get(code::MESSAGE_TYPE).and_then(|value| value.first());
    let message = MessageKind::of(*number.ok_or(Unanswered::Bootp)?).ok_or(Unanswered::MessageType)?;
    let all = |code| options.get(code).unwrap_or_default().to_vec();
    let bounded = |code, most| {
        let value = options.get(code).filter(|value| value.len() <= most);
        value.map(<[u8]>::to_vec)
    };
    let address = |code| options.address(code).filter(|ip| !ip.is_unspecified());
    let chaddr = Mac(header.chaddr().try_into().map_err(|_| Unanswered::HardwareType)?);
    let client_id = bounded(code::CLIENT_ID, 255).filter(|id| !id.is_empty());
    let machine_id = bounded(code::MACHINE_ID, 255);
    let (vendor_class, user_class) = (all(code::VENDOR_CLASS), all(code::USER_CLASS));
    let architectures = architectures(options.get(code::ARCHITECTURE));
    let mac = identity(chaddr, client_id.as_deref());
    let said = kind(&SelfDescription {
        vendor: &vendor_class,
        user_class: &user_class,
        features: options.get(code::IPXE).map(RawOptions::of),
        architectures: &architectures,
        mac,
    });
    Ok(PxeClient {
        mac,
        chaddr,
        kind: if chaddr.is_junk() { ClientKind::Other } else { said },
        stranger: stranger(&options, &architectures),
        message,
        to_boot_server: false,
        from: None,
        known: false,
        loader: None,
        guid: machine_id.as_deref().and_then(guid),
        architectures,
        xid: header.xid(),
        hops: header.hops(),
        flags: header.flags().into(),
        ciaddr: header.ciaddr(),
        giaddr: header.giaddr(),
        relay: options.get(code::RELAY_AGENT).map(<[u8]>::to_vec),
        requested: address(code::REQUESTED_ADDRESS),
        server_id: options.address(code::SERVER_ID),
        max_size: options.u16(code::MAX_SIZE),
        wanted: all(code::PARAMETER_LIST),
        subnet: address(code::SUBNET_SELECTION),
        fqdn: bounded(code::FQDN, 258),
        vendor_class,
        user_class,
        client_id,
        machine_id,
    })
}

/// The MAC that identifies a client: its hardware address, if a NIC can have it; else one made from the
/// client identifier (RFC 2131, 2.1).
fn identity(chaddr: Mac, client_id: Option<&[u8]>) -> Mac {
    if !chaddr.is_junk() {
        return chaddr;
    }
    let [a, b, c, d] = fnv(client_id.unwrap_or(&chaddr.0)).to_be_bytes();
    // Locally administered (bit 1), with a first byte that people do not choose.
    Mac([0xfe, 0x61, a, b, c, d])
}

/// Option 93, or 61 of DHCPv6: its first 16 entries.
pub(crate) fn architectures(option: Option<&[u8]>) -> Vec<u16> {
    let pairs = option.unwrap_or_default().chunks_exact(2).take(16);
    pairs.map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
}

/// How a client describes itself, in DHCPv4 or DHCPv6.
pub(crate) struct SelfDescription<'a> {
    /// Option 60; in DHCPv6 the first text of option 16.
    pub(crate) vendor: &'a [u8],
    /// Option 77; in DHCPv6 the first class of option 15.
    pub(crate) user_class: &'a [u8],
    /// iPXE's option 175.
    pub(crate) features: Option<RawOptions>,
    /// Option 93, or 61 of DHCPv6.
    pub(crate) architectures: &'a [u16],
    /// Its NIC.
    pub(crate) mac: Mac,
}

pub(crate) fn kind(said: &SelfDescription<'_>) -> ClientKind {
    let (vendor, user_class, architectures) = (said.vendor, said.user_class, said.architectures);
    let features = said.features.as_ref();
    let efi = architectures.first().is_some_and(|&arch| arch != 0 && arch != 20)
        || features.is_some_and(|f| f.get(code::ipxe::EFI).is_some());
    let ipxe = features.is_some() || has_class(user_class, b"iPXE") || has_class(user_class, b"gPXE");
    if has_class(user_class, SLIPWAY_USER_CLASS) {
        return ClientKind::SlipwayStage {
            ipxe: ipxe || vendor.starts_with(b"PXEClient"),
        };
    }
    if ipxe {
        let http = |f: &RawOptions| f.get(code::ipxe::HTTP).is_some_and(|v| v.iter().any(|&b| b != 0));
        let http = features.is_none_or(http);
        return ClientKind::Ipxe { http, efi };
    }
    // The Raspberry Pi omits option 60 from its REQUEST (raspberrypi/rpi-eeprom#87). Only firmware sends an
    // architecture, so that decides.
    let unsaid = vendor.is_empty() && !architectures.is_empty();
    // U-Boot that boots by PXE sends an architecture; otherwise it wants its own files.
    let u_boot = vendor.starts_with(b"U-Boot") && architectures.iter().any(|arch| matches!(arch, 21..=24));
    // Match the prefix only: a bare "PXEClient" exists.
    let pxe = unsaid || vendor.starts_with(b"PXEClient") || u_boot;
    let http = unsaid || vendor.starts_with(b"HTTPClient");
    if !pxe && !http {
        return ClientKind::Other;
    }
    let bios = architectures.first().is_none_or(|first| *first == 0);
    if pxe
        && bios
        && let Some(pi) = raspberry_pi(said.mac)
    {
        return pi;
    }
    // No option 93 at all: the oldest ROMs, BIOS.
    if pxe && architectures.is_empty() {
        return ClientKind::Bios;
    }
    firmware(architectures, pxe, http)
}

/// Whether option 77 is `class` or contains it.
fn has_class(option: &[u8], class: &[u8]) -> bool {
    user_classes(option).any(|one| one == class)
}

/// The user classes of option 77: all of it, as iPXE sends it raw, and the entries of a list, each after its
/// length (RFC 3004).
pub(crate) fn user_classes(option: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = option;
    let listed = std::iter::from_fn(move || {
        let (len, tail) = rest.split_first()?;
        let (one, tail) = tail.split_at_checked(usize::from(*len))?;
        rest = tail;
        Some(one)
    });
    std::iter::once(option).chain(listed)
}

/// The UUID of option 97: type 0, then 16 bytes with the first three fields little-endian, as EDK2 and iPXE
/// send them (measured: 00112233-4455-... travels as 33221100 5544 ...).
fn guid(option: &[u8]) -> Option<[u8; 16]> {
    let [0, bytes @ ..] = option else { return None };
    let mut guid: [u8; 16] = bytes.try_into().ok()?;
    if guid == [0; 16] || guid == [0xff; 16] {
        return None;
    }
    guid[..4].reverse();
    guid[4..6].reverse();
    guid[6..8].reverse();
    Some(guid)
}

#[cfg(test)]
mod tests;

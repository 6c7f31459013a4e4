//! A reply's bytes.
//!
//! dhcproto writes the header and each option; the order is ours: 53 first (some old ROMs insist), then ascending,
//! option 82 byte for byte and last (RFC 3046), padding to the 300 bytes that relays want (netboot-measured.md 2.3).

use std::net::Ipv4Addr;

use dhcproto::Encodable;
use dhcproto::v4::{DhcpOption, HType, Message, MessageType, Opcode, OptionCode, UnknownOption};

use crate::boot::BootFile;
use crate::client::{ClientKind, PxeClient};
use crate::lease::spread;
use crate::network::Network;

/// BOOTP's fixed size: relays drop what is shorter.
pub const MIN_REPLY: usize = 300;
/// IPv4 and UDP headers, which the sizes of option 57 include.
const HEADERS: usize = 28;

/// Type of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyKind {
    /// OFFER.
    Offer,
    /// ACK.
    Ack,
    /// NAK.
    Nak,
}

impl ReplyKind {
    /// Lower-case name, as in `BootEventKind::Dhcp`.
    pub fn name(self) -> &'static str {
        match self {
            ReplyKind::Offer => "offer",
            ReplyKind::Ack => "ack",
            ReplyKind::Nak => "nak",
        }
    }
}

/// What a reply says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyContent {
    /// Type.
    pub kind: ReplyKind,
    /// The address, unspecified in a NAK and in the answer to an INFORM.
    pub address: Ipv4Addr,
    /// Seconds of the lease, if there is one.
    pub lease_seconds: Option<u32>,
    /// Boot data.
    pub boot: BootFile,
    /// The machine's host name (option 12).
    pub host_name: Option<String>,
    /// Only boot data, beside another server's addresses: no address, no lease, no settings of the network.
    pub proxy: bool,
}

/// The bytes of a reply to `client`.
pub fn encode(client: &PxeClient, network: &Network, content: &ReplyContent) -> Vec<u8> {
    // RFC 2132 option 57 counts the whole datagram; 576 is what everybody takes. More than Ethernet carries is not
    // believed: EDK2 says 65280 in its REQUEST.
    let limit = usize::from(client.max_size.unwrap_or(576)).clamp(576, 1500) - HEADERS;
    let mut options = options(client, network, content);
    // Without giaddr too: a switch that snoops adds it on the way and finds the port to reply to by its echo.
    let relay = client.relay.as_deref();
    loop {
        let bytes = assemble(client, network, content, &options, relay);
        // The nice-to-haves go first, and what the operator added before all; the header says boot server and boot file
        // a second time.
        let spare = [119, 15, 42, 12, 28, 61, 66, 6, 26, 121, 67];
        let added = |code: u8| {
            code != 121 && code != 119 && network.own_options().iter().any(|(own, _)| *own == code)
        };
        let dispensable = |option: &DhcpOption| {
            let code = u8::from(OptionCode::from(option));
            let place = spare
                .iter()
                .position(|&spare| spare == code)
                .map(|place| place + 1);
            place.or(added(code).then_some(0))
        };
        let first = options
            .iter()
            .enumerate()
            .filter_map(|(i, o)| Some((dispensable(o)?, i)))
            .min();
        match first {
            Some((_, index)) if bytes.len() > limit => drop(options.remove(index)),
            _ => return bytes,
        }
    }
}

fn options(client: &PxeClient, network: &Network, content: &ReplyContent) -> Vec<DhcpOption> {
    let settings = network.settings();
    let server = client.server_override().unwrap_or(settings.server);
    let mut options = vec![
        DhcpOption::MessageType(match content.kind {
            ReplyKind::Offer => MessageType::Offer,
            ReplyKind::Ack => MessageType::Ack,
            ReplyKind::Nak => MessageType::Nak,
        }),
        DhcpOption::ServerIdentifier(server),
    ];
    if let Some(id) = &client.client_id {
        options.push(DhcpOption::ClientIdentifier(id.clone())); // RFC 6842
    }
    if content.kind != ReplyKind::Nak {
        if !content.proxy {
            network_options(client, network, content, &mut options);
        }
        options.extend(client.machine_id.clone().map(DhcpOption::ClientMachineIdentifier));
        boot_options(client, settings.server, content, &mut options);
    }
    options.sort_by_key(|option| match u8::from(OptionCode::from(option)) {
        53 => 0,
        code => code,
    });
    options
}

fn network_options(
    client: &PxeClient,
    network: &Network,
    content: &ReplyContent,
    options: &mut Vec<DhcpOption>,
) {
    let settings = network.settings();
    options.push(DhcpOption::SubnetMask(settings.subnet.netmask()));
    options.push(DhcpOption::BroadcastAddr(settings.subnet.broadcast()));
    options.extend(settings.router.map(|router| DhcpOption::Router(vec![router])));
    if !settings.dns.is_empty() {
        options.push(DhcpOption::DomainNameServer(settings.dns.clone()));
    }
    if !settings.ntp.is_empty() {
        options.push(DhcpOption::NtpServers(settings.ntp.clone()));
    }
    options.extend(settings.domain.clone().map(DhcpOption::DomainName));
    options.extend(settings.mtu.map(DhcpOption::InterfaceMtu));
    options.extend(content.host_name.clone().map(DhcpOption::Hostname));
    options.extend(
        network
            .own_options()
            .iter()
            .map(|(code, bytes)| raw(*code, bytes.clone())),
    );
    if let Some(seconds) = content.lease_seconds {
        // Up to 1/16 earlier than the usual half and 7/8: machines that booted together do not renew together.
        let earlier = seconds / 16 * (spread(client.mac) % 16) / 16;
        options.push(DhcpOption::AddressLeaseTime(seconds));
        options.push(DhcpOption::Renewal(seconds / 2 - earlier));
        options.push(DhcpOption::Rebinding(
            (u64::from(seconds) * 7 / 8) as u32 - earlier,
        ));
    }
}

fn boot_options(client: &PxeClient, server: Ipv4Addr, content: &ReplyContent, options: &mut Vec<DhcpOption>) {
    let boot = &content.boot;
    let ipxe = matches!(
        client.kind,
        ClientKind::Ipxe { .. } | ClientKind::SlipwayStage { ipxe: true }
    );
    // Firmware and iPXE take a proxy's offer for one only with option 60. Sub-option 6 (discovery control) = 8: take the
    // boot file of this offer, ask no boot server. Option 60 without it ends in PXE-E16 (measured, 2.2).
    let http = matches!(boot, BootFile::Http(_));
    let loader = boot.name().is_some() && !http && (content.proxy || !ipxe);
    if loader {
        options.push(DhcpOption::VendorExtensions(vec![6, 1, 8, 255]));
        options.push(DhcpOption::ClassIdentifier(b"PXEClient".to_vec()));
    } else if http {
        options.push(DhcpOption::ClassIdentifier(b"HTTPClient".to_vec()));
    }
    if matches!(boot, BootFile::Tftp(_)) {
        options.push(DhcpOption::TFTPServerName(with_nul(&server.to_string())));
    }
    if ipxe && !content.proxy {
        // no-pxedhcp = 1: iPXE does not wait 3 s for a ProxyDHCP offer.
        options.push(raw(175, vec![176, 1, 1]));
    }
    // ROMs read option 67 as a C string.
    options.extend(boot.name().map(|name| DhcpOption::BootfileName(with_nul(name))));
}

fn raw(code: u8, bytes: Vec<u8>) -> DhcpOption {
    DhcpOption::Unknown(UnknownOption::new(OptionCode::from(code), bytes))
}

fn with_nul(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}

fn assemble(
    client: &PxeClient,
    network: &Network,
    content: &ReplyContent,
    options: &[DhcpOption],
    relay: Option<&[u8]>,
) -> Vec<u8> {
    let mut message = Message::new_with_id(
        client.xid,
        client.ciaddr,
        content.address,
        Ipv4Addr::UNSPECIFIED,
        client.giaddr,
        &client.mac.0,
    );
    message
        .set_opcode(Opcode::BootReply)
        .set_htype(HType::Eth)
        .set_hops(client.hops);
    // A NAK through a relay: the relay has to broadcast it (RFC 2131, 4.3.2).
    let broadcast = if content.kind == ReplyKind::Nak { 0x8000 } else { 0 };
    message.set_flags((client.flags | broadcast).into());
    if content.kind == ReplyKind::Nak {
        message.clear_addrs().set_giaddr(client.giaddr);
    } else if let Some(name) = content.boot.name() {
        message.set_siaddr(network.server());
        message.set_sname_str(network.server().to_string());
        // dhcproto asserts the length, and a NUL has to fit: a longer name is in option 67 only.
        if name.len() < 128 {
            message.set_fname_str(name);
        }
    }
    // Writing to a Vec cannot fail; were it to, the reply would be short and the client would ask again.
    let mut bytes = message.to_vec().unwrap_or_default();
    bytes.truncate(240);
    for option in options {
        bytes.extend(option.to_vec().unwrap_or_default());
    }
    if let Some(relay) = relay {
        bytes.extend([82, relay.len() as u8]);
        bytes.extend(relay);
    }
    bytes.push(255);
    if bytes.len() < MIN_REPLY {
        bytes.resize(MIN_REPLY, 0);
    }
    bytes
}

//! A reply's bytes.
//!
//! dhcproto writes the header. We write the options ourselves, because it does not split long ones (RFC
//! 3396), reorders option 82, and does not choose when not all fit. The order is 53 first (some old ROMs
//! insist), then ascending, then option 82 byte for byte (RFC 3046), padded to the 300 bytes that relays
//! expect (measured).

use std::net::Ipv4Addr;

use dhcproto::Encodable;
use dhcproto::v4::{HType, Message, Opcode};
use inventory_api::dhcp::DhcpReply;

use crate::boot::BootFile;
use crate::boot::architecture::ClientKind;
use crate::decision::wire_type;
use crate::dhcp4::client::PxeClient;
use crate::dhcp4::code;
use crate::dhcp4::custom::BOOT;
use crate::dhcp4::options::Options;
use crate::fqdn;
use crate::network::Network;
use crate::network::lease::earlier;

/// BOOTP's fixed size: relays drop anything shorter.
const MIN_REPLY: usize = 300;
/// IPv4 and UDP headers, which option 57 includes.
const HEADERS: usize = 28;
/// The header of a message and the magic cookie.
const FIXED: usize = 240;
/// What every message needs: type, server, lease and netmask.
const LEAST: usize = 24;

/// What a reply says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyContent {
    /// Reply type.
    pub kind: DhcpReply,
    /// The address; unspecified in a NAK and in the answer to an INFORM.
    pub address: Ipv4Addr,
    /// The lease time in seconds, if there is a lease.
    pub lease_seconds: Option<u32>,
    /// Boot data.
    pub boot: BootFile,
    /// The machine's host name (option 12).
    pub host_name: Option<String>,
    /// Only boot data, beside another server's addresses: no address, lease or network settings.
    pub proxy: bool,
}

impl ReplyContent {
    /// A reply without address and lease.
    pub(crate) fn new(kind: DhcpReply, boot: BootFile) -> ReplyContent {
        ReplyContent {
            kind,
            address: Ipv4Addr::UNSPECIFIED,
            lease_seconds: None,
            boot,
            host_name: None,
            proxy: false,
        }
    }
}

/// The bytes of a reply to `client`.
pub fn encode(client: &PxeClient, network: &Network, content: &ReplyContent) -> Vec<u8> {
    // Option 57 (RFC 2132) counts the whole datagram; everybody takes 576. Values above Ethernet's MTU are
    // not believed: EDK2 says 65280 in its REQUEST.
    let limit = usize::from(client.max_size.unwrap_or(576)).clamp(576, 1500) - HEADERS;
    let file = file(client, network, content);
    let all = options(client, network, content);
    let room = limit - FIXED - 1;
    // Echo option 82 even without giaddr: a snooping switch adds it on the way, and finds the port to reply
    // to by it. One that leaves no room for the message is left out (RFC 3046, 2.2).
    let relay = client
        .relay
        .as_deref()
        .filter(|relay| size(relay) + LEAST <= room);
    let [main, in_file, in_sname] = place(client, file.is_none(), all, room - relay.map_or(0, size));
    let mut bytes = header(client, network, content, file.as_deref());
    for (field, options) in [(108..236, &in_file), (44..108, &in_sname)] {
        if !options.is_empty() {
            let mut value = written(options);
            value.push(255);
            value.resize(field.len(), 0);
            bytes[field].copy_from_slice(&value);
        }
    }
    bytes.extend(written(&main));
    if let Some(relay) = relay {
        put(&mut bytes, code::RELAY_AGENT, relay);
    }
    bytes.push(255);
    if bytes.len() < MIN_REPLY {
        bytes.resize(MIN_REPLY, 0);
    }
    bytes
}

/// Chooses the options that fit into `room` bytes, and their place: the options field, or the header's `file`
/// and `sname`. If not all fit, options are placed in the order of [`rank`], first in their own field, then
/// in the two header fields if `free`, that is if they do not name a boot file. Option 52 tells the client
/// (RFC 2132, 9.3).
fn place(client: &PxeClient, free: bool, mut options: Options, room: usize) -> [Options; 3] {
    let needed: usize = options.iter().map(|(_, value)| size(value)).sum();
    if needed <= room {
        options.sort_by_key(|(code, _)| if *code == code::MESSAGE_TYPE { 0 } else { *code });
        return [options, Vec::new(), Vec::new()];
    }
    options.sort_by_key(|(code, _)| rank(client, !free, *code));
    let mut left = [room - 3, 127, 63];
    let mut placed = [const { Vec::new() }; 3];
    for (code, value) in options {
        let need = size(&value);
        let fields = if free { &left[..] } else { &left[..1] };
        let Some(field) = fields.iter().position(|left| need <= *left) else {
            continue;
        };
        left[field] -= need;
        placed[field].push((code, value));
    }
    let [main, file, sname] = &mut placed;
    let overload = u8::from(!file.is_empty()) | u8::from(!sname.is_empty()) << 1;
    if overload != 0 {
        main.push((code::OVERLOAD, vec![overload]));
    }
    placed
}

/// An option's priority if not all fit; lower comes first. First what the protocol and a boot cannot do
/// without, then what the client asks for in its order (RFC 2132, 9.8), then the rest, with those that an
/// operator added last.
fn rank(client: &PxeClient, boots: bool, code: u8) -> usize {
    const FIRST: [u8; 13] = [
        code::MESSAGE_TYPE,
        code::SERVER_ID,
        code::LEASE_TIME,
        code::SUBNET_MASK,
        code::VENDOR_CLASS,
        code::VENDOR_OPTIONS,
        code::IPXE,
        code::MACHINE_ID,
        code::SUBNET_SELECTION,
        code::MESSAGE,
        code::RENEWAL_TIME,
        code::REBINDING_TIME,
        code::CLIENT_ID,
    ];
    const OTHERS: [u8; 12] = [
        code::BOOT_FILE,
        code::ROUTERS,
        code::CLASSLESS_ROUTES,
        code::MTU,
        code::DNS,
        code::TFTP_SERVER,
        code::BROADCAST,
        code::HOST_NAME,
        code::FQDN,
        code::NTP,
        code::DOMAIN,
        code::SEARCH_LIST,
    ];
    let place = |list: &[u8]| list.iter().position(|one| *one == code);
    place(&FIRST)
        .or((boots && code == code::BOOT_FILE).then_some(FIRST.len()))
        .or(place(&client.wanted).map(|at| 100 + at))
        .or(place(&OTHERS).map(|at| 10_000 + at))
        .unwrap_or(20_000)
}

/// An option's bytes with code and length, which are repeated for each part of 255 bytes.
fn size(value: &[u8]) -> usize {
    value.len() + 2 * value.len().div_ceil(255).max(1)
}

/// Writes an option, a long one in parts that the client joins (RFC 3396).
fn put(out: &mut Vec<u8>, code: u8, value: &[u8]) {
    if value.is_empty() {
        out.extend([code, 0]);
    }
    for part in value.chunks(255) {
        out.extend([code, part.len() as u8]);
        out.extend(part);
    }
}

fn written(options: &Options) -> Vec<u8> {
    let mut out = Vec::new();
    for (code, value) in options {
        put(&mut out, *code, value);
    }
    out
}

fn options(client: &PxeClient, network: &Network, content: &ReplyContent) -> Options {
    let server = client.server_override().unwrap_or(network.server());
    let mut options = vec![
        (code::MESSAGE_TYPE, vec![wire_type(content.kind)]),
        (code::SERVER_ID, server.octets().to_vec()),
    ];
    // RFC 6842.
    options.extend(client.client_id.clone().map(|id| (code::CLIENT_ID, id)));
    if content.kind == DhcpReply::Nak {
        let why = b"this address cannot be used here: request another";
        options.push((code::MESSAGE, why.to_vec()));
        return options;
    }
    if !content.proxy {
        network_options(client, network, content, &mut options);
    }
    options.extend(client.machine_id.clone().map(|id| (code::MACHINE_ID, id)));
    boot_options(client, network, content, &mut options);
    options
}

fn network_options(client: &PxeClient, network: &Network, content: &ReplyContent, options: &mut Options) {
    let fixed = network.options(client);
    let domain = fixed
        .get(&code::DOMAIN)
        .and_then(|domain| std::str::from_utf8(domain).ok());
    let host_name = content.host_name.as_deref();
    options.extend(host_name.map(|name| (code::HOST_NAME, name.as_bytes().to_vec())));
    let name = client
        .fqdn
        .as_deref()
        .and_then(|sent| fqdn::answer(sent, host_name, domain));
    options.extend(name.map(|name| (code::FQDN, name)));
    // RFC 3011: returned as it came.
    let subnet = client.subnet.map(|subnet| subnet.octets().to_vec());
    options.extend(subnet.map(|subnet| (code::SUBNET_SELECTION, subnet)));
    // A class's own boot options are only for clients that we do not boot.
    let ours = |code: u8| content.boot.name().is_some() && BOOT.contains(&code);
    let sent = fixed.iter().filter(|(code, _)| !ours(**code));
    options.extend(sent.map(|(option, value)| (*option, value.to_vec())));
    if let Some(seconds) = content.lease_seconds {
        let earlier = earlier(seconds, client.mac);
        let rebind = (u64::from(seconds) * 7 / 8) as u32;
        for (code, seconds) in [
            (code::LEASE_TIME, seconds),
            (code::RENEWAL_TIME, seconds / 2 - earlier),
            (code::REBINDING_TIME, rebind - earlier),
        ] {
            options.push((code, seconds.to_be_bytes().to_vec()));
        }
    }
}

fn boot_options(client: &PxeClient, network: &Network, content: &ReplyContent, options: &mut Options) {
    let boot = &content.boot;
    let ipxe = matches!(
        client.kind,
        ClientKind::Ipxe { .. } | ClientKind::SlipwayStage { ipxe: true }
    );
    // Firmware and iPXE recognise a proxy offer only by option 60. Sub-option 6 (discovery control) = 8: take
    // the boot file of this offer, ask no boot server. Option 60 without it ends in PXE-E16 (measured, 2.2).
    let http = matches!(boot, BootFile::Http(_));
    let loader = boot.name().is_some() && !http && (content.proxy || !ipxe);
    if loader {
        options.push((code::VENDOR_OPTIONS, vec![6, 1, 8, 255]));
        options.push((code::VENDOR_CLASS, b"PXEClient".to_vec()));
    } else if http {
        options.push((code::VENDOR_CLASS, b"HTTPClient".to_vec()));
    }
    if matches!(boot, BootFile::Tftp(_)) {
        let server = boot_server(client, network, content).to_string();
        options.push((code::TFTP_SERVER, with_nul(&server)));
    }
    if ipxe && !content.proxy {
        // no-pxedhcp = 1: iPXE does not wait 3 s for a ProxyDHCP offer.
        options.push((code::IPXE, vec![code::ipxe::NO_PXEDHCP, 1, 1]));
    }
    // ROMs read option 67 as a C string.
    options.extend(boot.name().map(|name| (code::BOOT_FILE, with_nul(name))));
}

fn with_nul(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}

/// `siaddr`: where the boot file comes from; for a client that boots nothing, the configured server.
fn boot_server(client: &PxeClient, network: &Network, content: &ReplyContent) -> Ipv4Addr {
    let configured = network.next_server(client);
    match &content.boot {
        BootFile::Tftp(_) => configured.unwrap_or(network.server()),
        BootFile::None if !content.proxy => configured.unwrap_or(Ipv4Addr::UNSPECIFIED),
        BootFile::None => Ipv4Addr::UNSPECIFIED,
        BootFile::Http(_) | BootFile::Script(_) => network.server(),
    }
}

/// The name in the header's `file`: our boot file's, or the one configured for the client's class.
fn file(client: &PxeClient, network: &Network, content: &ReplyContent) -> Option<String> {
    if content.kind == DhcpReply::Nak {
        return None;
    }
    let ours = content.boot.name().map(str::to_owned);
    let of_class = || {
        let options = network.options(client);
        let name = options.get(&67).filter(|_| !content.proxy)?;
        String::from_utf8(name.to_vec()).ok()
    };
    ours.or_else(of_class)
}

fn header(client: &PxeClient, network: &Network, content: &ReplyContent, file: Option<&str>) -> Vec<u8> {
    // RFC 2131, table 3: `ciaddr` only in an ACK, and only if the client uses its address.
    let uses = client.uses().filter(|_| content.kind == DhcpReply::Ack);
    let mut message = Message::new_with_id(
        client.xid,
        uses.unwrap_or(Ipv4Addr::UNSPECIFIED),
        content.address,
        Ipv4Addr::UNSPECIFIED,
        client.giaddr,
        &client.chaddr.0,
    );
    message
        .set_opcode(Opcode::BootReply)
        .set_htype(HType::Eth)
        .set_hops(client.hops);
    // A NAK, or the answer to an INFORM without an address, must be broadcast behind a relay: there is no
    // address to send to (RFC 2131, 4.3.2).
    let nowhere = content.address.is_unspecified() && uses.is_none() && !content.proxy;
    let broadcast = if nowhere { 0x8000 } else { 0 };
    message.set_flags((client.flags | broadcast).into());
    if content.kind != DhcpReply::Nak {
        let server = boot_server(client, network, content);
        message.set_siaddr(server);
        if let Some(name) = file {
            if !server.is_unspecified() {
                message.set_sname_str(server.to_string());
            }
            // dhcproto asserts the length, and a NUL must fit: a longer name goes into option 67 only.
            if name.len() < 128 {
                message.set_fname_str(name);
            }
        }
    }
    // Writing to a Vec cannot fail. If it did, the reply would be short and the client would ask again.
    let mut bytes = message.to_vec().unwrap_or_default();
    bytes.resize(FIXED, 0);
    bytes
}

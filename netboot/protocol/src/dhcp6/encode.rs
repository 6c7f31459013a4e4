//! A DHCPv6 reply's bytes.

use inventory_api::dhcp::DhcpReply;

use super::client::{Client, Relay};
use super::network::Network;
use super::reply::{AssociationAnswer, Content, Status};
use super::wire::{code, put};
use crate::boot::BootFile;
use crate::decision::wire_type;
use crate::fqdn;
use crate::network::lease::earlier;

/// Enterprise number of Intel, used for PXE's vendor classes (UEFI 2.10, 24.3.1 and 24.7.3).
const INTEL: u32 = 343;

/// The bytes of a reply to `client`, wrapped for the relays that its message came through. `duid`: our server
/// identifier.
pub fn encode(client: &Client, network: &Network, duid: &[u8], content: &Content) -> Vec<u8> {
    let mut out = vec![wire_type(content.kind)];
    out.extend(client.xid);
    if let Some(id) = &client.duid {
        put(&mut out, code::CLIENT_ID, id);
    }
    put(&mut out, code::SERVER_ID, duid);
    for answer in &content.associations {
        put(&mut out, code::IA_NA, &association(client, answer));
    }
    if let Some(status) = content.status {
        put(&mut out, code::STATUS, &status_value(status));
    }
    if content.rapid_commit {
        put(&mut out, code::RAPID_COMMIT, &[]);
    }
    boot_options(content, &network.settings().boot_parameters, &mut out);
    let dns: Vec<u8> = network
        .settings()
        .dns
        .iter()
        .flat_map(|dns| dns.octets())
        .collect();
    if !dns.is_empty() && content.status.is_none() {
        put(&mut out, code::DNS, &dns);
    }
    if let Some(sent) = client.fqdn.as_ref().filter(|_| content.status.is_none()) {
        let answer = fqdn::answer_v6(sent, network.all().domain.as_deref());
        answer.iter().for_each(|name| put(&mut out, code::FQDN, name));
    }
    client.relays.iter().rev().fold(out, envelope)
}

fn association(client: &Client, answer: &AssociationAnswer) -> Vec<u8> {
    let seconds = answer
        .addresses
        .iter()
        .map(|(_, seconds)| *seconds)
        .max()
        .unwrap_or(0);
    // Half and four fifths of the lease time.
    let earlier = earlier(seconds, client.mac);
    let rebind = (u64::from(seconds) * 4 / 5) as u32;
    let mut value = answer.id.to_be_bytes().to_vec();
    value.extend((seconds / 2 - earlier).to_be_bytes());
    value.extend((rebind - earlier).to_be_bytes());
    for (address, seconds) in &answer.addresses {
        let (address, lifetime) = (address.octets(), seconds.to_be_bytes());
        let address = [&address[..], &lifetime, &lifetime].concat();
        put(&mut value, code::IA_ADDRESS, &address);
    }
    if let Some(status) = answer.status {
        put(&mut value, code::STATUS, &status_value(status));
    }
    value
}

fn status_value(status: Status) -> Vec<u8> {
    [&(status as u16).to_be_bytes()[..], status.words().1.as_bytes()].concat()
}

/// A vendor class of PXE.
pub(super) fn vendor_class(class: &str) -> Vec<u8> {
    let length = (class.len() as u16).to_be_bytes();
    [&INTEL.to_be_bytes()[..], &length, class.as_bytes()].concat()
}

fn boot_options(content: &Content, parameters: &[String], out: &mut Vec<u8>) {
    let Some(url) = content.boot.name() else { return };
    if content.kind == DhcpReply::Advertise {
        // The highest preference: firmware takes it at once instead of collecting others for a second (RFC
        // 8415, 18.2.9).
        put(out, code::PREFERENCE, &[255]);
    }
    // No "PXEClient" for PXE: EDK2 would take the offer for a boot server's and ask port 4011 by an address
    // it does not have yet, which ends its attempt at once (measured with OVMF 2022.11;
    // `PxeBcParseDhcp6Packet`).
    if let BootFile::Http(_) = &content.boot {
        put(out, code::VENDOR_CLASS, &vendor_class("HTTPClient"));
    }
    put(out, code::BOOT_FILE_URL, url.as_bytes());
    if !parameters.is_empty() {
        let one =
            |parameter: &String| [&(parameter.len() as u16).to_be_bytes()[..], parameter.as_bytes()].concat();
        let value = parameters.iter().flat_map(one).collect::<Vec<u8>>();
        put(out, code::BOOT_FILE_PARAMETERS, &value);
    }
}

/// RELAY-REPLY for the relay that sent the RELAY-FORWARD (RFC 8415, 19.3).
fn envelope(inner: Vec<u8>, relay: &Relay) -> Vec<u8> {
    let mut out = vec![13, relay.hops];
    out.extend(relay.link.octets());
    out.extend(relay.peer.octets());
    if let Some(id) = &relay.interface_id {
        put(&mut out, code::INTERFACE_ID, id);
    }
    put(&mut out, code::RELAY_MESSAGE, &inner);
    out
}

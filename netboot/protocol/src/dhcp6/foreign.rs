//! Other DHCPv6 servers: how we look for them and tell them from us. What follows is the same as for IPv4:
//! [`crate::ForeignServers`].
//!
//! A server answers only the client that asked, unlike with IPv4, so we must ask ourselves.

use std::net::Ipv6Addr;

use inventory_api::network::Gives;
use inventory_api::{Mac, UnixMs};

use super::client::{Client, MessageKind};
use super::encode::vendor_class;
use super::wire::{Options, code, put};
use crate::codes::Unanswered;
use crate::dhcp4::foreign::{Gate, ServerReply};
use crate::dhcp4::packet::MAX_BYTES;
use crate::network::lease::Leases;

/// ADVERTISE and REPLY.
const ANSWERS: [u8; 2] = [2, 7];
/// Addresses of one association that are read.
const MOST_ADDRESSES: usize = 8;

/// Reads an answer from another server. `None` for anything else, and for an answer with neither address nor
/// boot file: it takes no machine away from us. `duid`: our server identifier. `from`: the sender's address.
pub fn read_reply(bytes: &[u8], from: Ipv6Addr, duid: &[u8]) -> Option<ServerReply> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    let options = Options(rest);
    let server = options.get(code::SERVER_ID)?;
    if !ANSWERS.contains(&head[0]) || server == duid || bytes.len() > MAX_BYTES {
        return None;
    }
    let mut associations = options.filter(|(code, _)| *code == code::IA_NA);
    let gives = if associations.any(|(_, value)| gives_address(value)) {
        Gives::Addresses
    } else if options.get(code::BOOT_FILE_URL).is_some() {
        Gives::BootData
    } else {
        return None;
    };
    Some(ServerReply {
        server: from.into(),
        gives,
        boot_file: None,
    })
}

/// Whether an IA_NA has an address with a valid lifetime.
fn gives_address(value: &[u8]) -> bool {
    let options = value.get(12..).unwrap_or_default();
    Options(options)
        .filter(|(code, _)| *code == code::IA_ADDRESS)
        .take(MOST_ADDRESSES)
        .any(|(_, address)| address.get(20..24).is_some_and(|valid| valid != [0; 4]))
}

/// A question that looks for servers: a SOLICIT, or if `boots` an INFORMATION-REQUEST as UEFI firmware sends
/// it, which servers of boot data answer too. Both request a boot file.
pub fn question(mac: Mac, xid: [u8; 3], boots: bool) -> Vec<u8> {
    let mut bytes = vec![if boots { 11 } else { 1 }];
    bytes.extend(xid);
    put(&mut bytes, code::CLIENT_ID, &[&[0, 3, 0, 1][..], &mac.0].concat());
    put(&mut bytes, code::ELAPSED, &[0, 0]);
    let wanted = code::BOOT_FILE_URL.to_be_bytes();
    put(&mut bytes, code::OPTION_REQUEST, &wanted);
    if boots {
        let class = vendor_class("PXEClient:Arch:00007:UNDI:003000");
        put(&mut bytes, code::VENDOR_CLASS, &class);
        put(&mut bytes, code::ARCHITECTURE, &[0, 7]);
    } else {
        let association = [&mac.0[2..], &[0; 8]].concat();
        put(&mut bytes, code::IA_NA, &association);
    }
    bytes
}

/// Like [`crate::dhcp4::foreign::pass`], for a DHCPv6 message.
pub fn pass(gate: Gate, client: &Client, leases: &Leases<Ipv6Addr>, now: UnixMs) -> Result<(), Unanswered> {
    let Err(closed) = gate.is_open() else {
        return Ok(());
    };
    let has = leases.of(client.mac).filter(|lease| lease.is_bound(now));
    let named = |ip: Ipv6Addr| client.associations.iter().any(|a| a.addresses.contains(&ip));
    let keeps = match client.message {
        MessageKind::Solicit => has.is_some() && gate == Gate::Looking,
        MessageKind::Request | MessageKind::Renew | MessageKind::Rebind => {
            has.is_some_and(|lease| named(lease.ip))
        }
        // Answered without an address.
        MessageKind::Confirm
        | MessageKind::Release
        | MessageKind::Decline
        | MessageKind::InformationRequest => true,
    };
    if keeps { Ok(()) } else { Err(closed) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::architecture::ClientKind;
    use crate::dhcp6::classify;
    use crate::dhcp6::client::tests::{DUID, MAC, firmware, ia, link_local, message};
    use crate::network::lease::{Lease, LeaseState};
    use proptest::prelude::*;

    const OURS: &[u8] = &[0, 4, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1];
    const NOW: UnixMs = UnixMs(1_000_000);

    fn from() -> Ipv6Addr {
        link_local(Mac([2, 0, 0, 0, 0, 9]))
    }

    /// An IA_NA with an address of this valid lifetime.
    fn given(valid: u32) -> (u16, Vec<u8>) {
        let address = [&[0xfd; 16][..], &[0; 4], &valid.to_be_bytes()].concat();
        let mut value = vec![0; 12];
        put(&mut value, code::IA_ADDRESS, &address);
        (code::IA_NA, value)
    }

    #[test]
    fn servers_are_classified_by_their_replies() {
        let read = |kind: u8, server: &[u8], more: &[(u16, Vec<u8>)]| {
            let mut options = vec![(code::SERVER_ID, server.to_vec())];
            options.extend(more.iter().cloned());
            read_reply(&message(kind, &options), from(), OURS).map(|reply| reply.gives)
        };
        let url = || (code::BOOT_FILE_URL, b"tftp://[fd00::2]/x.efi".to_vec());
        assert_eq!(read(2, DUID, &[given(60)]), Some(Gives::Addresses));
        assert_eq!(read(7, DUID, &[url(), given(60)]), Some(Gives::Addresses));
        assert_eq!(read(7, DUID, &[url()]), Some(Gives::BootData));
        assert_eq!(read(2, DUID, &[given(0)]), None, "a withdrawn address");
        assert_eq!(
            read(7, DUID, &[(code::DNS, vec![0; 16])]),
            None,
            "only name servers"
        );
        assert_eq!(read(2, OURS, &[given(60)]), None, "our own");
        assert_eq!(read(1, DUID, &[given(60)]), None, "a client's message");
        assert_eq!(read_reply(&message(2, &[given(60)]), from(), OURS), None);
    }

    #[test]
    fn the_question_looks_like_a_machines() {
        for (boots, kind, message, associations) in [
            (false, ClientKind::Other, MessageKind::Solicit, 1),
            (true, ClientKind::UefiX64, MessageKind::InformationRequest, 0),
        ] {
            let client = classify(&question(MAC, [1, 2, 3], boots), link_local(MAC)).unwrap();
            assert_eq!(
                (client.mac, client.xid, client.message),
                (MAC, [1, 2, 3], message)
            );
            assert_eq!((client.kind, client.associations.len()), (kind, associations));
        }
    }

    #[test]
    fn leases_already_given_are_kept() {
        let (ip, other): (Ipv6Addr, Ipv6Addr) =
            ("fd00:7::100".parse().unwrap(), "fd00:7::101".parse().unwrap());
        let server = || (code::SERVER_ID, OURS.to_vec());
        let ask = |kind: u8, options: &[(u16, Vec<u8>)]| {
            classify(&message(kind, options), link_local(MAC)).unwrap()
        };
        let none = Leases::default();
        let mut bound = Leases::default();
        bound.insert(Lease {
            mac: MAC,
            ip,
            expires: NOW.plus_seconds(9),
            state: LeaseState::Bound,
        });
        let solicit = ask(1, &[ia(1, &[])]);
        let renew = ask(5, &[server(), ia(1, &[ip])]);
        let (looking, refused) = (Err(Unanswered::Looking), Err(Unanswered::ForeignServer));
        for (gate, leases, client, expected) in [
            (Gate::Open, &none, &solicit, Ok(())),
            (Gate::Looking, &none, &solicit, looking),
            (Gate::Looking, &bound, &solicit, Ok(())),
            (Gate::Refused, &none, &solicit, refused),
            (Gate::Refused, &bound, &solicit, refused),
            (Gate::Refused, &bound, &renew, Ok(())),
            (Gate::Refused, &none, &renew, refused),
            (
                Gate::Refused,
                &bound,
                &ask(3, &[server(), ia(1, &[other])]),
                refused,
            ),
            (Gate::Refused, &none, &ask(8, &[server(), ia(1, &[ip])]), Ok(())),
            (Gate::Refused, &none, &ask(11, &firmware("PXEClient", 7)), Ok(())),
        ] {
            assert_eq!(pass(gate, client, leases, NOW), expected, "{gate:?} {client:?}");
        }
        let late = NOW.plus_seconds(10);
        assert_eq!(pass(Gate::Refused, &renew, &bound, late), refused);
    }

    proptest! {
        #[test]
        fn any_bytes_parse_without_a_panic(kind in 0u8..14, bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut with_head = message(kind, &[(code::SERVER_ID, DUID.to_vec())]);
            with_head.extend(bytes);
            let _ = read_reply(&with_head, from(), OURS);
        }
    }
}

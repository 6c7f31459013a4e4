use super::*;
use crate::dhcp6::wire::put;
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
fn firmware_is_recognised_by_class_and_link_local_address() {
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
        assert!(client.restarts());
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
    assert!(!client.restarts(), "this is the loader");
    assert_eq!(client.asker().client, "ipxe-v6");
    let system = classify(&message(1, &[]), link_local(MAC)).unwrap();
    assert_eq!(system.kind, ClientKind::Other);
}

#[test]
fn the_nic_comes_from_the_relay_the_link_local_address_or_the_duid() {
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
    assert_eq!(mac_of(&with(DUID), random), Err(Unanswered::NoMac));
    let infiniband = with(&[&[0, 3, 0, 32][..], &other.0].concat());
    assert_eq!(mac_of(&infiniband, random), Err(Unanswered::NoMac));

    let link: Ipv6Addr = "fd00:9::1".parse().unwrap();
    let told = [(code::CLIENT_LINK_ADDRESS, [&[0, 1][..], &other.0].concat())];
    let (plain, telling) = (
        relayed(&llt, link, random, &[]),
        relayed(&llt, link, link_local(MAC), &told),
    );
    assert_eq!(mac_of(&plain, link), Ok(other));
    assert_eq!(mac_of(&telling, link), Ok(other), "the relay saw it");
    let junk = relayed(&ll, link, link_local(Mac([0xff; 6])), &[]);
    assert_eq!(mac_of(&junk, link), Err(Unanswered::NoMac));
}

#[test]
fn relay_envelopes_are_opened_from_the_outside() {
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
    assert_eq!(classify(&deep, far), Err(Unanswered::TooManyRelays));
    assert_eq!(classify(&outer[..30], far), Err(Unanswered::TooShort));
    assert_eq!(classify(&outer[..34], far), Err(Unanswered::NothingRelayed));
}

#[test]
fn invalid_messages_have_their_reason() {
    let from = link_local(MAC);
    let server = [(code::SERVER_ID, DUID.to_vec())];
    for (bytes, expected) in [
        (vec![], Unanswered::TooShort),
        (vec![1, 0, 0], Unanswered::TooShort),
        (vec![1; 1501], Unanswered::TooLong),
        (message(2, &[]), Unanswered::MessageType),
        (message(13, &[]), Unanswered::MessageType),
        (vec![1, 0, 0, 0], Unanswered::NoClientId),
        (message(1, &server), Unanswered::ServerId),
        (message(6, &server), Unanswered::ServerId),
        (message(3, &[]), Unanswered::ServerId),
        (message(8, &[]), Unanswered::ServerId),
        (message(11, &[ia(1, &[])]), Unanswered::Association),
    ] {
        assert_eq!(classify(&bytes, from), Err(expected), "{bytes:?}");
    }
    assert!(
        classify(&[11, 0, 0, 0], from).is_ok(),
        "a client that asks for settings need not identify itself"
    );
}

proptest! {
    #[test]
    fn any_bytes_parse_without_a_panic(kind in 0u8..14, bytes in proptest::collection::vec(any::<u8>(), 0..700)) {
        let _ = classify(&[&[kind][..], &bytes].concat(), link_local(MAC));
        let mut with_head = message(kind, &[]);
        with_head.extend(bytes);
        let _ = classify(&with_head, link_local(MAC));
    }
}

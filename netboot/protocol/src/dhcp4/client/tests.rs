use super::*;
use crate::dhcp4::packet::tests::discover;

fn kind_of(options: &[(u8, &[u8])]) -> ClientKind {
    let mut all = vec![(53, &[1u8][..])];
    all.extend(options);
    classify(&discover(&all)).unwrap().kind
}

#[test]
fn architectures() {
    let pxe: &[u8] = b"PXEClient:Arch:00007:UNDI:003000";
    let http: &[u8] = b"HTTPClient:Arch:00016:UNDI:003000";
    for (vendor, arch, expected) in [
        (pxe, &[0u8, 0][..], "bios"),
        (b"PXEClient", &[], "bios"),
        (pxe, &[0, 6], "uefi-ia32"),
        (pxe, &[0, 7], "uefi-x64"),
        (pxe, &[0, 9], "uefi-x64"),
        (pxe, &[0, 11], "uefi-arm64"),
        (pxe, &[0, 27, 0, 7], "uefi-x64"),
        (pxe, &[0, 27], "uefi-riscv64"),
        (pxe, &[0], "bios"),
        (http, &[0, 16], "uefi-x64-http"),
        (http, &[0, 19], "uefi-arm64-http"),
        (http, &[0, 7], "other-firmware"),
        (b"U-Boot.armv8", &[0, 22], "uboot-arm64"),
        (b"", &[], "other"),
        (b"", &[0, 0], "bios"),
        (b"", &[0, 16], "uefi-x64-http"),
        (b"", &[0, 27], "uefi-riscv64"),
    ] {
        let kind = kind_of(&[(60, vendor), (93, arch)]);
        assert_eq!(kind.code(), expected, "{vendor:?} {arch:?}");
    }
}

#[test]
fn a_raspberry_pi_is_not_a_bios_and_its_uefi_firmware_is_arm64() {
    for (nic, arch, expected) in [
        ([0xdc, 0xa6, 0x32], 0, "raspberry-pi"),
        ([0x2c, 0xcf, 0x67], 0, "raspberry-pi"),
        ([0xdc, 0xa6, 0x32], 11, "uefi-arm64"),
        ([0xdc, 0xa6, 0x33], 0, "bios"),
    ] {
        let pxe: &[u8] = b"PXEClient:Arch:00000:UNDI:002001";
        let mut bytes = discover(&[(53, &[1]), (60, pxe), (93, &[0, arch])]);
        bytes[28..31].copy_from_slice(&nic);
        assert_eq!(classify(&bytes).unwrap().kind.code(), expected, "{nic:x?} {arch}");
    }
}

#[test]
fn ipxe_and_our_stage() {
    let features: &[u8] = &[0xb1, 5, 1, 0x1a, 0xf4, 0x10, 0, 0x13, 1, 1, 0x24, 1, 1];
    let no_http: &[u8] = &[0x18, 1, 1];
    let pxe: (u8, &[u8]) = (60, b"PXEClient:Arch:00000:UNDI:002001");
    assert_eq!(
        kind_of(&[pxe, (175, features)]),
        ClientKind::Ipxe {
            http: true,
            efi: true
        }
    );
    assert_eq!(
        kind_of(&[pxe, (93, &[0, 0]), (175, no_http)]),
        ClientKind::Ipxe {
            http: false,
            efi: false
        }
    );
    assert_eq!(
        kind_of(&[pxe, (77, b"iPXE")]),
        ClientKind::Ipxe {
            http: true,
            efi: false
        }
    );
    assert_eq!(
        kind_of(&[pxe, (77, b"\x04iPXE")]),
        ClientKind::Ipxe {
            http: true,
            efi: false
        }
    );
    assert_eq!(
        kind_of(&[(77, b"slipway")]),
        ClientKind::SlipwayStage { ipxe: false }
    );
    assert_eq!(
        kind_of(&[(77, b"\x03abc\x07slipway")]),
        ClientKind::SlipwayStage { ipxe: false }
    );
    assert_eq!(
        kind_of(&[pxe, (77, b"slipway"), (175, features)]),
        ClientKind::SlipwayStage { ipxe: true }
    );
}

#[test]
fn guid_is_swapped_and_junk_is_rejected() {
    let sent = [
        0, 0x33, 0x22, 0x11, 0, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff,
    ];
    let printed = [
        0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff,
    ];
    assert_eq!(guid(&sent), Some(printed));
    assert_eq!(guid(&[0; 17]), None);
    assert_eq!(guid(&[&[0][..], &[0xff; 16]].concat()), None);
    assert_eq!(guid(&sent[..16]), None);
    assert_eq!(guid(&[]), None);
}

#[test]
fn relay_facts() {
    let mut bytes = discover(&[(53, &[1]), (82, &[5, 4, 10, 9, 0, 0, 11, 4, 10, 9, 0, 1])]);
    assert_eq!(
        classify(&bytes).unwrap().selected(),
        None,
        "option 82 without a relay means nothing"
    );
    bytes[24..28].copy_from_slice(&[10, 8, 0, 1]);
    let client = classify(&bytes).unwrap();
    assert_eq!(client.selected(), Some(Ipv4Addr::new(10, 9, 0, 0)));
    assert_eq!(client.server_override(), Some(Ipv4Addr::new(10, 9, 0, 1)));
}

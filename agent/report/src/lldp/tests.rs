use inventory_api::report::LldpNeighbour;

use super::frame::parse;
use super::fuzz::door;

fn field(kind: u16, value: &[u8]) -> Vec<u8> {
    let header = kind << 9 | value.len() as u16;
    [&header.to_be_bytes()[..], value].concat()
}

fn unit(fields: &[(u16, Vec<u8>)]) -> Vec<u8> {
    fields
        .iter()
        .flat_map(|(kind, value)| field(*kind, value))
        .chain([0, 0])
        .collect()
}

fn with(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind][..], value].concat()
}

fn mandatory() -> Vec<(u16, Vec<u8>)> {
    vec![
        (1, with(4, &[0x38, 0x20, 0x56, 0x67, 0x90, 0x80])),
        (2, with(5, b"Gi1/0/29")),
        (3, vec![0, 120]),
    ]
}

#[test]
fn the_mandatory_fields_are_in_order_and_once() {
    let heard = parse(&unit(&mandatory())).unwrap();
    assert_eq!(heard.lifetime.as_secs(), 120);
    assert_eq!(heard.neighbour.chassis.as_deref(), Some("38:20:56:67:90:80"));
    let mut swapped = mandatory();
    swapped.swap(0, 1);
    assert!(parse(&unit(&swapped)).is_none());
    let twice = [mandatory(), mandatory()].concat();
    assert!(parse(&unit(&twice)).is_none());
    assert!(parse(&unit(&mandatory()[..2])).is_none());
    let cut = unit(&mandatory());
    assert!(parse(&cut[..cut.len() - 5]).is_none());
}

#[test]
fn control_characters_are_dropped_and_binary_names_become_hex() {
    let mut fields = mandatory();
    fields[1].1 = with(7, &[0, 1, 2]);
    fields.push((5, b"leaf\x1b[31m1\0".to_vec()));
    fields.push((127, vec![0, 0x80, 0xc2, 1, 0, 0]));
    let heard = parse(&unit(&fields)).unwrap().neighbour;
    assert_eq!(heard.port.as_deref(), Some("000102"));
    assert_eq!(heard.system.as_deref(), Some("leaf[31m1"));
    assert_eq!(heard.vlan, None);
}

/// The output of `lldpctl -f keyvalue` for real switches, turned back into frames.
#[test]
fn frames_of_real_switches_are_decoded() {
    let Some(folder) = fixtures::find("inventory/netbox-agent/lldp") else {
        return;
    };
    let mut seen = 0;
    for name in ["cumulus.txt", "dedibox1.txt", "dedibox2.txt", "qfx.txt"] {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        let mut interfaces: Vec<&str> = text
            .lines()
            .filter_map(|l| {
                l.strip_prefix("lldp.")?
                    .split_once(".chassis.mac=")
                    .map(|(i, _)| i)
            })
            .collect();
        interfaces.dedup();
        for interface in interfaces {
            let all = |key: &str| {
                let start = format!("lldp.{interface}.{key}=");
                text.lines()
                    .filter_map(|l| l.strip_prefix(&start))
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            let one = |key: &str| all(key).first().cloned();
            let mac: Vec<u8> = one("chassis.mac")
                .unwrap()
                .split(':')
                .map(|b| u8::from_str_radix(b, 16).unwrap())
                .collect();
            let port = one("port.ifname")
                .map(|p| with(5, p.as_bytes()))
                .or(one("port.local").map(|p| with(7, p.as_bytes())));
            let mut fields = vec![(1, with(4, &mac)), (2, port.unwrap()), (3, vec![0, 120])];
            fields.extend(one("port.descr").map(|text| (4, text.into_bytes())));
            fields.extend(one("chassis.name").map(|text| (5, text.into_bytes())));
            fields.extend(one("chassis.descr").map(|text| (6, text.into_bytes())));
            for address in all("chassis.mgmt-ip") {
                let value = match address.parse::<std::net::IpAddr>().unwrap() {
                    std::net::IpAddr::V4(a) => [&[5, 1][..], &a.octets()].concat(),
                    std::net::IpAddr::V6(a) => [&[17, 2][..], &a.octets()].concat(),
                };
                fields.push((8, [&value[..], &[2, 0, 0, 0, 1, 0]].concat()));
            }
            let vlan: Option<u16> = one("vlan.vlan-id").map(|id| id.parse().unwrap());
            fields.extend(vlan.map(|id| (127, [&[0, 0x80, 0xc2, 1][..], &id.to_be_bytes()].concat())));
            let expected = LldpNeighbour {
                chassis: one("chassis.mac"),
                system: one("chassis.name"),
                port: one("port.ifname").or(one("port.local")),
                port_description: one("port.descr"),
                vlan,
                management: all("chassis.mgmt-ip")
                    .iter()
                    .map(|a| a.parse().unwrap())
                    .find(|a: &std::net::IpAddr| a.is_ipv4()),
            };
            assert_eq!(
                parse(&unit(&fields)).unwrap().neighbour,
                expected,
                "{name} {interface}"
            );
            seen += 1;
        }
    }
    assert!(seen >= 6, "{seen} neighbours in {}", folder.display());
}

proptest::proptest! {
    #[test]
    fn any_frame_is_read_without_a_panic(frame in proptest::collection::vec(proptest::num::u8::ANY, 0..1500)) {
        door(&frame);
    }

    #[test]
    fn a_frame_with_any_tail_is_read_without_a_panic(tail in proptest::collection::vec(proptest::num::u8::ANY, 0..700)) {
        let mut frame = unit(&mandatory());
        frame.truncate(frame.len() - 2);
        frame.extend(tail);
        door(&frame);
    }
}

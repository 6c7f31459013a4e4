//! Decodes a BMC's answers (without their completion code). Pure.

use std::net::Ipv4Addr;

use inventory_api::Mac;
use inventory_api::report::BmcFacts;

/// Makers of servers and of BMC firmware, by IANA enterprise number (iana.org, enterprise-numbers).
const VENDORS: &[(u32, &str)] = &[
    (2, "IBM"),
    (11, "HP"),
    (42, "Sun"),
    (107, "Bull"),
    (111, "Oracle"),
    (116, "Hitachi"),
    (119, "NEC"),
    (343, "Intel"),
    (674, "Dell"),
    (2011, "Huawei"),
    (2623, "ASUS"),
    (4337, "RadiSys"),
    (5771, "Cisco"),
    (6653, "Tyan"),
    (7244, "Quanta"),
    (10297, "Advantech"),
    (10368, "Fujitsu"),
    (10876, "Supermicro"),
    (15000, "Kontron"),
    (15370, "GIGABYTE"),
    (19046, "Lenovo"),
    (20301, "IBM"),
    (20974, "AMI"),
    (22238, "Foxconn"),
    (37945, "Inspur"),
    (40092, "Wiwynn"),
    (47196, "HPE"),
    (47488, "Supermicro"),
    (49622, "ASRock Rack"),
    (49769, "YADRO"),
];

/// Get Device ID (IPMI 2.0, table 20-2). None if it is too short.
pub(super) fn device_id(answer: &[u8]) -> Option<BmcFacts> {
    let [_, _, major, minor, ipmi, _, a, b, c, ..] = answer else {
        return None;
    };
    let manufacturer = u32::from_le_bytes([*a, *b, *c, 0]) & 0x000f_ffff;
    // 0 and all ones: unspecified.
    let manufacturer = Some(manufacturer).filter(|id| *id != 0 && *id != 0x000f_ffff);
    Some(BmcFacts {
        ipmi_version: Some(format!("{}.{}", ipmi & 0xf, ipmi >> 4)).filter(|_| *ipmi != 0),
        // The minor version is BCD.
        firmware: Some(format!("{}.{minor:02x}", major & 0x7f)),
        manufacturer_id: manufacturer,
        vendor: manufacturer
            .and_then(|id| VENDORS.iter().find(|(known, _)| *known == id))
            .map(|(_, name)| (*name).to_owned()),
        ..BmcFacts::default()
    })
}

/// Get Channel Info (table 22-28): medium 04h, 802.3 LAN.
pub(super) fn is_lan(answer: &[u8]) -> bool {
    answer.get(1).is_some_and(|medium| medium & 0x7f == 4)
}

/// The settings of a LAN channel.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lan {
    pub ip: Option<Ipv4Addr>,
    pub source: Option<String>,
    pub mac: Option<Mac>,
}

impl Lan {
    /// From the answers to parameters 3, 4 and 5 (table 23-4), each prefixed with a revision byte.
    pub fn new(ip: Option<&[u8]>, source: Option<&[u8]>, mac: Option<&[u8]>) -> Lan {
        let ip = match ip {
            Some([_, a, b, c, d, ..]) => Some(Ipv4Addr::new(*a, *b, *c, *d)),
            _ => None,
        };
        let ip = ip.filter(|ip| !ip.is_unspecified() && !ip.is_broadcast());
        let source = match source.and_then(|answer| answer.get(1)).map(|byte| byte & 0xf) {
            Some(1) => Some("static"),
            Some(2) => Some("dhcp"),
            Some(3) => Some("bios"),
            Some(4) => Some("other"),
            _ => None,
        };
        let mac = match mac {
            Some([_, a, b, c, d, e, f, ..]) => Some(Mac([*a, *b, *c, *d, *e, *f])),
            _ => None,
        };
        Lan {
            ip,
            source: source.filter(|_| ip.is_some()).map(str::to_owned),
            mac: mac.filter(|mac| !mac.is_junk()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_the_bmc_does_not_report_are_absent() {
        // QEMU's simulated BMC: no maker, firmware 0.00.
        let qemu = device_id(&[0x20, 0, 0, 0, 2, 7, 0, 0, 0, 0, 0]).unwrap();
        assert_eq!(
            (qemu.manufacturer_id, qemu.vendor, qemu.ipmi_version.as_deref()),
            (None, None, Some("2.0"))
        );
        assert_eq!(device_id(&[0x20, 1, 2]), None);
        assert_eq!(
            Lan::new(
                Some(&[0x11, 0, 0, 0, 0]),
                Some(&[0x11, 1]),
                Some(&[0x11, 0, 0, 0, 0, 0, 0])
            ),
            Lan::default()
        );
        assert_eq!(Lan::new(None, Some(&[]), Some(&[0x11, 1])), Lan::default());
    }

    #[test]
    fn an_idrac_is_decoded() {
        // ipmitool mc info of a PowerEdge R630: firmware 2.86, IPMI 2.0, maker 674.
        let dell = device_id(&[0x20, 1, 2, 0x86, 2, 0xdf, 0xa2, 2, 0, 0, 1, 0, 0x2c, 0x2c, 0x2c]).unwrap();
        assert_eq!(dell.firmware.as_deref(), Some("2.86"));
        assert_eq!(
            (dell.manufacturer_id, dell.vendor.as_deref()),
            (Some(674), Some("Dell"))
        );
    }

    /// The output of `ipmitool lan print` for two real BMCs, turned back into answers.
    #[test]
    fn answers_of_real_bmcs_are_decoded() {
        for file in [
            "inventory/nvidia-bmm/test/lan_print.txt",
            "inventory/redhat-hardware/samples/ipmi_lan_info",
        ] {
            let Some(path) = fixtures::find(file) else {
                continue;
            };
            let text = std::fs::read_to_string(path).unwrap();
            let said = |name: &str| {
                text.lines()
                    .find_map(|l| l.split_once(':').filter(|(n, _)| n.trim() == name))
                    .map(|(_, v)| v.trim())
            };
            let ip: Ipv4Addr = said("IP Address").unwrap().parse().unwrap();
            let mac: Mac = said("MAC Address").unwrap().parse().unwrap();
            let (source, word) = match said("IP Address Source").unwrap() {
                "Static Address" => (1, "static"),
                "DHCP Address" => (2, "dhcp"),
                other => panic!("{file}: {other}"),
            };
            let found = Lan::new(
                Some(&[&[0x11][..], &ip.octets()].concat()),
                Some(&[0x11, source]),
                Some(&[&[0x11][..], &mac.0].concat()),
            );
            let expected = Lan {
                ip: Some(ip),
                source: Some(word.to_owned()),
                mac: Some(mac),
            };
            assert_eq!(found, expected, "{file}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_answer_is_read_without_a_panic(answer in proptest::collection::vec(proptest::num::u8::ANY, 0..90)) {
            super::super::fuzz::door(&answer);
        }
    }
}

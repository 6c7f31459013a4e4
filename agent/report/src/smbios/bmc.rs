//! Types 38 and 42: the BMC as announced by SMBIOS. Its own answers come through IPMI.

use inventory_api::report::BmcFacts;

use super::super::Problems;
use super::structure::Structure;
use super::table::Table;
use super::words;

/// Type 42, Interface Type: network host interface (DSP0270).
const NETWORK_HOST_INTERFACE: u8 = 0x40;
/// Protocol record type: Redfish over IP (7.43.2).
const REDFISH_OVER_IP: u8 = 4;

/// None if the table has no BMC.
pub(super) fn bmc(table: &Table, problems: &mut Problems) -> Option<BmcFacts> {
    let ipmi = table.all(38, 0x10, problems).into_iter().next();
    let interface = ipmi.and_then(|s| s.named(0x04, words::bmc_interface));
    // Tables of machines without a BMC contain version 0.0.
    let ipmi_version = ipmi
        .and_then(|s| s.byte(0x05))
        .filter(|version| *version != 0)
        .map(|version| format!("{}.{}", version >> 4, version & 0x0f));
    let redfish = table.all(42, 0x05, problems).into_iter().any(speaks_redfish);
    if interface.is_none() && ipmi_version.is_none() && !redfish {
        return None;
    }
    Some(BmcFacts {
        interface,
        ipmi_version,
        redfish_host_interface: Some(redfish),
        ..BmcFacts::default()
    })
}

/// DSP0270: interface type, length and data of the interface, count of protocol records, then each record's
/// type, length and data.
fn speaks_redfish(s: &Structure) -> bool {
    let found = || {
        if s.byte(0x04)? != NETWORK_HOST_INTERFACE {
            return None;
        }
        let mut at = 0x06 + usize::from(s.byte(0x05)?);
        let records = s.byte(at)?;
        at += 1;
        for _ in 0..records {
            let (kind, length) = s.byte(at).zip(s.byte(at + 1))?;
            if kind == REDFISH_OVER_IP {
                return Some(());
            }
            at += 2 + usize::from(length);
        }
        None
    };
    found().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redfish_is_a_protocol_record_of_a_network_interface() {
        let interface = |kind: u8, records: &[u8]| {
            let head = [42, 9 + records.len() as u8, 0, 0, kind, 2, 0x02, 0x00];
            speaks_redfish(&Structure::new(&[&head[..], records, &[0, 0, 0]].concat()))
        };
        assert!(interface(0x40, &[1, 4, 1, 9]));
        assert!(interface(0x40, &[2, 3, 1, 9, 4, 0]));
        assert!(!interface(0x40, &[1, 3, 1, 9]));
        assert!(!interface(0x41, &[1, 4, 1, 9]));
        assert!(!interface(0x40, &[200, 3, 1, 9]));
    }
}

//! The BMC as seen from inside the machine: IPMI requests to the kernel's device. The names of events come
//! from ipmi-rs-core; its sensor record parsers are not used because they panic on bytes that a BMC can send,
//! and it has none for FRU inventories.

mod decode;
mod fru;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod inventory;
mod ipmi;
mod sdr;
mod sel;

use std::path::PathBuf;
use std::time::Instant;

use inventory_api::report::{AssetReport, BmcFacts};

use self::ipmi::{Device, Requests};
use super::Problems;
use super::roots::Roots;

/// The kernel's device file (drivers/char/ipmi/ipmi_devintf.c; the other names are from older systems).
const DEVICES: [&str; 3] = ["ipmi0", "ipmi/0", "ipmidev/0"];

/// Possible channels of a BMC (IPMI 2.0, table 6-1).
const CHANNELS: std::ops::RangeInclusive<u8> = 1..=11;

/// The BMC and what it stores about the machine: sensors, inventories, power supplies, events. Nothing
/// without a BMC or its driver.
pub(super) fn collect(roots: &Roots, problems: &mut Problems, report: &mut AssetReport) {
    let Some(path) = device(roots).filter(|_| roots.is_live()) else {
        return;
    };
    match Device::open(&path) {
        Ok(mut device) => {
            let end = Instant::now() + inventory::TIME;
            report.bmc = ask(&mut device, problems);
            if report.bmc.is_some() {
                inventory::add(&mut device, report, end, problems);
            }
        }
        Err(e) => problems.note(format_args!("{}: {e}", path.display())),
    }
}

fn device(roots: &Roots) -> Option<PathBuf> {
    DEVICES
        .iter()
        .map(|name| roots.dev(name))
        .find(|path| path.exists())
}

fn ask(bmc: &mut impl Requests, problems: &mut Problems) -> Option<BmcFacts> {
    // NetFn 06h App, command 01h Get Device ID (IPMI 2.0, 20.1).
    let mut facts = match bmc.ask(0x06, 0x01, &[]) {
        Ok(answer) => decode::device_id(&answer).unwrap_or_default(),
        Err(e) => {
            problems.note(format_args!("IPMI Get Device ID: {e}"));
            return None;
        }
    };
    let mut best = decode::Lan::default();
    for channel in CHANNELS {
        // 42h Get Channel Info (22.24): medium 04h is a LAN.
        let is_lan = bmc
            .ask(0x06, 0x42, &[channel])
            .is_ok_and(|answer| decode::is_lan(&answer));
        if !is_lan {
            continue;
        }
        // NetFn 0Ch Transport, command 02h Get LAN Configuration Parameters (23.2): 3 address, 4 its source,
        // 5 MAC.
        let mut parameter = |number: u8| bmc.ask(0x0c, 0x02, &[channel, number, 0, 0]).ok();
        let lan = decode::Lan::new(
            parameter(3).as_deref(),
            parameter(4).as_deref(),
            parameter(5).as_deref(),
        );
        if lan.ip.is_some() || best == decode::Lan::default() {
            best = lan;
        }
        if best.ip.is_some() {
            break;
        }
    }
    (facts.ip, facts.ip_source, facts.mac) = (best.ip, best.source, best.mac);
    Some(facts)
}

/// Why the locate LED could not be switched.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct IdentifyError(String);

/// Switches the locate LED on for `seconds`, through this machine's own BMC; 0 switches it off, and more than
/// 255 leaves it on until it is switched off. Blocking, some seconds at most.
///
/// # Errors
/// There is no BMC or no driver for it, or it refuses or does not answer.
pub fn identify(roots: &Roots, seconds: u32) -> Result<(), IdentifyError> {
    let path = device(roots).ok_or_else(|| {
        IdentifyError(format!(
            "no IPMI device (/dev/{}): this machine has no BMC, or the kernel no driver for it",
            DEVICES.join(", /dev/")
        ))
    })?;
    let failed = |e: std::io::Error| IdentifyError(format!("{}: Chassis Identify: {e}", path.display()));
    let mut device = Device::open(&path).map_err(failed)?;
    locate(&mut device, seconds).map_err(failed)
}

/// NetFn 00h Chassis, command 04h Chassis Identify (28.5): interval in seconds, then bit 0 "until switched
/// off".
fn locate(bmc: &mut impl Requests, seconds: u32) -> std::io::Result<()> {
    let request: &[u8] = match u8::try_from(seconds) {
        Ok(seconds) => &[seconds],
        Err(_) => &[0, 1],
    };
    bmc.ask(0x00, 0x04, request).map(drop)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// A BMC with a shared LAN without address on channel 1, and a dedicated one on channel 8.
    struct Bmc;

    impl Requests for Bmc {
        fn ask(&mut self, netfn: u8, command: u8, data: &[u8]) -> io::Result<Vec<u8>> {
            match (netfn, command, data) {
                // Of a Supermicro X11: device 20h, revision 1, firmware 1.73, IPMI 2.0, maker 10876, product
                // 2404.
                (0x06, 0x01, _) => Ok(vec![
                    0x20, 1, 1, 0x73, 2, 0xbf, 0x7c, 0x2a, 0, 0x64, 9, 0, 0, 0, 0,
                ]),
                (0x06, 0x42, [channel @ (1 | 8)]) => Ok(vec![*channel, 4, 1, 0x80, 0xf2, 0x1b, 0, 0, 0]),
                (0x06, 0x42, [channel]) => Ok(vec![*channel, 0x0c, 5, 0, 0, 0, 0, 0, 0]),
                (0x0c, 0x02, [1, 3, ..]) => Ok(vec![0x11, 0, 0, 0, 0]),
                (0x0c, 0x02, [8, 3, ..]) => Ok(vec![0x11, 10, 43, 31, 35]),
                (0x0c, 0x02, [_, 4, ..]) => Ok(vec![0x11, 2]),
                (0x0c, 0x02, [channel, 5, ..]) => Ok(vec![0x11, 0xac, 0x1f, 0x6b, 0, 0, *channel]),
                _ => Err(io::Error::other("completion code c1h")),
            }
        }
    }

    #[test]
    fn the_lan_channel_with_an_address_is_the_bmcs() {
        let mut problems = Problems::new("bmc");
        let facts = ask(&mut Bmc, &mut problems).unwrap();
        let expected = BmcFacts {
            ipmi_version: Some("2.0".to_owned()),
            firmware: Some("1.73".to_owned()),
            manufacturer_id: Some(10876),
            vendor: Some("Supermicro".to_owned()),
            ip: Some("10.43.31.35".parse().unwrap()),
            ip_source: Some("dhcp".to_owned()),
            mac: Some("ac:1f:6b:00:00:08".parse().unwrap()),
            ..BmcFacts::default()
        };
        assert_eq!(facts, expected);
        assert!(problems.found.is_empty());
    }

    #[test]
    fn the_locate_led_is_timed_permanent_or_off() {
        struct Chassis(Vec<Vec<u8>>);
        impl Requests for Chassis {
            fn ask(&mut self, netfn: u8, command: u8, data: &[u8]) -> io::Result<Vec<u8>> {
                assert_eq!((netfn, command), (0, 4));
                self.0.push(data.to_vec());
                Ok(Vec::new())
            }
        }
        let mut chassis = Chassis(Vec::new());
        for seconds in [15, 255, 256, 0] {
            locate(&mut chassis, seconds).unwrap();
        }
        assert_eq!(chassis.0, [vec![15], vec![255], vec![0, 1], vec![0]]);
        let refused = locate(&mut Bmc, 15).unwrap_err().to_string();
        assert!(refused.contains("c1h"), "{refused}");
    }

    #[test]
    fn a_machine_without_a_bmc_says_what_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let said = identify(&Roots::under(dir.path()), 1).unwrap_err().to_string();
        assert!(said.contains("/dev/ipmi0"), "{said}");
    }
}

//! When firmware or a loader of each MAC last sent DHCP. Only that may lead to a script with a ticket: it
//! comes from a privileged port, so an unprivileged process on an installed system cannot fake it.

use std::collections::HashMap;
use std::sync::Arc;

use inventory_api::{Mac, UnixMs};
use netboot_protocol::{MessageKind, PxeClient, dhcp6};
use parking_lot::Mutex;

/// Unknown MACs remembered; known machines are always remembered.
const STRANGERS: usize = 16_384;
/// A stranger's entry older than this may be evicted. Milliseconds.
const STALE_MS: u64 = 15 * 60 * 1000;
/// Minimum time between two evictions. Milliseconds.
const CLEAN_MS: u64 = 1000;

/// Times by MAC. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct FirmwareTimes(Arc<Mutex<Times>>);

#[derive(Default)]
struct Times {
    known: HashMap<Mac, UnixMs>,
    strangers: HashMap<Mac, UnixMs>,
    /// When stale entries were last evicted.
    cleaned: Option<UnixMs>,
}

impl FirmwareTimes {
    /// Records a message if only firmware or a loader can have sent it. `any_port`: simulated machines have
    /// no privileged ports.
    pub(crate) fn heard_v4(&self, client: &PxeClient, from: u16, any_port: bool, now: UnixMs) {
        let asks = matches!(client.message, MessageKind::Discover | MessageKind::Request);
        // RFC 2131, 4.1: clients send from 68, relays from 67.
        let port = if client.giaddr.is_unspecified() { 68 } else { 67 };
        if asks && client.kind.boots() && (any_port || from == port) {
            self.put(client.mac, client.known, now);
        }
    }

    /// The same for DHCPv6 (RFC 8415, 7.2: clients send from 546, relays from 547).
    pub(crate) fn heard_v6(&self, client: &dhcp6::Client, from: u16, any_port: bool, now: UnixMs) {
        use dhcp6::MessageKind::{Confirm, InformationRequest, Request, Solicit};
        let asks = matches!(client.message, Solicit | Request | InformationRequest | Confirm);
        let port = if client.relays.is_empty() { 546 } else { 547 };
        if asks && client.kind.boots() && (any_port || from == port) {
            self.put(client.mac, client.known, now);
        }
    }

    /// When such a message last came from a MAC. `None`: not since the server started.
    pub(crate) fn of(&self, mac: Mac) -> Option<UnixMs> {
        let times = self.0.lock();
        times.known.get(&mac).max(times.strangers.get(&mac)).copied()
    }

    fn put(&self, mac: Mac, known: bool, now: UnixMs) {
        let mut times = self.0.lock();
        if known {
            times.strangers.remove(&mac);
            times.known.insert(mac, now);
            return;
        }
        if times.strangers.len() >= STRANGERS && !times.strangers.contains_key(&mac) {
            if times.cleaned.is_none_or(|at| now.since(at) >= CLEAN_MS) {
                times.cleaned = Some(now);
                times.strangers.retain(|_, at| now.since(*at) < STALE_MS);
            }
            if times.strangers.len() >= STRANGERS {
                // A flood of made-up MACs: this machine asks again, and gets its script once there is room.
                return;
            }
        }
        times.strangers.insert(mac, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(mac: Mac, vendor: &[u8], relay: [u8; 4]) -> Vec<u8> {
        let mut bytes = vec![0u8; 240];
        (bytes[0], bytes[1], bytes[2]) = (1, 1, 6);
        bytes[24..28].copy_from_slice(&relay);
        bytes[28..34].copy_from_slice(&mac.0);
        bytes[236..240].copy_from_slice(&[99, 130, 83, 99]);
        bytes.extend([53, 1, 1, 60, vendor.len() as u8]);
        bytes.extend(vendor);
        bytes.extend([93, 2, 0, 7, 255]);
        bytes
    }

    #[test]
    fn only_firmware_on_a_privileged_port_counts() {
        let mac = Mac([2, 0, 0, 0, 0, 1]);
        let pxe: &[u8] = b"PXEClient:Arch:00007:UNDI:003016";
        for (vendor, relay, port, any_port, heard) in [
            (pxe, [0; 4], 68, false, true),
            (pxe, [0; 4], 67, false, false),
            (pxe, [0; 4], 4011, false, false),
            (pxe, [0; 4], 57_721, false, false),
            (pxe, [0; 4], 57_721, true, true),
            (pxe, [10, 0, 0, 1], 67, false, true),
            (pxe, [10, 0, 0, 1], 68, false, false),
            (&b"systemd-networkd"[..], [0; 4], 68, false, false),
        ] {
            let times = FirmwareTimes::default();
            let client = netboot_protocol::classify(&message(mac, vendor, relay)).unwrap();
            times.heard_v4(&client, port, any_port, UnixMs(7));
            let case = format!("{} {relay:?} {port}", String::from_utf8_lossy(vendor));
            assert_eq!(times.of(mac), heard.then_some(UnixMs(7)), "{case}");
        }
    }

    #[test]
    fn a_flood_of_made_up_macs_evicts_no_known_machine() {
        let times = FirmwareTimes::default();
        let mac = |n: u32| {
            let [_, a, b, c] = n.to_be_bytes();
            Mac([2, 0, 0, a, b, c])
        };
        for n in 0..2 * STRANGERS as u32 {
            times.put(mac(n), false, UnixMs(1));
        }
        assert_eq!(times.of(mac(2 * STRANGERS as u32 - 1)), None, "it is full");
        times.put(mac(1 << 20), true, UnixMs(2));
        assert_eq!(times.of(mac(1 << 20)), Some(UnixMs(2)));
        let later = UnixMs(2 + STALE_MS as i64);
        times.put(mac(1 << 21), false, later);
        assert_eq!(times.of(mac(1 << 21)), Some(later));
    }
}

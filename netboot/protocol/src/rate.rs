//! Limits on how often a client may ask: no machine needs to ask as often as a broken or hostile one can.

use std::collections::HashMap;
use std::net::IpAddr;

use inventory_api::{Mac, UnixMs};

/// Messages a second from one MAC. A boot needs four, a retry some more.
pub const PER_MAC: u32 = 20;
/// Messages a second through one relay's circuit (option 82) from machines that are not enrolled. A circuit
/// is a switch port, or a VLAN with a rack.
pub const PER_CIRCUIT: u32 = 200;
/// MACs and circuits tracked in one second. Beyond that, machines that are not enrolled must wait for the
/// next second.
const MOST: usize = 32_768;

#[derive(PartialEq, Eq, Hash)]
enum Asker {
    Mac(Mac),
    Circuit(IpAddr, Vec<u8>),
}

/// Counts of the current second.
#[derive(Default)]
pub struct Rates {
    second: i64,
    counts: HashMap<Asker, u32>,
}

impl Rates {
    /// Counts a message and tells whether it is within the limits. `known`: the machine is enrolled or has a
    /// reserved address. `circuit`: the relay, and the port on it that the message came through.
    pub fn admit(&mut self, mac: Mac, known: bool, circuit: Option<(IpAddr, &Vec<u8>)>, now: UnixMs) -> bool {
        let second = now.0.div_euclid(1000);
        if second != self.second {
            self.second = second;
            self.counts.clear();
        }
        let one = self.count(Asker::Mac(mac), known, PER_MAC);
        let circuit = match circuit {
            Some((relay, circuit)) if !known => {
                self.count(Asker::Circuit(relay, circuit.clone()), false, PER_CIRCUIT)
            }
            _ => true,
        };
        one && circuit
    }

    fn count(&mut self, asker: Asker, known: bool, most: u32) -> bool {
        if self.counts.len() >= MOST && !self.counts.contains_key(&asker) {
            return known;
        }
        let count = self.counts.entry(asker).or_default();
        *count = count.saturating_add(1);
        *count <= most
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dhcp4::client::{PxeClient, classify};
    use crate::dhcp4::packet::tests::discover;

    fn admit(rates: &mut Rates, client: &PxeClient, at: i64) -> bool {
        rates.admit(client.mac, client.known, client.circuit(), UnixMs(at))
    }

    fn client(n: u32, options: &[(u8, &[u8])]) -> PxeClient {
        let mut all = vec![(53, &[1u8][..])];
        all.extend(options);
        let mut bytes = discover(&all);
        bytes[30..34].copy_from_slice(&n.to_be_bytes());
        bytes[24..28].copy_from_slice(&[10, 8, 0, 1]);
        classify(&bytes).unwrap()
    }

    #[test]
    fn one_mac_may_send_twenty_a_second() {
        let mut rates = Rates::default();
        let one = client(1, &[]);
        let mut passed = |at| (0..100).filter(|_| admit(&mut rates, &one, at)).count();
        assert_eq!((passed(1000), passed(1999), passed(2000)), (20, 0, 20));
        assert!(
            admit(&mut rates, &client(2, &[]), 2000),
            "others are not affected"
        );
    }

    #[test]
    fn a_flood_behind_one_circuit_stays_there() {
        let mut rates = Rates::default();
        let (bad, good): (&[u8], &[u8]) = (&[1, 2, b'p', b'7'], &[1, 2, b'p', b'8']);
        let passed = (0..5000)
            .filter(|n| admit(&mut rates, &client(*n, &[(82, bad)]), 1000))
            .count();
        assert_eq!(passed, PER_CIRCUIT as usize);
        assert!(admit(&mut rates, &client(9000, &[(82, good)]), 1000));
        let mut enrolled = client(9001, &[(82, bad)]);
        enrolled.known = true;
        assert!(
            admit(&mut rates, &enrolled, 1000),
            "an enrolled machine behind the same circuit"
        );
    }

    #[test]
    fn memory_is_bounded() {
        let mut rates = Rates::default();
        for n in 0..100_000 {
            admit(&mut rates, &client(n, &[]), 1000);
        }
        assert_eq!(rates.counts.len(), MOST);
        let mut enrolled = client(200_000, &[]);
        assert!(!admit(&mut rates, &enrolled, 1000));
        enrolled.known = true;
        assert!(admit(&mut rates, &enrolled, 1000));
        admit(&mut rates, &enrolled, 2000);
        assert_eq!(rates.counts.len(), 1);
    }
}

//! Who was heard in a network: senders of messages that do not come from a machine, and clients that do not
//! netboot.

use std::collections::BTreeMap;

use inventory_api::network::{Sender, SilenceCount, Visitor};
use inventory_api::{Mac, UnixMs};
use netboot_protocol::Unanswered;

/// Most recent senders kept per reason.
const SENDERS: usize = 32;
/// Visitors kept per network; the one heard longest ago is evicted first.
const VISITORS: usize = 256;

/// Unanswered messages and visitors of one network.
#[derive(Default)]
pub(crate) struct Visitors {
    silences: BTreeMap<Unanswered, Silenced>,
    visitors: BTreeMap<Mac, Visitor>,
    /// When any DHCP message last arrived.
    pub(crate) last: Option<UnixMs>,
}

#[derive(Default)]
struct Silenced {
    count: u64,
    last: UnixMs,
    senders: Vec<Sender>,
}

impl Visitors {
    /// Counts an unanswered message. `sender`: who sent it, if its format shows that it is not from a
    /// machine.
    pub(crate) fn count_unanswered(&mut self, reason: Unanswered, sender: Option<Sender>, now: UnixMs) {
        self.last = Some(now);
        let silenced = self.silences.entry(reason).or_default();
        (silenced.count, silenced.last) = (silenced.count + 1, now);
        if let Some(sender) = sender {
            let same =
                |other: &Sender| (&other.address, &other.client_id) == (&sender.address, &sender.client_id);
            silenced.senders.retain(|other| !same(other));
            silenced.senders.insert(0, sender);
            silenced.senders.truncate(SENDERS);
        }
    }

    /// Records a client that does not netboot.
    pub(crate) fn visit(&mut self, visitor: Visitor) {
        if self.visitors.len() >= VISITORS && !self.visitors.contains_key(&visitor.mac) {
            let oldest = self.visitors.values().min_by_key(|other| other.last);
            if let Some(mac) = oldest.map(|other| other.mac) {
                self.visitors.remove(&mac);
            }
        }
        self.visitors.insert(visitor.mac, visitor);
    }

    /// This NIC does netboot, or its machine is enrolled.
    pub(crate) fn is_machine(&mut self, mac: Mac) {
        self.visitors.remove(&mac);
    }

    pub(crate) fn silences(&self) -> Vec<SilenceCount> {
        let one = |(reason, silenced): (&Unanswered, &Silenced)| SilenceCount {
            reason: reason.code().to_owned(),
            count: silenced.count,
            last: silenced.last,
            senders: silenced.senders.clone(),
        };
        self.silences.iter().map(one).collect()
    }

    pub(crate) fn visitors(&self) -> Vec<Visitor> {
        let mut all: Vec<Visitor> = self.visitors.values().cloned().collect();
        all.sort_by_key(|visitor| std::cmp::Reverse(visitor.last));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mac(n: u32) -> Mac {
        let [a, b, c, d] = n.to_be_bytes();
        Mac([2, 0, a, b, c, d])
    }

    #[test]
    fn the_last_senders_and_visitors_are_kept_and_no_more() {
        let mut heard = Visitors::default();
        for n in 0..1000 {
            let now = UnixMs(i64::from(n));
            let sender = Sender {
                last: now,
                address: Some(mac(n).to_string()),
                ..Sender::default()
            };
            heard.count_unanswered(Unanswered::HardwareType, Some(sender.clone()), now);
            heard.count_unanswered(Unanswered::HardwareType, Some(sender), now);
            heard.visit(Visitor {
                mac: mac(n),
                who: "a switch in ONIE".to_owned(),
                address: None,
                last: now,
            });
        }
        let silences = heard.silences();
        assert_eq!((silences.len(), silences[0].count), (1, 2000));
        let senders: Vec<_> = silences[0].senders.iter().map(|s| s.last.0).collect();
        assert_eq!((senders.len(), senders[0], senders[31]), (SENDERS, 999, 968));
        let visitors = heard.visitors();
        assert_eq!((visitors.len(), visitors[0].mac), (VISITORS, mac(999)));
        heard.is_machine(mac(999));
        assert_eq!(heard.visitors()[0].mac, mac(998));
    }
}

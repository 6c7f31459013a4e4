//! What became of the loaders that machines were given: asked for every message of firmware, so from memory; kept in the
//! store, so that a restart does not begin anew with a loader that does not work.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use inventory_api::boot::BootEvent;
use inventory_api::{Mac, UnixMs};
use netboot_protocol::{ClientKind, Loader, Trial};

/// NICs with something on foot; those of which nothing is to be kept go first.
const LIMIT: usize = 16_384;

/// The trials by NIC.
#[derive(Default)]
pub struct Loaders(Mutex<HashMap<Mac, Trial>>);

impl Loaders {
    /// Takes in what the store kept.
    pub fn restore(&self, kept: Vec<(Mac, Trial)>) {
        self.trials().extend(kept);
    }

    /// Takes in what was heard. `Some`: this is to be kept from now on.
    pub fn heard(&self, event: &BootEvent) -> Option<Trial> {
        let mut trials = self.trials();
        if trials.len() >= LIMIT && !trials.contains_key(&event.mac) {
            trials.retain(|_, trial| trial.is_worth_keeping());
        }
        if trials.len() >= LIMIT && !trials.contains_key(&event.mac) {
            return None;
        }
        let trial = trials.entry(event.mac).or_default();
        trial.heard(event).then(|| trial.clone())
    }

    /// The loader whose turn it is; with what is to be kept from now on, when the firmware's coming back ended a trial.
    pub fn next(
        &self,
        mac: Mac,
        kind: ClientKind,
        anew: bool,
        there_is: &dyn Fn(Loader) -> bool,
        now: UnixMs,
    ) -> (Option<Loader>, Option<Trial>) {
        let mut trials = self.trials();
        let Some(trial) = trials.get_mut(&mac) else {
            return (Trial::default().next(kind, there_is), None);
        };
        let ended = anew && trial.asks_anew(now);
        (trial.next(kind, there_is), ended.then(|| trial.clone()))
    }

    /// What is known of a NIC's loaders.
    pub fn of(&self, mac: Mac) -> Option<Trial> {
        self.trials().get(&mac).cloned()
    }

    /// Begins anew with the first loader.
    pub fn forget(&self, mac: Mac) {
        self.trials().remove(&mac);
    }

    fn trials(&self) -> MutexGuard<'_, HashMap<Mac, Trial>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inventory_api::boot::BootEventKind;
    use netboot_protocol::Failure;

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

    fn event(mac: Mac, at: i64, what: BootEventKind) -> BootEvent {
        BootEvent {
            at: UnixMs(at),
            mac,
            ip: None,
            network: None,
            what,
        }
    }

    fn told(mac: Mac) -> BootEvent {
        let what = BootEventKind::Dhcp {
            message: "request".into(),
            client: "uefi-x64".into(),
            answer: "ack".into(),
            boot_file: Some("snponly.efi".into()),
        };
        event(mac, 0, what)
    }

    fn ask(loaders: &Loaders, anew: bool, now: i64) -> (Option<Loader>, Option<Trial>) {
        loaders.next(MAC, ClientKind::UefiX64, anew, &|_| true, UnixMs(now))
    }

    #[test]
    fn a_refused_loader_is_kept_over_a_restart_and_forgotten_on_request() {
        let loaders = Loaders::default();
        assert_eq!(ask(&loaders, true, 0).0, Some(Loader::Snponly));
        assert_eq!(loaders.heard(&told(MAC)), None);
        let fetched = BootEventKind::Tftp {
            file: "snponly.efi".into(),
            bytes: 1,
            complete: true,
        };
        assert_eq!(loaders.heard(&event(MAC, 10, fetched)), None);
        let (next, kept) = ask(&loaders, true, 20);
        let kept = kept.expect("a refusal is worth keeping");
        assert_eq!(
            (next, &kept.failed[..]),
            (Some(Loader::Signed), &[(Loader::Snponly, Failure::Refused)][..])
        );
        assert_eq!(
            ask(&loaders, false, 30),
            (Some(Loader::Signed), None),
            "its REQUEST is no new attempt"
        );

        let after = Loaders::default();
        after.restore(vec![(MAC, kept)]);
        assert_eq!(ask(&after, true, 40).0, Some(Loader::Signed));
        after.forget(MAC);
        assert_eq!(ask(&after, true, 50).0, Some(Loader::Snponly));
        assert_eq!(after.of(MAC), None);
    }

    #[test]
    fn a_flood_of_macs_is_bounded_and_takes_nothing_from_those_with_a_past() {
        let loaders = Loaders::default();
        let mut worked = Trial::default();
        worked.worked = Some(Loader::Signed);
        loaders.restore(vec![(MAC, worked.clone())]);
        for n in 0..2 * LIMIT as u32 {
            let [a, b, c, d] = n.to_be_bytes();
            loaders.heard(&told(Mac([4, 0, a, b, c, d])));
        }
        assert!(loaders.trials().len() <= LIMIT);
        assert_eq!(loaders.of(MAC), Some(worked));
    }
}
